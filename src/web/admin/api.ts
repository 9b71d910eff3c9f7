// What the page asks of the administration API: docs/administration.md.

export type Role = "user" | "auditor" | "administrator";
export type Exactness = "exact" | "settling" | "moving";

export interface Viewer {
  id: number;
  title: string;
  seat: string;
  controls: boolean;
  road: string;
  round_trip_us: number;
  exactness: Exactness;
  bytes: number;
  attached_ms: number;
  silent_ms: number;
}

export interface Session {
  name: string;
  /** The gateway that has it; empty: the only one. */
  gateway: string;
  title: string;
  state: "live" | "waiting";
  waiting_for: string;
  width: number;
  height: number;
  /** Of a session that was started on a host. */
  application?: string | null;
  host?: string | null;
  owner?: string | null;
  viewers: Viewer[];
}

export interface Host {
  name: string;
  connected: boolean;
  draining: boolean;
  drained: boolean;
  software: string;
  peer: string;
  seen_at: number;
  sessions: number;
  capacity: number;
  cpu_per_mille: number;
  memory_free_mib: number;
  applications: string[];
  /** Those that it has a link with. */
  gateways: string[];
}

/** One of the gateways of the database. Times are in milliseconds since 1970. */
export interface GatewayState {
  name: string;
  here: boolean;
  state: "there" | "draining" | "gone";
  version: string | null;
  address: string;
  started_at: number | null;
  seen_at: number;
  sessions: number;
  viewers: number;
  hosts: number;
  most_sessions: number;
  told_at: number | null;
}

export interface RemoteHost {
  name: string;
  title: string;
  protocol: "vnc" | "rdp";
  address: string;
  credentials: "none" | "shared" | "own";
  own_credentials?: "stored" | "ask" | "ask-and-remember";
  user: string;
  domain: string;
  encryption: "required" | "if-offered" | "never";
  certificate: "first-use" | "pinned" | "authority";
  fingerprint: string;
  authority: string;
  keyboard: string;
  program: string;
  remote_app: string;
  arguments: string;
  screen_sign_in: boolean;
  kerberos?: { realm: string; kdc: string; ntlm: boolean };
  groups: string[];
  idle_minutes: number | null;
}

export interface RemoteHostStatus {
  host: RemoteHost;
  configured: boolean;
  has_password: boolean;
  state: "live" | "waiting" | "elsewhere" | "none";
  waiting_for: string;
  sessions: number;
  problem: string | null;
}

/** A certificate that a host showed at first use. */
export interface Certificate {
  protocol: string;
  host: string;
  fingerprint: string;
  first_at: number;
  gateway: string;
}

export interface RemoteHostTest {
  ok: boolean;
  failure: string | null;
  fingerprint: string | null;
  lines: { name: string; value: string }[];
}

export interface Seat {
  name: string;
  zone: string;
  mode: "wedge" | "card";
  created_at: number;
  revoked_at: number | null;
  used_at: number | null;
  there: { name: string; title: string; since: number } | null;
}

/** Of a stretch of time. */
export interface Figures {
  attempts: number;
  /** Of attempts with a usable screen in time, 0 to 1. */
  share: number | null;
  minutes_degraded: number;
  screen_p95_ms: number | null;
  tap_p50_ms: number | null;
  tap_p95_ms: number | null;
}

export interface Takeover {
  at: number;
  session: string;
  title: string;
  from_seat: string;
  to_seat: string;
}

export interface Availability {
  whole: { day: Figures; month: Figures };
  applications: { application: string; site: string; day: Figures; month: Figures }[];
  /** The oldest first. */
  hours: Figures[];
  days: Figures[];
  takeovers: Takeover[];
}

export interface User {
  name: string;
  title: string;
  role: Role;
  enabled: boolean;
  groups: string[];
  has_password: boolean;
  has_totp: boolean;
}

export interface Gateway {
  name: string | null;
  version: string;
  protocol: string;
  started_at: number;
  now: number;
  addresses: string[];
  udp_port: number | null;
  tls: boolean;
  sessions: number;
  viewers: number;
  store_up: boolean;
  audit: { healthy: boolean; admits: boolean; owed_bytes: number; spool_full: boolean };
}

export interface Me {
  user: { name: string; title: string; role: Role };
}

/** The gateway answered, but not with what was asked for. Status 0: it did not answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly error: string,
    readonly reason: string,
  ) {
    super(`${status} ${error}: ${reason}`);
  }
}

const PATIENCE_MS = 10_000;
/** A host may take half a minute to say what it is. */
const TEST_PATIENCE_MS = 40_000;
type Method = "GET" | "POST" | "PATCH" | "PUT" | "DELETE";

async function ask<T>(method: Method, path: string, body?: unknown, patience = PATIENCE_MS): Promise<T> {
  let response: Response;
  try {
    response = await fetch(new URL(path, document.baseURI), {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
      cache: "no-store",
      credentials: "same-origin",
      signal: AbortSignal.timeout(patience),
    });
  } catch {
    throw new ApiError(0, "away", "");
  }
  const answer: unknown = await response.json().catch(() => null);
  if (response.ok) return answer as T;
  const { error, reason } = (answer ?? {}) as { error?: unknown; reason?: unknown };
  throw new ApiError(response.status, typeof error === "string" ? error : "", typeof reason === "string" ? reason : "");
}

