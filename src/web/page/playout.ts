// When what is heard is played: a little later than it comes, so that what is late still comes in time. Pure.

/** What waits to be played when playing begins, and at the most, in seconds. */
export const TARGET = 0.08;
export const MOST = 0.2;
/** Less than this is as good as nothing: it could not be handed over in time. */
const LEAST = 0.005;
/** The two clocks differ: after so many frames the one in hand is left out or played twice, if there was always too much or
 * hardly anything left. */
const LOOK_EVERY = 100;
const TOO_MUCH = TARGET + 0.04;
const TOO_LITTLE = 0.02;

export class Playout {
  left = 0;
  repeated = 0;
  /** How often there was nothing to play. */
  begun = 0;
  private next = -Infinity;
  private least = Infinity;
  private looked = 0;

  /** When a frame of so many seconds begins, on the clock that says `now`: never, once, or twice. */
  place(now: number, seconds: number): number[] {
    const lead = this.next - now;
    if (lead < LEAST) {
      this.begun++;
      this.next = now + TARGET;
      this.lookAnew();
      return this.take(1, seconds);
    }
    if (lead > MOST) {
      this.left++;
      return [];
    }
    this.least = Math.min(this.least, lead);
    this.looked++;
    if (this.looked < LOOK_EVERY) return this.take(1, seconds);
    const { least } = this;
    this.lookAnew();
    if (least > TOO_MUCH) {
      this.left++;
      return [];
    }
    if (least < TOO_LITTLE) {
      this.repeated++;
      return this.take(2, seconds);
    }
    return this.take(1, seconds);
  }

  private lookAnew(): void {
    this.least = Infinity;
    this.looked = 0;
  }

  private take(times: number, seconds: number): number[] {
    return Array.from({ length: times }, () => {
      const at = this.next;
      this.next += seconds;
      return at;
    });
  }
}
