// Who sees the screen, where and when, written over the picture. It is put back if something takes it away; whoever
// controls the browser can still lose it.

import type { Told } from "../messages.ts";

const REDRAWN_MS = 30_000;
const EVERY_X = 360;
const EVERY_Y = 140;

export class Mark {
  private canvas: HTMLCanvasElement | null = null;
  private text = "";
  private readonly observer: MutationObserver;
  private readonly resized: ResizeObserver;
  private timer: ReturnType<typeof setInterval> | null = null;

  constructor(private readonly over: HTMLElement) {
    this.observer = new MutationObserver(() => this.putBack());
    this.resized = new ResizeObserver(() => this.draw());
  }

  show({ marking, mark }: Extract<Told, { type: "Terms" }>): void {
    this.clear();
    if (marking !== "viewer") return;
    this.text = mark;
    this.putBack();
    this.observer.observe(this.over, { childList: true, subtree: true, attributes: true, attributeFilter: ["class", "style", "hidden"] });
    this.resized.observe(this.over);
    this.timer = setInterval(() => this.draw(), REDRAWN_MS);
  }

  private putBack(): void {
    const { canvas } = this;
    const intact = canvas !== null && canvas.parentElement === this.over && canvas.className === "watermark" &&
      !canvas.hidden && canvas.getAttribute("style") === null;
    if (intact) return;
    canvas?.remove();
    this.canvas = document.createElement("canvas");
    this.canvas.className = "watermark";
    this.canvas.setAttribute("aria-hidden", "true");
    this.over.append(this.canvas);
    this.draw();
  }

  private draw(): void {
    const { canvas } = this;
    const context = canvas?.getContext("2d") ?? null;
    if (canvas === null || context === null) return;
    const { clientWidth: width, clientHeight: height } = this.over;
    canvas.width = width;
    canvas.height = height;
    const now = new Date().toLocaleString(document.documentElement.lang, { dateStyle: "short", timeStyle: "short" });
    context.font = "16px sans-serif";
    context.rotate(-Math.PI / 12);
    // Light and dark, so that it shows on either.
    for (let y = 0; y < height + width / 2; y += EVERY_Y) {
      for (let x = -height / 2 + (y / EVERY_Y) % 2 * (EVERY_X / 2); x < width + height; x += EVERY_X) {
        context.fillStyle = "rgb(255 255 255 / 22%)";
        context.fillText(`${this.text} · ${now}`, x + 1, y + 1, EVERY_X - 20);
        context.fillStyle = "rgb(0 0 0 / 22%)";
        context.fillText(`${this.text} · ${now}`, x, y, EVERY_X - 20);
      }
    }
  }

  clear(): void {
    this.observer.disconnect();
    this.resized.disconnect();
    if (this.timer !== null) clearInterval(this.timer);
    this.timer = null;
    this.canvas?.remove();
    this.canvas = null;
  }
}
