// A seat's screen while badges come and go: every presented frame is kept, and every animation frame's canvas is looked at.

import type { Run } from "./scenarios.ts";

/** Runs in the page before its own scripts. It hears the agent first, so that from a message on, what may be seen is known. */
const WATCH = `(() => {
  const seen = globalThis.seen = { expected: null, samples: 0, wrong: [], kinds: {} };
  const Real = WebSocket;
  globalThis.WebSocket = class extends Real {
    constructor(...all) {
      super(...all);
      if (!String(all[0]).endsWith("/page")) return;
      this.addEventListener("message", (event) => {
        const said = JSON.parse(event.data);
        seen.expected = said.show === "session" ? said.title : null;
      });
      this.addEventListener("close", () => (seen.expected = null));
    }
  };
  const one = document.createElement("canvas");
  one.width = one.height = 8;
  const brush = one.getContext("2d", { willReadFrequently: true });
  const look = () => {
    const canvas = document.querySelector("#stage canvas");
    if (canvas !== null && canvas.width > 0 && canvas.height > 0) {
      seen.samples++;
      brush.clearRect(0, 0, 8, 8);
      brush.drawImage(canvas, 0, 0, canvas.width, canvas.height, 0, 0, 8, 8);
      const bytes = brush.getImageData(0, 0, 8, 8).data;
      const colours = new Set();
      for (let at = 0; at < bytes.length; at += 4) {
        if (bytes[at + 3] > 0) colours.add(((bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2]).toString(16).padStart(6, "0"));
      }
      for (const colour of colours) {
        const kind = seen.expected + " " + colour;
        seen.kinds[kind] = (seen.kinds[kind] ?? 0) + 1;
      }
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()`;

const PATIENCE_MS = 60_000;
const TITLE = "document.querySelector('#session').checkVisibility() ? document.title : ''";
const SEEN = "(id) => document.getElementById(id).checkVisibility()";

/** kiosk FOLDER PIN MILLISECONDS: tells what is shown, types the PIN when it is asked for, by keys and by fingers in turn; ends after that
 * long at the tap screen without anything new. */
export async function kiosk(run: Run): Promise<void> {
  const [folder, pin, quiet] = [run.args[0] ?? ".", run.args[1] ?? "", Number(run.args[2] ?? 3000)];
  const { page } = run;
  const start = page.url();
  if (start !== "about:blank") throw new Error("kiosk begins on an empty page");
  await page.evaluateOnNewDocument(WATCH);
  let frames = 0;
  const devtools = await page.createCDPSession();
  devtools.on("Page.screencastFrame", (frame: { data: string; sessionId: number }) => {
    run.write(`${folder}/frame-${String(frames++).padStart(5, "0")}.png`, Buffer.from(frame.data, "base64"));
    void devtools.send("Page.screencastFrameAck", { sessionId: frame.sessionId });
  });
  await page.goto(run.args[3] ?? "", { waitUntil: "load" });
  await devtools.send("Page.startScreencast", { format: "png", everyNthFrame: 1 });
  let last = "";
  let pins = 0;
  let changedAt = Date.now();
  for (;;) {
    const state = await stateOf(run);
    if (state !== last) {
      run.say({ step: state === "tap" ? "dark" : state.startsWith("open ") ? "open" : "state", state });
      last = state;
      changedAt = Date.now();
      if (state === "pin") await typePin(run, pin, pins++ % 2 === 1);
    }
    if (state === "tap" && Date.now() - changedAt > quiet) break;
    if (Date.now() - changedAt > PATIENCE_MS) throw new Error(`nothing new since ${last}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
  await devtools.send("Page.stopScreencast");
  const seen = (await page.evaluate("globalThis.seen")) as Record<string, unknown>;
  run.say({ step: "done", frames, ...seen });
}

async function stateOf(run: Run): Promise<string> {
  const { page } = run;
  const title = (await page.evaluate(TITLE)) as string;
  if (title !== "") {
    const state = (await page.evaluate("globalThis.chevet.state()")) as { exactness: string } | null;
    return state?.exactness === "exact" ? `open ${title}` : "opening";
  }
  if ((await page.evaluate(`(${SEEN})("pin-form")`)) as boolean) {
    const busy = await page.evaluate("document.getElementById('pin-form').getAttribute('aria-busy')");
    return busy === "true" ? "busy" : "pin";
  }
  const agentThere = "document.getElementById('badge-seat').textContent !== ''";
  const waits = (await page.evaluate(`(${SEEN})("badge-waits")`)) as boolean;
  return waits && ((await page.evaluate(agentThere)) as boolean) ? "tap" : "other";
}

async function typePin(run: Run, pin: string, byFingers: boolean): Promise<void> {
  if (!byFingers) {
    await run.page.type("#pin", pin);
    await run.page.keyboard.press("Enter");
    return;
  }
  for (const digit of pin) await run.page.click(`[data-digit="${digit}"]`);
  await run.page.click('#pin-form button[type="submit"]');
}
