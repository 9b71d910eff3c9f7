// Starts Debian's Chromium or Firefox ESR for a test, as each needs it.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer, { type Page } from "puppeteer-core";

export interface Options {
  width: number;
  height: number;
  scale: number;
  /** "fr" or "en": what the browser says it prefers. */
  language: string | null;
  /** "dark" or "light". */
  colours: string | null;
  webTransport: boolean;
  /** What the browser says it is, for the page's ways of another system's keyboards. */
  userAgent: string | null;
}

const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export async function launch(
  browser: "chromium" | "firefox",
  options: Options,
  onConsole: (line: string) => void,
): Promise<{ page: Page; close: () => Promise<void> }> {
  const profile = mkdtempSync(join(tmpdir(), "chevet-browser-"));
  const languages = options.language === null ? {} : { "intl.accept_languages": options.language };
  const agent = options.userAgent === null ? {} : { "general.useragent.override": options.userAgent };
  const dark = options.colours === null ? {} : { "layout.css.prefers-color-scheme.content-override": options.colours === "dark" ? 0 : 1 };
  const started = await puppeteer.launch(
    browser === "chromium"
      ? {
          browser: "chrome",
          executablePath: process.env["CHEVET_CHROMIUM"] ?? "/usr/bin/chromium",
          args: [
            ...CHROMIUM_FLAGS,
            ...(options.language === null ? [] : [`--lang=${options.language}`, `--accept-lang=${options.language}`]),
            ...(options.userAgent === null ? [] : [`--user-agent=${options.userAgent}`]),
          ],
          userDataDir: profile,
          acceptInsecureCerts: true,
        }
      : {
          browser: "firefox",
          executablePath: process.env["CHEVET_FIREFOX"] ?? "/usr/bin/firefox-esr",
          userDataDir: profile,
          acceptInsecureCerts: true,
          extraPrefsFirefox: { ...languages, ...agent, ...dark, "layout.css.devPixelsPerPx": String(options.scale) },
        },
  );
  const page = await started.newPage();
  // Firefox takes its pixel ratio from its preferences alone.
  const deviceScaleFactor = browser === "chromium" ? { deviceScaleFactor: options.scale } : {};
  await page.setViewport({ width: options.width, height: options.height, ...deviceScaleFactor });
  if (browser === "chromium" && options.colours !== null) {
    await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: options.colours }]);
  }
  if (!options.webTransport) await page.evaluateOnNewDocument("delete globalThis.WebTransport");
  page.on("console", (message) => onConsole(message.text()));
  page.on("pageerror", (error) => onConsole(`error: ${error instanceof Error ? error.message : String(error)}`));
  const close = async (): Promise<void> => {
    await started.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  return { page, close };
}
