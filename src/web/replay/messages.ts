// What the replay page and its worker say to each other. The identity goes to the worker, and nowhere else.

import type { CursorImage } from "../page/cursor.ts";

export type ToReplay =
  | { type: "open"; canvas: OffscreenCanvas; url: string; identity: string }
  | { type: "seek"; time: number }
  | { type: "play"; speed: number; skipIdle: boolean }
  | { type: "pause" }
  | { type: "pixels"; request: number };

export interface Opened {
  session: string;
  title: string;
  beganUnixMillis: number;
  /** Microseconds. */
  end: number;
  keys: number[];
  damage: string | null;
}

export type FromReplay =
  | { type: "opened"; recording: Opened }
  | { type: "time"; time: number; playing: boolean; width: number; height: number; skipped: boolean; pointer: { x: number; y: number } | null }
  | { type: "cursor"; cursor: CursorImage | null }
  | { type: "failed"; kind: "key" | "identity" | "damaged" | "foreign" | "away" | "other"; detail: string }
  | { type: "pixels"; request: number; width: number; height: number; time: number; rgba: ArrayBuffer };
