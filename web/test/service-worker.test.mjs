// Runs the built service worker in a scope of its own, with pages and an engine that are not real.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import vm from "node:vm";
import { bytesOf, serveReads } from "./fake-engine.mjs";

const SCRIPT = readFileSync(new URL("../dist/headwater-sw.js", import.meta.url), "utf8");
const ORIGIN = "https://site.example";
const TOKEN = "0123456789abcdef0123456789abcdef";
const LENGTH = 5000;
const FILES = [
  { name: "film.mp4", type: "video/mp4", length: LENGTH },
  { name: "page.html", type: "text/html", length: LENGTH },
  { name: "empty.mp4", type: "video/mp4", length: 0 },
  { name: "naïve (1)'s\ud800.svg", type: "image/svg+xml", length: LENGTH },
];

class WindowClient {
  sent = [];
  constructor(id, url, onMessage = () => {}) {
    Object.assign(this, { id, url, onMessage });
  }
  postMessage(message) {
    this.sent.push(message);
    this.onMessage(message);
  }
}

/** A service worker with one page that has a port to the engine. */
function site({ hasPort = true } = {}) {
  /** The chunks that responses were made of. */
  const chunks = [];
  /** As browsers do it: a chunk is copied when it comes, before the next is asked for. */
  const copied = (body) => {
    const reader = body.getReader();
    const pull = async (controller) => {
      const { value, done } = await reader.read();
      if (done) return controller.close();
      chunks.push(value);
      controller.enqueue(value.slice());
    };
    return new ReadableStream({ pull, cancel: (reason) => reader.cancel(reason) }, { highWaterMark: 0 });
  };
  class BrowserResponse extends Response {
    constructor(body, init) {
      super(body instanceof ReadableStream ? copied(body) : body, init);
    }
  }
  const handlers = {};
  const windows = [];
  const page = new WindowClient("page-1", `${ORIGIN}/watch`);
  windows.push(page);
  const closes = [];
  const self = {
    location: new URL(`${ORIGIN}/headwater-sw.js`),
    registration: { scope: `${ORIGIN}/` },
    clients: {
      get: async (id) => windows.find((client) => client.id === id),
      matchAll: async () => windows,
      claim: async () => {},
    },
    skipWaiting: async () => {},
    addEventListener: (kind, handler) => (handlers[kind] = handler),
  };
  vm.runInNewContext(SCRIPT, {
    self, WindowClient, MessagePort, MessageChannel, URL, Response: BrowserResponse, Request, Headers, ReadableStream, Uint8Array, AbortController, setTimeout, clearTimeout, Error, TypeError,
  });
  const send = (data, source = page) => handlers.message({ data, source, waitUntil: () => {} });
  const supply = (source = page, token = TOKEN) => {
    const { port1, port2 } = new MessageChannel();
    const counts = serveReads(port1, FILES);
    closes.push(counts.close, () => port1.close(), () => port2.close());
    send({ kind: "headwater-port", token, port: port2 }, source);
    return counts;
  };
  const fetch = (path, { method = "GET", range, destination = "video", mode = "no-cors" } = {}) => {
    const headers = new Headers(range === undefined ? {} : { Range: range });
    const request = { url: path.startsWith("http") ? path : `${ORIGIN}/headwater/${TOKEN}/${path}`, method, headers, destination, mode, signal: new AbortController().signal };
    let response = null;
    let lifetime = Promise.resolve();
    handlers.fetch({ request, respondWith: (answer) => (response = answer), waitUntil: (promise) => (lifetime = promise) });
    return response && response.then((answer) => Object.assign(answer, { lifetime }));
  };
  const counts = hasPort ? supply() : null;
  return { chunks, counts, fetch, page, send, supply, windows, close: () => closes.forEach((close) => close()) };
}

/** Runs `story` with a site whose ports are closed afterwards. */
const withSite = (options, story) => async () => {
  const it = site(options);
  try {
    await story(it);
  } finally {
    it.close();
  }
};

