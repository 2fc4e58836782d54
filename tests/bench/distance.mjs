// One native seeder and one page with a long way between them: a relay of ours keeps each datagram
// for half the round trip and lets only so many through. What is reached is held against the link,
// or what Chromium's SCTP window allows of it; and against what the same browser takes through the
// same relay over a tenth of the way, which says whether it is the way that binds, or the machine.
//
// Prints one measurement a line; `cargo xtask bench distance` makes the table of them.

import { join } from "node:path";
import { withBrowser } from "../e2e/browser.mjs";
import { noise } from "../e2e/content.mjs";
import { JsonProcess, ROOT, seed } from "../e2e/headwater.mjs";
import { serve } from "../e2e/server.mjs";
import { completed, emit, within } from "./runs.mjs";

const SIZE = Number(process.env.SIZE_MIB ?? 256) * 2 ** 20;
const PIECE_LENGTH = 256 * 1024;
const RUNS = Number(process.env.RUNS ?? 3);
const ROUND_TRIP_MS = Number(process.env.RTT_MS ?? 100);
/** Links by name, in bytes a second. */
const LINKS = { "100 Mbit/s": 12.5e6, "200 Mbit/s": 25e6, "400 Mbit/s": 50e6 };
const RELAY = join(process.env.RELEASE ?? join(ROOT, "target/release"), "examples/delay_relay");
const RUN_LIMIT_MS = 90_000;
/** What Chromium's SCTP holds before its sender must wait: `max_receiver_window_buffer_size` of its dcSCTP. */
const RECEIVE_WINDOW = 5 * 2 ** 20;

async function run(link, roundTripMs) {
  const seeder = await seed(file, "--v1", "--piece-length", `${PIECE_LENGTH / 1024}KiB`);
  const relay = new JsonProcess(RELAY, ["--to", seeder.ready.webrtc, "--delay-ms", String(roundTripMs / 2), "--rate", String(link)]);
  try {
    const { port } = await relay.line();
    const { torrent, magnet, webrtc } = seeder.ready;
    const torrentFile = Buffer.from(await (await fetch(torrent)).arrayBuffer()).toString("base64");
    const tracker = new URL(magnet).searchParams.get("tr");
    return await withBrowser(async (browser) => {
      const page = await browser.open(`${server.url}headwater.html`);
      await page.waitForFunction("window.measure !== undefined");
      const ports = [webrtc.split(":").at(-1), port];
      const options = { relayed: ports, trace: true };
      const measure = page.evaluate((torrent, tracker, options) => window.measure(torrent, tracker, options), torrentFile, tracker, options);
      const { firstByteMs, doneMs, bytes } = await within(RUN_LIMIT_MS, measure);
      if (bytes < SIZE) throw new Error(`only ${bytes} of ${SIZE} bytes arrived`);
      const moments = await page.evaluate(() => window.moments);
      if (process.env.VERBOSE) for (const { ms, stats, peers } of moments) console.error(Math.round(ms), Math.round(stats.receiveRate / 1e4) / 100, stats.windowUsed >> 20, JSON.stringify(peers[0]));
      return { firstByteMs, rate: SIZE / (doneMs - firstByteMs) / 1e3, secondHalf: secondHalf(moments) };
    });
  } finally {
    await relay.stop();
    await seeder.stop();
  }
}

/** MB/s from when half of it was there. */
function secondHalf(moments) {
  const there = ({ stats }) => stats.verified >= SIZE / 2;
  const [begin, end] = [moments.find(there), moments.find(({ stats }) => stats.verified === SIZE) ?? moments.at(-1)];
  return (end.stats.received - begin.stats.received) / (end.ms - begin.ms) / 1e3;
}

const file = noise(SIZE / 2 ** 20);
const server = await serve({ address: "127.0.0.1", folders: { "/": join(ROOT, "tests/bench/page/") } });
try {
  for (let count = 1; count <= RUNS; count += 1) {
    for (const [link, bytesPerSecond] of Object.entries(LINKS)) {
      const name = `${link}, ${ROUND_TRIP_MS} ms`;
      const far = await completed(name, () => run(bytesPerSecond, ROUND_TRIP_MS));
      const near = await completed(`${link}, ${ROUND_TRIP_MS / 10} ms`, () => run(bytesPerSecond, ROUND_TRIP_MS / 10));
      const allowed = Math.min(bytesPerSecond / 1e6, RECEIVE_WINDOW / ROUND_TRIP_MS / 1e3);
      console.log(`run ${count} of ${RUNS}, ${name}: first byte after ${far.firstByteMs.toFixed(0)} ms, then ${far.rate.toFixed(1)} MB/s, the second half ${far.secondHalf.toFixed(1)}; the link allows ${allowed.toFixed(1)}, a tenth of the way ${near.rate.toFixed(1)}`);
      emit(name, "ours", [
        ["rate, first byte to last", "MB/s", far.rate],
        ["rate, second half", "MB/s", far.secondHalf],
        ["add to first byte", "ms", far.firstByteMs],
      ]);
      emit(name, "theirs", [
        ["rate, first byte to last", "MB/s", allowed],
        ["rate, second half", "MB/s", allowed],
      ]);
      const beside = `${name}, beside a tenth of the way`;
      emit(beside, "ours", [["rate, first byte to last", "MB/s", far.rate]]);
      emit(beside, "theirs", [["rate, first byte to last", "MB/s", near.rate]]);
    }
  }
} finally {
  await server.close();
}
