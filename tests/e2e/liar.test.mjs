// A peer that sends wrong bytes, beside an honest one.

import assert from "node:assert/strict";
import { join as joinPath } from "node:path";
import { describe, test } from "node:test";
import { noise } from "./content.mjs";
import { ADDRESS, JsonProcess, ROOT, SAMPLE, withSeeder } from "./headwater.mjs";
import { siteOfAll } from "./site.mjs";
import { join, seen, sha256, until, untilPeers } from "./viewer.mjs";

const LIAR = joinPath(process.env.HEADWATER_BIN ?? joinPath(ROOT, "target/debug"), "liar");

describe("a liar in the swarm", { timeout: 180_000 }, () => {
  const site = siteOfAll();

  /** A page with one honest peer and one that lies. */
  const beside = (film, flags, body) =>
    withSeeder(film, flags, async (seeder) => {
      const { magnet, info_hash_v1: v1, info_hash_v2: v2 } = seeder.ready;
      const tracker = new URL(magnet).searchParams.get("tr");
      const liar = new JsonProcess(LIAR, [tracker, v1 ?? v2.slice(0, 40), ADDRESS]);
      try {
        await liar.line();
        await site.viewing(async (page) => {
          await join(page, magnet);
          await untilPeers(page, 2);
          await body(page, liar);
        });
      } finally {
        await liar.stop();
      }
    });

  for (const [version, flags] of [["v1", ["--v1"]], ["v2", ["--v2"]], ["hybrid", []]]) {
    test(`${version}: not a wrong byte is read, and the liar is dropped by name`, () =>
      beside(noise(8), flags, async (page, liar) => {
        assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(noise(8)));
        await until(page, () => window.seen.some(({ kind, fault }) => kind === "peerClosed" && fault));
        const { asked } = await liar.line(({ closed }) => closed > 0);
        assert.ok(asked > 0, "nobody asked the liar");

        const dropped = (await seen(page, "peerClosed")).filter(({ fault }) => fault);
        assert.equal(dropped.length, 1, JSON.stringify(dropped));
        const { name } = dropped[0];
        const honest = (await seen(page, "peerOpened")).filter(({ client }) => client.startsWith("Headwater"));
        assert.ok(honest.length > 0 && honest.every((peer) => peer.name !== name), "the honest peer was dropped");
        const refused = await seen(page, "pieceRefused", "blockRefused");
        assert.ok(refused.some((event) => event.name === name || event.peers?.includes(name)), JSON.stringify(refused));
      }));
  }

  test("the film plays beside it", () =>
    beside(SAMPLE.mp4, [], async (page) => {
      const { isEnded } = await page.evaluate(() => window.play(8));
      assert.ok(isEnded);
    }));
});
