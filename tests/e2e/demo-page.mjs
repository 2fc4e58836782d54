// The demo page as tests use it: by role and text, like somebody who cannot see it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { CACHE } from "./headwater.mjs";
import { until } from "./viewer.mjs";

/** Where pictures of the page go. */
export const PICTURES = join(CACHE, "demo-screenshots");

const SIZES = { desktop: [1366, 900], phone: [390, 844] };
/** Where to look for a piece of film that viewers hold: a quarter of it may be held by none, and then the next place is as good. */
const PLACES = 6;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** One open page. */
export class DemoPage {
  #page;

  constructor(page) {
    this.#page = page;
  }

  static async open(browser, address) {
    // Not at the address at once: what moves and what takes long is measured from the very beginning.
    const page = await browser.open("about:blank");
    await page.setViewport({ width: SIZES.desktop[0], height: SIZES.desktop[1] });
    await page.evaluateOnNewDocument(measure);
    await page.goto(address);
    // With a media permission a page offers its loopback address to other pages.
    await page.evaluate(() => navigator.mediaDevices.getUserMedia({ audio: true }).then(() => {}));
    return new DemoPage(page);
  }

  get errors() {
    return this.#page.errors;
  }

  close() {
    return this.#page.close();
  }

  toFront() {
    return this.#page.bringToFront();
  }

  evaluate(body, ...args) {
    return this.#page.evaluate(body, ...args);
  }

  /** Waits until this holds in the page; if it never does, says what the page says. */
  until(test, ...args) {
    return this.#wait(String(test), test, ...args);
  }

  /** Waits until the film runs. */
  async plays() {
    await this.until(() => document.querySelector("video").readyState >= HTMLMediaElement.HAVE_FUTURE_DATA);
    await this.evaluate(() => Object.assign(document.querySelector("video"), { muted: true }).play());
    await this.until(() => document.querySelector("video").currentTime > 0.2);
  }

  /** Second of the film. */
  now() {
    return this.evaluate(() => document.querySelector("video").currentTime);
  }

  /** Plays on so many seconds further, or from there at the beginning; answers where. */
  seek(seconds) {
    return this.evaluate((seconds) => {
      const video = document.querySelector("video");
      return (video.currentTime = (video.currentTime + seconds) % (video.duration - 5));
    }, seconds);
  }

  /** Goes so many seconds further, until it plays there. */
  async playsFurtherOn(seconds) {
    const goesOn = (from) => document.querySelector("video").currentTime > from + 1;
    for (let place = 1; place < PLACES; place += 1) {
      const from = await this.seek(seconds);
      if (await this.#page.waitForFunction(goesOn, { timeout: 10_000, polling: 50 }, from).catch(() => null)) return;
    }
    await this.until(goesOn, await this.seek(seconds));
  }

  /** Presses what has this role and begins with this name. */
  async press(name, role = "button") {
    await (await this.#find(role, name)).click();
  }

  async check(name) {
    const radio = await this.#find("radio", name);
    await radio.evaluate((radio) => radio.click());
  }

  async choose(label, option) {
    const select = await this.#find("combobox", label);
    await select.select(await select.evaluate((select, option) => [...select.options].find(({ text }) => text === option).value, option));
  }

  /** Writes it, in the place of what was written there. */
  async write(label, text) {
    const box = await this.#find("textbox", label);
    await box.evaluate((box) => box.select());
    await box.type(text);
  }

  async value(label) {
    return (await this.#find("textbox", label)).evaluate(({ value }) => value);
  }

  /** Presses a key on whatever has the focus. */
  type(key) {
    return this.#page.keyboard.press(key);
  }

  tab() {
    return this.type("Tab");
  }

  /** Goes on with Tab until the focus is on what is named so. */
  async tabTo(name) {
    for (let step = 0; step < 60; step += 1) {
      await this.tab();
      if ((await this.focused()).startsWith(name)) return;
    }
    throw new Error(`Tab never came to “${name}”`);
  }

  /** The name of what has the focus. */
  focused() {
    return this.evaluate(() => {
      const { ariaLabel, innerText = "" } = document.activeElement;
      return (ariaLabel ?? innerText).trim();
    });
  }

  offline(isOffline) {
    return this.#page.setOfflineMode(isOffline);
  }

  /** Gives the page a file of this machine. */
  async give(path) {
    await (await this.#page.$('input[type="file"]')).uploadFile(path);
  }

  /** Waits until these words can be seen. */
  async shows(words) {
    await this.#wait(`the page shows ${words}`, ([source, flags]) => new RegExp(source, flags).test(document.body.innerText), [words.source, words.flags]);
  }

  /** Waits until something of this role is named so. */
  async says(role, words) {
    await this.#wait(`a ${role} says ${words}`, named, role, words.source);
  }

  /** Waits until nothing of this role is named so. */
  async gone(role, words) {
    await this.#wait(`no ${role} says ${words}`, notNamed, role, words.source);
  }

  /** A picture on a desktop and on a phone, light and dark. */
  async pictures(name) {
    for (const [size, [width, height]] of Object.entries(SIZES)) {
      await this.#page.setViewport({ width, height });
      for (const scheme of ["light", "dark"]) {
        await this.scheme(scheme);
        await this.#page.screenshot({ path: join(PICTURES, `${name}-${size}-${scheme}.png`), fullPage: true });
      }
    }
    await this.#page.setViewport({ width: SIZES.desktop[0], height: SIZES.desktop[1] });
    await this.scheme();
  }

  /** What a camera sees of an element: RGBA, row by row. */
  async pixels(selector) {
    const element = await this.#page.$(selector);
    const picture = await this.#still(element);
    return this.evaluate(async (picture) => {
      const image = await createImageBitmap(new Blob([Uint8Array.from(atob(picture), (byte) => byte.charCodeAt(0))]));
      const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
      canvas.drawImage(image, 0, 0);
      const { data, width, height } = canvas.getImageData(0, 0, image.width, image.height);
      return { data: Array.from(data), width, height };
    }, picture);
  }

  /** A picture of an element, taken while what is above it did not fill and push it out of the picture. */
  async #still(element) {
    const place = () => element.evaluate((it) => it.getBoundingClientRect().top + scrollY);
    for (let attempt = 1; attempt <= 20; attempt += 1) {
      const before = await place();
      const picture = await element.screenshot({ encoding: "base64" });
      if (before === (await place())) return picture;
    }
    throw new Error("it never stands still");
  }

  /** As somebody has it who likes it light or dark; colours are there at once, without a transition. */
  async scheme(scheme) {
    const motion = { name: "prefers-reduced-motion", value: "reduce" };
    await this.#page.emulateMediaFeatures(scheme ? [motion, { name: "prefers-color-scheme", value: scheme }] : []);
    // Canvases follow a frame later.
    await this.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  }

  async #find(role, name) {
    const found = await this.#page.waitForFunction(find, { timeout: 20_000 }, role, name).catch(() => null);
    const element = found?.asElement();
    if (!element) throw new Error(`no ${role} “${name}” on the page`);
    return element;
  }

  async #wait(what, test, ...args) {
    await until(this.#page, test, ...args).catch(async () => {
      throw new Error(`not within a minute: ${what}\n${await this.evaluate(() => document.body.innerText)}\n${this.errors}`);
    });
  }
}

