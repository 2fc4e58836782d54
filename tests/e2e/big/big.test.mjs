// A file far larger than the window, streamed to its end through it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { sparse } from "../content.mjs";
import { withSeeder } from "../headwater.mjs";
import { withSite } from "../site.mjs";
import { join, seen } from "../viewer.mjs";

const MIB = 2 ** 20;
const WINDOW = 64 * MIB;
const SIZE = 4096 * MIB;
const PAUSE_AT = 1024 * MIB;
/** Enough for several windows to come, at the rate before and after. */
const PAUSE_MS = 5_000;

/** Reads on until `until` bytes have been read. */
function readOn(page, until) {
  return page.evaluate(async (until) => {
    window.reader ??= (await fetch(window.file.url)).body.getReader();
    window.readBytes ??= 0;
    while (window.readBytes < until) {
      const { done, value } = await window.reader.read();
      if (done) break;
      window.readBytes += value.length;
    }
    return window.readBytes;
  }, until);
}

test("4 GiB pass through 64 MiB", { timeout: 900_000 }, async (t) => {
  await withSeeder(sparse(4096), [], (seeder) =>
    withSite(async (site) => {
      const page = await site.view();
      await join(page, seeder.ready.magnet, { add: { windowBytes: WINDOW } });

      const read = await readOn(page, PAUSE_AT);
      const fetched = () => page.evaluate(() => window.torrent.stats.received);
      // What was asked for before the pause may still come; it lies inside the window.
      const pausedAt = Date.now();
      let most = 0;
      while (Date.now() - pausedAt < PAUSE_MS) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        most = Math.max(most, await fetched());
      }
      t.diagnostic(`paused at ${read} bytes: ${most - read} fetched ahead`);
      assert.ok(most - read <= WINDOW, `${most - read} bytes beyond the reader`);

      const start = performance.now();
      assert.equal(await readOn(page, SIZE), SIZE);
      const seconds = (performance.now() - start) / 1000;
      const { windowPeak, wasmMemory } = await page.evaluate(() => window.peaks);
      t.diagnostic(`${((SIZE - read) / 1e6 / seconds).toFixed(1)} MB/s; at most ${windowPeak} in the ledger, ${wasmMemory} in WASM`);
      assert.ok(windowPeak > 0 && windowPeak <= WINDOW, `ledger ${windowPeak}`);
      assert.ok(wasmMemory > 0 && wasmMemory <= WINDOW + 32 * MIB, `WASM memory ${wasmMemory}`);
      assert.deepEqual(await seen(page, "blockRefused", "pieceRefused"), []);
    }),
  );
});
