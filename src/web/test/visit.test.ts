import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type ConnectInfo, type Elsewhere, GatewayError, type HostAsks, type HostLogin, type SessionInfo, type SignedIn, offered } from "../page/gateway.ts";
import { problemOfGiving, typedLogin, whyAsked } from "../page/host-asks.ts";
import { Opening, type Start } from "../page/opening.ts";
import { applicationOf, atSite, sessionOf, siteOf } from "../page/site-names.ts";
import { Visit } from "../page/visit.ts";

const info: ConnectInfo = {
  version: "1",
  udp_port: null,
  certificate_sha256: [],
  websocket: "chevet",
  known_bad: [],
  sign_in: { password: true, providers: [], card: null },
};
const anne: SignedIn = { user: { name: "aroy", title: "Anne Roy", role: "nurse", groups: [] }, seat: "" };
const paul: SignedIn = { user: { name: "pmay", title: "Paul May", role: "doctor", groups: [] }, seat: "" };
const session = (name: string, holder: SessionInfo["holder"] = null): SessionInfo =>
  ({ name, title: name, state: "live", width: 10, height: 10, viewers: 0, holder });
const there = { host: "gw.north.example", udpPort: 4380, tcpPort: 4380, tls: true, pins: [] };
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A screen, and a gateway whose answers the test sets; what happens is noted in order. */
class Screen {
  readonly done: string[] = [];
  readonly starts: Start[] = [];
  readonly hashes: string[] = [];
  /** The sessions that are started for whoever asks for an application. */
  readonly startedAs = new Map<string, string>();
  cookie: SignedIn | null = null;
  offered: SessionInfo[] = [session("desk")];
  /** Null: there are no other sites. */
  elsewhere: Elsewhere | Error | null = null;
  answerElsewhere: Promise<Elsewhere> | null = null;
  ticketError: Error | null = null;
  signOutError: Error | null = null;
  /** Set, it holds a ticket's answer back until it is called. */
  hold = false;
  letGo: () => void = () => undefined;
  /** The secret's hash takes a thread of its own, and its time. */
  async held(): Promise<void> {
    const before = this.hashes.length;
    while (this.hashes.length === before) await settled();
  }

  readonly memory = { session: "", leaving: false };
  readonly opening = new Opening(() => Promise.resolve(info), (start) => {
    this.starts.push(start);
    this.done.push(`show ${start.session} with ${start.ticket}`);
    return { close: () => this.done.push(`close ${start.session}`) };
  });
  readonly visit = new Visit({
    me: async () => {
      if (this.cookie === null) throw new GatewayError(401);
      return this.cookie;
    },
    signIn: async ({ name }) => {
      this.cookie = name === "aroy" ? anne : paul;
      return this.cookie;
    },
    give: async (name, { user, password }) => {
      this.done.push(`give ${name} ${user} ${password}`);
      if (this.ticketError instanceof GatewayError && password !== "right") throw this.ticketError;
      this.ticketError = null;
      return this.startedAs.get(name) ?? name;
    },
    end: async (name) => {
      this.done.push(`end ${name}`);
      this.offered = this.offered.filter((one) => one.name !== name);
    },
    signOut: async () => {
      this.done.push("tell sign-out");
      if (this.signOutError !== null) throw this.signOutError;
      this.cookie = null;
    },
    sessions: async () => ({ sessions: this.offered, otherSites: this.elsewhere !== null }),
    elsewhere: async () => {
      if (this.elsewhere instanceof Error) throw this.elsewhere;
      if (this.answerElsewhere !== null) return this.answerElsewhere;
      return this.elsewhere ?? { sessions: [], cutOff: [] };
    },
    ticket: async (name, hash) => {
      this.hashes.push(hash);
      if (this.hold) await new Promise<void>((resolve) => (this.letGo = resolve));
      if (this.ticketError !== null) throw this.ticketError;
      const gateways = name.includes("@") ? [there] : [];
      // A site does not know by which name others call its sessions.
      const session = this.startedAs.get(name) ?? name.split("@")[0] ?? "";
      return { ticket: `c1.${name}.${this.hashes.length}`, session, gateways };
    },
  }, {
    askToSignIn: (reason, name) => this.done.push(`form ${reason ?? "plain"} ${name}`.trim()),
    list: (user, sessions, problem) => {
      if (sessions !== null) this.done.push(`list of ${sessions.length} for ${user.name} ${problem ?? ""}`.trim());
    },
    elsewhere: (found) => this.done.push(found === null || found === "looking" ? `elsewhere ${found}` : `elsewhere ${found.sessions.length}, away ${found.cutOff.join()}`),
    askForHost: (name, asks) => this.done.push(`ask for ${name} ${asks.refused ?? "first"}`),
    trouble: () => this.done.push("trouble"),
  }, this.memory, this.opening);

