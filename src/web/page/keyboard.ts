// What the user types, as input events. Pure: it is given records of what the browser said.
//
// Characters that a browser composes (dead keys, input methods) come as Text. All else comes as keys with the
// symbol that the user's own layout gave them, so that the session types what is printed on the user's keys.

import type { InputEvent } from "../wire/input.ts";
import { textEvents } from "../wire/input.ts";
import { isCharacter, keysymOf } from "./keysyms.ts";
import { latinOf, usageOf } from "./usages.ts";

export type Platform = "mac" | "windows" | "other";

/** A keydown or keyup as the browser told it. */
export interface KeyRecord {
  code: string;
  key: string;
  location: number;
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  altGraph: boolean;
  repeat: boolean;
  isComposing: boolean;
  /** Milliseconds on any clock: Windows gives AltGr's false Control the same time as AltGr. */
  time: number;
}

export interface ModifierFlags {
  ctrlKey: boolean;
  shiftKey: boolean;
  altKey: boolean;
  metaKey: boolean;
  altGraph: boolean;
}

interface Held {
  key: number;
  keysym: number;
}

/** What to do with the browser's event. */
export interface Outcome {
  events: InputEvent[];
  /** Keep the browser from acting on the key itself. */
  prevent: boolean;
}

/** AltGr's false Control is held back this long, to see whether AltGr follows. */
export const ALT_GR_WINDOW_MS = 20;

const modifierCodes = /^(Shift|Control|Alt|Meta|OS)(Left|Right)$/;

export class Keyboard {
  private readonly held = new Map<string, Held>();
  /** A left Control on Windows that may turn out to belong to AltGr. */
  private doubtful: { record: KeyRecord } | null = null;
  private altGr = false;

  constructor(private readonly platform: Platform) {}

  /** Whether a Control waits to be told from AltGr's; call `settle` ALT_GR_WINDOW_MS later. */
  get isDoubtful(): boolean {
    return this.doubtful !== null;
  }

  /** No AltGr followed: the Control was meant. */
  settle(): InputEvent[] {
    const record = this.doubtful?.record;
    this.doubtful = null;
    return record === undefined ? [] : this.press(record, keysymOf("Control", 1));
  }

  keyDown(record: KeyRecord): Outcome {
    if (record.isComposing || record.key === "Process" || record.key === "Unidentified" && record.code === "") {
      return { events: [], prevent: false };
    }
    const events: InputEvent[] = [];
    if (this.doubtful !== null) {
      const isAltGr = record.code === "AltRight" && record.time - this.doubtful.record.time < ALT_GR_WINDOW_MS;
      if (isAltGr) this.doubtful = null;
      else if (record.code !== "ControlLeft") events.push(...this.settle());
    }
    if (this.isDoubtfulControl(record)) {
      this.doubtful ??= { record };
      return { events, prevent: true };
    }
    if (!modifierCodes.test(record.code)) events.push(...this.resynchronise(record));
    if (record.key === "Dead") return { events, prevent: false };
    // The user's own layout applies these two: the symbols that follow say so.
    if (record.key === "CapsLock" || record.key === "NumLock") return { events, prevent: true };
    events.push(...this.pressed(record));
    return { events, prevent: true };
  }

  private isDoubtfulControl(record: KeyRecord): boolean {
    return this.platform === "windows" && record.code === "ControlLeft" && !record.repeat && !this.held.has("ControlLeft");
  }

  private pressed(record: KeyRecord): InputEvent[] {
    if (modifierCodes.test(record.code)) return this.pressModifier(record);
    const keysym = this.symbolOf(record);
    if (keysym === 0 && usageOf(record.code) === 0) return [];
    if (this.typesWithLevelModifiers(record)) return this.typeWithout(record, keysym);
    const events = [...this.optionAsAlt(record), ...this.press(record, keysym)];
    // macOS never tells of the release of a key that went down while Command was held.
    if (this.platform === "mac" && record.metaKey) events.push(...this.release(record.code));
    return events;
  }

  /** A Mac's Option makes characters; with any other key it is Alt. */
  private optionAsAlt(record: KeyRecord): InputEvent[] {
    if (this.platform !== "mac" || !record.altKey || isCharacter(record.key) || this.held.has("AltLeft")) return [];
    const alt = { key: usageOf("AltLeft"), keysym: keysymOf("Alt", 1) };
    this.held.set("AltLeft", alt);
    return [{ type: "KeyDown", ...alt }];
  }

