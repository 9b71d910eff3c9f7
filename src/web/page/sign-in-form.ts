// The sign-in form on the page. Its states: sign-in.ts. Nothing typed here is kept anywhere else.

import { element, words } from "./dom.ts";
import type { Credentials, SignInOffer } from "./gateway.ts";
import { showPart } from "./panel.ts";
import { linksOf } from "./provider-links.ts";
import { type Field, type SignInState, begun, clearedFields, failed, submitted } from "./sign-in.ts";
import type { PlainWord } from "./words.ts";

/** A password that waits for its code longer than this is forgotten: its user has walked away. */
const CODE_PATIENCE_MS = 120_000;

export class SignInForm {
  private readonly form = element("sign-in", HTMLFormElement);
  private readonly fields: Record<Field, HTMLInputElement> = {
    name: element("user-name", HTMLInputElement),
    password: element("password", HTMLInputElement),
    code: element("one-time-code", HTMLInputElement),
  };
  private readonly reveal = element("show-password", HTMLButtonElement);
  private state: SignInState = begun("");
  private waiting: ReturnType<typeof setTimeout> | null = null;

  constructor(
    private readonly offer: SignInOffer,
    private readonly signIn: (credentials: Credentials) => Promise<void>,
  ) {
    const { name, password } = this.fields;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.submit();
    });
    this.reveal.addEventListener("click", () => {
      this.showPassword(password.type === "password");
      password.focus();
    });
    element("sign-in-back", HTMLButtonElement).addEventListener("click", () => this.begin(name.value, null));
    for (const kind of ["keydown", "keyup", "click"] as const) {
      password.addEventListener(kind, (event) => this.hintCapsLock(event));
    }
    password.addEventListener("blur", () => (element("caps-lock", HTMLParagraphElement).hidden = true));
    // A page that the browser keeps for its back button keeps no password.
    addEventListener("pagehide", () => this.forget());
  }

  /** Shows the form. What is already typed stays if the form is there. */
  show(problem: PlainWord | null, name: string): void {
    const shown = !this.form.hidden && !element("welcome", HTMLDivElement).hidden;
    if (!shown || this.state.busy) return this.begin(name, problem);
    if (this.state.problem === problem) return;
    this.state = { ...this.state, problem };
    this.render(false);
  }

  private begin(name: string, problem: PlainWord | null): void {
    this.forget();
    this.fields.name.value = name;
    this.state = begun(name, problem);
    this.render(true);
  }

  private forget(): void {
    if (this.waiting !== null) clearTimeout(this.waiting);
    this.waiting = null;
    for (const field of Object.values(this.fields)) field.value = "";
    this.showPassword(false);
  }

  private async submit(): Promise<void> {
    const { name, password, code } = this.fields;
    const { state, send } = submitted(this.state, { name: name.value, password: password.value, code: code.value });
    this.state = state;
    this.showPassword(false);
    this.render(send === null);
    if (send === null) return;
    try {
      await this.signIn(send);
      if (this.state.busy) this.state = begun("");
      this.forget();
    } catch (error) {
      this.state = failed(this.state, error);
      for (const field of clearedFields(this.state)) this.fields[field].value = "";
      if (this.waiting !== null) clearTimeout(this.waiting);
      this.waiting = this.state.step === "code" ? setTimeout(() => this.begin(name.value, null), CODE_PATIENCE_MS) : null;
      this.render(true);
    }
  }

  private showPassword(shown: boolean): void {
    this.fields.password.type = shown ? "text" : "password";
    this.reveal.setAttribute("aria-pressed", String(shown));
    this.reveal.textContent = shown ? words().hidePassword : words().showPassword;
  }

  private hintCapsLock(event: KeyboardEvent | MouseEvent): void {
    element("caps-lock", HTMLParagraphElement).hidden = !event.getModifierState("CapsLock");
  }

  private render(focusing: boolean): void {
    const { step, busy, problem, focus } = this.state;
    const { offer, fields } = this;
    const all = words();
    showPart("sign-in", problem === null ? "" : all[problem], () => this.render(false));
    const onCode = step === "code";
    element("sign-in-password", HTMLDivElement).hidden = onCode || !offer.password;
    element("sign-in-code", HTMLDivElement).hidden = !onCode;
    element("sign-in-actions", HTMLDivElement).hidden = !offer.password;
    element("sign-in-back", HTMLButtonElement).hidden = !onCode;
    element("sign-in-title", HTMLHeadingElement).textContent = onCode ? all.oneTimeCodeTitle : all.accountTitle;
    const button = element("sign-in-submit", HTMLButtonElement);
    button.textContent = busy ? all.signingIn : all.signInButton;
    button.setAttribute("aria-disabled", String(busy));
    this.form.setAttribute("aria-busy", String(busy));
    for (const [name, field] of Object.entries(fields)) {
      field.setAttribute("aria-invalid", String(problem !== null && name === focus && PROBLEMS_OF_FIELDS.has(problem)));
    }
    this.showPassword(fields.password.type === "text");
    this.renderElsewhere(onCode ? [] : linksOf(offer, all));
    if (!focusing) return;
    if (offer.password) fields[focus].focus();
    else element("providers", HTMLDivElement).querySelector("a")?.focus();
  }

  private renderElsewhere(links: HTMLAnchorElement[]): void {
    element("sign-in-or", HTMLParagraphElement).hidden = links.length === 0 || !this.offer.password;
    element("providers", HTMLDivElement).replaceChildren(...links);
  }
}

const PROBLEMS_OF_FIELDS: ReadonlySet<PlainWord> = new Set<PlainWord>([
  "nameEmpty", "passwordEmpty", "signInRefused", "oneTimeCodeShape", "oneTimeCodeWrong",
]);
