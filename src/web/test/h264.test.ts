import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { H264Decoder, codecOf, h264Decoders } from "../viewer/h264.ts";
import { fromPlanes } from "../viewer/picture.ts";

const WHITE = 0xffff_ffff;
/** An access unit's beginning as the session writes it: sequence parameters of the High profile, level 3.1. */
const KEY = Uint8Array.of(0, 0, 0, 1, 0x67, 0x64, 0x00, 0x1f, 0xac, 0, 0, 0, 1, 0x68, 1);

/** A browser's decoder in the test's hands, as WebCodecs has it. */
class StubDecoder {
  static made: StubDecoder[] = [];
  static says = true;
  static async isConfigSupported(): Promise<{ supported: boolean }> {
    return { supported: StubDecoder.says };
  }

  state = "unconfigured";
  config: VideoDecoderConfig | null = null;
  readonly chunks: { type: string; timestamp: number }[] = [];

  constructor(readonly hooks: { output: (frame: unknown) => void; error: (error: Error) => void }) {
    StubDecoder.made.push(this);
  }

  configure(config: VideoDecoderConfig): void {
    this.config = config;
    this.state = "configured";
  }

  decode(chunk: { type: string; timestamp: number }): void {
    this.chunks.push(chunk);
  }

  close(): void {
    assert.notEqual(this.state, "closed", "closing twice is an error");
    this.state = "closed";
  }
}

/** A white frame in one of the formats that browsers hand out. */
class StubFrame {
  closed = 0;
  visibleRect = { width: 4, height: 2 };

  constructor(
    readonly timestamp: number,
    readonly format: string | null,
    private readonly converts: boolean,
  ) {}

  allocationSize(options?: { format?: string }): number {
    return this.converts && options?.format === "RGBA" ? 32 : this.format === "BGRX" ? 32 : 12;
  }

  async copyTo(bytes: Uint8Array, options?: { format?: string }): Promise<{ offset: number; stride: number }[]> {
    if (this.converts && options?.format === "RGBA") {
      bytes.fill(255);
      bytes[3] = 0;
      return [{ offset: 0, stride: 16 }];
    }
    if (this.format === "BGRX") {
      bytes.set(Array.from({ length: 8 }, () => [1, 2, 3, 0]).flat());
      return [{ offset: 0, stride: 16 }];
    }
    bytes.fill(235, 0, 8).fill(128, 8);
    const nv12 = [{ offset: 0, stride: 4 }, { offset: 8, stride: 4 }];
    return this.format === "NV12" ? nv12 : [{ offset: 0, stride: 4 }, { offset: 8, stride: 2 }, { offset: 10, stride: 2 }];
  }

  close(): void {
    this.closed++;
  }
}

const scope = globalThis as unknown as Record<string, unknown>;
const before = { VideoDecoder: scope["VideoDecoder"], EncodedVideoChunk: scope["EncodedVideoChunk"] };
beforeEach(() => {
  StubDecoder.made = [];
  StubDecoder.says = true;
  scope["VideoDecoder"] = StubDecoder;
  scope["EncodedVideoChunk"] = class {
    constructor(chunk: object) {
      Object.assign(this, chunk);
    }
  };
});
afterEach(() => Object.assign(scope, before));

function opened(patienceMs?: number): { decoder: H264Decoder; stub: StubDecoder } {
  const decoder = new H264Decoder(4, 2, patienceMs);
  return { decoder, stub: StubDecoder.made.at(-1) as StubDecoder };
}

test("only a browser that says that it decodes H.264 has decoders", async () => {
  assert.notEqual(await h264Decoders(), null);
  StubDecoder.says = false;
  assert.equal(await h264Decoders(), null);
  delete scope["VideoDecoder"];
  assert.equal(await h264Decoders(), null);
});

