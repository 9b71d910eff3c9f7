import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ProtocolError, Reader, Writer } from "../wire/bytes.ts";
import { ControlStream, type Message, encodeMessage } from "../wire/control.ts";
import { controlFrames, decodeFrame, resetFrame, streamFrames, datagramFrame } from "../wire/frames.ts";
import { type InputEvent, decodeInput, encodeInput, encodePointerDatagram, textEvents } from "../wire/input.ts";
import * as limits from "../wire/limits.ts";
import { decodeSound, encodeSound } from "../wire/sound.ts";
import { type Update, decodeUpdate, encodeUpdate } from "../wire/update.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const fromHex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"));

interface Vector {
  name: string;
  hex: string;
  value: Record<string, any>;
}

function vectorFiles(): [string, Vector[]][] {
  let folder = process.cwd();
  while (!existsSync(join(folder, "tests/vectors/wire"))) {
    assert.notEqual(dirname(folder), folder, "tests/vectors/wire is not above the working directory");
    folder = dirname(folder);
  }
  const vectors = join(folder, "tests/vectors/wire");
  return readdirSync(vectors)
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name, (JSON.parse(readFileSync(join(vectors, name), "utf8")) as { messages: Vector[] }).messages]);
}

const u64 = (text: string): bigint => BigInt(`0x${text}`);
const hashWords = (hashes: string[]): Uint32Array =>
  Uint32Array.from(hashes.flatMap((hash) => [Number(u64(hash) & 0xffff_ffffn), Number(u64(hash) >> 32n)]));

/** A control vector's value as this side's message. */
const controlValue: { [N in Message["type"]]: (v: any) => Omit<Extract<Message, { type: N }>, "type"> } = {
  Hello: (v) => v,
  Welcome: (v) => v,
  Attach: (v) => ({
    session: v.session,
    ticket: fromHex(v.ticket),
    width: v.width,
    height: v.height,
    cacheBytes: v.cache_bytes,
    features: u64(v.features),
    token: v.token === null ? null : fromHex(v.token),
    screen: v.screen === null
      ? null
      : { key: u64(v.screen.key), width: v.screen.width, height: v.screen.height, hashes: hashWords(v.screen.hashes) },
  }),
  Attached: (v) => ({
    token: fromHex(v.token),
    key: u64(v.key),
    width: v.width,
    height: v.height,
    nextInput: v.next_input,
    title: v.title,
    policy: v.policy,
  }),
  Ack: (v) => ({ update: v.update, decodeMicros: v.decode_us, missing: v.missing }),
  Resize: (v) => v,
  Cursor: (v) => ({ width: v.width, height: v.height, hotX: v.hot_x, hotY: v.hot_y, rgba: fromHex(v.rgba) }),
  CursorAt: (v) => v,
  State: (v) => ({ live: v.live, waitingFor: v.text }),
  InputAck: (v) => v,
  Proof: (v) => ({ update: v.update, root: u64(v.root) }),
  Verdict: (v) => v,
  HashesWanted: (v) => v,
  Hashes: (v) => ({ update: v.update, hashes: hashWords(v.hashes) }),
  Ping: (v) => ({ number: v.number, time: v.time_us }),
  Pong: (v) => ({ number: v.number, time: v.ping_time_us, ownTime: v.time_us }),
  Dropped: (v) => v,
  Path: (v) => ({
    roundTripMicros: v.round_trip_us,
    bytesPerSecond: v.bytes_per_second,
    lostPerMillion: v.lost_per_million,
    inFlight: v.in_flight_bytes,
  }),
  Closing: (v) => v,
  Offer: (v) => ({ session: v.session, title: v.title, secret: fromHex(v.secret) }),
  Busy: (v) => v,
  VideoFailed: (v) => v,
  Policy: (v) => v,
  Ticket: (v) => ({ ticket: fromHex(v.ticket) }),
  Message: (v) => ({ text: v.text }),
  Recorded: (v) => v,
  Terms: (v) => ({
    clipboardIn: v.clipboard_in,
    clipboardOut: v.clipboard_out,
    resize: v.resize,
    share: v.share,
    idleLockMillis: v.idle_lock_ms,
    marking: v.marking,
    mark: v.mark,
  }),
  WatchAsked: (v) => v,
  WatchOver: (v) => v,
  WatchAnswer: (v) => v,
  Watchers: (v) => v,
  WatcherOrder: (v) => v,
  Clip: (v) => v,
  ClipTaken: (v) => v,
  Picture: (v) => ({ ...v, bytes: fromHex(v.bytes) }),
  PictureWanted: (v) => v,
  Sound: (v) => v,
  SoundWanted: (v) => v,
  Gateways: (v) => ({
    gateways: v.gateways.map((gateway: any) => ({
      host: gateway.host,
      udpPort: gateway.udp_port,
      tcpPort: gateway.tcp_port,
      tls: gateway.tls,
      pins: gateway.pins.map(fromHex),
    })),
  }),
  Move: (v) => v,
};

