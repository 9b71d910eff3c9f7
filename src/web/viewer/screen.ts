// What one link's updates make of the screen: epochs, order, cache and proof. Pure: no clock, no canvas.
// docs/protocol.md, "Update stream" and "Cache and proof".

import { ProtocolError } from "../wire/bytes.ts";
import type { Beginning, ContextModel } from "../codec/context.ts";
import type { Policy, ScreenHashes } from "../wire/control.ts";
import { MAX_MODELS } from "../wire/limits.ts";
import { type Copy, Grid, type Rect, type TilePart, type Update, type VideoFrameHead, decodeUpdate } from "../wire/update.ts";
import { TileCache } from "./cache.ts";
import { Damage } from "./damage.ts";
import { UpdateOrder } from "./order.ts";
import { rootOf } from "./proof.ts";
import { type OpenDecoder, Painted, type Picture, Videos, intersection } from "./videos.ts";

/** Hands over one tile's pixels: the tile's place in the list asked for, its rectangle, its pixels as R, G, B, A bytes. */
export type TileSink = (index: number, x: number, y: number, width: number, height: number, rgba: Uint32Array) => void;

export interface Codec {
  decode(
    payload: Uint8Array,
    grid: { width: number; height: number },
    tiles: Uint32Array,
    sink: TileSink,
    parts?: readonly TilePart[],
    beginning?: Beginning | null,
  ): void;
  /** What was learnt of the last payload, if all of it was context-coded. */
  learnt(): ContextModel | null;
  tileHash(keyLow: number, keyHigh: number, pixels: Uint32Array, width: number, height: number): [number, number];
}

/** An update that has been applied, or passed over because a newer epoch has begun. */
export interface Applied {
  number: number;
  /** Tiles that the cache should have had and had not. */
  missing: number[];
  capturedMicros: number;
  /** How long a frame of video took that is now shown; null for all other updates. */
  videoMicros: number | null;
}

/** Hears what comes about later than the call that caused it: video is decoded meanwhile. */
export interface ScreenListener {
  appliedLater(applied: Applied[]): void;
  videoFailed(video: number): void;
  /** What came is against the protocol: the link is to be closed. */
  broken(error: unknown): void;
}

