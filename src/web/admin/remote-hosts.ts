// Hosts without chevet, in the tab of hosts: those of the configuration file, and those that are added, changed, tested
// and removed here.

import { element } from "../page/dom.ts";
import { type RemoteHost, type RemoteHostStatus, type RemoteHostTest, api } from "./api.ts";
import { type Field, ask, problemOf } from "./ask.ts";
import { button, make, words, write } from "./dom.ts";
import { type Row, Rows } from "./rows.ts";

const BLANK: RemoteHost = {
  name: "", title: "", protocol: "vnc", address: "", credentials: "none", user: "", domain: "", encryption: "required",
  certificate: "first-use", fingerprint: "", authority: "", keyboard: "us", program: "", remote_app: "", arguments: "",
  screen_sign_in: false, groups: [], idle_minutes: null,
};

type Values = Record<string, string>;
const isRdp = (values: Values): boolean => values["protocol"] === "rdp";
const isShared = (values: Values): boolean => values["credentials"] === "shared";
const isOwn = (values: Values): boolean => values["credentials"] === "own";
const isEncrypted = (values: Values): boolean => isRdp(values) || values["encryption"] !== "never";
const hasRealm = (values: Values): boolean => isRdp(values) && (values["realm"] ?? "").trim() !== "";
const by = (policy: string) => (values: Values): boolean => isEncrypted(values) && values["certificate"] === policy;

/** A host from what was typed; what was not asked is as in a blank one. */
export function hostOf(values: Values, name: string): RemoteHost {
  const text = (field: string): string => (values[field] ?? "").trim();
  const idle = text("idle_minutes").replace(",", ".");
  const policy = (values["own_credentials"] ?? "ask") as NonNullable<RemoteHost["own_credentials"]>;
  const kerberos = { realm: text("realm"), kdc: text("kdc"), ntlm: values["ntlm"] === "true" };
  return {
    ...BLANK,
    name,
    title: text("title"),
    protocol: isRdp(values) ? "rdp" : "vnc",
    address: text("address"),
    credentials: (values["credentials"] ?? BLANK.credentials) as RemoteHost["credentials"],
    // Who is not told otherwise asks.
    ...(isOwn(values) && policy !== "ask" ? { own_credentials: policy } : {}),
    user: text("user"),
    domain: text("domain"),
    encryption: (values["encryption"] ?? BLANK.encryption) as RemoteHost["encryption"],
    certificate: (values["certificate"] ?? BLANK.certificate) as RemoteHost["certificate"],
    fingerprint: text("fingerprint"),
    authority: text("authority"),
    keyboard: text("keyboard") || BLANK.keyboard,
    program: text("program"),
    remote_app: text("remote_app"),
    arguments: text("arguments"),
    screen_sign_in: values["screen_sign_in"] === "true",
    ...(hasRealm(values) ? { kerberos } : {}),
    groups: text("groups").split(",").map((group) => group.trim()).filter((group) => group !== ""),
    // What is no number is for the gateway to refuse.
    idle_minutes: idle === "" ? null : Number.isFinite(Number(idle)) ? Number(idle) : -1,
  };
}

