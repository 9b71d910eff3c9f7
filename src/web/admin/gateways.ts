// The tab of gateways: those that share the database, how each is, and how one is emptied.

import { element } from "../page/dom.ts";
import { type GatewayState, api } from "./api.ts";
import { ask } from "./ask.ts";
import { button, make, words, write } from "./dom.ts";
import { elapsed } from "./format.ts";
import { type Row, Rows } from "./rows.ts";

/** Its sessions, and which part of those it can have they are. */
export function loadOf({ sessions, most_sessions: most, told_at: told, state }: GatewayState): string {
  if (told === null) return "–";
  if (most === 0 || state === "gone") return String(sessions);
  const share = (sessions * 100) / most;
  return `${sessions} (${share > 0 && share < 1 ? "< 1" : Math.round(share)} %)`;
}

export class GatewaysTab {
  private readonly rows: Rows<GatewayState>;
  private gateways: GatewayState[] | null = null;
  private database = true;

  constructor(
    private readonly mayChange: () => boolean,
    private readonly say: (text: string) => void,
  ) {
    this.rows = new Rows(element("gateways-rows", HTMLElement), (gateway) => gateway.name, (gateway) => this.rowOf(gateway));
  }

  async load(): Promise<void> {
    ({ gateways: this.gateways, database: this.database } = await api.gateways());
    this.render();
  }

  speakAgain(): void {
    this.rows.forget();
    this.render();
  }

  forget(): void {
    this.gateways = null;
    this.rows.forget();
  }

  private render(): void {
    const all = words();
    const gateways = this.gateways ?? [];
    this.rows.show(gateways);
    element("gateways-table", HTMLTableElement).hidden = gateways.length === 0;
    write(element("gateways-note", HTMLParagraphElement), this.gateways === null ? all.loading : this.database ? "" : all.onlyThis);
  }

  private rowOf(first: GatewayState): Row<GatewayState> {
    let gateway = first;
    const cell = (className = ""): HTMLTableCellElement => make("td", { className });
    const name = make("span", { className: "strong" });
    const address = make("div", { className: "soft" });
    const state = make("span", { className: "state" });
    const [since, seen, sessions, viewers, hosts, acts] = [cell("number"), cell("number"), cell("number"), cell("number"), cell("number"), cell("acts")];
    const drain = button(words().drain, "small grave-text", () => this.askDrain(gateway));
    if (this.mayChange()) acts.append(drain);
    const row = make("tr", {}, make("th", { scope: "row" }, name, address), make("td", {}, state), since, seen, sessions, viewers, hosts, acts);
    const update = (newer: GatewayState): void => {
      gateway = newer;
      const all = words();
      const gone = gateway.state === "gone";
      write(name, gateway.name === "" ? all.thisGateway : gateway.name);
      const facts = [gateway.address, gateway.version ?? "", gateway.here && gateway.name !== "" ? all.thisGateway : ""];
      write(address, facts.filter((fact) => fact !== "").join(" · "));
      write(state, { there: all.gatewayThere, draining: all.hostDraining, gone: all.gatewayGone }[gateway.state]);
      state.classList.toggle("waiting", gateway.state !== "there");
      row.classList.toggle("gone", gone);
      const known = gateway.told_at !== null;
      write(since, gateway.started_at === null || gone ? "–" : elapsed(Date.now() - gateway.started_at, all));
      write(seen, elapsed(Date.now() - gateway.seen_at, all));
      write(sessions, loadOf(gateway));
      write(viewers, known ? String(gateway.viewers) : "–");
      write(hosts, known ? String(gateway.hosts) : "–");
      drain.hidden = gateway.state !== "there" || (this.gateways ?? []).filter((one) => one.state === "there").length < 2;
      drain.setAttribute("aria-label", all.drainOf(gateway.name));
    };
    return { element: row, update };
  }

  private askDrain(gateway: GatewayState): void {
    const all = words();
    ask({
      title: all.drainOf(gateway.name),
      detail: all.drainGatewayDetail,
      act: all.drain,
      grave: true,
      run: async () => {
        await api.drainGateway(gateway.name);
        this.say(words().gatewayDrains(gateway.name));
        await this.load();
      },
    });
  }
}
