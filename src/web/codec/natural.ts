// Natural tiles: planes predicted from their neighbours, residuals of 8x8 blocks sorted by activity.

import { restoreLinear, WEIGHTS } from "./linear.ts";
import { CodecError, type Reader } from "./reader.ts";
import { GREY, type Placed, TILE, type TileSink } from "./tile.ts";

const BLOCK = 8;
/** Predictors below this one are for any tile; it and the next are for grey tiles. */
const LINEAR = 4;
const LINEAR_AGAIN = 5;
const ACTIVITIES = 16;
/** From one row of a plane to the next: one cell to the left of the row, and one to the right. */
const STRIDE = TILE + 2;

const planesOf = (tile: Placed) => (tile.kind === GREY ? 1 : 3);
const blocksOf = (tile: Placed) => Math.ceil(tile.width / BLOCK) * Math.ceil(tile.height / BLOCK);

export class NaturalDecoder {
  private readonly planes = [0, 1, 2].map(() => new Uint8Array(STRIDE * TILE));
  private readonly pixels = new Uint32Array(TILE * TILE);
  private readonly streams: Uint8Array[] = Array.from({ length: ACTIVITIES }, () => new Uint8Array(0));
  private readonly used = new Int32Array(ACTIVITIES);

  decode(reader: Reader, tiles: readonly Placed[], sink: TileSink): void {
    let blocks = 0;
    for (const tile of tiles) blocks += blocksOf(tile) * planesOf(tile);
    const map = reader.part(tiles.length + blocks);
    const weighted = checkMap(tiles, map);
    const sent = weighted > 0 ? reader.part(weighted * WEIGHTS) : new Uint8Array(0);
    const sizes = streamSizes(tiles, map);
    for (let kind = 1; kind < ACTIVITIES; kind++) {
      if (sizes[kind]! > 0) this.streams[kind] = reader.part(sizes[kind]!);
    }
    this.used.fill(0);
    let at = tiles.length;
    let weights = -WEIGHTS;
    tiles.forEach((tile, order) => {
      const predictor = map[order]!;
      if (predictor === LINEAR) weights += WEIGHTS;
      const planes = planesOf(tile);
      for (let index = 0; index < planes; index++) {
        const plane = this.planes[index]!;
        this.placeBlocks(tile, map, at, plane);
        at += blocksOf(tile);
        if (predictor < LINEAR) restore(plane, tile.width, tile.height, predictor);
        else restoreLinear(plane, STRIDE, tile.width, tile.height, sent.subarray(weights, weights + WEIGHTS));
      }
      if (planes === 1) this.joinGrey(tile);
      else this.join(tile);
      sink(tile.index, tile.x, tile.y, tile.width, tile.height, this.pixels.subarray(0, tile.width * tile.height));
    });
  }

  /** Puts a plane's residuals where its cells will be. */
  private placeBlocks({ width, height }: Placed, map: Uint8Array, at: number, plane: Uint8Array): void {
    for (let y = 0; y < height; y += BLOCK) {
      const bottom = Math.min(y + BLOCK, height);
      for (let x = 0; x < width; x += BLOCK) {
        const columns = Math.min(BLOCK, width - x);
        const kind = map[at++]!;
        const stream = this.streams[kind]!;
        let from = this.used[kind]!;
        for (let line = y; line < bottom; line++) {
          const start = line * STRIDE + 1 + x;
          if (kind === 0) plane.fill(0, start, start + columns);
          else for (let cell = start; cell < start + columns; cell++) plane[cell] = stream[from++]!;
        }
        this.used[kind] = from;
      }
    }
  }

  private join({ width, height }: Placed): void {
    const [green, red, blue] = this.planes as [Uint8Array, Uint8Array, Uint8Array];
    const { pixels } = this;
    let to = 0;
    for (let y = 0; y < height; y++) {
      const start = y * STRIDE + 1;
      for (let at = start; at < start + width; at++) {
        const g = green[at]!;
        const r = ((red[at]! ^ 0x80) + g) & 0xff;
        const b = ((blue[at]! ^ 0x80) + g) & 0xff;
        pixels[to++] = 0xff000000 | (b << 16) | (g << 8) | r;
      }
    }
  }

  private joinGrey({ width, height }: Placed): void {
    const plane = this.planes[0]!;
    const { pixels } = this;
    let to = 0;
    for (let y = 0; y < height; y++) {
      const start = y * STRIDE + 1;
      for (let at = start; at < start + width; at++) pixels[to++] = 0xff000000 | (plane[at]! * 0x010101);
    }
  }
}

