// Where a recording plays: its screen, its timeline, its keys. The worker does the work; this shows and asks.

import { type CursorImage, pictureOf } from "../page/cursor.ts";
import { element } from "../page/dom.ts";
import type { Language } from "../page/words.ts";
import { make, write } from "../admin/dom.ts";
import { clock, when } from "./format.ts";
import type { FromReplay, Opened, ToReplay } from "./messages.ts";
import type { Words } from "./words.ts";

const STEP = 5_000_000;
const LONG_STEP = 60_000_000;
const SKIPPED_MS = 1200;
const MOST_MARKS = 400;

type Problem = Extract<FromReplay, { type: "failed" }>;

export class Theatre {
  private worker: Worker | null = null;
  private canvas: HTMLCanvasElement | null = null;
  private opened: Opened | null = null;
  private time = 0;
  /** What the worker has shown; `time` runs ahead of it while it seeks. */
  private shownTime = 0;
  private playing = false;
  private dragging = false;
  private size = { width: 0, height: 0 };
  private pointer: { x: number; y: number } | null = null;
  private cursor: CursorImage | null = null;
  private problem: Problem | null = null;
  private title = "";
  private language: () => Language = () => "en";
  private skipping: ReturnType<typeof setTimeout> | null = null;
  private requests = 0;
  private readonly asked = new Map<number, (pixels: Extract<FromReplay, { type: "pixels" }>) => void>();
  private readonly root = element("theatre", HTMLElement);
  private readonly stage = element("stage", HTMLDivElement);
  private readonly timeline = element("timeline", HTMLInputElement);
  private readonly speed = element("speed", HTMLSelectElement);
  private readonly skipIdle = element("skip-idle", HTMLInputElement);

