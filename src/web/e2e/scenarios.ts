// What a run may do. Every scenario says its steps as JSON lines; files hold raw R, G, B, A bytes.

import type { Page } from "puppeteer-core";
import { administer, several, shadow } from "./admin.ts";
import { replay } from "./replay.ts";
import { kiosk } from "./kiosk.ts";
import { cutOff, roam } from "./sites.ts";
import { pressAll } from "./typing.ts";

export interface Run {
  page: Page;
  say(step: Record<string, unknown>): void;
  args: string[];
  write(path: string, bytes: Uint8Array): void;
}

export interface State {
  phase: string;
  exactness: string;
  policy: string;
  road: string | null;
  gateway: string | null;
  width: number;
  height: number;
  updates: number;
  videoFrames: number;
  bytes: number;
  latencyMillis: number | null;
  decodeMicros: number;
  presentMicros: number;
}

/** What the page says of what it hears. */
interface HeardSound {
  decoded: number;
  played: number;
  lost: number;
  muted: boolean;
  player: string;
  rate: number;
  samples: number[];
}

/** The root of the mean square: 1 is as loud as can be. */
function loudnessOf(samples: number[]): number {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}

/** The frequency of a tone, by where it rises through zero. */
function hertzOf(samples: number[], rate: number): number {
  const rises: number[] = [];
  for (let at = 1; at < samples.length; at++) {
    const [before, after] = [samples[at - 1] as number, samples[at] as number];
    if (before < 0 && after >= 0) rises.push(at - after / (after - before));
  }
  return ((rises.length - 1) * rate) / ((rises.at(-1) ?? 0) - (rises[0] ?? 0));
}

const PATIENCE_MS = 30_000;
const LOOK_EVERY_MS = 20;
const QUIET_MS = 1000;

export function argument(run: Run, index: number, what: string): string {
  const value = run.args[index];
  if (value === undefined) throw new Error(`argument ${index + 1} of the scenario is missing: ${what}`);
  return value;
}

const sleep = (millis: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, millis));

/** Pastes, and stays until what was pasted has arrived: who waits for it ends the browser. */
async function paste({ page, say }: Run): Promise<void> {
  await page.keyboard.down("Control");
  // A key alone pastes nothing where no window system does it.
  await page.keyboard.down("v", { commands: ["Paste"] });
  await page.keyboard.up("v");
  await page.keyboard.up("Control");
  say({ step: "pasted" });
  await page.waitForFunction("false", { timeout: PATIENCE_MS }).catch(() => undefined);
}

async function stateOf(page: Page): Promise<State | null> {
  return (await page.evaluate("globalThis.chevet.state()")) as State | null;
}

export async function until(run: Run, what: string, holds: (state: State) => boolean): Promise<State> {
  const deadline = Date.now() + PATIENCE_MS;
  let state = await stateOf(run.page);
  while (state === null || !holds(state)) {
    if (Date.now() > deadline) throw new Error(`not ${what} after ${PATIENCE_MS} ms: ${JSON.stringify(state)}`);
    await sleep(LOOK_EVERY_MS);
    state = await stateOf(run.page);
  }
  return state;
}

export function untilExact(run: Run): Promise<State> {
  return until(run, "exact", (state) => state.exactness === "exact");
}

/** The canvas' pixels as base64, which every driver carries; the page makes it in pieces that fit its stack. */
const READ_PIXELS = `(async () => {
  const bytes = new Uint8Array(await globalThis.chevet.pixels());
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
})()`;

/** The mark of the policy, if it is to be seen. */
const POLICY_MARK = `(() => {
  const mark = document.getElementById("policy");
  return mark.checkVisibility() && mark.getBoundingClientRect().bottom > 0 ? mark.textContent : "";
})()`;

const DECODES_H264 = `(async () => {
  const config = { codec: "avc1.64002A", optimizeForLatency: true };
  return "VideoDecoder" in globalThis && (await VideoDecoder.isConfigSupported(config)).supported;
})()`;