/** Refuses what no decoder knows; returns how many tiles have weights of their own. */
function checkMap(tiles: readonly Placed[], map: Uint8Array): number {
  let weighted = 0;
  tiles.forEach((tile, order) => {
    const limit = tile.kind !== GREY ? LINEAR - 1 : weighted > 0 ? LINEAR_AGAIN : LINEAR;
    if (map[order]! > limit) throw new CodecError(`in a tile payload a predictor is ${map[order]}, but at most ${limit} is possible`);
    if (map[order] === LINEAR) weighted++;
  });
  for (let at = tiles.length; at < map.length; at++) {
    if (map[at]! >= ACTIVITIES) throw new CodecError(`an activity class ${map[at]} of a tile payload is unknown`);
  }
  return weighted;
}

function streamSizes(tiles: readonly Placed[], map: Uint8Array): Int32Array {
  const sizes = new Int32Array(ACTIVITIES);
  let at = tiles.length;
  for (const tile of tiles) {
    for (let plane = 0; plane < planesOf(tile); plane++) {
      for (let y = 0; y < tile.height; y += BLOCK) {
        const lines = Math.min(BLOCK, tile.height - y);
        for (let x = 0; x < tile.width; x += BLOCK) sizes[map[at++]!]! += lines * Math.min(BLOCK, tile.width - x);
      }
    }
  }
  return sizes;
}

/** Turns a plane's residuals into its cells, in place. */
function restore(plane: Uint8Array, width: number, height: number, predictor: number): void {
  let west = 0;
  plane[0] = 0;
  for (let at = 1; at <= width; at++) {
    west = (west + plane[at]!) & 0xff;
    plane[at] = west;
  }
  for (let y = 1; y < height; y++) {
    const start = y * STRIDE;
    plane[start] = plane[start - STRIDE + 1]!;
    plane[start - STRIDE + width + 1] = plane[start - STRIDE + width]!;
    if (predictor === 0) medianRow(plane, start, width);
    else if (predictor === 1) meanRow(plane, start, width);
    else if (predictor === 2) slopeRow(plane, start, width);
    else softRow(plane, start, width);
  }
}

// Comparing by the sign bit of a difference: on noise a branch is mispredicted half the time.

/** The lesser of two small integers. */
const least = (one: number, other: number) => other + ((one - other) & ((one - other) >> 31));
/** The greater of two small integers. */
const most = (one: number, other: number) => one - ((one - other) & ((one - other) >> 31));

/** W + N - NW, kept between W and N. */
function median(w: number, n: number, nw: number): number {
  const low = least(w, n);
  const high = most(w, n);
  return low + high - least(most(nw, low), high);
}

function medianRow(plane: Uint8Array, start: number, width: number): void {
  let w = plane[start]!;
  let nw = plane[start - STRIDE]!;
  for (let at = start + 1; at <= start + width; at++) {
    const n = plane[at - STRIDE]!;
    w = (plane[at]! + median(w, n, nw)) & 0xff;
    plane[at] = w;
    nw = n;
  }
}

function meanRow(plane: Uint8Array, start: number, width: number): void {
  let w = plane[start]!;
  for (let at = start + 1; at <= start + width; at++) {
    w = (plane[at]! + ((w + plane[at - STRIDE]! + 1) >> 1)) & 0xff;
    plane[at] = w;
  }
}

function softRow(plane: Uint8Array, start: number, width: number): void {
  let w = plane[start]!;
  let nw = plane[start - STRIDE]!;
  for (let at = start + 1; at <= start + width; at++) {
    const n = plane[at - STRIDE]!;
    w = (plane[at]! + ((median(w, n, nw) + ((w + n + 1) >> 1) + 1) >> 1)) & 0xff;
    plane[at] = w;
    nw = n;
  }
}

function slopeRow(plane: Uint8Array, start: number, width: number): void {
  let w = plane[start]!;
  let nw = plane[start - STRIDE]!;
  let n = plane[start - STRIDE + 1]!;
  for (let at = start + 1; at <= start + width; at++) {
    const ne = plane[at - STRIDE + 1]!;
    // Half the slope, rounded towards zero. The bounds lie within a byte, so that no other clamp is needed.
    const sloped = w + ((ne - nw - ((ne - nw) >> 31)) >> 1);
    const kept = least(most(sloped, least(w, least(n, ne))), most(w, most(n, ne)));
    w = (plane[at]! + ((median(w, n, nw) + kept + 1) >> 1)) & 0xff;
    plane[at] = w;
    nw = n;
    n = ne;
  }
}
