// Puts the framebuffer on the canvas: one whole update at a time, once a frame at most, nothing queued.

import type { ViewerScreen } from "./screen.ts";

/** Two presents closer than this wait for the browser's next frame: only one of them could be seen. */
const FRAME_MS = 7;
/** Hidden pages, and some browsers' workers, get no frames: then the picture waits no longer than this. */
const LATEST_MS = 25;

export class Presenter {
  presentMicros = 0;
  private readonly context: OffscreenCanvasRenderingContext2D;
  private screen: ViewerScreen | null = null;
  private image: ImageData | null = null;
  private presentedAt = -Infinity;
  private scheduled = false;

  constructor(
    private readonly canvas: OffscreenCanvas,
    private readonly resized: (width: number, height: number) => void,
  ) {
    const context = canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Error("the browser gives no 2D canvas");
    this.context = context;
  }

  get width(): number {
    return this.image?.width ?? 0;
  }

  get height(): number {
    return this.image?.height ?? 0;
  }

  /** The screen has changed: at once if the last present is long enough ago, else with the next frame. */
  present(screen: ViewerScreen): void {
    this.screen = screen;
    if (this.scheduled) return;
    if (performance.now() - this.presentedAt >= FRAME_MS) this.paint();
    else this.paintNextFrame();
  }

  private paintNextFrame(): void {
    this.scheduled = true;
    const once = (): void => {
      if (!this.scheduled) return;
      this.scheduled = false;
      this.paint();
    };
    requestAnimationFrame(once);
    setTimeout(once, LATEST_MS);
  }

  private paint(): void {
    const screen = this.screen;
    if (screen === null || !screen.hasPicture || screen.damage.isEmpty) return;
    const started = performance.now();
    const image = this.imageOf(screen);
    for (const { x, y, width, height } of screen.damage.take()) {
      this.context.putImageData(image, 0, 0, x, y, width, height);
    }
    this.presentedAt = performance.now();
    this.presentMicros = Math.round((this.presentedAt - started) * 1000);
  }

  private imageOf(screen: ViewerScreen): ImageData {
    const { width, height } = screen.grid;
    const { buffer } = screen.framebuffer;
    if (this.image === null || this.image.data.buffer !== buffer) {
      this.image = new ImageData(new Uint8ClampedArray(buffer), width, height);
      if (this.canvas.width !== width || this.canvas.height !== height) {
        this.canvas.width = width;
        this.canvas.height = height;
        this.resized(width, height);
      }
      screen.damage.addAll();
    }
    return this.image;
  }

  /** Forgets the picture: nothing of it stays on the canvas, and nothing is painted until the next `present`. */
  wipe(): void {
    this.screen = null;
    this.image = null;
    this.scheduled = false;
    // Setting its size empties a canvas.
    this.canvas.width = 1;
    this.canvas.height = 1;
  }

  /** The canvas' own pixels, read back, after everything applied has been painted. */
  readBack(): ImageData | null {
    this.paint();
    if (this.width === 0) return null;
    return this.context.getImageData(0, 0, this.width, this.height);
  }
}
