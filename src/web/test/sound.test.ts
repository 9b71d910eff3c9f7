import assert from "node:assert/strict";
import { test } from "node:test";
import { MOST, Playout, TARGET } from "../page/playout.ts";
import { ProtocolError } from "../wire/bytes.ts";
import { Feature } from "../wire/control.ts";
import { MAX_SOUND } from "../wire/limits.ts";
import { decodeSound, encodeSound } from "../wire/sound.ts";
import { Bench, GREEN, RED } from "./bench.ts";
import { painting } from "./session-double.ts";

const FRAME = 0.02;
const FORMAT = { rate: 48_000, channels: 2, frame: 960 };
const packet = (number: number): Uint8Array => encodeSound({ number, timeMicros: 5, opus: Uint8Array.of(0xfc, 1) });
const near = (found: number | undefined, wanted: number): void => assert.ok(Math.abs((found ?? NaN) - wanted) < 1e-9, `${found} is not ${wanted}`);

test("frames that come in time are played one after the other without a gap", () => {
  const playout = new Playout();
  const first = playout.place(1, FRAME)[0];
  near(first, 1 + TARGET);
  for (let at = 1; at < 500; at++) {
    // Up to 50 ms late or early.
    const now = 1 + at * FRAME + ((at * 7) % 6) * 0.01 - 0.02;
    const places = playout.place(now, FRAME);
    assert.equal(places.length, 1);
    near(places[0], 1 + TARGET + at * FRAME);
  }
  assert.deepEqual([playout.left, playout.repeated, playout.begun], [0, 0, 1]);
});

test("frames that come all at once wait no longer than the bound, and the rest is left out", () => {
  const playout = new Playout();
  const places = Array.from({ length: 100 }, () => playout.place(1, FRAME)).flat();
  assert.ok(places.every((at) => at <= 1 + MOST + FRAME));
  assert.equal(places.length + playout.left, 100);
  assert.ok(playout.left > 80);
});

test("after a pause playing begins anew, a little later than the frame comes", () => {
  const playout = new Playout();
  playout.place(1, FRAME);
  near(playout.place(3, FRAME)[0], 3 + TARGET);
  assert.equal(playout.begun, 2);
});

for (const [what, drift] of [["faster", 1.002], ["slower", 0.998]] as const) {
  test(`a session whose clock runs ${what} is played for minutes without a pause`, () => {
    const playout = new Playout();
    let latest = 0;
    for (let at = 0; at < 30_000; at++) {
      const now = 1 + (at * FRAME) / drift;
      for (const place of playout.place(now, FRAME)) latest = Math.max(latest, place - now);
    }
    assert.equal(playout.begun, 1);
    assert.ok(latest < MOST, `${latest}`);
    assert.ok(playout.left + playout.repeated > 40 && playout.left + playout.repeated < 80);
  });
}

test("sound is asked for on each link anew, and none is heard unasked or from a link that is not shown", async () => {
  const bench = new Bench();
  await bench.pass(200);
  const [quic, socket] = [bench.newest("webtransport"), bench.newest("websocket")];
  quic.open();
  assert.equal((quic.last("Attach")?.features ?? 0n) & Feature.sound, Feature.sound);
  quic.attached();
  socket.open();
  socket.attached();
  quic.say({ type: "Sound", format: FORMAT });
  assert.deepEqual(bench.messages.filter((message) => message.type === "Sound"), [{ type: "Sound", format: FORMAT }]);
  quic.datagram(packet(1));
  bench.viewer.hear(true);
  assert.deepEqual([quic.last("SoundWanted")?.wanted, socket.last("SoundWanted")], [true, undefined]);
  quic.datagram(packet(2));
  socket.datagram(packet(3));
  socket.say({ type: "Sound", format: FORMAT });
  // The other road is whole first.
  socket.stream(painting(1, [0, 1], [RED, GREEN]));
  assert.equal(bench.viewer.active?.road, "websocket");
  assert.equal(socket.last("SoundWanted")?.wanted, true);
  quic.datagram(packet(4));
  socket.datagram(packet(5));
  socket.datagram(Uint8Array.of(77, 1));
  bench.viewer.hear(false);
  assert.equal(socket.last("SoundWanted")?.wanted, false);
  socket.datagram(packet(6));
  assert.deepEqual(bench.heard, [2, 5]);
});

test("a packet that is too long is refused", () => {
  const long = (bytes: number): Uint8Array => encodeSound({ number: 1, timeMicros: 1, opus: new Uint8Array(bytes) });
  assert.equal(decodeSound(long(MAX_SOUND))?.opus.length, MAX_SOUND);
  assert.throws(() => decodeSound(long(MAX_SOUND + 1)), ProtocolError);
});
