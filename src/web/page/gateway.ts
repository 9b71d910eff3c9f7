// What the gateway says over HTTP: how to connect, who is there, which sessions there are, and the tickets to them.

import type { KnownBad } from "../viewer/roads.ts";
import type { Gateway } from "../wire/control.ts";

export interface ConnectInfo {
  version: string;
  udp_port: number | null;
  certificate_sha256: string[];
  websocket: string;
  known_bad: KnownBad[];
  /** Null where an access code opens sessions. */
  sign_in: SignInOffer | null;
}

export interface SignInOffer {
  password: boolean;
  providers: Provider[];
  /** Where a smart card is asked for; null if none signs anybody in here. */
  card: { url: string } | null;
}

/** Another place that says who somebody is; `url` begins there and comes back to this page. */
export interface Provider {
  id: string;
  title: string;
  url: string;
}

export interface User {
  name: string;
  title: string;
  role: string;
  groups: string[];
}

export interface SignedIn {
  user: User;
  seat: string;
}

export interface Credentials {
  name: string;
  password: string;
  code?: string;
  seat?: string;
}

export interface SessionInfo {
  name: string;
  title: string;
  /** new: an application that runs once it is opened; unavailable: it cannot be started now. */
  state: "live" | "waiting" | "new" | "unavailable";
  width: number;
  height: number;
  viewers: number;
  /** Where it is open now; a gateway without sign-in does not say. */
  holder?: { title: string; seat: string; you: boolean } | null;
  /** The application that was started for its user, who may end it. */
  application?: string | null;
  titles?: { fr: string; en: string } | null;
  icon?: string | null;
  /** The other site that has it. */
  site?: string;
}

/** What is here for whoever is signed in, and whether other sites may have more. */
export interface Here {
  sessions: SessionInfo[];
  otherSites: boolean;
}

/** What other sites have for them. */
export interface Elsewhere {
  sessions: SessionInfo[];
  /** The sites that did not answer. */
  cutOff: string[];
}

interface ApplicationInfo {
  name: string;
  title: { fr: string; en: string };
  icon?: string | null;
  single: boolean;
  available: boolean;
  running: string[];
}

const PATIENCE_MS = 15_000;
/** A ticket may be for an application that has to be started first, on one host after another. */
const TICKET_PATIENCE_MS = 50_000;
/** The user has 45 s to answer. */
const WATCH_PATIENCE_MS = 60_000;

/** What a host wants to know before it lets this user in. */
export interface HostAsks {
  title: string | { fr: string; en: string };
  host: string;
  /** What is proposed. */
  user: string;
  domain: string;
  /** Whether the gateway would keep what is typed. */
  remember: boolean;
  /** Why the host did not take what it was shown before, in the gateway's words; null if it was shown nothing. */
  refused: string | null;
}

/** What a user signs in with on a host. */
export interface HostLogin {
  user: string;
  domain: string;
  password: string;
  remember: boolean;
}

/** The gateway answered, but not with what was asked for. */
export class GatewayError extends Error {
  constructor(
    readonly status: number,
    /** The gateway's word for it, as "refused"; empty if it gave none. */
    readonly reason = "",
    /** What has to be typed first, if that is why. */
    readonly asks: HostAsks | null = null,
  ) {
    super(`the gateway answered ${status} ${reason}`);
  }
}

// Each rejects with GatewayError when the gateway refuses, and with another error when it cannot be reached.

export async function fetchConnectInfo(): Promise<ConnectInfo> {
  const info = (await (await ask("GET", "api/connect")).json()) as ConnectInfo;
  return { ...info, sign_in: info.sign_in ?? null };
}

/** Who the cookie says is there. */
export async function fetchMe(): Promise<SignedIn> {
  return (await (await ask("GET", "api/me")).json()) as SignedIn;
}

export async function postSignIn(credentials: Credentials): Promise<SignedIn> {
  return (await (await ask("POST", "api/sign-in", credentials)).json()) as SignedIn;
}

/** Takes over the sign-in that a badge began at this seat. */
export async function postClaim(claim: string, given: AbortSignal): Promise<SignedIn> {
  const { trace, ...signedIn } = (await (await ask("POST", "api/seats/claim", { claim }, {}, given)).json()) as SignedIn & { trace?: string };
  tapped = trace ?? "";
  return signedIn;
}

/** The trace of the tap that let somebody in: the ticket that is asked for next is a part of it. */
let tapped = "";

/** Where to sign out of the provider too, if somebody came by one that wants it. */
export async function postSignOut(given: AbortSignal): Promise<URL | null> {
  const response = await ask("POST", "api/sign-out", {}, {}, given);
  if (response.status === 204) return null;
  const { leave } = (await response.json()) as { leave: string };
  return new URL(leave);
}

/** With an access code what it opens; without, what the cookie's user may open. */
export async function fetchSessions(code: string | null): Promise<Here> {
  const headers: Record<string, string> = code === null ? {} : { Authorization: `Bearer ${headerSafe(code)}` };
  const answer = await (await ask("GET", "api/sessions", undefined, headers)).json();
  const { sessions, applications = [], other_sites = false } = answer as { sessions: SessionInfo[]; applications?: ApplicationInfo[]; other_sites?: boolean };
  return { sessions: offered(sessions, applications), otherSites: other_sites };
}

