// The list of sessions, as cards.

import { element, words } from "./dom.ts";
import type { SessionInfo } from "./gateway.ts";

/** Null: they are being looked for. */
export function showSessions(sessions: SessionInfo[] | null, signedIn: boolean, open: (name: string) => void): void {
  const all = words();
  const cards = element("cards", HTMLUListElement);
  const none = signedIn ? all.sessionsNoneYours : all.sessionsNone;
  element("sessions-note", HTMLParagraphElement).textContent = sessions === null ? all.looking : sessions.length === 0 ? none : "";
  cards.replaceChildren(...(sessions ?? []).map((info) => cardOf(info, open)));
  cards.querySelector("button")?.focus();
}

export function forgetSessions(): void {
  element("cards", HTMLUListElement).replaceChildren();
}

function cardOf(info: SessionInfo, open: (name: string) => void): HTMLLIElement {
  const all = words();
  const card = document.createElement("button");
  card.type = "button";
  card.className = "card";
  const line = (className: string, ...texts: string[]): void => {
    const span = document.createElement("span");
    span.className = className;
    span.append(...texts.map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    card.append(span);
  };
  line("card-title", info.title === "" ? info.name : info.title);
  line(info.state === "live" ? "state" : "state waiting", info.state === "live" ? all.sessionLive : all.sessionWaiting);
  const { holder } = info;
  if (holder != null) line(holder.you ? "holder yours" : "holder", holder.you ? all.heldByYou(holder.seat) : all.heldBy(holder.title, holder.seat));
  line("card-facts", `${info.width} × ${info.height}`, all.viewers(info.viewers));
  card.addEventListener("click", () => open(info.name));
  const item = document.createElement("li");
  item.append(card);
  return item;
}

/** Arrow keys go from card to card, as many to a row as there are. */
export function moveAmongCards(event: KeyboardEvent): void {
  const cards = [...document.querySelectorAll<HTMLButtonElement>(".card")];
  const at = cards.indexOf(document.activeElement as HTMLButtonElement);
  const top = cards[0]?.offsetTop ?? 0;
  const inRow = Math.max(1, cards.filter((card) => card.offsetTop === top).length);
  const steps: Record<string, number> = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: inRow, ArrowUp: -inRow };
  const target = event.key === "Home" ? cards[0] : event.key === "End" ? cards.at(-1) : cards[at + (steps[event.key] ?? NaN)];
  if (at < 0 || target === undefined) return;
  event.preventDefault();
  target.focus();
}
