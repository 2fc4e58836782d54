// What the package offers a page's author beyond playing one file.

import assert from "node:assert/strict";
import { join as path } from "node:path";
import { describe, test } from "node:test";
import { noise } from "./content.mjs";
import { JsonProcess, ROOT, SAMPLE, withSeeder } from "./headwater.mjs";
import { siteOfAll } from "./site.mjs";
import { join, sha256, until } from "./viewer.mjs";

const HLS = path(ROOT, "tests/sample/hls");
const BINARY = process.env.HEADWATER ?? path(ROOT, "target/debug/headwater");

describe("a page's author", { timeout: 300_000 }, () => {
  const site = siteOfAll({ folders: { "/hls.mjs": path(ROOT, "tests/e2e/node_modules/hls.js/dist/hls.light.mjs"), "/film.mp4": SAMPLE.mp4, "/media-chrome/": path(ROOT, "web/node_modules/media-chrome/dist/") } });

  const withPage = (body) => site.viewing(body);
  const watching = (film, flags, body) => withSeeder(film, flags, (seeder) => withPage((page) => body(page, seeder.ready.magnet)));
  const plays = (page, selector) => until(page, (selector) => document.querySelector(selector).currentTime > 0.3, selector);

  test("writes <headwater-video>, and it plays", () =>
    watching(SAMPLE.mp4, [], async (page, magnet) => {
      await page.evaluate(async (magnet) => {
        await import("/pkg/element.js");
        document.body.insertAdjacentHTML("beforeend", `<headwater-video muted autoplay playsinline></headwater-video>`);
        document.querySelector("headwater-video").src = magnet;
      }, magnet);
      await plays(page, "headwater-video");
      const { name, duration, error, paused } = await page.evaluate(() => {
        const { torrent, duration, error, paused } = document.querySelector("headwater-video");
        return { name: torrent.name, duration, error, paused };
      });
      assert.deepEqual([name, Math.round(duration), error, paused], ["headwater-sample.mp4", 48, null, false]);
      // Taken away, it leaves the swarm; a plain film plays in it as in any <video>.
      await page.evaluate(() => {
        const element = document.querySelector("headwater-video");
        element.src = "/film.mp4";
      });
      await until(page, () => document.querySelector("headwater-video").torrent === null && document.querySelector("headwater-video").nativeEl.src.endsWith("/film.mp4"));
      await plays(page, "headwater-video");
    }));

  test("puts <headwater-video> into media-chrome, whose controls play it and seek in it", () =>
    watching(SAMPLE.mp4, [], async (page, magnet) => {
      await page.evaluate(async (magnet) => {
        await Promise.all([import("/pkg/element.js"), import("/media-chrome/index.js")]);
        document.body.insertAdjacentHTML(
          "beforeend",
          `<media-controller>
             <headwater-video slot="media" muted playsinline></headwater-video>
             <media-control-bar><media-play-button></media-play-button><media-time-range></media-time-range></media-control-bar>
           </media-controller>`,
        );
        document.querySelector("headwater-video").src = magnet;
      }, magnet);
      await until(page, () => Math.round(document.querySelector("media-time-range").getAttribute("mediaduration")) === 48);
      await page.evaluate(() => document.querySelector("media-play-button").click());
      await plays(page, "headwater-video");
      assert.equal(await page.evaluate(() => document.querySelector("media-play-button").hasAttribute("mediapaused")), false);
      await page.evaluate(() => {
        const range = document.querySelector("media-time-range");
        range.dispatchEvent(new CustomEvent("mediaseekrequest", { bubbles: true, composed: true, detail: 30 }));
      });
      await until(page, () => document.querySelector("headwater-video").currentTime > 30.2);
    }));

  test("is told by <headwater-video> what is wrong, as media elements do", () =>
    withPage(async (page) => {
      const error = await page.evaluate(async () => {
        await import("/pkg/element.js");
        const element = document.createElement("headwater-video");
        const failed = new Promise((resolve) => element.addEventListener("error", () => resolve(element.error)));
        element.src = "magnet:?xt=urn:btih:zzzz";
        document.body.append(element);
        const { code, message, cause } = await failed;
        return { code, message, kind: cause.code };
      });
      assert.equal(error.code, 4);
      assert.equal(error.kind, "badMagnet");
      assert.match(error.message, /Copy it whole/);
    }));

  test("attaches a torrent to a <video> of the page's own, and takes it off", () =>
    watching(SAMPLE.webm, [], async (page, magnet) => {
      const name = await page.evaluate(async (magnet) => {
        const { attach } = await import("/pkg/headwater.js");
        window.attachment = attach(film, magnet);
        const { name } = await attachment.ready;
        await film.play();
        return name;
      }, magnet);
      assert.equal(name, "headwater-sample.webm");
      await plays(page, "#film");
      assert.equal(await page.evaluate(() => (attachment.detach(), film.getAttribute("src"))), null);
    }));

  test("plays a playlist of a torrent in hls.js, with the segments of the same torrent", () =>
    watching(HLS, [], async (page, magnet) => {
      await join(page, magnet);
      const played = await page.evaluate(async () => {
        const { default: Hls } = await import("/hls.mjs");
        const playlist = torrent.files.find(({ path }) => path.endsWith("film.m3u8"));
        await playlist.ready;
        const hls = new Hls();
        const failed = new Promise((_, reject) => hls.on(Hls.Events.ERROR, (_, { fatal, details }) => fatal && reject(new Error(details))));
        hls.loadSource(playlist.url);
        hls.attachMedia(film);
        film.playbackRate = 4;
        const ended = new Promise((resolve) => film.addEventListener("ended", resolve));
        hls.on(Hls.Events.MANIFEST_PARSED, () => film.play());
        await Promise.race([ended, failed]);
        return { seconds: film.currentTime, received: torrent.stats.received, length: torrent.length };
      });
      assert.ok(played.seconds > 11.9, `${played.seconds} s`);
      assert.ok(played.received > 0);
    }));

  test("pauses a torrent, and nothing comes until it is resumed", () =>
    watching(noise(4), ["--upload-limit", "1MB"], async (page, magnet) => {
      await join(page, magnet);
      await page.evaluate(() => (window.whole = window.sha256OfFile()));
      await until(page, () => torrent.stats.received > 500_000);
      await page.evaluate(() => torrent.pause());
      await until(page, () => torrent.peers.length === 0 && client.connectionCount === 0);
      const { isPaused, sharing, stoppedAt } = await page.evaluate(async () => ({ isPaused: torrent.isPaused, sharing: torrent.sharing, stoppedAt: (await torrent.doctor()).stoppedAt }));
      assert.deepEqual([isPaused, sharing, stoppedAt], [true, { share: "off", reason: "paused" }, "sharing"]);
      const paused = await page.evaluate(() => torrent.stats.received);
      await page.evaluate(() => torrent.resume());
      await until(page, () => torrent.peers.length > 0);
      assert.ok((await page.evaluate(() => torrent.stats.received)) >= paused);
      assert.equal(await page.evaluate(() => window.whole), sha256(noise(4)));
    }));

  test("deselects a file before its first byte, and selects it again", () =>
    watching(HLS, [], async (page, magnet) => {
      // Half of something is a window as good as any.
      await join(page, magnet, { add: { deselect: [0, 1, 2, 3, 4], windowBytes: 2 ** 25 + 0.5 } });
      const before = await page.evaluate(async () => {
        const [file] = torrent.files;
        const { code } = await file.arrayBuffer().catch((error) => error);
        const { status } = await fetch(file.url);
        return { code, status, verified: torrent.stats?.verified ?? 0, isSelected: file.isSelected };
      });
      assert.deepEqual(before, { code: "deselected", status: 404, verified: 0, isSelected: false });
      const length = await page.evaluate(async () => {
        const [file] = torrent.files;
        file.select();
        return (await file.arrayBuffer()).byteLength - file.length;
      });
      assert.equal(length, 0);
    }));

  test("seeds a file from the page, and another page plays it", async () => {
    const tracker = new JsonProcess(BINARY, ["track", "--listen", "127.0.0.1:0", "--json"]);
    try {
      const { tracker: url } = await tracker.line((line) => "tracker" in line);
      await withPage(async (giver) => {
        const made = await giver.evaluate(async (url) => {
          const blob = await (await fetch("/film.mp4")).blob();
          window.client = new Headwater({ trackers: [url] });
          window.hashed = [];
          window.torrent = client.seed(new File([blob], "from the page.mp4"));
          torrent.on("hashing", (progress) => hashed.push(progress));
          await torrent.ready;
          const [file] = torrent.files;
          return { magnet: torrent.magnet, names: torrent.files.map(({ name }) => name), own: await sha256(file.url), done: hashed.at(-1), length: file.length, v1: torrent.infoHashV1, v2: torrent.infoHashV2, torrentFile: torrent.torrentFile.size };
        }, url);
        assert.deepEqual(made.names, ["from the page.mp4"]);
        assert.equal(made.own, sha256(SAMPLE.mp4));
        assert.deepEqual(made.done, { done: made.length, total: made.length });
        assert.ok(made.v1 && made.v2 && made.torrentFile > 0);
        await withPage(async (taker) => {
          await join(taker, made.magnet);
          assert.equal(await taker.evaluate(() => window.sha256OfFile()), sha256(SAMPLE.mp4));
          await until(giver, (length) => torrent.stats.sent >= length, made.length);
        });
      });
    } finally {
      await tracker.stop();
    }
  });

  test("names what it seeds: a file, a folder, files of many folders; and nothing, which is no torrent", () =>
    withPage(async (page) => {
      const made = await page.evaluate(async () => {
        const client = new Headwater({ trackers: ["ws://127.0.0.1:9/"] });
        const file = (path, length = 20_000) => Object.defineProperty(new File([new Uint8Array(length)], path.split("/").at(-1)), "webkitRelativePath", { value: path });
        const seeded = ({ name, files }) => [name, ...files.map(({ path }) => [path].flat().join("/"))].join(" | ");
        const all = [["a.mp4"], ["films/x/a.mp4", "films/b.mp4"], ["f/a.mp4", "g/b.mp4"]].map((paths) => client.seed(paths.map((path) => file(path))).ready.then(seeded));
        return [...(await Promise.all(all)), await client.seed(file("a.mp4", 0)).ready.catch(({ code }) => code)].join("\n");
      });
      assert.deepEqual(made.split("\n"), ["a.mp4 | a.mp4", "films | b.mp4 | x/a.mp4", "a.mp4 and 1 more | f/a.mp4 | g/b.mp4", "hashFailed"]);
    }));

  test("lets nothing be given, or no more than so much", () =>
    withSeeder(noise(4), ["--upload-limit", "2MB"], async (seeder) => {
      const BUDGET = 256 * 1024;
      await withPage((taker) =>
        withPage(async (first) => {
          await join(first, seeder.ready.magnet, { add: { share: "share", uploadBytes: BUDGET } });
          await first.evaluate(() => window.sha256OfFile());
          await join(taker, seeder.ready.magnet, { share: "download" });
          await taker.evaluate(() => window.sha256OfFile());
          await until(first, () => torrent.sharing.reason === "budgetSpent");
          const { sent, uploadLeft } = await first.evaluate(() => torrent.stats);
          // The last block may overshoot.
          assert.ok(sent >= BUDGET && sent < BUDGET + 16 * 1024, `${sent} bytes given`);
          assert.equal(uploadLeft, 0);
          assert.equal(await taker.evaluate(() => torrent.stats.sent), 0);
        }),
      );
    }));

  test("gives no more than so much of all torrents together", () =>
    withSeeder(noise(4), [], (one) =>
      withSeeder(noise(8), [], (other) =>
        withPage((giver) =>
          withPage(async (taker) => {
            const [BUDGET, FIRST_PART] = [512 * 1024, 128 * 1024];
            const given = () => giver.evaluate(() => client.torrents.map(({ stats }) => stats.sent));
            // Once its seeder is gone, all that the taker gets of a torrent is the giver's.
            const giveAlone = async (seeder) => {
              await join(giver, seeder.ready.magnet, { uploadBytes: BUDGET, add: { share: "share" } });
              await giver.evaluate(() => window.sha256OfFile());
              await join(taker, seeder.ready.magnet, { share: "download" });
              await until(taker, () => torrent.peers.length === 2);
              await seeder.stop();
              await until(taker, () => torrent.peers.length === 1);
            };
            await giveAlone(one);
            await taker.evaluate((end) => file.arrayBuffer({ start: 0, end }), FIRST_PART);
            await until(giver, (least) => torrent.stats.sent >= least, FIRST_PART);
            const [first] = await given();
            assert.ok(first < BUDGET, `${first} bytes`);
            await giveAlone(other);
            await taker.evaluate(() => void file.arrayBuffer().catch(() => {}));
            await until(giver, () => client.torrents.every(({ sharing }) => sharing.reason === "budgetSpent"));
            const [before, after] = await given();
            assert.equal(before, first);
            // The last block may overshoot.
            assert.ok(before + after >= BUDGET && before + after < BUDGET + 16 * 1024, `${before} and ${after} bytes`);
          }),
        ),
      ),
    ));

  test("gives no more in a month than all tabs of the site may together", () =>
    withSeeder(noise(4), ["--upload-limit", "2MB"], async (seeder) => {
      const BUDGET = 256 * 1024;
      const options = { uploadBytesPerMonth: BUDGET, add: { share: "share" } };
      await withPage((giver) =>
        withPage(async (taker) => {
          await join(giver, seeder.ready.magnet, options);
          await giver.evaluate(() => window.sha256OfFile());
          await join(taker, seeder.ready.magnet, { share: "download" });
          await taker.evaluate(() => window.sha256OfFile());
          await until(giver, () => torrent.sharing.reason === "budgetSpent");
          assert.ok((await giver.evaluate(() => torrent.stats.sent)) >= BUDGET);
          // Another tab knows from the start, and says what it does.
          await taker.evaluate(() => client.destroy().then(() => (window.client = undefined)));
          await join(taker, seeder.ready.magnet, options);
          assert.deepEqual(await taker.evaluate(() => torrent.sharing), { share: "download", reason: "budgetSpent" });
          await taker.evaluate(() => localStorage.clear());
        }),
      );
    }));

  test("asks the doctor, and is led up the ladder to the first block", () =>
    watching(SAMPLE.mp4, [], async (page, magnet) => {
      await join(page, magnet);
      assert.equal(await page.evaluate(() => torrent.doctor().then(({ code }) => code)), "notRead");
      await page.evaluate(() => file.arrayBuffer({ start: 0, end: 100_000 }));
      await until(page, () => torrent.doctor().then(({ stoppedAt }) => stoppedAt === null));
      const { rungs, phases, trace, path } = await page.evaluate(async () => ({ rungs: (await torrent.doctor()).rungs, phases: torrent.phases, trace: client.trace(), path: torrent.peers[0].path }));
      assert.deepEqual(rungs.map(({ rung }) => rung), ["engine", "sharing", "tracker", "offer", "ice", "dtls", "handshake", "metadata", "block"]);
      assert.deepEqual(Object.keys(phases).sort(), ["announced", "firstPeer", "firstVerified", "metadata"]);
      assert.ok(trace.entries.some(({ kind, step }) => kind === "connection" && step === "encrypted"));
      assert.doesNotMatch(JSON.stringify(trace.entries.filter(({ kind }) => kind !== "tracker")), /\d+\.\d+\.\d+\.\d+/);
      assert.ok(["local", "direct", undefined].includes(path), path);
      await page.evaluate(() => torrent.remove());
    }));

  test("asks the doctor about a tracker that is not there", () =>
    withPage(async (page) => {
      const { code, rung, hint } = await page.evaluate(async () => {
        const torrent = new Headwater({ trackers: ["ws://127.0.0.1:9/announce"] }).add("0123456789012345678901234567890123456789");
        await new Promise((resolve) => torrent.on("error", resolve));
        const { code, stoppedAt, rungs } = await torrent.doctor();
        return { code, rung: stoppedAt, hint: rungs.at(-1).hint };
      });
      assert.deepEqual([code, rung], ["trackerDown", "tracker"]);
      assert.match(hint, /tracker runs/);
    }));
});
