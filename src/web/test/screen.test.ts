import assert from "node:assert/strict";
import { test } from "node:test";
import { TileCache } from "../viewer/cache.ts";
import { rootOf } from "../viewer/proof.ts";
import { ViewerScreen } from "../viewer/screen.ts";
import { ProtocolError } from "../wire/bytes.ts";
import { Grid } from "../wire/update.ts";
import { flatHash, flatTiles, painting, plainCodec, plainHash, update } from "./session-double.ts";

const KEY = 0x1122_3344_5566_7788n;
const BLACK = 0xff00_0000;
const RED = 0xff00_00ff;
const GREEN = 0xff00_ff00;
const BLUE = 0xffff_0000;

function newScreen(cacheBytes = 1 << 20): ViewerScreen {
  return new ViewerScreen(KEY, new TileCache(KEY, cacheBytes), plainCodec);
}

const colours = (screen: ViewerScreen): number[] =>
  Array.from({ length: screen.grid.length }, (_, tile) => screen.framebuffer[screen.grid.y(tile) * screen.grid.width + screen.grid.x(tile)] as number);

test("a tile keeps the pixels of the highest update, in whatever order they arrive", () => {
  const screen = newScreen();
  screen.receive(painting(2, [0, 1], [GREEN, GREEN]));
  screen.receive(painting(1, [1, 2], [RED, RED]));
  assert.deepEqual(colours(screen), [GREEN, GREEN, RED, BLACK]);
});

test("every order of five updates ends in the same picture", () => {
  const updates = [
    painting(1, [0, 1, 2, 3], [RED, RED, RED, RED], { complete: false }),
    painting(2, [0, 1], [GREEN, GREEN]),
    update({ number: 3, after: 2, copies: [{ x: 0, y: 0, width: 64, height: 40, toX: 64, toY: 80 }] }),
    painting(4, [0], [BLUE], { after: 3 }),
    painting(5, [2], [GREEN], { after: 3 }),
  ];
  const permutations = (list: number[]): number[][] =>
    list.length < 2 ? [list] : list.flatMap((head, at) => permutations(list.toSpliced(at, 1)).map((rest) => [head, ...rest]));
  let expected: Uint32Array | null = null;
  for (const order of permutations([0, 1, 2, 3, 4])) {
    const screen = newScreen();
    for (const index of order) screen.receive(updates[index] as Uint8Array);
    expected ??= screen.framebuffer;
    assert.deepEqual(screen.framebuffer, expected, `order ${order}`);
    assert.equal(screen.wholeUpTo, 5);
  }
});

test("an update waits until all that it comes after has been applied or dropped", () => {
  const screen = newScreen();
  assert.equal(screen.receive(painting(3, [0], [BLUE], { after: 2 })).length, 0);
  assert.equal(screen.receive(painting(1, [0], [RED])).length, 1);
  const applied = screen.dropped(2);
  assert.deepEqual(applied.map((each) => each.number), [3]);
  assert.equal(colours(screen)[0], BLUE);
});

test("copies may overlap their own source in every direction", () => {
  for (const [toX, toY] of [[10, 0], [0, 10], [7, 9], [30, 3]] as [number, number][]) {
    for (const forwards of [true, false]) {
      const screen = newScreen();
      screen.receive(painting(1, [0, 1, 2, 3], [RED, GREEN, BLUE, BLACK]));
      for (let at = 0; at < screen.framebuffer.length; at++) screen.framebuffer[at] = at;
      const before = screen.framebuffer.slice();
      const source = forwards ? { x: 0, y: 0 } : { x: toX, y: toY };
      const target = forwards ? { toX, toY } : { toX: 0, toY: 0 };
      screen.receive(update({ number: 2, after: 1, copies: [{ ...source, ...target, width: 90, height: 90 }] }));
      for (let y = 0; y < 90; y++) {
        for (let x = 0; x < 90; x++) {
          const got = screen.framebuffer[(target.toY + y) * 128 + target.toX + x];
          assert.equal(got, before[(source.y + y) * 128 + source.x + x], `${x},${y} of ${toX},${toY} ${forwards}`);
        }
      }
    }
  }
});

test("tiles in the same update as a copy that touches them are painted over it", () => {
  const screen = newScreen();
  screen.receive(painting(1, [0, 1], [RED, GREEN]));
  screen.receive(painting(2, [1], [BLUE], { after: 1, copies: [{ x: 0, y: 0, width: 64, height: 64, toX: 32, toY: 0 }] }));
  assert.deepEqual(colours(screen).slice(0, 2), [RED, BLUE]);
});

