// The page that `headwater seed` serves itself.

import assert from "node:assert/strict";
import { test } from "node:test";
import { SAMPLE, withSeeder } from "./headwater.mjs";
import { withSharedBrowser } from "./site.mjs";
import { until } from "./viewer.mjs";

test("the printed page plays the film", { timeout: 120_000 }, () =>
  withSeeder(SAMPLE.mp4, [], (seeder) =>
    withSharedBrowser(async (browser) => {
      const page = await browser.open(seeder.ready.page);
      await until(page, () => document.querySelector("video")?.readyState >= HTMLMediaElement.HAVE_FUTURE_DATA);
      await page.evaluate(() => document.querySelector("video").play());
      await until(page, () => document.querySelector("video").currentTime > 1);
      assert.deepEqual(page.errors, []);
    }),
  ));