function updateValue(v: any): Update {
  return {
    number: v.number,
    after: v.after,
    epoch: v.epoch,
    width: v.width,
    height: v.height,
    capturedMicros: v.captured_us,
    complete: v.complete,
    caughtUp: v.caught_up,
    keep: v.keep,
    copies: v.copies.map((c: any) => ({ x: c.x, y: c.y, width: c.width, height: c.height, toX: c.to_x, toY: c.to_y })),
    cached: Uint32Array.from(v.cached.map((c: any) => c.tile)),
    cachedHashes: hashWords(v.cached.map((c: any) => c.hash)),
    tiles: Uint32Array.from(v.tiles),
    parts: v.parts,
    video: v.video,
    short: v.short,
    sized: v.sized,
    root: v.root,
    live: v.live,
    payload: fromHex(v.payload),
  };
}

for (const [file, vectors] of vectorFiles()) {
  vectors.forEach((vector, index) => {
    test(`the gateway's vector ${index} of ${file} (${vector.name}) is read and written alike`, () => {
      const bytes = fromHex(vector.hex);
      if (file === "control.json") {
        const type = vector.name as Message["type"];
        const message = { type, ...controlValue[type](vector.value) } as Message;
        assert.deepEqual(new ControlStream().take(bytes), [message]);
        assert.equal(hex(encodeMessage(message)), vector.hex);
      } else if (file === "input.json") {
        const event = { type: vector.name, ...vector.value } as InputEvent;
        assert.deepEqual(decodeInput(new Reader(bytes)), event);
        assert.equal(hex(encodeInput(event)), vector.hex);
      } else if (file === "update.json") {
        const update = updateValue(vector.value);
        assert.deepEqual(decodeUpdate(bytes, { epoch: 1, width: 1920, height: 1080 }), update);
        assert.equal(hex(encodeUpdate(update)), vector.hex);
      } else if (file === "motion.json") {
        const { counter, next_input, x, y } = vector.value as { counter: number; next_input: number; x: number; y: number };
        assert.equal(hex(encodePointerDatagram(counter, next_input, x, y)), vector.hex);
      } else if (file === "sound.json") {
        const { number, time_us: timeMicros, opus } = vector.value;
        const packet = { number, timeMicros, opus: fromHex(opus) };
        assert.deepEqual(decodeSound(bytes), packet);
        assert.equal(hex(encodeSound(packet)), vector.hex);
      } else if (file === "frame.json") {
        const { kind, data, stream, end, code } = vector.value;
        const carried = data === undefined ? {} : { bytes: fromHex(data) };
        const where = stream === undefined ? {} : { stream };
        assert.deepEqual(decodeFrame(bytes), {
          type: kind,
          ...carried,
          ...where,
          ...(end === undefined ? {} : { end }),
          ...(code === undefined ? {} : { code }),
        });
        const written = kind === "control" ? controlFrames(fromHex(data))
          : kind === "stream" ? streamFrames(stream, fromHex(data), end)
          : kind === "reset" ? [resetFrame(stream, code)]
          : [datagramFrame(fromHex(data))];
        assert.deepEqual(written.map(hex), [vector.hex]);
      } else {
        assert.fail(`nothing reads ${file}`);
      }
    });
  });
}

test("varints of every size come back as they were", () => {
  const values = [0, 63, 64, 16_383, 16_384, 0x3fff_ffff, 0x4000_0000, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER];
  for (const value of values) {
    const bytes = new Writer().varint(value).done();
    assert.equal(new Reader(bytes).varint(), value);
    assert.throws(() => new Reader(bytes.subarray(0, bytes.length - 1)).varint(), ProtocolError);
  }
  assert.throws(() => new Reader(fromHex("ffffffffffffffff")).varint(), ProtocolError);
  assert.throws(() => new Writer().varint(-1), RangeError);
});

