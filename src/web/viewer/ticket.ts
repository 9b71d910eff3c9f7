// The right to attach: the ticket to show at the next dial, the secret shown with it, and when to ask for another.

import { utf8 } from "../wire/bytes.ts";
import { joined } from "../wire/control.ts";

export class TicketInHand {
  /** A refusal is answered by one new ticket; by the next only once the session has been shown in between. */
  private renewal: "unused" | "awaited" | "spent" = "unused";

  constructor(
    private ticket: Uint8Array,
    /** Empty: an access code, shown as it is, which nothing can renew. */
    private readonly secret: string,
  ) {}

  /** What Attach says. */
  get shown(): Uint8Array {
    return this.secret === "" ? this.ticket : joined(this.ticket, utf8(`~${this.secret}`));
  }

  get isAwaited(): boolean {
    return this.renewal === "awaited";
  }

  /** A new ticket was had, and no whole screen has come by it yet. */
  get isSpent(): boolean {
    return this.renewal === "spent";
  }

  /** The session sent another ticket. */
  replace(ticket: Uint8Array): void {
    this.ticket = ticket;
  }

  /** The ticket in hand was refused: whether a new one should be asked for. */
  refused(): boolean {
    if (this.secret === "" || this.renewal !== "unused") return false;
    this.renewal = "awaited";
    return true;
  }

  /** The answer to what was asked: null if there was none, so that it may be asked again. */
  answered(ticket: Uint8Array | null): void {
    if (!this.isAwaited) return;
    this.renewal = ticket === null ? "unused" : "spent";
    if (ticket !== null) this.ticket = ticket;
  }

  /** A whole screen came: the ticket was good. */
  worked(): void {
    if (this.renewal === "spent") this.renewal = "unused";
  }
}
