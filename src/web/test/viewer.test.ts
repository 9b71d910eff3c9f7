import assert from "node:assert/strict";
import { test } from "node:test";
import { knownBadReason } from "../viewer/roads.ts";
import type { OpenDecoder, Picture } from "../viewer/videos.ts";
import { CloseCode, type Gateway } from "../wire/control.ts";
import type { InputEvent } from "../wire/input.ts";
import { BLACK, Bench, GREEN, RED } from "./bench.ts";
import { type Far, flatHash, painting, update } from "./session-double.ts";

const letter = (keysym: number): InputEvent => ({ type: "KeyDown", key: 4, keysym });

test("QUIC is dialled at once and WebSocket 200 ms later", async () => {
  const bench = new Bench();
  assert.deepEqual(bench.roads(), ["webtransport"]);
  await bench.pass(150);
  assert.deepEqual(bench.roads(), ["webtransport"]);
  await bench.pass(50);
  assert.deepEqual(bench.roads(), ["webtransport", "websocket"]);
});

test("WebSocket is dialled at once when QUIC is not to be had", () => {
  assert.deepEqual(new Bench(false).roads(), ["websocket"]);
});

test("WebSocket is dialled at once when QUIC fails", () => {
  const bench = new Bench();
  bench.newest("webtransport").broken();
  assert.deepEqual(bench.roads(), ["webtransport", "websocket"]);
  assert.notEqual(bench.memory, null);
});

test("Hello and Attach are sent together, with the ticket and the wanted size", () => {
  const bench = new Bench();
  const far = bench.newest("webtransport");
  far.open();
  assert.deepEqual(far.said.map((message) => message.type), ["Hello", "Attach"]);
  const attach = far.last("Attach");
  assert.deepEqual([attach?.session, attach?.width, attach?.token, attach?.screen], ["s", 128, null, null]);
});

test("the road that first carries a whole screen wins and the other is closed", async () => {
  const bench = new Bench();
  await bench.pass(200);
  const quic = bench.newest("webtransport");
  const socket = bench.newest("websocket");
  quic.open();
  quic.attached();
  socket.open();
  socket.attached({ token: new Uint8Array(16).fill(9) });
  assert.equal(bench.viewer.active?.road, "webtransport", "the first to attach is shown meanwhile");
  socket.stream(painting(1, [0], [RED]));
  assert.equal(bench.viewer.active?.road, "websocket");
  assert.notEqual(quic.closedWith, null);
});

test("a screen is exact only when the session agrees with the proof of the newest update", () => {
  const bench = new Bench();
  const far = bench.newest("webtransport");
  far.open();
  far.attached();
  far.stream(painting(1, [0], [RED]));
  assert.equal(bench.viewer.exactness, "moving");
  bench.settle();
  far.say({ type: "Verdict", update: 1, agreed: false });
  assert.notEqual(bench.viewer.exactness, "exact");
  far.stream(painting(2, [1], [GREEN]));
  bench.settle();
  far.say({ type: "Verdict", update: 1, agreed: true });
  assert.notEqual(bench.viewer.exactness, "exact", "that was an older update");
  far.say({ type: "Verdict", update: 2, agreed: true });
  assert.equal(bench.viewer.exactness, "exact");
  far.say({ type: "Busy", busy: true });
  assert.notEqual(bench.viewer.exactness, "exact", "more is known to follow");
});

test("moving becomes settling when nothing has arrived for 300 ms", async () => {
  const bench = new Bench();
  const far = bench.newest("webtransport");
  far.open();
  far.attached();
  far.stream(painting(1, [0], [RED], { complete: false }));
  assert.equal(bench.viewer.exactness, "moving");
  await bench.pass(350, [far]);
  assert.equal(bench.viewer.exactness, "settling");
});

