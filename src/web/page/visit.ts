// Somebody's stay at this screen, from sign-in to sign-out. What it shows and whom it asks is given to it.

import {
  type Credentials, type Elsewhere, GatewayError, type Here, type HostAsks, type HostLogin, type SessionInfo, type SignedIn, type Ticket, type User,
} from "./gateway.ts";
import { Opening, type Renewed, type Right } from "./opening.ts";
import { hashOf, newSecret } from "./secret.ts";
import { atSite, sessionOf, siteOf } from "./site-names.ts";
import type { PlainWord } from "./words.ts";

/** The gateway's answers, as page/gateway.ts asks for them. */
export interface Desk {
  me(): Promise<SignedIn>;
  signIn(credentials: Credentials): Promise<SignedIn>;
  signOut(given: AbortSignal): Promise<void>;
  sessions(): Promise<Here>;
  elsewhere(): Promise<Elsewhere>;
  ticket(session: string, secretHash: string): Promise<Ticket>;
  give(session: string, login: HostLogin): Promise<string>;
  end(session: string): Promise<void>;
}

export interface Faces {
  /** The form, with a reason why it is there again and the name of who was there. */
  askToSignIn(reason: PlainWord | null, name: string): void;
  /** The list; null while it is being looked for. */
  list(user: User, sessions: SessionInfo[] | null, problem: PlainWord | null): void;
  /** What other sites have, beside that list: "looking" until they have answered, null if that could not be asked. */
  elsewhere(found: Elsewhere | "looking" | null): void;
  /** The host of a session wants to know with what its user signs in there. */
  askForHost(session: string, asks: HostAsks): void;
  /** Something went wrong that may pass. */
  trouble(error: unknown, again: () => void): void;
}

/** What the browser keeps for this page: no secrets. */
export interface Memory {
  /** The session that is open here, so that a reload goes on with it. */
  session: string;
  /** Somebody signed out, and the gateway has not heard of it yet. */
  leaving: boolean;
}

const SIGN_OUT_EVERY_MS = 2000;

/** Why a session is not there, or an application's, by the gateway's word for it. */
const NOT_OPENED: Record<string, PlainWord> = {
  "no-host": "noHost",
  "full": "hostsFull",
  "too-many-sessions": "tooManySessions",
  "not-started": "notStarted",
  "site-cut-off": "siteCutOff",
  "site": "siteRefused",
  "not-from-here": "notFromHere",
};

export class Visit {
  private user: User | null = null;
  private lastName = "";
  private turn = 0;
  private tellingSignOut = new AbortController();

  constructor(
    private readonly desk: Desk,
    private readonly faces: Faces,
    private readonly memory: Memory,
    private readonly opening: Opening,
  ) {}

  /** The page was loaded: who is there, by the cookie? */
  async begin(): Promise<void> {
    if (this.memory.leaving) return this.signOut();
    const turn = ++this.turn;
    try {
      const signedIn = await this.desk.me();
      if (turn === this.turn) await this.enter(signedIn);
    } catch (error) {
      if (turn === this.turn) this.refused(error, null, () => void this.begin());
    }
  }

  /** Rejects with what the gateway said. */
  async signIn(credentials: Credentials): Promise<void> {
    // Told now, a sign-out would end the stay that begins.
    this.tellingSignOut.abort();
    let signedIn: SignedIn;
    try {
      signedIn = await this.desk.signIn(credentials);
    } catch (error) {
      if (this.memory.leaving) this.tellSignOut();
      throw error;
    }
    this.memory.leaving = false;
    await this.enter(signedIn);
  }

  /** A badge let somebody in. Whoever was here before is gone first, and whatever locks the screen meanwhile wins. */
  async take(claiming: () => Promise<SignedIn>, session: string): Promise<void> {
    this.lock();
    this.tellingSignOut.abort();
    this.memory.leaving = false;
    const { turn } = this;
    try {
      const signedIn = await claiming();
      if (turn !== this.turn) return;
      this.lastName = signedIn.user.name;
      this.memory.session = session;
      await this.enter(signedIn);
    } catch (error) {
      if (turn === this.turn) throw error;
    }
  }

  /** The session's pixels are gone first; then who was there. The gateway is told by the seat's agent. */
  lock(): void {
    this.opening.close();
    this.turn++;
    this.user = null;
    this.memory.session = "";
  }

  private async enter({ user }: SignedIn): Promise<void> {
    this.opening.close();
    if (this.lastName !== "" && this.lastName !== user.name) this.memory.session = "";
    this.user = user;
    this.lastName = user.name;
    if (this.memory.session === "") return this.list(true);
    return this.open(this.memory.session);
  }

  /** Shows the sessions; with `mayOpen` the only one is opened at once, unless somebody else has it. */
  async list(mayOpen: boolean, problem: PlainWord | null = null): Promise<void> {
    this.opening.close();
    const { user } = this;
    if (user === null) return this.faces.askToSignIn(null, "");
    const turn = ++this.turn;
    this.memory.session = "";
    this.faces.list(user, null, problem);
    try {
      const { sessions, otherSites } = await this.desk.sessions();
      if (turn !== this.turn) return;
      const [only] = sessions;
      if (mayOpen && sessions.length === 1 && only !== undefined && only.holder?.you !== false && only.state !== "unavailable") return await this.open(only.name);
      this.faces.list(user, sessions, problem);
      if (otherSites) await this.listElsewhere(turn);
    } catch (error) {
      if (turn === this.turn) this.refused(error, null, () => void this.list(mayOpen, problem));
    }
  }

