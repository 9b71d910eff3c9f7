// The viewer: which link is shown, when to dial, and what becomes of input meanwhile.
// Roads, clock and presentation are given to it; docs/protocol.md, "Liveness".

import type { Link, LinkListener, Road } from "../link/link.ts";
import { CloseCode, Feature, type Gateway, type Message } from "../wire/control.ts";
import { type InputEvent, encodePointerDatagram } from "../wire/input.ts";
import { Attachment, type Attach, type Attached, type AttachmentOwner } from "./attachment.ts";
import { MAX_GATEWAYS } from "../wire/limits.ts";
import { InputLog } from "./input-log.ts";
import { type RoadMemory, Roads, WEBSOCKET_HEAD_START_MS } from "./roads.ts";
import { TicketInHand } from "./ticket.ts";
import type { Codec, ViewerScreen } from "./screen.ts";
import type { TileCache } from "./cache.ts";
import type { OpenDecoder } from "./videos.ts";
import type { SoundPacket } from "../wire/sound.ts";

export const CACHE_BYTES = 64 << 20;
const MOVING_MS = 300;
const SUSPECT_MS = 1000;
const SILENT_MS = 2000;
const STALLED_MS = 2000;
const LOST_MS = 500;
const REDIAL_MS = 500;
const CANDIDATE_PATIENCE_MS = 4000;
/** A second link beside a working one is given up after this long: two would share one path for ever. */
const BESIDE_PATIENCE_MS = 10_000;
const CANDIDATES_A_ROAD = 3;
const NO_SUCH_SESSION_PATIENCE_MS = 15_000;
const TILES_HASHED_AT_ONCE = 48;
const ROUND_TRIP_EVERY_MS = 2000;
/** Input that is not answered has other gateways dialled after this long and three round trips. */
const UNANSWERED_MS = 400;
const ELSEWHERE_AGAIN_MS = 1000;
/** A second link by way of an edge that came to the gateway which is to be left is dialled again after this long. */
const BESIDE_AGAIN_MS = 250;
const MOST_ELSEWHERE = 4;

export type Phase = "connecting" | "live" | "silent" | "ended";
export type Exactness = "exact" | "settling" | "moving";

export interface Environment {
  readonly codec: Codec;
  readonly openDecoder: OpenDecoder | null;
  /** Whether Opus can be played. */
  readonly playsSound: boolean;
  /** Milliseconds, monotonic. */
  now(): number;
  wallClock(): number;
  /** `gateway` null: the page's own. */
  dial(road: Road, gateway: Gateway | null, listener: LinkListener): Link;
  /** Whether the gateway's TCP port answers: asked before WebSockets, which browsers slow down after failures. */
  knock(gateway: Gateway | null): Promise<boolean>;
  /** Runs soon, after what has already arrived has been dealt with. */
  soon(run: () => void): void;
  present(screen: ViewerScreen): void;
  /** Phase, exactness or another part of the status has changed. */
  changed(): void;
  message(message: Message): void;
  /** What the session plays. */
  sound(packet: SoundPacket): void;
  inputRefused(count: number): void;
  remember(memory: RoadMemory | null): void;
  /** The ticket was refused: `renewed` takes another. */
  ticketWanted(): void;
  /** The viewer has ended: no pixel of it may stay. */
  wipe(): void;
}

export interface Target {
  session: string;
  ticket: Uint8Array;
  /** Shown with the ticket; empty for an access code. */
  secret: string;
  width: number;
  height: number;
  /** Where the session is to be had, the nearest first; none: at the page's own gateway. */
  gateways?: Gateway[];
}

