// The connection page's panel: one part of it at a time, what is wrong, and how a session ended.

import { CloseCode } from "../wire/control.ts";
import { element, words } from "./dom.ts";
import { GatewayError } from "./gateway.ts";
import { InsecureAddress } from "./secret.ts";
import type { PlainWord } from "./words.ts";
import type { SessionOutcome } from "./session-view.ts";

export type Part = "code-form" | "sign-in" | "credentials" | "badge" | "sessions" | "ended";
const PARTS: Part[] = ["code-form", "sign-in", "credentials", "badge", "sessions", "ended"];

/** What the panel shows, to be shown again in the other language. */
let again: () => void = () => undefined;
let refusal = (status: number): string => words().gatewayError(status);

/** How refusals (401, 403) are worded: an access code is wrong, or what else it may be. */
export function wordRefusals(worded: (status: number) => string): void {
  refusal = worded;
}

export function showPart(part: Part | null, problem: string, showing: () => void): void {
  again = showing;
  for (const each of PARTS) element(each, HTMLElement).hidden = each !== part;
  // What was typed for a host stays in no form that is out of sight.
  if (part !== "credentials") element("credentials", HTMLFormElement).reset();
  element("welcome", HTMLDivElement).hidden = false;
  showProblem(problem);
}

export function showAgain(): void {
  again();
}

export function hidePanel(): void {
  element("credentials", HTMLFormElement).reset();
  element("welcome", HTMLDivElement).hidden = true;
}

export function showProblem(text: string): void {
  const problem = element("problem", HTMLParagraphElement);
  if (problem.textContent !== text) problem.textContent = text;
  problem.hidden = text === "";
}

export function problemOf(error: unknown): string {
  if (error instanceof InsecureAddress) return words().insecureAddress;
  if (!(error instanceof GatewayError)) return words().gatewayAway;
  return error.status === 401 || error.status === 403 ? refusal(error.status) : words().gatewayError(error.status);
}

/** The part that offers the session again: after its end, or because it could not be opened. */
export function showEnded(title: () => string, why: () => string, button: () => string, problem: () => string): void {
  showPart("ended", problem(), () => showEnded(title, why, button, problem));
  element("ended-title", HTMLHeadingElement).textContent = title();
  element("ended-why", HTMLParagraphElement).textContent = why();
  const reconnect = element("reconnect", HTMLButtonElement);
  reconnect.textContent = button();
  reconnect.focus();
}

export function showOutcome(outcome: SessionOutcome, signedIn: boolean): void {
  const takenOver = outcome.code === CloseCode.takenOver && !outcome.broken;
  const over = outcome.code === CloseCode.ended && !outcome.broken;
  showEnded(
    () => {
      if (takenOver) return words().takenOverTitle;
      if (outcome.code === CloseCode.locked) return words().lockedTitle;
      return over ? words().overTitle : words().endedTitle;
    },
    () => whyEnded(outcome, signedIn),
    () => (takenOver ? words().takeBack : over ? words().startAgain : words().reconnect),
    () => "",
  );
}

/** Why a session is over, by what the gateway says first. */
const WHY_OVER: Record<string, PlainWord> = {
  "the application ended": "overProgram",
  "the session's X server died": "overServer",
  "nobody looked at it for too long": "overIdle",
  "its user ended it": "overUser",
  "its user signed out": "overSignedOut",
  "an administrator ended it": "overAdministrator",
  "its host is being taken out of service": "overMaintenance",
  "its host is gone": "overHostGone",
};

export function whyEnded({ code, reason, broken }: SessionOutcome, signedIn: boolean): string {
  const all = words();
  if (broken) return all.endedBrowser(reason);
  if (code === CloseCode.done) return reason === "" ? all.endedDone : all.endedByGateway(reason);
  if (code === CloseCode.refused) return signedIn ? all.endedNotLetIn : all.endedRefused;
  if (code === CloseCode.noSuchSession) return all.endedNoSession;
  if (code === CloseCode.takenOver) return all.endedTakenOver(reason);
  if (code === CloseCode.ended) return all[WHY_OVER[reason.replace(/ \(.*$/s, "")] ?? "overOther"];
  if (code === CloseCode.signedOut) return all.endedSignedOut;
  if (code === CloseCode.locked) return all.endedLocked;
  return code === CloseCode.version ? all.endedVersion : all.endedOther;
}
