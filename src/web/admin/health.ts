// The tab of the gateway's own health.

import { element } from "../page/dom.ts";
import { type Gateway, api } from "./api.ts";
import { make, words } from "./dom.ts";
import { bytes, elapsed } from "./format.ts";

type Fact = [label: string, text: string, well?: boolean];

export class HealthTab {
  private gateway: Gateway | null = null;

  async load(): Promise<void> {
    this.gateway = await api.gateway();
    this.speakAgain();
  }

  forget(): void {
    this.gateway = null;
  }

  speakAgain(): void {
    const { gateway } = this;
    if (gateway === null) return;
    const all = words();
    const { audit } = gateway;
    const owed = `${bytes(audit.owed_bytes, all)}${audit.spool_full ? `, ${all.spoolFull}` : ""}`;
    this.write("facts-gateway", [
      [all.version, gateway.version],
      [all.protocol, gateway.protocol],
      [all.upSince, elapsed(gateway.now - gateway.started_at, all)],
      [all.addresses, gateway.addresses.join(", ")],
      [all.udp, gateway.udp_port === null ? all.off : String(gateway.udp_port)],
      ["TLS", gateway.tls ? all.on : all.off],
    ]);
    this.write("facts-audit", [
      [all.store, gateway.store_up ? all.storeUp : all.storeDown, gateway.store_up],
      [all.audit, audit.healthy ? all.auditHealthy : all.auditBroken, audit.healthy],
      [all.gateway, audit.admits ? all.admits : all.admitsNot, audit.admits],
      [all.owed, owed, !audit.spool_full],
    ]);
  }

  private write(id: string, facts: Fact[]): void {
    const list = element(id, HTMLDListElement);
    const text = JSON.stringify(facts);
    if (list.dataset["shown"] === text) return;
    list.dataset["shown"] = text;
    list.replaceChildren(...facts.flatMap(([label, value, well]) => {
      const shown = make("dd", { textContent: value });
      if (well !== undefined) shown.className = well ? "well" : "unwell";
      return [make("dt", { textContent: label }), shown];
    }));
  }
}
