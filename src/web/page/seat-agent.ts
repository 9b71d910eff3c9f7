// The agent of this seat, on the same workstation: it says what to show, and is told of PINs and locks. When it is gone, nothing is shown.

export type Problem = "refused" | "too-many" | "away" | "no-page";

/** What the agent says. Whatever is not a session means that nothing of a session is to be seen. */
export type ToPage =
  | { show: "tap"; seat: string; mode: "wedge" | "card"; problem: Problem | null }
  | { show: "pin"; problem: Problem | null }
  | { show: "busy" }
  | { show: "session"; claim: string; session: string | null; title: string };

export type FromPage = { say: "pin"; pin: string } | { say: "cancel" | "used" | "lock" | "over" };

const AGAIN_MS = 1000;
const USED_EVERY_MS = 5000;

/** Where the agent listens, and the secret that it gave this page. */
export interface AgentAddress {
  port: number;
  secret: string;
}

export function readAgent(text: string | null): AgentAddress | null {
  const [port, secret] = (text ?? "").split(".");
  const number = Number(port);
  if (!Number.isInteger(number) || number < 1 || number > 65_535 || secret === undefined || secret === "") return null;
  return { port: number, secret };
}

export class SeatAgent {
  private socket: WebSocket | null = null;
  private usedAt = -USED_EVERY_MS;

  constructor(
    private readonly at: AgentAddress,
    private readonly hear: (message: ToPage) => void,
    private readonly lost: () => void,
  ) {}

  begin(): void {
    this.dial();
    for (const kind of ["keydown", "pointerdown", "pointermove", "wheel"] as const) {
      addEventListener(kind, () => this.used(), { capture: true, passive: true });
    }
  }

  private dial(): void {
    const socket = new WebSocket(`ws://127.0.0.1:${this.at.port}/page`);
    this.socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({ secret: this.at.secret }));
    socket.onmessage = (event: MessageEvent<string>) => this.hear(JSON.parse(event.data) as ToPage);
    socket.onclose = () => {
      this.socket = null;
      this.lost();
      setTimeout(() => this.dial(), AGAIN_MS);
    };
  }

  say(message: FromPage): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  private used(): void {
    const now = performance.now();
    if (now - this.usedAt < USED_EVERY_MS) return;
    this.usedAt = now;
    this.say({ say: "used" });
  }
}
