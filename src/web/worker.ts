// The worker: everything networked and everything that decodes. The page only shows and listens.

import { loadCodec } from "./viewer/codec.ts";
import { dialWebSocket } from "./link/websocket.ts";
import { dialWebTransport } from "./link/webtransport.ts";
import type { FromWorker, StartOptions, Status, ToWorker } from "./messages.ts";
import { h264Decoders } from "./viewer/h264.ts";
import { opusPlays } from "./viewer/opus.ts";
import { FetchedPicture, OfferedPicture } from "./viewer/pictures.ts";
import { type Nearest, findNearest, inOrder } from "./viewer/nearest.ts";
import { Presenter } from "./viewer/presenter.ts";
import { Roads } from "./viewer/roads.ts";
import { type Environment, Viewer } from "./viewer/viewer.ts";
import type { Link, LinkListener, Road } from "./link/link.ts";
import { CloseCode, type Gateway, type Message, type Policy } from "./wire/control.ts";
import { utf8 } from "./wire/bytes.ts";
import type { SoundPacket } from "./wire/sound.ts";
import type { Codec } from "./viewer/screen.ts";
import type { OpenDecoder } from "./viewer/videos.ts";

const TICK_MS = 50;
const STATUS_MS = 500;
const KNOCK_PATIENCE_MS = 1500;
/** A link that was opened to find the nearest gateway is used at once, or never. */
const TAKEN_WITHIN_MS = 1000;

/** The part of DedicatedWorkerGlobalScope used here; the DOM library types `self` as a window. */
interface WorkerScope extends EventTarget {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
}
const scope = self as unknown as WorkerScope;
const post = (message: FromWorker, transfer: Transferable[] = []): void => scope.postMessage(message, transfer);

let viewer: Viewer | null = null;
/** What was wanted while there was no viewer yet. */
let resized: { width: number; height: number } | null = null;
let presenter: Presenter | null = null;
let lastPolicy: Policy = "balanced";
let recorded = false;
const offered = new OfferedPicture();
const fetched = new FetchedPicture(
  (message) => viewer?.say(message),
  (png) => post({ type: "picture", png }, [png.buffer]),
);

function say(message: Message | null): void {
  if (message !== null) viewer?.say(message);
}

function status(shown: Viewer): Status {
  const active = shown.active;
  // While a link is away, what the session promised still holds.
  lastPolicy = active?.policy ?? lastPolicy;
  return {
    phase: shown.phase,
    exactness: shown.exactness,
    policy: active?.policy ?? lastPolicy,
    recorded,
    road: active?.road ?? null,
    gateway: active?.gateway == null ? null : `${bracketed(active.gateway.host)}:${active.gateway.tcpPort}`,
    width: presenter?.width ?? 0,
    height: presenter?.height ?? 0,
    title: shown.title,
    updates: active?.updates ?? 0,
    videoFrames: active?.videoFrames ?? 0,
    bytes: active?.bytes ?? 0,
    roundTripMillis: active?.roundTripMillis ?? active?.roundTripOfSession ?? null,
    firstExactAt: shown.firstExactAt === null ? null : performance.timeOrigin + shown.firstExactAt,
    ending: shown.ending,
    decodeMicros: active?.decodeMicros ?? 0,
    presentMicros: presenter?.presentMicros ?? 0,
  };
}

function postStatus(): void {
  if (viewer !== null) post({ type: "status", status: status(viewer) });
}

function forwardMessage(message: Message): void {
  if (message.type === "Cursor") {
    const { width, height, hotX, hotY, rgba } = message;
    post({ type: "cursor", width, height, hotX, hotY, rgba });
  } else if (message.type === "CursorAt") {
    post({ type: "cursorAt", x: message.x, y: message.y });
  } else if (message.type === "State") {
    post({ type: "sessionState", live: message.live, waitingFor: message.waitingFor });
  } else if (message.type === "Recorded") {
    recorded = message.recorded;
    postStatus();
  } else if (message.type === "Message") {
    post({ type: "announcement", text: message.text });
  } else if (message.type === "Clip") {
    fetched.giveUp();
    post({ type: "clip", text: message.text });
  } else if (message.type === "Picture") {
    fetched.hear(message);
  } else if (message.type === "PictureWanted") {
    say(offered.part(message.picture, message.from));
  } else if (message.type === "Sound") {
    post({ type: "sound", format: message.format });
  } else if (message.type === "ClipTaken") {
    post({ type: "clipTaken", taken: message.taken });
  } else if (message.type === "Terms" || message.type === "WatchAsked" || message.type === "WatchOver" || message.type === "Watchers") {
    post({ type: "told", message });
  }
}

/** A packet with bytes of its own: those that it came in may hold much else. */
function forwardSound({ number, timeMicros, opus }: SoundPacket): void {
  const own = opus.slice();
  post({ type: "heard", packet: { number, timeMicros, opus: own } }, [own.buffer]);
}

