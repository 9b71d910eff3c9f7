// Plays a recording: what was shown at any time, by the same code that shows a live session.

import { TileCache } from "../viewer/cache.ts";
import { type Codec, ViewerScreen } from "../viewer/screen.ts";
import type { OpenDecoder } from "../viewer/videos.ts";
import type { Message } from "../wire/control.ts";
import { END_BYTES, type Header, type Index, type Part, type Person, RecordParser, type Timed, indexOffset, keyBefore } from "./format.ts";

/** Where the recording's bytes come from: those from an offset on, as many as are at hand; none at the end. */
export interface Source {
  readonly size: number;
  read(offset: number): Promise<Uint8Array>;
}

type Cursor = Extract<Message, { type: "Cursor" }>;

export class Player {
  header: Header = { beganUnixMillis: 0, session: "", title: "", software: "" };
  index: Index = { keys: [], end: 0 };
  readonly persons: { time: number; person: Person }[] = [];
  /** Why the recording has no end, or could not be read further. */
  damage: string | null = null;
  /** What is shown is of this time. */
  time = 0;
  screen: ViewerScreen | null = null;
  cursor: Cursor | null = null;
  cursorAt: { x: number; y: number } | null = null;
  private parser = new RecordParser();
  private readAt = 0;
  private waiting: Timed | null = null;
  private key: { time: number; offset: number } | null = null;

  constructor(
    private readonly source: Source,
    private readonly codec: Codec,
    private readonly openDecoder: OpenDecoder | null,
    /** Something that is decoded later is there now. */
    private readonly changed: () => void,
  ) {}

  async open(): Promise<void> {
    const first = await this.peek();
    if (first?.content.type !== "header") throw new Error("the recording has no header");
    this.header = first.content.header;
    const index = await this.readIndex();
    if (index === null) await this.scan();
    else this.index = index;
    if (this.index.keys.length === 0) throw new Error("the recording holds no whole screen");
  }

  /** Shows what was shown at a time. */
  async seek(time: number): Promise<void> {
    const key = keyBefore(this.index, time);
    if (key === null) return;
    const goesOn = time >= this.time && this.key !== null && this.key.time >= key.time;
    if (!goesOn) {
      this.begin(key.offset);
      this.time = 0;
    }
    await this.playUntil(time);
  }

  /** Plays what comes up to and at a time. */
  async playUntil(time: number): Promise<void> {
    try {
      for (;;) {
        const next = await this.peek();
        if (next === null || next.time > time) break;
        this.waiting = null;
        this.take(next);
        this.time = next.time;
      }
    } catch (error) {
      // Whatever comes next begins with a whole screen.
      this.key = null;
      throw error;
    }
    this.time = Math.max(this.time, Math.min(time, this.index.end));
  }

  /** When something happens next; null: nothing does. */
  async nextTime(): Promise<number | null> {
    return (await this.peek())?.time ?? null;
  }

  private begin(offset: number): void {
    this.parser = new RecordParser(offset);
    this.readAt = offset;
    this.waiting = null;
    this.key = null;
  }

  private async peek(): Promise<Timed | null> {
    while (this.waiting === null) {
      this.waiting = this.parser.next();
      if (this.waiting !== null) break;
      const bytes = await this.readOn();
      if (bytes.length === 0) return null;
      this.readAt += bytes.length;
      this.parser.feed(bytes);
    }
    return this.waiting.content.type === "end" ? null : this.waiting;
  }

  private async readOn(): Promise<Uint8Array> {
    try {
      return await this.source.read(this.readAt);
    } catch (error) {
      // Of what was cut off, only the cut itself is left.
      if (this.damage !== null && this.index.keys.length > 0 && this.time >= this.index.end) return new Uint8Array(0);
      throw error;
    }
  }

  private take({ time, offset, content }: Timed): void {
    if (content.type === "key") {
      this.screen?.close();
      this.screen = null;
      this.cursor = null;
      this.cursorAt = null;
      this.key = { time, offset };
      for (const part of content.parts) this.show(part);
    } else if (content.type === "part") {
      this.show(content.part);
    }
  }

  private show(part: Part): void {
    if ("update" in part) {
      this.screen?.receive(part.update);
      return;
    }
    const { control } = part;
    switch (control.type) {
      case "Attached":
        this.screen = new ViewerScreen(control.key, new TileCache(control.key, 0), this.codec, this.openDecoder);
        this.screen.setPolicy(control.policy, true);
        this.screen.listen({ appliedLater: () => this.changed(), videoFailed: () => undefined, broken: () => (this.key = null) });
        return;
      case "Dropped":
        this.screen?.dropped(control.update);
        return;
      case "Policy":
        this.screen?.setPolicy(control.policy, false);
        return;
      case "Cursor":
        this.cursor = control;
        return;
      case "CursorAt":
        this.cursorAt = { x: control.x, y: control.y };
        return;
    }
  }

  /** The index at the end, if the recording was ended. */
  private async readIndex(): Promise<Index | null> {
    try {
      const last = await this.bytesAt(this.source.size - END_BYTES, END_BYTES);
      const offset = indexOffset(last);
      if (offset === null || offset >= this.source.size) return null;
      const parser = new RecordParser(offset);
      parser.feed(await this.bytesAt(offset, this.source.size - offset));
      const read = parser.next();
      return read?.content.type === "index" ? read.content.index : null;
    } catch {
      return null;
    }
  }

  private async bytesAt(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (let have = 0; have < length; ) {
      const piece = await this.source.read(offset + have);
      if (piece.length === 0) return bytes.subarray(0, have);
      bytes.set(piece.subarray(0, length - have), have);
      have += piece.length;
    }
    return bytes;
  }

  /** Reads all there is, and makes the index of it. */
  private async scan(): Promise<void> {
    this.damage = "it has no end";
    this.parser = new RecordParser();
    this.readAt = 0;
    this.waiting = null;
    try {
      for (let next = await this.peek(); next !== null; next = await this.peek()) {
        this.waiting = null;
        this.index.end = next.time;
        if (next.content.type === "key") this.index.keys.push({ time: next.time, offset: next.offset });
        if (next.content.type === "person") this.persons.push({ time: next.time, person: next.content.person });
      }
    } catch (error) {
      this.damage = error instanceof Error ? error.message : String(error);
    }
  }
}
