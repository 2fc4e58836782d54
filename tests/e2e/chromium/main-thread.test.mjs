// Nothing of the engine runs on the page's main thread.

import assert from "node:assert/strict";
import { test } from "node:test";
import { noise } from "../content.mjs";
import { withSeeder } from "../headwater.mjs";
import { withSite } from "../site.mjs";
import { join } from "../viewer.mjs";
import { dirname, basename } from "node:path";

const MIB = 2 ** 20;
/** A task of ours comes back every time; one that another process's burst made long does not. */
const ATTEMPTS = 3;

/** Reads `url` to its end in the page; answers the tasks of its main thread that took over 50 ms. */
async function longTasks(page, url) {
  return page.evaluate(async (url) => {
    const tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => duration)));
    observer.observe({ type: "longtask" });
    let read = 0;
    const reader = (await fetch(url)).body.getReader();
    for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) read += chunk.value.length;
    // The observer is told in a task of its own.
    await new Promise((resolve) => setTimeout(resolve, 200));
    tasks.push(...observer.takeRecords().map(({ duration }) => duration));
    observer.disconnect();
    return { read, tasks };
  }, url);
}

test("256 MiB go by without a long task on the main thread", { timeout: 600_000 }, async (t) => {
  const film = noise(256);
  await withSite(
    (site) =>
      withSeeder(film, [], async (seeder) => {
        const ours = [];
        for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
          const control = await site.viewing((page) => longTasks(page, `/content/${basename(film)}`));
          const headwater = await site.viewing(async (page) => {
            await join(page, seeder.ready.magnet);
            return longTasks(page, await page.evaluate(() => window.file.url));
          });
          assert.equal(headwater.read, 256 * MIB);
          t.diagnostic(`long tasks (ms): ours ${JSON.stringify(headwater.tasks)}, control ${JSON.stringify(control.tasks)}`);
          ours.push(headwater.tasks.length);
          if (headwater.tasks.length === 0) return;
        }
        assert.fail(`long tasks in every attempt: ${ours}`);
      }),
    { folders: { "/content/": `${dirname(film)}/` } },
  );
});
