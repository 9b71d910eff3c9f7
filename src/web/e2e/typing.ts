// Presses keys as a user of some layout would: rows of `press` as tests/keyboard/layouts.toml describes them.
// The events are made in the page, so that any layout can be had whatever the machine's own is.

import { readFileSync } from "node:fs";
import type { Page } from "puppeteer-core";

interface Row {
  layout?: string;
  press: string[];
}

export interface KeyStep {
  way: "down" | "up";
  code: string;
  key: string;
  repeat: boolean;
  held: string[];
}

/** A row as keydown and keyup steps; `held` names the modifiers down at that moment. Text stays text. */
export function stepsOf(press: string[]): (KeyStep | { text: string })[] {
  const held = new Map<string, string>();
  const steps: (KeyStep | { text: string })[] = [];
  const step = (way: "down" | "up", code: string, key: string, repeat: boolean): void => {
    steps.push({ way, code, key, repeat, held: [...held.values()] });
  };
  for (const each of press) {
    if (each.startsWith("text:")) {
      steps.push({ text: each.slice(5) });
      continue;
    }
    if (each.startsWith("-")) {
      const code = each.slice(1);
      const key = held.get(code) ?? "Unidentified";
      held.delete(code);
      step("up", code, key, false);
      continue;
    }
    const hold = each.startsWith("+");
    const [code, key] = splitOnce(hold ? each.slice(1) : each);
    const repeat = hold && held.has(code);
    if (hold) held.set(code, key);
    step("down", code, key, repeat);
    if (!hold) step("up", code, key, false);
  }
  return steps;
}

function splitOnce(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 0) throw new Error(`"${text}" is not CODE=KEY`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Runs in the page. */
function dispatch(step: KeyStep | { text: string }): void {
  const field = document.getElementById("keys") as HTMLTextAreaElement;
  field.focus();
  if ("text" in step) {
    field.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
    field.dispatchEvent(new CompositionEvent("compositionend", { data: step.text, bubbles: true }));
    return;
  }
  const { way, code, key, repeat, held } = step;
  const location = /Right$/.test(code) ? 2 : /^(Shift|Control|Alt|Meta)Left$/.test(code) ? 1 : code.startsWith("Numpad") ? 3 : 0;
  const event = new KeyboardEvent(way === "down" ? "keydown" : "keyup", {
    code,
    key,
    location,
    repeat,
    bubbles: true,
    cancelable: true,
    shiftKey: held.includes("Shift"),
    ctrlKey: held.includes("Control"),
    altKey: held.includes("Alt"),
    metaKey: held.includes("Meta"),
    modifierAltGraph: held.includes("AltGraph"),
  });
  field.dispatchEvent(event);
}

export async function pressAll(page: Page, path: string, told: (row: number, press: string[]) => void): Promise<void> {
  const file = JSON.parse(readFileSync(path, "utf8")) as Row[] | { row: Row[] };
  const rows = Array.isArray(file) ? file : file.row;
  for (const [index, { press }] of rows.entries()) {
    for (const step of stepsOf(press)) await page.evaluate(dispatch, step);
    told(index, press);
  }
}
