// The head of an update stream: docs/protocol.md, "Update stream".

import { ProtocolError, Reader, Writer } from "./bytes.ts";
import * as limits from "./limits.ts";

export const UPDATE_STREAM_KIND = 2;
export const SHORT_UPDATE_STREAM_KIND = 3;
export const TILE = 64;

export interface Copy {
  x: number;
  y: number;
  width: number;
  height: number;
  toX: number;
  toY: number;
}

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A frame of video, which is an update's whole payload: one H.264 access unit in the byte stream format. */
export interface VideoFrameHead extends Rect {
  /** Counts up on each link; a video keeps its rectangle. */
  video: number;
  /** Counts up from 0, which is a key frame; a frame can be decoded only after all before it. */
  frame: number;
}

/** The part of a tile that an update gives, from the tile's upper left corner; the rest stays as it is. */
export interface TilePart extends Rect {
  tile: number;
}

/** How parts of tiles go on from what was learnt of earlier ones: docs/codec.md, "Live models". */
export interface Live {
  /** The update whose model this one goes on from; 0: none. */
  base: number;
  /** The model after this update is kept. */
  kept: boolean;
  /** No later update goes on from one below this. */
  oldest: number;
}

/** The screen that a viewer shows. */
export interface Shown {
  epoch: number;
  width: number;
  height: number;
}

export interface Update {
  number: number;
  after: number;
  epoch: number;
  width: number;
  height: number;
  capturedMicros: number;
  complete: boolean;
  /** With this and all before, the viewer has all that is not shown as video. */
  caughtUp: boolean;
  /** What the tiles of this update replace goes into the viewer's cache. */
  keep: boolean;
  copies: Copy[];
  /** Tiles that the viewer's cache has, ascending, and their hashes as pairs of words: low, high. */
  cached: Uint32Array;
  cachedHashes: Uint32Array;
  /** Tiles whose pixels are in the payload, ascending; with video, those that its picture is painted on. */
  tiles: Uint32Array;
  /** Those of `tiles` that are given only in part, ascending. */
  parts: TilePart[];
  video: VideoFrameHead | null;
  /** Written in the short form; only there: */
  short: boolean;
  /** whether it says the screen's size, */
  sized: boolean;
  /** the lower half of what the tiles' hashes fold to, if it is complete, */
  root: number;
  live: Live | null;
  payload: Uint8Array;
}

/** The grid of a screen: columns, rows and the tile's rectangle. */
export class Grid {
  readonly columns: number;
  readonly rows: number;
  readonly length: number;

  constructor(
    readonly width: number,
    readonly height: number,
  ) {
    this.columns = Math.ceil(width / TILE);
    this.rows = Math.ceil(height / TILE);
    this.length = this.columns * this.rows;
  }

  x(tile: number): number {
    return (tile % this.columns) * TILE;
  }

  y(tile: number): number {
    return Math.floor(tile / this.columns) * TILE;
  }

  tileWidth(tile: number): number {
    return Math.min(TILE, this.width - this.x(tile));
  }

  tileHeight(tile: number): number {
    return Math.min(TILE, this.height - this.y(tile));
  }

  rect(tile: number): Rect {
    return { x: this.x(tile), y: this.y(tile), width: this.tileWidth(tile), height: this.tileHeight(tile) };
  }

  /** Calls `visit` for every tile that a rectangle inside the screen touches. */
  eachIn(x: number, y: number, width: number, height: number, visit: (tile: number) => void): void {
    if (width === 0 || height === 0) return;
    const lastRow = Math.floor((y + height - 1) / TILE);
    const lastColumn = Math.floor((x + width - 1) / TILE);
    for (let row = Math.floor(y / TILE); row <= lastRow; row++) {
      for (let column = Math.floor(x / TILE); column <= lastColumn; column++) visit(row * this.columns + column);
    }
  }
}

