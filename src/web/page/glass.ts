// The canvas in the window: its place, its scale, and which session pixel lies under a point.

import type { Point } from "./pointer.ts";

/** A session this much smaller than the window (in device pixels) is still shown pixel for pixel. */
const CLOSE_ENOUGH = 64;
const MOST_ZOOM = 8;

export class Glass {
  readonly canvas: HTMLCanvasElement;
  private width = 0;
  private height = 0;
  private fit = 1;
  private zoom = 1;
  private panX = 0;
  private panY = 0;

  constructor(private readonly stage: HTMLElement) {
    this.canvas = document.createElement("canvas");
    this.canvas.width = 1;
    this.canvas.height = 1;
    stage.replaceChildren(this.canvas);
  }

  /** The size that a session would have to fill the window pixel for pixel. */
  wantedSize(): { width: number; height: number } {
    const ratio = devicePixelRatio;
    const side = (css: number): number => Math.max(64, Math.min(16_384, Math.floor(css * ratio)));
    return { width: side(this.stage.clientWidth), height: side(this.stage.clientHeight) };
  }

  sessionSize(width: number, height: number): void {
    if (width === this.width && height === this.height) return;
    this.width = width;
    this.height = height;
    this.zoom = 1;
    this.panX = 0;
    this.panY = 0;
    this.layOut();
  }

  layOut(): void {
    if (this.width === 0) return;
    const ratio = devicePixelRatio;
    const wide = this.stage.clientWidth * ratio;
    const high = this.stage.clientHeight * ratio;
    const fits = this.width <= wide + 1 && this.height <= high + 1;
    const close = wide - this.width < CLOSE_ENOUGH && high - this.height < CLOSE_ENOUGH;
    this.fit = fits && close ? 1 : Math.min(wide / this.width, high / this.height);
    this.place();
  }

  private get scale(): number {
    return (this.fit * this.zoom) / devicePixelRatio;
  }

  private place(): void {
    const { scale } = this;
    const ratio = devicePixelRatio;
    const shownWidth = this.width * scale;
    const shownHeight = this.height * scale;
    this.panX = held(this.panX, this.stage.clientWidth, shownWidth);
    this.panY = held(this.panY, this.stage.clientHeight, shownHeight);
    // Whole device pixels, or the browser would blur a picture that fits exactly.
    const whole = (css: number): number => Math.round(css * ratio) / ratio;
    const left = whole((this.stage.clientWidth - shownWidth) / 2 + this.panX);
    const top = whole((this.stage.clientHeight - shownHeight) / 2 + this.panY);
    const { style } = this.canvas;
    style.width = `${this.width / ratio}px`;
    style.height = `${this.height / ratio}px`;
    const enlarged = this.fit * this.zoom;
    style.transform = `translate(${left}px, ${top}px)` + (enlarged === 1 ? "" : ` scale(${enlarged})`);
    this.canvas.classList.toggle("scaled", enlarged !== 1);
  }

  /** Zooms the view about a point of the window, then moves it; in CSS pixels. */
  zoomBy(scale: number, aboutX: number, aboutY: number, moveX: number, moveY: number): void {
    const before = this.zoom;
    this.zoom = Math.max(1, Math.min(MOST_ZOOM, this.zoom * scale));
    const grown = this.zoom / before;
    const fromCentreX = aboutX - this.stage.clientWidth / 2;
    const fromCentreY = aboutY - this.stage.clientHeight / 2;
    this.panX = (this.panX - fromCentreX) * grown + fromCentreX + moveX;
    this.panY = (this.panY - fromCentreY) * grown + fromCentreY + moveY;
    this.place();
  }

  /** The session pixel under a point of the window, or the nearest one. */
  toSession(clientX: number, clientY: number): Point {
    const box = this.canvas.getBoundingClientRect();
    const at = (client: number, start: number, shown: number, size: number): number =>
      shown === 0 ? 0 : Math.max(0, Math.min(size - 1, Math.floor(((client - start) / shown) * size)));
    return {
      x: at(clientX, box.left, box.width, this.width),
      y: at(clientY, box.top, box.height, this.height),
    };
  }

  /** The window's point over a session pixel, in CSS pixels. */
  toWindow(x: number, y: number): Point {
    const box = this.canvas.getBoundingClientRect();
    return { x: box.left + (x / Math.max(1, this.width)) * box.width, y: box.top + (y / Math.max(1, this.height)) * box.height };
  }

  /** CSS pixels that one session pixel takes. */
  get cssPerPixel(): number {
    return this.scale;
  }
}

/** No further than needed to see every part of the picture. */
function held(pan: number, window: number, shown: number): number {
  const most = Math.max(0, (shown - window) / 2);
  return Math.max(-most, Math.min(most, pan));
}