test("every update is acknowledged with the tiles that were missing", () => {
  const bench = new Bench();
  const far = bench.newest("webtransport");
  far.open();
  far.attached();
  far.stream(painting(1, [0], [RED]));
  far.stream(update({ number: 2, cached: Uint32Array.of(3), cachedHashes: Uint32Array.of(1, 2) }));
  const acks = far.said.filter((message) => message.type === "Ack").map((ack) => [ack.update, ack.missing]);
  assert.deepEqual(acks, [[1, []], [2, [3]]]);
});

test("all tile hashes are sent when they are asked for, if the picture is still that one", () => {
  const bench = new Bench();
  const far = bench.newest("webtransport");
  bench.exactOver(far);
  far.say({ type: "HashesWanted", update: 1 });
  assert.equal(far.last("Hashes")?.hashes.length, 8);
  far.stream(painting(2, [3], [RED]));
  far.say({ type: "HashesWanted", update: 1 });
  assert.equal(far.said.filter((message) => message.type === "Hashes").length, 1);
});

test("updates that overtake Attached are applied after it", () => {
  const bench = new Bench();
  const far = bench.newest("webtransport");
  far.open();
  far.stream(painting(1, [0], [RED]));
  far.attached();
  assert.equal(bench.viewer.active?.isWhole, true);
});

test("the viewer pings when it has heard nothing for 500 ms, and says silent after 2 s", async () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  bench.exactOver(far);
  await bench.pass(1900);
  assert.ok(far.said.filter((message) => message.type === "Ping").length >= 3);
  assert.equal(bench.viewer.phase, "live");
  await bench.pass(200);
  assert.equal(bench.viewer.phase, "silent");
});

test("a road that falls silent is left for the other, going on by token and hashes", async () => {
  const bench = new Bench();
  const quic = bench.newest("webtransport");
  bench.exactOver(quic);
  bench.viewer.input([letter(0x61), letter(0x62)]);
  quic.say({ type: "InputAck", next: 1 });
  await bench.pass(1100);
  const socket = bench.newest("websocket");
  assert.equal(bench.viewer.phase, "live", "the other road is tried before the silence is announced");
  socket.open();
  const attach = socket.last("Attach");
  assert.deepEqual(attach?.token, new Uint8Array(16).fill(7));
  assert.equal(attach?.screen?.hashes.length, 8);
  socket.attached({ nextInput: 1 });
  socket.stream(update({ number: 1 }));
  assert.equal(bench.viewer.active?.road, "websocket");
  assert.equal(socket.firstInput, 1);
  assert.deepEqual(socket.input, [letter(0x62)], "what was not acknowledged is sent again, once");
  bench.settle();
  assert.ok(socket.judge([flatHash(5n, RED), flatHash(5n, GREEN), flatHash(5n, BLACK), flatHash(5n, BLACK)]), "the picture is kept");
});

test("an update that Busy announced and that does not progress for 2 s moves the viewer to the other road", async () => {
  const bench = new Bench();
  const quic = bench.newest("webtransport");
  bench.exactOver(quic);
  quic.say({ type: "Busy", busy: true });
  await bench.pass(1900, [quic]);
  assert.deepEqual(bench.roads(), ["webtransport"]);
  await bench.pass(300, [quic]);
  assert.deepEqual(bench.roads(), ["webtransport", "websocket"]);
});

test("keys typed while the connection is interrupted are refused, not queued", async () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  bench.exactOver(far);
  bench.reachable = false;
  await bench.pass(2200);
  bench.viewer.input([letter(0x61)]);
  assert.equal(bench.refused, 1);
  far.say({ type: "Busy", busy: false });
  bench.viewer.tick();
  assert.equal(bench.viewer.phase, "live", "the old link woke up");
  assert.deepEqual(far.input, [{ type: "ReleaseAll" }], "keys whose release was refused are let go");
});

