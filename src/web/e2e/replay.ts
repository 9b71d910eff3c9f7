// The replay page, as an auditor uses it.

import type { Page } from "puppeteer-core";
import type { Run } from "./scenarios.ts";

const PATIENCE_MS = 30_000;

interface State {
  opened: boolean;
  time: number;
  end: number;
  keys: number;
  playing: boolean;
  problem: string | null;
  width: number;
}

async function until(page: Page, expression: string): Promise<void> {
  try {
    await page.waitForFunction(expression, { timeout: PATIENCE_MS });
  } catch {
    throw new Error(`never true: ${expression}; the page says: ${String(await page.evaluate("document.body.innerText"))}`);
  }
}

const state = async (page: Page): Promise<State> => (await page.evaluate("chevet.state()")) as State;

/** Gives the identity to the recording that is listed first. */
async function openFirst(page: Page, identity: string): Promise<void> {
  await until(page, `document.querySelectorAll("#rows tr").length > 0`);
  await page.focus("#rows .acts button");
  await page.keyboard.press("Enter");
  await until(page, `document.activeElement?.id === "identity-text"`);
  await page.keyboard.type(identity);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
}

/**
 * NAME PASSWORD IDENTITY WRONG FOLDER TIME...: signs in, is refused with a wrong identity, opens the first recording,
 * goes to each time (microseconds, in this order), writes what is shown, and plays to the end.
 */
export async function replay({ page, say, args, write }: Run): Promise<void> {
  const [name = "", password = "", identity = "", wrong = "", folder = "", ...times] = args;
  const picture = async (step: string): Promise<void> => {
    write(`${folder}/${step}.png`, await page.screenshot({ type: "png" }));
    say({ step: `picture-${step}` });
  };
  await until(page, `!document.querySelector("#trouble").hidden`);
  await page.goto(new URL("admin", page.url()).href, { waitUntil: "load" });
  await until(page, `document.activeElement?.id === "admin-name"`);
  await page.keyboard.type(name);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await until(page, `document.querySelector("#desk")?.checkVisibility() === true`);
  await page.goto(new URL("replay", page.url()).href, { waitUntil: "load" });
  await until(page, `document.querySelectorAll("#rows tr").length > 0`);
  await picture("recordings");
  await openFirst(page, wrong);
  await until(page, `chevet.state().problem === "key"`);
  say({ step: "refused", text: await page.evaluate(`document.querySelector("#play-problem").textContent`) });
  await page.click("#leave");
  await openFirst(page, identity);
  await until(page, `chevet.state().opened && chevet.state().width > 0`);
  say({ step: "opened", ...(await state(page)) });
  for (const [number, time] of times.entries()) {
    await page.evaluate(`(() => { const t = document.querySelector("#timeline"); t.step = "any"; t.value = ${Number(time) / 1e6}; t.dispatchEvent(new Event("input")); t.dispatchEvent(new Event("change")); })()`);
    await until(page, `Math.abs(chevet.state().time - ${time}) < 1`);
    const shown = (await page.evaluate(`chevet.pixels().then(async ({ width, height, time, rgba }) => {
      const bytes = new Uint8Array(rgba);
      let text = "";
      for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      return { width, height, time, base64: btoa(text) };
    })`)) as { width: number; height: number; time: number; base64: string };
    const path = `${folder}/pixels-${number}`;
    write(path, Buffer.from(shown.base64, "base64"));
    say({ step: "pixels", path, width: shown.width, height: shown.height, time: shown.time });
  }
  await picture("moment");
  await page.focus("#play");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("ArrowUp");
  await page.keyboard.press("Enter");
  await until(page, "chevet.state().playing");
  await until(page, "!chevet.state().playing && chevet.state().time >= chevet.state().end");
  await picture("end");
  say({ step: "done", ...(await state(page)) });
}
