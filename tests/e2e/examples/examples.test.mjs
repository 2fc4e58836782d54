// Each example under web/examples: installed from the packed package, built, served, and playing.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { BROWSER } from "../browser.mjs";
import { ROOT, SAMPLE, seed } from "../headwater.mjs";
import { serve } from "../server.mjs";
import { sharedBrowser } from "../site.mjs";

const WEB = join(ROOT, "web");
/** Their built folders, and the pages in them. */
const EXAMPLES = [
  { name: "plain", built: "public/" },
  { name: "vite", built: "dist/", dev: true },
  { name: "webpack", built: "dist/" },
  { name: "esbuild", built: "dist/", pages: ["", "inline.html"] },
  { name: "next", built: "out/" },
];
const chosen = EXAMPLES.filter(({ name }) => BROWSER === "chromium" || name === "plain");

describe("an example", { timeout: 600_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "headwater-examples-"));
  let browser;
  let seeder;
  let tarball;
  before(async () => {
    const [{ filename }] = JSON.parse(run("npm", ["pack", "--json", "--silent", "--ignore-scripts", "--pack-destination", folder], WEB));
    tarball = join(folder, filename);
    browser = await sharedBrowser();
    seeder = await seed(SAMPLE.mp4);
  });
  after(async () => {
    await browser?.close();
    await seeder?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const { name, built, dev, pages = [""] } of chosen) {
    test(`${name}: built from the packed package, plays`, async () => {
      const project = join(folder, name);
      cpSync(join(WEB, "examples", name), project, { recursive: true, filter: (source) => !/node_modules|\/(dist|out|\.next)$/.test(source) });
      const manifest = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
      manifest.dependencies.headwater = `file:${tarball}`;
      writeFileSync(join(project, "package.json"), JSON.stringify(manifest));
      run("npm", ["install", "--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", "--loglevel=error"], project);
      run("npm", ["run", "build"], project);
      const server = await serve({ folders: { "/headwater-sw.js": join(project, built, "headwater-sw.js"), "/": join(project, built) } });
      try {
        for (const page of pages) await plays(`${server.url}${page}`);
      } finally {
        await server.close();
      }
      if (dev) await withDevServer(project, plays);
    });
  }

  if (BROWSER === "chromium") {
    test("a newcomer follows the README from nothing, and it plays", async () => {
      const [, script] = /From nothing to a film[^`]*```sh\n([^`]*)```/.exec(readFileSync(join(WEB, "README.md"), "utf8"));
      const lines = script.trim().split("\n");
      assert.ok(lines.length < 10, `${lines.length} lines`);
      assert.equal(lines.pop(), "npx vite");
      const project = join(folder, "newcomer");
      mkdirSync(project);
      const steps = lines.join("\n").replace("npm install headwater", `npm install ${tarball}`).replace(/magnet:[^"]*/, () => seeder.ready.magnet);
      run("sh", ["-euc", steps], project);
      await withDevServer(project, plays);
    });
  }

  async function plays(url) {
    const page = await browser.open(`${url}#${seeder.ready.magnet}`);
    try {
      await page.waitForFunction(() => document.querySelector("headwater-video, video").currentTime > 0.3, { timeout: 30_000, polling: 50 });
      assert.deepEqual(page.errors.filter((error) => !/favicon/.test(error)), []);
    } catch (error) {
      throw new Error(`${url} does not play: ${error.message}\n${page.errors.join("\n")}`);
    } finally {
      await page.close();
    }
  }
});

function run(program, args, cwd) {
  try {
    return execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", npm_config_prefer_offline: "true" } });
  } catch (error) {
    throw new Error(`${program} ${args.join(" ")} in ${cwd}:\n${error.stdout}\n${error.stderr}`);
  }
}

/** Vite's own server, for the length of `body`. */
async function withDevServer(project, body) {
  const vite = spawn(process.execPath, ["node_modules/vite/bin/vite.js", "--host", "127.0.0.1", "--port", "0", "--strictPort", "false", "--clearScreen", "false"], { cwd: project, stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, NO_COLOR: "1" } });
  try {
    const url = await new Promise((resolve, reject) => {
      createInterface({ input: vite.stdout }).on("line", (line) => {
        const [found] = /http:\/\/127\.0\.0\.1:\d+\//.exec(line) ?? [];
        if (found) resolve(found);
      });
      vite.on("close", (code) => reject(new Error(`Vite ended with ${code}`)));
    });
    await body(url);
  } finally {
    vite.kill();
  }
}
