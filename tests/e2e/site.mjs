// Where a test's pages are: a browser without a past, and a site of its own for it to visit.
//
// The tests of one process share one launch of the browser, for that takes seconds; what pages leave
// behind (workers, storage, permissions) goes with each site.

import { after, before } from "node:test";
import { Browser } from "./browser.mjs";
import { serve } from "./server.mjs";
import { openViewer } from "./viewer.mjs";

let launched;
after(async () => (await launched)?.close());

/** The browser that all tests share, without anything that another one left in it. */
export async function sharedBrowser() {
  // One that died took a test with it, and takes no other.
  if (!(await launched)?.isRunning) launched = Browser.launch();
  return (await launched).apart();
}

/** The same for the length of `body`. */
export async function withSharedBrowser(body) {
  const browser = await sharedBrowser();
  try {
    return await body(browser);
  } finally {
    await browser.close();
  }
}

/** The package on an origin of its own, and a browser to visit it with. */
export class Site {
  #options;
  #server;
  browser;

  /** `options` are those of `serve`. */
  constructor(options = {}) {
    this.#options = options;
  }

  async open() {
    this.#server = await serve(this.#options);
    this.browser = await sharedBrowser();
  }

  async close() {
    await this.browser?.close();
    await this.#server?.close();
  }

  get url() {
    return this.#server.url;
  }

  /** A page that watches; it is closed with the site, if not before. */
  view() {
    return openViewer(this.browser, this.url);
  }

  /** The same for the length of `body`. */
  async viewing(body) {
    const page = await this.view();
    try {
      return await body(page);
    } finally {
      await page.close();
    }
  }
}

/** A site for all tests of the `describe` that this is called in. */
export function siteOfAll(options) {
  const site = new Site(options);
  before(() => site.open());
  after(() => site.close());
  return site;
}

/** A site for the length of `body`. */
export async function withSite(body, options) {
  const site = new Site(options);
  try {
    await site.open();
    return await body(site);
  } finally {
    await site.close();
  }
}
