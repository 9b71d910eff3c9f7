import assert from "node:assert/strict";
import { test } from "node:test";
import { Inbox, type LinkListener } from "../link/link.ts";
import { type Socket, WebSocketLink } from "../link/websocket.ts";
import { ProtocolError } from "../wire/bytes.ts";
import { datagramFrame, controlFrames, decodeFrame, resetFrame, streamFrames } from "../wire/frames.ts";
import * as limits from "../wire/limits.ts";

class FakeSocket implements Socket {
  binaryType = "";
  bufferedAmount = 0;
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  readonly sent: Uint8Array[] = [];
  closed: [number | undefined, string | undefined] | null = null;

  send(bytes: Uint8Array): void {
    this.sent.push(bytes.slice());
  }

  close(code?: number, reason?: string): void {
    this.closed = [code, reason];
  }

  arrive(bytes: Uint8Array): void {
    this.onmessage?.({ data: bytes.slice().buffer } as MessageEvent);
  }
}

function linked(): { socket: FakeSocket; link: WebSocketLink; heard: string[]; streams: Uint8Array[] } {
  const socket = new FakeSocket();
  const heard: string[] = [];
  const streams: Uint8Array[] = [];
  const listener: LinkListener = {
    opened: () => heard.push("opened"),
    control: (bytes) => heard.push(`control ${bytes.length}`),
    progress: () => undefined,
    stream: (bytes) => streams.push(bytes),
    datagram: (bytes) => heard.push(`datagram ${bytes.length}`),
    closed: (code) => heard.push(`closed ${code}`),
  };
  const link = new WebSocketLink(socket, listener);
  socket.onopen?.({} as Event);
  return { socket, link, heard, streams };
}

test("streams that arrive interleaved come out whole", () => {
  const { socket, streams } = linked();
  const first = Uint8Array.from({ length: 200_000 }, (_, at) => at & 0xff);
  const second = Uint8Array.from({ length: 100_000 }, (_, at) => (at * 7) & 0xff);
  const one = streamFrames(0, first, true);
  const two = streamFrames(1, second, true);
  while (one.length + two.length > 0) {
    for (const frames of [one, two]) {
      const frame = frames.shift();
      if (frame !== undefined) socket.arrive(frame);
    }
  }
  assert.deepEqual(streams, [second, first]);
});

test("a stream that was reset never comes out", () => {
  const { socket, streams } = linked();
  socket.arrive(streamFrames(4, Uint8Array.of(1, 2), false)[0] as Uint8Array);
  socket.arrive(resetFrame(4, 1));
  socket.arrive(streamFrames(5, Uint8Array.of(3), true)[0] as Uint8Array);
  assert.deepEqual(streams, [Uint8Array.of(3)]);
});

test("a stream may be empty", () => {
  const { socket, streams } = linked();
  socket.arrive(streamFrames(0, new Uint8Array(0), true)[0] as Uint8Array);
  assert.deepEqual(streams, [new Uint8Array(0)]);
});

test("long control data is cut into frames that the protocol allows", () => {
  const { socket, link } = linked();
  link.sendControl(new Uint8Array(200_000).fill(5));
  assert.ok(socket.sent.every((frame) => frame.length <= limits.MAX_FRAME));
  const back = socket.sent.map(decodeFrame).map((frame) => (frame.type === "control" ? frame.bytes.length : NaN));
  assert.equal(back.reduce((sum, length) => sum + length), 200_000);
});

test("input goes on one stream that does not end", () => {
  const { socket, link } = linked();
  link.sendInput(Uint8Array.of(1));
  link.sendInput(Uint8Array.of(2));
  assert.deepEqual(socket.sent.map(decodeFrame), [1, 2].map((byte) => ({ type: "stream", stream: 0, end: false, bytes: Uint8Array.of(byte) })));
});

test("pointer motion is left out when the socket is behind", () => {
  const { socket, link } = linked();
  socket.bufferedAmount = 1 << 20;
  link.sendDatagram(Uint8Array.of(1));
  assert.equal(socket.sent.length, 0);
});

test("a malformed frame closes the link with the protocol error's code", () => {
  for (const wrong of [Uint8Array.of(9), new Uint8Array(0), Uint8Array.of(1, 0xff), new Uint8Array(limits.MAX_FRAME + 1)]) {
    const { socket, heard } = linked();
    socket.arrive(wrong);
    assert.equal(socket.closed?.[0], 4001);
    assert.deepEqual(heard, ["opened", "closed 1"]);
  }
});

test("a text message closes the link", () => {
  const { socket, heard } = linked();
  socket.onmessage?.({ data: "hello" } as MessageEvent);
  assert.deepEqual(heard, ["opened", "closed 1"]);
});

test("close codes are those of the protocol, and a broken road has none", () => {
  for (const [code, told] of [[4005, "closed 5"], [1006, "closed null"]] as [number, string][]) {
    const { socket, heard } = linked();
    socket.onclose?.({ code, reason: "" } as CloseEvent);
    assert.deepEqual(heard, ["opened", told]);
  }
});

test("nothing is told after a link was closed here", () => {
  const { socket, link, heard } = linked();
  link.close(0, "done");
  socket.arrive(controlFrames(Uint8Array.of(1))[0] as Uint8Array);
  socket.onclose?.({ code: 4000, reason: "" } as CloseEvent);
  assert.deepEqual(heard, ["opened"]);
});

test("neither a stream, nor all open ones together, nor their number grows without bound", () => {
  const megabytes = new Uint8Array(16 << 20);
  const long = new Inbox();
  assert.throws(() => {
    for (let part = 0; part < 6; part++) long.add(1, megabytes, false);
  }, ProtocolError);
  const wide = new Inbox();
  assert.throws(() => {
    for (let stream = 0; stream < 20; stream++) wide.add(stream, megabytes, false);
  }, ProtocolError);
  const many = new Inbox();
  assert.throws(() => {
    for (let stream = 0; stream < limits.MAX_OPEN_STREAMS + 1; stream++) many.add(stream, Uint8Array.of(1), false);
  }, ProtocolError);
});

test("room taken by streams that ended or were reset is given back", () => {
  const inbox = new Inbox();
  const bytes = new Uint8Array(30 << 20);
  for (let stream = 0; stream < 10; stream++) {
    inbox.add(stream, bytes, false);
    if (stream % 2 === 0) inbox.drop(stream);
    else assert.equal(inbox.add(stream, bytes, true)?.length, 60 << 20);
  }
});

test("a datagram comes out as one", () => {
  const { socket, heard } = linked();
  socket.arrive(datagramFrame(Uint8Array.of(4, 1, 2, 3)));
  assert.deepEqual(heard, ["opened", "datagram 4"]);
});
