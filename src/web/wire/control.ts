// The control stream's messages: docs/protocol.md, "Control stream".

import { ProtocolError, Reader, Writer, varintSize } from "./bytes.ts";
import * as limits from "./limits.ts";
import { type SoundFormat, readSoundFormat, writeSoundFormat } from "./sound.ts";

export const MAJOR = 1;
export const MINOR = 7;

/** Bits of Attach's features: what a viewer can do. */
export const Feature = { h264: 1n, sound: 2n, parts: 4n, share: 8n, clip: 16n, short: 32n, gateways: 64n, far: 128n } as const;

/** Who writes what over the picture, by the numbers of the wire. Since 1.3. */
export const MARKINGS = ["none", "viewer", "burnt-in"] as const;
export type Marking = (typeof MARKINGS)[number];

/** What a user decides of a watcher. */
export const WatcherOrder = { giveControl: 1, takeControl: 2, dismiss: 3 } as const;

/** Somebody who watches. */
export interface Watcher {
  id: number;
  title: string;
  seat: string;
  controls: boolean;
  administrator: boolean;
  you: boolean;
}

/** How exact a session's pixels are while something moves, by the numbers of the wire. Since 1.1. */
export const POLICIES = ["balanced", "exact-only", "motion"] as const;
export type Policy = (typeof POLICIES)[number];

export const CloseCode = {
  done: 0,
  protocolError: 1,
  version: 2,
  refused: 3,
  noSuchSession: 4,
  takenOver: 5,
  goingAway: 6,
  limit: 7,
  internal: 8,
  idle: 9,
  signedOut: 10,
  ended: 13,
  /** Nothing was done for too long. Since 1.3. */
  locked: 12,
} as const;

/** How another gateway is reached: `udpPort` 0 if it has no UDP. Since 1.5. */
export interface Gateway {
  host: string;
  udpPort: number;
  tcpPort: number;
  tls: boolean;
  /** SHA-256 of its certificates; none: one that a public authority signed. */
  pins: Uint8Array[];
}

/** The tiles that a viewer shows: hashes as pairs of words, low and high, in the grid's order. */
export interface ScreenHashes {
  key: bigint;
  width: number;
  height: number;
  hashes: Uint32Array;
}

export type Message =
  | { type: "Hello"; major: number; minor: number; role: number; software: string }
  | { type: "Welcome"; major: number; minor: number; software: string }
  | {
      type: "Attach";
      session: string;
      ticket: Uint8Array;
      width: number;
      height: number;
      cacheBytes: number;
      features: bigint;
      token: Uint8Array | null;
      screen: ScreenHashes | null;
    }
  | {
      type: "Attached";
      token: Uint8Array;
      key: bigint;
      width: number;
      height: number;
      nextInput: number;
      title: string;
      policy: Policy;
    }
  | { type: "Ack"; update: number; decodeMicros: number; missing: number[] }
  | { type: "Resize"; width: number; height: number }
  | { type: "Cursor"; width: number; height: number; hotX: number; hotY: number; rgba: Uint8Array }
  | { type: "CursorAt"; x: number; y: number }
  | { type: "State"; live: boolean; waitingFor: string }
  | { type: "InputAck"; next: number }
  | { type: "Proof"; update: number; root: bigint }
  | { type: "Verdict"; update: number; agreed: boolean }
  | { type: "HashesWanted"; update: number }
  | { type: "Hashes"; update: number; hashes: Uint32Array }
  | { type: "Ping"; number: number; time: number }
  | { type: "Pong"; number: number; time: number; ownTime: number }
  | { type: "Dropped"; update: number }
  | { type: "Path"; roundTripMicros: number; bytesPerSecond: number; lostPerMillion: number; inFlight: number }
  | { type: "Closing"; code: number; reason: string }
  | { type: "Offer"; session: string; title: string; secret: Uint8Array }
  | { type: "Busy"; busy: boolean }
  | { type: "VideoFailed"; video: number }
  | { type: "Policy"; policy: Policy }
  | { type: "Ticket"; ticket: Uint8Array }
  | { type: "Message"; text: string }
  /** Since 1.3. */
  | { type: "Recorded"; recorded: boolean }
  | {
      type: "Terms";
      clipboardIn: boolean;
      clipboardOut: boolean;
      resize: boolean;
      share: boolean;
      idleLockMillis: number;
      marking: Marking;
      mark: string;
    }
  | { type: "WatchAsked"; ask: number; title: string; seat: string; administrator: boolean }
  | { type: "WatchOver"; ask: number }
  | { type: "WatchAnswer"; ask: number; admitted: boolean }
  | { type: "Watchers"; watchers: Watcher[] }
  | { type: "WatcherOrder"; watcher: number; order: number }
  /** Since 1.4. */
  | { type: "Clip"; text: string }
  | { type: "ClipTaken"; taken: boolean }
  /** Since 1.5. */
  | { type: "Sound"; format: SoundFormat | null }
  | { type: "SoundWanted"; wanted: boolean }
  | { type: "Gateways"; gateways: Gateway[] }
  | { type: "Move" }
  /** Since 1.6: that there is a picture, as PNG, or a part of it. */
  | { type: "Picture"; picture: number; total: number; from: number; bytes: Uint8Array }
  | { type: "PictureWanted"; picture: number; from: number };

