import assert from "node:assert/strict";
import { test } from "node:test";
import { TileCache } from "../viewer/cache.ts";
import { type Applied, ViewerScreen } from "../viewer/screen.ts";
import type { FrameDecoder, Picture } from "../viewer/videos.ts";
import { ProtocolError } from "../wire/bytes.ts";
import { MAX_VIDEOS } from "../wire/limits.ts";
import type { Rect, Update } from "../wire/update.ts";
import { flatHash, painting, plainCodec, plainHash, update } from "./session-double.ts";

const KEY = 0x1122_3344_5566_7788n;
const BLACK = 0xff00_0000;
const RED = 0xff00_00ff;
const GREEN = 0xff00_ff00;
const BLUE = 0xffff_0000;
const WHITE = 0xffff_ffff;
/** Covers a part of each of the four tiles of the screen. */
const MIDDLE: Rect = { x: 32, y: 40, width: 64, height: 50 };

/** Decodes when it is told to: the first byte of a frame is its colour's place in this list; 9 cannot be decoded. */
const COLOURS = [RED, GREEN, BLUE, WHITE];

class FakeDecoder implements FrameDecoder {
  readonly asked: { bytes: Uint8Array; isKey: boolean; done: (picture: Picture | null) => void; failed: (error: Error) => void }[] = [];
  isClosed = false;

  constructor(readonly size: number) {}

  decode(bytes: Uint8Array, isKey: boolean): Promise<Picture | null> {
    assert.ok(!this.isClosed, "a closed decoder is asked");
    return new Promise((done, failed) => this.asked.push({ bytes, isKey, done, failed }));
  }

  /** Decodes what it was asked to so far. */
  answer(): void {
    for (const { bytes, done, failed } of this.asked.splice(0)) {
      if (bytes[0] === 9) failed(new Error("not H.264"));
      else done({ rgba: new Uint32Array(this.size).fill(COLOURS[bytes[0] as number] as number), decodeMicros: 700 });
    }
  }

  close(): void {
    this.isClosed = true;
    for (const { done } of this.asked.splice(0)) done(null);
  }
}

/** A screen whose decoders take as long as the test wants. */
class Bench {
  readonly decoders: FakeDecoder[] = [];
  readonly later: Applied[] = [];
  readonly failed: number[] = [];
  readonly errors: unknown[] = [];
  readonly screen = new ViewerScreen(KEY, new TileCache(KEY, 1 << 20), plainCodec, (width, height) => {
    const decoder = new FakeDecoder(width * height);
    this.decoders.push(decoder);
    return decoder;
  });

  constructor() {
    this.screen.listen({
      appliedLater: (applied) => this.later.push(...applied),
      videoFailed: (video) => this.failed.push(video),
      broken: (error) => this.errors.push(error),
    });
  }

  receive(bytes: Uint8Array): number[] {
    return this.screen.receive(bytes).map((applied) => applied.number);
  }

  /** Lets all decoders do their work; gives the updates applied because of it. */
  async decoded(): Promise<number[]> {
    for (const decoder of this.decoders) decoder.answer();
    await settled();
    return this.later.splice(0).map((applied) => applied.number);
  }

  at(x: number, y: number): number {
    return this.screen.framebuffer[y * this.screen.grid.width + x] as number;
  }

