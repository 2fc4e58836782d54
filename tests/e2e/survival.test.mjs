// A swarm whose trackers die: neighbours introduce each other.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noise } from "./content.mjs";
import { BINARY, JsonProcess, withSeeder } from "./headwater.mjs";
import { withSite } from "./site.mjs";
import { join, sha256, until, untilPeers } from "./viewer.mjs";

const PAGES = 3;

/** A tracker for each page, so that only the seeder knows them all. */
async function withTrackers(count, body) {
  const trackers = Array.from({ length: count }, () => new JsonProcess(BINARY, ["track", "--json", "--listen", "127.0.0.1:0"]));
  const stop = () => Promise.all(trackers.map((tracker) => tracker.stop("SIGKILL")));
  try {
    const urls = (await Promise.all(trackers.map((tracker) => tracker.line()))).map(({ tracker }) => tracker);
    return await body(urls, stop);
  } finally {
    await stop();
  }
}

test("pages that know only the seeder meet each other when their trackers are dead, and do without it", { timeout: 180_000 }, async () => {
  const film = noise(4);
  await withSite((site) =>
    withTrackers(PAGES, (urls, stopTrackers) =>
      withSeeder(film, ["--no-tracker", ...urls.flatMap((url) => ["--tracker", url])], async (seeder) => {
        const magnet = seeder.ready.magnet.replace(/&tr=[^&]*/g, "");
        const pages = [];
        for (const url of urls) {
          const page = await site.view();
          await join(page, `${magnet}&tr=${encodeURIComponent(url)}`);
          await untilPeers(page, 1);
          pages.push(page);
        }
        const [first, ...others] = pages;
        assert.equal(await first.evaluate(() => window.sha256OfFile()), sha256(film));
        for (const page of pages) assert.equal(await page.evaluate(() => window.torrent.peers.length), 1);

        await stopTrackers();
        for (const page of pages) await untilPeers(page, PAGES);

        // The only neighbour that each of them began with leaves.
        await seeder.stop();
        for (const page of pages) await until(page, (count) => window.torrent.peers.length === count, PAGES - 1);
        for (const page of others) assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(film));
      }),
    ),
  );
});
