// A sealed recording, read at any place without fetching or decrypting what is before it: age's payload is chunks of
// 64 KiB, each sealed by itself (age-encryption.org/v1, "Payload"). The key never leaves this browser.

import { Decrypter } from "age-encryption";
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";

export const CHUNK = 65_536;
const TAG = 16;
const SEALED_CHUNK = CHUNK + TAG;
const NONCE = 16;
/** A header is a few hundred bytes for each recipient. */
const MOST_HEADER = 65_536;
/** Chunks that are fetched together. */
const AHEAD = 16;
const MOST_CHUNKS = 64;

/** Gives bytes of the file: `to` is not included. Fewer if the file ends before. */
export type Fetch = (from: number, to: number) => Promise<{ bytes: Uint8Array; size: number }>;

/** Why a recording cannot be read: `key`: it was made for others; `damaged`: its bytes are not as they were written. */
export class SealError extends Error {
  constructor(
    readonly kind: "key" | "identity" | "damaged" | "foreign",
    detail: string,
  ) {
    super(detail);
  }
}

/** The identities in a file of `age-keygen`, or pasted. */
export function identitiesOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => /^AGE-SECRET-KEY-1[0-9A-Z]+$/i.test(word)).map((word) => word.toUpperCase());
}

export class Sealed {
  private readonly chunks = new Map<number, Uint8Array>();

  private constructor(
    private readonly fetch: Fetch,
    private readonly key: Uint8Array,
    private readonly payloadAt: number,
    private readonly payload: number,
  ) {}

  static async open(fetch: Fetch, identity: string): Promise<Sealed> {
    const decrypter = new Decrypter();
    const identities = identitiesOf(identity);
    if (identities.length === 0) throw new SealError("identity", "no age identity");
    try {
      for (const each of identities) decrypter.addIdentity(each);
    } catch (error) {
      throw new SealError("identity", String(error));
    }
    const { bytes, size } = await fetch(0, MOST_HEADER);
    const headerEnd = endOfHeader(bytes);
    if (headerEnd === null) throw new SealError("foreign", "no age header");
    let fileKey: Uint8Array;
    try {
      fileKey = await decrypter.decryptHeader(bytes.slice(0, headerEnd));
    } catch (error) {
      throw new SealError("key", String(error));
    }
    const nonce = bytes.slice(headerEnd, headerEnd + NONCE);
    const key = hkdf(sha256, fileKey, nonce, new TextEncoder().encode("payload"), 32);
    return new Sealed(fetch, key, headerEnd + NONCE, Math.max(0, size - headerEnd - NONCE));
  }

  private get chunkCount(): number {
    return Math.ceil(this.payload / SEALED_CHUNK);
  }

  /** Bytes of the recording, if its last chunk is whole. */
  get size(): number {
    return Math.max(0, this.payload - this.chunkCount * TAG);
  }

  /** The bytes from `offset` to the end of its chunk; none at the end. Throws where they are not as they were written. */
  async read(offset: number): Promise<Uint8Array> {
    const number = Math.floor(offset / CHUNK);
    if (number >= this.chunkCount) return new Uint8Array(0);
    if (!this.chunks.has(number)) await this.load(number);
    return (this.chunks.get(number) as Uint8Array).subarray(offset % CHUNK);
  }

  private async load(first: number): Promise<void> {
    const last = Math.min(first + AHEAD, this.chunkCount);
    const from = this.payloadAt + first * SEALED_CHUNK;
    const to = Math.min(this.payloadAt + last * SEALED_CHUNK, this.payloadAt + this.payload);
    const { bytes } = await this.fetch(from, to);
    for (let number = first; number < last; number++) {
      const start = (number - first) * SEALED_CHUNK;
      const sealed = bytes.subarray(start, start + SEALED_CHUNK);
      try {
        this.keep(number, this.decrypt(number, sealed));
      } catch (error) {
        if (number > first) return;
        throw new SealError("damaged", `chunk ${number}: ${String(error)}`);
      }
    }
  }

  private keep(number: number, plain: Uint8Array): void {
    while (this.chunks.size >= MOST_CHUNKS) this.chunks.delete(this.chunks.keys().next().value as number);
    this.chunks.set(number, plain);
  }

  private decrypt(number: number, sealed: Uint8Array): Uint8Array {
    const isLast = number === this.chunkCount - 1;
    try {
      return this.decryptAs(number, sealed, isLast);
    } catch (error) {
      // A file that was cut between chunks ends with one that was not the last.
      if (!isLast || sealed.length !== SEALED_CHUNK) throw error;
      return this.decryptAs(number, sealed, false);
    }
  }

  private decryptAs(number: number, sealed: Uint8Array, last: boolean): Uint8Array {
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setUint32(7, number);
    nonce[11] = last ? 1 : 0;
    return chacha20poly1305(this.key, nonce).decrypt(sealed);
  }
}

/** Behind the line that holds the header's MAC. */
function endOfHeader(bytes: Uint8Array): number | null {
  const text = new TextDecoder("latin1").decode(bytes);
  if (!text.startsWith("age-encryption.org/v1\n")) return null;
  const mac = text.indexOf("\n--- ");
  const end = mac < 0 ? -1 : text.indexOf("\n", mac + 1);
  return end < 0 || end + 1 + NONCE > bytes.length ? null : end + 1;
}