  /** Every tile's hash is that of its pixels. */
  checkHashes(): void {
    const hashes = this.screen.allHashes();
    for (let tile = 0; tile < this.screen.grid.length; tile++) {
      const { x, y, width, height } = this.screen.grid.rect(tile);
      const pixels = Uint32Array.from({ length: width * height }, (_, at) => this.at(x + (at % width), y + Math.floor(at / width)));
      const expected = plainHash(Number(KEY & 0xffff_ffffn), Number(KEY >> 32n), pixels, width, height);
      assert.deepEqual([hashes[tile * 2], hashes[tile * 2 + 1]], expected, `tile ${tile}`);
    }
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function film(number: number, video: number, frame: number, colour: number, change: Partial<Update> = {}): Uint8Array {
  const tiles = Uint32Array.of(0, 1, 2, 3);
  return update({ number, complete: false, tiles, video: { video, frame, ...MIDDLE }, payload: Uint8Array.of(colour), ...change });
}

test("a frame is applied only when it has been decoded, on its tiles inside its rectangle alone", async () => {
  const bench = new Bench();
  bench.receive(painting(1, [0, 1, 2, 3], [RED, RED, RED, RED]));
  bench.screen.damage.take();
  assert.deepEqual(bench.receive(film(2, 1, 0, 1, { tiles: Uint32Array.of(0, 3) })), []);
  assert.equal(bench.at(40, 50), RED);
  assert.equal(bench.screen.wholeUpTo, null, "a frame is under way");
  assert.ok(bench.screen.damage.isEmpty);
  assert.equal(bench.decoders[0]?.asked[0]?.isKey, true);
  bench.decoders[0]?.answer();
  await settled();
  assert.deepEqual(bench.later, [{ number: 2, missing: [], capturedMicros: 0, videoMicros: 700 }]);
  assert.deepEqual([bench.at(32, 40), bench.at(31, 40), bench.at(63, 63), bench.at(64, 63), bench.at(64, 64)], [GREEN, RED, GREEN, RED, GREEN]);
  assert.deepEqual([bench.at(95, 89), bench.at(96, 89), bench.at(95, 90)], [GREEN, RED, RED]);
  assert.deepEqual(bench.screen.damage.take().reduce((area, { width, height }) => area + width * height, 0), 2 * 64 * 64);
  bench.checkHashes();
});

test("a frame waits for the one before it, and holds up nothing that does not name it", async () => {
  const bench = new Bench();
  bench.receive(film(2, 1, 1, 1));
  assert.equal(bench.decoders.length, 0);
  assert.deepEqual(bench.receive(painting(3, [3], [BLUE])), [3]);
  assert.deepEqual(bench.receive(painting(4, [2], [BLUE], { after: 2 })), [], "this one names it");
  bench.receive(film(1, 1, 0, 0));
  assert.deepEqual(bench.decoders[0]?.asked.map((each) => [each.bytes[0], each.isKey]), [[0, true], [1, false]]);
  assert.deepEqual(await bench.decoded(), [1, 2, 4]);
  assert.deepEqual([bench.at(40, 50), bench.at(70, 70), bench.at(40, 70)], [GREEN, BLUE, BLUE]);
});

test("a tile that is older than a frame is written only outside it, from pixels or cache", async () => {
  const bench = new Bench();
  bench.receive(painting(1, [0, 1, 2, 3], [BLUE, BLUE, BLUE, BLUE]));
  bench.receive(painting(2, [1], [WHITE], { keep: true }));
  bench.receive(film(5, 1, 0, 1));
  await bench.decoded();
  const [low, high] = flatHash(KEY, BLUE);
  bench.receive(painting(3, [0], [RED]));
  bench.receive(update({ number: 4, cached: Uint32Array.of(1), cachedHashes: Uint32Array.of(low, high) }));
  assert.deepEqual([bench.at(0, 0), bench.at(31, 50), bench.at(32, 50), bench.at(32, 39), bench.at(63, 63)], [RED, RED, GREEN, RED, GREEN]);
  assert.deepEqual([bench.at(127, 0), bench.at(95, 50), bench.at(96, 50)], [BLUE, GREEN, BLUE]);
  bench.checkHashes();
  bench.receive(painting(6, [0], [WHITE]));
  assert.equal(bench.at(40, 50), WHITE, "a newer tile is written whole");
  bench.checkHashes();
});

test("a tile that became newer while a frame was being decoded stays as it is", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 1));
  bench.receive(painting(2, [0], [RED]));
  await bench.decoded();
  assert.deepEqual([bench.at(40, 50), bench.at(70, 50)], [RED, GREEN]);
  assert.equal(bench.screen.wholeUpTo, 2);
});

