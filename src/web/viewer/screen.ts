// What one link's updates make of the screen: epochs, order, cache and proof. Pure: no clock, no canvas.
// docs/protocol.md, "Update stream" and "Cache and proof".

import { ProtocolError } from "../wire/bytes.ts";
import type { ScreenHashes } from "../wire/control.ts";
import * as limits from "../wire/limits.ts";
import { type Copy, Grid, type Update, decodeUpdate } from "../wire/update.ts";
import { TileCache } from "./cache.ts";
import { Damage } from "./damage.ts";
import { rootOf } from "./proof.ts";

/** Hands over one tile's pixels: the tile's place in the list asked for, its rectangle, its pixels as R, G, B, A bytes. */
export type TileSink = (index: number, x: number, y: number, width: number, height: number, rgba: Uint32Array) => void;

export interface Codec {
  decode(payload: Uint8Array, grid: { width: number; height: number }, tiles: Uint32Array, sink: TileSink): void;
  tileHash(keyLow: number, keyHigh: number, pixels: Uint32Array, width: number, height: number): [number, number];
}

/** An update that has been applied, or passed over because a newer epoch has begun. */
export interface Applied {
  number: number;
  /** Tiles that the cache should have had and had not. */
  missing: number[];
  capturedMicros: number;
}

const BLACK = 0xff00_0000;
/** Replaced tiles that wait to be hashed for the cache; beyond it they are hashed at once. */
const MAX_REPLACED_BYTES = 8 << 20;
/** How far ahead of the oldest one outstanding an update's number may be. */
const MAX_AHEAD = 1 << 16;

/** A tile that was replaced and goes into the cache; its hash may not be known yet. */
interface Replaced {
  width: number;
  height: number;
  pixels: Uint32Array;
  hash: [number, number] | null;
}

export class ViewerScreen {
  grid = new Grid(0, 0);
  /** One word a pixel, R in the lowest byte, row by row. */
  framebuffer = new Uint32Array(0);
  damage = new Damage(this.grid);
  private epoch = 0;
  private lastWriter = new Float64Array(0);
  private hashes = new Uint32Array(0);
  private hashKnown = new Uint8Array(0);
  private unhashed = 0;
  private nextUnhashed = 0;
  private replaced: Replaced[] = [];
  private replacedBytes = 0;
  private missingTiles = new Set<number>();
  /** Every update up to this number has been applied or dropped; of those above, these have. */
  private settledUpTo = 0;
  private readonly settledAbove = new Set<number>();
  private readonly waiting: Update[] = [];
  private waitingBytes = 0;
  private newest = 0;
  private newestIsComplete = false;

  constructor(
    readonly key: bigint,
    readonly cache: TileCache,
    private readonly codec: Codec,
  ) {}

  /** A new link's screen that starts from what this one shows. Its hashes are all known. */
  resumed(): ViewerScreen {
    this.hashAll();
    const copy = new ViewerScreen(this.key, this.cache, this.codec);
    copy.begin(this.grid.width, this.grid.height);
    copy.framebuffer.set(this.framebuffer);
    copy.hashes.set(this.hashes);
    copy.hashKnown.fill(1);
    copy.unhashed = 0;
    copy.epoch = 1;
    return copy;
  }

  get hasPicture(): boolean {
    return this.grid.length > 0;
  }

  get newestUpdate(): number {
    return this.newest;
  }

  private begin(width: number, height: number): void {
    this.grid = new Grid(width, height);
    this.framebuffer = new Uint32Array(width * height).fill(BLACK);
    this.damage = new Damage(this.grid);
    this.damage.addAll();
    this.lastWriter = new Float64Array(this.grid.length);
    this.hashes = new Uint32Array(this.grid.length * 2);
    this.hashKnown = new Uint8Array(this.grid.length);
    this.unhashed = this.grid.length;
    this.nextUnhashed = 0;
    this.missingTiles.clear();
  }

  /** Takes an update stream's bytes; gives every update that could be applied because of it. */
  receive(bytes: Uint8Array): Applied[] {
    const update = decodeUpdate(bytes);
    // Its Dropped, on the control stream, overtook it: the session no longer counts on it.
    if (this.isSettled(update.number)) return [];
    if (this.waiting.some((other) => other.number === update.number)) {
      throw new ProtocolError(`update ${update.number} came twice`);
    }
    if (update.number > this.settledUpTo + MAX_AHEAD) {
      throw new ProtocolError(`update ${update.number} came while ${this.settledUpTo + 1} is outstanding`);
    }
    this.waiting.push(update);
    this.waitingBytes += update.payload.length;
    const applied = this.applyReady();
    if (this.waiting.length > limits.MAX_WAITING_UPDATES || this.waitingBytes > limits.MAX_WAITING_BYTES) {
      throw new ProtocolError("too many updates wait for an earlier one");
    }
    return applied;
  }

