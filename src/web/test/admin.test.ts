import assert from "node:assert/strict";
import { test } from "node:test";
import type { Host, Session, User, Viewer } from "../admin/api.ts";
import { bytes, elapsed, groupsOf, matches, roundTrip } from "../admin/format.ts";
import { changeOf } from "../admin/people.ts";
import { stateOf } from "../admin/hosts.ts";
import { hostOf } from "../admin/remote-hosts.ts";
import { type Row, Rows } from "../admin/rows.ts";
import { loadOf } from "../admin/gateways.ts";
import { filtered } from "../admin/sessions.ts";
import { languages } from "../admin/words.ts";

const viewer = (id: number, title: string, seat: string): Viewer => ({
  id, title, seat, controls: true, road: "QUIC", round_trip_us: 0, exactness: "exact", bytes: 0, attached_ms: 0, silent_ms: 0,
});
const session = (name: string, viewers: Viewer[]): Session =>
  ({ name, gateway: "", title: `Title of ${name}`, state: "live", waiting_for: "", width: 1, height: 1, viewers });

test("figures are written as each language writes them", () => {
  assert.equal(bytes(999, languages.en), "999 B");
  assert.equal(bytes(1_234_567, languages.en), "1.2 MB");
  assert.equal(bytes(1_234_567, languages.fr), "1,2 Mo");
  assert.equal(elapsed(59_999, languages.en), "59 s");
  assert.equal(elapsed(3_660_000, languages.fr), "1 h 01");
  assert.equal(elapsed(90_000_000, languages.fr), "1 j 1 h");
  assert.equal(roundTrip(3_210, languages.en), "3.2 ms");
  assert.equal(roundTrip(3_210, languages.fr), "3,2 ms");
  assert.equal(roundTrip(0, languages.fr), "–");
});

test("a filter finds words in any order, whatever their case and accents", () => {
  assert.ok(matches("  ZOE lang", ["Zoé Lang"]) && matches("ward é3", ["É3", "Ward"]) && matches("", ["x"]));
  assert.ok(!matches("zoe smith", ["Zoé Lang"]));
});

test("a filter that is a session's shows all of it, and one that is a viewer's shows that viewer alone", () => {
  const all = [session("desk", [viewer(1, "Anne", "ward 3"), viewer(2, "Paul", "ward 4")]), session("lab", [])];
  assert.deepEqual(filtered(all, "desk")[0]?.viewers.map(({ id }) => id), [1, 2]);
  assert.deepEqual(filtered(all, "paul").map(({ name, viewers }) => [name, viewers.map(({ id }) => id)]), [["desk", [2]]]);
  assert.deepEqual(filtered(all, "desk 3")[0]?.viewers.map(({ id }) => id), [1]);
  assert.deepEqual(filtered(all, "nobody"), []);
});

test("only what differs of a user is changed, and the order of groups is no difference", () => {
  const user: User = { name: "a", title: "A", role: "user", enabled: true, groups: ["x", "y"], has_password: true, has_totp: false };
  assert.deepEqual(changeOf(user, { role: "user", groups: ["y", "x"], enabled: true }), {});
  assert.deepEqual(changeOf(user, { role: "auditor", groups: [], enabled: false }), { role: "auditor", groups: [], enabled: false });
  assert.deepEqual(groupsOf(" nurses,, ward 3 , nurses "), ["nurses", "ward 3"]);
});

/** As much of an element as rows need. */
class Element {
  children: Element[] = [];
  parent: Element | null = null;
  constructor(readonly name = "") {}
  get firstElementChild(): Element | null {
    return this.children[0] ?? null;
  }
  get nextElementSibling(): Element | null {
    const all = this.parent?.children ?? [];
    return all[all.indexOf(this) + 1] ?? null;
  }
  insertBefore(child: Element, before: Element | null): void {
    child.remove();
    this.children.splice(before === null ? this.children.length : this.children.indexOf(before), 0, child);
    child.parent = this;
  }
  remove(): void {
    if (this.parent !== null) this.parent.children = this.parent.children.filter((child) => child !== this);
    this.parent = null;
  }
}

