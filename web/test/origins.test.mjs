// What fetches from web servers, with servers that are not real: whom it asks, and what it takes for an answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

// Node 20 has none.
URL.parse ??= (url) => (URL.canParse(url) ? new URL(url) : null);
globalThis.location = new URL("https://site.example/watch");

const bundle = await rolldown({ input: fileURLToPath(new URL("../src/origins.ts", import.meta.url)) });
const { output } = await bundle.generate({ format: "es" });
const { Fetcher, skipped } = await import(`data:text/javascript,${encodeURIComponent(output[0].code)}`);

const MIB = 2 ** 20;
const LENGTH = 100 * MIB;

test("a torrent leads to the page's site, to its own, and to names of the world", () => {
  const may = (url) => new Fetcher().may(url, "http://10.0.0.7:8000/films/film.torrent");
  for (const url of ["https://site.example/film.mp4", "http://10.0.0.7:8000/film.mp4", "https://films.example/", "http://a.b.xn--p1ai/"]) assert.ok(may(url), url);
  const elsewhere = ["10.0.0.7", "127.0.0.1", "8.8.8.8", "0x7f.1", "2130706433", "[::1]", "[2001:db8::1]", "localhost", "films.localhost", "printer.local", "router.lan", "nas.home.arpa", "vault.internal", "intranet", "films.example."];
  for (const host of elsewhere) assert.ok(!may(`http://${host}/film.mp4`), host);
  for (const url of ["ftp://films.example/film.mp4", "file:///etc/passwd", "data:,x", "javascript:1", "film.mp4", ""]) assert.ok(!may(url), url);
});

test("only what was asked for is an answer", () => {
  const skips = (status, headers, [start, end]) => skipped(new Response(status === 204 ? null : "x", { status, headers }), { start, end, length: LENGTH });
  const exact = { "content-range": `bytes 10-19/${LENGTH}` };
  const whole = { "content-length": String(LENGTH) };
  for (const [status, headers, passed] of [
    [206, exact, 0],
    [206, { ...exact, "content-length": "10", "content-encoding": "identity" }, 0],
    // Another site that says nothing of it: the hashes will.
    [206, {}, 0],
    [200, whole, 10],
  ]) {
    assert.equal(skips(status, headers, [10, 20]), passed);
  }
  for (const [status, headers, range = [10, 20]] of [
    [206, { "content-range": `bytes 0-9/${LENGTH}` }],
    [206, { "content-range": `bytes 10-19/${LENGTH + 1}` }],
    [206, { "content-range": "bytes 10-19/*" }],
    [206, { ...exact, "content-length": "11" }],
    [206, { ...exact, "content-encoding": "gzip" }],
    [200, {}],
    [200, { "content-length": "99" }],
    [200, { ...whole, "content-encoding": "br" }],
    [200, whole, [90 * MIB, 91 * MIB]],
    [204, {}],
    [404, whole],
    [416, {}],
  ]) {
    assert.throws(() => skips(status, headers, range), Error, JSON.stringify([status, headers]));
  }
});

/** What the engine is told of a fetch of bytes 4 to 8 of 12, and what the server was asked. */
async function fetched(answer) {
  const told = [];
  const asked = [];
  const over = new Promise((resolve) => {
    globalThis.dispatchEvent = ({ data }) => {
      told.push(data.bytes ? [...data.bytes] : { reason: data.reason });
      if (!data.bytes) resolve();
    };
  });
  globalThis.fetch = async (url, init) => {
    asked.push({ url, ...init });
    return answer(init);
  };
  const fetcher = new Fetcher();
  fetcher.begin(1, 2, "https://films.example/film.mp4", 4, 8, 12);
  return { told, asked, over, fetcher };
}

const pieces = (...all) =>
  new ReadableStream({
    start(controller) {
      for (const piece of all) controller.enqueue(Uint8Array.from(piece));
      controller.close();
    },
  });

test("the range is passed on as it comes, and nothing around it", async () => {
  const part = await fetched(() => new Response(pieces([4, 5], [6, 7, 8, 9]), { status: 206 }));
  await part.over;
  assert.deepEqual(part.told, [[4, 5], [6, 7], { reason: undefined }]);
  const whole = await fetched(() => new Response(pieces([0, 1, 2], [3, 4, 5], [6, 7, 8, 9, 10, 11]), { status: 200, headers: { "content-length": "12" } }));
  await whole.over;
  assert.deepEqual(whole.told, [[4, 5], [6, 7], { reason: undefined }]);
});

test("who asks says nothing of the visitor", async () => {
  const { asked, over } = await fetched(() => new Response(pieces([4, 5, 6, 7]), { status: 206 }));
  await over;
  const [{ url, headers, cache, credentials, referrerPolicy }] = asked;
  assert.deepEqual({ url, headers, cache, credentials, referrerPolicy }, { url: "https://films.example/film.mp4", headers: { range: "bytes=4-7" }, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" });
});

test("what goes wrong is said in words", async () => {
  const refused = await fetched(() => new Response("no", { status: 503 }));
  await refused.over;
  assert.deepEqual(refused.told, [{ reason: "it says 503" }]);
  const unreachable = await fetched(() => Promise.reject(new TypeError("Failed to fetch")));
  await unreachable.over;
  assert.deepEqual(unreachable.told, [{ reason: "Failed to fetch (it may be down, or not allow https://site.example to read it: CORS)" }]);
});

test("what nobody needs any more is broken off, and not told of", async () => {
  let signal;
  const { told, fetcher } = await fetched((init) => {
    ({ signal } = init);
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  });
  fetcher.end(1, 2);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(signal.aborted);
  assert.deepEqual(told, []);
});
