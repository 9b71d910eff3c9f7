// What stands in a recording, read and played: bytes as src/recording/format.rs writes them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Part, RecordParser, type Timed, indexOffset, keyBefore } from "../recording/format.ts";
import { Player } from "../recording/player.ts";
import { Writer, utf8 } from "../wire/bytes.ts";
import { encodeMessage } from "../wire/control.ts";

const record = (w: Writer, kind: number, passed: number, body: Uint8Array): Writer => w.varint(kind).varint(passed).lengthAndBytes(body);
const at = (x: number): Uint8Array => encodeMessage({ type: "CursorAt", x, y: 1 });

/** Whole screens at 1 s and 3 s, the pointer in between. */
function sample(): { bytes: Uint8Array; index: number } {
  const w = new Writer();
  for (const byte of utf8("CHEVREC1")) w.u8(byte);
  record(w, 0, 0, new Writer().u64(7n).text("desk").text("Front desk").text("test").done());
  const keys = [w.done().length];
  record(w, 1, 1_000_000, new Writer().varint(1_000_000).varint(2).lengthAndBytes(at(10)).done());
  record(w, 4, 0, new Uint8Array(50));
  record(w, 99, 0, new Uint8Array(3));
  record(w, 2, 500_000, at(20));
  keys.push(w.done().length);
  record(w, 1, 1_500_000, new Writer().varint(3_000_000).varint(2).lengthAndBytes(at(30)).done());
  record(w, 2, 1_000_000, at(40));
  const index = w.done().length;
  const entries = new Writer().varint(4_000_000).varint(2).varint(1_000_000).varint(keys[0] as number).varint(3_000_000).varint(keys[1] as number);
  record(w, 6, 0, entries.done());
  const end = new Writer().u64(BigInt(index));
  for (const byte of utf8("CHEVEND1")) end.u8(byte);
  record(w, 7, 0, end.done());
  return { bytes: w.done().slice(), index };
}

function read(bytes: Uint8Array, piece: number): Timed[] {
  const parser = new RecordParser();
  const all: Timed[] = [];
  for (let from = 0; from < bytes.length; from += piece) {
    parser.feed(bytes.subarray(from, from + piece));
    for (let next = parser.next(); next !== null; next = parser.next()) all.push(next);
  }
  return all;
}

const source = (bytes: Uint8Array, piece = 7) => ({ size: bytes.length, read: (offset: number) => Promise.resolve(bytes.subarray(offset, offset + piece)) });
const codec = { decode: () => undefined, learnt: () => null, tileHash: () => [0, 0] as [number, number] };

async function opened(bytes: Uint8Array): Promise<Player> {
  const player = new Player(source(bytes), codec, null, () => undefined);
  await player.open();
  return player;
}

test("records read alike in whatever pieces they come, and what is not known is passed over", () => {
  const { bytes, index } = sample();
  const whole = read(bytes, bytes.length);
  assert.deepEqual(whole.map((each) => [each.time, each.content.type]), [
    [0, "header"], [1_000_000, "key"], [1_500_000, "part"], [3_000_000, "key"], [4_000_000, "part"], [4_000_000, "index"], [4_000_000, "end"],
  ]);
  for (const piece of [1, 3, 17]) assert.deepEqual(read(bytes, piece), whole);
  assert.equal(indexOffset(bytes.slice(-16)), index);
  const part = whole[2]?.content as { part: Part };
  assert.deepEqual(part.part, { control: { type: "CursorAt", x: 20, y: 1 } });
});

test("seeking shows what playing shows, forwards and backwards", async () => {
  const player = await opened(sample().bytes);
  assert.equal(player.damage, null);
  assert.deepEqual(player.header, { beganUnixMillis: 7, session: "desk", title: "Front desk", software: "test" });
  for (const [time, x] of [[3_500_000, 30], [1_200_000, 10], [9_000_000, 40], [1_500_000, 20], [3_000_000, 30], [0, null]] as const) {
    await player.seek(time === 0 ? 1_000_000 : time);
    assert.equal(player.cursorAt?.x ?? null, x ?? 10, `at ${time}`);
  }
});

test("a recording that was cut is played up to there, and says so", async () => {
  const { bytes, index } = sample();
  const player = await opened(bytes.subarray(0, index - 3));
  assert.notEqual(player.damage, null);
  assert.equal(player.index.keys.length, 2);
  await player.seek(3_000_000);
  assert.equal(player.cursorAt?.x, 30);
  assert.equal(keyBefore(player.index, 2_000_000)?.time, 1_000_000);
});

test("what is no recording, or has no whole screen, is refused", async () => {
  assert.throws(() => read(utf8("age-encryption.org"), 100), /no recording/);
  await assert.rejects(opened(sample().bytes.subarray(0, 40)));
});