export class Viewer implements AttachmentOwner {
  readonly codec: Codec;
  readonly openDecoder: OpenDecoder | null;
  phase: Phase = "connecting";
  ending: { code: number; reason: string } | null = null;
  title = "";
  active: Attachment | null = null;
  private candidates: Attachment[] = [];
  private token: Uint8Array | null = null;
  private readonly log = new InputLog();
  private readonly roads: Roads;
  private readonly ticket: TicketInHand;
  private readonly startedAt: number;
  /** The screen of a link that is gone, from which the next goes on. */
  private lastScreen: ViewerScreen | null = null;
  private lostAt: number | null = null;
  private dialledAfterLossAt = -Infinity;
  private nextRedialAt = 0;
  private socketDue: number | null;
  private knocking = 0;
  private lastUpgradeAt = -Infinity;
  /** QUIC has carried a whole screen, and has not failed while the gateway answered by the other road. */
  private quicProven = false;
  private pointerCounter = 0;
  private hashing = false;
  private releaseOwed = false;
  private hears = false;
  private lastExactness: Exactness = "settling";
  /** The gateway that has the session, as far as is known; null: the page's own. */
  private gateway: Gateway | null = null;
  /** Others that may have it, the likeliest first. */
  private others: Gateway[] = [];
  private elsewhereAt = -Infinity;
  /** Since when there has been input that is not answered. */
  private waitsSince: number | null = null;
  /** The gateway asks to be left. */
  private moving = false;
  firstExactAt: number | null = null;

  constructor(
    private readonly environment: Environment,
    private readonly target: Target,
    webTransportUsable: boolean,
    memory: RoadMemory | null,
  ) {
    this.codec = environment.codec;
    this.openDecoder = environment.openDecoder;
    this.startedAt = environment.now();
    this.ticket = new TicketInHand(target.ticket, target.secret);
    [this.gateway = null, ...this.others] = target.gateways ?? [];
    this.roads = new Roads(webTransportUsable, memory, (kept) => environment.remember(kept));
    const quicFirst = this.roads.webTransportFirst(environment.wallClock());
    this.socketDue = this.startedAt + (quicFirst ? WEBSOCKET_HEAD_START_MS : 0);
    this.nextRedialAt = this.startedAt + 2 * REDIAL_MS;
    if (quicFirst) this.dial("webtransport");
    else this.dialSocketNow();
  }

  now(): number {
    return this.environment.now();
  }

  /** To be called at least every 50 ms. */
  tick(): void {
    if (this.phase === "ended") return;
    const now = this.now();
    if (this.socketDue !== null && now >= this.socketDue) this.dialSocketNow();
    this.dropStaleCandidates(now);
    for (const attachment of this.everyLink()) attachment.pingIfQuiet(now);
    if (this.moving || this.phase === "silent" || this.isUnanswered(now) || this.nobodyAnswers(now)) this.dialElsewhere(now);
    if (this.active !== null) this.watch(this.active, now);
    else this.withoutLink(now);
    const exactness = this.exactness;
    if (exactness !== this.lastExactness) this.noteExactness(exactness);
  }

  /** The network came back, says the browser. */
  online(): void {
    this.nextRedialAt = this.now();
    this.tick();
  }

  private everyLink(): Attachment[] {
    return this.active === null ? this.candidates : [this.active, ...this.candidates];
  }

  // Dialling

  private dial(road: Road, gateway: Gateway | null = this.gateway): void {
    if (this.ticket.isAwaited) return;
    const isSame = (candidate: Attachment) =>
      candidate.road === road && candidate.attachedAs === null && candidate.gateway === gateway;
    const same = this.candidates.filter(isSame);
    if (same.length >= CANDIDATES_A_ROAD) this.discard(same[0] as Attachment, "another attempt replaces it");
    const attachment = new Attachment(this, road, gateway, CACHE_BYTES);
    this.candidates.push(attachment);
    attachment.start((listener) => this.environment.dial(road, gateway, listener));
  }

  /** The session may be at another gateway: they are asked. */
  private dialElsewhere(now: number, most = MOST_ELSEWHERE): void {
    if (now - this.elsewhereAt < ELSEWHERE_AGAIN_MS && most > 1) return;
    this.elsewhereAt = now;
    if (this.moving && this.others.length === 0) return this.dialBeside();
    for (const gateway of this.others.slice(0, most)) {
      if (this.candidates.some((candidate) => candidate.gateway === gateway)) continue;
      this.dial(this.roadTo(gateway), gateway);
    }
  }