  constructor(
    private readonly words: () => Words,
    private readonly left: () => void,
  ) {
    const press = (id: string, act: () => void): void => element(id, HTMLButtonElement).addEventListener("click", act);
    press("play", () => this.toggle());
    press("backward", () => this.seek(this.time - STEP));
    press("forward", () => this.seek(this.time + STEP));
    press("leave", () => this.close());
    this.timeline.addEventListener("input", () => {
      this.dragging = true;
      this.seek(Number(this.timeline.value) * 1e6);
    });
    this.timeline.addEventListener("change", () => (this.dragging = false));
    for (const each of [this.speed, this.skipIdle]) each.addEventListener("change", () => this.playing && this.play());
    document.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.placePointer()).observe(this.stage);
    // What tests and support may look at; it holds no secret.
    const hooks = { state: () => this.state(), pixels: () => this.pixels() };
    Object.defineProperty(window, "chevet", { value: Object.freeze(hooks) });
  }

  open(url: string, title: string, identity: string, language: () => Language): void {
    this.title = title;
    this.language = language;
    this.opened = null;
    this.problem = null;
    this.root.hidden = false;
    this.canvas = make("canvas", { width: 1, height: 1 });
    this.canvas.setAttribute("role", "img");
    this.stage.prepend(this.canvas);
    this.worker = new Worker("replay-worker.js");
    this.worker.onmessage = ({ data }: MessageEvent<FromReplay>) => this.hear(data);
    const canvas = this.canvas.transferControlToOffscreen();
    this.worker.postMessage({ type: "open", canvas, url, identity } satisfies ToReplay, [canvas]);
    this.speakAgain();
    element("play", HTMLButtonElement).focus();
  }

  close(): void {
    this.worker?.terminate();
    this.worker = null;
    this.canvas?.remove();
    this.canvas = null;
    this.opened = null;
    this.playing = false;
    this.time = 0;
    this.shownTime = 0;
    this.pointer = null;
    this.cursor = null;
    this.root.hidden = true;
    this.left();
  }

  speakAgain(): void {
    if (this.worker === null) return;
    const opened = this.opened;
    write(element("play-title", HTMLHeadingElement), this.title);
    write(element("play-when", HTMLSpanElement), opened === null ? this.words().opening : when(opened.beganUnixMillis + this.time / 1000, this.language()));
    this.canvas?.setAttribute("aria-label", this.words().screen);
    this.showProblem();
    this.showTime();
  }

  private send(message: ToReplay): void {
    this.worker?.postMessage(message);
  }

  private hear(message: FromReplay): void {
    switch (message.type) {
      case "opened":
        this.opened = message.recording;
        this.timeline.max = String(message.recording.end / 1e6);
        this.showMarks(message.recording);
        return this.speakAgain();
      case "time":
        if (message.time > this.time && this.problem?.kind === "damaged") this.problem = null;
        this.time = message.time;
        this.shownTime = message.time;
        this.playing = message.playing;
        this.size = { width: message.width, height: message.height };
        this.pointer = message.pointer;
        if (message.skipped) this.showSkipped();
        return this.speakAgain();
      case "cursor":
        this.cursor = message.cursor;
        if (message.cursor !== null && message.cursor.width * message.cursor.height > 0) pictureOf(message.cursor, element("cursor", HTMLCanvasElement));
        return this.placePointer();
      case "failed":
        this.problem = message;
        this.playing = false;
        return this.speakAgain();
      case "pixels":
        this.asked.get(message.request)?.(message);
        this.asked.delete(message.request);
    }
  }

  private toggle(): void {
    if (this.playing) return this.send({ type: "pause" });
    if (this.opened !== null && this.time >= this.opened.end) this.seek(0);
    this.play();
  }

  private play(): void {
    this.problem = null;
    this.send({ type: "play", speed: Number(this.speed.value), skipIdle: this.skipIdle.checked });
  }

  private seek(time: number): void {
    if (this.opened === null) return;
    this.problem = null;
    this.time = Math.min(Math.max(time, this.opened.keys[0] ?? 0), this.opened.end);
    this.send({ type: "seek", time: this.time });
    this.showTime();
  }

  private key(event: KeyboardEvent): void {
    if (this.worker === null || event.ctrlKey || event.altKey || event.metaKey) return;
    const on = event.target;
    // A list, a button and a box keep the keys that are theirs; the timeline's arrows are these.
    if (on instanceof HTMLSelectElement) return;
    if (event.key === " " && (on instanceof HTMLButtonElement || (on instanceof HTMLInputElement && on.type === "checkbox"))) return;
    const step = event.shiftKey ? LONG_STEP : STEP;
    const acts: Record<string, () => void> = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.time - step),
      ArrowRight: () => this.seek(this.time + step),
      ArrowUp: () => this.faster(1),
      ArrowDown: () => this.faster(-1),
      Home: () => this.seek(0),
      End: () => this.seek(Infinity),
    };
    const act = acts[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  }

  private faster(by: number): void {
    this.speed.selectedIndex = Math.min(Math.max(this.speed.selectedIndex + by, 0), this.speed.options.length - 1);
    if (this.playing) this.play();
  }

  private showTime(): void {
    write(element("now", HTMLOutputElement), clock(this.time));
    write(element("total", HTMLOutputElement), clock(this.opened?.end ?? 0));
    if (!this.dragging) this.timeline.value = String(this.time / 1e6);
    this.timeline.setAttribute("aria-valuetext", clock(this.time));
    const button = element("play", HTMLButtonElement);
    button.setAttribute("aria-pressed", String(this.playing));
    button.setAttribute("aria-label", this.playing ? this.words().pause : this.words().play);
    this.placePointer();
  }

  /** Where whole screens begin: from there a moment is shown at once. */
  private showMarks({ keys, end }: Opened): void {
    const every = Math.ceil(keys.length / MOST_MARKS);
    const marks = keys.filter((_, index) => index % every === 0).map((time) => {
      const mark = make("i");
      mark.style.left = `${(100 * time) / Math.max(end, 1)}%`;
      return mark;
    });
    element("marks", HTMLDivElement).replaceChildren(...marks);
  }

  private placePointer(): void {
    const ring = element("pointer", HTMLDivElement);
    ring.hidden = this.pointer === null || this.canvas === null || this.size.width === 0;
    if (this.pointer === null || this.canvas === null || this.size.width === 0) return;
    const [shown, stage] = [this.canvas.getBoundingClientRect(), this.stage.getBoundingClientRect()];
    const scale = shown.width / this.size.width;
    ring.style.left = `${shown.left - stage.left + this.pointer.x * scale}px`;
    ring.style.top = `${shown.top - stage.top + this.pointer.y * scale}px`;
    const [sprite, image] = [element("cursor", HTMLCanvasElement), this.cursor];
    sprite.hidden = image === null || image.width * image.height === 0;
    if (image === null) return;
    sprite.style.width = `${image.width * scale}px`;
    sprite.style.transform = `translate(${-image.hotX * scale}px, ${-image.hotY * scale}px)`;
  }

  private showSkipped(): void {
    const note = element("skipped", HTMLParagraphElement);
    note.hidden = false;
    if (this.skipping !== null) clearTimeout(this.skipping);
    this.skipping = setTimeout(() => (note.hidden = true), SKIPPED_MS);
  }

  private showProblem(): void {
    const all = this.words();
    const kinds: Record<Problem["kind"], string> = {
      key: all.wrongKey, identity: all.badIdentity, damaged: all.damaged, foreign: all.foreign, away: all.away, other: all.other(this.problem?.detail ?? ""),
    };
    const text = this.problem !== null ? kinds[this.problem.kind] : this.opened?.damage != null ? all.cut : "";
    const line = element("play-problem", HTMLParagraphElement);
    write(line, text);
    line.hidden = text === "";
  }

  private state(): object {
    const { end = 0, keys = [] } = this.opened ?? {};
    return { opened: this.opened !== null, time: this.shownTime, end, keys: keys.length, playing: this.playing, problem: this.problem?.kind ?? null, cursor: this.cursor?.width ?? null, ...this.size };
  }

  /** The canvas' pixels: R, G, B, A bytes row by row, and the time that they are of. */
  private pixels(): Promise<Extract<FromReplay, { type: "pixels" }>> {
    const request = this.requests++;
    return new Promise((done) => {
      this.asked.set(request, done);
      this.send({ type: "pixels", request });
    });
  }
}
