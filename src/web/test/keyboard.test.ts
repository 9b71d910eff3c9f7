import assert from "node:assert/strict";
import { test } from "node:test";
import { type KeyRecord, Keyboard, type Platform } from "../page/keyboard.ts";
import { keysymOf } from "../page/keysyms.ts";
import { usageOf } from "../page/usages.ts";
import type { InputEvent } from "../wire/input.ts";

let clock = 0;

function record(code: string, key: string, change: Partial<KeyRecord> = {}): KeyRecord {
  const location = /Right$/.test(code) ? 2 : /^(Shift|Control|Alt|Meta)Left$/.test(code) ? 1 : /^Numpad/.test(code) ? 3 : 0;
  const none = { ctrlKey: false, shiftKey: false, altKey: false, metaKey: false, altGraph: false };
  return { code, key, location, ...none, repeat: false, isComposing: false, time: (clock += 1000), ...change };
}

/** Events as short words: +usage:keysym, -usage:keysym. */
function short(events: InputEvent[]): string {
  return events
    .map((event) => {
      if (event.type === "KeyDown") return `+${event.key.toString(16)}:${event.keysym.toString(16)}`;
      if (event.type === "KeyUp") return `-${event.key.toString(16)}:${event.keysym.toString(16)}`;
      return event.type === "Text" ? `"${event.text}"` : event.type;
    })
    .join(" ");
}

type Step = ["down" | "up", string, string, Partial<KeyRecord>?];

function play(platform: Platform, steps: Step[]): string {
  const keyboard = new Keyboard(platform);
  const events = steps.flatMap(([way, code, key, change]) => {
    const outcome = way === "down" ? keyboard.keyDown(record(code, key, change)) : keyboard.keyUp(record(code, key, change));
    return outcome.events;
  });
  return short(events);
}

const ctrl = { ctrlKey: true };
const shift = { shiftKey: true };
const alt = { altKey: true };
const meta = { metaKey: true };

const tables: [string, Platform, Step[], string][] = [
  ["a letter goes down and up with its place and symbol", "other", [["down", "KeyQ", "a"], ["up", "KeyQ", "a"]], "+14:61 -14:61"],
  ["a key is released with the symbol that it had when pressed", "other",
    [["down", "ShiftLeft", "Shift", shift], ["down", "KeyA", "A", shift], ["up", "ShiftLeft", "Shift"], ["up", "KeyA", "a"]],
    "+e1:ffe1 +4:41 -e1:ffe1 -4:41"],
  ["repeats are sent again", "other", [["down", "KeyA", "a"], ["down", "KeyA", "a", { repeat: true }], ["up", "KeyA", "a"]], "+4:61 +4:61 -4:61"],
  ["French digits carry the character", "other", [["down", "Digit2", "é"], ["up", "Digit2", "é"]], "+1f:e9 -1f:e9"],
  ["the euro sign has a Unicode keysym", "other", [["down", "KeyE", "€", { altGraph: true }]], "+8:10020ac"],
  ["dead keys are left to the browser", "other", [["down", "BracketLeft", "Dead"]], ""],
  ["keys within a composition are left to the browser", "other", [["down", "KeyE", "e", { isComposing: true }]], ""],
  ["Control and a letter is a shortcut", "other",
    [["down", "ControlLeft", "Control", ctrl], ["down", "KeyC", "c", ctrl], ["up", "KeyC", "c", ctrl], ["up", "ControlLeft", "Control"]],
    "+e0:ffe3 +6:63 -6:63 -e0:ffe3"],
  ["Caps Lock does not change a shortcut", "other", [["down", "ControlLeft", "Control", ctrl], ["down", "KeyC", "C", ctrl]], "+e0:ffe3 +6:63"],
  ["Caps Lock itself stays here: the symbols say what it did", "other", [["down", "CapsLock", "CapsLock"], ["up", "CapsLock", "CapsLock"], ["down", "KeyA", "A"]], "+4:41"],
  ["Control and a Russian letter sends the Latin one of the same place", "other",
    [["down", "ControlLeft", "Control", ctrl], ["down", "KeyC", "с", ctrl]], "+e0:ffe3 +6:63"],
  ["Control, Shift and a Greek letter sends the Latin capital", "other",
    [["down", "ControlLeft", "Control", ctrl], ["down", "ShiftLeft", "Shift", { ...ctrl, ...shift }], ["down", "KeyT", "Τ", { ...ctrl, ...shift }]],
    "+e0:ffe3 +e1:ffe1 +17:54"],
  ["a Russian letter alone is itself", "other", [["down", "KeyC", "с"]], "+6:1000441"],
  ["Control on AZERTY means the letter printed on the key", "other",
    [["down", "ControlLeft", "Control", ctrl], ["down", "KeyQ", "a", ctrl]], "+e0:ffe3 +14:61"],
  ["AltGr on Linux makes characters without any modifier", "other",
    [["down", "AltRight", "AltGraph", { altGraph: true }], ["down", "Digit0", "@", { altGraph: true }], ["up", "Digit0", "@", { altGraph: true }], ["up", "AltRight", "AltGraph"]],
    "+27:40 -27:40"],
  ["AltGr on Windows drops its false Control", "windows",
    [["down", "ControlLeft", "Control", { ...ctrl, time: 5000 }], ["down", "AltRight", "AltGraph", { ...ctrl, ...alt, altGraph: true, time: 5000 }],
      ["down", "KeyE", "€", { ...ctrl, ...alt, altGraph: true }], ["up", "KeyE", "€", { ...ctrl, ...alt, altGraph: true }],
      ["up", "ControlLeft", "Control", alt], ["up", "AltRight", "AltGraph"]],
    "+8:10020ac -8:10020ac"],
  ["a true Control on Windows comes with the key after it", "windows",
    [["down", "ControlLeft", "Control", ctrl], ["down", "KeyV", "v", ctrl], ["up", "KeyV", "v", ctrl], ["up", "ControlLeft", "Control"]],
    "+e0:ffe3 +19:76 -19:76 -e0:ffe3"],
  ["a Control tapped alone on Windows is not lost", "windows",
    [["down", "ControlLeft", "Control", ctrl], ["up", "ControlLeft", "Control"]], "+e0:ffe3 -e0:ffe3"],
  ["Alt and F4 on Windows stay together", "windows", [["down", "AltLeft", "Alt", alt], ["down", "F4", "F4", alt]], "+e2:ffe9 +3d:ffc1"],
  ["Control and Alt without AltGr stay Control and Alt", "windows",
    [["down", "ControlLeft", "Control", ctrl], ["down", "AltLeft", "Alt", { ...ctrl, ...alt }], ["down", "Delete", "Delete", { ...ctrl, ...alt }]],
    "+e0:ffe3 +e2:ffe9 +4c:ffff"],
  ["Command and C is Control and C, and the missing release is made up", "mac",
    [["down", "MetaLeft", "Meta", meta], ["down", "KeyC", "c", meta], ["up", "MetaLeft", "Meta"]],
    "+e0:ffe3 +6:63 -6:63 -e0:ffe3"],
  ["Option composes a character without Alt", "mac",
    [["down", "AltLeft", "Alt", alt], ["down", "KeyL", "¬", alt], ["up", "KeyL", "¬", alt], ["up", "AltLeft", "Alt"]], "+f:ac -f:ac"],
  ["Option with an arrow is Alt", "mac",
    [["down", "AltLeft", "Alt", alt], ["down", "ArrowLeft", "ArrowLeft", alt], ["up", "ArrowLeft", "ArrowLeft", alt], ["up", "AltLeft", "Alt"]],
    "+e2:ffe9 +50:ff51 -50:ff51 -e2:ffe9"],
  ["the keypad keeps its own symbols", "other", [["down", "Numpad7", "7"], ["down", "Numpad7", "Home"], ["down", "NumpadEnter", "Enter"], ["down", "NumpadDecimal", ","]],
    "+5f:ffb7 +5f:ff95 +58:ff8d +63:ffac"],
  ["a modifier whose release was never told is let go with the next key", "other",
    [["down", "ControlLeft", "Control", ctrl], ["down", "KeyA", "a"]], "+e0:ffe3 -e0:ffe3 +4:61"],
  ["an unknown key with a character still types it", "other", [["down", "", "ß"], ["up", "", "ß"]], "+0:df -0:df"],
  ["an unknown key without a symbol is nothing", "other", [["down", "LaunchApp9", "Unidentified"]], ""],
  ["AltGr tapped alone leaves nothing behind", "windows",
    [["down", "ControlLeft", "Control", { ...ctrl, time: 9000 }], ["down", "AltRight", "AltGraph", { ...ctrl, ...alt, altGraph: true, time: 9001 }],
      ["up", "ControlLeft", "Control", alt], ["up", "AltRight", "AltGraph"], ["down", "KeyA", "a"]], "+4:61"],
];

