// Who else sees this session: the question whether somebody may, the list of those who do for as long as they do, and
// what the user decides of them.

import type { Decided, Told } from "../messages.ts";
import { type Watcher, WatcherOrder } from "../wire/control.ts";
import { element, words } from "./dom.ts";
import { postShare } from "./gateway.ts";

function made<T extends keyof HTMLElementTagNameMap>(
  tag: T,
  about: Partial<HTMLElementTagNameMap[T]>,
): HTMLElementTagNameMap[T] {
  return Object.assign(document.createElement(tag), about);
}

const named = ({ title, seat }: { title: string; seat: string }): string => (seat === "" ? title : `${title}, ${seat}`);

export class Sharing {
  private readonly box = made("div", { className: "sharing" });
  private readonly watched = made("div", { id: "watched" });
  private readonly invitation = made("div", { id: "invitation" });
  private readonly questions = new Map<number, HTMLElement>();
  private readonly button = element("share", HTMLButtonElement);
  private readonly stopped = new AbortController();

  constructor(
    over: HTMLElement,
    /** Null: nobody is invited to it from here. */
    private readonly session: string | null,
    private readonly decide: (message: Decided) => void,
    /** Where the keyboard goes once something was decided. */
    private readonly done: () => void,
  ) {
    this.box.setAttribute("aria-live", "assertive");
    this.box.append(this.watched, this.invitation);
    over.append(this.box);
    this.button.addEventListener("click", () => void this.invite(), { signal: this.stopped.signal });
  }

  hear(message: Told): void {
    switch (message.type) {
      case "Terms":
        this.button.hidden = !message.share || this.session === null;
        return;
      case "WatchAsked":
        return this.ask(message);
      case "WatchOver":
        this.questions.get(message.ask)?.remove();
        this.questions.delete(message.ask);
        return;
      case "Watchers":
        return this.list(message.watchers);
    }
  }

  private ask(question: Extract<Told, { type: "WatchAsked" }>): void {
    if (this.questions.has(question.ask)) return;
    const note = made("div", { className: "watch-question" });
    const text = made("p", { textContent: words().watchAsks(named(question), question.administrator) });
    const row = made("div", { className: "row" });
    const answer = (admitted: boolean) => (): void => {
      this.decide({ type: "WatchAnswer", ask: question.ask, admitted });
      note.remove();
      this.done();
    };
    row.append(this.action("watch-admit", words().watchAdmit, answer(true)), this.action("watch-refuse", words().watchRefuse, answer(false)));
    note.append(text, row);
    this.questions.set(question.ask, note);
    this.invitation.replaceChildren();
    this.box.append(note);
  }

  private list(watchers: Watcher[]): void {
    const all = words();
    const me = watchers.find((watcher) => watcher.you);
    if (me !== undefined) {
      this.watched.replaceChildren(made("p", { textContent: me.controls ? all.watchingControls : all.watching }));
      return;
    }
    const rows = watchers.map((watcher) => this.row(watcher));
    this.watched.replaceChildren(...(rows.length === 0 ? [] : [made("p", { textContent: all.watchedBy }), ...rows]));
  }

  private row(watcher: Watcher): HTMLElement {
    const all = words();
    const row = made("div", { className: "row watcher" });
    const state = [watcher.administrator ? all.administration : "", watcher.controls ? all.watcherControls : ""].filter((text) => text !== "");
    const name = state.length === 0 ? named(watcher) : `${named(watcher)} (${state.join(", ")})`;
    row.append(made("strong", { textContent: name }));
    const order = (value: number) => (): void => {
      this.decide({ type: "WatcherOrder", watcher: watcher.id, order: value });
      this.done();
    };
    if (watcher.controls) row.append(this.action("take-control", all.takeControl, order(WatcherOrder.takeControl)));
    else if (!watcher.administrator) row.append(this.action("give-control", all.giveControl, order(WatcherOrder.giveControl)));
    row.append(this.action("dismiss-watcher", all.dismissWatcher, order(WatcherOrder.dismiss)));
    return row;
  }

  private action(name: string, text: string, run: () => void): HTMLButtonElement {
    const button = made("button", { type: "button", className: `quiet ${name}`, textContent: text });
    button.addEventListener("click", run, { signal: this.stopped.signal });
    return button;
  }

  private async invite(): Promise<void> {
    if (this.session === null) return;
    const text = await postShare(this.session).then((code) => words().shareCode(code), () => words().shareRefused);
    const close = this.action("close-invitation", words().close, () => {
      this.invitation.replaceChildren();
      this.done();
    });
    if (!this.stopped.signal.aborted) this.invitation.replaceChildren(made("p", { textContent: text }), close);
  }

  clear(): void {
    this.stopped.abort();
    this.box.remove();
    this.button.hidden = true;
  }
}