test("a broken link is dialled anew at once, and again when the gateway answers", async () => {
  const bench = new Bench(false);
  bench.exactOver(bench.newest("websocket"));
  bench.newest("websocket").broken();
  assert.equal(bench.dialled.length, 2);
  assert.equal(bench.viewer.phase, "live");
  bench.newest("websocket").broken();
  bench.reachable = false;
  await bench.pass(5000);
  assert.equal(bench.viewer.phase, "silent");
  const before = bench.dialled.length;
  bench.reachable = true;
  await bench.pass(600);
  assert.equal(bench.dialled.length, before + 1);
  const far = bench.newest("websocket");
  far.open();
  far.attached();
  assert.equal(bench.viewer.phase, "silent", "attached is not yet a picture");
  far.stream(update({ number: 1 }));
  assert.equal(bench.viewer.phase, "live");
});

test("a session that does not know the viewer any more gets no old input", async () => {
  const bench = new Bench(false);
  bench.exactOver(bench.newest("websocket"));
  bench.viewer.input([letter(0x61)]);
  bench.newest("websocket").broken();
  const far = bench.newest("websocket");
  far.open();
  far.attached({ token: new Uint8Array(16).fill(1), key: 6n, nextInput: 40 });
  far.stream(painting(1, [0], [RED]));
  assert.equal(far.firstInput, 40);
  assert.deepEqual(far.input, []);
});

test("being taken over ends the viewer and says where to", () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  bench.exactOver(far);
  far.say({ type: "Closing", code: CloseCode.takenOver, reason: "poste 12" });
  assert.equal(bench.viewer.phase, "ended");
  assert.deepEqual(bench.viewer.ending, { code: CloseCode.takenOver, reason: "poste 12" });
});

for (const code of [CloseCode.signedOut, CloseCode.locked]) {
  test(`whoever is let out (${code}) sees nothing more, and no link is tried again`, async () => {
    const bench = new Bench(false);
    const far = bench.newest("websocket");
    bench.exactOver(far);
    const dialled = bench.dialled.length;
    far.say({ type: "Closing", code, reason: "" });
    await bench.pass(3000);
    assert.equal(bench.viewer.ending?.code, code);
    assert.deepEqual([bench.wiped, bench.dialled.length], [1, dialled]);
  });
}

test("a gateway that goes away is left without a word to the user", async () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  bench.exactOver(far);
  far.say({ type: "Closing", code: CloseCode.goingAway, reason: "" });
  const next = bench.newest("websocket");
  assert.notEqual(next, far);
  next.open();
  next.attached();
  next.stream(update({ number: 1 }));
  assert.equal(bench.viewer.phase, "live");
});

test("a refused ticket ends the viewer once no road is left", () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  far.open();
  far.say({ type: "Closing", code: CloseCode.refused, reason: "" });
  assert.equal(bench.viewer.phase, "ended");
});

test("a session that breaks the protocol is left and dialled anew", async () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  bench.exactOver(far);
  far.stream(painting(9, [0], [RED], { after: 8 }));
  assert.throws(() => far.stream(painting(9, [0], [RED], { after: 8 })), /came twice/);
  far.broken(CloseCode.protocolError);
  assert.equal(bench.dialled.length, 2);
});

test("a session whose links break at once is not dialled in a tight loop", async () => {
  const bench = new Bench(false);
  for (let round = 0; round < 200; round++) {
    const far = bench.newest("websocket");
    if (far.closedWith === null && far.said.length === 0) {
      far.open();
      far.attached();
      far.stream(painting(1, [0], [RED]));
      far.broken(CloseCode.protocolError);
    }
    await bench.pass(50);
  }
  assert.ok(bench.dialled.length > 5 && bench.dialled.length < 45, `${bench.dialled.length} dials in 10 s`);
});

test("tiles that cannot be decoded break the link's protocol, wherever they had waited", () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  far.open();
  far.attached();
  far.stream(update({ number: 2, after: 1, tiles: Uint32Array.of(0), payload: Uint8Array.of(1, 2, 3, 4) }));
  assert.throws(() => far.say({ type: "Dropped", update: 1 }), { name: "ProtocolError" });
});

