import assert from "node:assert/strict";
import { test } from "node:test";
import type { LinkListener } from "../link/link.ts";
import { type Nearest, findNearest } from "../viewer/nearest.ts";
import type { Gateway } from "../wire/control.ts";
import { Far } from "./session-double.ts";

const gateway = (host: string, udpPort = 4380): Gateway => ({ host, udpPort, tcpPort: 443, tls: true, pins: [] });
const near = gateway("near");
const far = gateway("far");

/** The gateways' ends, and a clock in the test's hands. */
class Field {
  readonly dialled: Far[] = [];
  private readonly due: [() => void, number][] = [];
  found: Nearest | null = null;

  constructor(gateways: Gateway[], webTransport = true) {
    const dial = (road: "webtransport" | "websocket", { host }: Gateway, listener: LinkListener): Far => {
      const end = new Far(road, listener, host);
      this.dialled.push(end);
      return end;
    };
    void findNearest(gateways, webTransport, dial, (run, millis) => this.due.push([run, millis])).then((found) => (this.found = found));
  }

  async pass(millis: number): Promise<void> {
    for (const [run] of this.due.filter(([, at]) => at <= millis)) run();
    await Promise.resolve();
  }

  end(host: string, road: "webtransport" | "websocket"): Far {
    const found = this.dialled.find((end) => end.gateway === host && end.road === road);
    assert.ok(found !== undefined, `${host} was not dialled by ${road}`);
    return found;
  }

  get order(): string[] | undefined {
    return this.found?.gateways.map(({ host }) => host);
  }
}

const opened = (): { listener: LinkListener; told: string[] } => {
  const told: string[] = [];
  const note = (what: string) => (): void => void told.push(what);
  const listener = { opened: note("opened"), control: note("control"), progress: note("progress"), stream: note("stream"), datagram: note("datagram"), closed: note("closed") };
  return { listener, told };
};

test("all gateways are dialled at once, the first to answer comes first, and its link is there for whoever dials it", async () => {
  const field = new Field([far, near]);
  assert.deepEqual(field.dialled.map((end) => [end.gateway, end.road]), [["far", "webtransport"], ["near", "webtransport"]]);
  field.end("near", "webtransport").open();
  await field.pass(0);
  assert.deepEqual(field.order, ["near", "far"]);
  assert.notEqual(field.end("far", "webtransport").closedWith, null, "nothing was asked of it");
  const { listener, told } = opened();
  assert.equal(field.found?.take("websocket", near, listener), null, "that road was not dialled");
  assert.equal(field.found?.take("webtransport", far, listener), null);
  assert.equal(field.found?.take("webtransport", near, listener), field.end("near", "webtransport"));
  assert.deepEqual(told, [], "as with any link: later");
  await Promise.resolve();
  assert.deepEqual(told, ["opened"]);
  assert.equal(field.found?.take("webtransport", near, opened().listener), null, "it has an owner");
  field.end("near", "webtransport").broken();
  assert.deepEqual(told, ["opened", "closed"]);
  field.found?.leave();
});

test("where QUIC does not get through, WebSocket finds the nearest a moment later", async () => {
  const field = new Field([far, near]);
  await field.pass(200);
  assert.equal(field.dialled.length, 4);
  field.end("near", "websocket").open();
  field.end("far", "websocket").open();
  await field.pass(200);
  assert.deepEqual(field.order, ["near", "far"]);
  assert.equal(field.end("near", "websocket").closedWith, null);
  field.found?.leave();
  assert.notEqual(field.end("near", "websocket").closedWith, null, "nobody took it");
});

test("without QUIC, WebSocket is dialled at once", () => {
  assert.deepEqual(new Field([far, near], false).dialled.map((end) => end.road), ["websocket", "websocket"]);
  assert.deepEqual(new Field([gateway("far", 0), gateway("near", 0)]).dialled.map((end) => end.road), ["websocket", "websocket"]);
});

test("a gateway that refuses is no reason to wait for it, and when none answers they are tried in their order", async () => {
  const field = new Field([far, near]);
  field.end("near", "webtransport").broken();
  field.end("far", "webtransport").open();
  await field.pass(0);
  assert.deepEqual(field.order, ["far", "near"]);
  const dead = new Field([far, near], false);
  for (const end of dead.dialled) end.broken();
  await dead.pass(0);
  assert.deepEqual(dead.order, ["far", "near"]);
  const silent = new Field([far, near]);
  await silent.pass(4000);
  assert.deepEqual(silent.order, ["far", "near"]);
  assert.ok(silent.dialled.every((end) => end.closedWith !== null));
});

test("one gateway alone is not measured", async () => {
  const field = new Field([near]);
  await field.pass(0);
  assert.deepEqual([field.order, field.dialled.length], [["near"], 0]);
});
