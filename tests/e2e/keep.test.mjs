// What is kept on the visitor's machine: it plays on without anybody, is believed only when it is right,
// and when it cannot be had the film does not mind.

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { BROWSER } from "./browser.mjs";
import { noise } from "./content.mjs";
import { SAMPLE, withSeeder } from "./headwater.mjs";
import { Site } from "./site.mjs";
import { join, sha256, until } from "./viewer.mjs";

describe("keeping", { timeout: 240_000 }, () => {
  // What is kept belongs to an address: each test has one of its own.
  let site;
  beforeEach(() => (site = new Site()).open());
  afterEach(() => site.close());

  /** A page that keeps, for the length of `body`. */
  const keeping = (magnet, body, options = { keep: true }) =>
    site.viewing(async (page) => {
      await join(page, magnet, options);
      return await body(page);
    });

  /** Reads the film to its end. */
  const reads = async (page, path = SAMPLE.mp4) => assert.equal(await page.evaluate(() => sha256OfFile()), sha256(path));

  const storage = (page) => page.evaluate(() => torrent.stats.storage);

  const untilStorage = (page, expected) =>
    until(page, (expected) => Object.entries(expected).every(([key, value]) => torrent.stats?.storage?.[key] === value), expected);

  const untilAllKept = (page) => until(page, () => torrent.stats?.storage?.kept >= torrent.length);

  /** Keeps all of the film; afterwards nobody seeds it. */
  const keepAll = () =>
    withSeeder(SAMPLE.mp4, [], async ({ ready: { magnet } }) => {
      await keeping(magnet, async (page) => {
        await reads(page);
        await untilAllKept(page);
      });
      return magnet;
    });

  test("a film plays from what is kept when nobody has it any more", async () => {
    const magnet = await keepAll();
    await keeping(magnet, async (page) => {
      await page.evaluate(() => file.streamTo(film).then(() => film.play()));
      await until(page, () => film.currentTime > 0.5 && !film.error);
      await reads(page);
      assert.equal(await page.evaluate(() => torrent.stats.received), 0);
      assert.equal((await storage(page)).state, "keeping");
      await page.evaluate(() => client.storage.clear());
      await untilStorage(page, { state: "off", reason: "cleared" });
    });
  });

  // Firefox has shown what it can.
  if (BROWSER !== "chromium") return;

  test("a kept piece that was altered is refused, and fetched again", async () => {
    await keepAll();
    const vandal = await site.view();
    await vandal.evaluate(async () => {
      const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("headwater");
      for await (const torrent of folder.values()) {
        const pieces = await (await torrent.getFileHandle("pieces")).createWritable({ keepExistingData: true });
        await pieces.write({ type: "write", position: 70_000, data: new Uint8Array(64) });
        await pieces.close();
      }
    });
    await vandal.close();
    await withSeeder(SAMPLE.mp4, [], ({ ready: { magnet } }) =>
      keeping(magnet, async (page) => {
        await reads(page);
        await untilStorage(page, { state: "keeping", refused: 1 });
        // That piece, and nothing else.
        await until(page, () => torrent.stats.received === torrent.pieceLength);
      }),
    );
  });

  test("what is kept is given to others", async () => {
    const magnet = await keepAll();
    // Somebody else's tracker brings them together.
    await withSeeder(SAMPLE.webm, [], async ({ ready }) => {
      const trackers = new URL(ready.magnet).searchParams.getAll("tr");
      await keeping(
        magnet,
        (keeper) =>
          keeping(
            magnet,
            async (page) => {
              await reads(page);
              assert.equal(await keeper.evaluate(() => torrent.stats.received), 0);
            },
            { trackers, share: "share" },
          ),
        { keep: true, trackers, share: "share" },
      );
    });
  });

  test("a torrent that is removed with what was kept of it leaves nothing behind", async () => {
    const magnet = await keepAll();
    await keeping(magnet, async (page) => {
      await untilAllKept(page);
      await page.evaluate(() => torrent.remove({ keep: false }));
      await until(page, async () => {
        const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("headwater");
        return (await Array.fromAsync(folder.keys())).length === 0;
      });
    });
  });

  test("where there is no room for what is ahead, the film plays on in memory, and says so", () =>
    withSeeder(SAMPLE.mp4, [], ({ ready: { magnet } }) =>
      keeping(
        magnet,
        async (page) => {
          // One who stands still at the start: all of the film is ahead.
          await page.evaluate(() => (window.standing = file.stream().getReader()).read().then(() => {}));
          await untilStorage(page, { state: "off", reason: "full" });
          await reads(page);
        },
        { keep: { maxBytes: 200_000 } },
      ),
    ));

  test("what is far from the playhead makes room for what is near", () =>
    withSeeder(SAMPLE.mp4, [], ({ ready: { magnet } }) =>
      keeping(
        magnet,
        async (page) => {
          await reads(page);
          await until(page, () => torrent.stats.storage.evicted > 0);
          const { state, used } = await storage(page);
          assert.equal(state, "keeping");
          assert.ok(used <= 800_000, `${used} bytes`);
        },
        { keep: { maxBytes: 800_000 }, windowBytes: 400_000 },
      ),
    ));

  test("a browser that has less room than it said ends the keeping, not the film", () =>
    withSeeder(noise(16), [], ({ ready: { magnet } }) =>
      keeping(magnet, async (page) => {
        await untilStorage(page, { state: "keeping" });
        const session = await page.createCDPSession();
        await session.send("Storage.overrideQuotaForOrigin", { origin: new URL(site.url).origin, quotaSize: 1 });
        await page.evaluate(() => (window.standing = file.stream().getReader()).read().then(() => {}));
        await untilStorage(page, { state: "off", reason: "full" });
        await reads(page, noise(16));
      }),
    ));

  test("a tab that is killed while it writes leaves nothing wrong behind", () =>
    withSeeder(noise(16), ["--upload-limit", "4MB"], async ({ ready: { magnet } }) => {
      const killed = await site.view();
      await join(killed, magnet, { keep: true });
      await killed.evaluate(() => void sha256OfFile());
      await until(killed, () => torrent.stats.storage?.kept > 2 ** 22);
      const session = await killed.createCDPSession();
      const crashed = new Promise((resolve) => killed.once("error", resolve));
      // Which nobody is left to answer.
      session.send("Page.crash").catch(() => {});
      await crashed;
      await killed.close();
      await keeping(magnet, async (page) => {
        await untilStorage(page, { state: "keeping" });
        const { kept } = await storage(page);
        assert.ok(kept > 2 ** 21, `${kept} bytes were kept`);
        await reads(page, noise(16));
        assert.ok((await page.evaluate(() => torrent.stats.received)) < 15 * 2 ** 20);
      });
    }));

  test("of two tabs one keeps; the other goes on without, and keeps when the first is gone", () =>
    withSeeder(SAMPLE.mp4, [], async ({ ready: { magnet } }) => {
      const first = await site.view();
      await join(first, magnet, { keep: true });
      await untilStorage(first, { state: "keeping" });
      await keeping(magnet, async (second) => {
        await reads(second);
        await untilStorage(second, { state: "waiting", reason: "otherTab" });
        await first.close();
        await untilStorage(second, { state: "keeping" });
        await untilAllKept(second);
        await reads(second);
      });
    }));
});
