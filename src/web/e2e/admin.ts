// The administration page, as an administrator uses it.

import type { Page } from "puppeteer-core";
import type { Run } from "./scenarios.ts";

const PATIENCE_MS = 20_000;

async function until(page: Page, expression: string): Promise<void> {
  try {
    await page.waitForFunction(expression, { timeout: PATIENCE_MS });
  } catch {
    throw new Error(`never true: ${expression}; the page says: ${String(await page.evaluate("document.body.innerText"))}`);
  }
}

/** By keyboard alone: the focused element is pressed. */
async function press(page: Page, selector: string): Promise<void> {
  await until(page, `document.querySelector(${JSON.stringify(selector)})?.checkVisibility() === true`);
  await page.focus(selector);
  await page.keyboard.press("Enter");
}

/** NAME PASSWORD VIEWER FOLDER VNC: signs in, finds the viewer, sends it a message, ends it, adds a VNC host; a picture of each step. */
export async function administer({ page, say, args, write }: Run): Promise<void> {
  const [name = "", password = "", viewer = "", folder = "", vnc = ""] = args;
  const picture = async (step: string): Promise<void> => {
    write(`${folder}/${step}.png`, await page.screenshot({ type: "png" }));
    say({ step, picture: `${folder}/${step}.png` });
  };
  await until(page, `document.activeElement?.id === "admin-name"`);
  await picture("entrance");
  await page.keyboard.type(name);
  await page.keyboard.press("Tab");
  await page.keyboard.type(`${password}x`);
  await page.keyboard.press("Enter");
  await until(page, `!document.querySelector("#sign-in-problem").hidden`);
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await until(page, `[...document.querySelectorAll(".viewer")].some((row) => row.innerText.includes(${JSON.stringify(viewer)}))`);
  await until(page, `document.querySelector("#tile-screens").innerText === "1"`);
  await page.type("#filter-sessions", "nobody at all");
  await until(page, `document.querySelectorAll(".viewer").length === 0`);
  await page.evaluate(`(() => { const field = document.querySelector("#filter-sessions"); field.value = ""; field.dispatchEvent(new Event("input")); })()`);
  await picture("sessions");
  await press(page, ".viewer .acts button:first-child");
  await until(page, `document.activeElement?.name === "text"`);
  await page.keyboard.type("Maintenance at 18:00");
  await picture("message");
  await press(page, "dialog .primary");
  await until(page, `document.querySelector("dialog") === null && !document.querySelector("#said").hidden`);
  say({ step: "sent", focus: await page.evaluate(`document.activeElement?.innerText`) });
  await press(page, ".viewer .acts button:last-child");
  await until(page, `document.activeElement?.name === "reason"`);
  await page.keyboard.type("maintenance");
  await picture("end");
  await page.keyboard.press("Enter");
  await until(page, `document.querySelectorAll(".viewer").length === 0 && document.querySelector("dialog") === null`);
  await page.focus("#tab-sessions");
  await page.keyboard.press("ArrowRight");
  await until(page, `document.querySelectorAll("#people-rows tr").length > 0`);
  await picture("people");
  await page.keyboard.press("ArrowRight");
  await until(page, `!document.querySelector("#add-seat").hidden && document.querySelector("#seats-note").innerText !== ""`);
  await press(page, "#add-seat");
  await until(page, `document.activeElement?.name === "name"`);
  await page.keyboard.type("Room 7");
  await picture("seat");
  await page.keyboard.press("Enter");
  await until(page, `document.querySelector("dialog .lead")?.innerText.includes("seat enrol")`);
  say({ step: "code", told: await page.evaluate(`document.querySelector("dialog .lead").innerText`) });
  await press(page, "dialog .primary");
  await until(page, `document.querySelectorAll("#seats-rows tr").length === 1`);
  await picture("seats");
  await press(page, "#seats-rows .acts button");
  await press(page, "dialog .grave");
  await until(page, `document.querySelectorAll("#seats-rows tr").length === 0 && document.querySelector("dialog") === null`);
  await page.focus("#tab-seats");
  await page.keyboard.press("ArrowRight");
  await until(page, `document.querySelector("#hosts-note").innerText !== "" && document.querySelector("#remote-note").innerText !== ""`);
  await press(page, "#add-remote");
  await until(page, `document.activeElement?.name === "name"`);
  await page.keyboard.type("ward7");
  await page.keyboard.press("Tab");
  await page.keyboard.type("Ward PC 7");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.type(vnc);
  await page.focus("dialog [name=encryption]");
  await page.keyboard.press("End");
  await until(page, `!document.querySelector("dialog [name=certificate]").checkVisibility()`);
  await press(page, "dialog .attempt");
  await until(page, `document.querySelector("dialog .told").innerText.includes("RFB 3.8")`);
  await picture("host");
  await press(page, "dialog .primary");
  await until(page, `document.querySelector("dialog") === null && document.querySelector("#remote-rows .state:not(.waiting)") !== null`);
  say({ step: "added", row: await page.evaluate(`document.querySelector("#remote-rows tr").innerText`) });
  await picture("hosts");
  await press(page, "#remote-rows .acts button:last-child");
  await press(page, "dialog .grave");
  await until(page, `document.querySelectorAll("#remote-rows tr").length === 0 && document.querySelector("dialog") === null`);
  await page.focus("#tab-hosts");
  await page.keyboard.press("ArrowRight");
  await until(page, `document.querySelectorAll("#plot-hours rect").length === 24 && document.querySelectorAll("#plot-days rect").length === 30`);
  await picture("availability");
  await page.keyboard.press("ArrowRight");
  await until(page, `document.querySelectorAll("#facts-audit dd").length > 0`);
  await picture("health");
  say({ step: "done" });
}

