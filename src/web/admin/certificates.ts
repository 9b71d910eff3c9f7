// The certificates that hosts without chevet showed at first use: below the hosts, each to be forgotten.

import { element } from "../page/dom.ts";
import { ApiError, type Certificate, api } from "./api.ts";
import { ask } from "./ask.ts";
import { button, make, words, write } from "./dom.ts";
import { elapsed } from "./format.ts";
import { type Row, Rows } from "./rows.ts";

export class CertificatesList {
  private readonly rows: Rows<Certificate>;
  private certificates: Certificate[] | null = null;
  private away = false;

  constructor(
    private readonly mayChange: () => boolean,
    private readonly say: (text: string) => void,
  ) {
    const keyOf = ({ protocol, host }: Certificate): string => `${protocol} ${host}`;
    this.rows = new Rows(element("certificates-rows", HTMLElement), keyOf, (certificate) => this.rowOf(certificate));
  }

  async load(): Promise<void> {
    try {
      this.certificates = await api.certificates();
      this.away = false;
    } catch (error) {
      // What else is known of hosts is shown without them.
      if (!(error instanceof ApiError && error.status === 503)) throw error;
      this.away = true;
    }
    this.render();
  }

  speakAgain(): void {
    this.rows.forget();
    this.render();
  }

  forget(): void {
    this.certificates = null;
    this.rows.forget();
  }

  private render(): void {
    const all = this.certificates ?? [];
    this.rows.show(all);
    element("certificates-table", HTMLTableElement).hidden = all.length === 0;
    const note = this.away ? words().certificatesAway : this.certificates === null ? words().loading : all.length === 0 ? words().noCertificates : "";
    write(element("certificates-note", HTMLParagraphElement), note);
  }

  private rowOf(first: Certificate): Row<Certificate> {
    let certificate = first;
    const fingerprint = make("code", { className: "fingerprint" });
    const [seen, acts] = [make("td"), make("td", { className: "acts" })];
    const forget = button(words().forget, "small grave-text", () => this.askForget(certificate));
    forget.setAttribute("aria-label", words().forgetOf(first.host));
    if (this.mayChange()) acts.append(forget);
    const host = make("th", { scope: "row" }, make("span", { className: "strong", textContent: first.host }), ` ${first.protocol.toUpperCase()}`);
    const row = make("tr", {}, host, make("td", {}, fingerprint), seen, acts);
    const update = (newer: Certificate): void => {
      certificate = newer;
      write(fingerprint, newer.fingerprint);
      write(seen, words().seenAgo(elapsed(Date.now() - newer.first_at, words()), newer.gateway));
    };
    return { element: row, update };
  }

  private askForget(certificate: Certificate): void {
    const all = words();
    ask({
      title: all.forgetOf(certificate.host),
      detail: all.forgetDetail,
      act: all.forget,
      grave: true,
      run: async () => {
        await api.forgetCertificate(certificate);
        this.say(words().forgotten(certificate.host));
        await this.load();
      },
    });
  }
}