const at = (name: string): string => encodeURIComponent(name);
/** What is asked of the gateway that has a session. */
const of = (session: Session, what: string): string =>
  `api/admin/sessions/${at(session.name)}/${what}${session.gateway === "" ? "" : `?gateway=${at(session.gateway)}`}`;

async function allSeats(): Promise<Seat[]> {
  const seats: Seat[] = [];
  for (let after: string | null = ""; after !== null;) {
    const page: { seats: Seat[]; next: string | null } = await ask("GET", `api/admin/seats?after=${at(after)}`);
    seats.push(...page.seats);
    after = page.next;
  }
  return seats;
}

export const api = {
  me: () => ask<Me>("GET", "api/me"),
  signIn: (name: string, password: string, code: string) =>
    ask<Me>("POST", "api/sign-in", code === "" ? { name, password } : { name, password, code }),
  signOut: () => ask<null>("POST", "api/sign-out", {}),
  sessions: () => ask<{ sessions: Session[]; here: string | null; whole: boolean }>("GET", "api/admin/sessions"),
  message: (session: Session, viewer: number | null, text: string) =>
    ask<{ viewers: number }>("POST", of(session, "message"), viewer === null ? { text } : { text, viewer }),
  end: (session: Session, viewer: number | null, reason: string) =>
    ask<{ viewers: number }>("POST", of(session, "end"), viewer === null ? { reason } : { reason, viewer }),
  terminate: (session: Session, reason: string) => ask<null>("POST", of(session, "terminate"), { reason }),
  gateways: () => ask<{ shared: boolean; database: boolean; gateways: GatewayState[] }>("GET", "api/admin/gateways"),
  drainGateway: (name: string) => ask<null>("POST", `api/admin/gateways/${at(name)}/drain`),
  hosts: () => ask<{ hosts: Host[]; whole: boolean }>("GET", "api/admin/hosts"),
  drain: (host: string, drained: boolean) => ask<null>("POST", `api/admin/hosts/${at(host)}/drain`, { drained }),
  remoteHosts: async () => (await ask<{ hosts: RemoteHostStatus[] }>("GET", "api/admin/remote-hosts")).hosts,
  addRemoteHost: (host: RemoteHost, password: string) =>
    ask<unknown>("POST", "api/admin/remote-hosts", password === "" ? { host } : { host, password }),
  changeRemoteHost: (host: RemoteHost, password: string) =>
    ask<null>("PUT", `api/admin/remote-hosts/${at(host.name)}`, password === "" ? { host } : { host, password }),
  removeRemoteHost: (name: string) => ask<null>("DELETE", `api/admin/remote-hosts/${at(name)}`),
  testRemoteHost: (host: RemoteHost, password: string) =>
    ask<RemoteHostTest>("POST", "api/admin/remote-host-tests", password === "" ? { host } : { host, password }, TEST_PATIENCE_MS),
  certificates: async () => (await ask<{ certificates: Certificate[] }>("GET", "api/admin/certificates")).certificates,
  forgetCertificate: ({ protocol, host }: Certificate) => ask<null>("DELETE", `api/admin/certificates/${at(protocol)}/${at(host)}`),
  users: (after: string) => ask<{ users: User[]; next: string | null }>("GET", `api/admin/users?limit=100&after=${at(after)}`),
  addUser: (user: { name: string; title: string; role: Role; groups: string[]; password?: string }) =>
    ask<User>("POST", "api/admin/users", user),
  changeUser: (name: string, change: { role?: Role; groups?: string[]; enabled?: boolean }) =>
    ask<User>("PATCH", `api/admin/users/${at(name)}`, change),
  setPassword: (name: string, password: string) =>
    ask<{ sign_ins: number }>("PUT", `api/admin/users/${at(name)}/password`, { password }),
  removeCode: (name: string) => ask<null>("DELETE", `api/admin/users/${at(name)}/totp`),
  signIns: async (name: string) => (await ask<{ sign_ins: unknown[] }>("GET", `api/admin/users/${at(name)}/sign-ins`)).sign_ins.length,
  endSignIns: (name: string) => ask<{ sign_ins: number }>("DELETE", `api/admin/users/${at(name)}/sign-ins`),
  seats: () => allSeats(),
  seatCode: (name: string, zone: string, mode: string) =>
    ask<{ code: string }>("POST", "api/admin/seat-codes", zone === "" ? { name, mode } : { name, zone, mode }),
  revokeSeat: (name: string) => ask<{ sign_ins: number }>("DELETE", `api/admin/seats/${at(name)}`),
  availability: () => ask<Availability>("GET", "api/admin/availability"),
  gateway: () => ask<Gateway>("GET", "api/admin/gateway"),
};
