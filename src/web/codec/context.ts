// Small interface content: each pixel is guessed from those around it. docs/codec.md is the format.

import { CodecError, type Reader } from "./reader.ts";
import { FAR_CONTEXT, type Placed, TILE, type TileSink } from "./tile.ts";

const MOST_PIXELS = 8192;
const MOST_LIVE_PIXELS = 12_288;
const MOST_COLOURS = 255;
/** What stands outside: no colour. */
const OUTSIDE = 1 << 24;
/** Columns on either side and rows above that stand outside. */
const MARGIN = 3;
/** Multiplies what is mixed into a surrounding. */
const MIXER = 0x9e3779b1;
/** How the next guess stands to one: there is none; the same, or another, each hardly sure, rather, or very. */
const RELATIONS = 7;
const SLOT_BITS = 12;
const SUREST = 15;
const SURE = 65536 - 64;
const SLOWEST = 30;

/** Powers of the mixer, from the first on. */
const POWERS = new Int32Array(10);
for (let at = 0, power = 1; at < POWERS.length; at++) POWERS[at] = power = Math.imul(power, MIXER);

const misfit = () => new CodecError("a context-coded part of a tile payload is damaged");

/** How likely each of some decisions is to be yes, learnt from those before. */
class Chances {
  readonly yes: Uint16Array;
  readonly seen: Uint8Array;

  constructor(length: number) {
    this.yes = new Uint16Array(length);
    this.seen = new Uint8Array(length);
  }

  start(): void {
    this.yes.fill(1 << 15);
    this.seen.fill(0);
  }
}

/** What followed each surrounding when it was last seen. */
class Slots {
  readonly surroundings = new Uint32Array(1 << SLOT_BITS);
  readonly colours = new Uint32Array(1 << SLOT_BITS);
  /** 0: never used; otherwise one more than how sure the guess is. */
  readonly sure = new Uint8Array(1 << SLOT_BITS);

  start(): void {
    this.sure.fill(0);
  }

  /** How sure the guess is; -1 if there is none. */
  sureness(surrounding: number): number {
    const at = surrounding >>> (32 - SLOT_BITS);
    return this.surroundings[at] === surrounding ? this.sure[at]! - 1 : -1;
  }

  guess(surrounding: number): number {
    return this.colours[surrounding >>> (32 - SLOT_BITS)]!;
  }

  learn(surrounding: number, colour: number): void {
    const at = surrounding >>> (32 - SLOT_BITS);
    if (this.isOf(at, surrounding)) this.learnAt(at, colour);
    else this.put(at, surrounding, colour, 1);
  }

  /** Where a surrounding stands that may also be in the other slot of its pair; -1 if it does not. */
  placeInPair(surrounding: number): number {
    const at = surrounding >>> (32 - SLOT_BITS);
    return this.isOf(at, surrounding) ? at : this.isOf(at ^ 1, surrounding) ? at ^ 1 : -1;
  }

  /** A new surrounding takes the place of the less sure of its pair. */
  learnInPair(surrounding: number, colour: number): void {
    const at = surrounding >>> (32 - SLOT_BITS);
    const other = at ^ 1;
    if (this.isOf(at, surrounding)) return this.learnAt(at, colour);
    const isInOther = this.isOf(other, surrounding);
    const [found, known, sure] = [this.surroundings[other]!, this.colours[other]!, this.sure[other]!];
    if (isInOther || this.sure[at]! >= sure) this.put(other, this.surroundings[at]!, this.colours[at]!, this.sure[at]!);
    this.put(at, isInOther ? found : surrounding, isInOther ? known : colour, isInOther ? sure : 1);
    if (isInOther) this.learnAt(at, colour);
  }

  private isOf(at: number, surrounding: number): boolean {
    return this.sure[at]! > 0 && this.surroundings[at] === surrounding;
  }

  private put(at: number, surrounding: number, colour: number, sure: number): void {
    this.surroundings[at] = surrounding;
    this.colours[at] = colour;
    this.sure[at] = sure;
  }

