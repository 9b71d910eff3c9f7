// What the gateway says over HTTP: how to connect, and which sessions there are.

import type { KnownBad } from "../viewer/roads.ts";

export interface ConnectInfo {
  version: string;
  udp_port: number | null;
  certificate_sha256: string[];
  websocket: string;
  known_bad: KnownBad[];
}

export interface SessionInfo {
  name: string;
  title: string;
  state: "live" | "waiting";
  width: number;
  height: number;
  viewers: number;
}

/** The gateway answered, but not with what was asked for. */
export class GatewayError extends Error {
  constructor(readonly status: number) {
    super(`the gateway answered ${status}`);
  }
}

/** Rejects with TypeError when the gateway cannot be reached, with GatewayError when it refuses. */
export async function fetchConnectInfo(): Promise<ConnectInfo> {
  return (await get("api/connect", {})) as ConnectInfo;
}

export async function fetchSessions(ticket: string): Promise<SessionInfo[]> {
  const answer = await get("api/sessions", { Authorization: `Bearer ${headerSafe(ticket)}` });
  return (answer as { sessions: SessionInfo[] }).sessions;
}

async function get(path: string, headers: Record<string, string>): Promise<unknown> {
  const response = await fetch(new URL(path, document.baseURI), { headers, cache: "no-store" });
  if (!response.ok) throw new GatewayError(response.status);
  return response.json();
}

/** A header carries bytes: what is not ASCII in a code could never be right. */
function headerSafe(ticket: string): string {
  return ticket.replace(/[^\x21-\x7e]/g, "?");
}
