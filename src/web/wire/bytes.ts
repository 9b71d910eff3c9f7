// The protocol's values as bytes: docs/protocol.md, "Values".

/** What a peer sent breaks the protocol. The link it came on is closed with code 1. */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
}

const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

export function utf8(text: string): Uint8Array {
  return utf8Encoder.encode(text);
}

/** The size of the varint that starts with this byte: 1, 2, 4 or 8. */
export function varintSize(firstByte: number): number {
  return 1 << (firstByte >> 6);
}

/** Reads values from bytes that are all there. Every read past the end throws ProtocolError. */
export class Reader {
  private at = 0;
  private readonly view: DataView;

  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  private take(count: number): number {
    if (count > this.left) {
      throw new ProtocolError(`a message ends ${count - this.left} bytes too early`);
    }
    const start = this.at;
    this.at += count;
    return start;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  /** A byte that may only be 0 or 1. */
  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw new ProtocolError(`a flag is ${value}, not 0 or 1`);
    return value === 1;
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), true);
  }

  /** `count` u64, each as two words: low, high. */
  /** Four bytes, the lowest first. */
  u32(): number {
    return this.view.getUint32(this.take(4), true);
  }

  u64s(count: number): Uint32Array {
    const start = this.take(count * 8);
    const words = new Uint32Array(count * 2);
    for (let index = 0; index < words.length; index++) words[index] = this.view.getUint32(start + index * 4, true);
    return words;
  }

  /** Values above 2^53 - 1 are refused: nothing in the protocol grows that far. */
  varint(): number {
    if (this.left === 0) throw new ProtocolError("a message ends before a varint");
    const first = this.bytes[this.at] as number;
    const size = varintSize(first);
    const start = this.take(size);
    if (size === 1) return first;
    if (size === 2) return this.view.getUint16(start) & 0x3fff;
    if (size === 4) return this.view.getUint32(start) & 0x3fff_ffff;
    const value = (this.view.getUint32(start) & 0x3fff_ffff) * 0x1_0000_0000 + this.view.getUint32(start + 4);
    if (value > Number.MAX_SAFE_INTEGER) throw new ProtocolError("a varint is above 2^53 - 1");
    return value;
  }

  /** A varint that may be at most `limit`; `what` names it in the error. */
  varintUpTo(limit: number, what: string): number {
    const value = this.varint();
    if (value > limit) throw new ProtocolError(`${what} is ${value}, more than ${limit}`);
    return value;
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  raw(count: number): Uint8Array {
    const start = this.take(count);
    return this.bytes.subarray(start, start + count);
  }

  bytesUpTo(limit: number, what: string): Uint8Array {
    return this.raw(this.varintUpTo(limit, `the length of ${what}`));
  }

  textUpTo(limit: number, what: string): string {
    const bytes = this.bytesUpTo(limit, what);
    try {
      return utf8Decoder.decode(bytes);
    } catch {
      throw new ProtocolError(`${what} is not UTF-8`);
    }
  }

  rest(): Uint8Array {
    return this.raw(this.left);
  }
}

/** Writes values, growing as it must. */
export class Writer {
  private bytes: Uint8Array;
  private view: DataView;
  private at = 0;

  constructor(capacity = 64) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  private take(count: number): number {
    const start = this.at;
    this.at += count;
    if (this.at > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.at, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return start;
  }

  u8(value: number): this {
    const at = this.take(1);
    this.view.setUint8(at, value);
    return this;
  }

  flag(value: boolean): this {
    return this.u8(value ? 1 : 0);
  }

  u64(value: bigint): this {
    const at = this.take(8);
    this.view.setBigUint64(at, value, true);
    return this;
  }

  /** u64 given as two words each: low, high. */
  u32(value: number): this {
    this.view.setUint32(this.take(4), value, true);
    return this;
  }

  u64s(words: Uint32Array): this {
    const start = this.take(words.length * 4);
    for (let index = 0; index < words.length; index++) {
      this.view.setUint32(start + index * 4, words[index] as number, true);
    }
    return this;
  }

  varint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} cannot be a varint`);
    if (value < 0x40) return this.u8(value);
    if (value < 0x4000) {
      const at = this.take(2);
      this.view.setUint16(at, value | 0x4000);
    } else if (value < 0x4000_0000) {
      const at = this.take(4);
      this.view.setUint32(at, (value | 0x8000_0000) >>> 0);
    } else {
      const at = this.take(8);
      this.view.setUint32(at, (Math.floor(value / 0x1_0000_0000) | 0xc000_0000) >>> 0);
      this.view.setUint32(at + 4, value >>> 0);
    }
    return this;
  }

  zigzag(value: number): this {
    return this.varint(value >= 0 ? value * 2 : -value * 2 - 1);
  }

  raw(bytes: Uint8Array): this {
    const at = this.take(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }

  lengthAndBytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.lengthAndBytes(utf8(text));
  }

  done(): Uint8Array {
    return this.bytes.subarray(0, this.at);
  }
}
