// What processes cost, read from /proc.

import { readFileSync, readdirSync } from "node:fs";
import { execFileSync } from "node:child_process";

const TICKS = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** A process and all its descendants. */
export function family(pid) {
  const children = new Map();
  for (const name of readdirSync("/proc")) {
    const stat = /^\d+$/.test(name) && read(name, "stat");
    if (!stat) continue;
    const parent = Number(fields(stat)[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const members = [pid];
  for (const member of members) members.push(...(children.get(member) ?? []));
  return members;
}

/** User and system seconds that these processes have used so far, with those of their dead children. */
export function cpuSeconds(pids) {
  let ticks = 0;
  for (const pid of pids) {
    const stat = read(pid, "stat");
    // From the state on: utime, stime, cutime, cstime are fields 14-17 of the whole line.
    if (stat) ticks += fields(stat).slice(11, 15).map(Number).reduce((a, b) => a + b);
  }
  return ticks / TICKS;
}

/** The most memory a process has held, in MiB. */
export function peakRssMiB(pid) {
  const match = /VmHWM:\s+(\d+) kB/.exec(read(pid, "status") ?? "");
  return match ? Number(match[1]) / 1024 : 0;
}

/** Of a browser's processes, those that render pages. */
export function renderers(pids) {
  return pids.filter((pid) => read(pid, "cmdline")?.includes("--type=renderer"));
}

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined; // It has ended.
  }
}

/** What follows the command's name, which may hold anything. */
function fields(stat) {
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
