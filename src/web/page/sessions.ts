// The list of sessions, as cards.

import { cardAfter } from "./card-keys.ts";
import { element, words } from "./dom.ts";
import type { SessionInfo } from "./gateway.ts";
import { siteOf } from "./site-names.ts";

/** What may be done with a session of the list. */
export interface Choices {
  open(name: string): void;
  /** Ends it for good. */
  end(name: string): void;
}

/** Null: they are being looked for. */
export function showSessions(sessions: SessionInfo[] | null, signedIn: boolean, choices: Choices): void {
  const all = words();
  const cards = element("cards", HTMLUListElement);
  const none = signedIn ? all.sessionsNoneYours : all.sessionsNone;
  note(sessions === null ? all.looking : sessions.length === 0 ? none : "");
  cards.replaceChildren(...(sessions ?? []).map((info) => cardOf(info, choices)));
  cards.querySelector<HTMLButtonElement>("button:enabled")?.focus();
}

function note(text: string): void {
  element("sessions-note", HTMLParagraphElement).textContent = text;
}

export function forgetSessions(): void {
  element("cards", HTMLUListElement).replaceChildren();
}

function titleOf(info: SessionInfo): string {
  const title = info.titles?.[document.documentElement.lang === "fr" ? "fr" : "en"] ?? info.title;
  return title === "" ? info.name : title;
}

export function cardOf(info: SessionInfo, choices: Choices): HTMLLIElement {
  const all = words();
  const item = document.createElement("li");
  const card = document.createElement("button");
  card.type = "button";
  card.className = "card";
  card.dataset["session"] = info.name;
  const line = (className: string, ...texts: string[]): void => {
    const span = document.createElement("span");
    span.className = className;
    span.append(...texts.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    card.append(span);
  };
  if (info.icon != null) card.append(Object.assign(document.createElement("img"), { className: "card-icon", alt: "", src: info.icon }));
  line("card-title", titleOf(info));
  const states = { live: all.sessionLive, waiting: all.sessionWaiting, new: all.sessionNew, unavailable: all.sessionUnavailable };
  line(info.state === "live" ? "state" : `state ${info.state}`, states[info.state]);
  const { holder } = info;
  if (holder != null) line(holder.you ? "holder yours" : "holder", holder.you ? all.heldByYou(holder.seat) : all.heldBy(holder.title, holder.seat));
  const exists = info.state === "live" || info.state === "waiting";
  // Of one that another gateway has, the size is not known.
  if (exists && info.width > 0) line("card-facts", `${info.width} × ${info.height}`, all.viewers(info.viewers));
  card.disabled = info.state === "unavailable";
  card.addEventListener("click", () => {
    const site = siteOf(info.name);
    if (info.state === "new") note(all.starting(titleOf(info)));
    else if (site !== "") note(all.openingAt(titleOf(info), site));
    choices.open(info.name);
  });
  item.append(card);
  if (exists && info.application != null) item.append(endButton(info, choices));
  return item;
}

/** Asks once more before it does what cannot be undone. */
function endButton(info: SessionInfo, choices: Choices): HTMLButtonElement {
  const all = words();
  const end = document.createElement("button");
  end.type = "button";
  end.className = "quiet card-end";
  end.textContent = all.endSession;
  end.setAttribute("aria-label", all.endSessionOf(titleOf(info)));
  let asked = false;
  end.addEventListener("click", () => {
    if (asked) return choices.end(info.name);
    asked = true;
    end.textContent = all.endSessionSure;
    end.setAttribute("aria-label", `${all.endSessionSure} ${titleOf(info)}`);
  });
  end.addEventListener("blur", () => {
    asked = false;
    end.textContent = all.endSession;
    end.setAttribute("aria-label", all.endSessionOf(titleOf(info)));
  });
  return end;
}

/** Arrow keys go from card to card, whichever site's they are. */
export function moveAmongCards(event: KeyboardEvent): void {
  const cards = [...document.querySelectorAll<HTMLButtonElement>(".card:enabled")];
  const at = cards.indexOf(document.activeElement as HTMLButtonElement);
  const next = cardAfter(event.key, at, cards.map((card) => card.getBoundingClientRect()));
  if (next === null) return;
  event.preventDefault();
  cards[next]?.focus();
}
