// Small interface content: each pixel is guessed from those around it. docs/codec.md is the format.

import { CodecError, type Reader } from "./reader.ts";
import { type Placed, TILE, type TileSink } from "./tile.ts";

const MOST_PIXELS = 8192;
const MOST_LIVE_PIXELS = 12_288;
const MOST_COLOURS = 255;
/** What stands above the first row: no colour. */
const OUTSIDE = 1 << 24;
const SLOT_BITS = 12;
const SUREST = 15;
const SURE = 65536 - 64;
const SLOWEST = 30;

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
    const sure = this.sure[at]!;
    if (sure === 0 || this.surroundings[at] !== surrounding) {
      this.surroundings[at] = surrounding;
      this.colours[at] = colour;
      this.sure[at] = 1;
    } else if (this.colours[at] === colour) {
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
  const product = Math.imul(surrounding ^ colour, 0x9e3779b1);
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
  private readonly pixels = new Uint32Array(TILE * TILE);
  private readonly shown = new Uint32Array(TILE * TILE);
  private readonly wide = new Slots();
  private readonly narrow = new Slots();
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
    ...[this.wideHits, this.narrowHits, this.isNew, this.isGrey],
    ...[this.ranks, this.green, this.red, this.blue],
  ];
  private readonly tables = [
    ...[this.wide, this.narrow].flatMap((slots) => [slots.surroundings, slots.colours, slots.sure]),
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
    for (const { index, x, y, width, height } of tiles) {
      this.rect(width, height);
      sink(index, x, y, width, height, this.shown.subarray(0, width * height));
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
      for (const slots of [this.wide, this.narrow]) slots.start();
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

  private rect(width: number, height: number): void {
    const { pixels, shown } = this;
    for (let start = 0; start < width * height; start += width) {
      for (let x = 0; x < width; x++) {
        const at = start + x;
        const north = start > 0 ? pixels[at - width]! : OUTSIDE;
        const west = x > 0 ? pixels[at - 1]! : north;
        const northWest = x > 0 && start > 0 ? pixels[at - width - 1]! : north;
        const northEast = x + 1 < width && start > 0 ? pixels[at - width + 1]! : north;
        const westWest = x > 1 ? pixels[at - 2]! : west;
        const northNorth = start > width ? pixels[at - 2 * width]! : OUTSIDE;
        const narrow = mixed(mixed(0, west), north);
        const wide = mixed(mixed(mixed(mixed(narrow, northEast), northWest), westWest), northNorth);
        const pixel = this.pixel(wide, narrow);
        this.wide.learn(wide, pixel);
        this.narrow.learn(narrow, pixel);
        pixels[at] = pixel;
        shown[at] = 0xff000000 | ((pixel & 0xff) << 16) | (pixel & 0xff00) | (pixel >>> 16);
      }
    }
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
