// Pasting: what is on this computer's clipboard reaches the session before the keys that paste it. Pure.

import type { InputEvent } from "../wire/input.ts";

/** A browser that has something to paste says so at once. */
const BROWSER_MS = 60;
/** The session says that it has the text, or what was typed goes on without. */
const SESSION_MS = 300;

export class Paste {
  private held: InputEvent[] | null = null;
  private waits = 0;
  /** What the session's clipboard has, as far as is known here. */
  private known: string | null = null;
  private copied: string | null = null;

  constructor(
    private readonly send: (events: InputEvent[]) => void,
    private readonly copy: (text: string) => void,
    private readonly later: (act: () => void, millis: number) => void,
  ) {}

  /** Input on its way to the session; `pastes`: the browser is about to say what there is to paste. */
  input(events: InputEvent[], pastes = false): void {
    if (this.held !== null) this.held.push(...events);
    else if (pastes) this.hold(events, BROWSER_MS);
    else if (events.length > 0) this.send(events);
  }

  /** The browser says what there is to paste. */
  pasted(text: string): void {
    if (text === "" || text === this.known) return this.release();
    this.copied = text;
    this.copy(text);
    this.hold(this.held ?? [], SESSION_MS);
  }

  /** The session has what was copied here, or may not have it. */
  taken(taken: boolean): void {
    if (taken && this.copied !== null) this.known = this.copied;
    this.copied = null;
    this.release();
  }

  /** A program of the session has copied this. */
  heard(text: string): void {
    this.known = text;
  }

  /** The session's desktop is another, or was away: what its clipboard has is not known. */
  forget(): void {
    this.known = null;
  }

  private hold(events: InputEvent[], millis: number): void {
    this.held = events;
    const wait = ++this.waits;
    this.later(() => wait === this.waits && this.release(), millis);
  }

  private release(): void {
    const events = this.held ?? [];
    this.held = null;
    this.waits++;
    if (events.length > 0) this.send(events);
  }
}

/** Whether a browser pastes at these keys. */
export function isPaste(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">): boolean {
  if (event.altKey) return false;
  const command = event.ctrlKey !== event.metaKey;
  return (command && event.key.toLowerCase() === "v") || (event.shiftKey && !event.ctrlKey && !event.metaKey && event.key === "Insert");
}