  /** What has happened since the last time this was asked. */
  async happened(): Promise<string[]> {
    await settled();
    return this.done.splice(0);
  }

  signIn(name = "aroy"): Promise<void> {
    return this.visit.signIn({ name, password: "p" });
  }
}

test("without a cookie the form is shown; with one the page goes on without it", async () => {
  const screen = new Screen();
  await screen.visit.begin();
  assert.deepEqual(await screen.happened(), ["form plain"]);
  screen.cookie = anne;
  screen.memory.session = "desk";
  await screen.visit.begin();
  assert.deepEqual(await screen.happened(), ["show desk with c1.desk.1"]);
});

test("the only session is opened at once, unless its user just came back from it or somebody else has it", async () => {
  const screen = new Screen();
  await screen.signIn();
  assert.deepEqual(await screen.happened(), ["show desk with c1.desk.1"]);
  await screen.visit.list(false);
  assert.deepEqual(await screen.happened(), ["close desk", "list of 1 for aroy"]);
  screen.offered = [session("desk", { title: "Paul May", seat: "", you: false })];
  await screen.visit.list(true);
  assert.deepEqual(await screen.happened(), ["list of 1 for aroy"]);
  screen.offered = [session("desk"), session("other")];
  await screen.visit.list(true);
  assert.deepEqual(await screen.happened(), ["list of 2 for aroy"]);
});

test("each opening has a secret of its own, and asks for its ticket by the secret's hash", async () => {
  const screen = new Screen();
  await screen.signIn();
  await screen.visit.open("desk");
  const [first, second] = screen.starts;
  assert.ok(first !== undefined && second !== undefined);
  assert.notEqual(first.secret, second.secret);
  assert.match(first.secret, /^[\w-]{43}$/);
  const wanted = screen.starts.map(({ secret }) => createHash("sha256").update(secret).digest("base64url"));
  assert.deepEqual(screen.hashes, wanted);
});

test("a new ticket for the session that is open is asked for with the same secret", async () => {
  const screen = new Screen();
  await screen.signIn();
  assert.deepEqual(await screen.starts[0]?.renew(), { ticket: "c1.desk.2", session: "desk", gateways: [] });
  assert.equal(screen.hashes[0], screen.hashes[1]);
  screen.ticketError = new GatewayError(503);
  assert.equal(await screen.starts[0]?.renew(), null);
  assert.deepEqual(await screen.happened(), ["show desk with c1.desk.1"], "what may pass disturbs nobody");
});

test("when no new ticket is to be had without signing in, the pixels go, the form says why, and the same session opens again", async () => {
  const screen = new Screen();
  screen.offered = [session("desk"), session("other")];
  await screen.signIn();
  await screen.visit.open("other");
  await screen.happened();
  screen.ticketError = new GatewayError(401, "sign-in");
  assert.equal(await screen.starts[0]?.renew(), null);
  assert.deepEqual(await screen.happened(), ["close other", "form signInAgain aroy"]);
  screen.ticketError = null;
  await screen.signIn();
  assert.deepEqual(await screen.happened(), ["show other with c1.other.3"]);
});

test("a session that is not the user's any more leads back to the list, which says so", async () => {
  for (const [error, word] of [[new GatewayError(403, "not-yours"), "sessionNotYours"], [new GatewayError(404), "endedNoSession"]] as const) {
    const screen = new Screen();
    await screen.signIn();
    await screen.happened();
    screen.ticketError = error;
    await screen.visit.open("desk");
    assert.deepEqual(await screen.happened(), ["close desk", `list of 1 for aroy ${word}`]);
    assert.equal(screen.memory.session, "");
  }
});

test("signing out closes the session before anything else, then forgets it, and then tells the gateway", async () => {
  const screen = new Screen();
  await screen.signIn();
  await screen.happened();
  screen.visit.signOut();
  assert.equal(screen.memory.session, "");
  assert.deepEqual(await screen.happened(), ["close desk", "form plain", "tell sign-out"]);
  assert.equal(screen.memory.leaving, false);
});