/** Asks whether a gateway answers. One that was started anew may have another certificate: of the page's own that is learnt, too. */
async function knock(options: StartOptions, gateway: Gateway | null): Promise<boolean> {
  try {
    const asking: RequestInit = { cache: "no-store", signal: AbortSignal.timeout(KNOCK_PATIENCE_MS) };
    if (gateway !== null) {
      const { host, tcpPort, tls } = gateway;
      const url = `${tls ? "https" : "http"}://${bracketed(host)}:${tcpPort}/api/connect`;
      return (await fetch(url, { ...asking, credentials: "omit" })).ok;
    }
    const response = await fetch(options.knockUrl, asking);
    const info = (await response.json()) as { certificate_sha256?: unknown };
    if (Array.isArray(info.certificate_sha256)) options.certificates = info.certificate_sha256.map(String);
    return true;
  } catch {
    return false;
  }
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function dialOther(road: Road, { host, udpPort, tcpPort, tls, pins }: Gateway, listener: LinkListener): Link {
  const name = bracketed(host);
  if (road === "websocket") return dialWebSocket(`${tls ? "wss" : "ws"}://${name}:${tcpPort}/chevet`, listener);
  const hex = (pin: Uint8Array): string => Array.from(pin, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return dialWebTransport(`https://${name}:${udpPort}/chevet`, pins.map(hex), listener);
}

/** A task of its own, behind everything that has arrived; timers would be held back to 4 ms. */
function soonTasks(): (run: () => void) => void {
  const channel = new MessageChannel();
  const due: (() => void)[] = [];
  channel.port1.onmessage = () => due.shift()?.();
  return (run) => {
    due.push(run);
    channel.port2.postMessage(null);
  };
}

function environmentOf(
  options: StartOptions,
  nearest: Nearest,
  codec: Codec,
  openDecoder: OpenDecoder | null,
  playsSound: boolean,
  painter: Presenter,
): Environment {
  return {
    codec,
    openDecoder,
    playsSound,
    now: () => performance.now(),
    wallClock: () => Date.now(),
    dial: (road, gateway, listener) => {
      if (gateway !== null) return nearest.take(road, gateway, listener) ?? dialOther(road, gateway, listener);
      return road === "websocket"
        ? dialWebSocket(options.webSocketUrl, listener)
        : dialWebTransport(options.webTransportUrl ?? "", options.certificates, listener);
    },
    knock: (gateway) => knock(options, gateway),
    soon: soonTasks(),
    present: (screen) => painter.present(screen),
    changed: postStatus,
    message: forwardMessage,
    sound: forwardSound,
    inputRefused: (count) => post({ type: "inputRefused", count }),
    ticketWanted: () => post({ type: "ticketWanted" }),
    wipe: () => painter.wipe(),
    remember: (memory) => post({ type: "roadMemory", memory }),
  };
}

/** The nearest of another site's gateways. */
function nearestOf({ gateways, webTransport, roadMemory }: StartOptions): Promise<Nearest> {
  const roads = new Roads(webTransport, roadMemory, () => undefined);
  return findNearest(gateways, roads.webTransportFirst(Date.now()), dialOther, (run, millis) => setTimeout(run, millis));
}

async function start(canvas: OffscreenCanvas, options: StartOptions): Promise<void> {
  const painter = new Presenter(canvas, () => queueMicrotask(postStatus));
  const isElsewhere = options.gateways.length > 0;
  const finding = isElsewhere ? nearestOf(options) : Promise.resolve(inOrder([]));
  const [codec, openDecoder, playsSound, nearest] = await Promise.all([loadCodec(), h264Decoders(), opusPlays(), finding]);
  presenter = painter;
  const { session, ticket, secret } = options;
  const { width, height } = resized ?? options;
  const { gateways } = nearest;
  const target = { session, ticket: utf8(ticket), secret, width, height, gateways };
  const environment = environmentOf(options, nearest, codec, openDecoder, playsSound, painter);
  const quic = isElsewhere ? options.webTransport && gateways[0]?.udpPort !== 0 : options.webTransportUrl !== null;
  viewer = new Viewer(environment, target, quic, options.roadMemory);
  setTimeout(() => nearest.leave(), TAKEN_WITHIN_MS);
  setInterval(() => viewer?.tick(), TICK_MS);
  setInterval(postStatus, STATUS_MS);
  scope.addEventListener("online", () => viewer?.online());
  postStatus();
}

function sendPixels(request: number): void {
  const image = presenter?.readBack() ?? null;
  const rgba = image === null ? new ArrayBuffer(0) : image.data.buffer as ArrayBuffer;
  post({ type: "pixels", request, width: image?.width ?? 0, height: image?.height ?? 0, rgba }, [rgba]);
}

scope.onmessage = (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  switch (message.type) {
    case "start":
      start(message.canvas, message.options).catch((error: unknown) => post({ type: "failed", reason: String(error) }));
      return;
    case "input":
      return viewer?.input(message.events);
    case "pointer":
      return viewer?.pointerMoved(message.x, message.y);
    case "resize":
      resized = message;
      return viewer?.resize(message.width, message.height);
    case "pixels":
      return sendPixels(message.request);
    case "ticket":
      return viewer?.renewed(message.ticket === null ? null : utf8(message.ticket), message.gateways);
    case "decided":
      return viewer?.say(message.message);
    case "copyPicture":
      return say(offered.offer(message.png));
    case "hear":
      return viewer?.hear(message.wanted);
    case "stop":
      return viewer?.end(CloseCode.done, "");
  }
};