  private learnAt(at: number, colour: number): void {
    const sure = this.sure[at]!;
    if (this.colours[at] === colour) {
      this.sure[at] = Math.min(sure + 1, SUREST + 1);
    } else if (sure > 2) {
      this.sure[at] = ((sure - 1) >>> 1) + 1;
    } else {
      this.colours[at] = colour;
      this.sure[at] = 1;
    }
  }
}

function mixed(surrounding: number, colour: number): number {
  const product = Math.imul(surrounding ^ colour, MIXER);
  return (product ^ (product >>> 15)) >>> 0;
}

/** What was learnt up to the end of a payload. */
export interface ContextModel {
  readonly tables: readonly (Uint8Array | Uint16Array | Uint32Array)[];
  readonly colours: readonly number[];
  readonly wasNew: number;
}

/** What a payload's model begins with, if another one may go on from what it learns; null: nothing. */
export interface Beginning {
  readonly base: ContextModel | null;
}

export class ContextDecoder {
  /** An area and its margins. */
  private pixels = new Uint32Array(0);
  private readonly shown = new Uint32Array(TILE * TILE);
  private readonly wide = new Slots();
  private readonly narrow = new Slots();
  private readonly far = new Slots();
  /** By sixteen neighbours, by six and by two. */
  private readonly levels = [this.far, this.wide, this.narrow];
  private readonly surroundings = new Uint32Array(3);
  /** Where each of the three guesses stands; -1 if there is none. */
  private readonly places = new Int32Array(3);
  /** Of each of the three, how many were tried before it, how the next one stands to it, and how sure it is. */
  private readonly hits = new Chances(3 * 3 * RELATIONS * 16);
  private readonly wideHits = new Chances(16);
  /** Of the narrow guess: when there was no wide one, and 16 further when that failed. */
  private readonly narrowHits = new Chances(32);
  private readonly isNew = new Chances(2);
  private readonly isGrey = new Chances(1);
  private readonly ranks = new Chances(256);
  private readonly green = new Chances(256);
  private readonly red = new Chances(256);
  private readonly blue = new Chances(256);
  private readonly all = [
    ...[this.hits, this.wideHits, this.narrowHits, this.isNew, this.isGrey],
    ...[this.ranks, this.green, this.red, this.blue],
  ];
  private readonly tables = [
    ...this.levels.flatMap((slots) => [slots.surroundings, slots.colours, slots.sure]),
    ...this.all.flatMap((chances) => [chances.yes, chances.seen]),
  ];
  private colours: number[] = [];
  private forgets = false;
  private wasNew = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private next = 0;
  private low = 0;
  private high = 0xffffffff;
  private word = 0;

  /** The section is all that is left of the payload. */
  decode(reader: Reader, tiles: readonly Placed[], beginning: Beginning | null, sink: TileSink): void {
    const area = tiles.reduce((sum, { width, height }) => sum + width * height, 0);
    const most = beginning === null ? MOST_PIXELS : MOST_LIVE_PIXELS;
    if (area > most) throw new CodecError(`${area} context-coded pixels are more than ${most}`);
    this.start(beginning);
    this.bytes = reader.rest();
    this.next = 0;
    this.low = 0;
    this.high = 0xffffffff;
    for (let byte = 0; byte < 4; byte++) this.nextByte();
    for (let first = 0; first < tiles.length; ) {
      let width = 0;
      let after = first;
      do width += tiles[after++]!.width;
      while (joins(tiles[after - 1]!, tiles[after]));
      this.area(width, tiles[first]!.height, tiles[first]!.kind === FAR_CONTEXT);
      for (let left = 0; first < after; left += tiles[first++]!.width) this.show(tiles[first]!, left, width, sink);
    }
    // Four bytes are read ahead, and one is written at the end.
    if (this.next !== this.bytes.length + 3) throw misfit();
  }

  private start(beginning: Beginning | null): void {
    const base = beginning?.base ?? null;
    this.forgets = beginning !== null;
    this.colours = base === null ? [] : [...base.colours];
    this.wasNew = base?.wasNew ?? 0;
    if (base === null) {
      for (const slots of this.levels) slots.start();
      for (const chances of this.all) chances.start();
    } else {
      this.tables.forEach((table, index) => table.set(base.tables[index]!));
    }
  }

