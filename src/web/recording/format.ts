// What stands in a recording once it is decrypted: docs/recording.md. The twin of src/recording/format.rs.

import { ProtocolError, Reader, varintSize } from "../wire/bytes.ts";
import { ControlStream, type Message } from "../wire/control.ts";
import * as limits from "../wire/limits.ts";

const MAGIC = "CHEVREC1";
const END = "CHEVEND1";
export const END_BYTES = 16;
const MAX_RECORD = 2 * 64 * 1024 * 1024;
const MAX_KEYS = 1 << 20;
const MAX_TEXT = 256;
const Kind = { header: 0, key: 1, control: 2, update: 3, padding: 4, person: 5, index: 6, end: 7 } as const;

export interface Header {
  beganUnixMillis: number;
  session: string;
  title: string;
  software: string;
}

/** A control message, or an update stream's bytes. */
export type Part = { control: Message } | { update: Uint8Array };

export interface Person {
  came: boolean;
  name: string;
  title: string;
  seat: string;
}

/** Where whole screens begin: times in microseconds and offsets in bytes, ascending. */
export interface Index {
  keys: { time: number; offset: number }[];
  end: number;
}

export type Content =
  | { type: "header"; header: Header }
  | { type: "key"; parts: Part[] }
  | { type: "part"; part: Part }
  | { type: "person"; person: Person }
  | { type: "index"; index: Index }
  | { type: "end" };

export interface Timed {
  time: number;
  offset: number;
  content: Content;
}

/** The last whole screen at or before a time, or the first one. */
export function keyBefore(index: Index, time: number): { time: number; offset: number } | null {
  let found = index.keys[0] ?? null;
  for (const key of index.keys) {
    if (key.time > time) break;
    found = key;
  }
  return found;
}

/** Cuts bytes into records, however they come: from the beginning, or from where a whole screen or the index stands. */
export class RecordParser {
  private held: Uint8Array<ArrayBufferLike> = new Uint8Array(0);
  private at = 0;
  private time = 0;
  private begun: boolean;

  constructor(private offset: number | null = null) {
    this.begun = offset !== null;
  }

  feed(bytes: Uint8Array): void {
    const left = this.held.subarray(this.at);
    const both = new Uint8Array(left.length + bytes.length);
    both.set(left);
    both.set(bytes, left.length);
    this.held = both;
    this.at = 0;
  }

  /** The next record that is all there. */
  next(): Timed | null {
    if (!this.begun) {
      if (this.held.length < MAGIC.length) return null;
      if (textOf(this.held.subarray(0, MAGIC.length)) !== MAGIC) throw new ProtocolError("this is no recording");
      this.begun = true;
      this.at = MAGIC.length;
      this.offset = MAGIC.length;
    }
    for (;;) {
      const head = this.head();
      if (head === null || head.start + head.length > this.held.length) return null;
      const body = this.held.subarray(head.start, head.start + head.length);
      const offset = this.offset ?? 0;
      const read = contentOf(head.kind, body);
      this.time = read?.time ?? this.time + head.passed;
      this.offset = offset + (head.start + head.length - this.at);
      this.at = head.start + head.length;
      if (read !== null) return { time: this.time, offset, content: read.content };
    }
  }

  private head(): { kind: number; passed: number; length: number; start: number } | null {
    const values: number[] = [];
    let at = this.at;
    for (let each = 0; each < 3; each++) {
      const first = this.held[at];
      if (first === undefined || at + varintSize(first) > this.held.length) return null;
      values.push(new Reader(this.held.subarray(at, at + varintSize(first))).varint());
      at += varintSize(first);
    }
    const [kind, passed, length] = values as [number, number, number];
    if (length > MAX_RECORD) throw new ProtocolError(`a record of ${length} bytes`);
    return { kind, passed, length, start: at };
  }
}

function contentOf(kind: number, body: Uint8Array): { content: Content; time?: number } | null {
  const r = new Reader(body);
  const text = (): string => r.textUpTo(MAX_TEXT, "a text of the recording");
  switch (kind) {
    case Kind.header: {
      const header = { beganUnixMillis: Number(r.u64()), session: text(), title: text(), software: text() };
      return { content: { type: "header", header } };
    }
    case Kind.key: {
      const time = r.varint();
      const parts: Part[] = [];
      while (r.left > 0) {
        const part = partOf(r.varint(), r.bytesUpTo(MAX_RECORD, "a message of a whole screen"));
        if (part !== null) parts.push(part);
      }
      return { content: { type: "key", parts }, time };
    }
    case Kind.control:
    case Kind.update: {
      const part = partOf(kind, body);
      return part === null ? null : { content: { type: "part", part } };
    }
    case Kind.person:
      return { content: { type: "person", person: { came: r.flag(), name: text(), title: text(), seat: text() } } };
    case Kind.index: {
      const end = r.varint();
      const count = r.varintUpTo(MAX_KEYS, "the number of whole screens");
      const keys: Index["keys"] = [];
      for (let each = 0; each < count; each++) keys.push({ time: r.varint(), offset: r.varint() });
      return { content: { type: "index", index: { keys, end } } };
    }
    case Kind.end:
      return { content: { type: "end" } };
    default:
      return null;
  }
}

function partOf(kind: number, bytes: Uint8Array): Part | null {
  // What is kept must not hold on to all that was read with it.
  if (kind === Kind.update) return { update: bytes.slice() };
  if (kind !== Kind.control) throw new ProtocolError(`a message of type ${kind} in a recording`);
  if (bytes.length > limits.MAX_CONTROL_MESSAGE + 16) throw new ProtocolError("a control message is too long");
  const control = new ControlStream().take(bytes)[0];
  return control === undefined ? null : { control };
}

/** Where the index is, by the last bytes of a recording that was ended. */
export function indexOffset(last: Uint8Array): number | null {
  if (last.length !== END_BYTES || textOf(last.subarray(8)) !== END) return null;
  return Number(new DataView(last.buffer, last.byteOffset).getBigUint64(0, true));
}

const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
