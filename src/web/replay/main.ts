// The replay page: which recordings there are, the identity that opens one, and the theatre in which it plays.

import { element, remember, remembered } from "../page/dom.ts";
import { type Language, firstLanguage } from "../page/words.ts";
import { make, write } from "../admin/dom.ts";
import { matches } from "../admin/format.ts";
import { clock, when } from "./format.ts";
import { identitiesOf } from "../recording/sealed.ts";
import { Theatre } from "./theatre.ts";
import { type PlainWord, type Words, languages } from "./words.ts";

const LANGUAGE = "chevet.language";

interface Kept {
  name: string;
  bytes: number;
  session: string;
  title: string;
  began_at: number;
  ended_at: number | null;
  people: { name: string; title: string; seat: string }[];
}

let language: Language = "en";
const words = (): Words => languages[language];
let kept: Kept[] | null = null;
let trouble: PlainWord | null = null;
let chosen: Kept | null = null;
const theatre = new Theatre(words, showChoice);

function speak(spoken: Language): void {
  language = spoken;
  document.documentElement.lang = spoken;
  const word = (each: HTMLElement, name: string): string => words()[each.dataset[name] as PlainWord];
  for (const each of document.querySelectorAll<HTMLElement>("[data-word]")) each.textContent = word(each, "word");
  for (const each of document.querySelectorAll<HTMLElement>("[data-label]")) each.setAttribute("aria-label", word(each, "label"));
  for (const each of document.querySelectorAll<HTMLInputElement>("[data-hint]")) each.placeholder = word(each, "hint");
  for (const each of document.querySelectorAll<HTMLElement>("[data-language]")) {
    each.setAttribute("aria-pressed", String(each.dataset["language"] === spoken));
  }
  theatre.speakAgain();
  render();
}

async function load(): Promise<void> {
  try {
    const response = await fetch("api/admin/recordings", { cache: "no-store", credentials: "same-origin" });
    const answer = (await response.json()) as { recordings?: Kept[]; error?: string };
    trouble = response.ok ? null : response.status === 401 ? "signIn" : response.status === 403 ? "noRight" : answer.error === "no-recording" ? "noRecording" : "away";
    kept = response.ok ? (answer.recordings ?? []) : [];
  } catch {
    trouble = "away";
    kept = [];
  }
  render();
}

function render(): void {
  const line = element("trouble", HTMLParagraphElement);
  write(line, trouble === null ? "" : words()[trouble]);
  line.hidden = trouble === null;
  const filter = element("filter", HTMLInputElement).value;
  const shown = (kept ?? []).filter((each) => matches(filter, textsOf(each)));
  const empty = trouble !== null ? "" : kept === null ? words().loading : kept.length === 0 ? words().none : shown.length === 0 ? words().noMatch : "";
  write(element("note", HTMLParagraphElement), empty);
  element("table", HTMLTableElement).hidden = shown.length === 0;
  element("rows", HTMLTableSectionElement).replaceChildren(...shown.map(rowOf));
}

const nameOf = (each: Kept): string => (each.title === "" ? each.session : each.title);
const peopleOf = (each: Kept): string => each.people.map((person) => (person.title === "" ? person.name : person.title)).filter((name) => name !== "").join(", ");
const textsOf = (each: Kept): string[] => [each.name, each.session, each.title, peopleOf(each), ...each.people.map((person) => person.seat), when(each.began_at, language)];

function rowOf(each: Kept): HTMLTableRowElement {
  const open = make("button", { type: "button", className: "small", textContent: words().open });
  open.setAttribute("aria-label", words().openOf(`${nameOf(each)}, ${when(each.began_at, language)}`));
  open.dataset["name"] = each.name;
  open.addEventListener("click", () => ask(each));
  const length = each.ended_at === null ? words().running : clock((each.ended_at - each.began_at) * 1000);
  return make(
    "tr",
    {},
    make("th", { scope: "row" }, make("span", { className: "strong", textContent: nameOf(each) }), make("span", { className: "soft", textContent: each.session === nameOf(each) ? "" : each.session })),
    make("td", { textContent: when(each.began_at, language) }),
    make("td", { className: "number", textContent: length }),
    make("td", { textContent: peopleOf(each) }),
    make("td", { className: "number", textContent: words().megabytes((each.bytes / 1e6).toFixed(1)) }),
    make("td", { className: "acts" }, open),
  );
}

function ask(each: Kept): void {
  chosen = each;
  element("ask-problem", HTMLParagraphElement).hidden = true;
  element("ask", HTMLDialogElement).showModal();
  element("identity-text", HTMLTextAreaElement).focus();
}

/** The identity is read, handed on, and the fields are emptied. */
async function decrypt(): Promise<void> {
  const file = element("identity-file", HTMLInputElement);
  const text = element("identity-text", HTMLTextAreaElement);
  const identity = `${(await file.files?.[0]?.text()) ?? ""}\n${text.value}`;
  if (identitiesOf(identity).length === 0) {
    const problem = element("ask-problem", HTMLParagraphElement);
    problem.textContent = words().badIdentity;
    problem.hidden = false;
    return;
  }
  file.value = "";
  text.value = "";
  element("ask", HTMLDialogElement).close();
  if (chosen === null) return;
  element("choice", HTMLElement).hidden = true;
  theatre.open(new URL(`api/admin/recordings/${chosen.name}`, document.baseURI).href, nameOf(chosen), identity, () => language);
}

function showChoice(): void {
  element("choice", HTMLElement).hidden = false;
  // The keyboard goes on where it was.
  document.querySelector<HTMLButtonElement>(`#rows button[data-name="${chosen?.name ?? ""}"]`)?.focus();
}

for (const each of document.querySelectorAll<HTMLButtonElement>("[data-language]")) {
  each.addEventListener("click", () => {
    remember("local", LANGUAGE, each.dataset["language"] ?? null);
    speak(each.dataset["language"] as Language);
  });
}
element("filter", HTMLInputElement).addEventListener("input", render);
element("ask-form", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  void decrypt();
});
element("ask-cancel", HTMLButtonElement).addEventListener("click", () => element("ask", HTMLDialogElement).close());
element("ask", HTMLDialogElement).addEventListener("close", () => {
  element("identity-file", HTMLInputElement).value = "";
  element("identity-text", HTMLTextAreaElement).value = "";
});
speak(firstLanguage(navigator.languages, remembered("local", LANGUAGE)));
void load();
