// From a key pressed in a page to the pixel that it changes on the page's canvas, for any page that shows a remote
// screen on one: node browser.mjs WEB_FOLDER ADDRESS KEYS. Prints {"milliseconds": [...]}.

import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const [, , web, address, keys] = process.argv;
const puppeteer = createRequire(join(web, "package.json"))("puppeteer-core");

const profile = mkdtempSync(join(tmpdir(), "peers-browser-"));
const browser = await puppeteer.launch({
  executablePath: process.env["CHEVET_CHROMIUM"] ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  userDataDir: profile,
  acceptInsecureCerts: true,
});
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1920, height: 1080 });
  page.on("pageerror", (error) => console.error(String(error)));
  await page.goto(address);
  await page.evaluate(() => {
    const probe = document.createElement("canvas");
    probe.width = probe.height = 1;
    const context = probe.getContext("2d", { willReadFrequently: true });
    window.peersPixel = () => {
      const shown = [...document.querySelectorAll("canvas")].find((canvas) => canvas.width >= 1000);
      if (!shown) return 0;
      context.drawImage(shown, 820, 520, 1, 1, 0, 0, 1, 1);
      const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
      return (red << 16) | (green << 8) | blue;
    };
    window.peersTimes = [];
    addEventListener(
      "keydown",
      () => {
        const before = window.peersPixel();
        const pressed = performance.now();
        const look = () => {
          if (window.peersPixel() !== before) window.peersTimes.push(performance.now() - pressed);
          else if (performance.now() - pressed < 5000) requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      },
      true,
    );
  });
  // The program's block has these colours and nothing else on its screen does.
  await page.waitForFunction(() => (window.peersPixel() & 0xffff00) === 0x102000, { timeout: 30_000 });
  await page.mouse.click(600, 300);
  await new Promise((done) => setTimeout(done, 500));
  for (let key = 0; key < Number(keys); key++) {
    await page.keyboard.down("a");
    await page.waitForFunction((count) => window.peersTimes.length > count, { timeout: 10_000 }, key);
    await page.keyboard.up("a");
    // Not in step with anything that ticks.
    await new Promise((done) => setTimeout(done, 20 + ((key * 7919) % 23)));
  }
  console.log(JSON.stringify({ milliseconds: await page.evaluate(() => window.peersTimes) }));
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