  /** A copy of what was learnt up to the end of the last section. */
  learnt(): ContextModel {
    return { tables: this.tables.map((table) => table.slice()), colours: [...this.colours], wasNew: this.wasNew };
  }

  private nextByte(): void {
    this.word = ((this.word << 8) | (this.bytes[this.next++] ?? 0)) >>> 0;
  }

  private decision(chances: Chances, at: number): boolean {
    const range = this.high - this.low;
    const now = chances.yes[at]!;
    const likely = Math.min(Math.max(now, 65536 - SURE), SURE);
    const cut = this.low + (range >>> 16) * likely + (((range & 0xffff) * likely) >>> 16);
    const yes = this.word <= cut;
    if (yes) this.high = cut;
    else this.low = cut + 1;
    const seen = chances.seen[at]!;
    chances.yes[at] = now + Math.trunc((((yes ? 65535 : 0) - now) * 2) / (2 * seen + 3));
    if (seen < SLOWEST) chances.seen[at] = seen + 1;
    while ((this.low ^ this.high) >>> 24 === 0) {
      this.low = (this.low << 8) >>> 0;
      this.high = ((this.high << 8) | 0xff) >>> 0;
      this.nextByte();
    }
    return yes;
  }

  private byte(chances: Chances): number {
    let node = 1;
    while (node < 256) node = (node << 1) | (this.decision(chances, node) ? 1 : 0);
    return node & 0xff;
  }

  /** Reads the pixels of an area, row by row. */
  private area(width: number, height: number, isFar: boolean): void {
    const stride = width + 2 * MARGIN;
    const length = stride * (height + MARGIN);
    if (this.pixels.length < length) this.pixels = new Uint32Array(length);
    this.pixels.fill(OUTSIDE, 0, length);
    for (let y = 0; y < height; y++) {
      const start = (y + MARGIN) * stride + MARGIN;
      for (let x = 0; x < width; x++) {
        this.pixels[start + x] = isFar ? this.farPixel(start + x, stride) : this.nearPixel(start + x, stride, x, y, width);
      }
    }
  }

  /** Gives away a tile of an area that is `width` pixels wide. */
  private show(tile: Placed, left: number, width: number, sink: TileSink): void {
    const stride = width + 2 * MARGIN;
    const { shown, pixels } = this;
    let at = 0;
    for (let y = 0; y < tile.height; y++) {
      const start = (y + MARGIN) * stride + MARGIN + left;
      for (let x = 0; x < tile.width; x++) {
        const pixel = pixels[start + x]!;
        shown[at++] = 0xff000000 | ((pixel & 0xff) << 16) | (pixel & 0xff00) | (pixel >>> 16);
      }
    }
    sink(tile.index, tile.x, tile.y, tile.width, tile.height, shown.subarray(0, at));
  }

  /** Of six neighbours; where there is none, one nearby takes its place. */
  private nearPixel(at: number, stride: number, x: number, y: number, width: number): number {
    const { pixels } = this;
    const north = pixels[at - stride]!;
    const west = x > 0 ? pixels[at - 1]! : north;
    const northWest = x > 0 && y > 0 ? pixels[at - stride - 1]! : north;
    const northEast = x + 1 < width && y > 0 ? pixels[at - stride + 1]! : north;
    const westWest = x > 1 ? pixels[at - 2]! : west;
    const narrow = mixed(mixed(0, west), north);
    const wide = mixed(mixed(mixed(mixed(narrow, northEast), northWest), westWest), pixels[at - 2 * stride]!);
    const pixel = this.pixel(wide, narrow);
    this.wide.learn(wide, pixel);
    this.narrow.learn(narrow, pixel);
    return pixel;
  }