test("on WebSocket, QUIC is tried again after 30 s, then ever more rarely, and taken when it works", async () => {
  const bench = new Bench();
  bench.newest("webtransport").broken();
  const socket = bench.newest("websocket");
  bench.exactOver(socket);
  await bench.pass(29_000, [socket]);
  assert.equal(bench.dialled.length, 2);
  await bench.pass(2000, [socket]);
  assert.deepEqual(bench.roads().slice(2), ["webtransport"]);
  bench.newest("webtransport").broken();
  assert.equal(bench.memory?.retryAfterMs, 60_000);
  await bench.pass(59_000, [socket]);
  assert.equal(bench.dialled.length, 3);
  await bench.pass(2000, [socket]);
  const quic = bench.newest("webtransport");
  quic.open();
  quic.attached();
  assert.equal(bench.viewer.active?.road, "websocket");
  quic.stream(update({ number: 1 }));
  assert.equal(bench.viewer.active?.road, "webtransport");
  assert.equal(bench.memory, null);
});

test("a gateway's restart is no failure of QUIC: both roads are raced again, QUIC first", async () => {
  const bench = new Bench();
  bench.exactOver(bench.newest("webtransport"));
  bench.reachable = false;
  bench.newest("webtransport").broken();
  assert.deepEqual(bench.roads(), ["webtransport", "webtransport"]);
  bench.newest("webtransport").broken();
  assert.deepEqual(bench.roads().slice(2), ["websocket"], "it need not wait for what has failed");
  bench.newest("websocket").broken();
  await bench.pass(3000);
  assert.equal(bench.viewer.phase, "silent");
  const before = bench.dialled.length;
  bench.reachable = true;
  await bench.pass(500);
  assert.equal(bench.roads()[before], "webtransport");
  const quic = bench.newest("webtransport");
  quic.open();
  quic.attached();
  quic.stream(update({ number: 1 }));
  assert.equal(bench.viewer.phase, "live");
  assert.equal(bench.viewer.active?.road, "webtransport");
  assert.equal(bench.memory, null);
});

test("QUIC that worked, and does not any more while WebSocket does, has failed", async () => {
  const bench = new Bench();
  bench.exactOver(bench.newest("webtransport"));
  bench.newest("webtransport").broken();
  await bench.pass(200);
  const socket = bench.newest("websocket");
  socket.open();
  socket.attached();
  socket.stream(update({ number: 1 }));
  assert.equal(bench.viewer.active?.road, "websocket");
  assert.equal(bench.memory?.retryAfterMs, 30_000);
});

test("a browser that remembers that QUIC failed begins with WebSocket", () => {
  const bench = new Bench(true, { failedAt: 900, retryAfterMs: 30_000 });
  assert.deepEqual(bench.roads(), ["websocket"]);
});

test("a slow QUIC dial that hangs does not pile up links", async () => {
  const bench = new Bench();
  await bench.pass(20_000);
  const open = bench.dialled.filter((far) => far.closedWith === null);
  assert.ok(open.length <= 6, `${open.length} links are open`);
});

test("a second link that never carries a whole screen is given up while the first works", async () => {
  const bench = new Bench();
  await bench.pass(200);
  const quic = bench.newest("webtransport");
  const socket = bench.newest("websocket");
  for (const far of [quic, socket]) {
    far.open();
    far.attached();
    far.stream(painting(1, [0], [RED], { complete: false }));
  }
  await bench.pass(12_000, [quic, socket]);
  assert.equal(bench.viewer.active?.road, "webtransport");
  assert.notEqual(socket.closedWith, null);
});

test("pointer motion goes as datagrams while the session is live", () => {
  const bench = new Bench(false);
  const far = bench.newest("websocket");
  bench.viewer.pointerMoved(1, 2);
  bench.exactOver(far);
  bench.viewer.pointerMoved(3, 4);
  assert.equal(far.datagrams, 1);
});

