// Which road to dial when. Pure: times are given. What is remembered of a failed road lives in the browser.

import type { Road } from "../link/link.ts";

export const WEBSOCKET_HEAD_START_MS = 200;
const FIRST_RETRY_MS = 30_000;
const LAST_RETRY_MS = 600_000;

/** What this browser remembers of WebTransport to this gateway. Times are of the wall clock. */
export interface RoadMemory {
  failedAt: number;
  retryAfterMs: number;
}

export class Roads {
  constructor(
    /** The browser has WebTransport, the gateway offers it, and the pair is not known to be bad. */
    readonly webTransportUsable: boolean,
    private memory: RoadMemory | null,
    private readonly remember: (memory: RoadMemory | null) => void,
  ) {}

  /** Whether QUIC should be dialled first at this moment. */
  webTransportFirst(wallClock: number): boolean {
    return this.webTransportUsable && !this.isResting(wallClock);
  }

  private isResting(wallClock: number): boolean {
    return this.memory !== null && wallClock < this.memory.failedAt + this.memory.retryAfterMs;
  }

  /** While on WebSocket: whether it is time to try QUIC in the background. */
  upgradeDue(wallClock: number): boolean {
    return this.webTransportUsable && !this.isResting(wallClock);
  }

  webTransportFailed(wallClock: number): void {
    // Several failures within one rest are one failure.
    if (this.isResting(wallClock)) return;
    const retryAfterMs = this.memory === null ? FIRST_RETRY_MS : Math.min(this.memory.retryAfterMs * 2, LAST_RETRY_MS);
    this.memory = { failedAt: wallClock, retryAfterMs };
    this.remember(this.memory);
  }

  webTransportWorked(): void {
    if (this.memory === null) return;
    this.memory = null;
    this.remember(null);
  }
}

export interface KnownBad {
  road: string;
  user_agent: string;
  reason: string;
}

/** The reason why a road is known not to work in this browser, or null. */
export function knownBadReason(list: KnownBad[], road: Road, userAgent: string): string | null {
  for (const entry of list) {
    if (entry.road !== road) continue;
    try {
      if (new RegExp(entry.user_agent, "u").test(userAgent)) return entry.reason;
    } catch {
      // A pattern that this browser cannot read says nothing about it.
    }
  }
  return null;
}