/** What the page says is wrong, if anything: a scenario that fails tells it. */
export const PROBLEM = `document.getElementById("problem").checkVisibility() ? document.getElementById("problem").textContent : ""`;

/** NAME PASSWORD APPLICATION: starts an application, reloads, resumes it from the list, and ends it. */
async function application(run: Run): Promise<void> {
  const [name, password, wanted] = [0, 1, 2].map((index) => argument(run, index, "NAME PASSWORD APPLICATION")) as [string, string, string];
  const { page } = run;
  const list = `[...document.querySelectorAll(".card")].map((card) => card.dataset.session + ": " + card.querySelector(".state").innerText).join()`;
  await untilSeen(run, "#user-name");
  await page.type("#user-name", name);
  await page.type("#password", password);
  await page.keyboard.press("Enter");
  const fresh = `.card[data-session="${wanted}"]`;
  await untilSeen(run, fresh);
  run.say({ step: "listed", list: await page.evaluate(list) });
  const clicked = Date.now();
  await page.click(fresh);
  await untilExact(run);
  run.say({ step: "started", millis: Date.now() - clicked });
  await page.reload();
  await untilExact(run);
  run.say({ step: "reloaded" });
  await page.evaluate(`document.querySelector("#disconnect").click()`);
  const running = `.card[data-session^="${wanted}."]`;
  await untilSeen(run, running);
  run.say({ step: "left", list: await page.evaluate(list) });
  await page.click(running);
  await untilExact(run);
  run.say({ step: "resumed" });
  await page.evaluate(`document.querySelector("#disconnect").click()`);
  await untilSeen(run, ".card-end");
  await page.click(".card-end");
  await page.click(".card-end");
  await untilSeen(run, fresh);
  run.say({ step: "ended", list: await page.evaluate(list) });
}

/** NAME PASSWORD USER PASSWORD-THERE FILES: opens the only application, whose host asks; a wrong password, then the right one;
 * leaves. Screenshots of the form as FILES-asked.png and FILES-refused.png. */
async function credentials(run: Run): Promise<void> {
  const [name, password, user, there, files] = [0, 1, 2, 3, 4].map((index) => argument(run, index, "NAME PASSWORD USER PASSWORD-THERE FILES")) as [string, string, string, string, string];
  const { page } = run;
  await untilSeen(run, "#user-name");
  await page.type("#user-name", name);
  await page.type("#password", password);
  await page.keyboard.press("Enter");
  await untilSeen(run, "#host-password");
  const title = "document.querySelector('#credentials-title').textContent";
  run.say({ step: "asked", title: await page.evaluate(title), focus: await page.evaluate("document.activeElement.id") });
  run.write(`${files}-asked.png`, await page.screenshot({ type: "png" }));
  // By the keyboard alone.
  await page.keyboard.type("not this");
  await page.focus("#host-user");
  await page.keyboard.down("Control");
  await page.keyboard.press("KeyA");
  await page.keyboard.up("Control");
  await page.keyboard.type(user);
  await page.keyboard.press("Enter");
  await untilSeen(run, "#problem");
  const fields = "({ user: document.querySelector('#host-user').value, password: document.querySelector('#host-password').value })";
  run.say({ step: "refused", problem: await page.evaluate(PROBLEM), ...((await page.evaluate(fields)) as object) });
  await page.keyboard.type(there);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Space");
  run.write(`${files}-refused.png`, await page.screenshot({ type: "png" }));
  await page.keyboard.press("Enter");
  const state = await untilExact(run);
  run.say({ step: "shown", ...state });
  await page.evaluate(`document.querySelector("#disconnect").click()`);
  await untilSeen(run, ".card");
  run.say({ step: "listed", list: await page.evaluate("document.querySelector('#cards').innerText") });
}

