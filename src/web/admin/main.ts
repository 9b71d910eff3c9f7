// The administration page: who asks, which tab is shown, and what is asked again and again.

import { element, remember, remembered } from "../page/dom.ts";
import { type SignInOffer, fetchConnectInfo } from "../page/gateway.ts";
import { linksOf } from "../page/provider-links.ts";
import { problemBrought } from "../page/provider-problems.ts";
import { beganInAdmin } from "../page/way-back.ts";
import { type Language, type PlainWord as PageWord, languages as pageLanguages, firstLanguage } from "../page/words.ts";
import { ApiError, type Me, api } from "./api.ts";
import { problemOf } from "./ask.ts";
import { speak, words, write } from "./dom.ts";
import { AvailabilityTab } from "./availability.ts";
import { GatewaysTab } from "./gateways.ts";
import { HealthTab } from "./health.ts";
import { HostsTab } from "./hosts.ts";
import { PeopleTab } from "./people.ts";
import { SeatsTab } from "./seats.ts";
import { SessionsTab } from "./sessions.ts";
import type { PlainWord } from "./words.ts";

const LANGUAGE = "chevet.language";
const ASK_EVERY_MS = 2000;
const SAID_MS = 6000;
const TABS = ["sessions", "people", "seats", "hosts", "availability", "health", "gateways"] as const;
type TabName = (typeof TABS)[number];

let me: Me | null = null;
let shown: TabName = "sessions";
let asking = false;
let saying: ReturnType<typeof setTimeout> | null = null;
/** What stands above the sign-in form, as a word so that it can be said in the other language. */
let signInProblem: PlainWord | null = null;
/** What a provider's or a card's answer came to, in the words of the sessions page; said once. */
let brought: PageWord | null = null;
let offer: SignInOffer | null = null;

const mayChange = (): boolean => me?.user.role === "administrator";
const tabs = {
  sessions: new SessionsTab(mayChange, say),
  people: new PeopleTab(mayChange, say, failed),
  health: new HealthTab(),
  gateways: new GatewaysTab(mayChange, say),
  hosts: new HostsTab(mayChange, say),
  seats: new SeatsTab(mayChange, say),
  availability: new AvailabilityTab(),
};

function say(text: string): void {
  const line = element("said", HTMLParagraphElement);
  line.textContent = text;
  line.hidden = false;
  if (saying !== null) clearTimeout(saying);
  saying = setTimeout(() => (line.hidden = true), SAID_MS);
}

function trouble(text: string): void {
  const line = element("trouble", HTMLParagraphElement);
  write(line, text);
  line.hidden = text === "";
}

function failed(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) return showSignIn(me === null ? null : "ended");
  if (error instanceof ApiError && error.status === 403 && error.error === "role") return showSignIn("noRight");
  trouble(problemOf(error));
}

async function load(): Promise<void> {
  if (asking || me === null) return;
  asking = true;
  try {
    await tabs[shown].load();
    trouble("");
  } catch (error) {
    failed(error);
  } finally {
    asking = false;
  }
}

function showTab(name: TabName): void {
  shown = name;
  for (const each of TABS) {
    const tab = element(`tab-${each}`, HTMLButtonElement);
    tab.setAttribute("aria-selected", String(each === name));
    tab.tabIndex = each === name ? 0 : -1;
    element(`panel-${each}`, HTMLElement).hidden = each !== name;
  }
  history.replaceState(null, "", `#${name}`);
  void load();
}

function showSignIn(problem: PlainWord | null): void {
  me = null;
  for (const name of TABS) tabs[name].forget();
  document.querySelector("dialog[open]")?.remove();
  element("desk", HTMLDivElement).hidden = true;
  element("entrance", HTMLElement).hidden = false;
  element("code-line", HTMLDivElement).hidden = true;
  signInProblem = problem;
  showSignInProblem();
  showWaysIn();
  if (offer?.password === false) element("providers", HTMLDivElement).querySelector("a")?.focus();
  else element("admin-name", HTMLInputElement).focus();
}

function pageWords(): (typeof pageLanguages)[Language] {
  return pageLanguages[document.documentElement.lang as Language];
}