const RANGES = [
  ["bytes=0-0", 0, 1],
  ["bytes=0-", 0, LENGTH],
  ["bytes=1234-2345", 1234, 2346],
  ["bytes=4999-", 4999, LENGTH],
  ["bytes=4000-99999999999", 4000, LENGTH],
  [`bytes=10-${"9".repeat(400)}`, 10, LENGTH],
  ["bytes=-1", 4999, LENGTH],
  ["bytes=-9999", 0, LENGTH],
  [" Bytes = 1 - 2 ", 1, 3],
];
for (const [range, start, end] of RANGES) {
  test(`Range ${JSON.stringify(range.slice(0, 30))} is answered with exactly those bytes`, withSite({}, async ({ fetch }) => {
    const response = await fetch("0/film.mp4", { range });
    assert.equal(response.status, 206);
    assert.equal(response.headers.get("Content-Range"), `bytes ${start}-${end - 1}/${LENGTH}`);
    assert.equal(response.headers.get("Content-Length"), String(end - start));
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), bytesOf(start, end));
    await response.lifetime;
  }));
}

for (const range of ["bytes=5000-", "bytes=5000-5001", "bytes=-0", `bytes=${"9".repeat(400)}-`]) {
  test(`Range ${JSON.stringify(range.slice(0, 30))} lies outside: 416`, withSite({}, async ({ fetch }) => {
    const response = await fetch("0/film.mp4", { range });
    assert.equal(response.status, 416);
    assert.equal(response.headers.get("Content-Range"), `bytes */${LENGTH}`);
    await response.lifetime;
  }));
}

for (const range of [undefined, "bytes=5-2", "bytes=0-1,5-6", "bytes=-", "bytes=a-b", "bytes=1.5-2", "items=0-1", ""]) {
  test(`Range ${JSON.stringify(range)} says nothing: the whole file`, withSite({}, async ({ fetch }) => {
    const response = await fetch("0/film.mp4", { range });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("Content-Length"), String(LENGTH));
    assert.equal(response.headers.get("Content-Range"), null);
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), bytesOf(0, LENGTH));
  }));
}

test("an empty file has no ranges, and can be read", withSite({}, async ({ fetch }) => {
  assert.equal((await fetch("0/empty.mp4", { range: "bytes=0-" })).status, 416);
  const whole = await fetch("0/empty.mp4");
  assert.equal(whole.status, 200);
  assert.equal((await whole.arrayBuffer()).byteLength, 0);
}));

test("a chunk's memory is free when the next one comes", withSite({}, async ({ chunks, fetch }) => {
  const response = await fetch("0/film.mp4");
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), bytesOf(0, LENGTH));
  assert.ok(chunks.length > 2, `${chunks.length} chunks`);
  assert.deepEqual(chunks.map(({ buffer }) => buffer.byteLength), chunks.map(() => 0));
}));

test("HEAD says how long the file is, and pulls nothing", withSite({}, async ({ fetch, counts }) => {
  const response = await fetch("0/film.mp4", { method: "HEAD" });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("Content-Length"), String(LENGTH));
  assert.equal(response.headers.get("Accept-Ranges"), "bytes");
  assert.equal(response.body, null);
  await response.lifetime;
  assert.equal(counts.pulls, 0);
}));

test("nothing is pulled before it is read, and a cancelled reader pulls no more", withSite({}, async ({ fetch, counts }) => {
  const response = await fetch("0/film.mp4", { range: "bytes=0-" });
  assert.equal(counts.pulls, 0);
  const reader = response.body.getReader();
  assert.deepEqual((await reader.read()).value, bytesOf(0, 1000));
  assert.equal(counts.pulls, 1);
  await reader.cancel();
  await response.lifetime;
  assert.equal(counts.pulls, 1);
}));

test("the first request of a player opens one reader, not two", withSite({}, async ({ fetch, counts }) => {
  await (await fetch("0/film.mp4", { range: "bytes=0-" })).arrayBuffer();
  assert.equal(counts.opened, 1);
  await (await fetch("0/film.mp4", { range: "bytes=9-" })).arrayBuffer();
  assert.equal(counts.opened, 2);
}));

test("torrent bytes come with headers that keep them from running", withSite({}, async ({ fetch }) => {
  const { headers } = await fetch("0/film.mp4");
  assert.equal(headers.get("Content-Type"), "video/mp4");
  assert.equal(headers.get("X-Content-Type-Options"), "nosniff");
  assert.equal(headers.get("Cross-Origin-Resource-Policy"), "same-origin");
  assert.equal(headers.get("Content-Security-Policy"), "sandbox; default-src 'none'");
  assert.equal(headers.get("Cache-Control"), "no-store");
  assert.equal(headers.get("Access-Control-Allow-Origin"), null);
  assert.equal(headers.get("ETag"), null);
}));

