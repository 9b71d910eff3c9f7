// Elements of this page, and the language that it speaks.

import type { Language } from "../page/words.ts";
import { type PlainWord, type Words, languages } from "./words.ts";

let language: Language = "en";

export function words(): Words {
  return languages[language];
}

export function speak(chosen: Language): void {
  language = chosen;
  document.documentElement.lang = chosen;
  for (const each of document.querySelectorAll<HTMLElement>("[data-word]")) each.textContent = words()[each.dataset["word"] as PlainWord];
  for (const each of document.querySelectorAll<HTMLElement>("[data-label]")) each.setAttribute("aria-label", words()[each.dataset["label"] as PlainWord]);
  for (const each of document.querySelectorAll<HTMLInputElement>("[data-hint]")) each.placeholder = words()[each.dataset["hint"] as PlainWord];
  for (const each of document.querySelectorAll<HTMLElement>("[data-language]")) {
    each.setAttribute("aria-pressed", String(each.dataset["language"] === chosen));
  }
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function button(text: string, kind: string, act: () => void): HTMLButtonElement {
  const made = make("button", { type: "button", className: kind, textContent: text });
  made.addEventListener("click", act);
  return made;
}

export function write(into: HTMLElement, text: string): void {
  if (into.textContent !== text) into.textContent = text;
}