type Name = Message["type"];
type Of<N extends Name> = Extract<Message, { type: N }>;
interface Layout<N extends Name> {
  number: number;
  read: (reader: Reader) => Of<N>;
  write: (writer: Writer, message: Of<N>) => void;
}

const side = (reader: Reader, what: string): number => reader.varintUpTo(limits.MAX_SIDE, what);

function readGateway(reader: Reader): Gateway {
  const host = reader.textUpTo(limits.MAX_NAME, "a gateway's host");
  const udpPort = reader.varintUpTo(0xffff, "a gateway's UDP port");
  const tcpPort = reader.varintUpTo(0xffff, "a gateway's TCP port");
  const tls = reader.flag();
  const count = reader.varintUpTo(limits.MAX_PINS, "the number of a gateway's certificates");
  return { host, udpPort, tcpPort, tls, pins: Array.from({ length: count }, () => reader.raw(32).slice()) };
}

function readToken(reader: Reader): Uint8Array {
  return reader.raw(16).slice();
}

function readPolicy(reader: Reader): Policy {
  const number = reader.varint();
  const policy = POLICIES[number];
  // A promise that this side does not know, it cannot rely on.
  if (policy === undefined) throw new ProtocolError(`policy ${number} is not known`);
  return policy;
}

function writePolicy(writer: Writer, policy: Policy): void {
  writer.varint(POLICIES.indexOf(policy));
}

function bits(...flags: boolean[]): number {
  return flags.reduce((all, flag, bit) => all | (flag ? 1 << bit : 0), 0);
}

function readMarking(reader: Reader): Marking {
  const number = reader.u8();
  const marking = MARKINGS[number];
  // A mark that this side cannot draw is not to be left out silently.
  if (marking === undefined) throw new ProtocolError(`marking ${number} is not known`);
  return marking;
}

function readWatcher(reader: Reader): Watcher {
  const id = reader.varint();
  const title = reader.textUpTo(limits.MAX_NAME, "a watcher's title");
  const seat = reader.textUpTo(limits.MAX_NAME, "a watcher's seat");
  const flags = reader.u8();
  return { id, title, seat, controls: (flags & 1) !== 0, administrator: (flags & 2) !== 0, you: (flags & 4) !== 0 };
}

function readHashes(reader: Reader): Uint32Array {
  return reader.u64s(reader.varintUpTo(limits.MAX_TILES, "the number of tile hashes"));
}

