// The pixels of one session on this page: the canvas that shows them, and the worker that has them.

import type { ToWorker } from "../messages.ts";

const LAST_WORDS_MS = 300;

export class Pane {
  private dark = false;
  private terminated = false;

  constructor(
    private readonly canvas: { remove(): void },
    private readonly worker: { postMessage(message: ToWorker, transfer: Transferable[]): void; terminate(): void },
  ) {}

  tell(message: ToWorker, transfer: Transferable[] = []): void {
    if (!this.terminated) this.worker.postMessage(message, transfer);
  }

  /** Nothing is seen of the session any more; its worker gets a moment to take leave of it. */
  leave(): void {
    this.darken();
    this.tell({ type: "stop" });
    setTimeout(() => this.terminate(), LAST_WORDS_MS);
  }

  /** Nothing is seen of the session, and nothing of it is kept, from this moment on. */
  close(): void {
    this.darken();
    this.terminate();
  }

  private darken(): void {
    if (this.dark) return;
    this.dark = true;
    this.canvas.remove();
  }

  private terminate(): void {
    if (this.terminated) return;
    this.terminated = true;
    this.worker.terminate();
  }
}
