// What is said of the clipboard: what the browser does not let the page copy unasked, and why one was not pasted.

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
      this.offer("clipCopied", () => writeAtClick(text));
    }
  }

  /** The same of a picture, as PNG. */
  async takePicture(png: Blob): Promise<void> {
    const write = (): Promise<void> => navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    try {
      await write();
      this.hide();
    } catch {
      // Pages that are not served safely have no clipboard that takes pictures.
      if (!isSecureContext) return this.say("pictureNotTaken");
      this.offer("pictureCopied", () => write().catch(() => this.say("pictureNotTaken")));
    }
  }

  say(word: PlainWord): void {
    this.show(Object.assign(document.createElement("p"), { textContent: words()[word] }));
  }

  private offer(word: PlainWord, write: () => Promise<void>): void {
    const said = Object.assign(document.createElement("p"), { textContent: words()[word] });
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: words().clipTake });
    button.addEventListener("click", () => {
      this.hide();
      void write().then(() => this.putAway());
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
