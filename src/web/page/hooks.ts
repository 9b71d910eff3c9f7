// `window.chevet`: what tests and support may look at. Read-only, without secrets.

import type { Pixels, SessionView } from "./session-view.ts";
import type { Heard } from "./sound.ts";

export interface Hooks {
  /** Null while no session is shown. */
  state(): object | null;
  /** The canvas' pixels, read back: R, G, B, A bytes row by row. */
  pixels(): Promise<ArrayBuffer>;
  /** What is heard; null while no session is shown. */
  sound(): Heard | null;
  readonly timings: { firstExactMillis: number | null };
}

export function exposeHooks(view: () => SessionView | null): void {
  const hooks: Hooks = {
    state() {
      const status = view()?.status;
      if (status == null) return null;
      const { phase, exactness, policy, road, gateway, width, height, updates, videoFrames, bytes } = status;
      const { roundTripMillis: latencyMillis, decodeMicros, presentMicros } = status;
      const counts = { updates, videoFrames, bytes, latencyMillis, decodeMicros, presentMicros };
      return { phase, exactness, policy, road, gateway, width, height, ...counts };
    },
    async pixels() {
      const pixels: Pixels | undefined = await view()?.pixels();
      return pixels?.rgba ?? new ArrayBuffer(0);
    },
    sound() {
      return view()?.sound.heard ?? null;
    },
    get timings() {
      const at = view()?.status?.firstExactAt ?? null;
      return { firstExactMillis: at === null ? null : at - performance.timeOrigin };
    },
  };
  Object.defineProperty(window, "chevet", { value: Object.freeze(hooks) });
}