test("a higher epoch starts with black in its size, and what is left of the old one is passed over", () => {
  const screen = newScreen();
  screen.receive(painting(1, [0], [RED]));
  screen.receive(painting(3, [0], [GREEN], { epoch: 2, width: 192, height: 64 }));
  assert.deepEqual([screen.grid.width, screen.grid.height], [192, 64]);
  assert.deepEqual(screen.receive(painting(2, [3], [BLUE])).map((each) => each.number), [2]);
  assert.deepEqual(colours(screen), [GREEN, BLACK, BLACK]);
  assert.equal(screen.wholeUpTo, 3);
});

test("what an update says to keep comes back by its hash, even before it was hashed", () => {
  const screen = newScreen();
  screen.receive(painting(1, [0, 1], [RED, GREEN]));
  screen.receive(painting(2, [0, 1], [BLUE, BLUE], { keep: true }));
  const [low, high] = flatHash(KEY, RED);
  const [applied] = screen.receive(update({ number: 3, cached: Uint32Array.of(3), cachedHashes: Uint32Array.of(low, high) }));
  assert.deepEqual(applied?.missing, []);
  assert.deepEqual(colours(screen), [BLUE, BLUE, BLACK, RED]);
});

test("a tile that the cache has not is reported, and the screen is not whole until it comes", () => {
  const screen = newScreen();
  screen.receive(painting(1, [0, 1], [RED, GREEN]));
  screen.receive(painting(2, [0], [BLUE]));
  const [low, high] = flatHash(KEY, RED);
  const [applied] = screen.receive(update({ number: 3, cached: Uint32Array.of(2), cachedHashes: Uint32Array.of(low, high) }));
  assert.deepEqual(applied?.missing, [2]);
  assert.equal(screen.wholeUpTo, null);
  screen.receive(painting(4, [2], [RED]));
  assert.equal(screen.wholeUpTo, 4);
});

test("the cache stays within its bytes and forgets the least recently used tile", () => {
  const cache = new TileCache(KEY, 3 * 16);
  const tile = (): Uint32Array => new Uint32Array(4);
  for (const name of [1, 2, 3]) cache.put(name, 0, 2, 2, tile());
  cache.get(1, 0, 2, 2);
  cache.put(4, 0, 2, 2, tile());
  assert.deepEqual([1, 2, 3, 4].map((name) => cache.has(name, 0)), [true, false, true, true]);
  assert.equal(cache.usedBytes, 48);
  assert.equal(cache.get(1, 0, 4, 1), null, "another shape is another tile");
  cache.put(5, 0, 8, 8, new Uint32Array(64));
  assert.equal(cache.usedBytes, 0, "what is larger than the cache does not stay in it");
});

test("the cache does not take one hash for another that shares 53 bits", () => {
  const cache = new TileCache(KEY, 1000);
  cache.put(1, 0x0020_0001, 1, 1, Uint32Array.of(9));
  assert.equal(cache.get(1, 0x0040_0001, 1, 1), null);
});

test("the root is FNV-1a over the hashes' bytes", () => {
  const reference = (bytes: Uint8Array): bigint =>
    bytes.reduce((hash, byte) => ((hash ^ BigInt(byte)) * 0x100_0000_01b3n) & 0xffff_ffff_ffff_ffffn, 0xcbf2_9ce4_8422_2325n);
  for (const words of [[], [0, 0], [1, 2, 0xffff_ffff, 0x8000_0000], Array.from({ length: 200 }, (_, at) => Math.imul(at, 0x9e37_79b1) >>> 0)]) {
    const hashes = Uint32Array.from(words);
    assert.equal(rootOf(hashes), reference(new Uint8Array(hashes.buffer)));
  }
});

test("hashes of the whole screen follow every kind of change", () => {
  const screen = newScreen();
  const check = (): void => {
    while (!screen.hashSome(1));
    const grid = new Grid(128, 128);
    const expected: number[] = [];
    for (let tile = 0; tile < grid.length; tile++) {
      const pixels = new Uint32Array(64 * 64);
      for (let row = 0; row < 64; row++) {
        const from = (grid.y(tile) + row) * 128 + grid.x(tile);
        pixels.set(screen.framebuffer.subarray(from, from + 64), row * 64);
      }
      expected.push(...plainHash(Number(KEY & 0xffff_ffffn), Number(KEY >> 32n), pixels, 64, 64));
    }
    assert.deepEqual([...screen.allHashes()], expected);
    assert.equal(screen.root(), rootOf(Uint32Array.from(expected)));
  };
  screen.receive(painting(1, [0, 3], [RED, GREEN]));
  check();
  screen.receive(painting(2, [0], [BLUE], { keep: true }));
  check();
  screen.receive(update({ number: 3, after: 2, copies: [{ x: 3, y: 3, width: 50, height: 50, toX: 60, toY: 70 }] }));
  check();
  const [low, high] = flatHash(KEY, RED);
  screen.receive(update({ number: 4, cached: Uint32Array.of(1), cachedHashes: Uint32Array.of(low, high) }));
  check();
});