test("known bad browsers are found by their name, and a bad pattern harms nothing", () => {
  const list = [
    { road: "webtransport", user_agent: "(", reason: "broken" },
    { road: "webtransport", user_agent: "Firefox/1[0-3]\\d\\.", reason: "old" },
  ];
  assert.equal(knownBadReason(list, "webtransport", "Mozilla/5.0 Firefox/128.0"), "old");
  assert.equal(knownBadReason(list, "websocket", "Mozilla/5.0 Firefox/128.0"), null);
  assert.equal(knownBadReason(list, "webtransport", "Mozilla/5.0 Firefox/153.0"), null);
});

/** Decodes at once what does not begin with 9: all blue. */
const blueDecoder: OpenDecoder = (width, height) => ({
  decode: async (bytes): Promise<Picture> => {
    if (bytes[0] === 9) throw new Error("not H.264");
    return { rgba: new Uint32Array(width * height).fill(0xffff_0000), decodeMicros: 900 };
  },
  close: () => undefined,
});

const frame = (number: number, at: number, first = 0): Uint8Array =>
  update({
    number,
    complete: false,
    tiles: Uint32Array.of(0),
    video: { video: 1, frame: at, x: 0, y: 0, width: 128, height: 64 },
    payload: Uint8Array.of(first),
  });

test("only a viewer that decodes H.264 says so", () => {
  for (const [openDecoder, features] of [[null, 254n], [blueDecoder, 255n]] as const) {
    const far = new Bench(true, null, openDecoder).newest("webtransport");
    far.open();
    assert.equal(far.last("Attach")?.features, features);
  }
});

test("a frame of video is acknowledged with its own time once it is shown, and is never exact", async () => {
  const bench = new Bench(true, null, blueDecoder);
  const far = bench.newest("webtransport");
  bench.exactOver(far);
  const presented = bench.presented;
  far.stream(frame(2, 0));
  assert.deepEqual([far.last("Ack")?.update, bench.presented], [1, presented]);
  await bench.pass(0);
  await bench.pass(50);
  assert.deepEqual(far.last("Ack"), { type: "Ack", update: 2, decodeMicros: 900, missing: [] });
  assert.equal(bench.viewer.active?.videoFrames, 1);
  assert.ok(bench.presented > presented);
  assert.notEqual(bench.viewer.exactness, "exact");
  assert.equal(far.last("Proof")?.update, 1, "nothing is proven while tiles are owed");
  far.stream(painting(3, [0], [RED]));
  bench.settle();
  assert.ok(far.judge([flatHash(5n, RED), flatHash(5n, GREEN), flatHash(5n, BLACK), flatHash(5n, BLACK)]));
  assert.equal(bench.viewer.exactness, "exact");
});

test("a video that fails is told to the session, and its frames are acknowledged", async () => {
  const bench = new Bench(true, null, blueDecoder);
  const far = bench.newest("webtransport");
  bench.exactOver(far);
  far.stream(frame(2, 0));
  far.stream(frame(3, 1, 9));
  await bench.pass(100);
  far.stream(frame(4, 2));
  assert.deepEqual(far.said.filter((message) => message.type === "VideoFailed"), [{ type: "VideoFailed", video: 1 }]);
  assert.equal(far.last("Ack")?.update, 4);
  assert.equal(far.closedWith, null);
});

test("the session's promise is known from the beginning and when it changes", () => {
  const bench = new Bench(true, null, blueDecoder);
  const far = bench.newest("webtransport");
  far.open();
  far.attached({ policy: "motion" });
  assert.equal(bench.viewer.active?.policy, "motion");
  far.say({ type: "Policy", policy: "exact-only" });
  assert.equal(bench.viewer.active?.policy, "exact-only");
  far.stream(painting(1, [0], [RED]));
  far.stream(frame(2, 0));
  const strict = new Bench(true, null, blueDecoder);
  const other = strict.newest("webtransport");
  other.open();
  other.attached({ policy: "exact-only" });
  assert.throws(() => other.stream(frame(1, 0)), /never to send a lossy pixel/, "the link closes on what is thrown");
});

