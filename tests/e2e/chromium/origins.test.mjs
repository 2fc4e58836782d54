// Web servers behind the swarm (BEP 19), in a real browser: alone, beside peers, and wrong in many ways.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join as joinPath } from "node:path";
import { after, describe, test } from "node:test";
import { noise } from "../content.mjs";
import { BINARY, SAMPLE, withSeeder } from "../headwater.mjs";
import { withOrigin } from "../origin.mjs";
import { siteOfAll } from "../site.mjs";
import { join, seen, sha256, until, untilPeers } from "../viewer.mjs";

describe("origins of a page", { timeout: 240_000 }, () => {
  const folder = mkdtempSync(joinPath(tmpdir(), "headwater-origins-"));
  const site = siteOfAll({ folders: { "/torrents/": `${folder}/` } });
  after(() => rmSync(folder, { recursive: true, force: true }));

  let made = 0;

  /** Where a torrent of a film lies that nobody seeds. */
  function torrentOf(film, ...flags) {
    const name = `${(made += 1)}.torrent`;
    execFileSync(BINARY, ["create", film, "--out", joinPath(folder, name), ...flags], { stdio: "ignore" });
    return `${site.url}torrents/${name}`;
  }

  /** A page that has joined. */
  const watching = (id, options, body) =>
    site.viewing(async (page) => {
      await join(page, id, options);
      return body(page);
    });

  /** Reads the film with nobody but this server to bring it, and an honest one behind it where it will not do. */
  const alone = (manner, { isEnough = true }, body) =>
    withOrigin(noise(8), manner, (origin) =>
      withOrigin(noise(8), "honest", (other) =>
        watching(torrentOf(noise(8)), { origins: [origin.url, ...(isEnough ? [] : [other.url])] }, async (page) => {
          assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(noise(8)));
          await body(page, origin, other);
        }),
      ),
    );

  test("a film with a web seed and no peers plays, without a tracker", () =>
    withOrigin(SAMPLE.mp4, "honest", (origin) =>
      watching(torrentOf(SAMPLE.mp4), { origins: [origin.url] }, async (page) => {
        const { stalls, isEnded } = await page.evaluate(() => window.play(16));
        assert.deepEqual(stalls, []);
        assert.ok(isEnded);
        await until(page, () => torrent.stats.origins[0].fetching === 0);
        const { stats, code, origins, sources } = await page.evaluate(async () => ({ stats: torrent.stats, code: (await torrent.doctor()).code, origins: torrent.stats.origins, sources: [...torrent.pieces.sources] }));
        assert.ok(stats.fromOrigins >= stats.verified && stats.verified > 0 && stats.received === 0, JSON.stringify(stats));
        assert.deepEqual(origins.map(({ url, refused, trouble }) => ({ url, refused, trouble })), [{ url: origin.url, refused: 0, trouble: null }]);
        assert.ok(sources.every((source) => source === 0 || source === 2), String(sources));
        assert.equal(code, null);
      }),
    ));

  test("who asks says nothing of the visitor: no cookie, no referrer", () =>
    alone("honest", {}, async (page, { seen: { requests } }) => {
      assert.ok(requests.every(({ headers }) => !headers.cookie && !headers.referer), JSON.stringify(requests[0]));
      assert.equal(requests.reduce((sum, { start, end }) => sum + end - start, 0), 8 << 20);
    }));

  test("beside a peer that is slow both bring it, and not a byte is wrong", () =>
    withOrigin(noise(8), "honest", (origin) =>
      withSeeder(noise(8), ["--upload-limit", "1MB"], (seeder) =>
        watching(seeder.ready.magnet, { origins: [origin.url] }, async (page) => {
          await untilPeers(page, 1);
          assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(noise(8)));
          await until(page, () => torrent.stats.verified === torrent.length);
          const { received, fromOrigins, refused } = await page.evaluate(() => torrent.stats);
          assert.ok(received > 0 && fromOrigins > 0, `${received} bytes of peers, ${fromOrigins} of the origin`);
          assert.equal(refused, 0);
        }),
      ),
    ));

  test("beside a peer that is faster it is asked for next to nothing", () =>
    withOrigin(noise(32), "slow", (origin) =>
      withSeeder(noise(32), [], (seeder) =>
        watching(seeder.ready.magnet, { origins: [origin.url] }, async (page) => {
          await untilPeers(page, 1);
          assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(noise(32)));
          await until(page, () => torrent.stats.verified === torrent.length);
          const { received, fromOrigins } = await page.evaluate(() => torrent.stats);
          assert.ok(fromOrigins <= 0.1 * received, `${fromOrigins} of the origin beside ${received} of peers`);
        }),
      ),
    ));

  test("one that ignores Range is used while the file is short", () =>
    alone("ignoresRange", {}, async (page) => {
      assert.deepEqual(await seen(page, "originFailed"), []);
    }));

  test("one that does not let its Content-Range be read is used all the same", () =>
    alone("terse", {}, async (page) => {
      assert.deepEqual(await seen(page, "originFailed"), []);
    }));

  for (const [manner, reason] of [
    ["anotherFile", /its file has 8388607 bytes, and the torrent's 8388608/],
    ["otherRange", /was asked for bytes .* and says it sends bytes 0-/],
    ["lies", /it sent wrong bytes/],
    ["stalls", /it sent nothing for \d+ s/],
    // The browser undoes the coding itself, or fails to.
    ["compresses", /it compresses what it sends \(gzip\)|Failed to fetch/],
    ["refusesCors", /it may be down, or not allow http:\/\/127\.0\.0\.1:\d+ to read it: CORS/],
    ["missing", /it says 404/],
  ]) {
    test(`one that is wrong (${manner}) is named and left for another`, () =>
      alone(manner, { isEnough: false }, async (page, origin, other) => {
        await until(page, () => seen.some(({ kind }) => kind === "originFailed"));
        const [failed] = await seen(page, "originFailed");
        assert.equal(failed.url, origin.url);
        assert.match(failed.reason, reason);
        assert.ok(other.seen.requests.length > 0);
        assert.ok(origin.seen.requests.length <= 8, `it was asked ${origin.seen.requests.length} times`);
      }));
  }

  test("the doctor says why the only origin does not help", () =>
    withOrigin(noise(8), "missing", (origin) =>
      watching(torrentOf(noise(8)), { origins: [origin.url] }, async (page) => {
        await page.evaluate(() => void file.arrayBuffer().catch(() => {}));
        await until(page, () => torrent.stats?.origins[0]?.trouble);
        const { code, stoppedAt, rungs } = await page.evaluate(() => torrent.doctor());
        assert.deepEqual([code, stoppedAt], ["originFailed", "origin"]);
        assert.match(rungs.at(-1).detail, /film\.mp4: it says 404/);
      }),
    ));

  test("a torrent leads to the page's site, its own and the world, and to nobody where the page says so", () =>
    withOrigin(noise(8), "honest", async (origin) => {
      const tracker = ["--tracker", "ws://127.0.0.1:9/announce"];
      const asked = (id, options) =>
        watching(id, options, async (page) => {
          await until(page, () => torrent.stats !== null);
          return page.evaluate(() => torrent.stats.origins.map(({ url }) => url));
        });
      const [home, away, world] = [`${site.url}film.bin`, origin.url, "https://films.example/film.bin"];
      const torrent = torrentOf(noise(8), ...tracker, "--web-seed", home, "--web-seed", away, "--web-seed", world);
      assert.deepEqual(await asked(torrent, {}), [home, world]);
      assert.deepEqual(await asked(torrent, { webSeeds: false }), []);
      // What comes from over there may lead there.
      origin.files.set("/film.torrent", readFileSync(joinPath(folder, basename(torrent))));
      assert.deepEqual(await asked(new URL("/film.torrent", origin.url).href, {}), [home, away, world]);
      assert.deepEqual(origin.seen.requests, []);
    }));

  test("a torrent that is paused asks no origin", () =>
    withOrigin(noise(8), "honest", (origin) =>
      watching(torrentOf(noise(8)), { origins: [origin.url] }, async (page) => {
        await page.evaluate(() => {
          torrent.pause();
          window.read = torrent.files[0].arrayBuffer();
        });
        await until(page, () => torrent.stats?.readersWaiting === 1);
        assert.deepEqual(origin.seen.requests, []);
        await page.evaluate(() => torrent.resume());
        assert.equal(await page.evaluate(async () => (await read).byteLength), 8 << 20);
      }),
    ));
});
