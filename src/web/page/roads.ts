// By which roads this browser can reach the gateway, and what it remembers of them.

import type { StartOptions } from "../messages.ts";
import { webTransportExists } from "../link/webtransport.ts";
import { type RoadMemory, knownBadReason } from "../viewer/roads.ts";
import { remembered } from "./dom.ts";
import type { ConnectInfo } from "./gateway.ts";
import type { Start } from "./opening.ts";
import { sessionOf, siteOf } from "./site-names.ts";

const ROAD_MEMORY = "chevet.road";

/** What is remembered of the roads to this site's gateways, or to those of another one. */
export function roadMemoryOf(site: string): string {
  return site === "" ? ROAD_MEMORY : `${ROAD_MEMORY}@${site}`;
}

export function startOptions({ session, ticket, secret, gateways, info }: Start): Omit<StartOptions, "width" | "height"> {
  return {
    session: sessionOf(session),
    ticket,
    secret,
    gateways,
    webTransport: webTransportWorks(info),
    webTransportUrl: webTransportUrl(info),
    certificates: info.certificate_sha256,
    webSocketUrl: new URL(info.websocket, location.href.replace(/^http/, "ws")).href,
    knockUrl: new URL("api/connect", document.baseURI).href,
    roadMemory: readRoadMemory(siteOf(session)),
  };
}

function webTransportWorks(info: ConnectInfo): boolean {
  return webTransportExists() && knownBadReason(info.known_bad, "webtransport", navigator.userAgent) === null;
}

function webTransportUrl(info: ConnectInfo): string | null {
  if (info.udp_port === null || !webTransportWorks(info)) return null;
  return `https://${location.hostname}:${info.udp_port}/chevet`;
}

function readRoadMemory(site: string): RoadMemory | null {
  try {
    const memory = JSON.parse(remembered("local", roadMemoryOf(site)) ?? "null") as Partial<RoadMemory> | null;
    const { failedAt, retryAfterMs } = memory ?? {};
    return typeof failedAt === "number" && typeof retryAfterMs === "number" ? { failedAt, retryAfterMs } : null;
  } catch {
    return null;
  }
}