test("zigzag keeps the sign", () => {
  for (const value of [0, 1, -1, 120, -120, 32_767, -32_768]) {
    assert.equal(new Reader(new Writer().zigzag(value).done()).zigzag(), value);
  }
});

const samples: Message[] = vectorFiles()
  .filter(([file]) => file === "control.json")
  .flatMap(([, vectors]) => vectors.flatMap((vector) => new ControlStream().take(fromHex(vector.hex))));

test("control messages come out whole however their bytes are cut", () => {
  const all = new Writer();
  for (const message of samples) all.raw(encodeMessage(message));
  for (const size of [1, 2, 3, 7, 1000]) {
    const stream = new ControlStream();
    const got: Message[] = [];
    for (let at = 0; at < all.done().length; at += size) got.push(...stream.take(all.done().slice(at, at + size)));
    assert.deepEqual(got, samples);
  }
});

test("every control message that ends early is refused, and none makes anything but a ProtocolError", () => {
  for (const message of samples) {
    const whole = encodeMessage(message);
    const body = new Reader(whole);
    const type = body.varint();
    const content = body.bytesUpTo(limits.MAX_CONTROL_MESSAGE, "body");
    for (let length = 0; length < content.length; length++) {
      // Up to where version 1.0 ended, it is a whole message.
      if (message.type === "Attached" && length === content.length - 1) continue;
      const cut = new Writer().varint(type).lengthAndBytes(content.slice(0, length)).done();
      assert.throws(() => new ControlStream().take(cut), ProtocolError, `${message.type} cut to ${length}`);
    }
  }
});

test("fields added by a later minor version are skipped", () => {
  const body = new Writer().varint(7).u8(1).raw(fromHex("010203")).done();
  const bytes = new Writer().varint(12).lengthAndBytes(body).done();
  assert.deepEqual(new ControlStream().take(bytes), [{ type: "Verdict", update: 7, agreed: true }]);
});

test("unknown control messages are skipped", () => {
  const unknown = new Writer().varint(4000).lengthAndBytes(fromHex("010203")).done();
  const known = encodeMessage({ type: "Busy", busy: true });
  assert.deepEqual(new ControlStream().take(new Writer().raw(unknown).raw(known).done()), [{ type: "Busy", busy: true }]);
});

test("what is too large is refused before it is kept", () => {
  const long = new Writer().varint(2).varint(limits.MAX_CONTROL_MESSAGE + 1).done();
  assert.throws(() => new ControlStream().take(long), ProtocolError);
  const name = new Writer().varint(1).varint(0).text("x".repeat(limits.MAX_NAME + 1)).done();
  assert.throws(() => new ControlStream().take(new Writer().varint(2).lengthAndBytes(name).done()), ProtocolError);
  const ticket = new Writer().varint(limits.MAX_TICKET + 1).raw(new Uint8Array(limits.MAX_TICKET + 1)).done();
  assert.throws(() => new ControlStream().take(new Writer().varint(24).lengthAndBytes(ticket).done()), ProtocolError);
  const cursor = new Writer().varint(257).varint(1).varint(0).varint(0).done();
  assert.throws(() => new ControlStream().take(new Writer().varint(7).lengthAndBytes(cursor).done()), ProtocolError);
  const hashes = new Writer().varint(1).varint(limits.MAX_TILES + 1).done();
  assert.throws(() => new ControlStream().take(new Writer().varint(14).lengthAndBytes(hashes).done()), ProtocolError);
  assert.throws(() => decodeFrame(new Uint8Array(limits.MAX_FRAME + 1)), ProtocolError);
});

test("text that is not UTF-8 and flags above 1 are refused", () => {
  const welcome = new Writer().varint(1).varint(0).lengthAndBytes(fromHex("ff")).done();
  assert.throws(() => new ControlStream().take(new Writer().varint(2).lengthAndBytes(welcome).done()), ProtocolError);
  assert.throws(() => new ControlStream().take(fromHex("150102")), ProtocolError);
});

