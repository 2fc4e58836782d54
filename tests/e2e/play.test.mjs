// The sample film in a real browser, from a native seeder over WebRTC.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SAMPLE, withSeeder } from "./headwater.mjs";
import { siteOfAll } from "./site.mjs";
import { join, seen, sha256 } from "./viewer.mjs";

describe("a page plays a film from the native seeder", { timeout: 240_000 }, () => {
  const site = siteOfAll();

  /** Joins the sample's swarm in a page of its own. */
  const watching = (sample, options, body) =>
    withSeeder(sample, [], ({ ready: { magnet } }) =>
      site.viewing(async (page) => {
        await join(page, magnet, options);
        await body(page);
        assert.deepEqual(await seen(page, "blockRefused", "pieceRefused"), []);
      }),
    );

  for (const [kind, sample] of Object.entries(SAMPLE)) {
    test(`${kind}: from start to end without a stall`, () =>
      watching(sample, {}, async (page) => {
        const { stalls, isEnded, played, duration } = await page.evaluate(() => window.play(8));
        assert.deepEqual(stalls, []);
        assert.ok(isEnded);
        assert.ok(Math.abs(played - duration) < 0.1, `${played} of ${duration} s`);
      }));

    test(`${kind}: what the service worker serves is the file`, () =>
      watching(sample, {}, async (page) => {
        assert.equal(await page.evaluate(() => window.sha256(window.file.url)), sha256(sample));
      }));
  }

  test("a seek to 75 % shows that frame", () =>
    watching(SAMPLE.mp4, {}, async (page) => {
      const { target, mediaTime, lit } = await page.evaluate(() => window.seek(0.75));
      assert.ok(Math.abs(mediaTime - target) < 0.5, `frame of ${mediaTime} s at ${target} s`);
      assert.ok(lit > 0.5, `${lit} of the picture is lit`);
    }));

  test("with messages forwarded by the page it plays as well", () =>
    watching(SAMPLE.mp4, { forwardMessages: true }, async (page) => {
      assert.ok(await page.evaluate(() => window.client.isForwarding));
      const { stalls, isEnded } = await page.evaluate(() => window.play(8));
      assert.ok(isEnded);
      assert.deepEqual(stalls, []);
    }));

  test("every form of Range is answered as RFC 9110 says", () =>
    watching(SAMPLE.mp4, {}, async (page) => {
      const { length } = await page.evaluate(() => ({ length: window.file.length }));
      const ranges = [
        ["bytes=0-0", 0, 0],
        ["bytes=100-299", 100, 299],
        ["bytes=-100", length - 100, length - 1],
        [`bytes=${length - 10}-`, length - 10, length - 1],
        [`bytes=${length - 5}-${length + 100}`, length - 5, length - 1],
        [`bytes=-${length * 2}`, 0, length - 1],
      ];
      for (const [range, start, end] of ranges) {
        const answer = await page.evaluate((range) => window.request({ range }), range);
        assert.equal(answer.status, 206, range);
        assert.equal(answer.headers["content-range"], `bytes ${start}-${end}/${length}`, range);
        assert.equal(answer.length, end - start + 1, range);
      }
      for (const range of [`bytes=${length}-`, "bytes=-0"]) {
        const answer = await page.evaluate((range) => window.request({ range }), range);
        assert.equal(answer.status, 416, range);
        assert.equal(answer.headers["content-range"], `bytes */${length}`, range);
      }
      const whole = await page.evaluate(() => window.request({}));
      assert.equal(whole.status, 200);
      assert.equal(whole.length, length);
    }));

  test("what is served cannot be anything but a film", () =>
    watching(SAMPLE.mp4, {}, async (page) => {
      const { headers } = await page.evaluate(() => window.request({ range: "bytes=0-0" }));
      assert.equal(headers["content-type"], "video/mp4");
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.equal(headers["cross-origin-resource-policy"], "same-origin");
      assert.match(headers["content-security-policy"], /sandbox/);
      assert.equal(headers["access-control-allow-origin"], undefined);
      const failed = await page.evaluate(async () => {
        const script = Object.assign(document.createElement("script"), { src: window.file.url });
        const outcome = new Promise((resolve) => {
          script.onload = () => resolve(false);
          script.onerror = () => resolve(true);
        });
        document.head.append(script);
        return outcome;
      });
      assert.ok(failed, "it was loaded as a script");
    }));
});
