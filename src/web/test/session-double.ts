// A session for tests: it speaks the protocol over a link that the test holds in its hands. Its codec is plain:
// pixels as they are, and a simple hash, so that tests need no WebAssembly.

import type { Link, LinkListener, Road } from "../link/link.ts";
import { ControlStream, type Message, encodeMessage } from "../wire/control.ts";
import { Reader } from "../wire/bytes.ts";
import { type InputEvent, decodeInput } from "../wire/input.ts";
import { Grid, type Update, encodeUpdate } from "../wire/update.ts";
import type { Codec } from "../viewer/screen.ts";
import { rootOf } from "../viewer/proof.ts";

export function plainHash(keyLow: number, keyHigh: number, pixels: Uint32Array, width: number, height: number): [number, number] {
  let low = (keyLow ^ (width << 16) ^ height) >>> 0;
  let high = (keyHigh ^ 0x9e37_79b1) >>> 0;
  for (const pixel of pixels) {
    low = Math.imul(low ^ pixel, 0x85eb_ca77) >>> 0;
    high = Math.imul(high ^ pixel ^ (low >>> 7), 0xc2b2_ae3d) >>> 0;
  }
  return [low, high];
}

export const plainCodec: Codec = {
  decode(payload, size, tiles, sink, parts = []) {
    const grid = new Grid(size.width, size.height);
    const words = new Uint32Array(payload.slice().buffer);
    let at = 0;
    tiles.forEach((tile, index) => {
      const part = parts.find((each) => each.tile === tile) ?? { x: 0, y: 0, width: grid.tileWidth(tile), height: grid.tileHeight(tile) };
      const { width, height } = part;
      if (at + width * height > words.length) throw new Error("the payload is too short");
      sink(index, grid.x(tile) + part.x, grid.y(tile) + part.y, width, height, words.subarray(at, at + width * height));
      at += width * height;
    });
  },
  learnt: () => null,
  tileHash: plainHash,
};

/** Pixels of these tiles, each of one colour. */
export function flatTiles(grid: Grid, tiles: number[], colours: number[]): Uint8Array {
  const parts = tiles.map((tile, index) => new Uint32Array(grid.tileWidth(tile) * grid.tileHeight(tile)).fill(colours[index] as number));
  return new Uint8Array(Buffer.concat(parts.map((part) => new Uint8Array(part.buffer))));
}

export function flatHash(key: bigint, colour: number, width = 64, height = 64): [number, number] {
  return plainHash(Number(key & 0xffff_ffffn), Number(key >> 32n), new Uint32Array(width * height).fill(colour), width, height);
}

export function update(change: Partial<Update> & { number: number }): Uint8Array {
  return encodeUpdate({
    after: 0,
    epoch: 1,
    width: 128,
    height: 128,
    capturedMicros: 0,
    complete: true,
    caughtUp: true,
    keep: false,
    copies: [],
    cached: new Uint32Array(0),
    cachedHashes: new Uint32Array(0),
    tiles: new Uint32Array(0),
    parts: [],
    video: null,
    short: false,
    sized: false,
    root: 0,
    live: null,
    payload: new Uint8Array(0),
    ...change,
  });
}

/** An update that paints whole tiles of a 128 x 128 screen. */
export function painting(number: number, tiles: number[], colours: number[], change: Partial<Update> = {}): Uint8Array {
  const payload = flatTiles(new Grid(change.width ?? 128, change.height ?? 128), tiles, colours);
  return update({ number, tiles: Uint32Array.from(tiles), payload, ...change });
}

/** The far end of one dialled link. */
export class Far implements Link {
  readonly said: Message[] = [];
  readonly input: InputEvent[] = [];
  firstInput: number | null = null;
  datagrams = 0;
  closedWith: number | null = null;
  private readonly control = new ControlStream();

  constructor(
    readonly road: Road,
    private readonly near: LinkListener,
    /** The other gateway that was dialled. */
    readonly gateway: string | null = null,
  ) {}

  sendControl(bytes: Uint8Array): void {
    this.said.push(...this.control.take(bytes));
  }

  sendInput(bytes: Uint8Array): void {
    const reader = new Reader(bytes);
    if (this.firstInput === null) {
      reader.varint();
      this.firstInput = reader.varint();
    }
    while (reader.left > 0) this.input.push(decodeInput(reader) as InputEvent);
  }

  sendDatagram(): void {
    this.datagrams++;
  }

  close(code: number): void {
    this.closedWith = code;
  }

  open(): void {
    this.near.opened();
  }

  say(message: Message): void {
    this.near.control(encodeMessage(message));
  }

  stream(bytes: Uint8Array): void {
    this.near.progress(bytes.length);
    this.near.stream(bytes);
  }

  datagram(bytes: Uint8Array): void {
    this.near.datagram(bytes);
  }

  broken(code: number | null = null, reason = ""): void {
    this.near.closed(code, reason);
  }

  last<T extends Message["type"]>(type: T): Extract<Message, { type: T }> | undefined {
    return this.said.findLast((message) => message.type === type) as Extract<Message, { type: T }> | undefined;
  }

  attached(change: Partial<Extract<Message, { type: "Attached" }>> = {}): void {
    this.say({ type: "Attached", token: new Uint8Array(16).fill(7), key: 5n, width: 128, height: 128, nextInput: 0, title: "T", policy: "balanced", ...change });
  }

  /** Agrees with the newest proof if its root is that of these tiles' hashes. */
  judge(hashes: [number, number][]): boolean {
    const proof = this.last("Proof");
    if (proof === undefined) return false;
    const agreed = proof.root === rootOf(Uint32Array.from(hashes.flat()));
    this.say({ type: "Verdict", update: proof.update, agreed });
    return agreed;
  }
}
