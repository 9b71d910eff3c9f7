// Wheel and touch, as input events. Pure: positions are session pixels, times are given.

import { Button, type InputEvent } from "../wire/input.ts";

export interface Point {
  x: number;
  y: number;
}

const NOTCH = 120;
const PIXELS_A_NOTCH = 100;
const LINES_A_NOTCH = 3;
const MOST_NOTCHES = 64;

/** Adds up wheel movement, which browsers tell in pixels, lines or pages, into 120ths of a notch. */
export class Wheel {
  private horizontal = 0;
  private vertical = 0;

  add(deltaX: number, deltaY: number, mode: number, at: Point): InputEvent[] {
    const scale = mode === 0 ? NOTCH / PIXELS_A_NOTCH : mode === 1 ? NOTCH / LINES_A_NOTCH : NOTCH * 10;
    this.horizontal += deltaX * scale;
    this.vertical += deltaY * scale;
    const horizontal = whole(this.horizontal);
    const vertical = whole(this.vertical);
    if (horizontal === 0 && vertical === 0) return [];
    this.horizontal -= horizontal;
    this.vertical -= vertical;
    return [{ type: "Wheel", horizontal: bounded(horizontal), vertical: bounded(vertical), x: at.x, y: at.y }];
  }
}

function whole(value: number): number {
  return Math.trunc(value) + 0;
}

function bounded(value: number): number {
  return Math.max(-MOST_NOTCHES * NOTCH, Math.min(MOST_NOTCHES * NOTCH, value));
}

/** PointerEvent.button to the protocol's button; null for one that it does not have. */
export function buttonOf(button: number): Button | null {
  return [Button.left, Button.middle, Button.right, Button.back, Button.forward][button] ?? null;
}

export const LONG_PRESS_MS = 500;
const TAP_SLOP = 12;
const PINCH_SLOP = 24;

export type GestureResult = {
  events: InputEvent[];
  /** A local change of the view: zoom by `scale` about a point of the glass, then move. */
  zoom?: { scale: number; aboutX: number; aboutY: number; moveX: number; moveY: number };
};

interface Finger {
  id: number;
  /** On the glass, in CSS pixels. */
  glass: Point;
  start: Point;
  /** In the session. */
  at: Point;
}

/** Fingers: tap clicks, a long press is the right button, one finger drags, two scroll or zoom. */
export class Touch {
  private fingers: Finger[] = [];
  private mode: "none" | "tap" | "drag" | "two" | "scroll" | "pinch" | "done" = "none";
  private startedAt = 0;
  private lastDistance = 0;
  private lastCentre: Point = { x: 0, y: 0 };
  private readonly wheel = new Wheel();

  down(id: number, glass: Point, at: Point, now: number): GestureResult {
    this.fingers.push({ id, glass, start: glass, at });
    if (this.fingers.length === 1) {
      this.mode = "tap";
      this.startedAt = now;
    } else if (this.fingers.length === 2) {
      const events: InputEvent[] = this.mode === "drag" ? [button(Button.left, false, at)] : [];
      this.mode = "two";
      this.lastDistance = this.distance();
      this.lastCentre = this.centre();
      return { events };
    }
    return { events: [] };
  }

  move(id: number, glass: Point, at: Point): GestureResult {
    const finger = this.fingers.find((each) => each.id === id);
    if (finger === undefined) return { events: [] };
    const before = finger.at;
    finger.glass = glass;
    finger.at = at;
    if (this.mode === "tap" && away(finger) > TAP_SLOP) {
      this.mode = "drag";
      return { events: [button(Button.left, true, before), { type: "PointerMove", ...at }] };
    }
    if (this.mode === "drag") return { events: [{ type: "PointerMove", ...at }] };
    return this.fingers.length === 2 ? this.moveTwo() : { events: [] };
  }

  private moveTwo(): GestureResult {
    const distance = this.distance();
    const centre = this.centre();
    if (this.mode === "two") {
      if (Math.abs(distance - this.lastDistance) > PINCH_SLOP) this.mode = "pinch";
      else if (Math.hypot(centre.x - this.lastCentre.x, centre.y - this.lastCentre.y) > TAP_SLOP) this.mode = "scroll";
      else return { events: [] };
    }
    const moveX = centre.x - this.lastCentre.x;
    const moveY = centre.y - this.lastCentre.y;
    const scale = this.lastDistance > 0 ? distance / this.lastDistance : 1;
    this.lastCentre = centre;
    this.lastDistance = distance;
    if (this.mode === "scroll") {
      const at = (this.fingers[0] as Finger).at;
      return { events: this.wheel.add(-moveX, -moveY, 0, at) };
    }
    return { events: [], zoom: { scale, aboutX: centre.x, aboutY: centre.y, moveX, moveY } };
  }

  up(id: number, now: number): GestureResult {
    const finger = this.fingers.find((each) => each.id === id);
    this.fingers = this.fingers.filter((each) => each.id !== id);
    if (finger === undefined) return { events: [] };
    const mode = this.mode;
    if (this.fingers.length > 0) {
      if (mode === "two" && now - this.startedAt < LONG_PRESS_MS) {
        this.mode = "done";
        return { events: click(Button.right, finger.at) };
      }
      this.mode = "done";
      return { events: [] };
    }
    this.mode = "none";
    if (mode === "drag") return { events: [button(Button.left, false, finger.at)] };
    if (mode === "tap") return { events: click(Button.left, finger.at) };
    return { events: [] };
  }

  /** To be called when a finger has rested for LONG_PRESS_MS. */
  rested(now: number): GestureResult {
    const finger = this.fingers[0];
    if (this.mode !== "tap" || finger === undefined || now - this.startedAt < LONG_PRESS_MS) return { events: [] };
    this.mode = "done";
    return { events: click(Button.right, finger.at) };
  }

  /** The browser took the touch away. */
  cancel(): GestureResult {
    const finger = this.fingers[0];
    const events: InputEvent[] = this.mode === "drag" && finger !== undefined ? [button(Button.left, false, finger.at)] : [];
    this.fingers = [];
    this.mode = "none";
    return { events };
  }

  private distance(): number {
    const [first, second] = this.fingers as [Finger, Finger];
    return Math.hypot(first.glass.x - second.glass.x, first.glass.y - second.glass.y);
  }

  private centre(): Point {
    const [first, second] = this.fingers as [Finger, Finger];
    return { x: (first.glass.x + second.glass.x) / 2, y: (first.glass.y + second.glass.y) / 2 };
  }
}

function away(finger: Finger): number {
  return Math.hypot(finger.glass.x - finger.start.x, finger.glass.y - finger.start.y);
}

function button(which: Button, down: boolean, at: Point): InputEvent {
  return { type: "PointerButton", button: which, down, x: at.x, y: at.y };
}

function click(which: Button, at: Point): InputEvent[] {
  return [button(which, true, at), button(which, false, at)];
}