  /** An update will not come: what waited for it may go on. */
  dropped(number: number): Applied[] {
    if (this.isSettled(number)) return [];
    if (number === 0 || number > this.settledUpTo + MAX_AHEAD) throw new ProtocolError(`update ${number} was dropped`);
    const held = this.waiting.findIndex((update) => update.number === number);
    if (held >= 0) this.unqueue(held);
    this.settle(number, false);
    return this.applyReady();
  }

  private unqueue(index: number): Update {
    const [update] = this.waiting.splice(index, 1) as [Update];
    this.waitingBytes -= update.payload.length;
    return update;
  }

  private applyReady(): Applied[] {
    const applied: Applied[] = [];
    for (;;) {
      const ready = this.waiting.findIndex((update) => update.after <= this.settledUpTo);
      if (ready < 0) return applied;
      applied.push(this.apply(this.unqueue(ready)));
    }
  }

  private isSettled(number: number): boolean {
    return number <= this.settledUpTo || this.settledAbove.has(number);
  }

  private settle(number: number, complete: boolean): void {
    this.settledAbove.add(number);
    while (this.settledAbove.delete(this.settledUpTo + 1)) this.settledUpTo++;
    if (number > this.newest) {
      this.newest = number;
      this.newestIsComplete = complete;
    }
  }

  private apply(update: Update): Applied {
    const missing: number[] = [];
    if (this.enterEpoch(update)) {
      for (const copy of update.copies) this.copy(copy, update.number);
      if (update.keep) this.keepReplaced(update);
      update.cached.forEach((tile, index) => {
        const low = update.cachedHashes[index * 2] as number;
        const high = update.cachedHashes[index * 2 + 1] as number;
        if (!this.writeCached(update.number, tile, low, high)) missing.push(tile);
      });
      this.writePayload(update);
    }
    this.settle(update.number, update.complete);
    return { number: update.number, missing, capturedMicros: update.capturedMicros };
  }

  /** False if the update belongs to an epoch that is over. */
  private enterEpoch(update: Update): boolean {
    if (update.epoch < this.epoch) return false;
    const sameSize = update.width === this.grid.width && update.height === this.grid.height;
    if (update.epoch > this.epoch || !sameSize) this.begin(update.width, update.height);
    this.epoch = update.epoch;
    return true;
  }

  /** Notes that a tile is about to change; false if a later update has written it already. */
  private touch(tile: number, number: number): boolean {
    if ((this.lastWriter[tile] as number) > number) return false;
    if (this.hashKnown[tile] !== 0) {
      this.hashKnown[tile] = 0;
      this.unhashed++;
    }
    this.lastWriter[tile] = number;
    this.missingTiles.delete(tile);
    this.nextUnhashed = Math.min(this.nextUnhashed, tile);
    this.damage.add(tile);
    return true;
  }

  /** What this update's tiles replace goes into the cache, in this order; hashes are worked out later. */
  private keepReplaced(update: Update): void {
    for (const tiles of [update.tiles, update.cached]) {
      for (const tile of tiles) if ((this.lastWriter[tile] as number) <= update.number) this.queueForCache(tile);
    }
    if (this.replacedBytes > MAX_REPLACED_BYTES) this.cacheReplaced(Infinity);
  }

  private queueForCache(tile: number): void {
    const pixels = this.pixelsOf(tile);
    const hash: [number, number] | null = this.hashKnown[tile] === 0
      ? null
      : [this.hashes[tile * 2] as number, this.hashes[tile * 2 + 1] as number];
    this.replaced.push({ width: this.grid.tileWidth(tile), height: this.grid.tileHeight(tile), pixels, hash });
    this.replacedBytes += pixels.byteLength;
  }

  /** Moves at most `count` replaced tiles into the cache, oldest first; gives how many. */
  private cacheReplaced(count: number): number {
    const due = this.replaced.splice(0, Math.min(count, this.replaced.length));
    for (const { width, height, pixels, hash } of due) {
      this.replacedBytes -= pixels.byteLength;
      const [low, high] = hash ?? this.hashOf(pixels, width, height);
      if (this.cache.has(low, high)) this.cache.touch(low, high);
      else this.cache.put(low, high, width, height, pixels);
    }
    return due.length;
  }

