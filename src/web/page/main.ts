// The page: who you are, which session, and the way back.

import { webTransportExists } from "../link/webtransport.ts";
import type { RoadMemory } from "../viewer/roads.ts";
import { knownBadReason } from "../viewer/roads.ts";
import { CloseCode } from "../wire/control.ts";
import { element, remember, remembered, speak, words } from "./dom.ts";
import { type ConnectInfo, GatewayError, type SessionInfo, fetchConnectInfo, fetchSessions } from "./gateway.ts";
import { exposeHooks } from "./hooks.ts";
import { ROAD_MEMORY, type SessionOutcome, SessionView } from "./session-view.ts";
import { type Language, firstLanguage } from "./words.ts";

const LANGUAGE = "chevet.language";
const TICKET = "chevet.ticket";
const SESSION = "chevet.session";

let ticket = "";
let session = "";
let view: SessionView | null = null;
/** What the page shows, to be shown again in the other language. */
let showing: () => void = () => undefined;

const welcome = element("welcome", HTMLDivElement);
const codeForm = element("code-form", HTMLFormElement);
const codeField = element("code", HTMLInputElement);
const sessionsPart = element("sessions", HTMLElement);
const endedPart = element("ended", HTMLElement);
const problem = element("problem", HTMLParagraphElement);

/** Takes session and ticket out of the address, so that neither stays in it or in the history. */
function readFragment(): void {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  ticket = fragment.get("ticket") ?? remembered("session", TICKET) ?? "";
  session = fragment.get("session") ?? (fragment.has("ticket") ? "" : remembered("session", SESSION) ?? "");
  keep();
}

function keep(): void {
  remember("session", TICKET, ticket === "" ? null : ticket);
  remember("session", SESSION, session === "" ? null : session);
}

function showOnly(part: HTMLElement | null): void {
  for (const each of [codeForm, sessionsPart, endedPart]) each.hidden = each !== part;
  welcome.hidden = false;
}

function showProblem(text: string): void {
  problem.textContent = text;
  problem.hidden = text === "";
}

function problemOf(error: unknown): string {
  if (!(error instanceof GatewayError)) return words().gatewayAway;
  return error.status === 401 || error.status === 403 ? words().codeWrong : words().gatewayError(error.status);
}

function askForCode(saying: () => string): void {
  showing = () => askForCode(saying);
  const error = saying();
  showOnly(codeForm);
  showProblem(error);
  codeField.setAttribute("aria-invalid", String(error !== ""));
  codeField.focus();
}

async function listSessions(): Promise<void> {
  showing = () => void listSessions();
  showOnly(sessionsPart);
  showProblem("");
  const note = element("sessions-note", HTMLParagraphElement);
  const cards = element("cards", HTMLUListElement);
  note.textContent = words().looking;
  cards.replaceChildren();
  try {
    const sessions = await fetchSessions(ticket);
    note.textContent = sessions.length === 0 ? words().sessionsNone : "";
    cards.replaceChildren(...sessions.map(cardOf));
    cards.querySelector("button")?.focus();
  } catch (error) {
    note.textContent = "";
    const wrong = error instanceof GatewayError && error.status < 500;
    if (wrong) askForCode(() => problemOf(error));
    else showProblem(problemOf(error));
  }
}

function cardOf(info: SessionInfo): HTMLLIElement {
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
  line("card-facts", `${info.width} × ${info.height}`, all.viewers(info.viewers));
  card.addEventListener("click", () => void open(info.name));
  const item = document.createElement("li");
  item.append(card);
  return item;
}

/** Arrow keys go from card to card, as many to a row as there are. */
function moveAmongCards(event: KeyboardEvent): void {
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

async function open(name: string): Promise<void> {
  session = name;
  keep();
  showProblem("");
  let info: ConnectInfo;
  try {
    info = await fetchConnectInfo();
  } catch (error) {
    showing = () => void open(name);
    showOnly(null);
    return showEnded({ code: CloseCode.goingAway, reason: "", broken: false }, problemOf(error));
  }
  welcome.hidden = true;
  element("version", HTMLElement).textContent = words().version(info.version);
  view = new SessionView(
    {
      session,
      ticket,
      secret: "",
      webTransportUrl: webTransportUrl(info),
      certificates: info.certificate_sha256,
      webSocketUrl: new URL(info.websocket, location.href.replace(/^http/, "ws")).href,
      knockUrl: new URL("api/connect", document.baseURI).href,
      roadMemory: readRoadMemory(),
    },
    (outcome) => {
      view = null;
      showEnded(outcome, "");
    },
  );
}

function webTransportUrl(info: ConnectInfo): string | null {
  const known = knownBadReason(info.known_bad, "webtransport", navigator.userAgent);
  if (info.udp_port === null || !webTransportExists() || known !== null) return null;
  return `https://${location.hostname}:${info.udp_port}/chevet`;
}

function readRoadMemory(): RoadMemory | null {
  try {
    const memory = JSON.parse(remembered("local", ROAD_MEMORY) ?? "null") as Partial<RoadMemory> | null;
    const { failedAt, retryAfterMs } = memory ?? {};
    return typeof failedAt === "number" && typeof retryAfterMs === "number" ? { failedAt, retryAfterMs } : null;
  } catch {
    return null;
  }
}

function showEnded(outcome: SessionOutcome, error: string): void {
  showing = () => showEnded(outcome, error);
  showOnly(endedPart);
  showProblem(error);
  element("ended-why", HTMLParagraphElement).textContent = error === "" ? whyEnded(outcome) : "";
  element("reconnect", HTMLButtonElement).focus();
}

function whyEnded({ code, reason, broken }: SessionOutcome): string {
  const all = words();
  if (broken) return all.endedBrowser(reason);
  if (code === CloseCode.done) return all.endedDone;
  if (code === CloseCode.refused) return all.endedRefused;
  if (code === CloseCode.noSuchSession) return all.endedNoSession;
  if (code === CloseCode.takenOver) return all.endedTakenOver(reason);
  return code === CloseCode.version ? all.endedVersion : all.endedOther;
}

function changeLanguage(language: Language): void {
  remember("local", LANGUAGE, language);
  speak(language);
  if (view === null) showing();
  else view.speakAgain();
}

function listen(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-language]")) {
    button.addEventListener("click", () => changeLanguage(button.dataset["language"] as Language));
  }
  codeForm.addEventListener("submit", (event) => {
    event.preventDefault();
    ticket = codeField.value.trim();
    if (ticket === "") return askForCode(() => words().codeEmpty);
    codeField.value = "";
    keep();
    void listSessions();
  });
  element("refresh", HTMLButtonElement).addEventListener("click", () => void listSessions());
  element("change-code", HTMLButtonElement).addEventListener("click", () => {
    ticket = "";
    session = "";
    keep();
    askForCode(() => "");
  });
  element("reconnect", HTMLButtonElement).addEventListener("click", () => void open(session));
  element("to-sessions", HTMLButtonElement).addEventListener("click", () => {
    session = "";
    keep();
    if (ticket === "") askForCode(() => "");
    else void listSessions();
  });
  element("cards", HTMLUListElement).addEventListener("keydown", moveAmongCards);
}

speak(firstLanguage(navigator.languages, remembered("local", LANGUAGE)));
listen();
exposeHooks(() => view);
readFragment();
if (ticket !== "" && session !== "") void open(session);
else if (ticket !== "") void listSessions();
else askForCode(() => "");
