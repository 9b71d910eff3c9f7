// The tab of hosts: which machines run applications, how busy they are, and whether they are given new sessions.

import { element } from "../page/dom.ts";
import { type Host, api } from "./api.ts";
import { ask } from "./ask.ts";
import { CertificatesList } from "./certificates.ts";
import { button, make, words, write } from "./dom.ts";
import { bytes, elapsed } from "./format.ts";
import { RemoteHostsList } from "./remote-hosts.ts";
import { type Row, Rows } from "./rows.ts";

type State = "hostHere" | "hostDraining" | "hostAway";

export function stateOf(host: Host): State {
  if (!host.connected) return "hostAway";
  return host.draining ? "hostDraining" : "hostHere";
}

export class HostsTab {
  private readonly rows: Rows<Host>;
  private readonly remote: RemoteHostsList;
  private readonly certificates: CertificatesList;
  private hosts: Host[] | null = null;
  /** Without the database only links to this gateway are known. */
  private whole = true;

  constructor(
    private readonly mayChange: () => boolean,
    private readonly say: (text: string) => void,
  ) {
    this.rows = new Rows(element("hosts-rows", HTMLElement), (host) => host.name, (host) => this.rowOf(host));
    this.remote = new RemoteHostsList(mayChange, say);
    this.certificates = new CertificatesList(mayChange, say);
  }

  async load(): Promise<void> {
    [{ hosts: this.hosts, whole: this.whole }] = await Promise.all([api.hosts(), this.remote.load(), this.certificates.load()]);
    this.render();
  }

  speakAgain(): void {
    this.rows.forget();
    this.remote.speakAgain();
    this.certificates.speakAgain();
    this.render();
  }

  forget(): void {
    this.hosts = null;
    this.rows.forget();
    this.remote.forget();
    this.certificates.forget();
  }

  private render(): void {
    const all = words();
    const hosts = this.hosts ?? [];
    this.rows.show(hosts);
    element("hosts-table", HTMLTableElement).hidden = hosts.length === 0;
    write(element("hosts-note", HTMLParagraphElement), this.hosts === null ? all.loading : !this.whole ? all.onlyThis : hosts.length === 0 ? all.noHosts : "");
  }

  private rowOf(first: Host): Row<Host> {
    let host = first;
    const cell = (className = ""): HTMLTableCellElement => make("td", { className });
    const name = make("span", { className: "strong" });
    const from = make("div", { className: "soft" });
    const state = make("span", { className: "state" });
    const [sessions, processors, memory, seen, runs, acts] = [cell("number"), cell("number"), cell("number"), cell("number"), cell(), cell("acts")];
    const drain = button("", "small", () => this.askDrain(host));
    if (this.mayChange()) acts.append(drain);
    const row = make("tr", {}, make("td", {}, name, from), make("td", {}, state), sessions, processors, memory, seen, runs, acts);
    const update = (newer: Host): void => {
      host = newer;
      const all = words();
      write(name, host.name);
      write(from, [host.software, host.peer, host.gateways.join(", ")].filter((part) => part !== "").join(" · "));
      const is = stateOf(host);
      write(state, all[is]);
      state.classList.toggle("waiting", is !== "hostHere");
      write(sessions, host.connected ? `${host.sessions} / ${host.capacity}` : String(host.sessions));
      write(processors, host.connected ? `${Math.round(host.cpu_per_mille / 10)} %` : "–");
      write(memory, host.connected ? bytes(host.memory_free_mib * 1_048_576, all) : "–");
      write(seen, host.seen_at === 0 ? all.never : elapsed(Date.now() - host.seen_at, all));
      write(runs, host.applications.join(", "));
      write(drain, host.drained ? all.undrain : all.drain);
    };
    return { element: row, update };
  }

  private askDrain(host: Host): void {
    const all = words();
    ask({
      title: host.drained ? all.undrainOf(host.name) : all.drainOf(host.name),
      detail: host.drained ? all.undrainDetail : all.drainDetail,
      fields: [],
      act: host.drained ? all.undrain : all.drain,
      grave: !host.drained,
      run: async () => {
        await api.drain(host.name, !host.drained);
        this.say(host.drained ? words().undrained(host.name) : words().drainedNow(host.name));
        await this.load();
      },
    });
  }
}