test("every order of tiles, frames and their pictures ends in the same screen", async () => {
  const updates = [
    painting(1, [0, 1, 2, 3], [RED, RED, RED, RED], { complete: false }),
    film(2, 1, 0, 0),
    painting(3, [1], [BLUE], { complete: false }),
    film(4, 1, 1, 1, { tiles: Uint32Array.of(0, 1, 2) }),
    painting(5, [2], [WHITE]),
  ];
  const permutations = (list: number[]): number[][] =>
    list.length < 2 ? [list] : list.flatMap((head, at) => permutations(list.toSpliced(at, 1)).map((rest) => [head, ...rest]));
  let expected: Uint32Array | null = null;
  for (const order of permutations([0, 1, 2, 3, 4])) {
    for (const patient of [true, false]) {
      const bench = new Bench();
      for (const index of order) {
        bench.receive(updates[index] as Uint8Array);
        if (!patient) await bench.decoded();
      }
      await bench.decoded();
      expected ??= bench.screen.framebuffer;
      assert.deepEqual(bench.screen.framebuffer, expected, `order ${order}`);
      assert.equal(bench.screen.wholeUpTo, 5, `order ${order}`);
      bench.checkHashes();
    }
  }
  assert.deepEqual(new Set(expected), new Set([RED, GREEN, BLUE, WHITE]));
});

test("when a ninth video begins the lowest goes, and its frames are acknowledged and ignored", async () => {
  const bench = new Bench();
  for (let video = 1; video <= MAX_VIDEOS; video++) bench.receive(film(video, video, 0, 0));
  bench.receive(film(9, 9, 0, 1));
  assert.deepEqual(bench.decoders.map((decoder) => decoder.isClosed), [true, ...Array(MAX_VIDEOS).fill(false)]);
  assert.deepEqual((await bench.decoded()).sort(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(bench.receive(film(10, 1, 1, 3)), [10]);
  assert.deepEqual(bench.receive(film(12, 1, 3, 3)), [12], "nor is the one before it waited for");
  assert.equal(bench.at(40, 50), GREEN);
  assert.equal(bench.decoders.length, MAX_VIDEOS + 1);
  assert.deepEqual(bench.failed, [], "nothing failed: it was given up");
});

test("a frame that cannot be decoded ends its video: that is told once, and nothing waits for it", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 0));
  bench.receive(film(2, 1, 1, 9));
  bench.receive(film(3, 1, 2, 1));
  bench.receive(painting(4, [0, 1, 2, 3], [BLUE, BLUE, BLUE, BLUE], { after: 3 }));
  assert.deepEqual(await bench.decoded(), [1, 2, 3, 4]);
  assert.deepEqual(bench.failed, [1]);
  assert.ok(bench.decoders[0]?.isClosed);
  assert.deepEqual(bench.receive(film(5, 1, 3, 0)), [5]);
  assert.deepEqual(bench.failed, [1]);
  bench.receive(film(6, 2, 0, 3));
  assert.deepEqual(await bench.decoded(), [6]);
  assert.equal(bench.at(40, 50), WHITE, "another video is shown");
});

test("a frame whose predecessor was dropped ends its video instead of waiting for ever", () => {
  const bench = new Bench();
  bench.receive(film(2, 1, 1, 0));
  assert.deepEqual(bench.screen.dropped(1).map((applied) => applied.number), [2]);
  assert.deepEqual(bench.failed, [1]);
  bench.receive(painting(3, [0], [RED]));
  assert.equal(bench.screen.wholeUpTo, 3);
});

test("a frame that is dropped while it is decoded is neither painted nor acknowledged", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 0));
  bench.screen.dropped(1);
  assert.deepEqual(await bench.decoded(), []);
  assert.equal(bench.screen.hasPicture && bench.at(40, 50), BLACK);
});

test("a video that moves its rectangle has failed", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 0));
  bench.receive(film(2, 1, 1, 0, { video: { video: 1, frame: 1, ...MIDDLE, x: 30 } }));
  await bench.decoded();
  assert.deepEqual(bench.failed, [1]);
});