test("the decoder is configured by the stream's own parameters, for low latency", () => {
  const { decoder, stub } = opened();
  void decoder.decode(KEY, true).catch(() => undefined);
  void decoder.decode(Uint8Array.of(0, 0, 1, 0x41), false).catch(() => undefined);
  assert.deepEqual(stub.config, { codec: "avc1.64001f", optimizeForLatency: true, hardwareAcceleration: "no-preference" });
  assert.deepEqual(stub.chunks.map(({ type, timestamp }) => [type, timestamp]), [["key", 0], ["delta", 1]]);
  assert.equal(codecOf(Uint8Array.of(0, 0, 1, 0x65, 1, 2, 3, 4)), "avc1.64002A");
  decoder.close();
});

test("frames of every format become opaque pixels, and each is closed", async () => {
  const cases: [string | null, boolean, number][] = [
    [null, true, WHITE],
    ["I420", false, WHITE],
    ["NV12", false, WHITE],
    ["BGRX", false, 0xff01_0203],
  ];
  for (const [format, converts, expected] of cases) {
    const { decoder, stub } = opened();
    const picture = decoder.decode(KEY, true);
    const frame = new StubFrame(0, format, converts);
    stub.hooks.output(frame);
    assert.deepEqual(new Set((await picture)?.rgba), new Set([expected]), `${format}`);
    assert.equal(frame.closed, 1);
    decoder.close();
  }
});

test("a frame that cannot be read, or has another size, ends the video", async () => {
  for (const [format, width] of [[null, 4], ["I420", 6]] as [string | null, number][]) {
    const { decoder, stub } = opened();
    const pictures = [decoder.decode(KEY, true), decoder.decode(KEY, false)];
    const frame = new StubFrame(0, format, false);
    frame.visibleRect.width = width;
    stub.hooks.output(frame);
    for (const picture of pictures) await assert.rejects(picture);
    assert.deepEqual([frame.closed, stub.state], [1, "closed"]);
    await assert.rejects(decoder.decode(KEY, true));
  }
});

test("a decoder that reports an error, or gives nothing for too long, fails all that it owes", async () => {
  const broken = opened();
  const lost = broken.decoder.decode(KEY, true);
  broken.stub.state = "closed";
  broken.stub.hooks.error(new Error("corrupt"));
  await assert.rejects(lost);
  const silent = opened(20);
  const owed = [silent.decoder.decode(KEY, true), silent.decoder.decode(KEY, false)];
  for (const each of owed) await assert.rejects(each);
  assert.equal(silent.stub.state, "closed");
});

test("a frame that the decoder passes over shows nothing, and the video goes on", async () => {
  const { decoder, stub } = opened();
  const pictures = [decoder.decode(KEY, true), decoder.decode(KEY, false)];
  stub.hooks.output(new StubFrame(1, "I420", false));
  assert.equal(await pictures[0], null);
  assert.equal((await pictures[1])?.rgba.length, 8);
  decoder.close();
});

test("the colours of the standard come out of planes", () => {
  // BT.709, 8 bits, limited range: white, black, and the three primaries.
  const colours: [number[], number][] = [
    [[235, 128, 128], 0xffff_ffff],
    [[16, 128, 128], 0xff00_0000],
    [[63, 102, 240], 0xff00_00ff],
    [[173, 42, 26], 0xff00_ff00],
    [[32, 240, 118], 0xffff_0000],
  ];
  for (const [planes, colour] of colours) {
    const [y, u, v] = planes as [number, number, number];
    const rgba = new Uint32Array(8);
    const at = (offset: number): PlaneLayout => ({ offset, stride: 4 });
    const bytes = Uint8Array.of(y, y, y, y, y, y, y, y, u, v, u, v);
    fromPlanes({ bytes, y: at(0), u: at(8), v: at(9), chromaStep: 2 }, 4, rgba);
    for (const pixel of rgba) {
      for (const shift of [0, 8, 16, 24]) {
        assert.ok(Math.abs(((pixel >>> shift) & 255) - ((colour >>> shift) & 255)) <= 2, `${planes}: ${pixel.toString(16)}`);
      }
    }
  }
});