  /** Of sixteen neighbours, six and two. */
  private farPixel(at: number, stride: number): number {
    const { pixels, surroundings, places, levels } = this;
    const first = at - stride;
    const second = first - stride;
    const narrow = mixed(mixed(0, pixels[at - 1]!), pixels[first]!);
    const wide = mixed(mixed(mixed(mixed(narrow, pixels[first + 1]!), pixels[first - 1]!), pixels[at - 2]!), pixels[second]!);
    const sum =
      Math.imul(pixels[at - 3]!, POWERS[0]!) +
      Math.imul(pixels[first - 2]!, POWERS[1]!) +
      Math.imul(pixels[first + 2]!, POWERS[2]!) +
      Math.imul(pixels[second + 1]!, POWERS[3]!) +
      Math.imul(pixels[second - 1]!, POWERS[4]!) +
      Math.imul(pixels[second - stride]!, POWERS[5]!) +
      Math.imul(pixels[first + 3]!, POWERS[6]!) +
      Math.imul(pixels[first - 3]!, POWERS[7]!) +
      Math.imul(pixels[second + 2]!, POWERS[8]!) +
      Math.imul(pixels[second - 2]!, POWERS[9]!);
    surroundings[0] = mixed(wide, sum);
    surroundings[1] = wide;
    surroundings[2] = narrow;
    for (let level = 0; level < 3; level++) places[level] = levels[level]!.placeInPair(surroundings[level]!);
    const pixel = this.guessed() ?? this.colour();
    // Where the many neighbours knew, the fewer need not learn what is particular to them.
    let right = 0;
    while (right < 3 && (places[right]! < 0 || levels[right]!.colours[places[right]!] !== pixel)) right++;
    for (let level = 0; level < Math.min(right + 2, 3); level++) levels[level]!.learnInPair(surroundings[level]!, pixel);
    return pixel;
  }

  /** The first guess that is right; null if none is. */
  private guessed(): number | null {
    const { levels, places } = this;
    let [tried, before, last] = [0, -1, -1];
    for (let level = 0; level < 3; level++) {
      const at = places[level]!;
      if (at < 0) continue;
      const guess = levels[level]!.colours[at]!;
      if (guess === before || guess === last) continue;
      const chance = ((level * 3 + tried) * RELATIONS + this.relation(guess, level + 1)) * 16 + levels[level]!.sure[at]! - 1;
      if (this.decision(this.hits, chance)) return guess;
      tried++;
      before = last;
      last = guess;
    }
    return null;
  }

  private relation(guess: number, level: number): number {
    const at = level < 3 ? this.places[level]! : -1;
    if (at < 0) return 0;
    const sure = this.levels[level]!.sure[at]! - 1;
    return (this.levels[level]!.colours[at] === guess ? 1 : 4) + (sure >= 3 ? 1 : 0) + (sure >= 12 ? 1 : 0);
  }

  private pixel(wide: number, narrow: number): number {
    const first = this.wide.sureness(wide);
    const tried = first >= 0 ? this.wide.guess(wide) : -1;
    if (first >= 0 && this.decision(this.wideHits, first)) return tried;
    const second = this.narrow.sureness(narrow);
    const guess = this.narrow.guess(narrow);
    const doubted = first >= 0 ? 16 : 0;
    if (second >= 0 && guess !== tried && this.decision(this.narrowHits, doubted + second)) return guess;
    return this.colour();
  }

  /** A colour that was not guessed: its rank among those seen, or itself. */
  private colour(): number {
    const { colours } = this;
    const isNew = this.decision(this.isNew, this.wasNew);
    this.wasNew = isNew ? 1 : 0;
    if (!isNew) {
      const [known] = colours.splice(this.byte(this.ranks), 1);
      if (known === undefined) throw misfit();
      colours.unshift(known);
      return known;
    }
    if (colours.length === MOST_COLOURS) {
      if (!this.forgets) throw misfit();
      colours.pop();
    }
    const isGrey = this.decision(this.isGrey, 0);
    const green = this.byte(this.green);
    const red = isGrey ? green : (this.byte(this.red) + green) & 0xff;
    const blue = isGrey ? green : (this.byte(this.blue) + green) & 0xff;
    const colour = (red << 16) | (green << 8) | blue;
    colours.unshift(colour);
    return colour;
  }
}

/** Whether a tile is coded in one area with the one before it. */
function joins(before: Placed, next: Placed | undefined): boolean {
  return next?.kind === FAR_CONTEXT && next.x === before.x + before.width && next.y === before.y && next.height === before.height;
}
