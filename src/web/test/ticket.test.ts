import assert from "node:assert/strict";
import { test } from "node:test";
import { CloseCode } from "../wire/control.ts";
import { Bench, RED } from "./bench.ts";
import { type Far, painting, update } from "./session-double.ts";

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const bytes = (content: string): Uint8Array => new Uint8Array(Buffer.from(content));
const shown = (far: Far): string => text(far.last("Attach")?.ticket);
const refuse = (far: Far): void => {
  far.open();
  far.say({ type: "Closing", code: CloseCode.refused, reason: "" });
};
const signedIn = (webTransport = false): Bench => new Bench(webTransport, null, null, "geheim");

test("a ticket is shown with its secret, an access code as it is", () => {
  for (const [bench, wanted] of [[signedIn(), "\u0001~geheim"], [new Bench(false), "\u0001"]] as const) {
    const far = bench.newest("websocket");
    far.open();
    assert.equal(shown(far), wanted);
  }
});

test("the newest ticket that the session sent is shown at the next dial, with the same secret", () => {
  const bench = signedIn();
  const far = bench.newest("websocket");
  bench.exactOver(far);
  far.say({ type: "Ticket", ticket: bytes("c1.first") });
  far.say({ type: "Ticket", ticket: bytes("c1.second") });
  far.broken();
  const next = bench.newest("websocket");
  assert.notEqual(next, far);
  next.open();
  assert.equal(shown(next), "c1.second~geheim");
});

test("a ticket counts whichever link it came by", async () => {
  const bench = signedIn(true);
  const quic = bench.newest("webtransport");
  bench.exactOver(quic);
  await bench.pass(1100);
  const socket = bench.newest("websocket");
  socket.open();
  socket.attached();
  socket.say({ type: "Ticket", ticket: bytes("c1.beside") });
  assert.equal(bench.viewer.active?.road, "webtransport");
  await bench.pass(1100);
  const later = bench.newest("webtransport");
  assert.notEqual(later, quic);
  later.open();
  assert.equal(shown(later), "c1.beside~geheim");
});

test("a refused ticket is answered by one new ticket, and the session goes on with it", async () => {
  const bench = signedIn();
  refuse(bench.newest("websocket"));
  assert.deepEqual([bench.ticketsWanted, bench.viewer.phase], [1, "connecting"]);
  await bench.pass(3000);
  assert.equal(bench.dialled.length, 1, "nothing is dialled with the refused ticket");
  bench.viewer.renewed(bytes("c1.new"));
  assert.equal(bench.dialled.length, 2);
  const far = bench.newest("websocket");
  far.open();
  assert.equal(shown(far), "c1.new~geheim");
  far.attached();
  far.stream(painting(1, [0], [RED]));
  assert.equal(bench.viewer.phase, "live");
});

test("a new ticket that is refused as well ends the viewer", () => {
  const bench = signedIn();
  refuse(bench.newest("websocket"));
  bench.viewer.renewed(bytes("c1.new"));
  refuse(bench.newest("websocket"));
  assert.equal(bench.ticketsWanted, 1);
  assert.deepEqual(bench.viewer.ending, { code: CloseCode.refused, reason: "" });
});

test("after a whole screen another refusal is answered by another ticket", () => {
  const bench = signedIn();
  refuse(bench.newest("websocket"));
  bench.viewer.renewed(bytes("c1.new"));
  const far = bench.newest("websocket");
  bench.exactOver(far);
  far.broken();
  refuse(bench.newest("websocket"));
  assert.deepEqual([bench.ticketsWanted, bench.viewer.phase], [2, "live"]);
});

test("a gateway that does not answer is asked again at the next refusal", async () => {
  const bench = signedIn();
  refuse(bench.newest("websocket"));
  bench.viewer.renewed(null);
  await bench.pass(600);
  assert.equal(bench.dialled.length, 2);
  refuse(bench.newest("websocket"));
  assert.equal(bench.ticketsWanted, 2);
});

test("a gateway started anew refuses while the old link is silent: the picture goes on with the new ticket", async () => {
  const bench = signedIn();
  bench.exactOver(bench.newest("websocket"));
  await bench.pass(2100);
  assert.equal(bench.viewer.phase, "silent");
  refuse(bench.newest("websocket"));
  assert.equal(bench.ticketsWanted, 1);
  bench.viewer.renewed(bytes("c1.new"));
  const far = bench.newest("websocket");
  far.open();
  assert.deepEqual([shown(far), far.last("Attach")?.screen?.hashes.length], ["c1.new~geheim", 8]);
  far.attached();
  far.stream(update({ number: 1 }));
  assert.equal(bench.viewer.phase, "live");
});

test("a refusal is no failure of QUIC, and stops the other road's attempt with the same ticket", async () => {
  const bench = signedIn(true);
  await bench.pass(200);
  const socket = bench.newest("websocket");
  refuse(bench.newest("webtransport"));
  assert.equal(bench.memory, null);
  assert.notEqual(socket.closedWith, null);
  assert.equal(bench.ticketsWanted, 1);
});

test("an access code that is refused is not renewed", () => {
  const bench = new Bench(false);
  refuse(bench.newest("websocket"));
  assert.deepEqual([bench.ticketsWanted, bench.viewer.phase], [0, "ended"]);
});

test("when a session is taken over, its pixels are wiped and nothing of it is kept", () => {
  const bench = signedIn();
  const far = bench.newest("websocket");
  bench.exactOver(far);
  far.say({ type: "Closing", code: CloseCode.takenOver, reason: "room 12" });
  assert.equal(bench.wiped, 1);
  const { attach, screen, cache } = bench.viewer.attach();
  assert.deepEqual([attach.screen, screen, cache], [null, null, null]);
});

test("a session taken over while the link was silent ends as soon as that is known", async () => {
  const bench = signedIn();
  bench.exactOver(bench.newest("websocket"));
  await bench.pass(2100);
  const far = bench.newest("websocket");
  far.open();
  far.say({ type: "Closing", code: CloseCode.takenOver, reason: "room 12" });
  assert.deepEqual([bench.viewer.phase, bench.wiped], ["ended", 1]);
});
