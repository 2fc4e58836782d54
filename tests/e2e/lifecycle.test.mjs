// What a browser does to pages and service workers, and a page to its clients.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BROWSER } from "./browser.mjs";
import { SAMPLE, withSeeder } from "./headwater.mjs";
import { siteOfAll } from "./site.mjs";
import { join, sha256, until } from "./viewer.mjs";

describe("a page's life", { timeout: 240_000 }, () => {
  const site = siteOfAll();

  /** Joins the film's swarm in a page of its own. */
  const watching = (body) =>
    withSeeder(SAMPLE.mp4, [], ({ ready: { magnet } }) =>
      site.viewing(async (page) => {
        await join(page, magnet);
        await body(page, magnet);
      }),
    );

  /** Starts the film, if it does not play, and waits until it has played past `time`. */
  const playsPast = async (page, time) => {
    await page.evaluate(() => (film.src ? film.play() : file.streamTo(film).then(() => film.play())));
    await until(page, (time) => film.currentTime > time && !film.error, time);
  };

  // Only its debugger can stop a service worker.
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

    test("a forced reload leaves no page without its service worker", () =>
      watching(async (page, magnet) => {
        const session = await page.createCDPSession();
        await Promise.all([page.waitForNavigation(), session.send("Page.reload", { ignoreCache: true })]);
        await page.waitForFunction("window.isLoaded === true");
        await join(page, magnet);
        await playsPast(page, 0.2);
      }));
  }

  test("a storm of seeks ends where the last one wanted", () =>
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
    }));

  test("a page that was put away has no connections, and makes new ones when it is back", () =>
    watching(async (page) => {
      const put = (kind) => page.evaluate((kind) => dispatchEvent(new PageTransitionEvent(kind, { persisted: true })), kind);
      await put("pagehide");
      assert.equal(await page.evaluate(() => client.connectionCount), 0);
      await until(page, () => torrent.peers.length === 0);
      assert.equal(await page.evaluate(() => client.connectionCount), 0);
      await put("pageshow");
      await until(page, () => torrent.peers.length > 0);
      assert.equal(await page.evaluate(() => sha256(file.url)), sha256(SAMPLE.mp4));
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
