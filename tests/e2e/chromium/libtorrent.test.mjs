// A page reads torrents that libtorrent made.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join as joinPath } from "node:path";
import { before, describe, test } from "node:test";
import { CACHE, ROOT, SAMPLE, withSeeder } from "../headwater.mjs";
import { siteOfAll } from "../site.mjs";
import { join, sha256 } from "../viewer.mjs";

const PYTHON = joinPath(CACHE, "venv/bin/python");
const TORRENTS = joinPath(CACHE, "libtorrent");

describe("torrents made by libtorrent", { timeout: 120_000 }, () => {
  const site = siteOfAll({ folders: { "/torrents/": `${TORRENTS}/` } });
  before(() => void execFileSync(PYTHON, [joinPath(ROOT, "tests/e2e/libtorrent/make_torrents.py"), SAMPLE.mp4, TORRENTS]));

  for (const version of ["v1", "v2", "hybrid"]) {
    test(version, () => {
      const torrent = joinPath(TORRENTS, `${version}.torrent`);
      return withSeeder(SAMPLE.mp4, ["--torrent", torrent], async (seeder) => {
        const tracker = new URL(seeder.ready.magnet).searchParams.get("tr");
        const page = await site.view();
        const { infoHashV1, infoHashV2, pieceLength } = await join(page, `/torrents/${version}.torrent`, {
          add: { trackers: [tracker] },
        });
        assert.equal(infoHashV1, version === "v2" ? null : seeder.ready.info_hash_v1);
        assert.equal(infoHashV2, version === "v1" ? null : seeder.ready.info_hash_v2);
        assert.equal(pieceLength, 64 * 1024);
        assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(SAMPLE.mp4));
        await page.close();
      });
    });
  }
});