test("another user's session is asked for only after the earlier one is closed, and not the earlier one's", async () => {
  const screen = new Screen();
  await screen.signIn();
  await screen.happened();
  screen.offered = [session("pauls")];
  await screen.signIn("pmay");
  assert.deepEqual(await screen.happened(), ["close desk", "show pauls with c1.pauls.2"]);
});

test("a session that was being opened when its user signed out does not appear", async () => {
  const screen = new Screen();
  screen.hold = true;
  const held = screen.held();
  void screen.signIn();
  await held;
  screen.visit.signOut();
  screen.letGo();
  assert.deepEqual(await screen.happened(), ["form plain", "tell sign-out"]);
  assert.deepEqual(screen.starts, []);
});

test("a sign-out that the gateway has not heard is told again, also after a reload, and ends with the next sign-in", async (context) => {
  const screen = new Screen();
  await screen.signIn();
  await screen.happened();
  context.mock.timers.enable({ apis: ["setTimeout"] });
  screen.signOutError = new TypeError("network");
  screen.visit.signOut();
  assert.deepEqual(await screen.happened(), ["close desk", "form plain", "tell sign-out", "form signOutUntold"]);
  context.mock.timers.tick(2000);
  assert.deepEqual(await screen.happened(), ["tell sign-out", "form signOutUntold"]);
  await screen.visit.begin();
  assert.deepEqual(await screen.happened(), ["form plain", "tell sign-out", "form signOutUntold"], "the cookie lets nobody in");
  await screen.signIn();
  assert.equal(screen.memory.leaving, false);
  await screen.happened();
  context.mock.timers.tick(10_000);
  assert.deepEqual(await screen.happened(), [], "it would end the new stay");
});

test("after a session has ended here, a reload does not fetch it back by name", async () => {
  const screen = new Screen();
  await screen.signIn();
  assert.equal(screen.memory.session, "desk");
  screen.visit.ended();
  assert.equal(screen.memory.session, "");
});

test("an application is opened as the session that was started, which a reload goes on with, and can be ended", async () => {
  const screen = new Screen();
  screen.offered = [session("desk"), { ...session("record"), state: "new" }];
  screen.startedAs.set("record", "record.x1");
  await screen.signIn();
  await screen.happened();
  await screen.visit.open("record");
  assert.deepEqual(await screen.happened(), ["show record.x1 with c1.record.1"]);
  assert.equal(screen.memory.session, "record.x1");
  screen.offered = [session("desk"), { ...session("record.x1"), application: "record" }];
  await screen.visit.end("record.x1");
  assert.deepEqual(await screen.happened(), ["end record.x1", "close record.x1", "list of 1 for aroy"]);
});

test("an application that cannot be started brings the list back with what to do", async () => {
  for (const [reason, word] of [["no-host", "noHost"], ["full", "hostsFull"], ["not-started", "notStarted"], ["too-many-sessions", "tooManySessions"]]) {
    const screen = new Screen();
    screen.offered = [session("desk"), { ...session("record"), state: "new" }];
    await screen.signIn();
    await screen.happened();
    screen.ticketError = new GatewayError(503, reason);
    await screen.visit.open("record");
    assert.deepEqual(await screen.happened(), [`list of 2 for aroy ${word}`]);
  }
});

test("applications stand beside the sessions while they can be started", () => {
  const titles = { fr: "Dossier", en: "Record" };
  const application = { name: "record", title: titles, single: true, available: true, running: [] as string[] };
  assert.deepEqual(offered([], [application]).map(({ name, state }) => [name, state]), [["record", "new"]]);
  assert.equal(offered([], [{ ...application, available: false }])[0]?.state, "unavailable");
  const running = { ...session("record.x1"), application: "record" };
  const one = offered([running], [{ ...application, running: ["record.x1"] }]);
  assert.deepEqual(one.map(({ name, titles: shown }) => [name, shown]), [["record.x1", titles]]);
  assert.equal(offered([running], [{ ...application, single: false, running: ["record.x1"] }]).length, 2);
});

test("a badge's session appears only after whoever was there is gone", async () => {
  const screen = new Screen();
  await screen.signIn();
  await screen.happened();
  await screen.visit.take(() => {
    screen.done.push("claim");
    return Promise.resolve(paul);
  }, "pauls");
  assert.deepEqual(await screen.happened(), ["close desk", "claim", "show pauls with c1.pauls.2"]);
  screen.visit.lock();
  assert.deepEqual(await screen.happened(), ["close pauls"], "locking asks nobody anything");
  assert.equal(screen.memory.session, "");
});

