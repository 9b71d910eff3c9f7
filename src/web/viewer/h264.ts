// Decodes H.264 with the browser's WebCodecs. A decoder that fails or falls silent ends its video, never the viewer.

import { pixelsOf } from "./picture.ts";
import type { FrameDecoder, OpenDecoder, Picture } from "./videos.ts";

/** A decoder that owes pictures and gives none for this long will give none. */
export const SILENCE_MS = 1000;
const HIGH_PROFILE = "avc1.64002A";
const SEQUENCE_PARAMETERS = 7;

/** Null where this browser does not decode H.264. */
export async function h264Decoders(): Promise<OpenDecoder | null> {
  try {
    const { supported } = await VideoDecoder.isConfigSupported(configOf(HIGH_PROFILE));
    return supported === true ? (width, height) => new H264Decoder(width, height) : null;
  } catch {
    return null;
  }
}

function configOf(codec: string): VideoDecoderConfig {
  // No description: the stream is Annex B, its parameter sets are in it.
  return { codec, optimizeForLatency: true, hardwareAcceleration: "no-preference" };
}

/** The codec's name as the stream's own sequence parameter set says it. */
export function codecOf(accessUnit: Uint8Array): string {
  for (let at = 0; at + 6 < accessUnit.length; at++) {
    const starts = accessUnit[at] === 0 && accessUnit[at + 1] === 0 && accessUnit[at + 2] === 1;
    if (!starts || ((accessUnit[at + 3] as number) & 0x1f) !== SEQUENCE_PARAMETERS) continue;
    const digits = [...accessUnit.subarray(at + 4, at + 7)].map((byte) => byte.toString(16).padStart(2, "0"));
    return `avc1.${digits.join("")}`;
  }
  return HIGH_PROFILE;
}

/** A frame handed to the decoder whose picture is owed. */
interface Owed {
  timestamp: number;
  since: number;
  done(picture: Picture | null): void;
  failed(error: unknown): void;
}

export class H264Decoder implements FrameDecoder {
  private readonly decoder: VideoDecoder;
  private readonly owed: Owed[] = [];
  private nextTimestamp = 0;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private isOver = false;

  constructor(
    private readonly width: number,
    private readonly height: number,
    private readonly patienceMs = SILENCE_MS,
  ) {
    this.decoder = new VideoDecoder({ output: (frame) => void this.take(frame), error: (error) => this.end(error) });
  }

  decode(accessUnit: Uint8Array, isKey: boolean): Promise<Picture | null> {
    if (this.isOver) return Promise.reject(new Error("the decoder has ended"));
    if (this.decoder.state === "unconfigured") this.decoder.configure(configOf(codecOf(accessUnit)));
    const timestamp = this.nextTimestamp++;
    this.decoder.decode(new EncodedVideoChunk({ type: isKey ? "key" : "delta", timestamp, data: accessUnit }));
    return new Promise((done, failed) => {
      this.owed.push({ timestamp, since: performance.now(), done, failed });
      if (this.owed.length === 1) this.watch();
    });
  }

  private watch(): void {
    clearTimeout(this.silence);
    if (this.owed.length === 0 || this.isOver) return;
    this.silence = setTimeout(() => this.end(new Error("the decoder gives no picture")), this.patienceMs);
  }

  private async take(frame: VideoFrame): Promise<void> {
    try {
      // Frames before it that gave no picture will give none.
      while (this.owed[0] !== undefined && this.owed[0].timestamp < frame.timestamp) this.owed.shift()?.done(null);
      const owed = this.owed[0]?.timestamp === frame.timestamp ? this.owed.shift() : undefined;
      this.watch();
      if (owed === undefined) return;
      try {
        const rgba = await pixelsOf(frame, this.width, this.height);
        owed.done({ rgba, decodeMicros: Math.round((performance.now() - owed.since) * 1000) });
      } catch (error) {
        owed.failed(error);
        this.end(error);
      }
    } finally {
      frame.close();
    }
  }

  private end(error: unknown): void {
    this.isOver = true;
    clearTimeout(this.silence);
    for (const owed of this.owed.splice(0)) owed.failed(error);
    if (this.decoder.state !== "closed") this.decoder.close();
  }

  close(): void {
    this.end(new Error("the video is over"));
  }
}
