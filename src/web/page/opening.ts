// One session at a time: what was shown before is gone, pixels first, before another is asked for.

import type { Gateway } from "../wire/control.ts";
import type { ConnectInfo } from "./gateway.ts";

/** The right to dial once more. */
export interface Renewed {
  ticket: string;
  gateways: Gateway[];
}

/** What lets a viewer in. */
export interface Right {
  /** Which session: of an application, the one that was started. One of another site has that one's name: `desk@north`. */
  session: string;
  ticket: string;
  /** Empty for an access code. */
  secret: string;
  /** Where another site's session is to be had; none: at the page's own gateway. */
  gateways: Gateway[];
  /** Another ticket for the same secret; null if there is none to be had. */
  renew(): Promise<Renewed | null>;
}

export interface Start extends Right {
  info: ConnectInfo;
}

/** A session on the page. */
export interface Shown {
  /** At once, whatever state it is in: no pixel of it stays, and its worker is terminated. */
  close(): void;
}

export class Opening {
  private shown: Shown | null = null;
  private turn = 0;

  constructor(
    private readonly connect: () => Promise<ConnectInfo>,
    private readonly show: (start: Start) => Shown,
  ) {}

  /** Closes what is shown; what is being opened will not appear. */
  close(): void {
    this.turn++;
    const { shown } = this;
    this.shown = null;
    shown?.close();
  }

  /** Rejects with what `right` or the gateway said, unless something else was opened or closed meanwhile. */
  async open(rightTo: (isCurrent: () => boolean) => Promise<Right>): Promise<void> {
    this.close();
    const { turn } = this;
    const isCurrent = (): boolean => turn === this.turn;
    try {
      const info = await this.connect();
      if (!isCurrent()) return;
      const right = await rightTo(isCurrent);
      if (isCurrent()) this.shown = this.show({ ...right, info });
    } catch (error) {
      if (isCurrent()) throw error;
    }
  }
}
