// The page: how people are let in here, which session is open, and the way back.

import { element, remember, remembered, speak, words } from "./dom.ts";
import { ByAccount, rememberSeat } from "./by-account.ts";
import { ByBadge } from "./by-badge.ts";
import { ByCode } from "./by-code.ts";
import { type ConnectInfo, fetchConnectInfo } from "./gateway.ts";
import { exposeHooks } from "./hooks.ts";
import { Opening, type Shown, type Start } from "./opening.ts";
import { hidePanel, problemOf, showAgain, showPart } from "./panel.ts";
import { problemBrought } from "./provider-problems.ts";
import { startOptions } from "./roads.ts";
import { type AgentAddress, readAgent } from "./seat-agent.ts";
import { SessionView } from "./session-view.ts";
import { moveAmongCards } from "./sessions.ts";
import { siteOf } from "./site-names.ts";
import { isBackForAdmin } from "./way-back.ts";
import { type Language, firstLanguage } from "./words.ts";

const LANGUAGE = "chevet.language";
const CODE = "chevet.ticket";
const SESSION = "chevet.session";
const AGENT = "chevet.agent";
const ASK_AGAIN_MS = 2000;

let view: SessionView | null = null;
let way: ByCode | ByAccount | ByBadge;
/** What the gateway said when the page was loaded serves the first session. */
let firstInfo: ConnectInfo | null = null;
const opening = new Opening(connect, show);

const kept = {
  get code(): string {
    return remembered("session", CODE) ?? codeInHand;
  },
  set code(code: string) {
    codeInHand = code;
    remember("session", CODE, code === "" ? null : code);
  },
  get session(): string {
    return remembered("session", SESSION) ?? sessionInHand;
  },
  set session(session: string) {
    sessionInHand = session;
    remember("session", SESSION, session === "" ? null : session);
  },
};
// For browsers that keep nothing.
let codeInHand = "";
let sessionInHand = "";

/** Takes what the address says out of it, so that none of it stays there or in the history. */
function readFragment(): URLSearchParams {
  const fragment = new URLSearchParams(location.hash.slice(1));
  if (location.hash !== "") history.replaceState(null, "", location.pathname + location.search);
  return fragment;
}

function connect(): Promise<ConnectInfo> {
  const info = firstInfo;
  firstInfo = null;
  return info === null ? fetchConnectInfo() : Promise.resolve(info);
}

function show(start: Start): Shown {
  hidePanel();
  element("version", HTMLElement).textContent = words().version(start.info.version);
  const shown: SessionView = new SessionView(startOptions(start), siteOf(start.session), start.renew, (outcome) => {
    if (view === shown) view = null;
    way.ended(outcome, start.session);
  });
  view = shown;
  return {
    close: () => {
      shown.close();
      if (view === shown) view = null;
    },
  };
}

function changeLanguage(language: Language): void {
  remember("local", LANGUAGE, language);
  speak(language);
  if (view === null) showAgain();
  else view.speakAgain();
}

function listen(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("[data-language]")) {
    button.addEventListener("click", () => changeLanguage(button.dataset["language"] as Language));
  }
  element("refresh", HTMLButtonElement).addEventListener("click", () => void way.list());
  element("reconnect", HTMLButtonElement).addEventListener("click", () => way.reopen());
  element("to-sessions", HTMLButtonElement).addEventListener("click", () => way.toSessions());
  element("sessions", HTMLElement).addEventListener("keydown", moveAmongCards);
}

/** How people are let in here; asked until the gateway says it. */
async function learnWay(): Promise<ConnectInfo> {
  for (;;) {
    try {
      return await fetchConnectInfo();
    } catch (error) {
      const saying = (): void => showPart(null, problemOf(error), saying);
      saying();
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }
}

/** The agent whose browser this is: a reload finds it again, another window does not. */
function agentOf(fragment: URLSearchParams): AgentAddress | null {
  const told = fragment.get("agent");
  if (told !== null) remember("session", AGENT, told);
  return readAgent(told ?? remembered("session", AGENT));
}

async function begin(): Promise<void> {
  const language = firstLanguage(navigator.languages, remembered("local", LANGUAGE));
  speak(language);
  exposeHooks(() => view);
  if (isBackForAdmin(Date.now())) return location.replace(new URL(`admin${location.hash}`, document.baseURI));
  const fragment = readFragment();
  const [code, session] = [fragment.get("ticket"), fragment.get("session")];
  rememberSeat(fragment.get("seat"));
  const agent = agentOf(fragment);
  const info = await learnWay();
  firstInfo = info;
  element("version", HTMLElement).textContent = words().version(info.version);
  if (info.sign_in === null) {
    if (code !== null) kept.code = code;
    if (code !== null || session !== null) kept.session = session ?? "";
    const byCode = new ByCode(kept, opening);
    way = byCode;
    listen();
    byCode.begin();
  } else if (agent !== null) {
    const byBadge = new ByBadge(agent, opening);
    way = byBadge;
    speak(language);
    listen();
    byBadge.begin();
  } else {
    const byAccount = new ByAccount(info.sign_in, opening);
    way = byAccount;
    // The controls of this way have words of their own.
    speak(language);
    listen();
    const shadow = fragment.get("shadow");
    if (shadow !== null) void byAccount.shadow(shadow);
    else byAccount.begin(session ?? "", problemBrought(fragment.get("error")));
  }
}

void begin();