  private roadTo(gateway: Gateway): Road {
    if (!this.roads.webTransportUsable || gateway.udpPort === 0 || this.active?.road === "websocket") return "websocket";
    // Browsers take a certificate that is known by its hash for WebTransport alone.
    const works = gateway.pins.length > 0 || this.quicProven || this.roads.webTransportFirst(this.environment.wallClock());
    return works ? "webtransport" : "websocket";
  }

  /** None of those that were dialled at first is there. */
  private nobodyAnswers(now: number): boolean {
    return this.phase === "connecting" && now - this.startedAt > SILENT_MS && !this.candidates.some((candidate) => candidate.isOpen);
  }

  /** A second link to where this one goes: an edge brings it to the gateway that goes on with the session. */
  private dialBeside(): void {
    if (this.candidates.length === 0) this.dial(this.active?.road ?? "websocket");
  }

  /** The gateway seems to be gone, long before that is certain. */
  private isUnanswered(now: number): boolean {
    if (this.log.unacknowledged === 0) this.waitsSince = null;
    else this.waitsSince ??= now;
    if (this.active === null || this.waitsSince === null) return false;
    const roundTrip = this.active.roundTripMillis ?? this.active.roundTripOfSession ?? 0;
    return now - Math.max(this.active.heardAt, this.waitsSince) > UNANSWERED_MS + 3 * roundTrip;
  }

  private gatewaysTold(attachment: Attachment, gateways: Gateway[]): void {
    // One that is known stays the same, so that it is not dialled twice.
    const told = gateways.map((told) => this.others.find((known) => isSameGateway(known, told)) ?? told);
    // One that lacks the session says where it was; it may come to any that is known, that one not least.
    const kept = attachment === this.active ? [] : this.others.filter((known) => !told.includes(known));
    this.others = [...told, ...kept].slice(0, MAX_GATEWAYS);
    const lacksIt = attachment.attachedAs === null && !this.isWorking;
    if (lacksIt) this.dialElsewhere(this.now(), 1);
  }

  /** The head start is over, unless QUIC is already bringing pixels. */
  private dialSocketNow(): void {
    const now = this.now();
    const quic = this.everyLink().find((link) => link.road === "webtransport");
    const flowing = quic !== undefined && quic.bytes > 0 && now - quic.progressAt < WEBSOCKET_HEAD_START_MS;
    if (this.phase !== "silent" && this.active?.isWhole === true) {
      this.socketDue = null;
    } else if (flowing) {
      this.socketDue = now + WEBSOCKET_HEAD_START_MS;
    } else {
      this.socketDue = null;
      this.dial("websocket");
    }
  }

  /** Both roads, unless one was dialled in the last moments; QUIC goes first if it is known to work. */
  private raceAgain(socketFreshMs: number, quicFreshMs: number): void {
    if (!this.roads.webTransportUsable) return this.dialUnlessFresh("websocket", socketFreshMs);
    if (!this.quicProven) {
      this.dialUnlessFresh("websocket", socketFreshMs);
      this.dialUnlessFresh("webtransport", quicFreshMs);
      return;
    }
    this.socketDue ??= this.now() + WEBSOCKET_HEAD_START_MS;
    this.dialUnlessFresh("webtransport", Math.min(quicFreshMs, REDIAL_MS));
  }

  /** While there is no working link: both roads, as often as they can be dialled without being held back. */
  private redial(now: number): void {
    if (now < this.nextRedialAt) return;
    this.nextRedialAt = now + REDIAL_MS;
    if (this.candidates.some((candidate) => candidate.attachedAs !== null) || this.knocking >= 3) return;
    this.knocking++;
    const { gateway } = this;
    void this.environment.knock(gateway).then((answered) => {
      this.knocking--;
      if (this.phase === "ended" || this.isHeard()) return;
      if (answered) this.raceAgain(1000, 2000);
      // Whose certificate is known by its hash alone cannot be asked.
      else if (gateway !== null && gateway.pins.length > 0 && this.roads.webTransportUsable) this.dialUnlessFresh("webtransport", 2000);
    });
  }

  private dialUnlessFresh(road: Road, freshMs: number): void {
    const now = this.now();
    const fresh = this.candidates.some((link) => link.road === road && now - link.dialledAt < freshMs);
    if (!fresh) this.dial(road);
  }

