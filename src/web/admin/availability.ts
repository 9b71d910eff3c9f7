// The tab of availability: how often and how soon people had a usable screen, and who took sessions over.

import { element } from "../page/dom.ts";
import { type Availability, type Figures, type Takeover, api } from "./api.ts";
import { make, words, write } from "./dom.ts";
import { elapsed } from "./format.ts";

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, BAR, GAP] = [48, 10, 2];

export function percent(share: number | null, comma: string): string {
  if (share === null) return "–";
  // What is not all of them must not be rounded to all.
  const digits = Math.floor(share * 1000) / 10;
  return `${String(digits).replace(".", comma)} %`;
}

function millis(value: number | null): string {
  return value === null ? "–" : words().millis(value < 10 ? value.toFixed(1) : String(Math.round(value)));
}

/** A bar for each stretch: as high as the share that was in time; a dot where nobody came. */
export function bars(figures: readonly Figures[], label: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const width = figures.length * (BAR + GAP);
  for (const [name, value] of Object.entries({ viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", class: "shares", "aria-label": label })) {
    svg.setAttribute(name, String(value));
  }
  figures.forEach(({ share }, at) => {
    const bar = document.createElementNS(SVG, "rect");
    const high = share === null ? 1 : Math.max(2, share * HEIGHT);
    const kind = share === null ? "share none" : share < 0.99 ? "share low" : "share";
    for (const [name, value] of Object.entries({ x: at * (BAR + GAP), y: HEIGHT - high, width: BAR, height: high, class: kind })) {
      bar.setAttribute(name, String(value));
    }
    svg.append(bar);
  });
  return svg;
}

export class AvailabilityTab {
  private is: Availability | null = null;

  async load(): Promise<void> {
    this.is = await api.availability();
    this.render();
  }

  speakAgain(): void {
    this.render();
  }

  forget(): void {
    this.is = null;
    for (const id of ["availability-rows", "takeover-rows", "plot-hours", "plot-days"]) element(id, HTMLElement).replaceChildren();
  }

  private render(): void {
    const all = words();
    write(element("availability-note", HTMLParagraphElement), this.is === null ? all.loading : "");
    if (this.is === null) return;
    const { whole, hours, days, applications, takeovers } = this.is;
    const tile = (id: string, text: string): void => write(element(id, HTMLElement), text);
    tile("tile-share", percent(whole.day.share, all.comma));
    tile("tile-share-month", percent(whole.month.share, all.comma));
    tile("tile-tap", millis(whole.day.tap_p95_ms));
    tile("tile-degraded", all.minutes(whole.day.minutes_degraded));
    element("plot-hours", HTMLElement).replaceChildren(bars(hours, all.lastHours));
    element("plot-days", HTMLElement).replaceChildren(bars(days, all.lastDays));
    const rows = applications.map(({ application, site, day, month }) => make("tr", {},
      make("td", {}, make("span", { className: "strong", textContent: application }), make("div", { className: "soft", textContent: site })),
      ...[percent(day.share, all.comma), percent(month.share, all.comma), String(month.attempts), millis(month.screen_p95_ms), millis(month.tap_p50_ms),
        millis(month.tap_p95_ms), all.minutes(month.minutes_degraded)].map((text) => make("td", { className: "number", textContent: text })),
    ));
    element("availability-rows", HTMLElement).replaceChildren(...rows);
    element("availability-table", HTMLTableElement).hidden = rows.length === 0;
    this.renderTakeovers(takeovers);
  }

  private renderTakeovers(takeovers: readonly Takeover[]): void {
    const all = words();
    const rows = takeovers.map(({ at, session, title, from_seat, to_seat }) => make("tr", {},
      ...[session, title, from_seat || "–", to_seat || "–"].map((text) => make("td", { textContent: text })),
      make("td", { className: "number", textContent: all.ago(elapsed(Date.now() - at, all)) }),
    ));
    element("takeover-rows", HTMLElement).replaceChildren(...rows);
    element("takeovers-table", HTMLTableElement).hidden = rows.length === 0;
    write(element("takeovers-note", HTMLParagraphElement), rows.length === 0 ? all.noTakeovers : "");
  }
}
