// A tile of a payload, and who takes its pixels.

export const TILE = 64;

/**
 * Takes one tile: its index among the tiles of the payload, its place, and its pixels row by row without
 * gaps. A pixel is R, G, B and 255 in memory order, as ImageData has it. The array is used again: copy it.
 */
export type TileSink = (index: number, x: number, y: number, width: number, height: number, rgba: Uint32Array) => void;

export const INTERFACE = 0;
export const GREY = 1;
export const COLOUR = 2;
export const NEAR_CONTEXT = 3;
export const FAR_CONTEXT = 4;

/** A tile of a payload. */
export interface Placed {
  readonly index: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  readonly kind: number;
}