  private isHeard(): boolean {
    return this.phase === "live" && this.active !== null && this.now() - this.active.heardAt < SUSPECT_MS;
  }

  /** Of a gateway beside the one that has the session nothing follows for the roads. */
  private isElsewhere(attachment: Attachment): boolean {
    return attachment.gateway !== this.gateway;
  }

  private dropStaleCandidates(now: number): void {
    for (const candidate of [...this.candidates]) {
      const since = candidate.attachedAs === null ? candidate.dialledAt : Math.max(candidate.progressAt, candidate.heardAt);
      const tooLong = this.active !== null && this.phase === "live" && now - candidate.dialledAt > BESIDE_PATIENCE_MS;
      if (now - since <= CANDIDATE_PATIENCE_MS && !tooLong) continue;
      if (candidate.road === "webtransport" && !this.isElsewhere(candidate)) this.quicFailed();
      this.discard(candidate, "it does not come to anything");
    }
  }

  private discard(candidate: Attachment, reason: string): void {
    const failed = candidate.road === "webtransport" && candidate.attachedAs === null;
    if (failed && !this.isElsewhere(candidate)) this.quicFailed();
    candidate.close(CloseCode.done, reason);
    this.candidates = this.candidates.filter((other) => other !== candidate);
  }

  /** A link that worked and died with the whole gateway says nothing of its road: it failed only if the other works. */
  private quicFailed(): void {
    if (this.quicProven && !this.socketAnswers()) return;
    this.quicProven = false;
    this.roads.webTransportFailed(this.environment.wallClock());
  }

  private socketAnswers(): boolean {
    const now = this.now();
    return this.everyLink().some((link) =>
      link.road === "websocket" && link.isOpen && !link.isClosed && now - link.heardAt < SUSPECT_MS);
  }

  // Watching

  private watch(active: Attachment, now: number): void {
    const silence = now - active.heardAt;
    const stalled = active.busy && now - active.progressAt > STALLED_MS;
    const other: Road = active.road === "websocket" ? "webtransport" : "websocket";
    const otherUsable = other === "websocket" || this.roads.webTransportUsable;
    if (this.phase === "live" && silence >= SILENT_MS) {
      this.enterSilence(active);
    } else if (this.phase === "silent") {
      if (silence < LOST_MS) this.wake();
      else this.redial(now);
    } else if (silence >= SUSPECT_MS || stalled) {
      if (this.candidates.length === 0 && now >= this.nextRedialAt) {
        this.nextRedialAt = now + STALLED_MS;
        this.dial(otherUsable ? other : active.road);
      }
    } else {
      this.tryUpgrade(active, now);
    }
  }

  private enterSilence(active: Attachment): void {
    if (active.road === "webtransport") this.quicFailed();
    this.phase = "silent";
    this.releaseOwed = true;
    this.nextRedialAt = this.now() + REDIAL_MS;
    this.dialUnlessFresh("websocket", REDIAL_MS);
    if (this.roads.webTransportUsable) this.dialUnlessFresh("webtransport", REDIAL_MS);
    this.environment.changed();
  }

  /** The old link speaks again. */
  private wake(): void {
    for (const candidate of [...this.candidates]) this.discard(candidate, "the earlier link woke up");
    this.phase = "live";
    this.payRelease();
    this.environment.changed();
  }

  private withoutLink(now: number): void {
    if (this.phase === "live" && this.lostAt !== null && now - this.lostAt > LOST_MS) {
      this.phase = "silent";
      this.releaseOwed = true;
      this.environment.changed();
    }
    this.redial(now);
  }

  /** On WebSocket, QUIC is tried again now and then; it is taken only when it brings a whole screen. */
  private tryUpgrade(active: Attachment, now: number): void {
    const due = active.road === "websocket" && active.isWhole && this.candidates.length === 0 &&
      this.roads.upgradeDue(this.environment.wallClock()) && now - this.lastUpgradeAt > CANDIDATE_PATIENCE_MS * 2;
    if (due) {
      this.lastUpgradeAt = now;
      this.dial("webtransport");
    }
    const quiet = this.active !== null && now - this.lastRoundTripAt >= ROUND_TRIP_EVERY_MS;
    if (quiet) {
      this.lastRoundTripAt = now;
      active.ping(now);
    }
  }

