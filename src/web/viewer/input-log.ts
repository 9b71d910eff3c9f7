// Input that the session has not acknowledged, by number: sent again on a new link, never twice applied.

import { type InputEvent, encodeInput, encodeInputHead } from "../wire/input.ts";
import { joined } from "../wire/control.ts";

/** More unacknowledged events than this and the session is not listening. */
const MAX_EVENTS = 4096;

export class InputLog {
  private firstNumber = 0;
  private events: Uint8Array[] = [];

  /** The number of the next event. */
  get next(): number {
    return this.firstNumber + this.events.length;
  }

  get unacknowledged(): number {
    return this.events.length;
  }

  /** Numbers and keeps an event; gives its bytes, or null if there is no room. */
  push(event: InputEvent): Uint8Array | null {
    if (this.events.length >= MAX_EVENTS) return null;
    const bytes = encodeInput(event);
    this.events.push(bytes);
    return bytes;
  }

  /** All events below `next` have been handed to the host. */
  acknowledge(next: number): void {
    const count = Math.min(Math.max(next - this.firstNumber, 0), this.events.length);
    this.events.splice(0, count);
    this.firstNumber += count;
  }

  /** A session that does not know this viewer: nothing is sent again, numbers start where it says. */
  restart(next: number): void {
    this.events = [];
    this.firstNumber = next;
  }

  /** The start of a new link's input stream: its head and every event not yet acknowledged. */
  replay(): Uint8Array {
    return this.events.reduce(joined, encodeInputHead(this.firstNumber));
  }
}
