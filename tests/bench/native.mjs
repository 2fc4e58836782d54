// The native peer: HEADWATER=… RUNS=… node tests/bench/native.mjs [--case NAME]
//
// "stream": 10 GiB of a sparse film over TCP, to standard output through 64 MiB of memory (ours) and
// to a file (theirs), both `headwater get`.

import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { cpuSeconds } from "./proc.mjs";
import { completed, emit, within } from "./runs.mjs";

const HEADWATER = process.env.HEADWATER;
const RUNS = Number(process.env.RUNS ?? 3);
const GIB = 2 ** 30;
const SIZE = 10 * GIB;
const WINDOW_MIB = 64;
const RUN_LIMIT_MS = 600_000;
/** Nobody is there: those who meet in these benches are named to each other. */
const NO_TRACKER = "http://127.0.0.1:9/announce";
const folder = mkdtempSync(join(tmpdir(), "headwater-bench-"));

const cases = { stream };
const chosen = process.argv.flatMap((arg, at, all) => (all[at - 1] === "--case" ? [arg] : []));

try {
  for (const name of chosen.length ? chosen : Object.keys(cases)) {
    if (!cases[name]) throw new Error(`no case ${name}; there are ${Object.keys(cases).join(", ")}`);
    await cases[name]();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function stream() {
  const film = join(folder, "film.mp4");
  writeFileSync(film, "");
  truncateSync(film, SIZE);
  const torrent = join(folder, "film.torrent");
  const seeder = await seed(film, "--out", torrent, "--piece-length", "1MiB");
  const given = ["--peer", seeder.ready.tcp, "--window", `${WINDOW_MIB}MiB`, torrent];
  const to = (name, out) =>
    completed(name, () => within(RUN_LIMIT_MS, got(["-o", out, ...given])));
  try {
    for (let run = 0; run < RUNS; run += 1) {
      const [piped, kept] = [await to("stdout", "-"), await to("file", join(folder, "kept.mp4"))];
      rmSync(join(folder, "kept.mp4"));
      emit("stream", "ours", [
        ["rate", "MB/s", SIZE / 1e6 / piped.seconds],
        ["CPU", "s/GB", piped.cpu / (SIZE / 1e9)],
        ["RSS growth", "MiB", piped.grownMiB],
        ["RSS growth beyond the window", "MiB", piped.grownMiB - WINDOW_MIB],
        ["written to disk", "bytes", piped.written],
      ]);
      emit("stream", "theirs", [
        ["rate", "MB/s", SIZE / 1e6 / kept.seconds],
        ["CPU", "s/GB", kept.cpu / (SIZE / 1e9)],
        ["RSS growth", "MiB", kept.grownMiB],
        ["RSS growth beyond the window", "MiB", kept.grownMiB - WINDOW_MIB],
      ]);
    }
  } finally {
    seeder.child.kill();
  }
}

/** `headwater seed`, ready. */
async function seed(path, ...flags) {
  const args = ["seed", "--json", "--listen", "127.0.0.1:0", "--no-web-seed", "--no-tracker", "--tracker", NO_TRACKER];
  const child = spawn(HEADWATER, [...args, ...flags, path], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const [line] = await Promise.race([
    new Promise((resolve) => lines.once("line", (line) => resolve([line]))),
    new Promise((_, reject) => child.once("exit", (code) => reject(new Error(`seed ended: ${code}`)))),
  ]);
  return { child, ready: JSON.parse(line) };
}

/** `headwater get` run to its end: how long it took, and what it cost while it was looked at. */
async function got(args) {
  const nothing = openSync("/dev/null", "w");
  const child = spawn(HEADWATER, ["get", "--json", ...args], {
    stdio: ["ignore", args.includes("-") ? nothing : "pipe", "pipe"],
  });
  const input = args.includes("-") ? child.stderr : child.stdout;
  let base;
  let last = { cpu: 0, peak: 0, written: 0 };
  const look = () => {
    const now = looked(child.pid);
    if (!now) return;
    base ??= now.resident;
    last = now;
  };
  const timer = setInterval(look, 50);
  let done;
  createInterface({ input }).on("line", (line) => {
    if (!line.startsWith("{")) return console.error(line);
    const said = JSON.parse(line);
    if (said.event === "metadata") look();
    if (said.event === "done") done = said;
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  clearInterval(timer);
  closeSync(nothing);
  if (code !== 0 || done?.length !== SIZE) throw new Error(`get ended with ${code}`);
  const grownMiB = (last.peak - base) / 2 ** 20;
  return { seconds: done.seconds, cpu: last.cpu, grownMiB, written: last.written };
}

/** What a process has used so far, unless it has ended. */
function looked(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const io = readFileSync(`/proc/${pid}/io`, "utf8");
    const number = (text, key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)[1]);
    return {
      cpu: cpuSeconds([pid]),
      peak: number(status, "VmHWM") * 1024,
      resident: number(status, "VmRSS") * 1024,
      written: number(io, "write_bytes"),
    };
  } catch {
    return undefined;
  }
}
