// A viewer on a bench, for tests.

import assert from "node:assert/strict";
import type { Road } from "../link/link.ts";
import type { RoadMemory } from "../viewer/roads.ts";
import { type Environment, Viewer } from "../viewer/viewer.ts";
import type { OpenDecoder } from "../viewer/videos.ts";
import type { Gateway, Message } from "../wire/control.ts";
import { Far, flatHash, painting, plainCodec } from "./session-double.ts";

export const RED = 0xff00_00ff;
export const GREEN = 0xff00_ff00;
export const BLACK = 0xff00_0000;

/** A viewer with hands on its clock, roads and network. */
export class Bench {
  time = 1000;
  readonly dialled: Far[] = [];
  readonly messages: Message[] = [];
  readonly knocked: (string | null)[] = [];
  readonly heard: number[] = [];
  refused = 0;
  presented = 0;
  ticketsWanted = 0;
  wiped = 0;
  memory: RoadMemory | null = null;
  reachable = true;
  private due: (() => void)[] = [];
  readonly viewer: Viewer;

  constructor(webTransport = true, memory: RoadMemory | null = null, openDecoder: OpenDecoder | null = null, secret = "", gateways: Gateway[] = []) {
    const environment: Environment = {
      codec: plainCodec,
      openDecoder,
      playsSound: true,
      now: () => this.time,
      wallClock: () => this.time,
      dial: (road, gateway, listener) => {
        const far = new Far(road, listener, gateway?.host ?? null);
        this.dialled.push(far);
        return far;
      },
      knock: (gateway) => {
        this.knocked.push(gateway?.host ?? null);
        return Promise.resolve(this.reachable);
      },
      soon: (run) => this.due.push(run),
      present: () => this.presented++,
      changed: () => undefined,
      message: (message) => this.messages.push(message),
      sound: (packet) => this.heard.push(packet.number),
      inputRefused: (count) => (this.refused += count),
      remember: (kept) => (this.memory = kept),
      ticketWanted: () => this.ticketsWanted++,
      wipe: () => this.wiped++,
    };
    const target = { session: "s", ticket: Uint8Array.of(1), secret, width: 128, height: 128, gateways };
    this.viewer = new Viewer(environment, target, webTransport, memory);
  }

  /** Lets time pass in steps of a tick. */
  async pass(millis: number, alive: Far[] = []): Promise<void> {
    for (let left = millis; left > 0; left -= 50) {
      this.time += Math.min(50, left);
      for (const far of alive) far.say({ type: "Pong", number: 1_000_000, time: 0, ownTime: 0 });
      this.viewer.tick();
      await Promise.resolve();
      await Promise.resolve();
    }
    this.settle();
  }

  settle(): void {
    while (this.due.length > 0) this.due.shift()?.();
  }

  roads(): Road[] {
    return this.dialled.map((far) => far.road);
  }

  newest(road: Road): Far {
    const far = this.dialled.findLast((each) => each.road === road);
    assert.ok(far !== undefined, `no ${road} was dialled`);
    return far;
  }

  /** Attaches over this link and shows a red and a green tile, proven. */
  exactOver(far: Far): void {
    far.open();
    far.attached();
    far.stream(painting(1, [0, 1], [RED, GREEN]));
    this.settle();
    assert.ok(far.judge([flatHash(5n, RED), flatHash(5n, GREEN), flatHash(5n, BLACK), flatHash(5n, BLACK)]));
    assert.equal(this.viewer.exactness, "exact");
  }
}
