// One attached session on the page: its worker, its canvas, and the user's hands.

import type { FromWorker, StartOptions, Status, ToWorker } from "../messages.ts";
import { CloseCode } from "../wire/control.ts";
import { beginsPicture } from "../viewer/pictures.ts";
import type { InputEvent } from "../wire/input.ts";
import { MAX_CLIP_PICTURE, MAX_CLIP_TEXT } from "../wire/limits.ts";
import { Announcements } from "./announcement.ts";
import { ClipNote } from "./clip-note.ts";
import { Cursor } from "./cursor.ts";
import { element, remember, words } from "./dom.ts";
import { Glass } from "./glass.ts";
import { KeyboardEvents, flagsOf } from "./keyboard-events.ts";
import { Keyboard, platformOf } from "./keyboard.ts";
import { Mark } from "./mark.ts";
import { Pane } from "./pane.ts";
import { Paste } from "./paste.ts";
import type { Renewed } from "./opening.ts";
import { PointerEvents } from "./pointer-events.ts";
import { roadMemoryOf } from "./roads.ts";
import { Sharing } from "./sharing.ts";
import { Sound } from "./sound.ts";
import { StatusBar } from "./status-bar.ts";

const RESIZE_QUIET_MS = 150;
const REFUSED_SHOWN_MS = 2500;
const CONTROLS_SHOWN_MS = 4000;
/** Another site's gateways that have not answered by then may be out of this browser's reach. */
const REACHED_WITHIN_MS = 6000;

export interface Pixels {
  width: number;
  height: number;
  rgba: ArrayBuffer;
}

export interface SessionOutcome {
  code: number;
  reason: string;
  /** The browser itself failed: a worker or a canvas could not be had. */
  broken: boolean;
}

export class SessionView {
  status: Status | null = null;
  private readonly stage = element("stage", HTMLDivElement);
  private readonly view = element("session", HTMLDivElement);
  private readonly field = element("keys", HTMLTextAreaElement);
  private readonly glass = new Glass(this.stage);
  private readonly pane: Pane;
  private readonly cursor = new Cursor(this.glass, element("drawn-cursor", HTMLCanvasElement));
  private readonly bar = new StatusBar();
  private readonly announcements = new Announcements(this.view, () => this.focusKeys());
  private readonly sharing: Sharing;
  private readonly mark = new Mark(this.stage);
  private readonly stopped = new AbortController();
  private readonly paste: Paste;
  private readonly clipNote: ClipNote;
  readonly sound = new Sound((wanted) => this.tell({ type: "hear", wanted }), () => this.focusKeys());
  /** Whether the session takes what is copied here; without terms it does. */
  private clipboardIn = true;
  private toldOfClipboard = false;
  private readonly keys: KeyboardEvents;
  private readonly pointer: PointerEvents;
  private readonly pixelRequests = new Map<number, (pixels: Pixels) => void>();
  private nextRequest = 0;
  private session: { live: boolean; waitingFor: string } = { live: true, waitingFor: "" };
  private resizing: ReturnType<typeof setTimeout> | null = null;
  private refusedTimer: ReturnType<typeof setTimeout> | null = null;
  private ended = false;
  private reached = true;

  constructor(
    options: Omit<StartOptions, "width" | "height">,
    /** The other site that has the session; empty: this one. */
    private readonly site: string,
    private readonly renewTicket: () => Promise<Renewed | null>,
    private readonly over: (outcome: SessionOutcome) => void,
  ) {
    this.view.hidden = false;
    // Codes to watch by are this gateway's to give, for its own site's sessions.
    this.sharing = new Sharing(this.view, site === "" ? options.session : null, (message) => this.tell({ type: "decided", message }), () => this.focusKeys());
    const worker = new Worker(new URL("worker.js", document.baseURI));
    this.pane = new Pane(this.glass.canvas, worker);
    worker.onmessage = (event: MessageEvent<FromWorker>) => this.hear(event.data);
    worker.onerror = (event) => this.end({ code: CloseCode.internal, reason: event.message, broken: true });
    const canvas = this.glass.canvas.transferControlToOffscreen();
    this.tell({ type: "start", canvas, options: { ...options, ...this.glass.wantedSize() } }, [canvas]);
    this.clipNote = new ClipNote(this.view, () => this.focusKeys());
    this.paste = new Paste(
      (events) => this.tell({ type: "input", events }),
      (copied) => {
        if (typeof copied === "string") this.tell({ type: "decided", message: { type: "Clip", text: copied } });
        else this.tell({ type: "copyPicture", png: copied }, [copied.buffer]);
      },
      (act, millis) => setTimeout(act, millis),
    );
    const send = (events: InputEvent[], pastes = false): void => this.paste.input(events, pastes);
    const keyboard = new Keyboard(platformOf(navigator.userAgent));
    this.keys = new KeyboardEvents(this.field, keyboard, send, () => this.mayPaste(), () => this.toControls());
    this.pointer = new PointerEvents(this.glass, this.stage, {
      input: send,
      moved: (x, y) => this.tell({ type: "pointer", x, y }),
      seen: (event) => {
        this.cursor.pointerAt(event.clientX, event.clientY);
        this.keys.resynchronise(flagsOf(event));
        if (event.type === "pointerdown") this.focusKeys();
      },
      left: () => this.cursor.pointerLeft(),
    });
    this.listen();
    this.showOverlay(words().connecting, words().connectingDetail);
    element("site", HTMLSpanElement).textContent = site;
    const late = setTimeout(() => this.notReached(), REACHED_WITHIN_MS);
    this.stopped.signal.addEventListener("abort", () => clearTimeout(late));
    this.focusKeys();
  }