function fieldsOf(host: RemoteHost, known: boolean, hasPassword: boolean): Field[] {
  const all = words();
  const name: Field = { name: "name", label: all.remoteName, kind: "text", most: 32, needed: true, hint: all.remoteNameHint };
  return [
    ...(known ? [] : [name]),
    { name: "title", label: all.remoteTitle, kind: "text", value: host.title },
    { name: "protocol", label: all.protocol, kind: "choice", value: host.protocol, choices: [["vnc", "VNC"], ["rdp", "RDP"]] },
    { name: "address", label: all.address, kind: "text", value: host.address, most: 260, needed: true, hint: all.addressHint },
    {
      name: "credentials", label: all.credentials, kind: "choice", value: host.credentials,
      choices: [["none", all.credentialsNone], ["shared", all.credentialsShared], ["own", all.credentialsOwn]],
    },
    {
      name: "own_credentials", label: all.ownCredentials, kind: "choice", value: host.own_credentials ?? "ask", shown: isOwn,
      choices: [["stored", all.ownStored], ["ask", all.ownAsk], ["ask-and-remember", all.ownRemember]],
    },
    { name: "user", label: all.name, kind: "text", value: host.user, most: 256, shown: isShared },
    { name: "domain", label: all.domain, kind: "text", value: host.domain, most: 256, shown: (values) => isShared(values) && isRdp(values) },
    { name: "password", label: all.password, kind: "password", most: 256, shown: isShared, ...(hasPassword ? { hint: all.passwordKept } : {}) },
    {
      name: "encryption", label: all.encryption, kind: "choice", value: host.encryption, shown: (values) => !isRdp(values),
      choices: [["required", all.encryptionRequired], ["if-offered", all.encryptionIfOffered], ["never", all.encryptionNever]],
    },
    {
      name: "certificate", label: all.certificate, kind: "choice", value: host.certificate, shown: isEncrypted,
      choices: [["first-use", all.certificateFirst], ["pinned", all.certificatePinned], ["authority", all.certificateAuthority]],
    },
    { name: "fingerprint", label: all.fingerprint, kind: "text", value: host.fingerprint, most: 95, needed: true, shown: by("pinned") },
    { name: "authority", label: all.authority, kind: "area", value: host.authority, most: 8192, needed: true, shown: by("authority") },
    { name: "keyboard", label: all.keyboard, kind: "text", value: host.keyboard, most: 16, hint: all.keyboardHint, shown: isRdp },
    { name: "program", label: all.program, kind: "text", value: host.program, most: 256, hint: all.programHint, shown: isRdp },
    { name: "remote_app", label: all.remoteApp, kind: "text", value: host.remote_app, most: 256, hint: all.remoteAppHint, shown: isRdp },
    { name: "arguments", label: all.appArguments, kind: "text", value: host.arguments, most: 256, shown: (values) => isRdp(values) && (values["remote_app"] ?? "") !== "" },
    { name: "screen_sign_in", label: all.screenSignIn, kind: "tick", value: String(host.screen_sign_in), shown: isRdp },
    { name: "realm", label: all.realm, kind: "text", value: host.kerberos?.realm ?? "", most: 255, hint: all.realmHint, shown: isRdp },
    { name: "kdc", label: all.kdc, kind: "text", value: host.kerberos?.kdc ?? "", most: 1024, needed: true, hint: all.kdcHint, shown: hasRealm },
    { name: "ntlm", label: all.ntlm, kind: "tick", value: String(host.kerberos?.ntlm ?? false), shown: hasRealm },
    { name: "groups", label: all.groups, kind: "text", value: host.groups.join(", "), most: 1024, hint: all.groupsHint },
    {
      name: "idle_minutes", label: all.idleMinutes, kind: "text", value: host.idle_minutes === null ? "" : String(host.idle_minutes), most: 8,
      hint: all.idleHint, shown: isOwn,
    },
  ];
}

/** Who signs in there, and with what. */
export function credentialsOf(host: RemoteHost): string {
  const all = words();
  const who = { none: all.credentialsNone, shared: all.credentialsShared, own: all.credentialsOwn }[host.credentials];
  if (host.credentials !== "own") return who;
  const whence = { stored: all.ownStored, ask: all.ownAsk, "ask-and-remember": all.ownRemember }[host.own_credentials ?? "ask"];
  return `${who} · ${whence}`;
}

function told(test: RemoteHostTest): string {
  const all = words();
  const first = test.failure === null ? all.testGood : all.testBad(test.failure);
  const certificate = test.fingerprint === null ? [] : [`SHA-256 ${test.fingerprint}`];
  return [first, ...certificate, ...test.lines.map(({ name, value }) => `${name}: ${value}`)].join("\n");
}

export class RemoteHostsList {
  private readonly rows: Rows<RemoteHostStatus>;
  private hosts: RemoteHostStatus[] | null = null;

  constructor(
    private readonly mayChange: () => boolean,
    private readonly say: (text: string) => void,
  ) {
    this.rows = new Rows(element("remote-rows", HTMLElement), ({ host, configured }) => `${host.name} ${configured}`, (shown) => this.rowOf(shown));
    element("add-remote", HTMLButtonElement).addEventListener("click", () => this.askHost(null));
  }

