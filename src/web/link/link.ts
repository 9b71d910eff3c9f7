// One face over WebTransport and WebSocket.

import { MAX_OPEN_STREAMS, MAX_UPDATE_BYTES, MAX_WAITING_BYTES } from "../wire/limits.ts";
import { ProtocolError } from "../wire/bytes.ts";

export type Road = "webtransport" | "websocket";

/** What a link tells its owner. Nothing is called after `closed`. */
export interface LinkListener {
  opened(): void;
  control(bytes: Uint8Array): void;
  /** Something arrived on an update stream: how many bytes. */
  progress(bytes: number): void;
  /** An update stream has ended; these are all its bytes. */
  stream(bytes: Uint8Array): void;
  datagram(bytes: Uint8Array): void;
  /** `code` is the protocol's close code, or null if the road broke without one. */
  closed(code: number | null, reason: string): void;
}

export interface Link {
  readonly road: Road;
  sendControl(bytes: Uint8Array): void;
  /** Bytes of the one input stream, in order. */
  sendInput(bytes: Uint8Array): void;
  sendDatagram(bytes: Uint8Array): void;
  close(code: number, reason: string): void;
}

/** Bytes of streams that have not ended yet, within bounds. */
export class Inbox {
  private readonly open = new Map<number, { chunks: Uint8Array[]; size: number }>();
  private total = 0;

  /** Adds a stream's next bytes; gives all of them when it ends. */
  add(stream: number, bytes: Uint8Array, end: boolean): Uint8Array | null {
    let partial = this.open.get(stream);
    if (partial === undefined) {
      if (end) return bytes;
      if (this.open.size >= MAX_OPEN_STREAMS) throw new ProtocolError("too many update streams are open");
      partial = { chunks: [], size: 0 };
      this.open.set(stream, partial);
    }
    partial.chunks.push(bytes);
    partial.size += bytes.length;
    this.total += bytes.length;
    if (partial.size > MAX_UPDATE_BYTES) throw new ProtocolError("an update stream is too long");
    if (this.total > MAX_UPDATE_BYTES + MAX_WAITING_BYTES) throw new ProtocolError("too much is on the way at once");
    if (!end) return null;
    this.drop(stream);
    return concatenated(partial.chunks, partial.size);
  }

  /** The rest of the stream will not come. */
  drop(stream: number): void {
    this.total -= this.open.get(stream)?.size ?? 0;
    this.open.delete(stream);
  }
}

function concatenated(chunks: Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1) return chunks[0] as Uint8Array;
  const all = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
