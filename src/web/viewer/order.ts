// In what order a link's updates may be applied: which are done, which wait, and how much may.
// docs/protocol.md, "Update stream".

import { ProtocolError } from "../wire/bytes.ts";
import * as limits from "../wire/limits.ts";
import type { Update } from "../wire/update.ts";

/** How far ahead of the oldest one outstanding an update's number may be. */
const MAX_AHEAD = 1 << 16;

export class UpdateOrder {
  /** Every update up to this number has been applied or dropped; of those above, these have. */
  settledUpTo = 0;
  private readonly settledAbove = new Set<number>();
  private readonly waiting: Update[] = [];
  /** Updates that have begun to be applied, and will be once they are decoded. */
  private begun = 0;
  /** The payloads of all that wait or have begun. */
  private bytes = 0;
  newest = 0;
  private newestIsComplete = false;
  private newestIsCaughtUp = false;

  isSettled(number: number): boolean {
    return number <= this.settledUpTo || this.settledAbove.has(number);
  }

  settle(number: number, complete: boolean, caughtUp: boolean): void {
    this.settledAbove.add(number);
    while (this.settledAbove.delete(this.settledUpTo + 1)) this.settledUpTo++;
    if (number > this.newest) {
      this.newest = number;
      this.newestIsComplete = complete;
      this.newestIsCaughtUp = complete || caughtUp;
    }
  }

  /** Takes an update in. */
  add(update: Update): void {
    if (this.waiting.some((other) => other.number === update.number)) {
      throw new ProtocolError(`update ${update.number} came twice`);
    }
    if (update.number > this.settledUpTo + MAX_AHEAD) {
      throw new ProtocolError(`update ${update.number} came while ${this.settledUpTo + 1} is outstanding`);
    }
    this.waiting.push(update);
    this.bytes += update.payload.length;
  }

  /** An update will not come; one that waits is given up. */
  drop(number: number): void {
    if (number === 0 || number > this.settledUpTo + MAX_AHEAD) throw new ProtocolError(`update ${number} was dropped`);
    const held = this.waiting.findIndex((update) => update.number === number);
    if (held >= 0) this.unqueue(held);
    this.settle(number, false, false);
  }

  private unqueue(index: number): Update {
    const [update] = this.waiting.splice(index, 1) as [Update];
    this.bytes -= update.payload.length;
    return update;
  }

  /** An update for which nothing is to be waited: by its order, and by `isReady`. */
  next(isReady: (update: Update) => boolean): Update | null {
    const ready = this.waiting.findIndex((update) => update.after <= this.settledUpTo && isReady(update));
    return ready < 0 ? null : this.unqueue(ready);
  }

  /** All updates before this one are settled. */
  isOldest(update: Update): boolean {
    return update.number === this.settledUpTo + 1;
  }

  begin(update: Update): void {
    this.begun++;
    this.bytes += update.payload.length;
  }

  finish(update: Update): void {
    this.begun--;
    this.bytes -= update.payload.length;
  }

  checkLimits(): void {
    if (this.waiting.length + this.begun > limits.MAX_WAITING_UPDATES || this.bytes > limits.MAX_WAITING_BYTES) {
      throw new ProtocolError("too many updates wait for an earlier one, or to be decoded");
    }
  }

  /** All but what is shown as video is there. */
  get isCaughtUp(): boolean {
    return this.newest > 0 && this.newestIsCaughtUp && this.newest === this.settledUpTo;
  }

  /** The newest update's number, if it and all before are settled, and the session said that this was all. */
  get completeUpTo(): number | null {
    const whole = this.newest > 0 && this.newestIsComplete && this.newest === this.settledUpTo;
    return whole && this.waiting.length + this.begun === 0 ? this.newest : null;
  }
}
