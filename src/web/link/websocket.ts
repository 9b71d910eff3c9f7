// The WebSocket road.

import { controlFrames, datagramFrame, decodeFrame, streamFrames } from "../wire/frames.ts";
import { ProtocolError } from "../wire/bytes.ts";
import { CloseCode } from "../wire/control.ts";
import { Inbox, type Link, type LinkListener } from "./link.ts";

const INPUT_STREAM = 0;
/** Unsent bytes above which pointer motion is left out: it would only be late. */
const DATAGRAM_BACKLOG = 16_384;

/** The part of the browser's WebSocket that is used here. */
export interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(bytes: Uint8Array): void;
  close(code?: number, reason?: string): void;
}

export function dialWebSocket(url: string, listener: LinkListener): Link {
  return new WebSocketLink(new WebSocket(url, "chevet.1") as unknown as Socket, listener);
}

export class WebSocketLink implements Link {
  readonly road = "websocket";
  private readonly inbox = new Inbox();
  private open = false;
  private ended = false;

  constructor(
    private readonly socket: Socket,
    private readonly listener: LinkListener,
  ) {
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (this.ended) return;
      this.open = true;
      listener.opened();
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = (event) => {
      if (this.ended) return;
      this.ended = true;
      listener.closed(event.code >= 4000 ? event.code - 4000 : null, event.reason);
    };
  }

  private receive(data: unknown): void {
    if (this.ended) return;
    try {
      if (!(data instanceof ArrayBuffer)) throw new ProtocolError("a message is text, not bytes");
      const frame = decodeFrame(new Uint8Array(data));
      if (frame.type === "control") {
        this.listener.control(frame.bytes);
      } else if (frame.type === "stream") {
        this.listener.progress(frame.bytes.length);
        const whole = this.inbox.add(frame.stream, frame.bytes, frame.end);
        if (whole !== null) this.listener.stream(whole);
      } else if (frame.type === "reset") {
        this.inbox.drop(frame.stream);
      } else {
        this.listener.datagram(frame.bytes);
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.close(CloseCode.protocolError, error.message);
      this.listener.closed(CloseCode.protocolError, error.message);
    }
  }

  private send(frames: Uint8Array[]): void {
    if (!this.open || this.ended) return;
    for (const frame of frames) this.socket.send(frame);
  }

  sendControl(bytes: Uint8Array): void {
    this.send(controlFrames(bytes));
  }

  sendInput(bytes: Uint8Array): void {
    this.send(streamFrames(INPUT_STREAM, bytes, false));
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.socket.bufferedAmount < DATAGRAM_BACKLOG) this.send([datagramFrame(bytes)]);
  }

  close(code: number, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.socket.close(4000 + code, shortReason(reason));
  }
}

/** WebSocket allows 123 bytes of reason. */
function shortReason(reason: string): string {
  return reason.replace(/[^\x20-\x7e]/g, "?").slice(0, 123);
}
