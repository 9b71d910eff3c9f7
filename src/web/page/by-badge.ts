// A seat where badges let people in: the screen that waits for a tap, the PIN, and the session. Pixels go before anything else happens.

import { element, words } from "./dom.ts";
import { fetchElsewhere, fetchMe, fetchSessions, postClaim, postCredentials, postEnd, postSignIn, postSignOut, postTicket } from "./gateway.ts";
import { leftByUser } from "./by-code.ts";
import { HostForm } from "./host-form.ts";
import { ListFace, forgetList } from "./list-face.ts";
import type { Opening } from "./opening.ts";
import { problemOf, showEnded, showOutcome, showPart, whyEnded, wordRefusals } from "./panel.ts";
import { PinPad } from "./pin-pad.ts";
import { type AgentAddress, type Problem, SeatAgent, type ToPage } from "./seat-agent.ts";
import type { SessionOutcome } from "./session-view.ts";
import { Visit } from "./visit.ts";
import { CloseCode } from "../wire/control.ts";

function wordOf(problem: Problem | null): string {
  const all = words();
  if (problem === null) return "";
  return { refused: all.badgeRefused, "too-many": all.signInTooMany, away: all.gatewayAway, "no-page": "" }[problem];
}

export class ByBadge {
  private readonly visit: Visit;
  private readonly hostForm = new HostForm(
    (session, login) => this.visit.give(session, login),
    () => void this.visit.list(false),
  );
  private readonly listed = new ListFace({
    open: (name) => void this.visit.open(name),
    end: (name) => void this.visit.end(name),
  });
  private readonly agent: SeatAgent;
  private readonly pad: PinPad;
  /** The session is this badge's, and the agent knows it as open. */
  private open = false;
  /** Why the last session went, until somebody taps. */
  private parting: () => string = () => "";
  private claiming = new AbortController();
  private again: () => void = () => undefined;

  constructor(at: AgentAddress, opening: Opening) {
    wordRefusals((status) => (status === 403 ? words().sessionNotYours : words().signInAgain));
    const desk = {
      me: fetchMe,
      signIn: postSignIn,
      signOut: async (given: AbortSignal) => void (await postSignOut(given)),
      sessions: () => fetchSessions(null),
      elsewhere: fetchElsewhere,
      ticket: postTicket,
      give: postCredentials,
      end: postEnd,
    };
    // Nothing of a visit outlives its tap: a reload begins with the next one.
    const memory = { session: "", leaving: false };
    this.visit = new Visit(desk, {
      askToSignIn: () => this.over(() => ""),
      list: (user, sessions, problem) => this.listed.list(user, sessions, problem),
      elsewhere: (found) => this.listed.elsewhere(found),
      askForHost: (session, asks) => this.hostForm.show(session, asks),
      trouble: (error, again) => {
        this.again = again;
        showEnded(() => words().troubleTitle, () => "", () => words().tryAgain, () => problemOf(error));
      },
    }, memory, opening);
    this.agent = new SeatAgent(at, (message) => this.hear(message), () => this.lost());
    this.pad = new PinPad((pin) => this.agent.say({ say: "pin", pin }), () => this.agent.say({ say: "cancel" }));
    this.markControls();
  }

  begin(): void {
    this.showTap(() => words().agentAway);
    this.agent.begin();
  }

  private markControls(): void {
    element("change-code", HTMLButtonElement).hidden = true;
    const leave = element("disconnect", HTMLButtonElement);
    leave.dataset["word"] = "leave";
    leave.dataset["title"] = "leaveDetail";
    const lock = element("lock", HTMLButtonElement);
    lock.dataset["word"] = "lockSeat";
    lock.dataset["title"] = "lockSeatDetail";
    lock.hidden = false;
    lock.addEventListener("click", () => {
      this.darken();
      this.agent.say({ say: "lock" });
    });
    for (const id of ["sign-out", "ended-sign-out"]) {
      const button = element(id, HTMLButtonElement);
      button.hidden = false;
      button.addEventListener("click", () => this.visit.signOut());
    }
  }

  private hear(message: ToPage): void {
    if (message.show === "session") return this.take(message.claim, message.session ?? "");
    this.darken();
    switch (message.show) {
      case "tap": {
        const { problem } = message;
        element("badge-seat", HTMLParagraphElement).textContent = message.seat;
        element("badge-title", HTMLHeadingElement).dataset["mode"] = message.mode;
        return this.showTap(() => (problem === null ? this.parting() : wordOf(problem)));
      }
      case "pin":
        this.parting = () => "";
        return this.showPin(() => wordOf(message.problem));
      case "busy":
        this.parting = () => "";
        return this.pad.wait();
    }
  }

  /** From here on nothing of anybody is to be seen. */
  private darken(): void {
    this.claiming.abort();
    this.visit.lock();
    this.open = false;
    forgetList();
  }

  private take(claim: string, session: string): void {
    this.darken();
    this.pad.clear();
    this.open = true;
    this.claiming = new AbortController();
    const { signal } = this.claiming;
    const claimed = this.visit.take(() => postClaim(claim, signal), session);
    claimed.catch((error: unknown) => this.over(() => problemOf(error)));
  }

  private lost(): void {
    this.darken();
    this.showTap(() => words().agentAway);
  }

  private showTap(saying: () => string): void {
    this.pad.clear();
    showPart("badge", saying(), () => this.showTap(saying));
    const title = element("badge-title", HTMLHeadingElement);
    title.textContent = title.dataset["mode"] === "card" ? words().insertCard : words().tapBadge;
    element("badge-waits", HTMLDivElement).hidden = false;
    element("pin-form", HTMLFormElement).hidden = true;
  }

  private showPin(saying: () => string): void {
    showPart("badge", saying(), () => this.showPin(saying));
    element("badge-title", HTMLHeadingElement).textContent = words().pinTitle;
    element("badge-waits", HTMLDivElement).hidden = true;
    element("pin-form", HTMLFormElement).hidden = false;
    this.pad.begin();
  }

  /** The sign-in has ended: the agent waits for the next tap. */
  private over(parting: () => string): void {
    const wasOpen = this.open;
    this.darken();
    this.parting = parting;
    this.showTap(parting);
    if (wasOpen) this.agent.say({ say: "over" });
  }

  /** The session has ended here. */
  ended(outcome: SessionOutcome, session: string): void {
    this.again = () => void this.visit.open(session);
    if (leftByUser(outcome)) return void this.visit.list(false);
    // Nobody takes a session back here but by a tap.
    if (!outcome.broken && (outcome.code === CloseCode.takenOver || outcome.code === CloseCode.signedOut)) {
      return this.over(() => whyEnded(outcome, true));
    }
    this.visit.ended();
    showOutcome(outcome, true);
  }

  list(): void {
    void this.visit.list(false);
  }

  reopen(): void {
    this.again();
  }

  toSessions(): void {
    void this.visit.list(false);
  }
}
