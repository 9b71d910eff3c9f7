// By which roads this browser can reach the gateway, and what it remembers of them.

import type { StartOptions } from "../messages.ts";
import { webTransportExists } from "../link/webtransport.ts";
import { type RoadMemory, knownBadReason } from "../viewer/roads.ts";
import { remembered } from "./dom.ts";
import type { ConnectInfo } from "./gateway.ts";
import type { Start } from "./opening.ts";
import { ROAD_MEMORY } from "./session-view.ts";

export function startOptions({ session, ticket, secret, info }: Start): Omit<StartOptions, "width" | "height"> {
  return {
    session,
    ticket,
    secret,
    webTransportUrl: webTransportUrl(info),
    certificates: info.certificate_sha256,
    webSocketUrl: new URL(info.websocket, location.href.replace(/^http/, "ws")).href,
    knockUrl: new URL("api/connect", document.baseURI).href,
    roadMemory: readRoadMemory(),
  };
}

function webTransportUrl(info: ConnectInfo): string | null {
  const known = knownBadReason(info.known_bad, "webtransport", navigator.userAgent);
  if (info.udp_port === null || !webTransportExists() || known !== null) return null;
  return `https://${location.hostname}:${info.udp_port}/chevet`;
}

function readRoadMemory(): RoadMemory | null {
  try {
    const memory = JSON.parse(remembered("local", ROAD_MEMORY) ?? "null") as Partial<RoadMemory> | null;
    const { failedAt, retryAfterMs } = memory ?? {};
    return typeof failedAt === "number" && typeof retryAfterMs === "number" ? { failedAt, retryAfterMs } : null;
  } catch {
    return null;
  }
}