/** Reads a whole update stream. Everything in the result is inside the screen and the limits. */
export function decodeUpdate(bytes: Uint8Array, shown: Shown | null = null): Update {
  const reader = new Reader(bytes);
  const kind = reader.varint();
  if (kind === SHORT_UPDATE_STREAM_KIND) return decodeShort(reader, shown);
  if (kind !== UPDATE_STREAM_KIND) throw new ProtocolError(`a stream to the viewer is of kind ${kind}`);
  const number = reader.varint();
  const after = reader.varint();
  if (number === 0 || after >= number) throw new ProtocolError(`update ${number} may not wait for ${after}`);
  const epoch = reader.varint();
  const width = reader.varintUpTo(limits.MAX_SIDE, "the screen's width");
  const height = reader.varintUpTo(limits.MAX_SIDE, "the screen's height");
  if (width * height === 0 || width * height > limits.MAX_PIXELS) throw new ProtocolError(`a screen of ${width} x ${height} is impossible`);
  const grid = new Grid(width, height);
  const capturedMicros = reader.varint();
  const flags = reader.u8();
  const complete = (flags & 1) !== 0;
  const keep = (flags & 2) !== 0;
  const caughtUp = (flags & 16) !== 0;
  const copies = readCopies(reader, grid);
  const { cached, cachedHashes } = readCached(reader, grid);
  const whole = readRuns(reader, grid);
  const parts = (flags & 32) !== 0 ? readParts(reader, grid, whole.length) : [];
  const tiles = joined(whole, parts);
  const video = (flags & 4) !== 0 ? readVideo(reader, grid) : null;
  const payload = reader.rest();
  if (video !== null) {
    if (copies.length + cached.length + parts.length > 0 || complete) throw new ProtocolError(`update ${number} has video and more`);
    if (payload.length > limits.MAX_VIDEO_FRAME) throw new ProtocolError(`a frame of video has ${payload.length} bytes`);
  }
  const screen = { epoch, width, height, capturedMicros, complete, caughtUp, keep };
  return { number, after, ...screen, copies, cached, cachedHashes, tiles, parts, video, ...LONG, payload };
}

const LONG = { short: false, sized: false, root: 0, live: null };
const NONE = { copies: [], cached: new Uint32Array(0), cachedHashes: new Uint32Array(0), tiles: new Uint32Array(0), parts: [] };

/** Flags of the short form. */
const Short = { complete: 1, keep: 2, parts: 4, live: 8, copies: 16, cached: 32, runs: 64, caughtUp: 128, sized: 256 };

/** What follows the kind. Of an update of an earlier screen nothing but number, order and epoch is read. */
function decodeShort(reader: Reader, shown: Shown | null): Update {
  const flags = reader.varintUpTo(511, "a short update's flags");
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const number = reader.varint();
  const after = number - reader.varint();
  if (number === 0 || after < 0 || after >= number) throw new ProtocolError(`update ${number} may not wait for ${after}`);
  const epoch = reader.varint();
  const sized = has(Short.sized);
  const head = { number, after, epoch, short: true, sized, video: null };
  const rest = { capturedMicros: 0, complete: false, caughtUp: false, keep: false, root: 0, live: null };
  let size = shown;
  if (sized) {
    const width = reader.varintUpTo(limits.MAX_SIDE, "the screen's width");
    const height = reader.varintUpTo(limits.MAX_SIDE, "the screen's height");
    size = { epoch, width, height };
  } else if (shown !== null && shown.epoch > epoch) {
    return { ...head, width: shown.width, height: shown.height, ...rest, ...NONE, payload: new Uint8Array(0) };
  }
  if (size === null || size.epoch !== epoch) throw new ProtocolError(`update ${number} is of a screen of unknown size`);
  const { width, height } = size;
  if (width * height === 0 || width * height > limits.MAX_PIXELS) throw new ProtocolError(`a screen of ${width} x ${height} is impossible`);
  const grid = new Grid(width, height);
  const capturedMicros = reader.varint();
  const complete = has(Short.complete);
  const root = complete ? reader.u32() : 0;
  const live = has(Short.live) ? readLive(reader, number) : null;
  const copies = has(Short.copies) ? readCopies(reader, grid) : NONE.copies;
  const { cached, cachedHashes } = has(Short.cached) ? readCached(reader, grid) : NONE;
  const whole = has(Short.runs) ? readRuns(reader, grid) : NONE.tiles;
  const parts = has(Short.parts) ? readParts(reader, grid, whole.length) : NONE.parts;
  const tiles = joined(whole, parts);
  if (live !== null && (parts.length === 0 || whole.length > 0)) throw new ProtocolError("a model beside whole tiles");
  const said = { capturedMicros, complete, caughtUp: complete || has(Short.caughtUp), keep: has(Short.keep), root, live };
  return { ...head, width, height, ...said, copies, cached, cachedHashes, tiles, parts, payload: reader.rest() };
}

function readLive(reader: Reader, number: number): Live {
  const word = reader.varint();
  const back = Math.floor(word / 4);
  if (back >= number) throw new ProtocolError(`update ${number} goes on from one that cannot be`);
  const base = back === 0 ? 0 : number - back;
  const oldest = (word & 2) === 0 ? usualOldest(base, number) : number - reader.varint();
  if (oldest < 0 || (base > 0 && oldest > base)) throw new ProtocolError(`update ${number} goes on from a model that is to be forgotten`);
  return { base, kept: (word & 1) !== 0, oldest };
}

