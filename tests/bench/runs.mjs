// What all benches do: try again what stopped for good, and say what was measured.

import { setTimeout as sleep } from "node:timers/promises";

/** Attempts at one run; WebTorrent stands still now and then. */
const ATTEMPTS = 3;
/** How often it is looked at what changes. */
const LOOK_MS = 200;
/** A figure has settled when so many looks found the same, or else after the most of them. */
const SAME_LOOKS = 5;
const MOST_LOOKS = 50;

/** What `promise` answers, or an error when that takes longer than `ms`. */
export async function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`it stopped: not done in ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => {});
  }
}

/** What `read` answers when it has answered the same for a while. */
export async function settled(read) {
  let value = read();
  for (let looks = 1, same = 1; same < SAME_LOOKS && looks < MOST_LOOKS; looks += 1) {
    await sleep(LOOK_MS);
    const before = value;
    value = read();
    same = value === before ? same + 1 : 1;
  }
  return value;
}

/** What `promise` answers, and the most that `read` did meanwhile. (Chromium sets its processes' peaks back now and then.) */
export async function most(read, promise) {
  let value = read();
  const looking = setInterval(() => (value = Math.max(value, read())), LOOK_MS);
  try {
    return [await promise, Math.max(value, read())];
  } finally {
    clearInterval(looking);
  }
}

/** Runs `run` until it comes to its end, and says each time that it did not. */
export async function completed(name, run) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      console.log(`${name}, attempt ${attempt} of ${ATTEMPTS}: ${error.message}`);
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

/** Prints measurements `[metric, unit, value]` for the table of `cargo xtask bench`. */
export function emit(name, side, metrics) {
  for (const [metric, unit, value] of metrics) {
    console.log(JSON.stringify({ case: name, metric, unit, side, value }));
  }
}

/** The middle of them, or the mean of the two in the middle. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