  private pressModifier(record: KeyRecord): InputEvent[] {
    if (record.repeat) return [];
    const isAltGr = record.key === "AltGraph" || (record.code === "AltRight" && this.platform === "windows" && record.altGraph);
    if (isAltGr) {
      // The symbols say what AltGr made: the session must not see Alt or Control beside them.
      this.altGr = true;
      return [...this.release("ControlLeft"), ...this.release("AltRight")];
    }
    if (this.platform === "mac" && record.key === "Alt") return [];
    return this.press(record, this.modifierSymbol(record));
  }

  /** Command is the Control of a Mac's shortcuts. */
  private modifierSymbol(record: KeyRecord): number {
    if (this.platform === "mac" && record.key === "Meta") return keysymOf("Control", record.location);
    return keysymOf(record.key, record.location);
  }

  private symbolOf(record: KeyRecord): number {
    const shortcut = record.ctrlKey || record.metaKey || (record.altKey && this.platform !== "mac");
    const byAltGr = this.altGr || record.altGraph;
    if (!shortcut || byAltGr || !isCharacter(record.key)) return keysymOf(record.key, record.location);
    // A shortcut on a layout without Latin letters means the key's place; Caps Lock does not change a shortcut.
    const character = isLatin(record.key) ? record.key : latinOf(record.code) ?? record.key;
    const cased = record.shiftKey ? character.toUpperCase() : character.toLowerCase();
    return keysymOf(isCharacter(cased) ? cased : character, record.location);
  }

  /** AltGr or Option has made this character; Control and Alt that the browser still reports are part of making it. */
  private typesWithLevelModifiers(record: KeyRecord): boolean {
    if (!isCharacter(record.key)) return false;
    if (this.platform === "mac") return record.altKey && !record.metaKey && !record.ctrlKey;
    return this.altGr || record.altGraph;
  }

  private typeWithout(record: KeyRecord, keysym: number): InputEvent[] {
    const lifted = ["ControlLeft", "ControlRight", "AltLeft", "AltRight"].flatMap((code) => this.release(code));
    return [...lifted, ...this.press(record, keysym)];
  }

  private press(record: KeyRecord, keysym: number): InputEvent[] {
    const code = record.code === "" ? `key:${record.key}` : record.code;
    const mapped = this.platform === "mac" && record.key === "Meta";
    const key = mapped ? usageOf(record.location === 2 ? "ControlRight" : "ControlLeft") : usageOf(record.code);
    this.held.set(code, { key, keysym });
    return [{ type: "KeyDown", key, keysym }];
  }

  private release(code: string): InputEvent[] {
    const held = this.held.get(code);
    if (held === undefined) return [];
    this.held.delete(code);
    return [{ type: "KeyUp", key: held.key, keysym: held.keysym }];
  }

  keyUp(record: KeyRecord): Outcome {
    const events: InputEvent[] = [];
    if (record.code === "ControlLeft" && this.doubtful !== null) events.push(...this.settle());
    if (record.code === "AltRight" || record.key === "AltGraph") this.altGr = false;
    const code = record.code === "" ? `key:${record.key}` : record.code;
    events.push(...this.release(code));
    if (this.platform === "mac" && record.key === "Meta") events.push(...this.releaseCharacters());
    return { events, prevent: true };
  }

  private releaseCharacters(): InputEvent[] {
    return [...this.held.keys()].filter((code) => !modifierCodes.test(code)).flatMap((code) => this.release(code));
  }

  /** Lets go of modifiers that the browser says are up, and of which it never told the release. */
  resynchronise(flags: ModifierFlags): InputEvent[] {
    const mac = this.platform === "mac";
    if (!flags.altGraph && !flags.altKey) this.altGr = false;
    const up: [string, boolean][] = [
      ["Shift", flags.shiftKey],
      ["Control", flags.ctrlKey],
      ["Alt", flags.altKey || flags.altGraph],
      ["Meta", flags.metaKey],
      ["OS", flags.metaKey],
    ];
    const events = up
      .filter(([, down]) => !down)
      .flatMap(([name]) => [...this.release(`${name}Left`), ...this.release(`${name}Right`)]);
    if (mac && !flags.metaKey && events.length > 0) events.push(...this.releaseCharacters());
    return events;
  }

  /** What an input method or a dead key has made. */
  text(text: string): InputEvent[] {
    return textEvents(text);
  }

  /** The keyboard is lost: nothing is held any more. */
  releaseAll(): InputEvent[] {
    this.held.clear();
    this.doubtful = null;
    this.altGr = false;
    return [{ type: "ReleaseAll" }];
  }
}

function isLatin(character: string): boolean {
  return /\p{Script=Latin}/u.test(character) || (character.codePointAt(0) ?? 0) <= 0xff;
}

export function platformOf(userAgent: string): Platform {
  if (/Macintosh|Mac OS X|iPhone|iPad/.test(userAgent)) return "mac";
  return /Windows/.test(userAgent) ? "windows" : "other";
}
