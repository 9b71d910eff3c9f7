// Providers and cards send browsers back to the sessions page alone. Whoever began on the administration page goes on there.

import { remember, remembered } from "./dom.ts";

const BEGAN = "chevet.began-in-admin";
/** As long as the gateway waits for a provider's answer. */
const PATIENCE_MS = 600_000;

/** A sign-in elsewhere begins on the administration page. */
export function beganInAdmin(now: number): void {
  remember("session", BEGAN, String(now));
}

/** Whether this load of the page is the answer to one; true once. */
export function isBackForAdmin(now: number): boolean {
  const began = remembered("session", BEGAN);
  remember("session", BEGAN, null);
  return began !== null && isWithin(Number(began), now);
}

export function isWithin(began: number, now: number): boolean {
  return now >= began && now - began < PATIENCE_MS;
}
