// The decoder of tile payloads, twin of src/codec in Rust. docs/codec.md is the format.

import { type Beginning, ContextDecoder, type ContextModel } from "./context.ts";
import { InterfaceDecoder } from "./interface.ts";
import { NaturalDecoder } from "./natural.ts";
import { CodecError, Reader } from "./reader.ts";
import { FAR_CONTEXT, INTERFACE, NEAR_CONTEXT, type Placed, TILE, type TileSink } from "./tile.ts";

/** A screen's size in pixels. */
export interface GridSize {
  readonly width: number;
  readonly height: number;
}

/** The part of a tile that a payload holds, from the tile's upper left corner. */
export interface PartOfTile {
  readonly tile: number;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const interfaceDecoder = new InterfaceDecoder();
const naturalDecoder = new NaturalDecoder();
const contextDecoder = new ContextDecoder();

/**
 * Decodes a payload that holds exactly `tiles` of a screen of this size, in this order; of those named in `parts`, which
 * are in the same order, only a part. Throws CodecError if
 * it does not, perhaps after some tiles were handed over: those may be wrong and must be asked for again.
 */
export function decode(
  payload: Uint8Array,
  grid: GridSize,
  tiles: ArrayLike<number>,
  sink: TileSink,
  parts: readonly PartOfTile[] = [],
  beginning: Beginning | null = null,
): void {
  lastWasContext = false;
  const columns = Math.ceil(grid.width / TILE);
  const count = columns * Math.ceil(grid.height / TILE);
  const reader = new Reader(payload);
  const kinds = readClasses(reader, tiles.length);
  const interfaceTiles: Placed[] = [];
  const naturalTiles: Placed[] = [];
  const contextTiles: Placed[] = [];
  let nextPart = 0;
  for (let index = 0; index < tiles.length; index++) {
    const tile = tiles[index]!;
    if (tile >= count) throw new CodecError(`tile ${tile} is not of the grid`);
    const x = (tile % columns) * TILE;
    const y = Math.floor(tile / columns) * TILE;
    const kind = kinds[index]!;
    const part = parts[nextPart]?.tile === tile ? parts[nextPart++] : undefined;
    const placed = part === undefined
      ? { index, x, y, width: Math.min(TILE, grid.width - x), height: Math.min(TILE, grid.height - y), kind }
      : { index, x: x + part.x, y: y + part.y, width: part.width, height: part.height, kind };
    (kind === INTERFACE ? interfaceTiles : kind >= NEAR_CONTEXT ? contextTiles : naturalTiles).push(placed);
  }
  if (interfaceTiles.length > 0) interfaceDecoder.decode(reader, interfaceTiles, sink);
  if (naturalTiles.length > 0) naturalDecoder.decode(reader, naturalTiles, sink);
  if (contextTiles.some(({ kind }) => kind !== contextTiles[0]!.kind)) throw new CodecError("a tile payload has context-coded tiles of two classes");
  if (contextTiles.length > 0) contextDecoder.decode(reader, contextTiles, beginning, sink);
  reader.end();
  lastWasContext = contextTiles.length === tiles.length && contextTiles.length > 0;
}

let lastWasContext = false;

/** What was learnt of the last payload, if all of it was context-coded. */
export function learnt(): ContextModel | null {
  return lastWasContext ? contextDecoder.learnt() : null;
}

function readClasses(reader: Reader, tiles: number): Uint8Array {
  const kinds = new Uint8Array(tiles);
  let done = 0;
  while (done < tiles) {
    const byte = reader.byte();
    const kind = byte & 7;
    if (kind > FAR_CONTEXT) throw new CodecError(`tile class ${kind} is unknown: this page is older than its gateway`);
    let run = (byte >>> 3) + 1;
    if (run === 32) run += reader.varint(2 ** 35, "a run of tiles");
    if (run > tiles - done) throw new CodecError(`the classes of a tile payload cover more than its ${tiles} tiles`);
    kinds.fill(kind, done, done + run);
    done += run;
  }
  return kinds;
}
