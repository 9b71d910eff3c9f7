// The browser's pointer and wheel events over the session's picture.

import type { InputEvent } from "../wire/input.ts";
import type { Glass } from "./glass.ts";
import { type GestureResult, LONG_PRESS_MS, type Point, Touch, Wheel, buttonOf } from "./pointer.ts";

/** The newest position at most this often: 125 a second. */
const MOTION_MS = 8;

export interface PointerSink {
  input(events: InputEvent[]): void;
  moved(x: number, y: number): void;
  /** Any event of the mouse, for what it says about modifiers and the pointer's place. */
  seen(event: PointerEvent | WheelEvent): void;
  left(): void;
}

export class PointerEvents {
  private readonly stopped = new AbortController();
  private readonly wheel = new Wheel();
  private readonly touch = new Touch();
  private newest: Point | null = null;
  private movedAt = -Infinity;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly glass: Glass,
    private readonly stage: HTMLElement,
    private readonly sink: PointerSink,
  ) {
    const { signal } = this.stopped;
    const on = <K extends keyof HTMLElementEventMap>(type: K, handle: (event: HTMLElementEventMap[K]) => void): void =>
      stage.addEventListener(type, handle, { signal, passive: false });
    on("pointerdown", (event) => this.down(event));
    on("pointerup", (event) => this.up(event));
    on("pointermove", (event) => this.move(event));
    on("pointercancel", (event) => event.pointerType === "touch" && this.act(this.touch.cancel()));
    on("pointerleave", () => this.sink.left());
    on("wheel", (event) => this.turn(event));
    on("contextmenu", (event) => event.preventDefault());
    on("auxclick", (event) => event.preventDefault());
    on("dragstart", (event) => event.preventDefault());
    // Moves that the browser would hold back until its next frame.
    if ("onpointerrawupdate" in window) {
      stage.addEventListener("pointerrawupdate", (event) => this.rawMove(event as PointerEvent), { signal });
    }
  }

  stop(): void {
    this.stopped.abort();
    if (this.timer !== null) clearTimeout(this.timer);
  }

  private at(event: MouseEvent): Point {
    return this.glass.toSession(event.clientX, event.clientY);
  }

  private down(event: PointerEvent): void {
    event.preventDefault();
    this.stage.setPointerCapture(event.pointerId);
    if (event.pointerType === "touch") {
      const now = performance.now();
      this.act(this.touch.down(event.pointerId, glassPoint(event), this.at(event), now));
      setTimeout(() => this.act(this.touch.rested(performance.now())), LONG_PRESS_MS + 1);
      return;
    }
    this.sink.seen(event);
    this.click(event, true);
  }

  private up(event: PointerEvent): void {
    event.preventDefault();
    if (event.pointerType === "touch") this.act(this.touch.up(event.pointerId, performance.now()));
    else this.click(event, false);
  }

  private click(event: PointerEvent, down: boolean): void {
    const button = buttonOf(event.button);
    if (button === null) return;
    this.forgetMotion();
    this.sink.input([{ type: "PointerButton", button, down, ...this.at(event) }]);
  }

  private move(event: PointerEvent): void {
    if (event.pointerType === "touch") {
      this.act(this.touch.move(event.pointerId, glassPoint(event), this.at(event)));
      return;
    }
    this.sink.seen(event);
    // A second button pressed or released while one is down comes as a move (Pointer Events, section 4.2.1).
    if (event.button >= 0) this.click(event, (event.buttons & buttonBit(event.button)) !== 0);
    else this.motion(this.at(event));
  }

  private rawMove(event: PointerEvent): void {
    if (event.pointerType !== "touch") this.motion(this.at(event));
  }

  private motion(at: Point): void {
    if (this.newest !== null && this.newest.x === at.x && this.newest.y === at.y && this.timer === null) return;
    this.newest = at;
    if (this.timer !== null) return;
    const wait = this.movedAt + MOTION_MS - performance.now();
    if (wait <= 0) this.sendMotion();
    else this.timer = setTimeout(() => this.sendMotion(), wait);
  }

  private sendMotion(): void {
    this.timer = null;
    this.movedAt = performance.now();
    if (this.newest !== null) this.sink.moved(this.newest.x, this.newest.y);
  }

  /** A click carries its position: an older move must not follow it. */
  private forgetMotion(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.newest = null;
  }

  private turn(event: WheelEvent): void {
    event.preventDefault();
    this.sink.seen(event);
    this.sink.input(this.wheel.add(event.deltaX, event.deltaY, event.deltaMode, this.at(event)));
  }

  private act(result: GestureResult): void {
    if (result.events.length > 0) this.sink.input(result.events);
    if (result.zoom === undefined) return;
    const { scale, aboutX, aboutY, moveX, moveY } = result.zoom;
    this.glass.zoomBy(scale, aboutX, aboutY, moveX, moveY);
  }
}

function glassPoint(event: PointerEvent): Point {
  return { x: event.clientX, y: event.clientY };
}

/** The bit of `buttons` for a `button`: the two are numbered differently. */
function buttonBit(button: number): number {
  return [1, 4, 2, 8, 16][button] ?? 0;
}