function writeHashes(writer: Writer, hashes: Uint32Array): void {
  writer.varint(hashes.length / 2).u64s(hashes);
}

function readScreen(reader: Reader): ScreenHashes {
  const key = reader.u64();
  const width = side(reader, "the width shown");
  const height = side(reader, "the height shown");
  return { key, width, height, hashes: readHashes(reader) };
}

const layouts: { [N in Name]: Layout<N> } = {
  Hello: {
    number: 1,
    read: (r) => ({
      type: "Hello",
      major: r.varint(),
      minor: r.varint(),
      role: r.u8(),
      software: r.textUpTo(limits.MAX_NAME, "the software's name"),
    }),
    write: (w, m) => w.varint(m.major).varint(m.minor).u8(m.role).text(m.software),
  },
  Welcome: {
    number: 2,
    read: (r) => ({
      type: "Welcome",
      major: r.varint(),
      minor: r.varint(),
      software: r.textUpTo(limits.MAX_NAME, "the software's name"),
    }),
    write: (w, m) => w.varint(m.major).varint(m.minor).text(m.software),
  },
  Attach: {
    number: 3,
    read: (r) => ({
      type: "Attach",
      session: r.textUpTo(limits.MAX_NAME, "the session's name"),
      ticket: r.bytesUpTo(limits.MAX_TICKET, "the ticket").slice(),
      width: side(r, "the width wanted"),
      height: side(r, "the height wanted"),
      cacheBytes: r.varint(),
      features: r.u64(),
      token: r.flag() ? readToken(r) : null,
      screen: r.flag() ? readScreen(r) : null,
    }),
    write: (w, m) => {
      w.text(m.session).lengthAndBytes(m.ticket).varint(m.width).varint(m.height);
      w.varint(m.cacheBytes).u64(m.features).flag(m.token !== null);
      if (m.token !== null) w.raw(m.token);
      w.flag(m.screen !== null);
      if (m.screen === null) return;
      w.u64(m.screen.key).varint(m.screen.width).varint(m.screen.height);
      writeHashes(w, m.screen.hashes);
    },
  },
  Attached: {
    number: 4,
    read: (r) => ({
      type: "Attached",
      token: readToken(r),
      key: r.u64(),
      width: side(r, "the session's width"),
      height: side(r, "the session's height"),
      nextInput: r.varint(),
      title: r.textUpTo(limits.MAX_NAME, "the session's title"),
      // A session of version 1.0 does not say.
      policy: r.left === 0 ? "balanced" : readPolicy(r),
    }),
    write: (w, m) => {
      w.raw(m.token).u64(m.key).varint(m.width).varint(m.height).varint(m.nextInput).text(m.title);
      writePolicy(w, m.policy);
    },
  },
  Ack: {
    number: 5,
    read: (r) => {
      const update = r.varint();
      const decodeMicros = r.varint();
      const count = r.varintUpTo(limits.MAX_TILES, "the number of missing tiles");
      const missing: number[] = [];
      for (let index = 0; index < count; index++) missing.push(r.varint());
      return { type: "Ack", update, decodeMicros, missing };
    },
    write: (w, m) => {
      w.varint(m.update).varint(m.decodeMicros).varint(m.missing.length);
      for (const tile of m.missing) w.varint(tile);
    },
  },
  Resize: {
    number: 6,
    read: (r) => ({ type: "Resize", width: side(r, "the width wanted"), height: side(r, "the height wanted") }),
    write: (w, m) => w.varint(m.width).varint(m.height),
  },
  Cursor: {
    number: 7,
    read: (r) => {
      const width = r.varintUpTo(limits.MAX_CURSOR_SIDE, "the cursor's width");
      const height = r.varintUpTo(limits.MAX_CURSOR_SIDE, "the cursor's height");
      const hotX = r.varintUpTo(limits.MAX_CURSOR_SIDE, "the cursor's hot spot");
      const hotY = r.varintUpTo(limits.MAX_CURSOR_SIDE, "the cursor's hot spot");
      return { type: "Cursor", width, height, hotX, hotY, rgba: r.raw(width * height * 4).slice() };
    },
    write: (w, m) => w.varint(m.width).varint(m.height).varint(m.hotX).varint(m.hotY).raw(m.rgba),
  },
  CursorAt: {
    number: 8,
    read: (r) => ({ type: "CursorAt", x: side(r, "the cursor's x"), y: side(r, "the cursor's y") }),
    write: (w, m) => w.varint(m.x).varint(m.y),
  },
  State: {
    number: 9,
    read: (r) => ({
      type: "State",
      live: r.flag(),
      waitingFor: r.textUpTo(limits.MAX_REASON, "what is being waited for"),
    }),
    write: (w, m) => w.flag(m.live).text(m.waitingFor),
  },
  InputAck: {
    number: 10,
    read: (r) => ({ type: "InputAck", next: r.varint() }),
    write: (w, m) => w.varint(m.next),
  },
  Proof: {
    number: 11,
    read: (r) => ({ type: "Proof", update: r.varint(), root: r.u64() }),
    write: (w, m) => w.varint(m.update).u64(m.root),
  },
  Verdict: {
    number: 12,
    read: (r) => ({ type: "Verdict", update: r.varint(), agreed: r.flag() }),
    write: (w, m) => w.varint(m.update).flag(m.agreed),
  },
  HashesWanted: {
    number: 13,
    read: (r) => ({ type: "HashesWanted", update: r.varint() }),
    write: (w, m) => w.varint(m.update),
  },
  Hashes: {
    number: 14,
    read: (r) => ({ type: "Hashes", update: r.varint(), hashes: readHashes(r) }),
    write: (w, m) => writeHashes(w.varint(m.update), m.hashes),
  },
  Ping: {
    number: 15,
    read: (r) => ({ type: "Ping", number: r.varint(), time: r.varint() }),
    write: (w, m) => w.varint(m.number).varint(m.time),
  },
  Pong: {
    number: 16,
    read: (r) => ({ type: "Pong", number: r.varint(), time: r.varint(), ownTime: r.varint() }),
    write: (w, m) => w.varint(m.number).varint(m.time).varint(m.ownTime),
  },
  Dropped: {
    number: 17,
    read: (r) => ({ type: "Dropped", update: r.varint() }),
    write: (w, m) => w.varint(m.update),
  },
  Path: {
    number: 18,
    read: (r) => ({
      type: "Path",
      roundTripMicros: r.varint(),
      bytesPerSecond: r.varint(),
      lostPerMillion: r.varint(),
      inFlight: r.varint(),
    }),
    write: (w, m) => w.varint(m.roundTripMicros).varint(m.bytesPerSecond).varint(m.lostPerMillion).varint(m.inFlight),
  },
  Closing: {
    number: 19,
    read: (r) => ({ type: "Closing", code: r.varint(), reason: r.textUpTo(limits.MAX_REASON, "the reason") }),
    write: (w, m) => w.varint(m.code).text(m.reason),
  },
  Offer: {
    number: 20,
    read: (r) => ({
      type: "Offer",
      session: r.textUpTo(limits.MAX_NAME, "the session's name"),
      title: r.textUpTo(limits.MAX_NAME, "the session's title"),
      secret: r.bytesUpTo(limits.MAX_TICKET, "the secret").slice(),
    }),
    write: (w, m) => w.text(m.session).text(m.title).lengthAndBytes(m.secret),
  },
  Busy: {
    number: 21,
    read: (r) => ({ type: "Busy", busy: r.flag() }),
    write: (w, m) => w.flag(m.busy),
  },
  VideoFailed: {
    number: 22,
    read: (r) => ({ type: "VideoFailed", video: r.varint() }),
    write: (w, m) => w.varint(m.video),
  },
  Policy: {
    number: 23,
    read: (r) => ({ type: "Policy", policy: readPolicy(r) }),
    write: (w, m) => writePolicy(w, m.policy),
  },
  Ticket: {
    number: 24,
    read: (r) => ({ type: "Ticket", ticket: r.bytesUpTo(limits.MAX_TICKET, "the ticket").slice() }),
    write: (w, m) => w.lengthAndBytes(m.ticket),
  },
  Message: {
    number: 25,
    read: (r) => ({ type: "Message", text: r.textUpTo(limits.MAX_REASON, "the message") }),
    write: (w, m) => w.text(m.text),
  },
  Recorded: {
    number: 34,
    read: (r) => ({ type: "Recorded", recorded: r.flag() }),
    write: (w, m) => w.flag(m.recorded),
  },
  Terms: {
    number: 28,
    read: (r) => {
      const flags = r.u8();
      const has = (bit: number): boolean => (flags & (1 << bit)) !== 0;
      return {
        type: "Terms",
        clipboardIn: has(0),
        clipboardOut: has(1),
        resize: has(2),
        share: has(3),
        idleLockMillis: r.varint(),
        marking: readMarking(r),
        mark: r.textUpTo(limits.MAX_NAME, "the mark"),
      };
    },
    write: (w, m) => {
      w.u8(bits(m.clipboardIn, m.clipboardOut, m.resize, m.share)).varint(m.idleLockMillis);
      w.u8(MARKINGS.indexOf(m.marking)).text(m.mark);
    },
  },
  WatchAsked: {
    number: 29,
    read: (r) => ({
      type: "WatchAsked",
      ask: r.varint(),
      title: r.textUpTo(limits.MAX_NAME, "who asks to watch"),
      seat: r.textUpTo(limits.MAX_NAME, "where somebody asks to watch"),
      administrator: r.flag(),
    }),
    write: (w, m) => w.varint(m.ask).text(m.title).text(m.seat).flag(m.administrator),
  },
  WatchOver: {
    number: 30,
    read: (r) => ({ type: "WatchOver", ask: r.varint() }),
    write: (w, m) => w.varint(m.ask),
  },
  WatchAnswer: {
    number: 31,
    read: (r) => ({ type: "WatchAnswer", ask: r.varint(), admitted: r.flag() }),
    write: (w, m) => w.varint(m.ask).flag(m.admitted),
  },
  Watchers: {
    number: 32,
    read: (r) => {
      const count = r.varintUpTo(limits.MAX_VIEWERS, "the number of watchers");
      return { type: "Watchers", watchers: Array.from({ length: count }, () => readWatcher(r)) };
    },
    write: (w, m) => {
      w.varint(m.watchers.length);
      for (const { id, title, seat, controls, administrator, you } of m.watchers) {
        w.varint(id).text(title).text(seat).u8(bits(controls, administrator, you));
      }
    },
  },
  WatcherOrder: {
    number: 33,
    read: (r) => ({ type: "WatcherOrder", watcher: r.varint(), order: r.u8() }),
    write: (w, m) => w.varint(m.watcher).u8(m.order),
  },
  Clip: {
    number: 42,
    read: (r) => ({ type: "Clip", text: r.textUpTo(limits.MAX_CLIP_TEXT, "what was copied") }),
    write: (w, m) => w.text(m.text),
  },
  Gateways: {
    number: 48,
    read: (r) => {
      const count = r.varintUpTo(limits.MAX_GATEWAYS, "the number of gateways");
      return { type: "Gateways", gateways: Array.from({ length: count }, () => readGateway(r)) };
    },
    write: (w, m) => {
      w.varint(m.gateways.length);
      for (const { host, udpPort, tcpPort, tls, pins } of m.gateways) {
        w.text(host).varint(udpPort).varint(tcpPort).flag(tls).varint(pins.length);
        for (const pin of pins) w.raw(pin);
      }
    },
  },
  Move: {
    number: 49,
    read: () => ({ type: "Move" }),
    write: () => {},
  },
  ClipTaken: {
    number: 43,
    read: (r) => ({ type: "ClipTaken", taken: r.flag() }),
    write: (w, m) => w.flag(m.taken),
  },
  Picture: {
    number: 46,
    read: (r) => {
      const picture = r.varint();
      const total = r.varintUpTo(limits.MAX_CLIP_PICTURE, "a picture's length");
      const from = r.varintUpTo(limits.MAX_CLIP_PICTURE, "the beginning of a picture's part");
      const bytes = r.bytesUpTo(limits.MAX_PICTURE_PART, "a picture's part");
      if (total === 0 || from + bytes.length > total) throw new ProtocolError("a picture's part ends beyond the picture");
      return { type: "Picture", picture, total, from, bytes };
    },
    write: (w, m) => w.varint(m.picture).varint(m.total).varint(m.from).varint(m.bytes.length).raw(m.bytes),
  },
  PictureWanted: {
    number: 47,
    read: (r) => ({ type: "PictureWanted", picture: r.varint(), from: r.varintUpTo(limits.MAX_CLIP_PICTURE, "where a picture's part begins") }),
    write: (w, m) => w.varint(m.picture).varint(m.from),
  },
  Sound: {
    number: 44,
    read: (r) => ({ type: "Sound", format: readSoundFormat(r) }),
    write: (w, m) => writeSoundFormat(w, m.format),
  },
  SoundWanted: {
    number: 45,
    read: (r) => ({ type: "SoundWanted", wanted: r.flag() }),
    write: (w, m) => w.flag(m.wanted),
  },
};

