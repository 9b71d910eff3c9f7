// The bar at the upper edge: how exact, how far, which road; out of the way unless wanted.

import type { Status } from "../messages.ts";
import type { Policy } from "../wire/control.ts";
import { element, words } from "./dom.ts";

const SHOWN_AT_FIRST_MS = 3000;

export class StatusBar {
  private readonly bar = element("bar", HTMLDivElement);
  private lastBytes = 0;
  private lastAt = performance.now();
  private hiding: ReturnType<typeof setTimeout> | null = null;
  private lastSaid = "";

  constructor() {
    this.showFor(SHOWN_AT_FIRST_MS);
  }

  showFor(millis: number): void {
    this.bar.classList.add("shown");
    if (this.hiding !== null) clearTimeout(this.hiding);
    this.hiding = setTimeout(() => this.bar.classList.remove("shown"), millis);
  }

  focus(): void {
    element("full-screen", HTMLButtonElement).focus();
  }

  update(status: Status): void {
    const all = words();
    const { exactness } = status;
    this.bar.dataset["exactness"] = exactness;
    this.write("exactness-word", all[exactness]);
    element("exactness", HTMLSpanElement).title = all[`${exactness}Detail`];
    this.showPolicy(status.policy);
    this.showRecorded(status.recorded);
    this.write("latency", status.roundTripMillis === null ? "" : all.latency(Math.max(1, Math.round(status.roundTripMillis))));
    this.write("road", roadName(status.road));
    this.updateRate(status.bytes);
  }

  /** What the session promises; the ordinary promise needs no mark. */
  private showPolicy(policy: Policy): void {
    const all = words();
    const mark = element("policy", HTMLSpanElement);
    this.bar.dataset["policy"] = policy;
    mark.hidden = policy === "balanced";
    if (policy === "balanced") return;
    const [word, detail] = policy === "exact-only"
      ? [all.policyExactOnly, all.policyExactOnlyDetail]
      : [all.policyMotion, all.policyMotionDetail];
    if (mark.textContent === word) return;
    this.write("policy", word);
    mark.title = detail;
    this.say(`${word}. ${detail}`);
  }

  /** Who is recorded can see it all the time, whether the bar is shown or not. */
  private showRecorded(recorded: boolean): void {
    const mark = element("recorded", HTMLParagraphElement);
    if (mark.hidden === !recorded) return;
    mark.hidden = !recorded;
    this.say(recorded ? words().recordedDetail : words().recordedNoLonger);
  }

  private updateRate(bytes: number): void {
    const now = performance.now();
    const elapsed = now - this.lastAt;
    if (elapsed < 450) return;
    const kilobytes = Math.max(0, Math.round((bytes - this.lastBytes) / elapsed));
    this.lastAt = now;
    this.lastBytes = bytes;
    this.write("rate", words().rate(kilobytes));
  }

  private write(id: string, text: string): void {
    const span = element(id, HTMLSpanElement);
    if (span.textContent !== text) span.textContent = text;
  }

  /** Says a change of state aloud, once. */
  say(text: string): void {
    if (text === this.lastSaid) return;
    this.lastSaid = text;
    element("announce", HTMLParagraphElement).textContent = text;
  }
}

function roadName(road: Status["road"]): string {
  if (road === null) return "";
  return road === "webtransport" ? words().roadQuic : words().roadWebSocket;
}
