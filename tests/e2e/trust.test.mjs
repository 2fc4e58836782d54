// What a page and its visitor are safe from, whatever is in a torrent and whoever else is on the machine.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { describe, test } from "node:test";
import { BROWSER, withBrowser } from "./browser.mjs";
import { noise } from "./content.mjs";
import { SAMPLE, withSeeder } from "./headwater.mjs";
import { serve } from "./server.mjs";
import { siteOfAll } from "./site.mjs";
import { join, openViewer, sha256, until } from "./viewer.mjs";

const HTML = "<!doctype html><script>top.attacked = true; opener && (opener.attacked = true)</script>";
const SCRIPT = "globalThis.attacked = true; globalThis.postMessage?.('attacked');";
/** Files that browsers would like to run. */
const HOSTILE = {
  "page.html": HTML,
  "page.xhtml": `<html xmlns="http://www.w3.org/1999/xhtml"><script>top.attacked = true</script></html>`,
  "picture.svg": `<svg xmlns="http://www.w3.org/2000/svg"><script>top.attacked = true</script></svg>`,
  "script.js": SCRIPT,
  "sniffed.txt": HTML,
  "sniffed.mp4": HTML,
  "style.css": "body { display: none !important }",
};

/** Another process's burst can make any transfer slow; being hidden does every time. */
const ATTEMPTS = 3;

/** Long enough for everything of the page to have stopped; `FROZEN_MS=60000` takes a minute, and passes as well. */
const FROZEN_MS = Number(process.env.FROZEN_MS ?? 3_000);

