// Pasting: what is on this computer's clipboard reaches the session before the keys that paste it. Pure.

import type { InputEvent } from "../wire/input.ts";

/** A browser that has something to paste says so at once. */
const BROWSER_MS = 60;
/** The same of a picture, which has to be read here first, and takes its time to the session. */
const PICTURE_MS = 3000;
/** The session says that it has the text, or what was typed goes on without. */
const SESSION_MS = 300;

export class Paste {
  private held: InputEvent[] | null = null;
  private waits = 0;
  /** What the session's clipboard has, as far as is known here: a text, or a picture as PNG. */
  private known: string | Uint8Array | null = null;
  private copied: string | Uint8Array | null = null;

  constructor(
    private readonly send: (events: InputEvent[]) => void,
    private readonly copy: (copied: string | Uint8Array<ArrayBuffer>) => void,
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

  /** There is a picture to paste, which has yet to be read. */
  reading(): void {
    this.hold(this.held ?? [], PICTURE_MS);
  }

  /** It is read; null: it cannot be sent. */
  pastedPicture(png: Uint8Array<ArrayBuffer> | null): void {
    if (png === null || (this.known instanceof Uint8Array && isSame(png, this.known))) return this.release();
    // What is copied is handed to the worker.
    this.copied = png.slice();
    this.copy(png);
    this.hold(this.held ?? [], PICTURE_MS);
  }

  /** The session has what was copied here, or may not have it. */
  taken(taken: boolean): void {
    if (taken && this.copied !== null) this.known = this.copied;
    this.copied = null;
    this.release();
  }

  /** A program of the session has copied this; of a picture browsers make another PNG, so that it is not known again. */
  heard(text: string | null): void {
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

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}

/** Whether a browser pastes at these keys. */
export function isPaste(event: Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">): boolean {
  if (event.altKey) return false;
  const command = event.ctrlKey !== event.metaKey;
  return (command && event.key.toLowerCase() === "v") || (event.shiftKey && !event.ctrlKey && !event.metaKey && event.key === "Insert");
}