/** NAME PASSWORD: signs in, watches the first session from its button, and says what the new tab shows. */
export async function shadow({ page, say, args }: Run): Promise<void> {
  const [name = "", password = ""] = args;
  await until(page, `document.activeElement?.id === "admin-name"`);
  await page.keyboard.type(name);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await until(page, `document.querySelectorAll(".viewer").length > 0`);
  const button = `[...document.querySelectorAll("#sessions-table button")].find((each) => each.textContent === "Watch")`;
  await page.evaluate(`${button}.id = "watch-it"`);
  const opened = page.browser().waitForTarget((target) => target.type() === "page" && target.url().includes("127.0.0.1") && !target.url().includes("admin"), { timeout: PATIENCE_MS });
  await press(page, "#watch-it");
  const tab = await (await opened).page();
  if (tab === null) throw new Error("the button opened no page");
  await until(tab, `globalThis.chevet?.state()?.exactness === "exact"`);
  say({ step: "watching", marks: await tab.evaluate("document.querySelectorAll('#stage .watermark').length"), url: tab.url() });
}

/** NAME PASSWORD VIEWER GATEWAY FOLDER: signs in at one of two gateways, ends a viewer of the other, empties that, and looks on without the database. */
export async function several({ page, say, args, write }: Run): Promise<void> {
  const [name = "", password = "", viewer = "", gateway = "", folder = ""] = args;
  const picture = async (step: string): Promise<void> => {
    write(`${folder}/${step}.png`, await page.screenshot({ type: "png" }));
    say({ step, picture: `${folder}/${step}.png` });
  };
  const row = `[...document.querySelectorAll("#gateways-rows tr")].find((row) => row.querySelector(".strong").textContent === ${JSON.stringify(gateway)})`;
  await until(page, `document.activeElement?.id === "admin-name"`);
  await page.keyboard.type(name);
  await page.keyboard.press("Tab");
  await page.keyboard.type(password);
  await page.keyboard.press("Enter");
  await until(page, `[...document.querySelectorAll(".viewer")].some((row) => row.innerText.includes(${JSON.stringify(viewer)}))`);
  await until(page, `document.querySelector(".head .chip")?.textContent === ${JSON.stringify(gateway)}`);
  await picture("several-sessions");
  await press(page, ".viewer .acts button:last-child");
  await until(page, `document.activeElement?.name === "reason"`);
  await page.keyboard.type("from elsewhere");
  await page.keyboard.press("Enter");
  await until(page, `document.querySelectorAll(".viewer").length === 0 && document.querySelector("dialog") === null`);
  say({ step: "ended" });
  await press(page, "#tab-hosts");
  await until(page, `document.querySelectorAll("#certificates-rows tr").length === 1`);
  await picture("several-certificates");
  await press(page, "#certificates-rows .acts button");
  await press(page, "dialog .grave");
  await until(page, `document.querySelectorAll("#certificates-rows tr").length === 0 && document.querySelector("dialog") === null`);
  await press(page, "#tab-sessions");
  await page.keyboard.press("ArrowLeft");
  await until(page, `document.querySelectorAll("#gateways-rows tr").length === 2 && ${row} !== undefined`);
  await picture("several-gateways");
  await page.evaluate(`${row}.querySelector("button").focus()`);
  await page.keyboard.press("Enter");
  await until(page, `document.activeElement?.className === "grave"`);
  await picture("several-drain");
  await page.keyboard.press("Enter");
  await until(page, `${row} === undefined && document.querySelector("dialog") === null`);
  say({ step: "drained" });
  await until(page, `document.querySelector("#gateways-note").innerText !== ""`);
  await picture("several-lost");
  await press(page, "#tab-hosts");
  await until(page, `document.querySelector("#hosts-note").innerText.match(/database|base de données/) !== null && document.querySelector("#certificates-note").innerText.match(/database|base de données/) !== null`);
  await picture("several-lost-hosts");
  say({ step: "lost", note: await page.evaluate(`document.querySelector("#gateways-note").innerText`), rows: await page.evaluate(`document.querySelectorAll("#gateways-rows tr").length`) });
}
