// Interface tiles: indices into one palette; repeated rows and rows of one colour are only flagged.

import { CodecError, type Reader } from "./reader.ts";
import { type Placed, TILE, type TileSink } from "./tile.ts";

const MAX_COLOURS = 8192;
const OPAQUE = 0xff000000;

const misfit = () => new CodecError("the colour indices of a tile payload do not fit its tiles");

export class InterfaceDecoder {
  private readonly pixels = new Uint32Array(TILE * TILE);
  private readonly palette = new Uint32Array(MAX_COLOURS);
  private codes: Uint8Array = new Uint8Array(0);
  private next = 0;
  private direct = 256;
  private colours = 0;

  decode(reader: Reader, tiles: readonly Placed[], sink: TileSink): void {
    let area = 0;
    let flagBytes = 0;
    for (const tile of tiles) {
      area += tile.width * tile.height;
      flagBytes += (tile.height + 3) >>> 2;
    }
    this.colours = reader.varint(Math.min(MAX_COLOURS, area), "the number of colours");
    if (this.colours === 1) {
      this.pixels.fill(OPAQUE | reader.byte() | (reader.byte() << 8) | (reader.byte() << 16));
      for (const { index, x, y, width, height } of tiles) {
        sink(index, x, y, width, height, this.pixels.subarray(0, width * height));
      }
      return;
    }
    const codeBytes = reader.varint(area * 2, "the number of colour indices");
    const part = reader.part(this.colours * 3 + flagBytes + codeBytes);
    this.readPalette(part);
    this.direct = this.colours <= 256 ? 256 : 256 - Math.ceil((this.colours - 256) / 255);
    let flags = this.colours * 3;
    this.codes = part.subarray(flags + flagBytes);
    this.next = 0;
    for (const tile of tiles) {
      this.tile(tile, part, flags);
      flags += (tile.height + 3) >>> 2;
      sink(tile.index, tile.x, tile.y, tile.width, tile.height, this.pixels.subarray(0, tile.width * tile.height));
    }
    if (this.next !== this.codes.length) throw misfit();
  }

  private readPalette(part: Uint8Array): void {
    const { colours, palette } = this;
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let at = 0; at < colours; at++) {
      red = (red + part[at]!) & 0xff;
      green = (green + part[colours + at]!) & 0xff;
      blue = (blue + part[colours * 2 + at]!) & 0xff;
      palette[at] = OPAQUE | (blue << 16) | (green << 8) | red;
    }
    if (colours < 256) palette.fill(OPAQUE, colours, 256);
  }

  private tile({ width, height }: Placed, part: Uint8Array, flags: number): void {
    const { pixels } = this;
    let y = 0;
    while (y < height) {
      const kind = (part[flags + (y >>> 2)]! >>> ((y & 3) * 2)) & 3;
      if (kind === 0 && y > 0) {
        pixels.copyWithin(y * width, (y - 1) * width, y * width);
        y++;
      } else if (kind === 1) {
        pixels.fill(this.colour(), y * width, (y + 1) * width);
        y++;
      } else if (kind === 2) {
        let end = y + 1;
        while (end < height && ((part[flags + (end >>> 2)]! >>> ((end & 3) * 2)) & 3) === 2) end++;
        this.strip(y * width, end * width, width);
        y = end;
      } else throw misfit();
    }
  }

  private colour(): number {
    const code = this.codes[this.next++];
    if (code === undefined) throw misfit();
    return code < this.direct ? this.palette[code]! : this.rare(code);
  }

  /** The colour of a code of two bytes, whose first has been read. */
  private rare(code: number): number {
    const second = this.codes[this.next++];
    const place = this.direct + (code - this.direct) * 256 + (second ?? 0);
    if (second === undefined || place >= this.colours) throw misfit();
    return this.palette[place]!;
  }

  /** Reads whole rows, column by column, into the pixels from `start` to `end`. */
  private strip(start: number, end: number, width: number): void {
    const { pixels, palette, codes, direct } = this;
    if (direct === 256) {
      let next = this.next;
      if (codes.length - next < end - start) throw misfit();
      for (let column = start; column < start + width; column++) {
        for (let at = column; at < end; at += width) pixels[at] = palette[codes[next++]!]!;
      }
      this.next = next;
      return;
    }
    let next = this.next;
    for (let column = start; column < start + width; column++) {
      for (let at = column; at < end; at += width) {
        const code = codes[next++];
        if (code === undefined) throw misfit();
        if (code < direct) {
          pixels[at] = palette[code]!;
        } else {
          this.next = next;
          pixels[at] = this.rare(code);
          next++;
        }
      }
    }
    this.next = next;
  }
}