test("what a decoded frame lets through and is wrong ends the link", async () => {
  const bench = new Bench(true, null, blueDecoder);
  const far = bench.newest("webtransport");
  bench.exactOver(far);
  far.stream(frame(2, 0));
  far.stream(update({ number: 3, after: 2, tiles: Uint32Array.of(0), payload: new Uint8Array(4) }));
  await bench.pass(100);
  assert.equal(far.closedWith, CloseCode.protocolError);
});

const other = { host: "gw-2.example", udpPort: 4380, tcpPort: 443, tls: true, pins: [] };

test("what is typed and not answered has another gateway dialled, which goes on with screen, viewer and input", async () => {
  const bench = new Bench();
  const here = bench.newest("webtransport");
  bench.exactOver(here);
  here.say({ type: "Gateways", gateways: [other] });
  await bench.pass(1000, [here]);
  bench.viewer.input([letter(0x61), letter(0x62)]);
  here.say({ type: "InputAck", next: 1 });
  await bench.pass(350);
  assert.deepEqual(bench.dialled.map((far) => far.gateway), [null]);
  await bench.pass(150);
  const there = bench.dialled.at(-1) as Far;
  assert.equal(there.gateway, "gw-2.example");
  there.open();
  const attach = there.last("Attach");
  assert.deepEqual([attach?.token, attach?.screen !== null], [new Uint8Array(16).fill(7), true]);
  there.attached({ nextInput: 0 });
  there.say({ type: "Busy", busy: false });
  assert.equal(bench.viewer.active?.gateway?.host, "gw-2.example");
  assert.deepEqual([there.firstInput, there.input.length], [1, 1], "what was acknowledged is not sent again");
  assert.equal(bench.viewer.phase, "live");
});

test("a gateway that has not got the session yet is asked again, though it told of the one that had it", async () => {
  const bench = new Bench();
  const here = bench.newest("webtransport");
  bench.exactOver(here);
  const first = { ...other, host: "gw-1.example" };
  here.say({ type: "Gateways", gateways: [other] });
  const asked = (): number => bench.dialled.filter((far) => far.gateway === "gw-2.example").length;
  // The first one says nothing any more.
  for (let waited = 0; asked() === 0 && waited < 10_000; waited += 100) await bench.pass(100);
  for (let refusals = 1; refusals <= 4; refusals++) {
    assert.equal(asked(), refusals);
    const there = bench.dialled.filter((far) => far.gateway === "gw-2.example").at(-1) as Far;
    there.open();
    there.say({ type: "Gateways", gateways: [first] });
    there.broken(CloseCode.noSuchSession, "there is no such session");
    for (let waited = 0; asked() === refusals && waited < 5000; waited += 100) await bench.pass(100);
  }
  assert.notEqual(bench.viewer.phase, "ended");
});

test("a gateway that goes is left when the other one shows all, and never before", async () => {
  const bench = new Bench();
  const here = bench.newest("webtransport");
  bench.exactOver(here);
  here.say({ type: "Gateways", gateways: [other] });
  here.say({ type: "Move" });
  const there = bench.dialled.at(-1) as Far;
  assert.equal(there.gateway, "gw-2.example");
  there.open();
  here.stream(painting(2, [2], [RED]));
  bench.settle();
  assert.equal(there.closedWith, null, "the race is not over because the old link is whole");
  bench.viewer.input([letter(0x61)]);
  assert.equal(here.input.length, 1);
  assert.ok(bench.viewer.active !== null && !there.input.length);
  there.attached();
  there.say({ type: "Busy", busy: false });
  assert.equal(bench.viewer.active?.gateway?.host, "gw-2.example");
  assert.equal(there.input.length, 1);
  assert.notEqual(here.closedWith, null);
});