  async load(): Promise<void> {
    this.hosts = await api.remoteHosts();
    this.render();
  }

  speakAgain(): void {
    this.rows.forget();
    this.render();
  }

  forget(): void {
    this.hosts = null;
    this.rows.forget();
  }

  private render(): void {
    const all = words();
    const hosts = this.hosts ?? [];
    this.rows.show(hosts);
    element("add-remote", HTMLButtonElement).hidden = !this.mayChange();
    element("remote-table", HTMLTableElement).hidden = hosts.length === 0;
    write(element("remote-note", HTMLParagraphElement), this.hosts === null ? all.loading : hosts.length === 0 ? all.noRemote : "");
  }

  private rowOf(first: RemoteHostStatus): Row<RemoteHostStatus> {
    let shown = first;
    const cell = (className = ""): HTMLTableCellElement => make("td", { className });
    const [name, from] = [make("span", { className: "strong" }), make("div", { className: "soft" })];
    const [state, why] = [make("span", { className: "state" }), make("div", { className: "soft" })];
    const [address, credentials, groups, sessions, acts] = [cell(), cell(), cell(), cell("number"), cell("acts")];
    const test = button("", "small", () => this.askTest(shown));
    const change = button("", "small", () => this.askHost(shown));
    const remove = button("", "small grave-text", () => this.askRemoval(shown));
    if (this.mayChange()) acts.append(...(shown.configured ? [] : [test, change, remove]));
    const row = make("tr", {}, make("td", {}, name, from), address, make("td", {}, state, why), credentials, groups, sessions, acts);
    const update = (newer: RemoteHostStatus): void => {
      shown = newer;
      const all = words();
      const { host } = shown;
      write(name, host.title || host.name);
      write(from, [host.title === "" ? "" : host.name, shown.configured ? all.fromFile : ""].filter((part) => part !== "").join(" · "));
      write(address, `${host.protocol.toUpperCase()} ${host.address}`);
      write(state, { live: all.stateLive, waiting: all.stateWaiting, elsewhere: all.stateElsewhere, none: all.stateNone }[shown.state]);
      state.classList.toggle("waiting", shown.state === "waiting");
      write(why, shown.problem ?? shown.waiting_for);
      write(credentials, credentialsOf(host));
      write(groups, host.groups.join(", "));
      write(sessions, String(shown.sessions));
      for (const [each, word] of [[test, all.test], [change, all.change], [remove, all.removeIt]] as const) write(each, word);
    };
    return { element: row, update };
  }

  private askHost(shown: RemoteHostStatus | null): void {
    const all = words();
    const nameOf = (values: Values): string => shown?.host.name ?? (values["name"] ?? "").trim();
    ask({
      title: shown === null ? all.addRemote : all.changeRemoteOf(shown.host.title || shown.host.name),
      fields: fieldsOf(shown?.host ?? BLANK, shown !== null, shown?.has_password ?? false),
      act: all.save,
      attempt: {
        label: all.test,
        doing: all.testing,
        run: async (values) => told(await api.testRemoteHost(hostOf(values, nameOf(values)), values["password"] ?? "")),
      },
      run: async (values) => {
        const host = hostOf(values, nameOf(values));
        const send = shown === null ? api.addRemoteHost : api.changeRemoteHost;
        await send(host, values["password"] ?? "");
        this.say((shown === null ? words().addedNow : words().changedNow)(host.title || host.name));
        await this.load();
      },
    });
  }

  private askTest(shown: RemoteHostStatus): void {
    const all = words();
    const title = all.testOf(shown.host.title || shown.host.name);
    this.say(all.testing);
    const answer = (detail: string): void => ask({ title, detail, act: words().done, run: () => Promise.resolve() });
    api.testRemoteHost(shown.host, "").then((test) => answer(told(test)), (error: unknown) => answer(problemOf(error)));
  }

  private askRemoval(shown: RemoteHostStatus): void {
    const all = words();
    const name = shown.host.title || shown.host.name;
    ask({
      title: all.removeOf(name),
      detail: all.removeDetail,
      act: all.removeIt,
      grave: true,
      run: async () => {
        await api.removeRemoteHost(shown.host.name);
        this.say(words().removedNow(name));
        await this.load();
      },
    });
  }
}
