// One dialled link: its handshake, its liveness and its screen.

import { ProtocolError } from "../wire/bytes.ts";
import { type Gateway, CloseCode, ControlStream, MAJOR, MINOR, type Message, type Policy, encodeMessage } from "../wire/control.ts";
import { MAX_WAITING_BYTES, MAX_WAITING_UPDATES } from "../wire/limits.ts";
import { type SoundFormat, type SoundPacket, decodeSound } from "../wire/sound.ts";
import type { Link, LinkListener, Road } from "../link/link.ts";
import { type Applied, type Codec, type ScreenListener, ViewerScreen } from "./screen.ts";
import type { OpenDecoder } from "./videos.ts";
import { TileCache } from "./cache.ts";

export const PING_AFTER_MS = 500;
const PINGS_REMEMBERED = 16;

export type Attach = Extract<Message, { type: "Attach" }>;
export type Attached = Extract<Message, { type: "Attached" }>;

/** What an attachment needs from the viewer that dials it. */
export interface AttachmentOwner {
  readonly codec: Codec;
  /** Null where the browser does not decode H.264. */
  readonly openDecoder: OpenDecoder | null;
  now(): number;
  /** Asked when the road is open: what to attach to, and the screen to go on from. */
  attach(): { attach: Attach; screen: ViewerScreen | null; cache: TileCache | null };
  attached(attachment: Attachment, message: Attached): void;
  applied(attachment: Attachment): void;
  message(attachment: Attachment, message: Message): void;
  sound(attachment: Attachment, packet: SoundPacket): void;
  closed(attachment: Attachment, code: number | null, reason: string): void;
}

export class Attachment implements LinkListener, ScreenListener {
  screen: ViewerScreen | null = null;
  attachedAs: Attached | null = null;
  readonly dialledAt: number;
  heardAt: number;
  /** When an update last moved: bytes of one, or one applied. */
  progressAt: number;
  busy = false;
  private saidIdle = false;
  isOpen = false;
  isClosed = false;
  agreedUpTo = 0;
  provedUpTo = 0;
  updates = 0;
  bytes = 0;
  lastUpdateAt = -Infinity;
  roundTripMillis: number | null = null;
  roundTripOfSession: number | null = null;
  decodeMicros = 0;
  /** Frames of video shown. */
  videoFrames = 0;
  policy: Policy = "balanced";
  /** How what the session plays is coded, once it plays something. */
  soundFormat: SoundFormat | null = null;
  private link: Link | null = null;
  private readonly messages = new ControlStream();
  private offered: { screen: ViewerScreen | null; cache: TileCache | null } = { screen: null, cache: null };
  /** Updates that came before Attached. */
  private readonly early: Uint8Array[] = [];
  private earlyBytes = 0;
  private nextPing = 0;
  private pingedAt = -Infinity;
  private readonly pings = new Map<number, number>();

  constructor(
    private readonly owner: AttachmentOwner,
    readonly road: Road,
    /** The gateway that is dialled; null: the page's own. */
    readonly gateway: Gateway | null,
    private readonly cacheBytes: number,
  ) {
    this.dialledAt = owner.now();
    this.heardAt = this.dialledAt;
    this.progressAt = this.dialledAt;
  }

  /** Connects the attachment with its link; `dial` may call back at once. */
  start(dial: (listener: LinkListener) => Link): void {
    try {
      this.link = dial(this);
    } catch (error) {
      this.closed(null, String(error));
    }
  }

  send(message: Message): void {
    this.link?.sendControl(encodeMessage(message));
  }

  sendInput(bytes: Uint8Array): void {
    this.link?.sendInput(bytes);
  }

  sendDatagram(bytes: Uint8Array): void {
    this.link?.sendDatagram(bytes);
  }

  close(code: number, reason: string): void {
    if (this.isClosed) return;
    this.shut();
    if (this.isOpen) this.send({ type: "Closing", code, reason });
    this.link?.close(code, reason);
  }

  private shut(): void {
    this.isClosed = true;
    this.screen?.close();
  }

  opened(): void {
    if (this.isClosed) return;
    this.isOpen = true;
    this.heardAt = this.owner.now();
    const { attach, screen, cache } = this.owner.attach();
    this.offered = { screen, cache };
    this.send({ type: "Hello", major: MAJOR, minor: MINOR, role: 1, software: "chevet-web" });
    this.send(attach);
  }

  progress(bytes: number): void {
    this.heardAt = this.owner.now();
    this.progressAt = this.heardAt;
    this.bytes += bytes;
  }

  private take(message: Message): void {
    switch (message.type) {
      case "Welcome":
        if (message.major !== MAJOR) this.breakOff(CloseCode.version, `the gateway speaks version ${message.major}`);
        return;
      case "Attached":
        return this.takeAttached(message);
      case "Dropped":
        if (this.screen !== null) {
          this.afterApplying(this.screen.dropped(message.update), 0);
          // What settles a screen may also be that an update will not come.
          this.owner.applied(this);
        }
        return;
      case "Verdict":
        if (message.agreed) this.agreedUpTo = Math.max(this.agreedUpTo, message.update);
        break;
      case "HashesWanted":
        return this.answerHashesWanted(message.update);
      case "Ping":
        return this.send({ type: "Pong", number: message.number, time: message.time, ownTime: this.micros() });
      case "Pong":
        return this.takePong(message.number);
      case "Path":
        this.roundTripOfSession = message.roundTripMicros / 1000;
        return;
      case "Busy":
        if (message.busy && !this.busy) this.progressAt = this.owner.now();
        this.busy = message.busy;
        this.saidIdle = !message.busy;
        break;
      case "Policy":
        this.policy = message.policy;
        this.screen?.setPolicy(message.policy, false);
        break;
      case "Sound":
        this.soundFormat = message.format;
        break;
      case "Closing":
        this.shut();
        this.link?.close(CloseCode.done, "");
        return this.owner.closed(this, message.code, message.reason);
    }
    this.owner.message(this, message);
  }

