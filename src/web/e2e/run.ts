// Drives a real browser against a running gateway: node e2e/dist/run.mjs BROWSER URL SCENARIO [ARGUMENTS].
// One JSON object a line on stdout. Exit 0: the scenario went through; 1: it did not, and the last line says why.

import { writeFileSync } from "node:fs";
import { type Options, launch } from "./browser.ts";
import { scenarios } from "./scenarios.ts";

export function say(step: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(step)}\n`);
}

async function main(): Promise<void> {
  const [browserName, url, name, ...rest] = process.argv.slice(2);
  const scenario = scenarios[name ?? ""];
  if ((browserName !== "chromium" && browserName !== "firefox") || url === undefined || scenario === undefined) {
    throw new Error(`usage: run.mjs chromium|firefox URL ${Object.keys(scenarios).join("|")} [ARGUMENTS]`);
  }
  const options: Options = {
    width: Number(process.env["CHEVET_WIDTH"] ?? 1280),
    height: Number(process.env["CHEVET_HEIGHT"] ?? 800),
    scale: Number(process.env["CHEVET_SCALE"] ?? 1),
    language: process.env["CHEVET_LANGUAGE"] ?? null,
    colours: process.env["CHEVET_COLOURS"] ?? null,
    webTransport: process.env["CHEVET_WEBTRANSPORT"] !== "off",
    card: process.env["CHEVET_CARD"] ?? null,
    proxy: process.env["CHEVET_PROXY"] ?? null,
    userAgent: process.env["CHEVET_USER_AGENT"] ?? null,
  };
  const { page, close } = await launch(browserName, options, (line) => say({ step: "console", line }));
  try {
    await page.goto(url, { waitUntil: "load" });
    await scenario({ page, say, args: rest, write: (path, bytes) => writeFileSync(path, bytes) });
  } finally {
    await close();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    say({ step: "failed", reason: error instanceof Error ? error.message : String(error) });
    process.exit(1);
  },
);