  private notReached(): void {
    if (this.site === "" || (this.status !== null && this.status.phase !== "connecting")) return;
    this.reached = false;
    this.bar.showFor(CONTROLS_SHOWN_MS);
    this.showPhase();
  }

  private tell(message: ToWorker, transfer: Transferable[] = []): void {
    this.pane.tell(message, transfer);
  }

  private listen(): void {
    const { signal } = this.stopped;
    const on = (id: string, handle: () => void): void =>
      element(id, HTMLButtonElement).addEventListener("click", handle, { signal });
    on("full-screen", () => void this.toggleFullScreen());
    on("keyboard-help", () => element("help", HTMLDialogElement).showModal());
    on("disconnect", () => this.disconnect());
    element("help", HTMLDialogElement).addEventListener("close", () => this.focusKeys(), { signal });
    const bar = element("bar", HTMLDivElement);
    // Fingers cannot hover: a touch on the tab brings the bar down.
    bar.addEventListener("pointerdown", () => this.bar.showFor(CONTROLS_SHOWN_MS), { signal });
    bar.addEventListener("keydown", (event) => event.key === "Escape" && this.focusKeys(), { signal });
    document.addEventListener("fullscreenchange", () => this.fullScreenChanged(), { signal });
    const resized = new ResizeObserver(() => this.resized());
    resized.observe(this.stage);
    signal.addEventListener("abort", () => resized.disconnect());
    // A window moved to a screen of another pixel ratio may keep its size in CSS pixels.
    addEventListener("resize", () => this.resized(), { signal });
    this.stage.addEventListener("pointerdown", () => this.focusKeys(), { signal });
    this.field.addEventListener("paste", (event) => this.pasted(event), { signal });
  }

  /** Whether the browser may paste; if the session's policy does not want that, its user is told once. */
  private mayPaste(): boolean {
    if (!this.clipboardIn && !this.toldOfClipboard) {
      this.toldOfClipboard = true;
      this.clipNote.say("clipNotIn");
    }
    return this.clipboardIn;
  }

  private pasted(event: ClipboardEvent): void {
    event.preventDefault();
    const text = (event.clipboardData?.getData("text/plain") ?? "").replaceAll("\r\n", "\n");
    const picture = [...(event.clipboardData?.files ?? [])].find((file) => file.type === "image/png");
    if (text === "" && picture !== undefined && this.mayPaste()) return void this.pastedPicture(picture);
    const fits = new TextEncoder().encode(text).length <= MAX_CLIP_TEXT;
    if (!fits) this.clipNote.say("clipTooLong");
    this.paste.pasted(fits && this.mayPaste() ? text : "");
  }

  private async pastedPicture(file: File): Promise<void> {
    this.paste.reading();
    const png = file.size <= MAX_CLIP_PICTURE ? new Uint8Array(await file.arrayBuffer().catch(() => new ArrayBuffer())) : null;
    const fits = png !== null && beginsPicture(png);
    if (!fits) this.clipNote.say("pictureTooLarge");
    this.paste.pastedPicture(fits ? png : null);
  }

  private focusKeys(): void {
    this.field.focus({ preventScroll: true });
  }

  private toControls(): void {
    this.bar.showFor(CONTROLS_SHOWN_MS);
    this.bar.focus();
  }

  private resized(): void {
    this.glass.layOut();
    if (this.resizing !== null) clearTimeout(this.resizing);
    this.resizing = setTimeout(() => {
      this.tell({ type: "resize", ...this.glass.wantedSize() });
      this.cursor.apply();
    }, RESIZE_QUIET_MS);
  }

  private async toggleFullScreen(): Promise<void> {
    if (document.fullscreenElement !== null) return document.exitFullscreen();
    await document.documentElement.requestFullscreen({ navigationUI: "hide" });
    await (navigator as Navigator & { keyboard?: { lock(): Promise<void> } }).keyboard?.lock().catch(() => undefined);
    this.focusKeys();
  }

  private fullScreenChanged(): void {
    const inFullScreen = document.fullscreenElement !== null;
    element("full-screen", HTMLButtonElement).textContent = inFullScreen ? words().leaveFullScreen : words().fullScreen;
    this.focusKeys();
  }

  // What the worker says