test("a type that could run is served as a download of bytes", withSite({}, async ({ fetch }) => {
  const { headers } = await fetch("0/page.html", { destination: "" });
  assert.equal(headers.get("Content-Type"), "application/octet-stream");
  assert.equal(headers.get("Content-Disposition"), "attachment; filename*=UTF-8''page.html");
  const svg = await fetch(`0/${encodeURIComponent(FILES[3].name.toWellFormed())}`, { destination: "image" });
  assert.equal(svg.headers.get("Content-Disposition"), "attachment; filename*=UTF-8''na%C3%AFve%20%281%29%27s%EF%BF%BD.svg");
}));

for (const destination of ["document", "iframe", "frame", "object", "embed", "script", "worker", "sharedworker", "serviceworker", "audioworklet", "style", "xslt", "manifest"]) {
  test(`a request for a ${destination} is refused`, withSite({}, async ({ fetch, counts }) => {
    const response = await fetch("0/film.mp4", { destination });
    assert.equal(response.status, 403);
    assert.equal(counts.opened, 0);
  }));
}

test("a navigation is refused, whatever it says it is for", withSite({}, async ({ fetch }) => {
  assert.equal((await fetch("0/film.mp4", { mode: "navigate", destination: "" })).status, 403);
}));

test("other methods are refused", withSite({}, async ({ fetch }) => {
  assert.equal((await fetch("0/film.mp4", { method: "POST" })).status, 405);
}));

test("requests that are not ours go to the network", withSite({}, ({ fetch }) => {
  for (const url of [`${ORIGIN}/`, `${ORIGIN}/headwater/`, `${ORIGIN}/headwater/abc/0/0/x`, `${ORIGIN}/headwater/${TOKEN}/a/0/x`, `https://other.example/headwater/${TOKEN}/0/0/x`]) {
    assert.equal(fetch(url), null, url);
  }
}));

test("a file that is not there is 404", withSite({}, async ({ fetch }) => {
  const response = await fetch("0/none.mp4");
  assert.equal(response.status, 404);
  assert.match(await response.text(), /no such file/);
}));

test("after the browser stopped the service worker, the page is asked for its port", withSite({ hasPort: false }, async ({ fetch, page, supply }) => {
  page.onMessage = ({ kind, token }) => kind === "headwater-need-port" && token === TOKEN && supply();
  const response = await fetch("0/film.mp4", { range: "bytes=7-9" });
  assert.equal(response.status, 206);
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), bytesOf(7, 10));
}));

test("when a page's engine is gone, what it served ends with an error", withSite({}, async ({ fetch, send, windows }) => {
  const response = await fetch("0/film.mp4");
  const reader = response.body.getReader();
  await reader.read();
  const thief = new WindowClient("page-2", `${ORIGIN}/iframe`);
  windows.push(thief);
  send({ kind: "headwater-gone", token: TOKEN }, thief);
  assert.equal((await reader.read()).done, false);
  send({ kind: "headwater-gone", token: TOKEN });
  await assert.rejects(reader.read());
  await response.lifetime;
}));

test("a page that is gone is not waited for", withSite({}, async ({ fetch, windows, counts }) => {
  windows.length = 0;
  assert.equal((await fetch("0/film.mp4")).status, 503);
  assert.equal(counts.opened, 0);
}));

test("messages from other origins and from other than windows are ignored", withSite({ hasPort: false }, ({ page, send, supply }) => {
  const foreign = new WindowClient("page-9", "https://other.example/");
  supply(foreign);
  assert.deepEqual(foreign.sent, []);
  const { port1, port2 } = new MessageChannel();
  send({ kind: "headwater-port", token: TOKEN, port: port1 }, { id: "worker", url: `${ORIGIN}/w.js`, postMessage: assert.fail });
  port1.close();
  port2.close();
  for (const message of [null, 7, "x", {}, { kind: "headwater-port", token: TOKEN }, { kind: "headwater-port", token: "short", port: port1 }]) send(message);
  assert.deepEqual(page.sent, []);
}));

test("a token stays with the page that came with it", withSite({}, async ({ fetch, supply, windows, counts }) => {
  const thief = new WindowClient("page-2", `${ORIGIN}/iframe`);
  windows.push(thief);
  const stolen = supply(thief);
  assert.deepEqual(thief.sent, []);
  await (await fetch("0/film.mp4")).arrayBuffer();
  assert.equal(stolen.opened, 0);
  assert.ok(counts.opened > 0);
}));