test("a screen that is locked while a badge's sign-in is taken over stays dark, whatever the gateway answers then", async () => {
  const screen = new Screen();
  let answer: (signedIn: SignedIn) => void = () => undefined;
  let refuse: (error: Error) => void = () => undefined;
  const late = screen.visit.take(() => new Promise((resolve) => (answer = resolve)), "desk");
  screen.visit.lock();
  answer(anne);
  await late;
  const refused = screen.visit.take(() => new Promise((_, reject) => (refuse = reject)), "desk");
  screen.visit.lock();
  refuse(new GatewayError(401));
  await refused;
  screen.hold = true;
  const held = screen.held();
  const opening = screen.visit.take(() => Promise.resolve(anne), "desk");
  await held;
  screen.visit.lock();
  screen.letGo();
  await opening;
  assert.deepEqual(await screen.happened(), []);
  assert.deepEqual(screen.starts, []);
});

const asks = (refused: string | null): HostAsks =>
  ({ title: "Record", host: "ts1", user: "aroy", domain: "", remember: true, refused });
const login = (password: string): HostLogin => ({ user: "aroy", domain: "", password, remember: false });

test("a host that wants to know who comes is told what is typed once, and shown then", async () => {
  const screen = new Screen();
  screen.offered = [session("ts"), session("desk")];
  screen.startedAs.set("ts", "ts.1");
  await screen.signIn();
  screen.ticketError = new GatewayError(428, "credentials", asks(null));
  await screen.happened();
  await screen.visit.open("ts");
  assert.deepEqual(await screen.happened(), ["ask for ts first"]);
  await assert.rejects(screen.visit.give("ts", login("wrong")), (error: GatewayError) => error.status === 428);
  assert.deepEqual(await screen.happened(), ["give ts aroy wrong"], "a wrong password is sent once");
  await screen.visit.give("ts", login("right"));
  const happened = await screen.happened();
  assert.deepEqual([happened[0], happened.at(-1)?.startsWith("show ts.1")], ["give ts aroy right", true]);
});

test("whoever has gone back to the list is not fetched back by a host's answer", async () => {
  const screen = new Screen();
  screen.offered = [session("ts"), session("desk")];
  await screen.signIn();
  screen.ticketError = new GatewayError(428, "credentials", asks(null));
  await screen.visit.open("ts");
  await screen.happened();
  const given = screen.visit.give("ts", login("right"));
  await screen.visit.list(false);
  await given;
  assert.ok(!(await screen.happened()).some((step) => step.startsWith("show")));
});

test("what a host said is told in the page's words", () => {
  assert.equal(whyAsked(asks(null)), null);
  assert.equal(whyAsked(asks("the user or the password is wrong (the host ended the sign-in)")), "hostWrong");
  assert.equal(whyAsked(asks("the account is locked")), "hostLocked");
  assert.equal(whyAsked(asks("the account has expired")), "hostDisabled");
  assert.equal(whyAsked(asks("something new")), "hostRefused");
  assert.equal(problemOfGiving(new GatewayError(429, "too-many")), "hostTooMany");
  assert.equal(problemOfGiving(new Error("no network")), "gatewayAway");
  assert.deepEqual(typedLogin({ ...login("x"), user: " " }), { problem: "hostNameEmpty", focus: "user" });
  assert.deepEqual(typedLogin(login("")), { problem: "hostPasswordEmpty", focus: "password" });
  assert.deepEqual(typedLogin({ ...login(" x"), user: " aroy " }), { login: login(" x") }, "spaces belong to a password");
});

test("what is here is listed before other sites have answered, and stays when they do not", async () => {
  const screen = new Screen();
  screen.offered = [session("desk"), session("other")];
  screen.elsewhere = { sessions: [session("desk@north")], cutOff: ["west"] };
  await screen.signIn();
  assert.deepEqual(await screen.happened(), ["list of 2 for aroy", "elsewhere looking", "elsewhere 1, away west"]);
  screen.elsewhere = new TypeError("network");
  await screen.visit.list(false);
  assert.deepEqual(await screen.happened(), ["list of 2 for aroy", "elsewhere looking", "elsewhere null"]);
  screen.elsewhere = new GatewayError(401, "sign-in");
  await screen.visit.list(false);
  assert.deepEqual(await screen.happened(), ["list of 2 for aroy", "elsewhere looking", "form signInAgain aroy"]);
});