function usualOldest(base: number, number: number): number {
  return base === 0 ? number : base;
}

/** Each rectangle stands for the part of every tile that it touches. */
function readParts(reader: Reader, grid: Grid, whole: number): TilePart[] {
  const count = reader.varintUpTo(limits.MAX_UPDATE_TILES, "the number of parts of tiles");
  const parts: TilePart[] = [];
  for (let done = 0; done < count; done++) {
    const [x, y, width, height] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()];
    if (width === 0 || height === 0 || x + width > grid.width || y + height > grid.height) {
      throw new ProtocolError("a part of tiles lies outside the screen");
    }
    grid.eachIn(x, y, width, height, (tile) => {
      const left = Math.max(x, grid.x(tile));
      const top = Math.max(y, grid.y(tile));
      const right = Math.min(x + width, grid.x(tile) + TILE);
      const bottom = Math.min(y + height, grid.y(tile) + TILE);
      parts.push({ tile, x: left - grid.x(tile), y: top - grid.y(tile), width: right - left, height: bottom - top });
      if (whole + parts.length > limits.MAX_UPDATE_TILES) throw new ProtocolError("an update has too many tiles");
    });
  }
  return parts.sort((a, b) => a.tile - b.tile);
}

/** All tiles with pixels, ascending: those given whole and those given in part. */
function joined(whole: Uint32Array, parts: TilePart[]): Uint32Array {
  if (parts.length === 0) return whole;
  const tiles = new Uint32Array(whole.length + parts.length);
  tiles.set(whole);
  parts.forEach(({ tile }, index) => (tiles[whole.length + index] = tile));
  tiles.sort();
  for (let index = 1; index < tiles.length; index++) {
    if (tiles[index] === tiles[index - 1]) throw new ProtocolError(`tile ${tiles[index]} is given twice`);
  }
  return tiles;
}

function readVideo(reader: Reader, grid: Grid): VideoFrameHead {
  const video = reader.varint();
  const frame = reader.varint();
  const side = (): number => reader.varintUpTo(limits.MAX_SIDE, "a video's rectangle");
  const [x, y, width, height] = [side(), side(), side(), side()];
  const inside = width > 0 && height > 0 && x + width <= grid.width && y + height <= grid.height;
  if (!inside || ((x | y | width | height) & 1) !== 0) throw new ProtocolError(`the rectangle of video ${video} is impossible`);
  return { video, frame, x, y, width, height };
}

function readCopies(reader: Reader, grid: Grid): Copy[] {
  const count = reader.varintUpTo(limits.MAX_COPIES, "the number of copies");
  const copies: Copy[] = [];
  let left = limits.MAX_COPIED_SCREENS * grid.width * grid.height;
  for (let index = 0; index < count; index++) {
    const x = reader.varint();
    const y = reader.varint();
    const width = reader.varint();
    const height = reader.varint();
    const toX = reader.varint();
    const toY = reader.varint();
    if (width * height === 0 || Math.max(x, toX) + width > grid.width || Math.max(y, toY) + height > grid.height) {
      throw new ProtocolError("a copy is empty or reaches outside the screen");
    }
    left -= width * height;
    if (left < 0) throw new ProtocolError("an update copies more than 32 screens");
    copies.push({ x, y, width, height, toX, toY });
  }
  return copies;
}

function readCached(reader: Reader, grid: Grid): { cached: Uint32Array; cachedHashes: Uint32Array } {
  const count = reader.varintUpTo(grid.length, "the number of cached tiles");
  // Nine bytes at least stand for each: a count alone cannot make us allocate.
  if (count * 9 > reader.left) throw new ProtocolError("the list of cached tiles ends too early");
  const cached = new Uint32Array(count);
  const cachedHashes = new Uint32Array(count * 2);
  let next = 0;
  for (let index = 0; index < count; index++) {
    const tile = next + reader.varint();
    if (tile >= grid.length) throw new ProtocolError(`cached tile ${tile} lies outside the screen`);
    cached[index] = tile;
    cachedHashes.set(reader.u64s(1), index * 2);
    next = tile + 1;
  }
  return { cached, cachedHashes };
}

