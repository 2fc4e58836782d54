// <headwater-video> in skins that others made for media elements: themes of player.style.

import assert from "node:assert/strict";
import { join as path } from "node:path";
import { describe, test } from "node:test";
import { ROOT, SAMPLE, withSeeder } from "../headwater.mjs";
import { siteOfAll } from "../site.mjs";
import { until } from "../viewer.mjs";

const MODULES = path(ROOT, "tests/e2e/node_modules/");
const IMPORTS = { "media-chrome": "/modules/media-chrome/dist/index.js", "media-chrome/": "/modules/media-chrome/" };

describe("a skin", { timeout: 120_000 }, () => {
  const site = siteOfAll({ folders: { "/modules/": MODULES } });

  for (const theme of ["yt", "minimal"])
    test(`of player.style, ${theme}, plays <headwater-video> by its button and shows its time`, () =>
      withSeeder(SAMPLE.mp4, [], (seeder) =>
        site.viewing(async (page) => {
          await page.evaluate(
            async (theme, imports, magnet) => {
              const map = Object.assign(document.createElement("script"), { type: "importmap", textContent: JSON.stringify({ imports }) });
              document.head.append(map);
              await Promise.all([import("/pkg/element.js"), import(`/modules/player.style/themes/${theme}/dist/media-theme.js`)]);
              document.body.insertAdjacentHTML("beforeend", `<media-theme-${theme}><headwater-video slot="media" muted playsinline></headwater-video></media-theme-${theme}>`);
              document.querySelector("headwater-video").src = magnet;
            },
            theme,
            IMPORTS,
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