test("a resumed screen goes on from what was shown, in epoch 1, with numbers from 1", () => {
  const screen = newScreen();
  screen.receive(painting(1, [0, 1], [RED, GREEN]));
  screen.receive(painting(2, [2], [BLUE], { epoch: 4 }));
  const resumed = screen.resumed();
  assert.deepEqual(resumed.shownHashes().hashes, screen.shownHashes().hashes);
  resumed.receive(painting(1, [3], [RED], { epoch: 1 }));
  assert.deepEqual(colours(resumed), [BLACK, BLACK, BLUE, RED]);
  assert.deepEqual(colours(screen), [BLACK, BLACK, BLUE, BLACK], "the first link's screen is its own");
});

test("an update that comes after its Dropped changes nothing", () => {
  const screen = newScreen();
  screen.dropped(1);
  assert.deepEqual(screen.receive(painting(1, [0], [RED])), []);
});

test("a waiting update sent twice, or one too far ahead, is refused", () => {
  const screen = newScreen();
  screen.receive(painting(1, [0], [RED]));
  screen.receive(painting(3, [0], [RED], { after: 2 }));
  assert.throws(() => screen.receive(painting(3, [0], [RED], { after: 2 })), ProtocolError);
  assert.throws(() => screen.receive(painting(1 << 20, [0], [RED])), ProtocolError);
});

test("no more updates wait than the protocol allows", () => {
  const screen = newScreen();
  assert.throws(() => {
    for (let number = 3; number < 400; number++) screen.receive(update({ number, after: 2 }));
  }, ProtocolError);
});

test("no more bytes wait than the protocol allows", () => {
  const screen = newScreen();
  const payload = new Uint8Array(20 << 20);
  assert.throws(() => {
    for (let number = 3; number < 9; number++) screen.receive(update({ number, after: 2, payload }));
  }, ProtocolError);
});

test("an update that was dropped while it waited does not come back", () => {
  const screen = newScreen();
  screen.receive(painting(3, [0], [BLUE], { after: 2 }));
  screen.dropped(3);
  assert.deepEqual(screen.dropped(2), []);
  screen.receive(painting(1, [0], [RED]));
  assert.equal(colours(screen)[0], RED);
  assert.equal(screen.wholeUpTo, null, "the newest update never came");
});

test("the damage after an update covers what changed and no more than the screen", () => {
  const screen = newScreen();
  screen.receive(painting(1, [0], [RED], { width: 320, height: 320 }));
  screen.damage.take();
  screen.receive(painting(2, [7, 12], [GREEN, GREEN], { width: 320, height: 320 }));
  assert.deepEqual(screen.damage.take(), [{ x: 128, y: 64, width: 64, height: 128 }]);
  assert.ok(screen.damage.isEmpty);
});

test("a part of a tile leaves the rest of it as it was", () => {
  const screen = newScreen();
  const grid = new Grid(128, 128);
  screen.receive(update({ number: 1, tiles: Uint32Array.of(0, 3), payload: flatTiles(grid, [0, 3], [7, 8]) }));
  const part = { tile: 3, x: 60, y: 2, width: 4, height: 3 };
  const payload = new Uint8Array(new Uint32Array(12).fill(9).buffer);
  screen.receive(update({ number: 2, tiles: Uint32Array.of(3), parts: [part], payload }));
  const at = (x: number, y: number): number => screen.framebuffer[y * 128 + x] as number;
  assert.deepEqual([at(124, 66), at(127, 68)], [9, 9]);
  assert.deepEqual([at(123, 66), at(124, 65), at(124, 69), at(0, 0)], [8, 8, 8, 7]);
  // A later one that came before it is not undone.
  screen.receive(update({ number: 4, tiles: Uint32Array.of(3), payload: flatTiles(grid, [3], [5]) }));
  screen.receive(update({ number: 3, tiles: Uint32Array.of(3), parts: [part], payload }));
  assert.equal(at(124, 66), 5);
});