  private lastRoundTripAt = -Infinity;

  // What attachments tell

  attach(): { attach: Attach; screen: ViewerScreen | null; cache: TileCache | null } {
    const shown = this.active?.screen ?? this.lastScreen;
    const screen = shown?.hasPicture === true ? shown.resumed() : null;
    const { session, width, height } = this.target;
    const attach: Attach = {
      type: "Attach",
      session,
      ticket: this.ticket.shown,
      width,
      height,
      cacheBytes: CACHE_BYTES,
      features: Feature.parts | Feature.far | Feature.short | Feature.share | Feature.clip | Feature.gateways | (this.openDecoder === null ? 0n : Feature.h264) |
        (this.environment.playsSound ? Feature.sound : 0n),
      token: this.token,
      screen: screen?.shownHashes() ?? null,
    };
    return { attach, screen, cache: shown?.cache ?? null };
  }

  attached(attachment: Attachment, message: Attached): void {
    // The first to attach is shown while the race goes on: a partial picture is better than none.
    if (this.active === null && this.lastScreen === null) this.adopt(attachment, message);
  }

  applied(attachment: Attachment): void {
    if (attachment !== this.active) {
      this.adoptIfWhole(attachment);
    } else if (attachment.isWhole) {
      this.endRace();
    }
    if (attachment !== this.active || attachment.screen === null) return;
    this.environment.present(attachment.screen);
    this.hashSoon();
    this.noteExactness(this.exactness);
  }

  private adoptIfWhole(candidate: Attachment): void {
    if (!candidate.isWhole || candidate.attachedAs === null || !this.candidates.includes(candidate)) return;
    this.adopt(candidate, candidate.attachedAs);
    this.endRace();
  }

  /** The race is over when the shown link has all. */
  private endRace(): void {
    const active = this.active as Attachment;
    this.ticket.worked();
    if (active.road === "webtransport") {
      this.quicProven = true;
      this.roads.webTransportWorked();
    }
    if (this.candidates.length === 0 || this.phase === "silent" || this.moving) return;
    for (const candidate of [...this.candidates]) this.discard(candidate, "the other road was faster");
    this.socketDue = null;
  }

  /** Shows `attachment` from now on and sends input over it. */
  private adopt(attachment: Attachment, attached: Attached): void {
    const previous = this.active;
    this.candidates = this.candidates.filter((other) => other !== attachment);
    this.active = attachment;
    this.gateway = attachment.gateway;
    this.moving = false;
    this.lastScreen = null;
    this.lostAt = null;
    this.title = attached.title;
    const sameViewer = this.token !== null && sameBytes(this.token, attached.token);
    this.token = attached.token;
    if (sameViewer) this.log.acknowledge(attached.nextInput);
    else this.log.restart(attached.nextInput);
    attachment.sendInput(this.log.replay());
    previous?.close(CloseCode.done, "another road is taken");
    // What it told while it was not shown; and each link is to be told anew.
    if (attachment.soundFormat !== null) this.environment.message({ type: "Sound", format: attachment.soundFormat });
    if (this.hears) this.hear(true);
    this.phase = "live";
    this.payRelease();
    attachment.screen?.damage.addAll();
    if (attachment.screen?.hasPicture === true) this.environment.present(attachment.screen);
    this.hashSoon();
    this.environment.changed();
  }

  message(attachment: Attachment, message: Message): void {
    if (message.type === "Ticket") return this.ticket.replace(message.ticket);
    if (message.type === "Gateways") return this.gatewaysTold(attachment, message.gateways);
    if (attachment !== this.active) {
      if (message.type === "Busy") this.adoptIfWhole(attachment);
      return;
    }
    if (message.type === "Move") {
      this.moving = true;
      this.dialElsewhere(this.now(), 1);
    } else if (message.type === "Policy") this.environment.changed();
    else if (message.type === "InputAck") this.log.acknowledge(message.next);
    else if (message.type === "Verdict" || message.type === "Busy") this.noteExactness(this.exactness);
    else this.environment.message(message);
  }