const DEAF: ScreenListener = { appliedLater: () => undefined, videoFailed: () => undefined, broken: () => undefined };
const BLACK = 0xff00_0000;
/** Replaced tiles that wait to be hashed for the cache; beyond it they are hashed at once. */
const MAX_REPLACED_BYTES = 8 << 20;

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
  private painted = new Painted(this.grid);
  private readonly videos: Videos;
  private isClosed = false;
  private listener = DEAF;
  private policy: Policy = "balanced";
  private promised = false;
  private hashes = new Uint32Array(0);
  private hashKnown = new Uint8Array(0);
  private unhashed = 0;
  private nextUnhashed = 0;
  private replaced: Replaced[] = [];
  private replacedBytes = 0;
  private missingTiles = new Set<number>();
  private readonly order = new UpdateOrder();
  /** What was learnt of updates that later ones may go on from. */
  private readonly models = new Map<number, ContextModel>();
  /** The highest that was told: nothing below is gone on from, even if it comes later. */
  private oldestModel = 0;
  /** The newest update that was taken, and what it said of the screen after it. */
  private told: { number: number; root: number | null } = { number: 0, root: null };

  constructor(
    readonly key: bigint,
    readonly cache: TileCache,
    private readonly codec: Codec,
    private readonly openDecoder: OpenDecoder | null = null,
  ) {
    this.videos = new Videos(openDecoder, (video) => this.listener.videoFailed(video));
  }

  listen(listener: ScreenListener): void {
    this.listener = listener;
  }

  /** What the session promises: under exact-only a frame of video breaks the link, and none is painted any more. */
  /** `fromTheBeginning`: the link began with this promise, and a frame of video breaks it; frames on the way do not. */
  setPolicy(policy: Policy, fromTheBeginning: boolean): void {
    this.policy = policy;
    this.promised = policy === "exact-only" && (fromTheBeginning || this.promised);
  }

  /** The link has gone: nothing more is decoded. What is shown stays. */
  close(): void {
    this.isClosed = true;
    this.listener = DEAF;
    this.videos.clear();
  }

  /** A new link's screen that starts from what this one shows. Its hashes are all known. */
  resumed(): ViewerScreen {
    this.hashAll();
    const copy = new ViewerScreen(this.key, this.cache, this.codec, this.openDecoder);
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
    return this.order.newest;
  }

  private begin(width: number, height: number): void {
    this.grid = new Grid(width, height);
    this.framebuffer = new Uint32Array(width * height).fill(BLACK);
    this.damage = new Damage(this.grid);
    this.damage.addAll();
    this.lastWriter = new Float64Array(this.grid.length);
    this.painted = new Painted(this.grid);
    this.videos.clear();
    this.hashes = new Uint32Array(this.grid.length * 2);
    this.hashKnown = new Uint8Array(this.grid.length);
    this.unhashed = this.grid.length;
    this.nextUnhashed = 0;
    this.missingTiles.clear();
  }

  /** Takes an update stream's bytes; gives every update that could be applied because of it. */
  receive(bytes: Uint8Array): Applied[] {
    const { width, height } = this.grid;
    const update = decodeUpdate(bytes, this.hasPicture ? { epoch: this.epoch, width, height } : null);
    // Its Dropped, on the control stream, overtook it: the session no longer counts on it.
    if (this.order.isSettled(update.number)) return [];
    this.order.add(update);
    const applied = this.applyReady();
    this.order.checkLimits();
    return applied;
  }

  /** An update will not come: what waited for it may go on. */
  dropped(number: number): Applied[] {
    if (this.order.isSettled(number)) return [];
    this.order.drop(number);
    return this.applyReady();
  }

  private isReady(update: Update): boolean {
    if (update.video === null || update.epoch < this.epoch || this.videos.isReady(update.video)) return true;
    // Its video's earlier frames had lower numbers: those that have not come by now were dropped.
    return this.order.isOldest(update);
  }

  private applyReady(): Applied[] {
    const applied: Applied[] = [];
    for (;;) {
      const update = this.order.next((each) => this.isReady(each));
      if (update === null) return applied;
      const now = this.apply(update);
      if (now !== null) applied.push(now);
    }
  }

  /** Null: it will be applied later, when it has been decoded. */
  private apply(update: Update): Applied | null {
    const missing: number[] = [];
    if (this.enterEpoch(update)) {
      if (update.video !== null) return this.applyVideo(update, update.video);
      for (const copy of update.copies) this.copy(copy, update.number);
      if (update.keep) this.keepReplaced(update);
      update.cached.forEach((tile, index) => {
        const low = update.cachedHashes[index * 2] as number;
        const high = update.cachedHashes[index * 2 + 1] as number;
        if (!this.writeCached(update.number, tile, low, high)) missing.push(tile);
      });
      this.writePayload(update);
    }
    return this.finish(update, missing, null);
  }

  private finish(update: Update, missing: number[], videoMicros: number | null): Applied {
    this.order.settle(update.number, update.complete, update.caughtUp);
    if (update.number > this.told.number) {
      this.told = { number: update.number, root: update.short && update.complete ? update.root : null };
    }
    return { number: update.number, missing, capturedMicros: update.capturedMicros, videoMicros };
  }

  private applyVideo(update: Update, frame: VideoFrameHead): Applied | null {
    if (this.promised) {
      throw new ProtocolError("a frame of video came, though the session promised never to send a lossy pixel");
    }
    if (this.policy === "exact-only") return this.finish(update, [], null);
    const picture = this.videos.decode(frame, update.payload);
    if (picture === null) return this.finish(update, [], null);
    this.order.begin(update);
    void picture.then((decoded) => this.afterDecoding(update, frame, decoded));
    return null;
  }

  private afterDecoding(update: Update, frame: VideoFrameHead, picture: Picture | null): void {
    this.order.finish(update);
    // It may have been dropped meanwhile.
    if (this.isClosed || this.order.isSettled(update.number)) return;
    const wanted = update.epoch === this.epoch && this.policy !== "exact-only";
    if (picture !== null && wanted) this.paint(update, frame, picture);
    const applied = [this.finish(update, [], picture?.decodeMicros ?? null)];
    try {
      applied.push(...this.applyReady());
    } catch (error) {
      return this.listener.broken(error);
    }
    this.listener.appliedLater(applied);
  }

  /** Paints a frame on its tiles, but for those that have become newer. */
  private paint(update: Update, rect: Rect, picture: Picture): void {
    for (const tile of update.tiles) {
      const newer = Math.max(this.lastWriter[tile] as number, this.painted.writer(tile)) > update.number;
      const part = intersection(this.grid.rect(tile), rect);
      if (newer || part === null) continue;
      for (let row = part.y; row < part.y + part.height; row++) {
        const from = (row - rect.y) * rect.width + part.x - rect.x;
        this.framebuffer.set(picture.rgba.subarray(from, from + part.width), row * this.grid.width + part.x);
      }
      this.forgetHash(tile);
      this.painted.note(tile, update.number, rect);
      this.damage.add(tile);
    }
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
    this.forgetHash(tile);
    this.lastWriter[tile] = number;
    this.missingTiles.delete(tile);
    this.nextUnhashed = Math.min(this.nextUnhashed, tile);
    this.damage.add(tile);
    return true;
  }

  private forgetHash(tile: number): void {
    if (this.hashKnown[tile] === 0) return;
    this.hashKnown[tile] = 0;
    this.unhashed++;
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
    if (this.writeTile(tile, number, pixels)) this.setHash(tile, low, high);
    return true;
  }

  private writePayload(update: Update): void {
    if (update.tiles.length === 0) return;
    try {
      this.codec.decode(update.payload, this.grid, update.tiles, (index, x, y, width, height, rgba) => {
        const tile = update.tiles[index] as number;
        if (this.touch(tile, update.number)) this.writeRect(tile, { x, y, width, height }, update.number, rgba);
      }, update.parts, this.beginning(update));
      this.learn(update);
    } catch (error) {
      throw new ProtocolError(`the tiles of update ${update.number} cannot be decoded: ${String(error)}`);
    }
  }

  private beginning({ live }: Update): Beginning | null {
    if (live === null) return null;
    const base = live.base === 0 ? null : this.models.get(live.base);
    if (base === undefined) throw new ProtocolError(`it goes on from update ${live.base}, of which nothing is kept`);
    return { base };
  }

  private learn({ number, live }: Update): void {
    if (live === null) return;
    this.oldestModel = Math.max(this.oldestModel, live.oldest);
    for (const kept of [...this.models.keys()]) if (kept < this.oldestModel) this.models.delete(kept);
    const model = live.kept && number >= this.oldestModel ? this.codec.learnt() : null;
    if (model !== null) this.models.set(number, model);
    if (this.models.size > MAX_MODELS) throw new ProtocolError(`${this.models.size} models are to be kept`);
  }

  /** Writes a tile, but for what a newer frame of video has painted; whether that was all of it. */
  private writeTile(tile: number, number: number, pixels: Uint32Array): boolean {
    return this.writeRect(tile, this.grid.rect(tile), number, pixels);
  }

  /** The same for a part of the tile. */
  private writeRect(tile: number, rect: Rect, number: number, pixels: Uint32Array): boolean {
    const video = this.painted.newerThan(tile, number);
    const kept = video === null ? null : intersection(rect, video);
    let to = rect.y * this.grid.width + rect.x;
    for (let row = 0; row < rect.height; row++, to += this.grid.width) {
      const from = row * rect.width;
      if (kept === null || rect.y + row < kept.y || rect.y + row >= kept.y + kept.height) {
        this.framebuffer.set(pixels.subarray(from, from + rect.width), to);
        continue;
      }
      const left = kept.x - rect.x;
      const right = left + kept.width;
      this.framebuffer.set(pixels.subarray(from, from + left), to);
      this.framebuffer.set(pixels.subarray(from + right, from + rect.width), to + right);
    }
    return kept === null;
  }

  private setHash(tile: number, low: number, high: number): void {
    this.hashes[tile * 2] = low;
    this.hashes[tile * 2 + 1] = high;
    if (this.hashKnown[tile] === 0) this.unhashed--;
    this.hashKnown[tile] = 1;
  }

  /** Works out the hashes of at most `count` tiles; true when all are known but for those under video. */
  hashSome(count: number): boolean {
    let left = count - this.cacheReplaced(count);
    for (; left > 0 && this.unhashed > 0 && this.nextUnhashed < this.grid.length; this.nextUnhashed++) {
      const tile = this.nextUnhashed;
      if (this.hashKnown[tile] !== 0 || this.isUnderVideo(tile)) continue;
      this.hash(tile);
      left--;
    }
    return (this.unhashed === 0 || this.nextUnhashed === this.grid.length) && this.replaced.length === 0;
  }

  /** Its pixels are lossy, and will be others soon. */
  private isUnderVideo(tile: number): boolean {
    return this.painted.newerThan(tile, this.lastWriter[tile] as number) !== null;
  }

  private hash(tile: number): void {
    const [low, high] = this.hashOf(this.pixelsOf(tile), this.grid.tileWidth(tile), this.grid.tileHeight(tile));
    this.setHash(tile, low, high);
  }

  private hashAll(): void {
    this.cacheReplaced(Infinity);
    for (let tile = 0; this.unhashed > 0 && tile < this.grid.length; tile++) if (this.hashKnown[tile] === 0) this.hash(tile);
  }

  private hashOf(pixels: Uint32Array, width: number, height: number): [number, number] {
    return this.codec.tileHash(Number(this.key & 0xffff_ffffn), Number(this.key >> 32n), pixels, width, height);
  }

  /** All that the session has is there, but for what is shown as video. */
  get isCaughtUp(): boolean {
    return this.missingTiles.size === 0 && this.order.isCaughtUp;
  }

  /** The update up to which the screen is whole: nothing outstanding, nothing missing. Null while it is not. */
  get wholeUpTo(): number | null {
    return this.missingTiles.size === 0 ? this.order.completeUpTo : null;
  }

  /** Whether the session said of this update that the screen folds to this root. */
  wasTold(update: number, root: bigint): boolean {
    return this.told.number === update && this.told.root === Number(root & 0xffff_ffffn);
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
