// A page that watches: what the tests ask of it.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { BROWSER } from "./browser.mjs";

/** Opens the bare page; with a media permission, so that its peers may be pages on this machine. */
export async function openViewer(browser, url) {
  const page = await browser.open(url);
  await page.waitForFunction("window.isLoaded === true");
  if (BROWSER === "chromium") await page.evaluate(() => navigator.mediaDevices.getUserMedia({ audio: true }).then(() => {}));
  return page;
}

/** Joins a swarm and waits for the metadata; if it does not come, says what happened instead. */
export async function join(page, id, options = {}, { withinMs = 30_000 } = {}) {
  const joined = page.evaluate((id, options) => window.join(id, options), id, options);
  const late = new AbortController();
  const timeout = sleep(withinMs, undefined, { signal: late.signal }).then(async () => {
    const seen = await page.evaluate(() => JSON.stringify(window.seen));
    throw new Error(`not joined within ${withinMs} ms; seen: ${seen}; errors: ${page.errors}`);
  });
  try {
    return await Promise.race([joined, timeout]);
  } finally {
    late.abort();
    timeout.catch(() => {});
  }
}

/** What has happened to the torrent of that page so far, of these kinds. */
export async function seen(page, ...kinds) {
  const events = await page.evaluate(() => window.seen);
  return events.filter(({ kind }) => kinds.includes(kind));
}

/** Waits until this holds in the page. */
export function until(page, test, ...args) {
  return page.waitForFunction(test, { timeout: 60_000, polling: 50 }, ...args);
}

/** Waits until so many peers are connected. */
export function untilPeers(page, count) {
  return until(page, (count) => window.torrent.peers.length >= count, count);
}

/** Hex SHA-256 of a file on disk. */
export function sha256(path) {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