/** Frames that a page draws in a second, over three of them. */
export function framesPerSecond(page) {
  return page.evaluate(
    () =>
      new Promise((resolve) => {
        const start = performance.now();
        let frames = 0;
        const count = (now) => {
          if (now - start >= 3_000) return resolve((frames * 1_000) / (now - start));
          frames += 1;
          requestAnimationFrame(count);
        };
        requestAnimationFrame(count);
      }),
  );
}

/** What axe finds wrong, light and dark, in a line each. */
export async function axeViolations(page) {
  const violations = [];
  for (const scheme of ["light", "dark"]) {
    await page.scheme(scheme);
    violations.push(
      ...(await page.evaluate(async (source) => {
        if (!window.axe) new Function(source)();
        // The frames are other peers, without anything to see.
        const { violations } = await window.axe.run(document, { iframes: false });
        return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`));
      }, AXE)),
    );
  }
  await page.scheme();
  return violations;
}

/** In the page, before anything else: what moves, and which tasks are long. */
function measure() {
  const measured = { shift: 0, long: [] };
  window.measured = measured;
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries()) measured.shift += hadRecentInput ? 0 : value;
  }).observe({ type: "layout-shift", buffered: true });
  new PerformanceObserver((list) => measured.long.push(...list.getEntries().map(({ startTime, duration }) => ({ atMs: startTime, ms: duration })))).observe({ type: "longtask", buffered: true });
}

/** In the page: the element of this role whose name begins so. */
function find(role, name) {
  const roles = { button: "button:not([role])", combobox: "select", link: "a", summary: "summary", radio: 'input[type="radio"]', tab: '[role="tab"]', textbox: "input" };
  const nameOf = (element) => element.ariaLabel ?? element.labels?.[0]?.textContent ?? element.textContent;
  return [...document.querySelectorAll(roles[role])].find((element) => element.checkVisibility() && nameOf(element).trim().startsWith(name)) ?? null;
}

function named(role, source) {
  return [...document.querySelectorAll(`[role="${role}"]`)].some(({ ariaLabel }) => new RegExp(source).test(ariaLabel ?? ""));
}

function notNamed(role, source) {
  return ![...document.querySelectorAll(`[role="${role}"]`)].some(({ ariaLabel }) => new RegExp(source).test(ariaLabel ?? ""));
}
