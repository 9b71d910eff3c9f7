// The tab of sessions: each with its viewers below it.

import { element } from "../page/dom.ts";
import { type Session, type Viewer, api } from "./api.ts";
import { ask } from "./ask.ts";
import { button, make, words, write } from "./dom.ts";
import { bytes, elapsed, matches, roundTrip } from "./format.ts";
import { type Row, Rows } from "./rows.ts";

const SILENT_MS = 2000;
const MOST_MESSAGE = 250;
const COLUMNS = 7;

/** Sessions with a viewer of this filter, or that themselves match it with all of their viewers. */
export function filtered(sessions: readonly Session[], filter: string): Session[] {
  return sessions.flatMap((session) => {
    const own = [session.name, session.title, session.gateway, session.host ?? "", session.owner ?? ""];
    if (matches(filter, own)) return [session];
    const viewers = session.viewers.filter((viewer) => matches(filter, [...own, viewer.title, viewer.seat, viewer.road]));
    return viewers.length === 0 ? [] : [{ ...session, viewers }];
  });
}

export class SessionsTab {
  private readonly rows: Rows<Session>;
  private sessions: Session[] | null = null;
  /** Without the database only this gateway's are known. */
  private whole = true;
  /** This gateway's name, if there can be others. */
  private here: string | null = null;
  private readonly filter = element("filter-sessions", HTMLInputElement);

  constructor(
    private readonly mayChange: () => boolean,
    private readonly say: (text: string) => void,
  ) {
    const table = element("sessions-table", HTMLTableElement);
    this.rows = new Rows(table, (session) => JSON.stringify([session.gateway, session.name]), (session) => this.groupOf(session), table.tHead);
    this.filter.addEventListener("input", () => this.render());
  }

  async load(): Promise<void> {
    ({ sessions: this.sessions, whole: this.whole, here: this.here } = await api.sessions());
    this.render();
  }

  speakAgain(): void {
    this.rows.forget();
    this.render();
  }

  forget(): void {
    this.sessions = null;
    this.rows.forget();
  }

  private render(): void {
    const all = this.sessions ?? [];
    const shown = filtered(all, this.filter.value);
    this.rows.show(shown);
    element("sessions-table", HTMLTableElement).hidden = shown.length === 0;
    const note = this.sessions === null ? words().loading : all.length === 0 ? words().noSessions : shown.length === 0 ? words().noMatch : "";
    const partly = this.sessions === null || this.whole ? "" : words().onlyThis;
    write(element("sessions-note", HTMLParagraphElement), [partly, note].filter((part) => part !== "").join(" "));
    const viewers = all.flatMap((session) => session.viewers);
    const exact = viewers.filter((viewer) => viewer.exactness === "exact").length;
    const tile = (id: string, text: string): void => write(element(id, HTMLElement), text);
    tile("tile-sessions", String(all.filter((session) => session.state === "live").length));
    tile("tile-screens", String(viewers.length));
    tile("tile-exact", viewers.length === 0 ? "–" : `${exact} / ${viewers.length}`);
    tile("tile-slowest", roundTrip(Math.max(0, ...viewers.map((viewer) => viewer.round_trip_us)), words()));
  }

  /** A session with its viewers: a body of the table. */
  private groupOf(first: Session): Row<Session> {
    const title = make("span", { className: "strong" });
    const facts = make("span", { className: "soft" });
    const state = make("span", { className: "state" });
    const gateway = make("span", { className: "chip" });
    const actions = make("td", { className: "acts" });
    let session = first;
    const whole = (): string => words().everybodyIn(titleOf(session));
    const buttons = [
      button(words().shadow, "small", () => window.open(new URL(`./#shadow=${encodeURIComponent(session.name)}`, document.baseURI), "_blank", "noopener")),
      button(words().message, "small", () => this.askMessage(session, null, whole())),
      button(words().endAll, "small grave-text", () => this.askEnd(session, null, whole())),
    ];
    const terminate = button(words().terminate, "small grave-text", () => this.askTerminate(session));
    if (this.mayChange()) actions.append(...buttons, terminate);
    const head = make("th", { scope: "rowgroup", colSpan: COLUMNS - 1 }, title, facts, gateway, state);
    const body = make("tbody", {}, make("tr", { className: "head" }, head, actions));
    const nobody = make("tr", { className: "empty" }, make("td", { colSpan: COLUMNS, textContent: words().nobody }));
    body.append(nobody);
    const viewers = new Rows<Viewer>(body, (viewer) => String(viewer.id), (viewer) => this.viewerRow(() => session, viewer), nobody);
    const update = (newer: Session): void => {
      session = newer;
      write(title, titleOf(session));
      write(facts, `${session.name === titleOf(session) ? "" : `${session.name} · `}${session.width} × ${session.height}${session.host == null ? "" : ` · ${session.host} · ${session.owner ?? ""}`}`);
      write(state, session.state === "live" ? words().live : words().waiting(session.waiting_for));
      state.classList.toggle("waiting", session.state !== "live");
      gateway.hidden = this.here === null;
      write(gateway, session.gateway);
      nobody.hidden = session.viewers.length > 0;
      terminate.hidden = session.host == null;
      for (const each of buttons) each.hidden = session.viewers.length === 0;
      // Its user is asked by the gateway that has it.
      if (this.here !== null && session.gateway !== this.here && buttons[0] !== undefined) buttons[0].hidden = true;
      viewers.show(session.viewers);
    };
    return { element: body, update };
  }

