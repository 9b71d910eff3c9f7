// What a session plays: docs/protocol.md, "What is played".

import { ProtocolError, Reader, Writer } from "./bytes.ts";
import { MAX_SOUND } from "./limits.ts";

/** Of Opus, the one coding that there is. */
export interface SoundFormat {
  /** Samples a second of each channel. */
  rate: number;
  channels: number;
  /** Samples of each channel in a packet. */
  frame: number;
}

const OPUS = 1;
const MOST_RATE = 192_000;
const MOST_CHANNELS = 8;
const MOST_FRAME = 11_520;
/** The first byte of a datagram of sound. */
const KIND = 4;

/** Null: nothing that could be played. */
export function readSoundFormat(r: Reader): SoundFormat | null {
  if (r.varint() !== OPUS) return null;
  const rate = r.varintUpTo(MOST_RATE, "the sound's rate");
  const channels = r.u8();
  if (channels < 1 || channels > MOST_CHANNELS) throw new ProtocolError(`sound has ${channels} channels`);
  return { rate, channels, frame: r.varintUpTo(MOST_FRAME, "the sound's frame") };
}

export function writeSoundFormat(w: Writer, format: SoundFormat | null): void {
  w.varint(format === null ? 0 : OPUS);
  if (format !== null) w.varint(format.rate).u8(format.channels).varint(format.frame);
}

export interface SoundPacket {
  /** Counts a session's packets: one that is left out was lost. */
  number: number;
  /** When its samples came, on the session's clock. */
  timeMicros: number;
  opus: Uint8Array;
}

/** Reads a datagram; null if it is of another kind. */
export function decodeSound(datagram: Uint8Array): SoundPacket | null {
  const reader = new Reader(datagram);
  if (reader.u8() !== KIND) return null;
  const packet = { number: reader.varint(), timeMicros: reader.varint(), opus: reader.rest() };
  if (packet.opus.length > MAX_SOUND) throw new ProtocolError(`a packet of sound is ${packet.opus.length} bytes long`);
  return packet;
}

export function encodeSound({ number, timeMicros, opus }: SoundPacket): Uint8Array {
  return new Writer(opus.length + 20).u8(KIND).varint(number).varint(timeMicros).raw(opus).done();
}
