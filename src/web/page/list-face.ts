// The part of the panel that lists the sessions of somebody who is signed in, here and at other sites.

import { element, words } from "./dom.ts";
import { forgetElsewhere, showElsewhere } from "./elsewhere.ts";
import type { Elsewhere, SessionInfo, User } from "./gateway.ts";
import { showPart } from "./panel.ts";
import { type Choices, forgetSessions, showSessions } from "./sessions.ts";
import type { PlainWord } from "./words.ts";

export class ListFace {
  private found: Elsewhere | "looking" | undefined | null;

  constructor(private readonly choices: Choices) {}

  list(user: User, sessions: SessionInfo[] | null, problem: PlainWord | null): void {
    this.found = undefined;
    const show = (): void => {
      showPart("sessions", problem === null ? "" : words()[problem], show);
      element("who", HTMLSpanElement).textContent = user.title === "" ? user.name : user.title;
      showSessions(sessions, true, this.choices);
      if (this.found === undefined) forgetElsewhere();
      else showElsewhere(this.found, this.choices);
    };
    show();
  }

  elsewhere(found: Elsewhere | "looking" | null): void {
    this.found = found;
    showElsewhere(found, this.choices);
  }
}

/** Nothing of anybody stays in the list. */
export function forgetList(): void {
  forgetSessions();
  forgetElsewhere();
  element("who", HTMLSpanElement).textContent = "";
}