/** Answered within moments, whichever sites do not answer. */
export async function fetchElsewhere(): Promise<Elsewhere> {
  const answer = await (await ask("GET", "api/elsewhere")).json();
  const { sessions, cut_off } = answer as { sessions: SessionInfo[]; cut_off: string[] };
  return { sessions, cutOff: cut_off };
}

/** The sessions that there are, then the applications that could be started. */
export function offered(sessions: SessionInfo[], applications: ApplicationInfo[]): SessionInfo[] {
  const running = sessions.map((session) => {
    const application = applications.find(({ name }) => name === session.application);
    return application === undefined ? session : { ...session, titles: application.title, icon: application.icon ?? null };
  });
  const startable = applications.filter((application) => !application.single || application.running.length === 0);
  const fresh = startable.map(({ name, title, icon = null, available }): SessionInfo => {
    const state = available ? "new" : "unavailable";
    return { name, title: title.en, titles: title, icon, state, width: 0, height: 0, viewers: 0, holder: null };
  });
  return [...running, ...fresh];
}

/** Ends a session that was started for whoever is signed in, with everything that runs in it. */
export async function postEnd(session: string): Promise<void> {
  await ask("POST", `api/sessions/${encodeURIComponent(session)}/end`, {});
}

export interface Ticket {
  ticket: string;
  /** The session that was asked for, or that of the application that was; as its own site calls it. */
  session: string;
  /** Those of the site that has it, where that is another one. */
  gateways: Gateway[];
}

/** How a gateway is reached, as JSON says it. */
interface GatewayTold {
  host: string;
  udp_port: number | null;
  tcp_port: number;
  tls: boolean;
  pins: string[];
}

function gatewayOf({ host, udp_port, tcp_port, tls, pins }: GatewayTold): Gateway {
  return { host, udpPort: udp_port ?? 0, tcpPort: tcp_port, tls, pins: pins.map(fromHex) };
}

/** A ticket for this session, or for this application's, of use only with the secret that has this hash. */
export async function postTicket(session: string, secretHash: string): Promise<Ticket> {
  const wish = { session, holder: { secret: secretHash } };
  const headers: Record<string, string> = tapped === "" ? {} : { traceparent: tapped };
  tapped = "";
  const answer = await (await ask("POST", "api/tickets", wish, headers, undefined, TICKET_PATIENCE_MS)).json();
  const given = answer as { ticket: string; session: string; gateways?: GatewayTold[] };
  return { ticket: given.ticket, session: given.session, gateways: (given.gateways ?? []).map(gatewayOf) };
}

/** Signs in to the host of an application or session with what was typed; the session that this opened. */
export async function postCredentials(session: string, login: HostLogin): Promise<string> {
  const answer = await (await ask("POST", "api/credentials", { session, ...login }, {}, undefined, TICKET_PATIENCE_MS)).json();
  return (answer as { session: string }).session;
}

/** A code by which somebody may ask to watch the session. */
export async function postShare(session: string): Promise<string> {
  const answer = await (await ask("POST", `api/sessions/${encodeURIComponent(session)}/share`, {})).json();
  return (answer as { code: string }).code;
}

export interface Watching {
  ticket: string;
  session: string;
}

/** Asks to watch by a code; answered once the user has answered. */
export async function postWatch(code: string, secretHash: string): Promise<Watching> {
  const wish = { code, holder: { secret: secretHash } };
  return (await (await ask("POST", "api/watch", wish, {}, undefined, WATCH_PATIENCE_MS)).json()) as Watching;
}

/** Asks to watch as an administrator. */
export async function postShadow(session: string, secretHash: string): Promise<Watching> {
  const path = `api/admin/sessions/${encodeURIComponent(session)}/shadow`;
  return (await (await ask("POST", path, { holder: { secret: secretHash } }, {}, undefined, WATCH_PATIENCE_MS)).json()) as Watching;
}

async function ask(
  method: "GET" | "POST",
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
  given?: AbortSignal,
  patienceMs = PATIENCE_MS,
): Promise<Response> {
  const patience = AbortSignal.timeout(patienceMs);
  const response = await fetch(new URL(path, document.baseURI), {
    method,
    headers: body === undefined ? headers : { ...headers, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    cache: "no-store",
    credentials: "same-origin",
    signal: given === undefined ? patience : eitherOf(given, patience),
  });
  if (!response.ok) throw await refusalOf(response);
  return response;
}

/** AbortSignal.any is younger than the browsers served. */
function eitherOf(first: AbortSignal, second: AbortSignal): AbortSignal {
  const either = new AbortController();
  for (const signal of [first, second]) {
    if (signal.aborted) either.abort();
    signal.addEventListener("abort", () => either.abort(), { once: true });
  }
  return either.signal;
}

async function refusalOf(response: Response): Promise<GatewayError> {
  try {
    const { error, asks = null } = (await response.json()) as { error?: unknown; asks?: HostAsks | null };
    return new GatewayError(response.status, typeof error === "string" ? error : "", asks);
  } catch {
    return new GatewayError(response.status);
  }
}

/** A header carries bytes: what is not ASCII in a code could never be right. */
function headerSafe(ticket: string): string {
  return ticket.replace(/[^\x21-\x7e]/g, "?");
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (digits) => parseInt(digits, 16));
}
