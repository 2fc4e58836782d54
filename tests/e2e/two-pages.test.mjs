// Viewers carry the film to each other.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noise } from "./content.mjs";
import { withSeeder } from "./headwater.mjs";
import { withSite } from "./site.mjs";
import { join, sha256, until } from "./viewer.mjs";

const HALF = 4 * 2 ** 20;

test("a second page gets blocks from the first, and all it holds when the seeder is gone", { timeout: 180_000 }, async () => {
  const film = noise(8);
  await withSite((site) =>
    // Slow enough that nobody can have it all from the seeder before the other page is asked.
    withSeeder(film, ["--upload-limit", "2MB"], async (seeder) => {
      const [a, b] = [await site.view(), await site.view()];
      await join(a, seeder.ready.magnet);
      assert.equal(await a.evaluate(() => window.sha256OfFile()), sha256(film));

      await join(b, seeder.ready.magnet);
      // The first page has all of it, too; a connection counts when that has been said over it.
      await until(b, () => window.torrent.peers.filter(({ seed }) => seed).length === 2);
      await b.evaluate((end) => window.sha256OfFile(0, { start: 0, end }), HALF);
      await until(a, () => window.torrent.stats.sent > 0);

      await seeder.stop();
      await until(b, () => window.torrent.peers.length === 1);
      assert.equal(await b.evaluate(() => window.sha256OfFile()), sha256(film));
      await until(a, (half) => window.torrent.stats.sent >= half, HALF / 2);
    }),
  );
});