  private pixelsOf(tile: number): Uint32Array {
    const width = this.grid.tileWidth(tile);
    const height = this.grid.tileHeight(tile);
    const pixels = new Uint32Array(width * height);
    let from = this.grid.y(tile) * this.grid.width + this.grid.x(tile);
    for (let row = 0; row < height; row++, from += this.grid.width) {
      pixels.set(this.framebuffer.subarray(from, from + width), row * width);
    }
    return pixels;
  }

  private copy(copy: Copy, number: number): void {
    const { x, y, width, height, toX, toY } = copy;
    this.grid.eachIn(toX, toY, width, height, (tile) => this.touch(tile, number));
    // From below when moving down: every source row is read before it is written.
    const downwards = toY > y;
    for (let step = 0; step < height; step++) {
      const row = downwards ? height - 1 - step : step;
      const from = (y + row) * this.grid.width + x;
      this.framebuffer.copyWithin((toY + row) * this.grid.width + toX, from, from + width);
    }
  }

  private writeCached(number: number, tile: number, low: number, high: number): boolean {
    const width = this.grid.tileWidth(tile);
    const height = this.grid.tileHeight(tile);
    if (this.replaced.length > 0) this.cacheReplaced(Infinity);
    const pixels = this.cache.get(low, high, width, height);
    if (pixels === null) {
      if ((this.lastWriter[tile] as number) <= number) this.missingTiles.add(tile);
      return false;
    }
    if (!this.touch(tile, number)) return true;
    this.blit(this.grid.x(tile), this.grid.y(tile), width, height, pixels);
    this.setHash(tile, low, high);
    return true;
  }

  private writePayload(update: Update): void {
    if (update.tiles.length === 0) return;
    try {
      this.codec.decode(update.payload, this.grid, update.tiles, (index, x, y, width, height, rgba) => {
        if (this.touch(update.tiles[index] as number, update.number)) this.blit(x, y, width, height, rgba);
      });
    } catch (error) {
      throw new ProtocolError(`the tiles of update ${update.number} cannot be decoded: ${String(error)}`);
    }
  }

  private blit(x: number, y: number, width: number, height: number, pixels: Uint32Array): void {
    let to = y * this.grid.width + x;
    for (let row = 0; row < height; row++, to += this.grid.width) {
      this.framebuffer.set(pixels.subarray(row * width, (row + 1) * width), to);
    }
  }

  private setHash(tile: number, low: number, high: number): void {
    this.hashes[tile * 2] = low;
    this.hashes[tile * 2 + 1] = high;
    if (this.hashKnown[tile] === 0) this.unhashed--;
    this.hashKnown[tile] = 1;
  }

  /** Works out the hashes of at most `count` tiles; true when all are known. */
  hashSome(count: number): boolean {
    let left = count - this.cacheReplaced(count);
    for (; left > 0 && this.unhashed > 0; this.nextUnhashed++) {
      const tile = this.nextUnhashed;
      if (this.hashKnown[tile] !== 0) continue;
      const [low, high] = this.hashOf(this.pixelsOf(tile), this.grid.tileWidth(tile), this.grid.tileHeight(tile));
      this.setHash(tile, low, high);
      left--;
    }
    return this.unhashed === 0 && this.replaced.length === 0;
  }

  private hashAll(): void {
    while (!this.hashSome(1024));
  }

  private hashOf(pixels: Uint32Array, width: number, height: number): [number, number] {
    return this.codec.tileHash(Number(this.key & 0xffff_ffffn), Number(this.key >> 32n), pixels, width, height);
  }

  /** The update up to which the screen is whole: nothing outstanding, nothing missing. Null while it is not. */
  get wholeUpTo(): number | null {
    const whole = this.newest > 0 && this.newestIsComplete && this.newest === this.settledUpTo;
    return whole && this.missingTiles.size === 0 && this.waiting.length === 0 ? this.newest : null;
  }

  /** The root of all tile hashes; call it when `hashSome` has said that all are known. */
  root(): bigint {
    return rootOf(this.allHashes());
  }

  allHashes(): Uint32Array {
    this.hashAll();
    return this.hashes;
  }

  shownHashes(): ScreenHashes {
    return { key: this.key, width: this.grid.width, height: this.grid.height, hashes: this.allHashes().slice() };
  }
}
