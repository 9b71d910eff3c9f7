// The tab of seats: which workstations take badges, who is there, and a code for one more.

import { element } from "../page/dom.ts";
import { type Seat, api } from "./api.ts";
import { ask } from "./ask.ts";
import { button, make, words, write } from "./dom.ts";
import { elapsed } from "./format.ts";
import { type Row, Rows } from "./rows.ts";

export class SeatsTab {
  private readonly rows: Rows<Seat>;
  private seats: Seat[] | null = null;

  constructor(
    private readonly mayChange: () => boolean,
    private readonly say: (text: string) => void,
  ) {
    this.rows = new Rows(element("seats-rows", HTMLElement), (seat) => seat.name, (seat) => this.rowOf(seat));
    element("add-seat", HTMLButtonElement).addEventListener("click", () => this.askCode());
  }

  async load(): Promise<void> {
    this.seats = (await api.seats()).filter((seat) => seat.revoked_at === null);
    this.render();
  }

  speakAgain(): void {
    this.rows.forget();
    this.render();
  }

  forget(): void {
    this.seats = null;
    this.rows.forget();
  }

  private render(): void {
    const all = words();
    const seats = this.seats ?? [];
    this.rows.show(seats);
    element("add-seat", HTMLButtonElement).hidden = !this.mayChange();
    element("seats-table", HTMLTableElement).hidden = seats.length === 0;
    write(element("seats-note", HTMLParagraphElement), this.seats === null ? all.loading : seats.length === 0 ? all.noSeats : "");
  }

  private rowOf(first: Seat): Row<Seat> {
    let seat = first;
    const cell = (className = ""): HTMLTableCellElement => make("td", { className });
    const name = make("span", { className: "strong" });
    const [zone, mode, there, used, acts] = [cell(), cell(), cell(), cell("number"), cell("acts")];
    const revoke = button("", "small", () => this.askRevoke(seat));
    if (this.mayChange()) acts.append(revoke);
    const row = make("tr", {}, make("td", {}, name), zone, mode, there, used, acts);
    const update = (newer: Seat): void => {
      seat = newer;
      const all = words();
      write(name, seat.name);
      write(zone, seat.zone);
      write(mode, seat.mode === "card" ? all.modeCard : all.modeWedge);
      write(there, seat.there === null ? "–" : seat.there.title || seat.there.name);
      write(used, seat.used_at === null ? all.never : elapsed(Date.now() - seat.used_at, all));
      write(revoke, all.revoke);
    };
    return { element: row, update };
  }

  private askCode(): void {
    const all = words();
    ask({
      title: all.addSeat,
      detail: all.addSeatDetail,
      fields: [
        { name: "name", label: all.seat, kind: "text", most: 32, needed: true },
        { name: "zone", label: all.zone, kind: "text", most: 32, hint: all.zoneHint },
        { name: "mode", label: all.mode, kind: "choice", value: "wedge", choices: [["wedge", all.modeWedge], ["card", all.modeCard]] },
      ],
      act: all.makeCode,
      run: async ({ name = "", zone = "", mode = "wedge" }) => {
        const { code } = await api.seatCode(name, zone, mode);
        // It is needed on another machine, and shown once.
        ask({ title: all.codeOf(name), detail: all.codeDetail(code), act: all.done, run: () => Promise.resolve() });
      },
    });
  }

  private askRevoke(seat: Seat): void {
    const all = words();
    ask({
      title: all.revokeOf(seat.name),
      detail: all.revokeDetail,
      act: all.revoke,
      grave: true,
      run: async () => {
        await api.revokeSeat(seat.name);
        this.say(words().revoked(seat.name));
        await this.load();
      },
    });
  }
}
