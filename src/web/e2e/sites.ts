// Somebody at one site who works in a session of another one, by the keyboard alone.

import { PROBLEM, type Run, argument, until, untilExact, untilSeen, writePixels } from "./scenarios.ts";

/** What the list says, site by site. */
const LIST = `[...document.querySelectorAll("#sessions h1, #sessions h2, #sessions .card-title, #elsewhere-note span")]
  .filter((each) => each.checkVisibility()).map((each) => each.textContent)`;

async function signIn({ page }: Run, name: string, password: string): Promise<void> {
  await page.type("#user-name", name);
  await page.type("#password", password);
  await page.keyboard.press("Enter");
}

/** Goes from card to card until this one has the keyboard. */
async function goTo(run: Run, session: string): Promise<void> {
  const at = "document.activeElement?.dataset?.session ?? ''";
  const passed: unknown[] = [];
  for (let steps = 0; steps < 20; steps++) {
    const now = await run.page.evaluate(at);
    if (now === session) return;
    passed.push(now);
    await run.page.keyboard.press("ArrowDown");
  }
  throw new Error(`the arrow keys do not lead to ${session}, but to ${JSON.stringify(passed)}`);
}

/** NAME PASSWORD SESSION FIRST SECOND FOLDER: opens another site's session from the list, types, reloads, and once another gateway of
 * that site has taken over types again; signs out. Pixels and a picture of the list are in the folder. SECOND "-": no gateway goes. */
export async function roam(run: Run): Promise<void> {
  const names = "NAME PASSWORD SESSION FIRST SECOND FOLDER";
  const [name, password, session, first, second, folder] = [0, 1, 2, 3, 4, 5].map((index) => argument(run, index, names)) as [string, string, string, string, string, string];
  const { page } = run;
  await untilSeen(run, "#user-name");
  await page.evaluate("globalThis.stays = true");
  await signIn(run, name, password);
  await untilSeen(run, `.card[data-session="${session}"]`);
  run.say({ step: "listed", list: await page.evaluate(LIST) });
  run.write(`${folder}/list.png`, await page.screenshot({ type: "png" }));
  await goTo(run, session);
  await page.keyboard.press("Enter");
  const shown = await untilExact(run);
  run.say({
    step: "shown",
    ...shown,
    stayed: await page.evaluate("globalThis.stays === true"),
    site: await page.evaluate("document.querySelector('#site').textContent"),
    share: await page.evaluate("!document.querySelector('#share').hidden"),
  });
  // What this page may ask there: how to dial, and nothing else.
  const asked = (path: string): Promise<unknown> =>
    page.evaluate(`fetch("https://${shown.gateway}${path}", { credentials: "omit" }).then((answer) => answer.ok, () => "refused")`);
  run.say({ step: "asked", connect: await asked("/api/connect"), me: await asked("/api/me") });
  run.write(`${folder}/session.png`, await page.screenshot({ type: "png" }));
  await page.keyboard.type(first);
  run.say({ step: "typed" });
  await page.reload();
  const back = await untilExact(run);
  run.say({ step: "reloaded", ...back });
  if (second !== "-") {
    const after = await until(run, "shown by another gateway", (state) => state.gateway !== back.gateway && state.exactness === "exact");
    run.say({ step: "moved", ...after });
    await page.keyboard.type(second);
    run.say({ step: "typed on" });
  }
  // Whoever runs this says when all has arrived at the host, and what is on its screen.
  await page.waitForFunction("globalThis.chevet.state()?.exactness === 'exact'");
  await new Promise((resolve) => process.stdin.once("data", resolve));
  await untilExact(run);
  await writePixels(run, `${folder}/pixels`);
  await page.evaluate("document.querySelector('#lock').click()");
  const canvases = await page.evaluate("document.querySelectorAll('#stage canvas').length");
  await untilSeen(run, "#user-name");
  run.say({ step: "out", canvases, kept: await page.evaluate("sessionStorage.getItem('chevet.session')") });
}

/** NAME PASSWORD SESSION FILE: what the list says of a site that is away, and what is said when one of its sessions is asked for; a
 * picture of that. */
export async function cutOff(run: Run): Promise<void> {
  const [name, password, session, file] = [0, 1, 2, 3].map((index) => argument(run, index, "NAME PASSWORD SESSION FILE")) as [string, string, string, string];
  const { page } = run;
  await untilSeen(run, "#user-name");
  await signIn(run, name, password);
  await untilSeen(run, "#elsewhere-note span");
  await page.waitForFunction("!document.querySelector('#elsewhere-note').textContent.endsWith('…')");
  run.say({ step: "listed", list: await page.evaluate(LIST) });
  await page.evaluate(`sessionStorage.setItem("chevet.session", ${JSON.stringify(session)})`);
  await page.reload();
  await untilSeen(run, "#problem");
  run.say({ step: "told", problem: await page.evaluate(PROBLEM) });
  await untilSeen(run, "#elsewhere-note span");
  await page.waitForFunction("!document.querySelector('#elsewhere-note').textContent.endsWith('…')");
  run.write(file, await page.screenshot({ type: "png" }));
  run.say({ step: "picture", path: file });
}