  /** Whether to be sent what the session plays. */
  hear(wanted: boolean): void {
    this.hears = wanted;
    this.active?.send({ type: "SoundWanted", wanted });
  }

  sound(attachment: Attachment, packet: SoundPacket): void {
    if (attachment === this.active && this.hears) this.environment.sound(packet);
  }

  closed(attachment: Attachment, code: number | null, reason: string): void {
    this.candidates = this.candidates.filter((other) => other !== attachment);
    if (attachment !== this.active && code === CloseCode.refused && !this.isWorking && this.askNewTicket()) return;
    if (attachment !== this.active && this.moving) {
      // It may have come to the gateway that is to be left, because the edge had not heard yet.
      if (code === CloseCode.goingAway) this.elsewhereAt = this.now() - ELSEWHERE_AGAIN_MS + BESIDE_AGAIN_MS;
    } else if (attachment.road === "webtransport" && attachment.attachedAs === null && !this.isElsewhere(attachment)) {
      // A road that carries a refusal works.
      if (code !== CloseCode.refused) this.quicFailed();
      if (this.socketDue !== null) this.socketDue = this.now();
    }
    if (attachment === this.active) this.lost(attachment, code, reason);
    else if (!this.isWorking && (code === CloseCode.takenOver || code === CloseCode.signedOut || code === CloseCode.locked || (code === CloseCode.refused && this.ticket.isSpent))) this.end(code, reason);
    else if (this.active === null && this.candidates.length === 0 && this.socketDue === null) this.refusedAtAll(code, reason);
    if (this.phase !== "ended") this.tick();
  }

  private lost(attachment: Attachment, code: number | null, reason: string): void {
    this.active = null;
    if (attachment.screen?.hasPicture === true) this.lastScreen = attachment.screen;
    this.lostAt = this.now();
    if (code === CloseCode.refused && this.askNewTicket()) return;
    if (endsForGood(code)) return this.end(code as number, reason);
    if (attachment.road === "webtransport" && code === null) this.quicFailed();
    const whole = this.candidates.find((candidate) => candidate.isWhole);
    if (whole !== undefined) return this.adoptIfWhole(whole);
    this.nextRedialAt = this.lostAt + REDIAL_MS;
    this.dialElsewhere(this.lostAt);
    // A session whose links break as soon as they are up is not dialled in a tight loop.
    if (this.lostAt - this.dialledAfterLossAt < 2 * REDIAL_MS) return;
    this.dialledAfterLossAt = this.lostAt;
    this.raceAgain(0, 0);
  }

  /** Somebody is shown this session, over a link that is heard or was a moment ago. */
  private get isWorking(): boolean {
    return this.phase === "live" && this.active !== null;
  }

  /** All that is on the way shows the ticket that was refused: nothing is dialled until another is here. */
  private askNewTicket(): boolean {
    if (!this.ticket.refused()) return false;
    this.socketDue = null;
    for (const candidate of this.candidates) candidate.close(CloseCode.done, "its ticket is refused");
    this.candidates = [];
    this.environment.ticketWanted();
    return true;
  }

  /** Another ticket, or null if the gateway did not answer: it is asked again at the next refusal. With it, where another site's
   * session is to be had now. */
  renewed(ticket: Uint8Array | null, gateways: Gateway[] = []): void {
    if (this.phase === "ended" || !this.ticket.isAwaited) return;
    const { gateway } = this;
    if (gateways.length > 0) {
      const still = gateways.find((told) => gateway !== null && isSameGateway(told, gateway));
      if (still === undefined) this.gateway = gateways[0] as Gateway;
      this.others = gateways.filter((told) => told !== (still ?? this.gateway));
    }
    this.ticket.answered(ticket);
    this.nextRedialAt = this.now() + REDIAL_MS;
    if (ticket !== null) this.raceAgain(0, 0);
  }

  private refusedAtAll(code: number | null, reason: string): void {
    const patient = code === CloseCode.noSuchSession && this.lostAt !== null &&
      this.now() - this.lostAt < NO_SUCH_SESSION_PATIENCE_MS;
    if ((endsForGood(code) || code === CloseCode.noSuchSession) && !patient) this.end(code as number, reason);
  }

