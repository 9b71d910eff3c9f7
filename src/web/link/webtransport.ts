// The WebTransport road: QUIC from a browser.

import { ProtocolError } from "../wire/bytes.ts";
import { CloseCode } from "../wire/control.ts";
import { Inbox, type Link, type LinkListener } from "./link.ts";

export function webTransportExists(): boolean {
  return typeof WebTransport === "function";
}

/** Dials `url`; `certificates` are SHA-256 hashes in hexadecimal, none if the certificate is publicly trusted. */
export function dialWebTransport(url: string, certificates: string[], listener: LinkListener): Link {
  return new WebTransportLink(url, certificates, listener);
}

class WebTransportLink implements Link {
  readonly road = "webtransport";
  private readonly transport: WebTransport;
  private readonly inbox = new Inbox();
  private control: WritableStreamDefaultWriter<Uint8Array> | null = null;
  private input: WritableStreamDefaultWriter<Uint8Array> | null = null;
  private datagrams: WritableStreamDefaultWriter<Uint8Array> | null = null;
  private datagramsOnTheWay = 0;
  private nextStream = 0;
  private ended = false;

  constructor(
    url: string,
    certificates: string[],
    private readonly listener: LinkListener,
  ) {
    const serverCertificateHashes = certificates.map((hex) => ({ algorithm: "sha-256", value: fromHex(hex) }));
    this.transport = new WebTransport(url, {
      ...(serverCertificateHashes.length > 0 ? { serverCertificateHashes } : {}),
      congestionControl: "low-latency",
    });
    this.transport.closed.then(
      (info) => this.finish(info.closeCode ?? 0, info.reason ?? ""),
      (error: unknown) => this.finish(null, String(error)),
    );
    this.open().catch((error: unknown) => this.fail(error));
  }

  private async open(): Promise<void> {
    await this.transport.ready;
    const control = await this.transport.createBidirectionalStream({ sendOrder: 2 });
    this.control = control.writable.getWriter();
    this.datagrams = datagramWriter(this.transport);
    const input = await this.transport.createUnidirectionalStream({ sendOrder: 3 });
    this.input = input.getWriter();
    if (this.ended) return;
    this.listener.opened();
    const broken = (error: unknown): void => this.fail(error);
    this.readControl(control.readable).catch(broken);
    this.readStreams().catch(broken);
    this.readDatagrams().catch(broken);
  }

  private async readControl(readable: ReadableStream<Uint8Array>): Promise<void> {
    const reader = readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.ended) return;
      this.listener.control(value);
    }
  }

  private async readStreams(): Promise<void> {
    const reader = (this.transport.incomingUnidirectionalStreams as ReadableStream<ReadableStream<Uint8Array>>).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.ended) return;
      this.readStream(value).catch((error: unknown) => this.fail(error));
    }
  }

  private async readStream(readable: ReadableStream<Uint8Array>): Promise<void> {
    const stream = this.nextStream++;
    const reader = readable.getReader();
    for (;;) {
      let part: ReadableStreamReadResult<Uint8Array>;
      try {
        part = await reader.read();
      } catch {
        // Reset by the session: Dropped says which update it was.
        this.inbox.drop(stream);
        return;
      }
      if (this.ended) return;
      const bytes = part.value ?? new Uint8Array(0);
      this.listener.progress(bytes.length);
      const whole = this.inbox.add(stream, bytes, part.done);
      if (whole !== null) this.listener.stream(whole);
      if (part.done) return;
    }
  }

  private async readDatagrams(): Promise<void> {
    const reader = (this.transport.datagrams.readable as ReadableStream<Uint8Array>).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.ended) return;
      this.listener.datagram(value);
    }
  }

  private fail(error: unknown): void {
    if (this.ended) return;
    if (error instanceof ProtocolError) {
      this.end(CloseCode.protocolError, error.message);
      this.listener.closed(CloseCode.protocolError, error.message);
    } else if (!isRoadError(error)) {
      throw error;
    } else {
      // `closed` usually follows with the code; if it does not, the road is dead all the same.
      setTimeout(() => this.finish(null, String(error)), 100);
    }
  }

  private finish(code: number | null, reason: string): void {
    if (this.ended) return;
    this.ended = true;
    this.listener.closed(code, reason);
  }

  private end(code: number, reason: string): void {
    this.ended = true;
    try {
      this.transport.close({ closeCode: code, reason: reason.slice(0, 300) });
    } catch {
      // Closed already, or not yet connected in a browser that throws then: there is nothing left to end.
    }
  }

  sendControl(bytes: Uint8Array): void {
    this.write(this.control, bytes);
  }

  sendInput(bytes: Uint8Array): void {
    this.write(this.input, bytes);
  }

  private write(writer: WritableStreamDefaultWriter<Uint8Array> | null, bytes: Uint8Array): void {
    if (writer === null || this.ended) return;
    writer.write(bytes).catch((error: unknown) => this.fail(error));
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.datagrams === null || this.ended || this.datagramsOnTheWay > 2) return;
    this.datagramsOnTheWay++;
    const sent = (): void => {
      this.datagramsOnTheWay--;
    };
    this.datagrams.write(bytes).then(sent, sent);
  }

  close(code: number, reason: string): void {
    if (!this.ended) this.end(code, reason);
  }
}

/** The standard has moved from `datagrams.writable` to `createWritable()`: browsers have one or the other. */
function datagramWriter(transport: WebTransport): WritableStreamDefaultWriter<Uint8Array> {
  const datagrams = transport.datagrams as unknown as {
    writable?: WritableStream<Uint8Array>;
    createWritable?: () => WritableStream<Uint8Array>;
  };
  const writable = datagrams.createWritable?.() ?? datagrams.writable;
  if (writable === undefined) throw new DOMException("this browser sends no datagrams", "NotSupportedError");
  return writable.getWriter();
}

function isRoadError(error: unknown): boolean {
  return error instanceof DOMException || (error instanceof Error && error.name === "WebTransportError") ||
    error instanceof TypeError;
}

/** Hexadecimal, with or without colons between the bytes. */
function fromHex(text: string): Uint8Array<ArrayBuffer> {
  const hex = text.replaceAll(":", "");
  const bytes = new Uint8Array(hex.length >> 1);
  for (let index = 0; index < bytes.length; index++) bytes[index] = parseInt(hex.slice(index * 2, index * 2 + 2), 16);
  return bytes;
}