export async function untilSeen(run: Run, selector: string): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  const seen = `document.querySelector(${JSON.stringify(selector)})?.checkVisibility() === true`;
  while (!(await run.page.evaluate(seen))) {
    if (Date.now() > deadline) throw new Error(`no ${selector} after ${PATIENCE_MS} ms: ${await run.page.evaluate(PROBLEM)}`);
    await sleep(LOOK_EVERY_MS);
  }
}

export async function writePixels(run: Run, path: string): Promise<void> {
  const pixels = Buffer.from((await run.page.evaluate(READ_PIXELS)) as string, "base64");
  const state = await stateOf(run.page);
  run.write(path, pixels);
  run.say({ step: "pixels", path, bytes: pixels.length, width: state?.width, height: state?.height });
}

export const scenarios: Record<string, (run: Run) => Promise<void>> = {
  /** exact FILE: until the picture is proven exact, then its pixels. */
  async exact(run) {
    const path = argument(run, 0, "where to write the pixels");
    const state = await untilExact(run);
    run.say({ step: "exact", ...state, timings: await run.page.evaluate("globalThis.chevet.timings") });
    await writePixels(run, path);
  },

  /** hold SECONDS FILE: stays connected that long, exact or moving, then writes the pixels of that moment. */
  async hold(run) {
    const seconds = Number(argument(run, 0, "how many seconds"));
    const path = argument(run, 1, "where to write the pixels");
    const before = await until(run, "shown", (state) => state.phase === "live" && state.updates > 0);
    run.say({ step: "shown", ...before });
    await sleep(seconds * 1000);
    run.say({ step: "held", ...(await stateOf(run.page)) });
    await writePixels(run, path);
  },

  /** film SECONDS FILE FILE: what is shown after that long, and once the film is said to rest, what is when all has been exact for a while. */
  async film(run) {
    const seconds = Number(argument(run, 0, "how many seconds"));
    const [playing, resting] = [argument(run, 1, "where to write the first pixels"), argument(run, 2, "and the last")];
    const before = await until(run, "shown", (state) => state.phase === "live" && state.updates > 0);
    run.say({ step: "shown", ...before });
    await sleep(seconds * 1000);
    const [mark, decodesH264] = [await run.page.evaluate(POLICY_MARK), await run.page.evaluate(DECODES_H264)];
    run.say({ step: "playing", ...(await stateOf(run.page)), mark, decodesH264 });
    await writePixels(run, playing);
    // Whoever plays the film says when its last picture is there.
    await new Promise((resolve) => process.stdin.once("data", resolve));
    let last = await untilExact(run);
    for (let quietSince = Date.now(); Date.now() - quietSince < QUIET_MS; await sleep(LOOK_EVERY_MS)) {
      const state = await untilExact(run);
      if (state.updates !== last.updates) quietSince = Date.now();
      last = state;
    }
    run.say({ step: "held", ...last });
    await writePixels(run, resting);
  },

  /** type FILE: presses the keys of a JSON list of {"press": ["KeyQ=a", ...]}, a row after the other. */
  async type(run) {
    const path = argument(run, 0, "the JSON file of rows");
    await untilExact(run);
    run.say({ step: "exact" });
    await pressAll(run.page, path, (row, press) => run.say({ step: "typed", row, press }));
    await untilExact(run);
    run.say({ step: "done", ...(await stateOf(run.page)) });
  },

  /** provider FILE: signs in by the first provider, which asks nothing, a screenshot; signs out, here and there; then what the
   * page says of a sign-in that was too weak, and the same way in on the administration page. */
  async provider(run) {
    const path = argument(run, 0, "where to write the screenshot");
    const { page } = run;
    const home = page.url();
    await untilSeen(run, "#providers a");
    run.say({ step: "offered", title: await page.evaluate("document.querySelector('#providers a').textContent") });
    await Promise.all([page.waitForNavigation(), page.click("#providers a")]);
    await page.waitForSelector("#sign-out", { visible: true });
    run.say({ step: "in", who: await page.evaluate("document.querySelector('#who').textContent"), url: page.url() });
    run.write(path, await page.screenshot({ type: "png" }));
    await Promise.all([page.waitForNavigation(), page.click("#sign-out")]);
    run.say({ step: "out", url: page.url() });
    await page.goto(`${home}#error=oidc-acr`, { waitUntil: "load" });
    await page.waitForSelector("#problem", { visible: true });
    await untilSeen(run, "#providers a");
    run.say({ step: "told", problem: await page.evaluate(PROBLEM), url: page.url() });
    // Providers send back to the sessions page alone; it goes on to where the sign-in began.
    await page.goto(new URL("admin", home).href, { waitUntil: "load" });
    await untilSeen(run, "#providers a");
    await page.click("#providers a");
    await page.waitForSelector("#sign-in-problem", { visible: true });
    run.say({ step: "admin", problem: await page.evaluate("document.querySelector('#sign-in-problem').textContent"), url: page.url() });
  },

  /** roads: which road carried the first exact screen. */
  async roads(run) {
    const state = await untilExact(run);
    run.say({ step: "road", ...state, timings: await run.page.evaluate("globalThis.chevet.timings") });
  },

  /** reconnect SECONDS: every change of phase, exactness or road, with its time. */
  async reconnect(run) {
    const seconds = Number(argument(run, 0, "how many seconds"));
    await untilExact(run);
    const started = Date.now();
    let last = "";
    while (Date.now() - started < seconds * 1000) {
      const state = await stateOf(run.page);
      const { phase, exactness, road } = state ?? { phase: "none", exactness: null, road: null };
      const now = JSON.stringify([phase, exactness, road]);
      if (now !== last) run.say({ step: "state", millis: Date.now() - started, phase, exactness, road });
      last = now;
      await sleep(LOOK_EVERY_MS);
    }
    run.say({ step: "done", ...(await stateOf(run.page)) });
  },

  /** sign-in NAME PASSWORD FILE [CODE] [SESSION]: fills the form, and the code if it is asked for; picks the session where several
   * are listed; a screenshot of what is exact then. */
  async "sign-in"(run) {
    const [name, password] = [argument(run, 0, "the user's name"), argument(run, 1, "the password")];
    const path = argument(run, 2, "where to write the screenshot");
    const { page } = run;
    await untilSeen(run, "#user-name");
    run.say({ step: "form" });
    await page.type("#user-name", name);
    await page.type("#password", password);
    await page.keyboard.press("Enter");
    if (run.args[3] !== undefined && run.args[3] !== "") {
      await untilSeen(run, "#one-time-code");
      run.say({ step: "code" });
      await page.type("#one-time-code", run.args[3]);
      await page.keyboard.press("Enter");
    }
    const wanted = run.args[4];
    if (wanted !== undefined) {
      await untilSeen(run, ".card");
      const card = `[...document.querySelectorAll(".card")].find((card) => card.textContent.includes(${JSON.stringify(wanted)}))`;
      if (!(await page.evaluate(`${card} !== undefined`))) throw new Error(`no session is called ${wanted}`);
      await page.evaluate(`${card}.click()`);
    }
    run.say({ step: "exact", ...(await untilExact(run)) });
    run.write(path, await page.screenshot({ type: "png" }));
    run.say({ step: "picture", path });
  },

  /** follow NAME PASSWORD: signs in, and says when the session has gone elsewhere, why, and what is left of it on the page. */
  async follow(run) {
    const [name, password] = [argument(run, 0, "the user's name"), argument(run, 1, "the password")];
    const { page } = run;
    await untilSeen(run, "#user-name");
    await page.type("#user-name", name);
    await page.type("#password", password);
    await page.keyboard.press("Enter");
    run.say({ step: "exact", ...(await untilExact(run)) });
    await page.waitForSelector("#ended", { visible: true });
    const left = "document.querySelectorAll('#stage canvas').length";
    const why = "document.querySelector('#ended-why').textContent";
    run.say({ step: "gone", why: await page.evaluate(why), canvases: await page.evaluate(left) });
    // Taken back by its user, it is shown again.
    await page.click("#reconnect");
    run.say({ step: "back", ...(await untilExact(run)) });
  },

  /** card: signs in by the first of the other ways, and says who is there, or what the page says of it. */
  async card(run) {
    const { page } = run;
    await untilSeen(run, "#providers a");
    await Promise.all([page.waitForNavigation(), page.click("#providers a")]);
    // What is told, or a list of sessions.
    const told = "document.querySelector('#who').textContent || document.querySelector('#problem').textContent";
    await page.waitForFunction(told);
    run.say({ step: "back", url: page.url(), told: await page.evaluate(told) });
  },
  application,
  credentials,
  /** share NAME PASSWORD: invites, admits who asks, gives control, takes it back, dismisses; a step each. */
  async share(run) {
    const [name, password] = [argument(run, 0, "the user's name"), argument(run, 1, "the password")];
    const { page } = run;
    await untilSeen(run, "#user-name");
    await page.type("#user-name", name);
    await page.type("#password", password);
    await page.keyboard.press("Enter");
    await untilExact(run);
    // The bar may be out of sight; a click by its element finds it.
    const press = (selector: string): Promise<unknown> => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`);
    await press("#share");
    await untilSeen(run, "#invitation p");
    run.say({ step: "code", text: await page.evaluate("document.querySelector('#invitation p').textContent") });
    await untilSeen(run, ".watch-admit");
    run.say({ step: "asked", text: await page.evaluate("document.querySelector('.watch-question p').textContent") });
    await press(".watch-admit");
    await untilSeen(run, ".give-control");
    run.say({ step: "watched", text: await page.evaluate("document.querySelector('#watched').textContent") });
    await press(".give-control");
    await untilSeen(run, ".take-control");
    await press(".take-control");
    await untilSeen(run, ".give-control");
    run.say({ step: "taken back" });
    await press(".dismiss-watcher");
    await page.waitForFunction("document.querySelector('#watched').childElementCount === 0");
    run.say({ step: "alone" });
  },

  /** locked NAME PASSWORD: signs in, touches nothing, and says what the page shows once it is locked. */
  async locked(run) {
    const [name, password] = [argument(run, 0, "the user's name"), argument(run, 1, "the password")];
    const { page } = run;
    await untilSeen(run, "#user-name");
    await page.type("#user-name", name);
    await page.type("#password", password);
    await page.keyboard.press("Enter");
    await untilExact(run);
    run.say({ step: "open", marks: await page.evaluate("document.querySelectorAll('#stage .watermark').length") });
    await page.waitForSelector("#ended", { visible: true });
    const left = "document.querySelectorAll('#stage canvas').length";
    run.say({ step: "locked", title: await page.evaluate("document.querySelector('#ended').innerText"), canvases: await page.evaluate(left) });
  },

  /** clipboard COPIED PASTED: waits until the browser's clipboard has what is copied in the session, then pastes a text of its own. */
  async clipboard(run) {
    const [copied, pasted] = [argument(run, 0, "what is copied in the session"), argument(run, 1, "what is pasted")];
    const { page } = run;
    await page.browserContext().overridePermissions(new URL(page.url()).origin, ["clipboard-read", "clipboard-sanitized-write"]);
    await untilExact(run);
    await page.bringToFront();
    run.say({ step: "ready" });
    await page.waitForFunction(`navigator.clipboard.readText().then((text) => text === ${JSON.stringify(copied)})`, { polling: 100 });
    run.say({ step: "copied" });
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(pasted)})`);
    await paste(run);
  },

  /** copiedPicture WIDTH: waits until the browser's clipboard has a picture of this width, then pastes one of its own: 90 by 70, all of rgb(10, 120, 200). */
  async copiedPicture(run) {
    const width = Number(argument(run, 0, "the width of the picture that is copied in the session"));
    const { page } = run;
    await page.browserContext().overridePermissions(new URL(page.url()).origin, ["clipboard-read", "clipboard-write", "clipboard-sanitized-write"]);
    await untilExact(run);
    await page.bringToFront();
    run.say({ step: "ready" });
    // What is copied is looked at as a page would that pastes it.
    const look = `(async () => {
      for (const item of await navigator.clipboard.read()) {
        if (!item.types.includes("image/png")) continue;
        const picture = await createImageBitmap(await item.getType("image/png"));
        const context = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
        context.drawImage(picture, 0, 0);
        const pixels = context.getImageData(0, 0, picture.width, picture.height).data;
        return { width: picture.width, height: picture.height, first: [...pixels.slice(0, 4)], last: [...pixels.slice(-4)] };
      }
      return null;
    })()`;
    await page.waitForFunction(`${look}.then((seen) => seen?.width === ${width})`, { polling: 100 });
    run.say({ step: "copied", seen: await page.evaluate(look) });
    await page.evaluate(`(async () => {
      const canvas = new OffscreenCanvas(90, 70);
      const context = canvas.getContext("2d");
      context.fillStyle = "rgb(10, 120, 200)";
      context.fillRect(0, 0, 90, 70);
      await navigator.clipboard.write([new ClipboardItem({ "image/png": await canvas.convertToBlob() })]);
    })()`);
    await paste(run);
  },

  /** sound: does something, as browsers ask before a page may play, hears a tone, mutes it, and hears it again. */
  async sound(run) {
    const { page } = run;
    const heard = async (): Promise<HeardSound> => (await page.evaluate("globalThis.chevet.sound()")) as HeardSound;
    const decodedMoreThan = async (count: number): Promise<HeardSound> => {
      await page.waitForFunction(`globalThis.chevet.sound().decoded > ${count}`, { polling: 50, timeout: PATIENCE_MS });
      return heard();
    };
    await untilExact(run);
    await page.bringToFront();
    await page.waitForFunction("!document.querySelector('#mute').hidden", { polling: 50, timeout: PATIENCE_MS });
    await page.mouse.click(200, 200);
    const { samples, ...counts } = await decodedMoreThan(100);
    run.say({ step: "heard", ...counts, loudness: loudnessOf(samples), hertz: hertzOf(samples, counts.rate) });
    const press = (): Promise<unknown> => page.evaluate("document.querySelector('#mute').click()");
    const word = (): Promise<unknown> => page.evaluate("document.querySelector('#mute').textContent");
    const loud = await word();
    await press();
    const deadline = Date.now() + PATIENCE_MS;
    for (let last = -1; last !== (await heard()).decoded; ) {
      if (Date.now() > deadline) throw new Error("what is muted is still sent");
      last = (await heard()).decoded;
      await sleep(QUIET_MS);
    }
    run.say({ step: "muted", loud, word: await word(), kept: await page.evaluate("localStorage.getItem('chevet.muted')") });
    await press();
    await decodedMoreThan((await heard()).decoded + 50);
    run.say({ step: "unmuted", word: await word(), kept: await page.evaluate("localStorage.getItem('chevet.muted')") });
  },

  administer,
  several,
  shadow,
  replay,
  roam,
  cutOff,

  kiosk,

  /** picture FILE [MILLISECONDS]: a screenshot of the page, for people to look at. */
  async picture(run) {
    const path = argument(run, 0, "where to write the screenshot");
    await sleep(Number(run.args[1] ?? 800));
    for (const selector of run.args.slice(2)) {
      await run.page.click(selector);
      await sleep(400);
    }
    run.write(path, await run.page.screenshot({ type: "png" }));
    run.say({ step: "picture", path });
  },
};
