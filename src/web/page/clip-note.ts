// What is said of the clipboard: a text that the browser does not let the page copy unasked, and why one was not pasted.

import { words } from "./dom.ts";
import type { PlainWord } from "./words.ts";

const SHOWN_MS = 15_000;

export class ClipNote {
  private readonly note = document.createElement("div");
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    over: HTMLElement,
    /** Where the keyboard goes afterwards. */
    private readonly putAway: () => void,
  ) {
    this.note.className = "clip-note";
    this.note.setAttribute("role", "status");
    this.note.hidden = true;
    over.append(this.note);
  }

  /** A program has copied a text: it is put on this computer's clipboard, by a button if the browser wants one. */
  async take(text: string): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      this.hide();
    } catch {
      this.offer(text);
    }
  }

  say(word: PlainWord): void {
    this.show(Object.assign(document.createElement("p"), { textContent: words()[word] }));
  }

  private offer(text: string): void {
    const said = Object.assign(document.createElement("p"), { textContent: words().clipCopied });
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: words().clipTake });
    button.addEventListener("click", () => {
      void writeAtClick(text).then(() => {
        this.hide();
        this.putAway();
      });
    });
    this.show(said, button);
  }

  private show(...content: HTMLElement[]): void {
    this.note.replaceChildren(...content);
    this.note.hidden = false;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.hide(), SHOWN_MS);
  }

  private hide(): void {
    this.note.hidden = true;
    this.note.replaceChildren();
  }

  clear(): void {
    this.hide();
    this.note.remove();
  }
}

/** Pages that are not served safely have no clipboard of the newer kind. */
async function writeAtClick(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const give = (event: ClipboardEvent): void => {
      event.clipboardData?.setData("text/plain", text);
      event.preventDefault();
    };
    document.addEventListener("copy", give, { once: true });
    document.execCommand("copy");
    document.removeEventListener("copy", give);
  }
}
