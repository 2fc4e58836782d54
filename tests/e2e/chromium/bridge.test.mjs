// A page gets a film that only libtorrent has: `headwater get --seed` speaks to both.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join as joinPath } from "node:path";
import { test } from "node:test";
import { noise } from "../content.mjs";
import { BINARY, CACHE, JsonProcess, ROOT } from "../headwater.mjs";
import { withSite } from "../site.mjs";
import { join, sha256 } from "../viewer.mjs";

const PYTHON = joinPath(CACHE, "venv/bin/python");

for (const [version, flags] of [["hybrid", []], ["v2", ["--v2"]]]) {
  test(`a page gets a ${version} film that only libtorrent has, over TCP`, { timeout: 120_000 }, async () => {
    const film = noise(8);
    const here = mkdtempSync(joinPath(tmpdir(), "headwater-bridge-"));
    const torrent = joinPath(here, "film.torrent");
    const running = [];
    const start = (...args) => (running.push(new JsonProcess(...args)), running.at(-1));
    try {
      const tracker = (await start(BINARY, ["track", "--json", "--listen", "127.0.0.1:0"]).line()).tracker;
      const create = ["create", film, "-o", torrent, "--tracker", tracker, "--json", ...flags];
      const { magnet } = JSON.parse(execFileSync(BINARY, create, { encoding: "utf8" }));
      const seed = joinPath(ROOT, "tests/e2e/libtorrent/seed.py");
      const { port } = await start(PYTHON, [seed, dirname(film), torrent]).line();
      await withSite(async (site) => {
        const page = await site.view();
        const joined = join(page, magnet);
        const out = joinPath(here, basename(film));
        start(BINARY, ["get", torrent, "--out", out, "--seed", "--json", "--peer", `127.0.0.1:${port}`]);
        await joined;
        assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(film));
      });
    } finally {
      await Promise.all(running.map((process) => process.stop()));
      rmSync(here, { recursive: true, force: true });
    }
  });
}
