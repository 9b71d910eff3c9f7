// The browser's keyboard events, fed to Keyboard. A hidden text field has the focus, so that dead keys and
// input methods have something to compose in.

import type { InputEvent } from "../wire/input.ts";
import { isPaste } from "./paste.ts";
import { ALT_GR_WINDOW_MS, type KeyRecord, Keyboard, type ModifierFlags } from "./keyboard.ts";

export function flagsOf(event: KeyboardEvent | MouseEvent): ModifierFlags {
  return {
    ctrlKey: event.ctrlKey,
    shiftKey: event.shiftKey,
    altKey: event.altKey,
    metaKey: event.metaKey,
    altGraph: event.getModifierState("AltGraph"),
  };
}

function recordOf(event: KeyboardEvent): KeyRecord {
  return {
    ...flagsOf(event),
    code: event.code,
    key: event.key,
    location: event.location,
    repeat: event.repeat,
    isComposing: event.isComposing || event.keyCode === 229,
    time: event.timeStamp,
  };
}

export class KeyboardEvents {
  private readonly stopped = new AbortController();

  constructor(
    private readonly field: HTMLTextAreaElement,
    private readonly keyboard: Keyboard,
    /** `pastes`: the browser is about to say what there is to paste. */
    private readonly send: (events: InputEvent[], pastes?: boolean) => void,
    private readonly mayPaste: () => boolean,
    /** Ctrl+Alt+Shift was pressed: the user wants the page's own controls. */
    private readonly toControls: () => void,
  ) {
    const { signal } = this.stopped;
    field.addEventListener("keydown", (event) => this.keyDown(event), { signal });
    field.addEventListener("keyup", (event) => this.keyUp(event), { signal });
    field.addEventListener("compositionend", (event) => this.composed(event.data), { signal });
    field.addEventListener("input", (event) => this.typed(event as InputEventInit & Event), { signal });
    field.addEventListener("blur", () => this.letGo(), { signal });
    addEventListener("blur", () => this.letGo(), { signal });
    addEventListener("pagehide", () => this.letGo(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden && this.letGo(), { signal });
    document.addEventListener("pointerlockchange", () => document.pointerLockElement ?? this.letGo(), { signal });
  }

  stop(): void {
    this.stopped.abort();
  }

  private keyDown(event: KeyboardEvent): void {
    if (event.ctrlKey && event.altKey && event.shiftKey && /^(Shift|Control|Alt)/.test(event.code)) {
      event.preventDefault();
      this.letGo();
      this.toControls();
      return;
    }
    const { events, prevent } = this.keyboard.keyDown(recordOf(event));
    const pastes = isPaste(event) && this.mayPaste();
    if (prevent && !pastes) event.preventDefault();
    if (pastes) this.send(events, true);
    else this.post(events);
    if (this.keyboard.isDoubtful) setTimeout(() => this.post(this.keyboard.settle()), ALT_GR_WINDOW_MS);
  }

  private keyUp(event: KeyboardEvent): void {
    const { events, prevent } = this.keyboard.keyUp(recordOf(event));
    if (prevent) event.preventDefault();
    this.post(events);
  }

  private composed(text: string): void {
    this.post(this.keyboard.text(text));
    this.field.value = "";
  }

  /** Text that came without a key: an on-screen keyboard, a picker of symbols. */
  private typed(event: InputEventInit & Event): void {
    if (event.isComposing === true || /composition/i.test(event.inputType ?? "")) return;
    if (event.inputType === "insertLineBreak") this.post(this.keyboard.text("\n"));
    else if (event.data != null) this.post(this.keyboard.text(event.data));
    this.field.value = "";
  }

  /** A pointer event tells which modifiers are down, too. */
  resynchronise(flags: ModifierFlags): void {
    this.post(this.keyboard.resynchronise(flags));
  }

  private letGo(): void {
    this.post(this.keyboard.releaseAll());
  }

  private post(events: InputEvent[]): void {
    if (events.length > 0) this.send(events);
  }
}
