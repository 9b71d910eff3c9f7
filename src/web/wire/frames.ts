// A link's streams in the binary messages of a WebSocket: docs/protocol.md, "Roads".

import { ProtocolError, Reader, Writer } from "./bytes.ts";
import { MAX_FRAME } from "./limits.ts";

export type Frame =
  | { type: "control"; bytes: Uint8Array }
  | { type: "stream"; stream: number; end: boolean; bytes: Uint8Array }
  | { type: "reset"; stream: number; code: number }
  | { type: "datagram"; bytes: Uint8Array };

export function decodeFrame(message: Uint8Array): Frame {
  if (message.length > MAX_FRAME) throw new ProtocolError(`a frame is ${message.length} bytes long`);
  const reader = new Reader(message);
  const type = reader.u8();
  switch (type) {
    case 0:
      return { type: "control", bytes: reader.rest() };
    case 1: {
      const stream = reader.varint();
      const flags = reader.u8();
      return { type: "stream", stream, end: (flags & 1) === 1, bytes: reader.rest() };
    }
    case 2:
      return { type: "reset", stream: reader.varint(), code: reader.varint() };
    case 3:
      return { type: "datagram", bytes: reader.rest() };
    default:
      throw new ProtocolError(`there is no frame of type ${type}`);
  }
}

/** The frames that carry these bytes of the control stream. */
export function controlFrames(bytes: Uint8Array): Uint8Array[] {
  return pieces(bytes, MAX_FRAME - 1).map((piece) => new Writer(piece.length + 1).u8(0).raw(piece).done());
}

/** The frames that carry these bytes of a stream that goes on. */
export function streamFrames(stream: number, bytes: Uint8Array, end: boolean): Uint8Array[] {
  const all = pieces(bytes, MAX_FRAME - 10);
  return all.map((piece, index) => {
    const flags = end && index === all.length - 1 ? 1 : 0;
    return new Writer(piece.length + 10).u8(1).varint(stream).u8(flags).raw(piece).done();
  });
}

export function resetFrame(stream: number, code: number): Uint8Array {
  return new Writer(17).u8(2).varint(stream).varint(code).done();
}

export function datagramFrame(bytes: Uint8Array): Uint8Array {
  return new Writer(bytes.length + 1).u8(3).raw(bytes).done();
}

function pieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const all: Uint8Array[] = [];
  for (let start = 0; start < bytes.length || start === 0; start += size) all.push(bytes.subarray(start, start + size));
  return all;
}
