// What a page's author may say of where files are, whom connections are made through, and what a visitor gives.

import assert from "node:assert/strict";
import { join as path } from "node:path";
import { describe, test } from "node:test";
import { noise } from "./content.mjs";
import { ROOT, SAMPLE, withSeeder } from "./headwater.mjs";
import { siteOfAll, withSite } from "./site.mjs";
import { join, sha256, until } from "./viewer.mjs";

const DIST = path(ROOT, "web/dist");
const FOLDER = path(ROOT, "tests/sample");
/** What a TURN server would be called; nobody listens there. */
const RELAY = { urls: "turn:127.0.0.1:3478", username: "nobody", credential: "nothing" };

describe("a page's author decides", { timeout: 240_000 }, () => {
  const site = siteOfAll();
  const watching = (film, flags, body) => withSeeder(film, flags, (seeder) => site.viewing((page) => body(page, seeder.ready.magnet)));

  test("where the package's files are, before attach() needs them", () => {
    const moved = { "/w/a.js": "worker.js", "/w/b.wasm": "headwater_wasm_bg.wasm", "/films/c.js": "headwater-sw.js", "/w/d.js": "keep.js", "/w/e.js": "making.js" };
    const pages = { "/films/page.html": "page/index.html", "/films/page.mjs": "page/page.mjs" };
    const folders = Object.fromEntries([
      ...Object.entries(moved).flatMap(([to, file]) => [[to, path(DIST, file)], [`/pkg/${file}`, path(DIST, "moved")]]),
      ...Object.entries(pages).map(([to, file]) => [to, path(import.meta.dirname, file)]),
    ]);
    return withSite(async (site) =>
      withSeeder(SAMPLE.mp4, [], async ({ ready: { magnet } }) => {
        const page = await site.browser.open(`${site.url}films/page.html`);
        await page.waitForFunction("window.isLoaded === true");
        const read = await page.evaluate(async (magnet) => {
          const { attach, configure, sharedClient } = await import("/pkg/headwater.js");
          configure({ workerUrl: "/w/a.js", wasmUrl: new URL("/w/b.wasm", location.href), swUrl: "c.js", keep: true, keepUrl: "/w/d.js", makingUrl: "/w/e.js" });
          const { ready, torrent } = attach(film, magnet);
          const kept = new Promise((resolve) => torrent.on("storage", ({ state }) => state === "keeping" && resolve(state)));
          const { url } = await ready;
          const { name } = await sharedClient().seed(new File([new Uint8Array(20_000)], "made.mp4"), { trackers: ["ws://127.0.0.1:9/"] }).ready;
          const { code } = (() => {
            try {
              configure({});
            } catch (error) {
              return error;
            }
          })();
          const workers = (await navigator.serviceWorker.getRegistrations()).map(({ active }) => new URL(active.scriptURL).pathname);
          const fetched = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname);
          return { hash: await sha256(url), name, kept: await kept, prefix: new URL(url).pathname.slice(0, 17), torrents: sharedClient().torrents.length, code, workers, hasEngine: fetched.includes("/w/b.wasm") };
        }, magnet);
        assert.deepEqual(read, { hash: sha256(SAMPLE.mp4), name: "made.mp4", kept: "keeping", prefix: "/films/headwater/", torrents: 2, code: "tooLate", workers: ["/films/c.js"], hasEngine: true });
      }), { folders });
  });

  test("that there are no stream addresses, and reads without them", () =>
    watching(SAMPLE.mp4, [], async (page, magnet) => {
      const read = await page.evaluate(async (magnet) => {
        window.torrent = await new Headwater({ swUrl: null }).add(magnet).ready;
        const { code } = await torrent.files[0].ready.catch((error) => error);
        return { code, hash: await sha256OfFile(), controlled: navigator.serviceWorker.controller !== null };
      }, magnet);
      assert.deepEqual(read, { code: "serviceWorkerOff", hash: sha256(SAMPLE.mp4), controlled: false });
    }));

  test("that connections go by a relay alone: no address of the visitor's leaves the page", () =>
    watching(SAMPLE.mp4, [], async (page, magnet) => {
      const said = await page.evaluate(async (magnet, relay) => {
        const configs = [];
        const Native = RTCPeerConnection;
        window.RTCPeerConnection = class extends Native {
          constructor(config) {
            super(config);
            configs.push(this.getConfiguration());
          }
        };
        const descriptions = [];
        const client = new Headwater({
          rtcConfig: { iceServers: [relay], iceTransportPolicy: "relay" },
          mapSdp: (sdp, direction) => (descriptions.push({ direction, sdp }), sdp),
        });
        client.add(magnet);
        const deadline = performance.now() + 30_000;
        while (descriptions.length === 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
        await client.destroy();
        return { descriptions, policies: [...new Set(configs.map(({ iceTransportPolicy }) => iceTransportPolicy))], urls: configs[0].iceServers.flatMap(({ urls }) => urls) };
      }, magnet, RELAY);
      assert.deepEqual([said.policies, said.urls], [["relay"], [RELAY.urls]]);
      assert.ok(said.descriptions.length > 0);
      for (const { direction, sdp } of said.descriptions) {
        if (direction === "local") assert.doesNotMatch(sdp, /^a=candidate/m);
      }
    }));

  test("which file plays and what is shared, by attributes of the element", () =>
    watching(FOLDER, [], async (page, magnet) => {
      await page.evaluate(async (magnet) => {
        await import("/pkg/element.js");
        document.body.insertAdjacentHTML("beforeend", `<headwater-video muted playsinline file="headwater-sample.webm" share="download"></headwater-video>`);
        document.querySelector("headwater-video").src = magnet;
      }, magnet);
      const plays = (name) => until(page, (name) => document.querySelector("headwater-video").nativeEl.src.endsWith(name), name);
      await plays("/headwater-sample.webm");
      assert.deepEqual(await page.evaluate(() => document.querySelector("headwater-video").torrent.sharing), { share: "download", reason: "asked" });
      // Without a name it is the largest that plays.
      await page.evaluate(() => document.querySelector("headwater-video").removeAttribute("file"));
      await plays("/headwater-sample.mp4");
    }));

  test("what is given, unless the visitor's device saves data or its network is a mobile one", () =>
    withSeeder(SAMPLE.mp4, [], async ({ ready: { magnet } }) => {
      const page = await site.browser.open("about:blank");
      await page.evaluateOnNewDocument(() => {
        window.device = Object.assign(new EventTarget(), { saveData: true, type: "wifi" });
        Object.defineProperty(Navigator.prototype, "connection", { get: () => window.device });
      });
      await page.goto(site.url);
      await page.waitForFunction("window.isLoaded === true");
      await join(page, magnet);
      const reasons = await page.evaluate(async () => {
        const reasons = [torrent.sharing];
        torrent.on("sharing", (sharing) => reasons.push(sharing));
        const becomes = (connection) => {
          Object.assign(window.device, connection);
          window.device.dispatchEvent(new Event("change"));
        };
        becomes({ saveData: false, type: "cellular" });
        becomes({ saveData: false, type: "wifi" });
        torrent.setShare("off");
        becomes({ saveData: true, type: "wifi" });
        torrent.setShare("share");
        torrent.setShare(undefined);
        return reasons.map(({ share, reason }) => `${share}: ${reason}`);
      });
      assert.deepEqual(reasons, ["download: saveData", "download: cellular", "share: default", "off: asked", "share: asked", "download: saveData"]);
      assert.equal(await page.evaluate(() => sha256OfFile()), sha256(SAMPLE.mp4));
      await page.close();
    }));

  test("how fast a page gives", () =>
    withSeeder(noise(4), [], async (seeder) => {
      const [RATE, LENGTH] = [200_000, 600_000];
      await site.viewing(async (giver) =>
        site.viewing(async (taker) => {
          await join(giver, seeder.ready.magnet, { uploadRate: RATE });
          await giver.evaluate(() => window.sha256OfFile());
          await join(taker, seeder.ready.magnet, { share: "download" });
          await until(taker, () => torrent.peers.filter(({ seed }) => seed).length === 2);
          await seeder.stop();
          await until(taker, () => torrent.peers.length === 1);
          const seconds = await taker.evaluate(async (end) => {
            const start = performance.now();
            await file.arrayBuffer({ start: 0, end });
            return (performance.now() - start) / 1000;
          }, LENGTH);
          // What may leave at once is a second's worth at the most.
          assert.ok(seconds > LENGTH / RATE - 1, `${LENGTH} bytes came in ${seconds} s`);
        }),
      );
    }));

  test("that its player has enough for now: then waiting fetches no more ahead", () =>
    watching(noise(16), ["--upload-limit", "3MB"], async (page, magnet) => {
      const END = 9 * 2 ** 20;
      await join(page, magnet);
      await until(page, () => torrent.stats.aheadCap > 0);
      const before = await page.evaluate(() => torrent.stats.aheadCap);
      // Where nothing is said, two seconds of waiting are enough to fetch more.
      await page.evaluate(async (end) => {
        const telling = setInterval(() => (torrent.secondsAhead = 20.25), 50);
        await sha256OfFile(0, { start: 0, end });
        clearInterval(telling);
      }, END);
      await until(page, (end) => torrent.stats.verified >= end, END);
      assert.equal(await page.evaluate(() => torrent.stats.aheadCap), before);
    }));
});