  /** Ends the viewer: at the user's wish, or because the session said so for good. */
  end(code: number, reason: string): void {
    if (this.phase === "ended") return;
    this.phase = "ended";
    this.ending = { code, reason };
    for (const link of this.everyLink()) link.close(CloseCode.done, "the viewer ends");
    this.candidates = [];
    this.active = null;
    this.lastScreen = null;
    this.environment.wipe();
    this.environment.changed();
  }

  // Input

  get acceptsInput(): boolean {
    return this.phase === "live";
  }

  input(events: InputEvent[]): void {
    const encoded: Uint8Array[] = [];
    for (const event of events) {
      const bytes = this.acceptsInput ? this.log.push(event) : null;
      if (bytes !== null) encoded.push(bytes);
    }
    for (const bytes of encoded) this.active?.sendInput(bytes);
    const refused = events.slice(encoded.length).filter((event) => event.type === "KeyDown" || event.type === "Text");
    if (refused.length > 0) this.environment.inputRefused(refused.length);
  }

  pointerMoved(x: number, y: number): void {
    if (!this.acceptsInput) return;
    this.active?.sendDatagram(encodePointerDatagram(++this.pointerCounter, this.log.next, x, y));
  }

  /** After an outage the session may still hold keys whose release was refused. */
  private payRelease(): void {
    if (!this.releaseOwed) return;
    this.releaseOwed = false;
    this.input([{ type: "ReleaseAll" }]);
  }

  /** What the user decides; without a link it is not said. */
  say(message: Message): void {
    this.active?.send(message);
  }

  resize(width: number, height: number): void {
    if (width === this.target.width && height === this.target.height) return;
    this.target.width = width;
    this.target.height = height;
    for (const link of this.everyLink()) if (link.attachedAs !== null) link.send({ type: "Resize", width, height });
  }

  // Proof

  /** Hashes in small steps between arrivals; when all are known and the screen is whole, proves it. */
  private hashSoon(): void {
    if (this.hashing) return;
    this.hashing = true;
    this.environment.soon(() => {
      this.hashing = false;
      const active = this.active;
      if (active?.screen == null || this.phase === "ended") return;
      if (!active.screen.hashSome(TILES_HASHED_AT_ONCE)) this.hashSoon();
      else this.prove(active, active.screen);
    });
  }

  private prove(active: Attachment, screen: ViewerScreen): void {
    const update = screen.wholeUpTo;
    if (update === null || active.provedUpTo >= update) return;
    active.provedUpTo = update;
    const root = screen.root();
    active.send({ type: "Proof", update, root });
    if (!screen.wasTold(update, root)) return;
    active.agreedUpTo = Math.max(active.agreedUpTo, update);
    this.noteExactness(this.exactness);
  }

  get exactness(): Exactness {
    const active = this.active;
    if (active === null || this.phase !== "live") return "settling";
    if (active.isExact) return "exact";
    return this.now() - active.lastUpdateAt < MOVING_MS ? "moving" : "settling";
  }

  private noteExactness(exactness: Exactness): void {
    if (exactness === this.lastExactness) return;
    this.lastExactness = exactness;
    if (exactness === "exact") this.firstExactAt ??= this.now();
    this.environment.changed();
  }
}

/** What no other link would change. Who is signed out or locked out is shown nothing from that moment on. */
const FOR_GOOD: ReadonlySet<number | null> = new Set<number | null>([
  CloseCode.done, CloseCode.version, CloseCode.refused, CloseCode.takenOver, CloseCode.ended, CloseCode.signedOut, CloseCode.locked,
]);

function endsForGood(code: number | null): boolean {
  return FOR_GOOD.has(code);
}

function isSameGateway(first: Gateway, second: Gateway): boolean {
  return first.host === second.host && first.udpPort === second.udpPort && first.tcpPort === second.tcpPort &&
    first.pins.length === second.pins.length && first.pins.every((pin, at) => sameBytes(pin, second.pins[at] as Uint8Array));
}

function sameBytes(first: Uint8Array, second: Uint8Array): boolean {
  return first.length === second.length && first.every((byte, index) => byte === second[index]);
}
