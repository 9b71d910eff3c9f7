// What an administrator says to whoever sits before this session: it stays in view until it is put away.

import { words } from "./dom.ts";

const MOST_SHOWN = 4;

export class Announcements {
  private readonly list = document.createElement("div");

  constructor(
    over: HTMLElement,
    /** Where the keyboard goes once one is put away. */
    private readonly putAway: () => void,
  ) {
    this.list.className = "announcements";
    this.list.setAttribute("role", "log");
    this.list.setAttribute("aria-live", "assertive");
    over.append(this.list);
  }

  show(text: string): void {
    while (this.list.childElementCount >= MOST_SHOWN) this.list.firstElementChild?.remove();
    const note = document.createElement("div");
    note.className = "announcement";
    const from = Object.assign(document.createElement("p"), { className: "announcement-from", textContent: words().announcementFrom });
    const said = Object.assign(document.createElement("p"), { className: "announcement-text", textContent: text });
    const close = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: words().close });
    close.addEventListener("click", () => {
      note.remove();
      this.putAway();
    });
    note.append(from, said, close);
    this.list.append(note);
  }

  clear(): void {
    this.list.remove();
  }
}