describe("a page is safe", { timeout: 240_000 }, () => {
  const site = siteOfAll();

  /** Joins the swarm of what lies at `path` in a page of its own. */
  const joined = (path, body) =>
    withSeeder(path, [], ({ ready }) =>
      site.viewing(async (page) => {
        await join(page, ready.magnet);
        await body(page, ready);
      }),
    );

  test("from torrents that bring pages, scripts, styles and pictures that run", async () => {
    const folder = mkdtempSync(joinPath(tmpdir(), "headwater-hostile-"));
    for (const [name, text] of Object.entries(HOSTILE)) writeFileSync(joinPath(folder, name), text);
    try {
      await joined(folder, async (page) => {
        const answers = await page.evaluate(async () => {
          /** Whether an element with this address comes to load. */
          const loads = (tag, attributes) =>
            new Promise((resolve) => {
              const element = Object.assign(document.createElement(tag), attributes);
              element.onload = () => resolve(true);
              element.onerror = () => resolve(false);
              document.body.append(element);
              // Frames and objects load their error page; what counts is that nothing ran.
              setTimeout(() => resolve(false), 1_000);
            });
          const worksAs = {
            script: (src) => loads("script", { src }),
            module: (src) => loads("script", { src, type: "module" }),
            style: (href) => loads("link", { rel: "stylesheet", href }),
            worker: (url) => new Promise((resolve) => {
              const worker = new Worker(url);
              worker.onmessage = () => resolve(true);
              worker.onerror = () => resolve(false);
            }),
            import: (url) => import(url).then(() => true, () => false),
          };
          const answers = {};
          await Promise.all(torrent.files.map(async ({ name, url }) => {
            const { headers } = await fetch(url);
            const frames = Promise.all([loads("iframe", { src: url }), loads("object", { data: url }), loads("embed", { src: url })]);
            const ran = await Promise.all(Object.entries(worksAs).map(async ([as, works]) => ((await works(url)) ? as : null)));
            await frames;
            answers[name] = {
              ran: ran.filter(Boolean),
              type: headers.get("content-type"),
              disposition: headers.get("content-disposition"),
              sniff: headers.get("x-content-type-options"),
            };
          }));
          return answers;
        });
        assert.deepEqual(Object.keys(answers).sort(), Object.keys(HOSTILE).sort());
        for (const [name, { ran, type, disposition, sniff }] of Object.entries(answers)) {
          assert.deepEqual(ran, [], name);
          assert.equal(sniff, "nosniff", name);
          if (name.endsWith(".mp4")) assert.equal(type, "video/mp4");
          else if (!name.endsWith(".txt")) assert.match(`${type} ${disposition}`, /^application\/octet-stream attachment/, name);
        }
        const { attacked, display } = await page.evaluate(() => ({ attacked: window.attacked ?? false, display: getComputedStyle(document.body).display }));
        assert.deepEqual([attacked, display], [false, "block"]);
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("from other sites: they read nothing of what it streams", async () => {
    const other = await serve({ address: "127.0.0.2" });
    try {
      await joined(SAMPLE.mp4, async (page) => {
        const url = await page.evaluate(() => file.url);
        assert.equal(await page.evaluate((url) => fetch(url, { headers: { range: "bytes=0-9" } }).then(({ status }) => status), url), 206);
        const stranger = await site.browser.open(other.url);
        const read = await stranger.evaluate(async (url) => ({
          fetched: await fetch(url).then(() => true, () => false),
          played: await new Promise((resolve) => {
            const video = Object.assign(document.createElement("video"), { src: url });
            video.onloadedmetadata = () => resolve(true);
            video.onerror = () => resolve(false);
          }),
        }), url);
        assert.deepEqual(read, { fetched: false, played: false });
        await stranger.close();
      });
    } finally {
      await other.close();
    }
  });

  test("from being seen by more than it must: its connections ask no STUN server, and offer addresses of its own alone", () =>
    withSeeder(SAMPLE.mp4, [], async (seeder) => {
      const page = await site.browser.open("about:blank");
      await page.evaluateOnNewDocument(() => {
        window.connections = [];
        window.RTCPeerConnection = class extends RTCPeerConnection {
          constructor(config) {
            super(config);
            window.connections.push(this);
          }
        };
      });
      await page.goto(site.url);
      await page.waitForFunction("window.isLoaded === true");
      if (BROWSER === "chromium") await page.evaluate(() => navigator.mediaDevices.getUserMedia({ audio: true }).then(() => {}));
      await join(page, seeder.ready.magnet);
      assert.equal(await page.evaluate(() => window.sha256OfFile()), sha256(SAMPLE.mp4));
      const { servers, kinds } = await page.evaluate(async () => {
        const kinds = new Set();
        for (const connection of connections) {
          const stats = await connection.getStats();
          stats.forEach((stat) => stat.type === "local-candidate" && kinds.add(stat.candidateType));
        }
        return { servers: connections.flatMap((connection) => connection.getConfiguration().iceServers ?? []), kinds: [...kinds] };
      });
      assert.deepEqual(servers, []);
      assert.ok(kinds.length > 0 && kinds.every((kind) => kind === "host" || kind === "prflx"), String(kinds));
      await page.close();
    }));

  test("from a second tab of its site: both play, and one goes on when the other is closed", () =>
    joined(SAMPLE.mp4, async (page, { magnet }) => {
      const second = await site.view();
      await join(second, magnet);
      const plays = async (tab) => {
        await tab.bringToFront();
        await tab.evaluate(() => file.streamTo(film).then(() => film.play()));
        await until(tab, () => film.currentTime > 0.5);
      };
      await plays(second);
      await plays(page);
      await second.close();
      const { currentTime } = await page.evaluate(() => ({ currentTime: film.currentTime }));
      await until(page, (time) => film.currentTime > time + 0.5, currentTime);
      await page.evaluate(() => (film.currentTime = 30));
      await until(page, () => film.currentTime > 30.2);
      assert.equal(await page.evaluate(() => window.sha256(file.url)), sha256(SAMPLE.mp4));
    }));

  test("from elements that come and go: fifty leave no torrent, no connection and no second worker", () =>
    withSeeder(SAMPLE.mp4, [], async (seeder) => {
      const page = await site.view();
      const left = await page.evaluate(async (magnet) => {
        await import("/pkg/element.js");
        const { sharedClient } = await import("/pkg/headwater.js");
        for (let mount = 0; mount < 50; mount += 1) {
          const element = Object.assign(document.createElement("headwater-video"), { src: magnet });
          document.body.append(element);
          // Some are gone before they know what the torrent is, some after.
          if (mount % 10 === 9) await new Promise((resolve) => element.addEventListener("loadedmetadata", resolve, { once: true }));
          element.remove();
          await null;
        }
        const client = sharedClient();
        const deadline = performance.now() + 5_000;
        while (client.connectionCount + client.torrents.length > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
        return { connections: client.connectionCount, torrents: client.torrents.length };
      }, seeder.ready.magnet);
      assert.deepEqual(left, { connections: 0, torrents: 0 });
      assert.ok(page.workers().length <= 1, `${page.workers().length} workers`);
      await page.close();
    }));

  // Only this one writes down what its sockets do.
  if (BROWSER === "chromium") {
    test("from packets to anybody but the site, the tracker and peers, by the browser's own log of its sockets", () =>
      withSeeder(SAMPLE.mp4, [], async ({ ready }) => {
        const folder = mkdtempSync(joinPath(tmpdir(), "headwater-sockets-"));
        const log = joinPath(folder, "log.json");
        try {
          const flags = [`--log-net-log=${log}`, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"];
          await withBrowser(async (browser) => {
            const page = await openViewer(browser, site.url);
            await join(page, ready.magnet);
            await page.evaluate(() => file.streamTo(film).then(() => film.play()));
            await until(page, () => film.currentTime > 0.5);
            assert.equal(await page.evaluate(() => sha256OfFile()), sha256(SAMPLE.mp4));
          }, { flags });
          const { constants, events } = JSON.parse(readFileSync(log, "utf8"));
          const addresses = (kind) => new Set(events.filter(({ type, params }) => type === constants.logEventTypes[kind] && params?.address).map(({ params }) => params.address));
          const hosts = [site.url, ...ready.trackers].map((url) => new URL(url).host);
          assert.deepEqual([...addresses("TCP_CONNECT_ATTEMPT")].sort(), hosts.sort());
          assert.deepEqual([...addresses("UDP_BYTES_SENT")], [ready.webrtc]);
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      }));
  }

  // Only its debugger can freeze a page, and only here is it known what throttles one that is hidden.
  if (BROWSER === "chromium") {
    test("from being frozen behind another tab: it plays on within five seconds", () =>
      joined(SAMPLE.mp4, async (page) => {
        await page.evaluate(() => file.streamTo(film).then(() => film.play()));
        await until(page, () => film.currentTime > 0.5);
        const inFront = await site.browser.open("about:blank");
        const session = await page.createCDPSession();
        await session.send("Page.setWebLifecycleState", { state: "frozen" });
        await new Promise((resolve) => setTimeout(resolve, FROZEN_MS));
        await session.send("Page.setWebLifecycleState", { state: "active" });
        await inFront.close();
        await page.bringToFront();
        const started = performance.now();
        await page.evaluate(() => {
          film.currentTime = 35;
          return film.play();
        });
        await until(page, () => film.currentTime > 35.2);
        assert.ok(performance.now() - started < 5_000);
      }));

    test("from being hidden: it keeps half of its rate at the least", () =>
      withSeeder(noise(64), [], (seeder) =>
        withBrowser(
          async (browser) => {
            const page = await openViewer(browser, site.url);
            /** Joins anew and reads it all; answers in ms. */
            const taken = () =>
              page.evaluate(async (magnet) => {
                const client = new Headwater({ swUrl: null });
                const torrent = await client.add(magnet).ready;
                const start = performance.now();
                const reader = torrent.files[0].stream().getReader();
                while (!(await reader.read()).done);
                const ms = performance.now() - start;
                await client.destroy();
                return ms;
              }, seeder.ready.magnet);
            const [visible, hidden] = [[], []];
            for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
              await page.bringToFront();
              visible.push(await taken());
              const inFront = await browser.open("about:blank");
              assert.equal(await page.evaluate(() => document.visibilityState), "hidden");
              hidden.push(await taken());
              await inFront.close();
              if (Math.min(...hidden) <= 2 * Math.min(...visible)) return;
            }
            assert.fail(`visible ${visible} ms, hidden ${hidden} ms`);
          },
          { isThrottled: true },
        ),
      ));
  }
});
