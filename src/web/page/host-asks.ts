// What the form for a host's credentials says and sends. Pure: the form shows it.

import { GatewayError, type HostAsks, type HostLogin } from "./gateway.ts";
import type { PlainWord } from "./words.ts";

/** Beginnings of the gateway's reasons, and what users read instead. */
const WHY: [string, PlainWord][] = [
  ["the user or the password is wrong", "hostWrong"],
  ["the password has expired", "hostExpired"],
  ["the password must be changed first", "hostExpired"],
  ["the account is locked", "hostLocked"],
  ["the account", "hostDisabled"],
  ["the user may not sign in there", "hostDisabled"],
];

/** Why the host asks again; null if it asks for the first time. */
export function whyAsked({ refused }: HostAsks): PlainWord | null {
  if (refused === null) return null;
  return WHY.find(([beginning]) => refused.startsWith(beginning))?.[1] ?? "hostRefused";
}

/** What to send; or what has to be typed first, and where. */
export function typedLogin(typed: HostLogin): { login: HostLogin } | { problem: PlainWord; focus: "user" | "password" } {
  const [user, domain] = [typed.user.trim(), typed.domain.trim()];
  if (user === "") return { problem: "hostNameEmpty", focus: "user" };
  if (typed.password === "") return { problem: "hostPasswordEmpty", focus: "password" };
  return { login: { ...typed, user, domain } };
}

/** What the gateway said of what was typed. */
export function problemOfGiving(error: unknown): PlainWord {
  if (!(error instanceof GatewayError)) return "gatewayAway";
  if (error.asks !== null) return whyAsked(error.asks) ?? "hostRefused";
  return error.status === 429 ? "hostTooMany" : "hostRefused";
}

export function titleOf({ title }: HostAsks, language: string): string {
  if (typeof title === "string") return title;
  return language === "fr" ? title.fr : title.en;
}
