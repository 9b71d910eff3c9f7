// The page's elements, found by name, and its texts.

import { type Language, type PlainWord, type Words, languages } from "./words.ts";

/** The element of this id; the page's own markup has it. */
export function element<T extends HTMLElement>(id: string, type: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`the page has no ${type.name} #${id}`);
  return found;
}

let language: Language = "en";

export function words(): Words {
  return languages[language];
}

/** Writes every fixed text of the page in this language. */
export function speak(chosen: Language): void {
  language = chosen;
  document.documentElement.lang = chosen;
  const all = words();
  for (const each of document.querySelectorAll<HTMLElement>("[data-word]")) {
    each.textContent = all[each.dataset["word"] as PlainWord];
  }
  for (const each of document.querySelectorAll<HTMLElement>("[data-label]")) {
    each.setAttribute("aria-label", all[each.dataset["label"] as PlainWord]);
  }
  for (const each of document.querySelectorAll<HTMLElement>("[data-title]")) {
    each.title = all[each.dataset["title"] as PlainWord];
  }
  for (const each of document.querySelectorAll<HTMLElement>("[data-language]")) {
    each.setAttribute("aria-pressed", String(each.dataset["language"] === chosen));
  }
}

/** Browser storage, which a browser may refuse: then nothing is remembered. */
export function remembered(storage: "local" | "session", key: string): string | null {
  try {
    return (storage === "local" ? localStorage : sessionStorage).getItem(key);
  } catch {
    return null;
  }
}

export function remember(storage: "local" | "session", key: string, value: string | null): void {
  try {
    const store = storage === "local" ? localStorage : sessionStorage;
    if (value === null) store.removeItem(key);
    else store.setItem(key, value);
  } catch {
    // Refused or full: the page works without.
  }
}
