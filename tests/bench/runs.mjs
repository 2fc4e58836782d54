// What all benches do: try again what stopped for good, and say what was measured.

/** Attempts at one run; WebTorrent stands still now and then. */
const ATTEMPTS = 3;

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
