// A payload read from the front, and the zstd frames in it. docs/codec.md is the format.

import { ZSTDDecoder } from "zstddec";

/** A payload that is not the pixels of the tiles that it was said to hold. */
export class CodecError extends Error {}

const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

let zstd: ZSTDDecoder | null = null;

/** Loads zstd; nothing can be decoded before it has resolved. */
export async function loadZstd(): Promise<void> {
  const decoder = new ZSTDDecoder();
  await decoder.init();
  zstd = decoder;
}

export class Reader {
  private at = 0;

  constructor(private readonly payload: Uint8Array) {}

  byte(): number {
    if (this.at >= this.payload.length) throw new CodecError("a tile payload ends early");
    return this.payload[this.at++]!;
  }

  /** An unsigned LEB128 number of at most five bytes; more than `limit` is an error. */
  varint(limit: number, what: string): number {
    let value = 0;
    for (let weight = 1; weight < 2 ** 35; weight *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * weight;
      if (byte >= 0x80) continue;
      if (value > limit) throw new CodecError(`in a tile payload ${what} is ${value}, but at most ${limit} is possible`);
      return value;
    }
    throw new CodecError(`in a tile payload ${what} is too long a number`);
  }

  /** A compressed part, which must unpack to exactly `size` bytes; stored as it is if its length is 0. */
  part(size: number): Uint8Array {
    // zstd never needs more than this (its own ZSTD_COMPRESSBOUND).
    const bound = size + (size >>> 8) + (size < 131072 ? (131072 - size) >>> 11 : 0);
    const length = this.varint(bound, "the length of a compressed part");
    if ((length || size) > this.payload.length - this.at) throw new CodecError("a tile payload ends early");
    if (length === 0) return this.payload.subarray(this.at, (this.at += size));
    const frame = new Uint8Array(length + 4);
    frame.set(ZSTD_MAGIC);
    frame.set(this.payload.subarray(this.at, this.at + length), 4);
    this.at += length;
    if (zstd === null) throw new Error("the codec is not loaded yet: await loadZstd first");
    const part = zstd.decode(frame, size);
    if (part.length !== size) throw new CodecError(`a compressed part of a tile payload is damaged or not ${size} bytes`);
    return part;
  }

  /** All bytes that are left. */
  rest(): Uint8Array {
    const rest = this.payload.subarray(this.at);
    this.at = this.payload.length;
    return rest;
  }

  end(): void {
    const rest = this.payload.length - this.at;
    if (rest > 0) throw new CodecError(`${rest} bytes are left over after a tile payload`);
  }
}
