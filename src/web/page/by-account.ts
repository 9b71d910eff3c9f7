// Where people sign in: the faces of a visit on this page.

import { remember, remembered, element, words } from "./dom.ts";
import { type SignInOffer, fetchElsewhere, fetchMe, fetchSessions, postCredentials, postEnd, postSignIn, postShadow, postSignOut, postTicket, postWatch, type Watching } from "./gateway.ts";
import { HostForm } from "./host-form.ts";
import { ListFace, forgetList } from "./list-face.ts";
import type { Opening } from "./opening.ts";
import { problemOf, showEnded, showOutcome, wordRefusals } from "./panel.ts";
import type { SessionOutcome } from "./session-view.ts";
import { SignInForm } from "./sign-in-form.ts";
import { applicationOf } from "./site-names.ts";
import { Visit } from "./visit.ts";
import { leftByUser } from "./by-code.ts";
import { CloseCode } from "../wire/control.ts";
import type { PlainWord } from "./words.ts";

const SESSION = "chevet.session";
const LEAVING = "chevet.leaving";
const SEAT = "chevet.seat";

/** The place of this screen, once it was named by the address. */
export function rememberSeat(seat: string | null): void {
  if (seat !== null) remember("local", SEAT, seat === "" ? null : seat);
}

/** Providers send back to this seat. */
function fromThisSeat(offer: SignInOffer): SignInOffer {
  const seat = remembered("local", SEAT);
  if (seat === null) return offer;
  const url = (start: string): string => `${start}?${new URLSearchParams({ seat }).toString()}`;
  const providers = offer.providers.map((provider) => ({ ...provider, url: url(provider.url) }));
  return { ...offer, providers, card: offer.card === null ? null : { url: url(offer.card.url) } };
}

const memory = {
  get session(): string {
    return remembered("session", SESSION) ?? "";
  },
  set session(name: string) {
    remember("session", SESSION, name === "" ? null : name);
  },
  get leaving(): boolean {
    return remembered("local", LEAVING) !== null;
  },
  set leaving(leaving: boolean) {
    remember("local", LEAVING, leaving ? "1" : null);
  },
};

export class ByAccount {
  private readonly visit: Visit;
  private readonly hostForm = new HostForm(
    (session, login) => this.visit.give(session, login),
    () => void this.visit.list(false),
  );
  private readonly listed = new ListFace({
    open: (name) => void this.visit.open(name),
    end: (name) => void this.visit.end(name),
  });
  private readonly form: SignInForm;
  /** What a provider's answer came to, to be said once. */
  private brought: PlainWord | null = null;
  /** What the button beside a notice does. */
  private again: () => void = () => undefined;

  constructor(offer: SignInOffer, opening: Opening) {
    wordRefusals((status) => (status === 403 ? words().sessionNotYours : words().signInAgain));
    const desk = {
      me: fetchMe,
      signIn: postSignIn,
      signOut: async (given: AbortSignal) => {
        const leave = await postSignOut(given);
        if (leave !== null && /^https?:$/.test(leave.protocol)) location.assign(leave);
      },
      sessions: () => fetchSessions(null),
      elsewhere: fetchElsewhere,
      ticket: postTicket,
      give: postCredentials,
      end: postEnd,
    };
    this.visit = new Visit(desk, {
      askToSignIn: (problem, name) => {
        forgetList();
        this.form.show(problem ?? this.brought, name);
        this.brought = null;
      },
      list: (user, sessions, problem) => this.listed.list(user, sessions, problem),
      elsewhere: (found) => this.listed.elsewhere(found),
      askForHost: (session, asks) => this.hostForm.show(session, asks),
      trouble: (error, again) => {
        this.again = again;
        showEnded(() => words().troubleTitle, () => "", () => words().tryAgain, () => problemOf(error));
      },
    }, memory, opening);
    this.form = new SignInForm(fromThisSeat(offer), (credentials) => {
      const seat = remembered("local", SEAT);
      return this.visit.signIn(seat === null ? credentials : { ...credentials, seat });
    });
    this.markControls();
    // Whoever signs in elsewhere comes back as somebody who has not left.
    element("providers", HTMLDivElement).addEventListener("click", () => (memory.leaving = false));
  }

  /** The controls of this way in place of the other's. */
  private markControls(): void {
    const form = element("watch-form", HTMLFormElement);
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const field = element("watch-code", HTMLInputElement);
      if (field.value.trim() !== "") void this.watch((hash) => postWatch(field.value.trim(), hash)).then(() => (field.value = ""));
    });
    element("change-code", HTMLButtonElement).hidden = true;
    const leave = element("disconnect", HTMLButtonElement);
    leave.dataset["word"] = "leave";
    leave.dataset["title"] = "leaveDetail";
    for (const id of ["lock", "sign-out", "ended-sign-out"]) {
      const button = element(id, HTMLButtonElement);
      button.hidden = false;
      button.addEventListener("click", () => this.visit.signOut());
    }
  }

  begin(session: string, brought: PlainWord | null): void {
    this.brought = brought;
    if (session !== "") memory.session = session;
    void this.visit.begin();
  }

  ended(outcome: SessionOutcome, session: string): void {
    // What has ended is not there to be opened again: its application is.
    const ended = outcome.code === CloseCode.ended && !outcome.broken;
    const again = ended ? applicationOf(session) : session;
    this.again = () => void this.visit.open(again);
    if (leftByUser(outcome)) return void this.visit.list(false);
    this.visit.ended();
    showOutcome(outcome, true);
  }

  /** Asks to watch a session; says so until there is an answer. */
  private async watch(ask: (hash: string) => Promise<Watching>): Promise<void> {
    const note = element("watch-note", HTMLParagraphElement);
    note.textContent = words().watchWaiting;
    note.textContent = (await this.visit.watch(ask)) ? "" : words().watchNo;
  }

  /** An administrator came from the administration page to see a session. */
  async shadow(session: string): Promise<void> {
    await this.visit.begin();
    await this.watch((hash) => postShadow(session, hash));
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
