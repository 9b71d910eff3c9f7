// Pictures of clipboards on their way: what is offered, and the next part of what is fetched. Pure.

import { MAX_CLIP_PICTURE, MAX_CLIP_PIXELS, MAX_PICTURE_PART } from "../wire/limits.ts";
import type { Message } from "../wire/control.ts";

export type PicturePart = Extract<Message, { type: "Picture" }>;

/** PNG, sections 5.2 and 11.2.1: the signature, then IHDR with its 13 bytes. */
const START = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52];

/** Whether this begins a PNG of no more pixels than a clipboard's picture may have; the rest is not looked at. */
export function beginsPicture(png: Uint8Array): boolean {
  if (png.length < 24 || START.some((byte, at) => png[at] !== byte)) return false;
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  const pixels = view.getUint32(16) * view.getUint32(20);
  return pixels >= 1 && pixels <= MAX_CLIP_PIXELS;
}

/** What this side offers: one picture, the newest. */
export class OfferedPicture {
  private number = 0;
  private png = new Uint8Array();

  /** Offers a picture instead of the one before; null for what no peer would take. */
  offer(png: Uint8Array<ArrayBuffer>): PicturePart | null {
    if (png.length > MAX_CLIP_PICTURE || !beginsPicture(png)) return null;
    this.png = png;
    return { type: "Picture", picture: ++this.number, total: png.length, from: 0, bytes: new Uint8Array() };
  }

  /** The part that the peer asks for, if it is of the picture that is offered. */
  part(picture: number, from: number): PicturePart | null {
    if (picture !== this.number || from >= this.png.length) return null;
    return { type: "Picture", picture, total: this.png.length, from, bytes: this.png.subarray(from, from + MAX_PICTURE_PART) };
  }
}

/** A picture that this side fetches, as far as it has come. */
export class FetchedPicture {
  private wanted: { picture: number; total: number } | null = null;
  private parts: Uint8Array[] = [];
  private length = 0;

  constructor(
    private readonly ask: (message: Message) => void,
    private readonly whole: (png: Uint8Array<ArrayBuffer>) => void,
  ) {}

  /** Hears an offer, which takes the place of what was fetched, or a part. */
  hear({ picture, total, from, bytes }: PicturePart): void {
    if (bytes.length === 0) {
      this.giveUp();
      this.wanted = { picture, total };
      return this.ask({ type: "PictureWanted", picture, from: 0 });
    }
    if (this.wanted?.picture !== picture) return;
    if (this.wanted.total !== total || this.length !== from || (from === 0 && !beginsPicture(bytes))) return this.giveUp();
    // What it came in may hold much else.
    this.parts.push(bytes.slice());
    this.length += bytes.length;
    if (this.length < total) return this.ask({ type: "PictureWanted", picture, from: this.length });
    const png = new Uint8Array(total);
    let at = 0;
    for (const part of this.parts) {
      png.set(part, at);
      at += part.length;
    }
    this.giveUp();
    this.whole(png);
  }

  /** What was fetched is not wanted any more. */
  giveUp(): void {
    this.wanted = null;
    this.parts = [];
    this.length = 0;
  }
}
