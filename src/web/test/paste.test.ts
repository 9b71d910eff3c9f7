import assert from "node:assert/strict";
import { test } from "node:test";
import { Paste, isPaste } from "../page/paste.ts";
import type { InputEvent } from "../wire/input.ts";

const key = (keysym: number): InputEvent => ({ type: "KeyDown", key: 4, keysym });

class Bench {
  readonly log: string[] = [];
  private due: [number, () => void][] = [];
  private now = 0;
  readonly paste = new Paste(
    (events) => this.log.push(...events.map((event) => (event.type === "KeyDown" ? `key ${event.keysym}` : event.type))),
    (copied) => this.log.push(typeof copied === "string" ? `clip ${copied}` : `picture of ${copied.length}`),
    (act, millis) => this.due.push([this.now + millis, act]),
  );

  pass(millis: number): void {
    this.now += millis;
    const ripe = this.due.filter(([at]) => at <= this.now);
    this.due = this.due.filter(([at]) => at > this.now);
    for (const [, act] of ripe) act();
  }
}

test("the keys that paste, and all after them, follow the text to the session", () => {
  const { paste, log } = new Bench();
  paste.input([key(1)]);
  paste.input([key(2)], true);
  paste.pasted("a text");
  paste.input([key(3)]);
  assert.deepEqual(log, ["key 1", "clip a text"]);
  paste.taken(true);
  paste.input([key(4)]);
  assert.deepEqual(log, ["key 1", "clip a text", "key 2", "key 3", "key 4"]);
});

test("a session that does not answer, and a browser that has nothing to paste, hold the keys up only for a moment", () => {
  const bench = new Bench();
  bench.paste.input([key(1)], true);
  bench.pass(59);
  assert.deepEqual(bench.log, []);
  bench.pass(1);
  assert.deepEqual(bench.log, ["key 1"]);
  bench.paste.input([key(2)], true);
  bench.paste.pasted("x");
  bench.pass(299);
  assert.deepEqual(bench.log, ["key 1", "clip x"]);
  bench.pass(1);
  assert.deepEqual(bench.log, ["key 1", "clip x", "key 2"]);
  bench.paste.taken(true);
  assert.equal(bench.log.length, 3);
});

test("what the session has already is not sent again, and what it copied itself never back", () => {
  const { paste, log } = new Bench();
  paste.input([key(1)], true);
  paste.pasted("x");
  paste.taken(true);
  paste.input([key(2)], true);
  paste.pasted("x");
  assert.deepEqual(log, ["clip x", "key 1", "key 2"]);
  paste.heard("of the session");
  paste.input([key(3)], true);
  paste.pasted("of the session");
  paste.input([key(4)], true);
  paste.pasted("x");
  assert.deepEqual(log.slice(3), ["key 3", "clip x"]);
  paste.taken(false);
  paste.input([key(5)], true);
  paste.pasted("x");
  assert.deepEqual(log.slice(5), ["key 4", "clip x"], "what was refused is asked again");
});

test("a session whose desktop was away is given the text again", () => {
  const { paste, log } = new Bench();
  for (const away of [false, false, true]) {
    if (away) paste.forget();
    paste.input([key(1)], true);
    paste.pasted("x");
    paste.taken(true);
  }
  assert.deepEqual(log, ["clip x", "key 1", "key 1", "clip x", "key 1"]);
});

test("the keys wait longer for a picture, which is read first, and is not sent twice", () => {
  const bench = new Bench();
  bench.paste.input([key(1)], true);
  bench.paste.reading();
  bench.pass(1000);
  bench.paste.pastedPicture(new Uint8Array([1, 2, 3]));
  bench.pass(2000);
  assert.deepEqual(bench.log, ["picture of 3"]);
  bench.paste.taken(true);
  bench.paste.input([key(2)], true);
  bench.paste.reading();
  bench.paste.pastedPicture(new Uint8Array([1, 2, 3]));
  bench.paste.input([key(3)], true);
  bench.paste.pastedPicture(new Uint8Array([1, 2, 4]));
  bench.pass(3000);
  assert.deepEqual(bench.log, ["picture of 3", "key 1", "key 2", "picture of 3", "key 3"]);
});

test("a picture that cannot be read or sent holds nothing up", () => {
  const { paste, log } = new Bench();
  paste.input([key(1)], true);
  paste.reading();
  paste.pastedPicture(null);
  assert.deepEqual(log, ["key 1"]);
});

test("browsers paste at Control or Command with V, and at Shift with Insert", () => {
  const keys = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };
  for (const pressed of [{ key: "v", ctrlKey: true }, { key: "V", ctrlKey: true, shiftKey: true }, { key: "v", metaKey: true }, { key: "Insert", shiftKey: true }]) {
    assert.equal(isPaste({ ...keys, ...pressed }), true, JSON.stringify(pressed));
  }
  for (const pressed of [{ key: "v" }, { key: "c", ctrlKey: true }, { key: "v", ctrlKey: true, altKey: true }, { key: "v", ctrlKey: true, metaKey: true }, { key: "Insert" }]) {
    assert.equal(isPaste({ ...keys, ...pressed }), false, JSON.stringify(pressed));
  }
});
