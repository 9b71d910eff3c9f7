// What other sites have, below the list of what is here: a heading and cards for each site, and a line for each that does not answer.

import { element, words } from "./dom.ts";
import type { Elsewhere } from "./gateway.ts";
import { type Choices, cardOf } from "./sessions.ts";
import { siteOf } from "./site-names.ts";

/** "looking": they are being asked; null: they could not be asked. */
export function showElsewhere(found: Elsewhere | "looking" | null, choices: Choices): void {
  const all = words();
  const { sessions, cutOff } = found === null || found === "looking" ? { sessions: [], cutOff: [] } : found;
  const sites = [...new Set(sessions.map(({ name }) => siteOf(name)))].sort();
  const cardsOf = (site: string): HTMLLIElement[] =>
    sessions.filter(({ name }) => siteOf(name) === site).map((info) => cardOf(info, choices));
  element("elsewhere", HTMLDivElement).replaceChildren(...sites.map((site, at) => sectionOf(site, `site-${at}`, cardsOf(site))));
  if (found === "looking") say([all.sitesLooking]);
  else if (found === null) say([all.sitesNotAsked]);
  else say(cutOff.map((site) => all.siteAway(site)));
  if (sites.length === 0) return;
  const own = element("cards", HTMLUListElement);
  // That there is nothing at this site is no news beside what there is.
  if (own.childElementCount === 0) element("sessions-note", HTMLParagraphElement).textContent = "";
  const held = document.activeElement;
  if (held === null || held === document.body) document.querySelector<HTMLButtonElement>("#elsewhere .card:enabled")?.focus();
}

function sectionOf(site: string, id: string, cards: HTMLLIElement[]): HTMLElement {
  const section = document.createElement("section");
  section.className = "site";
  section.setAttribute("aria-labelledby", id);
  const heading = Object.assign(document.createElement("h2"), { id, textContent: words().siteSessions(site) });
  const list = Object.assign(document.createElement("ul"), { className: "cards" });
  list.append(...cards);
  section.append(heading, list);
  return section;
}

function say(lines: string[]): void {
  const note = element("elsewhere-note", HTMLParagraphElement);
  note.replaceChildren(...lines.map((textContent) => Object.assign(document.createElement("span"), { textContent })));
}

export function forgetElsewhere(): void {
  element("elsewhere", HTMLDivElement).replaceChildren();
  say([]);
}
