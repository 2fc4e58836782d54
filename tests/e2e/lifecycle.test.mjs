// What a browser does to pages and service workers, and a page to its clients.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BROWSER } from "./browser.mjs";
import { noise } from "./content.mjs";
import { SAMPLE, withSeeder } from "./headwater.mjs";
import { siteOfAll, withSite } from "./site.mjs";
import { join, sha256, until } from "./viewer.mjs";

/** A third of the film. */
const STORM_WINDOW_BYTES = 450_000;

/** What was read and is not free yet, in a worker. */
const READ_BYTES = 2 << 20;

/** Forty elements may leave so much more in the engine's memory and in each heap: tables that grow by doubling, compiled code. */
const LEFT_BYTES = 1 << 20;

/** A page that comes back must not wait for what a tracker's interval allows. */
const BACK_WITHIN_MS = 5_000;

describe("a page's life", { timeout: 240_000 }, () => {
  const site = siteOfAll();

  /** Joins the film's swarm in a page of its own. */
  const watching = (body, options = {}) =>
    withSeeder(SAMPLE.mp4, [], ({ ready: { magnet } }) =>
      site.viewing(async (page) => {
        await join(page, magnet, options);
        await body(page, magnet);
      }),
    );

  /** Starts the film, if it does not play, and waits until it has played past `time`. */
  const playsPast = async (page, time) => {
    await page.evaluate(() => (film.src ? film.play() : file.streamTo(film).then(() => film.play())));
    await until(page, (time) => film.currentTime > time && !film.error, time);
  };

  // Only its debugger can stop a service worker, and Firefox puts no page away that has connections.
  if (BROWSER === "chromium") {
    test("the film plays on after the browser stopped the service worker", () =>
      watching(async (page) => {
        await playsPast(page, 0.2);
        const session = await page.createCDPSession();
        await session.send("ServiceWorker.enable");
        for (const time of [20, 8, 35]) {
          await session.send("ServiceWorker.stopAllWorkers");
          await page.evaluate((time) => (film.currentTime = time), time);
          await playsPast(page, time + 0.2);
        }
        assert.equal(await page.evaluate(() => sha256(file.url)), sha256(SAMPLE.mp4));
      }));

    test("what was read is free at once, in the worker and in the service worker", () =>
      withSeeder(noise(16), ["--v1"], ({ ready: { magnet } }) =>
        site.viewing(async (page) => {
          await join(page, magnet, { windowBytes: 4 << 20 });
          const bytes = await page.evaluate(async () => {
            let bytes = 0;
            for await (const chunk of (await fetch(file.url)).body) bytes += chunk.length;
            return bytes;
          });
          assert.equal(bytes, 16 << 20);
          const target = page.browserContext().targets().find((target) => target.type() === "service_worker");
          for (const worker of [page.workers()[0], await target.worker()]) {
            const { backingStorageSize } = await worker.client.send("Runtime.getHeapUsage");
            assert.ok(backingStorageSize <= READ_BYTES, `${backingStorageSize} bytes in ${worker.url()}`);
          }
        }),
      ));

    test("fifty elements that came and went leave no worker, connection, address, node or memory", () =>
      withSeeder(SAMPLE.mp4, [], ({ ready: { magnet } }) =>
        site.viewing(async (page) => {
          await page.evaluate(async () => {
            await import("/pkg/element.js");
            window.addresses = 0;
            const { createObjectURL, revokeObjectURL } = URL;
            URL.createObjectURL = (object) => ((window.addresses += 1), createObjectURL.call(URL, object));
            URL.revokeObjectURL = (url) => ((window.addresses -= 1), revokeObjectURL.call(URL, url));
          });
          const session = await page.createCDPSession();
          /** What is there after so many elements more. */
          const leftAfter = async (elements) => {
            const ofEngine = await page.evaluate(async (magnet, elements) => {
              let bytes;
              for (let element = 0; element < elements; element += 1) {
                const video = Object.assign(document.createElement("headwater-video"), { muted: true, src: magnet });
                const isKnown = new Promise((resolve) => video.addEventListener("loadedmetadata", resolve, { once: true }));
                document.body.append(video);
                await isKnown;
                if (element + 1 === elements) bytes = await new Promise((resolve) => video.torrent.on("stats", ({ wasmMemory }) => resolve(wasmMemory)));
                video.remove();
              }
              return bytes;
            }, magnet, elements);
            await until(page, () => import("/pkg/headwater.js").then(({ sharedClient }) => sharedClient().torrents.length + sharedClient().connectionCount === 0));
            const bytes = [ofEngine];
            for (const client of [session, page.workers()[0].client]) {
              await client.send("HeapProfiler.collectGarbage");
              const { usedSize, backingStorageSize } = await client.send("Runtime.getHeapUsage");
              bytes.push(usedSize + backingStorageSize);
            }
            const { nodes, jsEventListeners } = await session.send("Memory.getDOMCounters");
            return { bytes, nodes, jsEventListeners, workers: page.workers().length, addresses: await page.evaluate(() => addresses) };
          };
          const before = await leftAfter(10);
          const after = await leftAfter(40);
          assert.deepEqual([after.workers, after.addresses], [1, before.addresses]);
          assert.ok(after.nodes <= before.nodes + 40 && after.jsEventListeners <= before.jsEventListeners + 40, JSON.stringify([before, after]));
          after.bytes.forEach((bytes, at) => assert.ok(bytes <= before.bytes[at] + LEFT_BYTES, JSON.stringify([before, after])));
        }),
      ));

    test("a forced reload leaves no page without its service worker", () =>
      watching(async (page, magnet) => {
        const session = await page.createCDPSession();
        await Promise.all([page.waitForNavigation(), session.send("Page.reload", { ignoreCache: true })]);
        await page.waitForFunction("window.isLoaded === true");
        await join(page, magnet);
        await playsPast(page, 0.2);
      }));

    test("a page that comes back from the back/forward cache plays on at once, where it was", () =>
      withSite(async (site) =>
        withSeeder(SAMPLE.mp4, [], async ({ ready: { magnet } }) => {
          // Not one with a microphone: such a page is not put away.
          const page = await site.browser.open(site.url);
          await page.waitForFunction("window.isLoaded === true");
          await join(page, magnet, { windowBytes: 300_000 });
          await playsPast(page, 0.5);
          await page.evaluate(() => {
            Object.assign(window, { opened: 0, shown: [] });
            addEventListener("pageshow", ({ persisted }) => shown.push(persisted));
            torrent.on("peerOpened", () => (window.opened += 1));
          });
          await page.goto(new URL("page.mjs", site.url).href);
          await page.goBack();
          const since = performance.now();
          await until(page, () => window.isLoaded && (!window.shown || shown.length > 0));
          const reasons = () => JSON.stringify(performance.getEntriesByType("navigation")[0]?.notRestoredReasons ?? null);
          assert.deepEqual(await page.evaluate(() => window.shown ?? null), [true], await page.evaluate(reasons));
          await until(page, () => opened > 0);
          const tookMs = performance.now() - since;
          assert.ok(tookMs < BACK_WITHIN_MS, `${tookMs} ms`);
          // Where it never was, so that it has to be fetched.
          await page.evaluate(() => (film.currentTime = 35));
          await playsPast(page, 35.2);
          assert.equal(await page.evaluate(() => sha256(file.url)), sha256(SAMPLE.mp4));
          await page.close();
        }), { cacheControl: "max-age=60" }));
  }

  test("a storm of seeks ends where the last one wanted, and takes no more memory than it may", () =>
    watching(async (page) => {
      await playsPast(page, 0.1);
      await page.evaluate(async () => {
        for (let seek = 0; seek < 40; seek += 1) {
          film.currentTime = (seek * 17) % 45;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        film.currentTime = 20;
      });
      await playsPast(page, 20.2);
      assert.equal(await page.evaluate(() => sha256(file.url)), sha256(SAMPLE.mp4));
      const { windowPeak } = await page.evaluate(() => peaks);
      assert.ok(windowPeak > 0 && windowPeak <= STORM_WINDOW_BYTES, `${windowPeak} bytes`);
    }, { windowBytes: STORM_WINDOW_BYTES }));

  test("a page that was put away has no connections, and makes new ones when it is back", () =>
    watching(async (page) => {
      const put = (kind) => page.evaluate((kind) => dispatchEvent(new PageTransitionEvent(kind, { persisted: true })), kind);
      await put("pagehide");
      assert.equal(await page.evaluate(() => client.connectionCount), 0);
      await until(page, () => torrent.peers.length === 0);
      assert.deepEqual(await page.evaluate(() => [client.connectionCount, torrent.sharing]), [0, { share: "off", reason: "away" }]);
      await put("pageshow");
      const since = performance.now();
      await until(page, () => torrent.peers.length > 0);
      const tookMs = performance.now() - since;
      assert.ok(tookMs < BACK_WITHIN_MS, `${tookMs} ms`);
      assert.equal(await page.evaluate(() => torrent.sharing.reason), "default");
      assert.equal(await page.evaluate(() => sha256(file.url)), sha256(SAMPLE.mp4));
    }));

  test("a page that is reloaded again and again is one peer to others", () =>
    watching(async (page, magnet) => {
      await site.viewing(async (other) => {
        await join(other, magnet);
        for (let reload = 0; reload < 5; reload += 1) {
          await page.reload();
          await page.waitForFunction("window.isLoaded === true");
          await join(page, magnet);
          await until(page, () => torrent.peers.length > 0);
        }
        assert.ok(page.workers().length <= 1, `${page.workers().length} workers`);
        // The seeder, and the page as it is now.
        await until(other, () => torrent.peers.length === 2);
      });
    }));

  test("clients that come and go leave nothing behind", () =>
    watching(async (page, magnet) => {
      const left = await page.evaluate(async (magnet) => {
        const counts = [];
        for (let round = 0; round < 5; round += 1) {
          const passing = new Headwater();
          const { files } = await passing.add(magnet).ready;
          await files[0].streamTo(film);
          await passing.destroy();
          counts.push(passing.connectionCount + passing.torrents.length);
        }
        return counts;
      }, magnet);
      assert.deepEqual(left, [0, 0, 0, 0, 0]);
    }));

  test("a removed torrent ends its streams with the reason, and its connections", () =>
    watching(async (page) => {
      const { code, status } = await page.evaluate(async () => {
        const { url } = file;
        const reader = file.stream().getReader();
        await reader.read();
        torrent.remove();
        const { code } = await (async () => {
          for (;;) await reader.read();
        })().catch((error) => error);
        const { status } = await fetch(url);
        return { code, status };
      });
      assert.equal(code, "removed");
      assert.equal(status, 404);
      await until(page, () => client.connectionCount === 0);
    }));
});
