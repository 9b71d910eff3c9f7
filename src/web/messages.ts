// What page and worker say to each other.

import type { RoadMemory } from "./viewer/roads.ts";
import type { Exactness, Phase } from "./viewer/viewer.ts";
import type { Road } from "./link/link.ts";
import type { Gateway, Message, Policy } from "./wire/control.ts";
import type { InputEvent } from "./wire/input.ts";
import type { SoundFormat, SoundPacket } from "./wire/sound.ts";

export interface StartOptions {
  session: string;
  ticket: string;
  /** Shown with the ticket; empty for an access code. */
  secret: string;
  width: number;
  height: number;
  /** Whether this browser can be trusted with WebTransport at all. */
  webTransport: boolean;
  webTransportUrl: string | null;
  certificates: string[];
  webSocketUrl: string;
  knockUrl: string;
  roadMemory: RoadMemory | null;
  /** Those of the other site that has the session; none: it is at the page's own gateway. */
  gateways: Gateway[];
}

/** What the session says of who may do what, and who watches. */
export type Told = Extract<Message, { type: "Terms" | "WatchAsked" | "WatchOver" | "Watchers" }>;
/** What the user decides of it. */
export type Decided = Extract<Message, { type: "WatchAnswer" | "WatcherOrder" | "Clip" }>;

export type ToWorker =
  | { type: "start"; canvas: OffscreenCanvas; options: StartOptions }
  | { type: "input"; events: InputEvent[] }
  | { type: "pointer"; x: number; y: number }
  | { type: "resize"; width: number; height: number }
  | { type: "pixels"; request: number }
  /** The answer to ticketWanted; null if the gateway gave none. */
  | { type: "ticket"; ticket: string | null; gateways: Gateway[] }
  | { type: "decided"; message: Decided }
  /** A picture was copied here, as PNG. */
  | { type: "copyPicture"; png: Uint8Array<ArrayBuffer> }
  /** Whether what the session plays is wanted. */
  | { type: "hear"; wanted: boolean }
  | { type: "stop" };

export interface Status {
  phase: Phase;
  exactness: Exactness;
  policy: Policy;
  /** What the session shows is recorded. */
  recorded: boolean;
  road: Road | null;
  /** "HOST:PORT" of the gateway that shows the session; null: the page's own. */
  gateway: string | null;
  width: number;
  height: number;
  title: string;
  updates: number;
  /** Frames of video shown. */
  videoFrames: number;
  bytes: number;
  roundTripMillis: number | null;
  /** When a screen was first proven exact: milliseconds since 1970, as performance.timeOrigin counts. */
  firstExactAt: number | null;
  ending: { code: number; reason: string } | null;
  decodeMicros: number;
  presentMicros: number;
}

export type FromWorker =
  | { type: "status"; status: Status }
  | { type: "cursor"; width: number; height: number; hotX: number; hotY: number; rgba: Uint8Array }
  | { type: "cursorAt"; x: number; y: number }
  | { type: "sessionState"; live: boolean; waitingFor: string }
  | { type: "inputRefused"; count: number }
  /** What an administrator says. */
  | { type: "announcement"; text: string }
  | { type: "told"; message: Told }
  /** A program has copied this. */
  | { type: "clip"; text: string }
  /** A program has copied this picture, as PNG. */
  | { type: "picture"; png: Uint8Array<ArrayBuffer> }
  /** Whether the session has what was copied here. */
  | { type: "clipTaken"; taken: boolean }
  /** The session plays something, so coded; null: nothing any more. */
  | { type: "sound"; format: SoundFormat | null }
  | { type: "heard"; packet: SoundPacket }
  | { type: "ticketWanted" }
  | { type: "roadMemory"; memory: RoadMemory | null }
  | { type: "pixels"; request: number; width: number; height: number; rgba: ArrayBuffer }
  | { type: "failed"; reason: string };
