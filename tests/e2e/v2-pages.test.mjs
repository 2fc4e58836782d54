// BitTorrent v2 alone over WebRTC, which no other client speaks: from the seeder to a page, and from that page to another.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noise } from "./content.mjs";
import { withSeeder } from "./headwater.mjs";
import { withSite } from "./site.mjs";
import { join, sha256, until } from "./viewer.mjs";

const HALF = 4 * 2 ** 20;

test("a v2-only film goes from the seeder to a page, and from there to another when the seeder is gone", { timeout: 120_000 }, async () => {
  const film = noise(8);
  await withSite((site) =>
    withSeeder(film, ["--v2"], async (seeder) => {
      const { magnet } = seeder.ready;
      const [a, b] = [await site.view(), await site.view()];
      const { infoHashV1, infoHashV2 } = await join(a, magnet);
      assert.deepEqual([infoHashV1, infoHashV2], [null, seeder.ready.info_hash_v2]);
      assert.equal(await a.evaluate(() => window.sha256OfFile()), sha256(film));
      // The tracker is the seeder's, so they meet while it is there; what is read then is the first page's.
      await join(b, magnet);
      await until(b, () => window.torrent.peers.filter(({ seed }) => seed).length === 2);
      await seeder.stop();
      await until(b, () => window.torrent.peers.length === 1);
      assert.equal(await b.evaluate(() => window.sha256OfFile()), sha256(film));
      await until(a, (half) => window.torrent.stats.sent >= half, HALF);
    }),
  );
});