  private viewerRow(sessionNow: () => Session, first: Viewer): Row<Viewer> {
    const cell = (className = ""): HTMLTableCellElement => make("td", { className });
    const who = make("span", { className: "strong" });
    const where = make("span", { className: "soft" });
    const exactness = make("span", { className: "exact-mark" });
    const [road, trip, traffic, since, acts] = [cell(), cell("number"), cell("number"), cell("number"), cell("acts")];
    let viewer = first;
    if (this.mayChange()) {
      const name = (): string => nameOf(viewer);
      const say = button(words().message, "small", () => this.askMessage(sessionNow(), viewer.id, name()));
      const end = button(words().end, "small grave-text", () => this.askEnd(sessionNow(), viewer.id, name()));
      say.setAttribute("aria-label", words().messageTo(name()));
      end.setAttribute("aria-label", words().endOf(name()));
      acts.append(say, end);
    }
    const row = make("tr", { className: "viewer" }, make("td", {}, who, where), make("td", {}, exactness), road, trip, traffic, since, acts);
    const update = (newer: Viewer): void => {
      viewer = newer;
      write(who, nameOf(viewer));
      write(where, [viewer.seat, viewer.controls ? "" : words().watches].filter((part) => part !== "").join(" · "));
      const silent = viewer.silent_ms >= SILENT_MS;
      exactness.dataset["state"] = silent ? "silent" : viewer.exactness;
      write(exactness, silent ? words().silent(Math.round(viewer.silent_ms / 1000)) : words()[viewer.exactness]);
      write(road, viewer.road);
      write(trip, roundTrip(viewer.round_trip_us, words()));
      write(traffic, bytes(viewer.bytes, words()));
      write(since, elapsed(viewer.attached_ms, words()));
    };
    return { element: row, update };
  }

  private askMessage(session: Session, viewer: number | null, whom: string): void {
    ask({
      title: words().messageTo(whom),
      fields: [{ name: "text", label: words().messageLabel, kind: "area", most: MOST_MESSAGE, needed: true }],
      act: words().send,
      run: async ({ text = "" }) => this.say(words().sent((await api.message(session, viewer, text)).viewers)),
    });
  }

  /** Ends the session itself, not only who looks at it. */
  private askTerminate(session: Session): void {
    ask({
      title: words().terminateOf(titleOf(session)),
      detail: words().terminateDetail,
      fields: [{ name: "reason", label: words().reason, kind: "text", most: 60 }],
      act: words().terminate,
      grave: true,
      run: async ({ reason = "" }) => {
        await api.terminate(session, reason);
        this.say(words().terminated);
        await this.load();
      },
    });
  }

  private askEnd(session: Session, viewer: number | null, whom: string): void {
    ask({
      title: words().endOf(whom),
      detail: words().endDetail,
      fields: [{ name: "reason", label: words().reason, kind: "text", most: 60 }],
      act: words().end,
      grave: true,
      run: async ({ reason = "" }) => {
        this.say(words().endedCount((await api.end(session, viewer, reason)).viewers));
        await this.load();
      },
    });
  }
}

const titleOf = (session: Session): string => (session.title === "" ? session.name : session.title);
const nameOf = (viewer: Viewer): string => (viewer.title === "" ? words().shared : viewer.title);