  control(bytes: Uint8Array): void {
    this.heardAt = this.owner.now();
    for (const message of this.messages.take(bytes)) {
      if (this.isClosed) return;
      this.take(message);
    }
  }

  private takeAttached(message: Attached): void {
    if (this.attachedAs !== null) throw new ProtocolError("Attached came twice");
    this.attachedAs = message;
    const { screen, cache } = this.offered;
    const continues = screen?.key === message.key && screen.grid.width === message.width &&
      screen.grid.height === message.height;
    const kept = cache?.key === message.key ? cache : new TileCache(message.key, this.cacheBytes);
    this.screen = continues ? screen : new ViewerScreen(message.key, kept, this.owner.codec, this.owner.openDecoder);
    this.policy = message.policy;
    this.screen.setPolicy(message.policy, true);
    this.screen.listen(this);
    this.offered = { screen: null, cache: null };
    this.progressAt = this.owner.now();
    this.owner.attached(this, message);
    for (const bytes of this.early.splice(0)) this.stream(bytes);
  }

  stream(bytes: Uint8Array): void {
    if (this.isClosed) return;
    if (this.screen === null) {
      // Streams may overtake the control stream: Attached is on its way.
      this.early.push(bytes);
      this.earlyBytes += bytes.length;
      if (this.early.length > MAX_WAITING_UPDATES || this.earlyBytes > MAX_WAITING_BYTES) {
        throw new ProtocolError("too many updates came before Attached");
      }
      return;
    }
    const started = performance.now();
    const applied = this.screen.receive(bytes);
    this.afterApplying(applied, Math.round((performance.now() - started) * 1000));
  }

  datagram(bytes: Uint8Array): void {
    if (this.isClosed) return;
    const packet = bytes.length === 0 ? null : decodeSound(bytes);
    if (packet !== null) this.owner.sound(this, packet);
  }

  private afterApplying(applied: Applied[], micros: number): void {
    if (applied.length === 0) return;
    this.lastUpdateAt = this.owner.now();
    this.progressAt = this.lastUpdateAt;
    this.updates += applied.length;
    this.decodeMicros = micros;
    for (const { number, missing, videoMicros } of applied) {
      const decodeMicros = videoMicros ?? Math.round(micros / applied.length);
      if (videoMicros !== null) {
        this.videoFrames++;
        this.decodeMicros = videoMicros;
      }
      this.send({ type: "Ack", update: number, decodeMicros, missing });
    }
    this.owner.applied(this);
  }

  appliedLater(applied: Applied[]): void {
    this.afterApplying(applied, 0);
  }

  videoFailed(video: number): void {
    this.send({ type: "VideoFailed", video });
  }

  broken(error: unknown): void {
    this.breakOff(CloseCode.protocolError, error instanceof Error ? error.message : String(error));
  }

  private answerHashesWanted(update: number): void {
    // Only the newest state can be named; for a later one another Proof is coming.
    if (this.screen === null || this.screen.newestUpdate !== update) return;
    this.send({ type: "Hashes", update, hashes: this.screen.allHashes() });
  }

  private breakOff(code: number, reason: string): void {
    this.close(code, reason);
    this.owner.closed(this, code, reason);
  }

  /** Pings if nothing has been heard for a while. */
  pingIfQuiet(now: number): void {
    if (!this.isOpen || this.isClosed || now - this.heardAt < PING_AFTER_MS || now - this.pingedAt < PING_AFTER_MS) return;
    this.ping(now);
  }

  ping(now: number): void {
    this.pingedAt = now;
    this.pings.set(this.nextPing, now);
    if (this.pings.size > PINGS_REMEMBERED) this.pings.delete(this.nextPing - PINGS_REMEMBERED);
    this.send({ type: "Ping", number: this.nextPing++, time: this.micros() });
  }

  private takePong(number: number): void {
    const sentAt = this.pings.get(number);
    if (sentAt === undefined) return;
    this.pings.delete(number);
    this.roundTripMillis = this.owner.now() - sentAt;
  }

  private micros(): number {
    return Math.max(0, Math.round(this.owner.now() * 1000));
  }

  closed(code: number | null, reason: string): void {
    if (this.isClosed) return;
    this.shut();
    this.owner.closed(this, code, reason);
  }

  /** Nothing is outstanding or missing, and the session said that this was all. */
  get isWhole(): boolean {
    const screen = this.screen;
    if (screen === null) return false;
    // A resumed screen that already was the session's needs no update at all.
    const untouched = screen.newestUpdate === 0 && screen.hasPicture && this.saidIdle;
    return screen.wholeUpTo !== null || screen.isCaughtUp || untouched;
  }

  get isExact(): boolean {
    const screen = this.screen;
    return screen !== null && !this.busy && screen.newestUpdate > 0 && this.agreedUpTo === screen.newestUpdate;
  }
}