test("who is told of no other gateway takes a second link where the first one goes, until an edge brings it to one that goes on", async () => {
  const bench = new Bench();
  const here = bench.newest("webtransport");
  bench.exactOver(here);
  here.say({ type: "Move" });
  const early = bench.dialled.at(-1) as Far;
  assert.notEqual(early, here);
  assert.equal(early.gateway, null);
  early.open();
  early.say({ type: "Closing", code: CloseCode.goingAway, reason: "the edge had not heard yet" });
  await bench.pass(400, [here]);
  const there = bench.dialled.at(-1) as Far;
  assert.notEqual(there, early);
  assert.deepEqual([there.gateway, there.road], [null, "webtransport"]);
  there.open();
  bench.viewer.input([letter(0x61)]);
  assert.equal(here.input.length, 1, "meanwhile the first one is there");
  assert.equal(bench.viewer.phase, "live");
  there.attached();
  there.say({ type: "Busy", busy: false });
  assert.equal(there.input.length, 1);
  assert.notEqual(here.closedWith, null);
  assert.equal(bench.viewer.phase, "live");
});

const pinned = (host: string, pin: number): Gateway => ({ host, udpPort: 4380, tcpPort: 4380, tls: true, pins: [new Uint8Array(32).fill(pin)] });

test("another site's session is dialled at its gateways alone, and is gone on with at the next one when the first is lost", async () => {
  const bench = new Bench(true, null, null, "geheim", [pinned("n1", 1), pinned("n2", 2)]);
  assert.deepEqual(bench.dialled.map((far) => far.gateway), ["n1"]);
  const first = bench.newest("webtransport");
  bench.exactOver(first);
  bench.viewer.input([letter(0x61)]);
  first.broken();
  const next = bench.dialled.find((far) => far.gateway === "n2") as Far;
  next.open();
  next.attached({ nextInput: 0 });
  next.say({ type: "Busy", busy: false });
  assert.equal(bench.viewer.active?.gateway?.host, "n2");
  assert.equal(next.input.length, 1, "what was typed is sent again");
  assert.ok(!bench.dialled.some((far) => far.gateway === null), "the page's own gateway has nothing to do with it");
});

test("when the nearest of a site's gateways does not answer at all the others are dialled", async () => {
  const bench = new Bench(true, null, null, "geheim", [pinned("n1", 1), pinned("n2", 2)]);
  await bench.pass(2500);
  const other = bench.dialled.find((far) => far.gateway === "n2") as Far;
  assert.equal(other.road, "webtransport", "its certificate is known by its hash");
  bench.exactOver(other);
  assert.equal(bench.viewer.active?.gateway?.host, "n2");
});

test("a gateway whose certificate is known by its hash is dialled again although it cannot be asked whether it answers", async () => {
  const bench = new Bench(true, null, null, "geheim", [pinned("n1", 1)]);
  bench.exactOver(bench.newest("webtransport"));
  bench.reachable = false;
  const before = bench.dialled.length;
  await bench.pass(5000);
  assert.equal(bench.viewer.phase, "silent");
  const again = bench.dialled.slice(before);
  assert.ok(again.filter((far) => far.road === "webtransport" && far.gateway === "n1").length > 1);
  assert.deepEqual([...new Set(bench.knocked)], ["n1"], "who is asked is the gateway that has the session");
});

test("a new ticket for another site's session comes with where to dial now", async () => {
  const bench = new Bench(true, null, null, "geheim", [pinned("n1", 1)]);
  const far = bench.newest("webtransport");
  far.open();
  far.say({ type: "Closing", code: CloseCode.refused, reason: "" });
  assert.equal(bench.ticketsWanted, 1);
  bench.viewer.renewed(Uint8Array.of(2), [pinned("n2", 2), pinned("n3", 3)]);
  await bench.pass(300);
  assert.deepEqual([...new Set(bench.dialled.map(({ gateway }) => gateway))], ["n1", "n2"]);
});