test("a viewer that has no decoder says that the video failed, and goes on", () => {
  const failed: number[] = [];
  const screen = new ViewerScreen(KEY, new TileCache(KEY, 1 << 20), plainCodec);
  screen.listen({ appliedLater: () => undefined, videoFailed: (video) => failed.push(video), broken: () => undefined });
  assert.equal(screen.receive(film(1, 7, 0, 0)).length, 1);
  assert.deepEqual(failed, [7]);
});

test("a frame of video breaks a link that promised exact-only, and is passed over on one that turned to it", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 0));
  bench.screen.setPolicy("exact-only", false);
  assert.deepEqual(await bench.decoded(), [1]);
  assert.deepEqual(bench.receive(film(2, 1, 1, 0)), [2]);
  assert.deepEqual(await bench.decoded(), []);
  assert.equal(bench.at(40, 50), BLACK);
  bench.screen.setPolicy("exact-only", true);
  assert.throws(() => bench.receive(film(3, 1, 2, 0)), ProtocolError);
});

test("a new epoch closes the decoders; what they owed is acknowledged and never painted", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 0));
  bench.receive(film(4, 1, 3, 0));
  assert.deepEqual(bench.receive(painting(5, [0], [BLUE], { epoch: 2, width: 192, height: 128 })), [5, 4]);
  assert.ok(bench.decoders[0]?.isClosed);
  assert.deepEqual(await bench.decoded(), [1]);
  assert.deepEqual(bench.receive(film(2, 1, 1, 0)), [2]);
  assert.deepEqual(bench.receive(film(3, 1, 2, 0)), [3]);
  assert.deepEqual([bench.at(10, 10), bench.at(70, 50)], [BLUE, BLACK]);
  assert.equal(bench.screen.wholeUpTo, 5);
  bench.receive(film(6, 2, 0, 1, { epoch: 2, width: 192, height: 128, tiles: Uint32Array.of(0) }));
  assert.deepEqual(await bench.decoded(), [6]);
  assert.equal(bench.at(40, 50), GREEN);
  assert.deepEqual(bench.failed, []);
});

test("a link that has gone decodes and tells nothing more, and the next goes on from its screen", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 0));
  await bench.decoded();
  bench.receive(film(2, 1, 1, 1));
  const resumed = bench.screen.resumed();
  bench.screen.close();
  assert.ok(bench.decoders[0]?.isClosed);
  assert.deepEqual(await bench.decoded(), []);
  assert.deepEqual([bench.at(40, 50), resumed.framebuffer[50 * 128 + 40]], [RED, RED]);
  assert.deepEqual(resumed.shownHashes().hashes, bench.screen.allHashes());
});

test("what a frame makes ready may be wrong: then the link is told", async () => {
  const bench = new Bench();
  bench.receive(film(1, 1, 0, 0));
  bench.receive(update({ number: 2, after: 1, tiles: Uint32Array.of(0), payload: new Uint8Array(4) }));
  await bench.decoded();
  assert.ok(bench.errors[0] instanceof ProtocolError);
});

test("no more frames are decoded at once than the protocol allows", () => {
  const bench = new Bench();
  assert.throws(() => {
    for (let frame = 0; frame < 400; frame++) bench.receive(film(frame + 1, 1, frame, 0));
  }, ProtocolError);
});

test("tiles under video are hashed only when they are asked for", async () => {
  const bench = new Bench();
  bench.receive(painting(1, [0, 1, 2, 3], [RED, RED, RED, RED]));
  while (!bench.screen.hashSome(1));
  bench.receive(film(2, 1, 0, 1));
  await bench.decoded();
  let hashed = 0;
  const { tileHash } = plainCodec;
  plainCodec.tileHash = (...all) => (hashed++, tileHash(...all));
  try {
    assert.ok(bench.screen.hashSome(1));
    assert.equal(hashed, 0);
    bench.checkHashes();
    assert.equal(hashed, 4);
  } finally {
    plainCodec.tileHash = tileHash;
  }
});
