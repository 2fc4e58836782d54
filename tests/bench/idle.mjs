// Seeding many that nobody wants just now: HEADWATER=… RUNS=… node tests/bench/idle.mjs
//
// 500 films of 1 MiB, each a torrent, announced to the seeder's own tracker. "theirs" is the first start,
// which hashes; "ours" is the next, which remembers. What one torrent costs is by how much 500 cost more.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { cpuSeconds } from "./proc.mjs";
import { completed, emit, within } from "./runs.mjs";

const HEADWATER = process.env.HEADWATER;
const RUNS = Number(process.env.RUNS ?? 3);
const TORRENTS = Number(process.env.TORRENTS ?? 500);
const FILM = 2 ** 20;
/** While nothing happens. */
const IDLE_S = 10;
const RUN_LIMIT_MS = 300_000;
const folder = mkdtempSync(join(tmpdir(), "headwater-bench-"));

try {
  const [many, one] = [join(folder, "library/"), join(folder, "one/")];
  mkdirSync(many);
  mkdirSync(one);
  for (let film = 0; film < TORRENTS; film += 1) {
    writeFileSync(join(many, `film-${film}.mp4`), randomBytes(FILM));
  }
  copyFileSync(join(many, "film-0.mp4"), join(one, "film-0.mp4"));
  for (let run = 0; run < RUNS; run += 1) {
    const state = join(folder, `state-${run}`);
    const seeded = (library, torrents) =>
      completed(library, () => within(RUN_LIMIT_MS, idled(library, state, torrents)));
    const [hashed] = [await seeded(many, TORRENTS), await seeded(one, 1)];
    const [all, alone] = [await seeded(many, TORRENTS), await seeded(one, 1)];
    const each = (all.resident - alone.resident) / (TORRENTS - 1) / 1024;
    emit(`${TORRENTS} torrents`, "ours", [
      ["start until ready", "s", all.seconds],
      ["read at the start", "MB", all.read / 1e6],
      ["start until all are announced", "s", all.announced],
      ["RSS of each beyond the first", "KiB", each],
      ["RSS of all", "MiB", all.resident / 2 ** 20],
      ["CPU while idle", "% of a core", (100 * all.cpu) / IDLE_S],
    ]);
    emit(`${TORRENTS} torrents`, "theirs", [
      ["start until ready", "s", hashed.seconds],
      ["read at the start", "MB", hashed.read / 1e6],
    ]);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** `headwater seed` of a library until it has idled for a while: what that took. */
async function idled(library, state, torrents) {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const args = ["seed", "--json", "--listen", "127.0.0.1:0", "--state", state, library];
  const child = spawn(HEADWATER, args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const ready = await new Promise((resolve, reject) => {
      createInterface({ input: child.stdout }).once("line", resolve);
      child.once("exit", (code) => reject(new Error(`seed ended: ${code}`)));
    });
    child.stdout.resume();
    const seconds = since();
    const read = number(child.pid, "io", "rchar");
    const site = new URL(JSON.parse(ready).page).origin;
    while (!(await metrics(site)).includes(`headwater_tracker_swarms ${torrents}\n`)) await sleep(50);
    const announced = since();
    const before = cpuSeconds([child.pid]);
    await sleep(1000 * IDLE_S);
    const cpu = cpuSeconds([child.pid]) - before;
    return { seconds, read, announced, cpu, resident: number(child.pid, "status", "VmRSS") * 1024 };
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.kill()) await ended;
  }
}

async function metrics(site) {
  return (await fetch(`${site}/metrics`)).text();
}

function number(pid, file, key) {
  const text = readFileSync(`/proc/${pid}/${file}`, "utf8");
  return Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)[1]);
}