  private hear(message: FromWorker): void {
    if (this.ended) return;
    switch (message.type) {
      case "status":
        return this.takeStatus(message.status);
      case "cursor":
        return this.cursor.show(message);
      case "cursorAt":
        return this.cursor.sessionPointerAt(message.x, message.y);
      case "sessionState":
        this.session = message;
        if (!message.live) this.paste.forget();
        return this.showPhase();
      case "announcement":
        return this.announcements.show(message.text);
      case "told":
        if (message.message.type === "Terms") {
          this.mark.show(message.message);
          this.clipboardIn = message.message.clipboardIn;
        }
        return this.sharing.hear(message.message);
      case "clip":
        this.paste.heard(message.text);
        return void this.clipNote.take(message.text);
      case "picture":
        this.paste.heard(null);
        return void this.clipNote.takePicture(new Blob([message.png], { type: "image/png" }));
      case "clipTaken":
        return this.paste.taken(message.taken);
      case "sound":
        return this.sound.offered(message.format);
      case "heard":
        return this.sound.hear(message.packet);
      case "inputRefused":
        return this.showRefused();
      case "ticketWanted":
        return void this.renewTicket().then((renewed) => this.tell({ type: "ticket", ticket: renewed?.ticket ?? null, gateways: renewed?.gateways ?? [] }));
      case "roadMemory":
        return remember("local", roadMemoryOf(this.site), message.memory === null ? null : JSON.stringify(message.memory));
      case "pixels":
        this.pixelRequests.get(message.request)?.(message);
        this.pixelRequests.delete(message.request);
        return;
      case "failed":
        return this.end({ code: CloseCode.internal, reason: message.reason, broken: true });
    }
  }

  private takeStatus(status: Status): void {
    this.status = status;
    if (status.phase === "ended") {
      this.end({ ...(status.ending ?? { code: CloseCode.done, reason: "" }), broken: false });
      return;
    }
    this.glass.sessionSize(status.width, status.height);
    this.bar.update(status);
    if (status.title !== "" && document.title !== status.title) {
      document.title = status.title;
      this.field.setAttribute("aria-label", words().screenLabel(status.title));
    }
    this.showPhase();
  }

  private showPhase(): void {
    const all = words();
    const phase = this.status?.phase ?? "connecting";
    this.view.classList.toggle("away", phase === "silent");
    if (phase === "connecting") this.showOverlay(all.connecting, this.reached ? all.connectingDetail : all.siteNotReached(this.site));
    else if (phase === "silent") this.showOverlay(all.silent, all.silentDetail);
    else if (!this.session.live) this.showOverlay(all.waiting, all.waitingDetail(this.session.waitingFor));
    else this.hideOverlay();
  }

  private showOverlay(title: string, detail: string): void {
    element("overlay-title", HTMLParagraphElement).textContent = title;
    element("overlay-detail", HTMLParagraphElement).textContent = detail;
    element("overlay", HTMLDivElement).hidden = false;
    this.bar.say(title);
  }

  private hideOverlay(): void {
    const overlay = element("overlay", HTMLDivElement);
    if (!overlay.hidden && this.status?.firstExactAt != null) this.bar.say(words().backAgain);
    overlay.hidden = true;
    element("overlay-refused", HTMLParagraphElement).textContent = "";
  }

  private showRefused(): void {
    const line = element("overlay-refused", HTMLParagraphElement);
    line.textContent = words().keysRefused;
    if (this.refusedTimer !== null) clearTimeout(this.refusedTimer);
    this.refusedTimer = setTimeout(() => (line.textContent = ""), REFUSED_SHOWN_MS);
  }

  /** The language changed. */
  speakAgain(): void {
    this.fullScreenChanged();
    this.sound.speakAgain();
    if (this.status !== null) this.takeStatus(this.status);
  }

  pixels(): Promise<Pixels> {
    const request = this.nextRequest++;
    return new Promise((resolve) => {
      this.pixelRequests.set(request, resolve);
      this.tell({ type: "pixels", request });
    });
  }

  disconnect(): void {
    this.end({ code: CloseCode.done, reason: "", broken: false });
  }

  private end(outcome: SessionOutcome): void {
    if (this.ended) return;
    this.pane.leave();
    this.clear();
    this.over(outcome);
  }

  close(): void {
    this.pane.close();
    if (!this.ended) this.clear();
  }

  /** What the page itself shows of the session. */
  private clear(): void {
    this.ended = true;
    this.view.hidden = true;
    this.cursor.clear();
    this.announcements.clear();
    this.sharing.clear();
    this.mark.clear();
    this.clipNote.clear();
    this.sound.clear();
    this.stopped.abort();
    this.keys.stop();
    this.pointer.stop();
    this.field.value = "";
    this.field.removeAttribute("aria-label");
    if (document.fullscreenElement !== null) void document.exitFullscreen();
    element("help", HTMLDialogElement).close();
    this.hideOverlay();
    this.view.classList.remove("away");
    element("announce", HTMLParagraphElement).textContent = "";
    document.title = "chevet";
  }
}
