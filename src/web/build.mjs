// Bundles the page into dist/ (no argument), the end-to-end driver into e2e/dist/ (--e2e),
// the tests into .test/ (--tests).

import { build } from "esbuild";
import { copyFile, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const root = import.meta.dirname;
const node = { bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "warning" };

async function buildPage() {
  const dist = join(root, "dist");
  await rm(dist, { recursive: true, force: true });
  await mkdir(dist, { recursive: true });
  await build({
    entryPoints: { page: join(root, "page/main.ts"), worker: join(root, "worker.ts"), style: join(root, "page/style.css"), admin: join(root, "admin/main.ts"), replay: join(root, "replay/main.ts"), "replay-worker": join(root, "replay/worker.ts") },
    outdir: dist,
    bundle: true,
    minify: true,
    format: "iife",
    // Firefox ESR, Chromium and Safari of 2023 and later: OffscreenCanvas 2D in workers came last, in Safari 16.4.
    target: ["chrome110", "firefox115", "safari16.4"],
    sourcemap: false,
    legalComments: "none",
    logLevel: "warning",
  });
  // Its style has the name of its script, which one build of both would not allow.
  await build({ entryPoints: [join(root, "admin/admin.css")], outdir: dist, bundle: true, minify: true, logLevel: "warning" });
  await build({ entryPoints: [join(root, "replay/replay.css")], outdir: dist, bundle: true, minify: true, logLevel: "warning" });
  await copyFile(join(root, "admin/index.html"), join(dist, "admin.html"));
  await copyFile(join(root, "replay/index.html"), join(dist, "replay.html"));
  for (const name of ["index.html", "icon.svg"]) await copyFile(join(root, "page", name), join(dist, name));
}

async function buildDriver() {
  await build({
    ...node,
    entryPoints: [join(root, "e2e/run.ts")],
    outfile: join(root, "e2e/dist/run.mjs"),
    // It brings its own optional parts and reads package files at run time: taken from node_modules.
    external: ["puppeteer-core"],
  });
}

async function buildTests() {
  const out = join(root, ".test");
  await rm(out, { recursive: true, force: true });
  const inFolder = async (folder) => (await readdir(join(root, folder))).map((name) => join(root, folder, name));
  const all = [...(await inFolder("test")), ...(await inFolder("codec"))];
  await build({
    ...node,
    entryPoints: all.filter((name) => name.endsWith(".test.ts")),
    outdir: out,
    entryNames: "[name]",
    outExtension: { ".js": ".mjs" },
    sourcemap: "inline",
  });
}

const wanted = process.argv[2];
if (wanted === "--tests") await buildTests();
else if (wanted === "--e2e") await buildDriver();
else await buildPage();