const head = (change: Partial<Update>): Uint8Array =>
  encodeUpdate({
    number: 1,
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

const frame = { video: 1, frame: 0, x: 2, y: 4, width: 64, height: 32 };
const withVideo = (change: Partial<Update>): Uint8Array => head({ complete: false, video: frame, ...change });

test("a session of version 1.0 is balanced, and a policy that is not known is refused", () => {
  const attached = samples.find((message) => message.type === "Attached") as Extract<Message, { type: "Attached" }>;
  const content = encodeMessage(attached).slice(2, -1);
  const older = new ControlStream().take(new Writer().varint(4).lengthAndBytes(content).done());
  assert.deepEqual(older, [{ ...attached, policy: "balanced" }]);
  assert.throws(() => new ControlStream().take(fromHex("170103")), ProtocolError);
});

test("a frame of video that is not alone, not inside, not even or too large is refused", () => {
  assert.deepEqual(decodeUpdate(withVideo({})).video, frame);
  const wrong: [string, Partial<Update>][] = [
    ["complete", { complete: true }],
    ["copies", { copies: [{ x: 0, y: 0, width: 2, height: 2, toX: 0, toY: 0 }] }],
    ["cached", { cached: Uint32Array.of(0), cachedHashes: Uint32Array.of(1, 2) }],
    ["odd", { video: { ...frame, x: 3 } }],
    ["empty", { video: { ...frame, width: 0 } }],
    ["outside", { video: { ...frame, x: 66 } }],
    ["too large", { payload: new Uint8Array(limits.MAX_VIDEO_FRAME + 1) }],
  ];
  for (const [what, change] of wrong) assert.throws(() => decodeUpdate(withVideo(change)), ProtocolError, what);
});

test("an update that reaches outside its screen or the limits is refused", () => {
  const copy = { x: 0, y: 0, width: 64, height: 64, toX: 65, toY: 0 };
  const wrong: [string, Uint8Array][] = [
    ["another kind", fromHex("01")],
    ["number 0", head({ number: 0 })],
    ["waits for itself", head({ number: 3, after: 3 })],
    ["too wide", head({ width: limits.MAX_SIDE + 1 })],
    ["too many pixels", head({ width: 16_384, height: 16_384 })],
    ["copy outside", head({ copies: [copy] })],
    ["too many copies", head({ copies: Array(257).fill({ ...copy, toX: 0 }) })],
    ["copies of more than 32 screens", head({ copies: Array(129).fill({ ...copy, toX: 0 }) })],
    ["cached tile outside", head({ cached: Uint32Array.of(4), cachedHashes: Uint32Array.of(1, 2) })],
    ["run outside", head({ tiles: Uint32Array.of(3, 4) })],
    ["too many tiles", head({ width: 6400, height: 5000, tiles: Uint32Array.from({ length: 4097 }, (_, tile) => tile) })],
  ];
  for (const [what, bytes] of wrong) assert.throws(() => decodeUpdate(bytes), ProtocolError, what);
  assert.equal(decodeUpdate(head({ copies: Array(128).fill({ ...copy, toX: 0 }) })).copies.length, 128);
});

test("an update's head that ends early is refused at every byte", () => {
  const whole = head({
    copies: [{ x: 0, y: 0, width: 10, height: 10, toX: 5, toY: 5 }],
    cached: Uint32Array.of(1),
    cachedHashes: Uint32Array.of(1, 2),
    tiles: Uint32Array.of(2, 3),
  });
  for (const bytes of [whole, withVideo({})]) {
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeUpdate(bytes.subarray(0, length)), ProtocolError);
    }
  }
});

test("random bytes never make anything but a ProtocolError", () => {
  let seed = 12345;
  const random = (): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0) >>> 8;
  for (let round = 0; round < 4000; round++) {
    const bytes = Uint8Array.from({ length: random() % 60 }, () => random() & 0xff);
    for (const read of [
      () => new ControlStream().take(bytes),
      () => decodeUpdate(Uint8Array.of(2, ...bytes)),
      () => decodeFrame(bytes),
      () => decodeSound(Uint8Array.of(4, ...bytes)),
      () => decodeInput(new Reader(bytes)),
    ]) {
      try {
        read();
      } catch (error) {
        assert.ok(error instanceof ProtocolError, String(error));
      }
    }
  }
});

test("long text is cut between characters", () => {
  const text = "é".repeat(3000) + "😀".repeat(900);
  const events = textEvents(text) as { type: "Text"; text: string }[];
  assert.equal(events.map((event) => event.text).join(""), text);
  for (const event of events) assert.ok(Buffer.byteLength(event.text) <= limits.MAX_INPUT_TEXT);
});