test("the only session of this site is opened at once, and one of another site never unasked", async () => {
  const screen = new Screen();
  screen.elsewhere = { sessions: [session("desk@north")], cutOff: [] };
  await screen.signIn();
  assert.deepEqual(await screen.happened(), ["show desk with c1.desk.1"]);
  const away = new Screen();
  away.offered = [];
  away.elsewhere = { sessions: [session("desk@north")], cutOff: [] };
  await away.signIn();
  assert.deepEqual(await away.happened(), ["list of 0 for aroy", "elsewhere looking", "elsewhere 1, away "]);
});

test("what other sites answer is of no account once a session was opened, or its user has gone", async () => {
  for (const leave of [(screen: Screen) => void screen.visit.open("desk"), (screen: Screen) => screen.visit.signOut()]) {
    const screen = new Screen();
    screen.offered = [session("desk"), session("other")];
    let answer: (found: Elsewhere) => void = () => undefined;
    screen.elsewhere = { sessions: [], cutOff: [] };
    screen.answerElsewhere = new Promise((resolve) => (answer = resolve));
    void screen.signIn();
    await screen.happened();
    leave(screen);
    answer({ sessions: [session("desk@north")], cutOff: [] });
    const happened = await screen.happened();
    assert.ok(!happened.some((each) => each.startsWith("elsewhere 1")), happened.join());
  }
});

test("another site's session is opened at that one's gateways, by its name there, and a reload goes back to it", async () => {
  const screen = new Screen();
  screen.offered = [];
  await screen.signIn();
  await screen.visit.open("desk@north");
  const [start] = screen.starts;
  assert.deepEqual([start?.session, start?.gateways], ["desk@north", [there]]);
  assert.equal(screen.memory.session, "desk@north");
  // The ticket is renewed through the own gateway, which tells anew where to dial.
  assert.deepEqual(await start?.renew(), { ticket: "c1.desk@north.2", session: "desk", gateways: [there] });
  assert.equal(screen.hashes[0], screen.hashes[1]);
  await screen.happened();
  await screen.visit.begin();
  assert.deepEqual(await screen.happened(), ["close desk@north", "show desk@north with c1.desk@north.3"]);
  screen.visit.signOut();
  assert.deepEqual(await screen.happened(), ["close desk@north", "form plain", "tell sign-out"]);
  assert.equal(screen.memory.session, "");
});

test("an application of another site is gone on with by the session that was started there", async () => {
  const screen = new Screen();
  screen.offered = [];
  screen.startedAs.set("record@north", "record.x1");
  await screen.signIn();
  await screen.visit.open("record@north");
  assert.equal(screen.memory.session, "record.x1@north");
  await screen.starts[0]?.renew();
  assert.match(screen.starts[0]?.ticket ?? "", /record@north/);
});

test("why another site's session is not opened is said beside the list", async () => {
  const told = [
    [new GatewayError(503, "site-cut-off"), "siteCutOff"],
    [new GatewayError(502, "site"), "siteRefused"],
    [new GatewayError(409, "not-from-here"), "notFromHere"],
    [new GatewayError(403, "not-yours"), "sessionNotYours"],
  ] as const;
  for (const [error, word] of told) {
    const screen = new Screen();
    await screen.signIn();
    await screen.happened();
    screen.ticketError = error;
    await screen.visit.open("desk@north.example");
    assert.deepEqual(await screen.happened(), ["close desk", `list of 1 for aroy ${word}`]);
    assert.equal(screen.memory.session, "");
  }
});

test("a session of another site goes on while that site cannot be reached for a ticket, and not when its application asks who is there", async () => {
  const screen = new Screen();
  screen.offered = [];
  await screen.signIn();
  await screen.visit.open("desk@north");
  await screen.happened();
  screen.ticketError = new GatewayError(503, "site-cut-off");
  assert.equal(await screen.starts[0]?.renew(), null);
  assert.deepEqual(await screen.happened(), []);
  screen.ticketError = new GatewayError(409, "not-from-here");
  assert.equal(await screen.starts[0]?.renew(), null);
  assert.deepEqual(await screen.happened(), ["close desk@north", "list of 0 for aroy notFromHere"]);
});

test("a session's name says which site has it", () => {
  assert.deepEqual(["desk", "desk@north.example"].map(siteOf), ["", "north.example"]);
  assert.deepEqual(["desk", "desk@north"].map(sessionOf), ["desk", "desk"]);
  assert.deepEqual(["record.x1", "record.x1@north.example"].map(applicationOf), ["record", "record@north.example"]);
  assert.equal(atSite("desk@elsewhere", "north"), "desk@north", "a site speaks for itself alone");
});
