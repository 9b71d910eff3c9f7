// Which of several gateways to go on at: all are dialled at once, and the first to answer is the nearest. The link by which it
// answered is kept for whoever dials it next; the others are left before anything was asked of them.

import type { Link, LinkListener, Road } from "../link/link.ts";
import { CloseCode, type Gateway } from "../wire/control.ts";
import { WEBSOCKET_HEAD_START_MS } from "./roads.ts";

/** Gateways that have not answered by then are tried as they come. */
const PATIENCE_MS = 4000;

export type Dial = (road: Road, gateway: Gateway, listener: LinkListener) => Link;

export interface Nearest {
  /** All of them, the one to dial first in front. */
  gateways: Gateway[];
  /** The link by which it answered, once and for who would dial it by this road; null: dial. */
  take(road: Road, gateway: Gateway, listener: LinkListener): Link | null;
  /** Nobody wants that link any more. */
  leave(): void;
}

/** A link without an owner. Nothing comes by it before its owner has said Hello. */
class Scout implements LinkListener {
  isOpen = false;
  isClosed = false;
  private link: Link | null = null;
  private owner: LinkListener | null = null;

  constructor(
    readonly road: Road,
    readonly gateway: Gateway,
    private readonly news: (scout: Scout) => void,
  ) {}

  dial(dial: Dial): void {
    try {
      this.link = dial(this.road, this.gateway, this);
    } catch (error) {
      this.closed(null, String(error));
    }
  }

  take(owner: LinkListener): Link | null {
    if (this.link === null || this.isClosed || this.owner !== null) return null;
    this.owner = owner;
    // As a dialled link does: after whoever dials has it.
    queueMicrotask(() => owner.opened());
    return this.link;
  }

  leave(): void {
    if (this.owner !== null || this.isClosed) return;
    this.isClosed = true;
    this.link?.close(CloseCode.done, "another gateway is nearer");
  }

  opened(): void {
    if (this.isClosed) return;
    this.isOpen = true;
    this.news(this);
  }

  closed(code: number | null, reason: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.owner?.closed(code, reason);
    this.news(this);
  }

  control(bytes: Uint8Array): void {
    this.owner?.control(bytes);
  }

  progress(bytes: number): void {
    this.owner?.progress(bytes);
  }

  stream(bytes: Uint8Array): void {
    this.owner?.stream(bytes);
  }

  datagram(bytes: Uint8Array): void {
    this.owner?.datagram(bytes);
  }
}

/** Nothing was asked: they are dialled in the order given. */
export function inOrder(gateways: Gateway[]): Nearest {
  return { gateways, take: () => null, leave: () => undefined };
}

/** Dials each by QUIC where that is usable, and by WebSocket a moment later: one road for all, so that distances are compared. */
export function findNearest(
  gateways: Gateway[],
  webTransport: boolean,
  dial: Dial,
  later: (run: () => void, millis: number) => void,
): Promise<Nearest> {
  if (gateways.length < 2) return Promise.resolve(inOrder(gateways));
  return new Promise((resolve) => {
    const scouts: Scout[] = [];
    let socketsDialled = false;
    let settled = false;
    const settle = (first: Scout | null): void => {
      if (settled) return;
      settled = true;
      for (const scout of scouts) if (scout !== first) scout.leave();
      const rest = gateways.filter((gateway) => gateway !== first?.gateway);
      const fits = (road: Road, gateway: Gateway): boolean => first !== null && first.road === road && first.gateway === gateway;
      resolve({
        gateways: first === null ? rest : [first.gateway, ...rest],
        take: (road, gateway, listener) => (fits(road, gateway) ? (first?.take(listener) ?? null) : null),
        leave: () => first?.leave(),
      });
    };
    const news = (scout: Scout): void => {
      if (scout.isOpen && !scout.isClosed) settle(scout);
      else if (socketsDialled && scouts.every((each) => each.isClosed)) settle(null);
    };
    const send = (road: Road, gateway: Gateway): void => {
      const scout = new Scout(road, gateway, news);
      scouts.push(scout);
      scout.dial(dial);
    };
    const byQuic = webTransport ? gateways.filter((gateway) => gateway.udpPort !== 0) : [];
    for (const gateway of byQuic) send("webtransport", gateway);
    const bySocket = (): void => {
      if (settled) return;
      for (const gateway of gateways) send("websocket", gateway);
      socketsDialled = true;
      if (scouts.every((scout) => scout.isClosed)) settle(null);
    };
    if (byQuic.length === 0) bySocket();
    else later(bySocket, WEBSOCKET_HEAD_START_MS);
    later(() => settle(null), PATIENCE_MS);
  });
}
