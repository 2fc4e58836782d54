// <headwater-video> in skins that others made for media elements: themes of player.style.

import assert from "node:assert/strict";
import { join as path } from "node:path";
import { describe, test } from "node:test";
import { ROOT, SAMPLE, withSeeder } from "../headwater.mjs";
import { siteOfAll } from "../site.mjs";
import { until } from "../viewer.mjs";

const MODULES = path(ROOT, "tests/e2e/node_modules/");
const IMPORTS = {
  "media-chrome": "/modules/media-chrome/dist/index.js",
  "media-chrome/": "/modules/media-chrome/",
  "lit-html": "/modules/lit-html/lit-html.js",
  "lit-html/": "/modules/lit-html/",
  fscreen: "/modules/fscreen/dist/fscreen.esm.js",
  "@floating-ui/core": "/modules/@floating-ui/core/dist/floating-ui.core.browser.mjs",
  "@floating-ui/dom": "/modules/@floating-ui/dom/dist/floating-ui.dom.browser.mjs",
  "@floating-ui/utils": "/modules/@floating-ui/utils/dist/floating-ui.utils.mjs",
  "@floating-ui/utils/dom": "/modules/@floating-ui/utils/dist/floating-ui.utils.dom.mjs",
};

/** Lets a page import these modules by their names. */
const mapImports = (page) =>
  page.evaluate((imports) => {
    const map = Object.assign(document.createElement("script"), { type: "importmap", textContent: JSON.stringify({ imports }) });
    document.head.append(map);
  }, IMPORTS);

describe("a skin", { timeout: 120_000 }, () => {
  const site = siteOfAll({ folders: { "/modules/": MODULES } });

  for (const theme of ["yt", "minimal"])
    test(`of player.style, ${theme}, plays <headwater-video> by its button and shows its time`, () =>
      withSeeder(SAMPLE.mp4, [], (seeder) =>
        site.viewing(async (page) => {
          await mapImports(page);
          await page.evaluate(
            async (theme, magnet) => {
              await Promise.all([import("/pkg/element.js"), import(`/modules/player.style/themes/${theme}/dist/media-theme.js`)]);
              document.body.insertAdjacentHTML("beforeend", `<media-theme-${theme}><headwater-video slot="media" muted playsinline></headwater-video></media-theme-${theme}>`);
              document.querySelector("headwater-video").src = magnet;
            },
            theme,
            seeder.ready.magnet,
          );
          const part = (page, name, body) => page.evaluate(new Function("theme", "name", `const part = document.querySelector(\`media-theme-\${theme}\`).shadowRoot.querySelector(name); ${body}`), theme, name);
          await until(page, (theme) => Math.round(document.querySelector(`media-theme-${theme}`).shadowRoot.querySelector("media-time-range")?.getAttribute("mediaduration")) === 48, theme);
          await part(page, "media-play-button", "part.click()");
          await until(page, () => document.querySelector("headwater-video").currentTime > 0.3);
          assert.equal(await part(page, "media-play-button", "return part.hasAttribute('mediapaused')"), false);
          await part(page, "media-play-button", "part.click()");
          await until(page, () => document.querySelector("headwater-video").paused);
        }),
      ));
});

describe("a player that makes its own <video>", { timeout: 120_000 }, () => {
  const site = siteOfAll({ folders: { "/modules/": MODULES } });

  test("Vidstack plays the address of a torrent's file, by its button", () =>
    withSeeder(SAMPLE.mp4, [], (seeder) =>
      site.viewing(async (page) => {
        await mapImports(page);
        await page.evaluate(async (magnet) => {
          const parts = ["vidstack-player.js", "vidstack-player-ui.js"].map((name) => import(`/modules/vidstack/prod/define/${name}`));
          const [{ Headwater }] = await Promise.all([import("/pkg/headwater.js"), ...parts]);
          const torrent = await new Headwater().add(magnet).ready;
          const file = torrent.files[0];
          await file.ready;
          document.body.insertAdjacentHTML("beforeend", `<media-player muted playsinline load="eager"><media-provider></media-provider><media-play-button>Play</media-play-button></media-player>`);
          document.querySelector("media-player").src = { src: file.url, type: "video/mp4" };
        }, seeder.ready.magnet);
        await until(page, () => Math.round(document.querySelector("media-player").state?.duration) === 48);
        await page.evaluate(() => document.querySelector("media-play-button").dispatchEvent(new PointerEvent("pointerup", { bubbles: true })));
        await until(page, () => document.querySelector("media-player video").currentTime > 0.3);
      }),
    ));
});