/** Passwords, cards and providers, as far as the gateway lets people in by them. */
function showWaysIn(): void {
  const links = offer === null ? [] : linksOf(offer, pageWords());
  for (const link of links) link.addEventListener("click", () => beganInAdmin(Date.now()));
  const password = offer?.password !== false;
  element("by-password", HTMLDivElement).hidden = !password;
  element("sign-in-or", HTMLParagraphElement).hidden = links.length === 0 || !password;
  element("providers", HTMLDivElement).replaceChildren(...links);
}

function showSignInProblem(): void {
  const line = element("sign-in-problem", HTMLParagraphElement);
  const fromElsewhere = brought === null ? "" : pageWords()[brought];
  line.textContent = signInProblem === null ? fromElsewhere : words()[signInProblem];
  line.hidden = line.textContent === "";
}

function showDesk(who: Me): void {
  if (who.user.role === "user") return showSignIn("noRight");
  me = who;
  brought = null;
  element("entrance", HTMLElement).hidden = true;
  element("desk", HTMLDivElement).hidden = false;
  showWho();
  const wished = TABS.find((name) => `#${name}` === location.hash);
  showTab(wished ?? "sessions");
}

function showWho(): void {
  if (me === null) return;
  write(element("who", HTMLSpanElement), me.user.title === "" ? me.user.name : me.user.title);
  element("read-only", HTMLSpanElement).hidden = mayChange();
}

const SIGN_IN_PROBLEMS: Record<string, PlainWord> = {
  "refused": "refused", "code-needed": "codeNeeded", "too-many": "tooMany", "no-sign-in": "noSignIn",
};

async function signIn(): Promise<void> {
  const [name, password, code] = (["admin-name", "admin-password", "admin-code"] as const).map((id) => element(id, HTMLInputElement)) as
    [HTMLInputElement, HTMLInputElement, HTMLInputElement];
  try {
    await api.signIn(name.value, password.value, code.value);
    for (const field of [password, code]) field.value = "";
    showDesk(await api.me());
  } catch (error) {
    const word = error instanceof ApiError ? SIGN_IN_PROBLEMS[error.error] : undefined;
    signInProblem = word ?? "away";
    showSignInProblem();
    const onCode = word === "codeNeeded";
    if (onCode) element("code-line", HTMLDivElement).hidden = false;
    else password.value = "";
    code.value = "";
    (onCode ? code : password).focus();
  }
}

function listen(): void {
  for (const each of document.querySelectorAll<HTMLButtonElement>("[data-language]")) {
    each.addEventListener("click", () => {
      const language = each.dataset["language"] as Language;
      remember("local", LANGUAGE, language);
      speak(language);
      showSignInProblem();
      showWaysIn();
      for (const name of TABS) tabs[name].speakAgain();
      void load();
    });
  }
  element("entrance-form", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void signIn();
  });
  element("sign-out", HTMLButtonElement).addEventListener("click", () => {
    api.signOut().then(() => showSignIn(null), failed);
  });
  const list = element("tabs", HTMLElement);
  for (const name of TABS) element(`tab-${name}`, HTMLButtonElement).addEventListener("click", () => showTab(name));
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -TABS.indexOf(shown), End: TABS.length - 1 - TABS.indexOf(shown) }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    showTab(TABS[(TABS.indexOf(shown) + step + TABS.length) % TABS.length] as TabName);
    element(`tab-${shown}`, HTMLButtonElement).focus();
  });
  // What nobody looks at is not asked for.
  setInterval(() => {
    if (document.visibilityState === "visible" && shown !== "people") void load();
  }, ASK_EVERY_MS);
}

/** Takes a provider's refusal out of the address, where a tab's name may stand as well. */
function readFragment(): void {
  const error = new URLSearchParams(location.hash.slice(1)).get("error");
  if (error === null) return;
  brought = problemBrought(error);
  history.replaceState(null, "", location.pathname);
}

async function begin(): Promise<void> {
  speak(firstLanguage(navigator.languages, remembered("local", LANGUAGE)));
  readFragment();
  listen();
  try {
    offer = (await fetchConnectInfo()).sign_in;
    showDesk(await api.me());
  } catch (error) {
    const none = error instanceof ApiError && error.error === "no-sign-in";
    const away = !(error instanceof ApiError) || error.status === 0;
    showSignIn(none ? "noSignIn" : away ? "away" : null);
  }
}

void begin();