const byNumber = new Map<number, (reader: Reader) => Message>(
  Object.values(layouts).map((layout) => [layout.number, layout.read]),
);

export function encodeMessage(message: Message): Uint8Array {
  const layout = layouts[message.type] as Layout<Name>;
  const body = new Writer();
  layout.write(body, message);
  return new Writer(body.done().length + 8).varint(layout.number).lengthAndBytes(body.done()).done();
}

/** Cuts the control stream's bytes into messages, however they arrive. Unknown types are skipped. */
export class ControlStream {
  private pending: Uint8Array<ArrayBufferLike> = new Uint8Array(0);

  /** Takes the stream's next bytes and gives the messages that they complete. */
  take(bytes: Uint8Array): Message[] {
    this.pending = this.pending.length === 0 ? bytes : joined(this.pending, bytes);
    const messages: Message[] = [];
    let start = 0;
    for (;;) {
      const header = headerAt(this.pending, start);
      if (header === null || header.bodyAt + header.length > this.pending.length) break;
      const body = this.pending.subarray(header.bodyAt, header.bodyAt + header.length);
      start = header.bodyAt + header.length;
      const read = byNumber.get(header.number);
      if (read !== undefined) messages.push(read(new Reader(body)));
    }
    // The kept part is copied: it must not hold on to a large receive buffer.
    this.pending = this.pending.slice(start);
    return messages;
  }
}

function headerAt(bytes: Uint8Array, start: number): { number: number; length: number; bodyAt: number } | null {
  const typeSize = start < bytes.length ? varintSize(bytes[start] as number) : 1;
  const lengthAt = start + typeSize;
  if (lengthAt >= bytes.length) return null;
  const bodyAt = lengthAt + varintSize(bytes[lengthAt] as number);
  if (bodyAt > bytes.length) return null;
  const reader = new Reader(bytes.subarray(start, bodyAt));
  const number = reader.varint();
  const length = reader.varint();
  if (length > limits.MAX_CONTROL_MESSAGE) {
    throw new ProtocolError(`a control message of type ${number} is ${length} bytes long`);
  }
  return { number, length, bodyAt };
}

export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
