// One face for both browsers: Chromium over CDP, Firefox over WebDriver BiDi.
//
// Every launch has a profile of its own, thrown away at the end. Tests share one launch (site.mjs).

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";

/** Which browser the tests run in: "chromium" or "firefox". */
export const BROWSER = process.env.BROWSER ?? "chromium";

const EXECUTABLE = {
  chromium: process.env.CHROMIUM ?? "/usr/bin/chromium",
  firefox: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
};

const CHROMIUM_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
  // With a media permission a page offers its loopback address to its peers.
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

/** Pages that are not in front still run at full speed. */
const UNTHROTTLED_FLAGS = ["--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows", "--disable-renderer-backgrounding"];

const FIREFOX_PREFS = {
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.search.update": false,
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.getAddons.cache.enabled": false,
  "media.autoplay.default": 0,
  "media.gmp-manager.updateEnabled": false,
  "media.navigator.permission.disabled": true,
  "media.navigator.streams.fake": true,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
  "toolkit.telemetry.enabled": false,
};

/** A running browser. Close it with `close()`, whatever happened. */
export class Browser {
  #puppet;
  #profile;
  #tabs;

  /** `tabs` is where its pages are opened: all of the browser, or a part of it. */
  constructor(puppet, profile, tabs = puppet) {
    this.#puppet = puppet;
    this.#profile = profile;
    this.#tabs = tabs;
  }

  static async launch({ kind = BROWSER, flags = [], prefs = {}, isThrottled = false } = {}) {
    const profile = mkdtempSync(join(tmpdir(), "headwater-profile-"));
    const puppet = await puppeteer.launch({
      browser: kind === "firefox" ? "firefox" : "chrome",
      executablePath: EXECUTABLE[kind],
      headless: true,
      userDataDir: profile,
      // Puppeteer has the same flags of its own.
      ...(isThrottled && { ignoreDefaultArgs: UNTHROTTLED_FLAGS }),
      args: kind === "firefox" ? flags : [...CHROMIUM_FLAGS, ...(isThrottled ? [] : UNTHROTTLED_FLAGS), ...flags],
      extraPrefsFirefox: { ...FIREFOX_PREFS, ...prefs },
      protocolTimeout: 600_000,
    });
    return new Browser(puppet, profile);
  }

  /** As if launched anew, and at once: it shares the processes, and nothing of what pages leave behind. */
  async apart() {
    return new Browser(this.#puppet, null, await this.#puppet.createBrowserContext());
  }

  get isRunning() {
    return this.#puppet.connected;
  }

  /** The browser's first process; its children do the work. */
  get pid() {
    return this.#puppet.process().pid;
  }

  /** Opens a tab. What the page logs as an error ends up in `page.errors`. */
  async open(url) {
    const page = await this.#tabs.newPage();
    page.errors = [];
    page.on("pageerror", (error) => page.errors.push(String(error?.message ?? error)));
    page.on("console", (message) => {
      if (message.type() === "error") page.errors.push(`${message.text()} (${message.location()?.url ?? ""})`);
      if (process.env.VERBOSE) console.error(`[page] ${message.text()}`);
    });
    await page.goto(url);
    await page.bringToFront();
    return page;
  }

  async close() {
    await this.#tabs.close().catch(() => {});
    if (this.#profile) rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** A browser for the length of `body`. */
export async function withBrowser(body, options) {
  const browser = await Browser.launch(options);
  try {
    return await body(browser);
  } finally {
    await browser.close();
  }
}