for (const [name, platform, steps, expected] of tables) {
  test(`${name} (${platform})`, () => assert.equal(play(platform, steps), expected));
}

test("losing the keyboard releases everything and forgets it", () => {
  const keyboard = new Keyboard("other");
  keyboard.keyDown(record("ControlLeft", "Control", ctrl));
  assert.equal(short(keyboard.releaseAll()), "ReleaseAll");
  assert.equal(short(keyboard.keyUp(record("ControlLeft", "Control")).events), "");
});

test("a pointer event without Shift lets a stuck Shift go", () => {
  const keyboard = new Keyboard("other");
  keyboard.keyDown(record("ShiftRight", "Shift", shift));
  assert.equal(short(keyboard.resynchronise(record("", ""))), "-e5:ffe2");
  assert.equal(short(keyboard.resynchronise(record("", ""))), "");
});

test("what an input method makes is sent as text", () => {
  assert.equal(short(new Keyboard("other").text("日本")), '"日本"');
});

test("keysyms follow the X11 rules", () => {
  const rows: [string, number, number][] = [
    ["a", 0, 0x61], ["ÿ", 0, 0xff], ["œ", 0, 0x1000153], ["Enter", 0, 0xff0d], ["Enter", 3, 0xff8d], ["Control", 2, 0xffe4],
    ["F12", 0, 0xffc9], ["😀", 0, 0x101f600], ["Dead", 0, 0], ["Process", 0, 0], ["Unidentified", 0, 0], ["-", 3, 0xffad],
  ];
  for (const [key, location, keysym] of rows) assert.equal(keysymOf(key, location), keysym, key);
});

test("usages follow the HID tables", () => {
  const rows: [string, number][] = [
    ["KeyA", 4], ["KeyZ", 0x1d], ["Digit1", 0x1e], ["Digit0", 0x27], ["F1", 0x3a], ["F13", 0x68], ["F24", 0x73], ["Numpad1", 0x59], ["Numpad0", 0x62],
    ["IntlBackslash", 0x64], ["MetaRight", 0xe7], ["NoSuchKey", 0], ["toString", 0],
  ];
  for (const [code, usage] of rows) assert.equal(usageOf(code), usage, code);
});