function readRuns(reader: Reader, grid: Grid): Uint32Array {
  const count = reader.varintUpTo(limits.MAX_UPDATE_TILES, "the number of runs");
  const tiles: number[] = [];
  let next = 0;
  for (let index = 0; index < count; index++) {
    const start = next + reader.varint();
    const length = reader.varint();
    if (length === 0 || start + length > grid.length) throw new ProtocolError("a run of tiles lies outside the screen");
    if (tiles.length + length > limits.MAX_UPDATE_TILES) throw new ProtocolError("an update has too many tiles");
    for (let tile = start; tile < start + length; tile++) tiles.push(tile);
    next = start + length;
  }
  return Uint32Array.from(tiles);
}

/** Writes an update stream, as a session does: for tests. */
export function encodeUpdate(update: Update): Uint8Array {
  if (update.short) return encodeShort(update);
  const writer = new Writer(256).varint(UPDATE_STREAM_KIND).varint(update.number).varint(update.after);
  writer.varint(update.epoch).varint(update.width).varint(update.height).varint(update.capturedMicros);
  const flags = (update.complete ? 1 : 0) | (update.keep ? 2 : 0) | (update.video !== null ? 4 : 0) |
    (update.caughtUp ? 16 : 0) | (update.parts.length > 0 ? 32 : 0);
  writer.u8(flags);
  writeCopies(writer, update);
  writeCached(writer, update);
  writeRuns(writer, wholeOf(update));
  if (update.parts.length > 0) writeParts(writer, update);
  if (update.video !== null) {
    const { video, frame, x, y, width, height } = update.video;
    for (const value of [video, frame, x, y, width, height]) writer.varint(value);
  }
  return writer.raw(update.payload).done();
}

function encodeShort(update: Update): Uint8Array {
  const { complete, keep, parts, live, copies, cached, caughtUp, sized, number } = update;
  const whole = wholeOf(update);
  const flags: [number, boolean][] = [
    [Short.complete, complete], [Short.keep, keep], [Short.parts, parts.length > 0], [Short.live, live !== null],
    [Short.copies, copies.length > 0], [Short.cached, cached.length > 0], [Short.runs, whole.length > 0],
    [Short.caughtUp, caughtUp && !complete], [Short.sized, sized],
  ];
  const writer = new Writer(64).varint(SHORT_UPDATE_STREAM_KIND);
  writer.varint(flags.reduce((sum, [flag, set]) => sum + (set ? flag : 0), 0));
  writer.varint(number).varint(number - update.after).varint(update.epoch);
  if (sized) writer.varint(update.width).varint(update.height);
  writer.varint(update.capturedMicros);
  if (complete) writer.u32(update.root);
  if (live !== null) {
    const usual = live.oldest === usualOldest(live.base, number);
    writer.varint((live.base === 0 ? 0 : number - live.base) * 4 + (usual ? 0 : 2) + (live.kept ? 1 : 0));
    if (!usual) writer.varint(number - live.oldest);
  }
  if (copies.length > 0) writeCopies(writer, update);
  if (cached.length > 0) writeCached(writer, update);
  if (whole.length > 0) writeRuns(writer, whole);
  if (parts.length > 0) writeParts(writer, update);
  return writer.raw(update.payload).done();
}

function wholeOf(update: Update): Uint32Array {
  const given = new Set(update.parts.map(({ tile }) => tile));
  return update.tiles.filter((tile) => !given.has(tile));
}

function writeCopies(writer: Writer, update: Update): void {
  writer.varint(update.copies.length);
  for (const copy of update.copies) {
    writer.varint(copy.x).varint(copy.y).varint(copy.width).varint(copy.height).varint(copy.toX).varint(copy.toY);
  }
}

function writeCached(writer: Writer, update: Update): void {
  writer.varint(update.cached.length);
  let next = 0;
  update.cached.forEach((tile, index) => {
    writer.varint(tile - next).u64s(update.cachedHashes.subarray(index * 2, index * 2 + 2));
    next = tile + 1;
  });
}

function writeRuns(writer: Writer, whole: Uint32Array): void {
  const runs = runsOf(whole);
  writer.varint(runs.length);
  let next = 0;
  for (const [start, length] of runs) {
    writer.varint(start - next).varint(length);
    next = start + length;
  }
}

function writeParts(writer: Writer, update: Update): void {
  writer.varint(update.parts.length);
  const grid = new Grid(update.width, update.height);
  for (const { tile, x, y, width, height } of update.parts) {
    writer.varint(grid.x(tile) + x).varint(grid.y(tile) + y).varint(width).varint(height);
  }
}

function runsOf(tiles: Uint32Array): [number, number][] {
  const runs: [number, number][] = [];
  for (const tile of tiles) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === tile) last[1]++;
    else runs.push([tile, 1]);
  }
  return runs;
}
