// Starts Debian's Chromium or Firefox ESR for a test, as each needs it.

import { execFileSync } from "node:child_process";
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
  /** A PKCS#12 file with the password "card", whose certificate Firefox shows to whoever asks for one. */
  card: string | null;
  /** "http://HOST:PORT": Chromium goes through this proxy for all, this machine's own addresses too. */
  proxy: string | null;
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
  if (options.card !== null) insertCard(profile, options.card);
  const card = options.card === null ? {} : { "security.default_personal_cert": "Select Automatically" };
  const started = await puppeteer.launch(
    browser === "chromium"
      ? {
          browser: "chrome",
          executablePath: process.env["CHEVET_CHROMIUM"] ?? "/usr/bin/chromium",
          args: [
            ...CHROMIUM_FLAGS,
            ...(options.language === null ? [] : [`--lang=${options.language}`, `--accept-lang=${options.language}`]),
            ...(options.proxy === null ? [] : [`--proxy-server=${options.proxy}`, "--proxy-bypass-list=<-loopback>"]),
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
          extraPrefsFirefox: { ...languages, ...agent, ...dark, ...card, "layout.css.devPixelsPerPx": String(options.scale) },
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

/** Puts a certificate and its key into a profile, by the tools of Debian's libnss3-tools. */
function insertCard(profile: string, file: string): void {
  const store = ["-d", `sql:${profile}`];
  execFileSync("certutil", ["-N", ...store, "--empty-password"]);
  execFileSync("pk12util", ["-i", file, ...store, "-W", "card"], { stdio: "ignore" });
}