  /** What is here is shown already, and stays whatever other sites say. */
  private async listElsewhere(turn: number): Promise<void> {
    this.faces.elsewhere("looking");
    let found: Elsewhere | null = null;
    try {
      found = await this.desk.elsewhere();
    } catch (error) {
      if (error instanceof GatewayError && error.status === 401) throw error;
    }
    if (turn === this.turn) this.faces.elsewhere(found);
  }

  async open(session: string): Promise<void> {
    const turn = ++this.turn;
    this.memory.session = session;
    try {
      await this.opening.open((isCurrent) => this.rightTo(session, isCurrent));
    } catch (error) {
      if (turn === this.turn) this.refused(error, session, () => void this.open(session));
    }
  }

  /** Signs in to a session's host with what was typed, and shows the session. Rejects with what the gateway said of it. */
  async give(asked: string, login: HostLogin): Promise<void> {
    const turn = ++this.turn;
    try {
      const session = await this.desk.give(asked, login);
      if (turn === this.turn) await this.open(session);
    } catch (error) {
      if (turn !== this.turn) return;
      // Who is no longer signed in, or may not have it, has nothing to type.
      const status = error instanceof GatewayError ? error.status : 0;
      if (status !== 401 && status !== 403 && !(error instanceof GatewayError && error.reason in NOT_OPENED)) throw error;
      this.refused(error, asked, () => void this.open(asked));
    }
  }

  /** Ends a session for good, and everything that runs in it. */
  async end(session: string): Promise<void> {
    const turn = ++this.turn;
    try {
      await this.desk.end(session);
    } catch (error) {
      // Whoever was faster has ended it.
      const gone = error instanceof GatewayError && error.status === 404;
      if (!gone) return turn === this.turn ? this.refused(error, null, () => void this.list(false)) : undefined;
    }
    if (turn === this.turn) await this.list(false);
  }

  /** Asks to watch, and shows the session once its user has agreed; resolves to whether it is shown. */
  async watch(ask: (secretHash: string) => Promise<{ ticket: string; session: string }>): Promise<boolean> {
    this.opening.close();
    const turn = ++this.turn;
    this.memory.session = "";
    const secret = newSecret();
    try {
      const { ticket, session } = await ask(await hashOf(secret));
      if (turn !== this.turn) return false;
      await this.opening.open(() => Promise.resolve({ session, ticket, secret, gateways: [], renew: () => Promise.resolve(null) }));
      return true;
    } catch (error) {
      if (turn === this.turn && error instanceof GatewayError && error.status === 401) this.refused(error, null, () => undefined);
      return false;
    }
  }

  private async rightTo(asked: string, isCurrent: () => boolean): Promise<Right> {
    const secret = newSecret();
    const hash = await hashOf(secret);
    const given = await this.desk.ticket(asked, hash);
    const { ticket, gateways } = given;
    const session = atSite(given.session, siteOf(asked));
    // A reload goes on with the session that was started, and starts no other.
    if (isCurrent()) this.memory.session = session;
    const renew = async (): Promise<Renewed | null> => {
      try {
        return await this.desk.ticket(session, hash);
      } catch (error) {
        // What may pass is asked again at the next refusal.
        const final = error instanceof GatewayError && ([401, 403, 404].includes(error.status) || error.asks !== null || error.reason === "not-from-here");
        if (final && isCurrent()) this.refused(error, session, () => undefined);
        return null;
      }
    };
    return { session, ticket, secret, gateways, renew };
  }

  private refused(error: unknown, session: string | null, again: () => void): void {
    this.opening.close();
    const status = error instanceof GatewayError ? error.status : 0;
    if (status === 401) {
      const name = this.user?.name ?? "";
      this.user = null;
      this.faces.askToSignIn(name === "" ? null : "signInAgain", name);
    } else if (session !== null && error instanceof GatewayError && error.asks !== null) {
      this.faces.askForHost(session, error.asks);
    } else if (session !== null && error instanceof GatewayError && error.reason in NOT_OPENED) {
      void this.list(false, NOT_OPENED[error.reason]);
    } else if (session !== null && (status === 403 || status === 404)) {
      // One that was started for them, and is refused, has ended.
      void this.list(false, status === 403 && !sessionOf(session).includes(".") ? "sessionNotYours" : "endedNoSession");
    } else {
      this.faces.trouble(error, again);
    }
  }

  /** The session's pixels are gone first; then everything else of whoever was there. */
  signOut(): void {
    this.opening.close();
    this.turn++;
    this.user = null;
    this.memory.session = "";
    this.memory.leaving = true;
    this.faces.askToSignIn(null, "");
    this.tellSignOut();
  }

  private tellSignOut(): void {
    this.tellingSignOut.abort();
    this.tellingSignOut = new AbortController();
    void this.keepTelling(this.tellingSignOut.signal);
  }

  private async keepTelling(given: AbortSignal): Promise<void> {
    while (!given.aborted) {
      try {
        await this.desk.signOut(given);
        this.memory.leaving = false;
        return;
      } catch (error) {
        if (given.aborted) return;
        // Whoever is not signed in need not be signed out.
        if (error instanceof GatewayError && error.status === 401) {
          this.memory.leaving = false;
          return;
        }
        this.faces.askToSignIn("signOutUntold", "");
      }
      await new Promise((resolve) => setTimeout(resolve, SIGN_OUT_EVERY_MS));
    }
  }

  /** The session that was shown has ended here, perhaps taken elsewhere: a reload does not fetch it back. */
  ended(): void {
    this.memory.session = "";
  }
}
