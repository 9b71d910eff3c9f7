// The form for what a user signs in with on a host. Nothing typed here is kept anywhere else, and no longer than it is shown.

import { element, words } from "./dom.ts";
import type { HostAsks, HostLogin } from "./gateway.ts";
import { problemOfGiving, titleOf, typedLogin, whyAsked } from "./host-asks.ts";
import { showPart } from "./panel.ts";
import type { PlainWord } from "./words.ts";

/** A password that was typed and not sent for so long is forgotten: its user has walked away. */
const PATIENCE_MS = 120_000;
type Field = "user" | "domain" | "password";

export class HostForm {
  private readonly form = element("credentials", HTMLFormElement);
  private readonly fields: Record<Field, HTMLInputElement> = {
    user: element("host-user", HTMLInputElement),
    domain: element("host-domain", HTMLInputElement),
    password: element("host-password", HTMLInputElement),
  };
  private readonly remember = element("remember", HTMLInputElement);
  private readonly reveal = element("show-host-password", HTMLButtonElement);
  private session = "";
  private asks: HostAsks | null = null;
  private busy = false;
  private problem: PlainWord | null = null;
  private focus: Field = "password";
  private waiting: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly give: (session: string, login: HostLogin) => Promise<void>,
    back: () => void,
  ) {
    const { password } = this.fields;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.form.addEventListener("reset", () => this.showPassword(false));
    this.reveal.addEventListener("click", () => {
      this.showPassword(password.type === "password");
      password.focus();
    });
    element("credentials-back", HTMLButtonElement).addEventListener("click", back);
    for (const kind of ["keydown", "keyup", "click"] as const) {
      password.addEventListener(kind, (event) => (this.capsLock.hidden = !event.getModifierState("CapsLock")));
    }
    password.addEventListener("blur", () => (this.capsLock.hidden = true));
    password.addEventListener("input", () => this.forgetLater());
    // A page that the browser keeps for its back button keeps no password.
    addEventListener("pagehide", () => this.form.reset());
  }

  private get capsLock(): HTMLParagraphElement {
    return element("host-caps-lock", HTMLParagraphElement);
  }

  /** Asks for what the host of this session or application wants to know. */
  show(session: string, asks: HostAsks): void {
    this.form.reset();
    [this.session, this.asks, this.busy, this.problem] = [session, asks, false, whyAsked(asks)];
    this.fields.user.value = asks.user;
    this.fields.domain.value = asks.domain;
    this.focus = asks.user === "" ? "user" : "password";
    this.render(true);
  }

  private forgetLater(): void {
    if (this.waiting !== null) clearTimeout(this.waiting);
    this.waiting = setTimeout(() => (this.fields.password.value = ""), PATIENCE_MS);
  }

  private async submit(): Promise<void> {
    if (this.busy) return;
    const { user, domain, password } = this.fields;
    const typed = typedLogin({ user: user.value, domain: domain.value, password: password.value, remember: this.remember.checked });
    this.showPassword(false);
    if ("problem" in typed) {
      [this.problem, this.focus] = [typed.problem, typed.focus];
      return this.render(true);
    }
    [this.busy, this.problem] = [true, null];
    this.render(false);
    const { asks } = this;
    try {
      await this.give(this.session, typed.login);
    } catch (error) {
      // Asked for something else meanwhile.
      if (this.asks !== asks) return;
      [this.problem, this.focus, this.busy] = [problemOfGiving(error), "password", false];
      // A refused password is typed anew: nothing is sent twice by itself.
      password.value = "";
      this.render(true);
    }
  }

  private showPassword(shown: boolean): void {
    this.fields.password.type = shown ? "text" : "password";
    this.reveal.setAttribute("aria-pressed", String(shown));
    this.reveal.textContent = shown ? words().hidePassword : words().showPassword;
  }

  private render(focusing: boolean): void {
    const { asks, busy, problem, focus, fields } = this;
    if (asks === null) return;
    const all = words();
    showPart("credentials", problem === null ? "" : all[problem], () => this.render(false));
    element("credentials-title", HTMLHeadingElement).textContent = all.hostTitle(titleOf(asks, document.documentElement.lang));
    element("credentials-lead", HTMLParagraphElement).textContent = all.hostLead(asks.host);
    element("remember-row", HTMLDivElement).hidden = !asks.remember;
    const button = element("credentials-submit", HTMLButtonElement);
    button.textContent = busy ? all.hostOpening : all.hostOpen;
    button.setAttribute("aria-disabled", String(busy));
    this.form.setAttribute("aria-busy", String(busy));
    for (const [name, field] of Object.entries(fields)) field.setAttribute("aria-invalid", String(problem !== null && name === focus));
    this.showPassword(fields.password.type === "text");
    if (focusing) fields[focus].focus();
  }
}
