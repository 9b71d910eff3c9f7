// Where nobody signs in: an access code, from the address or typed, opens sessions.

import { CloseCode } from "../wire/control.ts";
import { element, words } from "./dom.ts";
import { GatewayError, fetchSessions } from "./gateway.ts";
import type { Opening } from "./opening.ts";
import { problemOf, showEnded, showOutcome, showPart, wordRefusals } from "./panel.ts";
import type { SessionOutcome } from "./session-view.ts";
import { showSessions } from "./sessions.ts";

export interface Kept {
  code: string;
  session: string;
}

export class ByCode {
  private readonly form = element("code-form", HTMLFormElement);
  private readonly field = element("code", HTMLInputElement);

  constructor(
    private readonly kept: Kept,
    private readonly opening: Opening,
  ) {
    wordRefusals(() => words().codeWrong);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const code = this.field.value.trim();
      if (code === "") return this.askForCode(() => words().codeEmpty);
      this.kept.code = code;
      this.field.value = "";
      void this.list();
    });
    element("change-code", HTMLButtonElement).addEventListener("click", () => {
      this.kept.code = "";
      this.kept.session = "";
      this.askForCode(() => "");
    });
  }

  begin(): void {
    if (this.kept.code === "") this.askForCode(() => "");
    else if (this.kept.session === "") void this.list();
    else void this.open(this.kept.session);
  }

  private askForCode(saying: () => string): void {
    const error = saying();
    showPart("code-form", error, () => this.askForCode(saying));
    this.field.setAttribute("aria-invalid", String(error !== ""));
    this.field.focus();
  }

  async list(): Promise<void> {
    showPart("sessions", "", () => void this.list());
    showSessions(null, false, nothing);
    try {
      showSessions((await fetchSessions(this.kept.code)).sessions, false, { open: (name) => void this.open(name), end: () => undefined });
    } catch (error) {
      const wrong = error instanceof GatewayError && error.status < 500;
      if (wrong) return this.askForCode(() => problemOf(error));
      showSessions([], false, nothing);
      element("sessions-note", HTMLParagraphElement).textContent = "";
      showPart("sessions", problemOf(error), () => void this.list());
    }
  }

  async open(session: string): Promise<void> {
    this.kept.session = session;
    try {
      const right = { session, ticket: this.kept.code, secret: "", gateways: [], renew: () => Promise.resolve(null) };
      await this.opening.open(() => Promise.resolve(right));
    } catch (error) {
      showEnded(() => words().endedTitle, () => "", () => words().reconnect, () => problemOf(error));
    }
  }

  ended(outcome: SessionOutcome): void {
    showOutcome(outcome, false);
  }

  reopen(): void {
    void this.open(this.kept.session);
  }

  toSessions(): void {
    this.kept.session = "";
    if (this.kept.code === "") this.askForCode(() => "");
    else void this.list();
  }
}

const nothing = { open: (): void => undefined, end: (): void => undefined };

/** Nothing is left to say of a session that its user has left for the list. */
export function leftByUser(outcome: SessionOutcome): boolean {
  return outcome.code === CloseCode.done && !outcome.broken;
}