test("rows stay the same elements, in the order of their values, behind what stands before them", () => {
  const table = new Element();
  const head = new Element("head");
  table.insertBefore(head, null);
  let made = 0;
  const rowOf = (name: string): Row<string> => {
    made++;
    return { element: new Element(name) as unknown as HTMLElement, update: () => undefined };
  };
  const rows = new Rows<string>(table as unknown as HTMLElement, (name) => name, rowOf, head as unknown as globalThis.Element);
  const names = (): string[] => table.children.map((child) => child.name);
  rows.show(["a", "b", "c"]);
  const [, a] = table.children;
  rows.show(["a", "b", "c"]);
  assert.deepEqual([names(), made], [["head", "a", "b", "c"], 3]);
  rows.show(["c", "x", "a"]);
  assert.deepEqual(names(), ["head", "c", "x", "a"]);
  assert.equal(table.children[3], a);
  rows.forget();
  assert.deepEqual(names(), ["head"]);
});

test("a host is away, draining or here", () => {
  const host = (connected: boolean, draining: boolean): Host => ({
    name: "app-1", connected, draining, drained: draining, software: "", peer: "", seen_at: 0, sessions: 0, capacity: 1, cpu_per_mille: 0, memory_free_mib: 0, applications: [], gateways: [],
  });
  assert.deepEqual([host(true, false), host(true, true), host(false, true)].map(stateOf), ["hostHere", "hostDraining", "hostAway"]);
});

test("a host without chevet is what was typed, and what was not asked is as in a blank one", () => {
  const host = hostOf({ title: " Ward 7 ", protocol: "rdp", address: "ts1 ", credentials: "own", groups: "nurses, , doctors", idle_minutes: "7,5" }, "ts1");
  assert.deepEqual([host.name, host.title, host.address, host.groups], ["ts1", "Ward 7", "ts1", ["nurses", "doctors"]]);
  assert.deepEqual([host.idle_minutes, host.user, host.keyboard, host.certificate], [7.5, "", "us", "first-use"]);
  const realm = { protocol: "rdp", realm: "CLINIC.EXAMPLE ", kdc: "dc1" };
  assert.deepEqual(hostOf(realm, "a").kerberos, { realm: "CLINIC.EXAMPLE", kdc: "dc1", ntlm: false });
  assert.equal(hostOf({ ...realm, realm: " " }, "a").kerberos, undefined);
  assert.equal(hostOf({ ...realm, protocol: "vnc" }, "a").kerberos, undefined);
  assert.equal(hostOf({ idle_minutes: "" }, "a").idle_minutes, null);
  assert.equal(hostOf({ idle_minutes: "soon" }, "a").idle_minutes, -1);
});

test("a host on which everybody is themselves keeps, asks or asks and remembers, and another host is not told", () => {
  const policyOf = (credentials: string, own_credentials: string): unknown =>
    hostOf({ protocol: "rdp", credentials, own_credentials }, "a").own_credentials;
  assert.deepEqual(["stored", "ask", "ask-and-remember"].map((policy) => policyOf("own", policy)), ["stored", undefined, "ask-and-remember"]);
  assert.deepEqual([policyOf("shared", "stored"), policyOf("none", "ask-and-remember")], [undefined, undefined]);
});

test("a gateway's sessions are told with the part of those that it can have", () => {
  const gateway = (sessions: number, told_at: number | null, state: "there" | "gone" = "there"): string =>
    loadOf({ name: "a", here: false, state, version: null, address: "", started_at: null, seen_at: 0, sessions, viewers: 0, hosts: 0, most_sessions: 4096, told_at });
  assert.deepEqual([gateway(0, 1), gateway(3, 1), gateway(2048, 1), gateway(0, null), gateway(3, 1, "gone")], ["0 (0 %)", "3 (< 1 %)", "2048 (50 %)", "–", "3"]);
});
