// A fast seeder and a slow one beside it, against the fast one alone: nobody is waited for. The page
// plays the film and reads the file to its end, over loopback.
//
// Prints one measurement a line; `cargo xtask bench sources` makes the table of them.

import { closeSync, copyFileSync, existsSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { withBrowser } from "../e2e/browser.mjs";
import { noise } from "../e2e/content.mjs";
import { CACHE, ROOT, SAMPLE, seed } from "../e2e/headwater.mjs";
import { serve } from "../e2e/server.mjs";
import { completed, emit, within } from "./runs.mjs";

const PADDING_MIB = 64;
const RUNS = Number(process.env.RUNS ?? 5);
const RUN_LIMIT_MS = 90_000;
const MAKE = ["--v1", "--piece-length", "256KiB"];
const SLOW = "50KB";
/** Bytes a second of the fast one, by case. */
const FAST = { "fast one at 8 MB/s": ["--upload-limit", "8MB"], "fast one unthrottled": [] };

/** The sample film with much behind its end that players pass over: a `free` box, as MP4 has it. */
function longFilm() {
  const path = join(CACHE, "content", `film-${PADDING_MIB}.mp4`);
  const noisy = noise(PADDING_MIB);
  if (existsSync(path) && statSync(path).size > PADDING_MIB * 2 ** 20) return path;
  copyFileSync(SAMPLE.mp4, path);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(8 + PADDING_MIB * 2 ** 20);
  header.write("free", 4);
  const file = openSync(path, "a");
  writeSync(file, header);
  writeSync(file, readFileSync(noisy));
  closeSync(file);
  return path;
}

async function run(fastFlags, withSlow) {
  const fast = await seed(film, ...MAKE, ...fastFlags);
  let slow;
  try {
    const tracker = new URL(fast.ready.magnet).searchParams.get("tr");
    if (withSlow) slow = await seed(film, ...MAKE, "--no-tracker", "--tracker", tracker, "--upload-limit", SLOW);
    const torrentFile = Buffer.from(await (await fetch(fast.ready.torrent)).arrayBuffer()).toString("base64");
    return await withBrowser(async (browser) => {
      const page = await browser.open(`${server.url}film.html`);
      await page.waitForFunction("window.measure !== undefined");
      const took = await within(RUN_LIMIT_MS, page.evaluate((...args) => window.measure(...args), torrentFile, tracker));
      if (took.bytes < statSync(film).size) throw new Error("the page has not got all of it");
      if (withSlow && took.peers < 2) throw new Error("the slow one was not connected");
      return took;
    });
  } finally {
    await slow?.stop();
    await fast.stop();
  }
}

const film = longFilm();
const server = await serve({ address: "127.0.0.1", folders: { "/": join(ROOT, "tests/bench/page/") } });
try {
  for (let count = 1; count <= RUNS; count += 1) {
    for (const [name, flags] of Object.entries(FAST)) {
      for (const withSlow of [true, false]) {
        const { firstFrameMs, doneMs } = await completed(name, () => run(flags, withSlow));
        const what = `${name}, ${withSlow ? "with one at 50 KB/s" : "alone"}`;
        console.log(`run ${count} of ${RUNS}, ${what}: first frame after ${firstFrameMs.toFixed(0)} ms, all after ${doneMs.toFixed(0)} ms`);
        emit(name, withSlow ? "ours" : "theirs", [
          ["add to first frame", "ms", firstFrameMs],
          ["add to last byte", "ms", doneMs],
        ]);
      }
    }
  }
} finally {
  await server.close();
}
