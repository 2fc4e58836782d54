// What goes wrong in a page is said with a code, what happened, and what to do.

import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { SAMPLE, withSeeder } from "./headwater.mjs";
import { siteOfAll } from "./site.mjs";
import { sha256 } from "./viewer.mjs";

const HASH = "0123456789abcdef0123456789abcdef01234567";
/** A port on which nobody listens. */
const NOBODY = "ws://127.0.0.1:9/";

describe("bad input to a page", { timeout: 120_000 }, () => {
  const site = siteOfAll();
  let page;
  before(async () => (page = await site.view()));

  /** A v1 torrent of one piece of this length. */
  const torrentOfPiece = (length) =>
    `d4:infod6:lengthi${length}e4:name1:x12:piece lengthi${length}e6:pieces20:${"h".repeat(20)}ee`;

  const cases = [
    ["a magnet link without a hash", "magnet:?dn=film", "badMagnet"],
    ["a magnet link cut short", "magnet:?xt=urn:btih:0123", "badMagnet"],
    ["a magnet link without a tracker", `magnet:?xt=urn:btih:${HASH}`, "noTracker"],
    ["a tracker that is down", `magnet:?xt=urn:btih:${HASH}&tr=${encodeURIComponent(NOBODY)}`, "trackerDown"],
    ["neither magnet nor address", "not a torrent: at all", "badTorrentId"],
    ["an address that answers 404", "/missing.torrent", "fetchFailed"],
    ["a page that is no torrent", "/index.html", "badTorrent"],
    ["a torrent with pieces over 16 MiB", { bytes: torrentOfPiece(2 ** 25) }, "tooLarge"],
    ["a torrent cut short", { bytes: torrentOfPiece(2 ** 14).slice(0, -1) }, "badTorrent"],
  ];
  for (const [what, id, expected] of cases) {
    test(what, async () => {
      const { code, message, hint } = await page.evaluate(
        (id) => window.joinBadly(typeof id === "string" ? id : new TextEncoder().encode(id.bytes)),
        id,
      );
      assert.equal(code, expected, message);
      assert.ok(message.length > 10, message);
      assert.ok(hint.length > 10, hint);
    });
  }

  test("a page without service workers says so, and can still read", () =>
    withSeeder(SAMPLE.mp4, [], async (seeder) => {
      const page = await site.browser.open("about:blank");
      await page.evaluateOnNewDocument(() => delete Navigator.prototype.serviceWorker);
      await page.goto(site.url);
      await page.waitForFunction("window.isLoaded === true");
      const outcome = await page.evaluate(async (magnet) => {
        window.torrent = await new window.Headwater().add(magnet).ready;
        const failure = await window.torrent.files[0].ready.catch((error) => error);
        return { code: failure.code, hint: failure.hint, hash: await window.sha256OfFile() };
      }, seeder.ready.magnet);
      assert.equal(outcome.code, "serviceWorkerUnsupported");
      assert.match(outcome.hint, /https/);
      assert.equal(outcome.hash, sha256(SAMPLE.mp4));
      await page.close();
    }));
});
