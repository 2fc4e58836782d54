// Serves the npm package's files and a bare page to load them in: an origin of the tests' own.

import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./headwater.mjs";

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".mjs": "text/javascript",
  ".mp4": "video/mp4",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Folders by the path they are served under; the longest that fits wins. */
const FOLDERS = {
  "/pkg/": join(ROOT, "web/dist/"),
  "/headwater-sw.js": join(ROOT, "web/dist/headwater-sw.js"),
  "/": fileURLToPath(new URL("page/", import.meta.url)),
};

/** An HTTP server on a free port; `url` is its root, `close()` its end. */
export async function serve({ address = "127.0.0.1", cacheControl = "no-store", folders = {} } = {}) {
  const served = Object.entries({ ...FOLDERS, ...folders }).sort(([a], [b]) => b.length - a.length);
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://host").pathname));
    const [under, folder] = served.find(([under]) => path.startsWith(under)) ?? [];
    const file = folder && join(folder, path.slice(under.length) || (under.endsWith("/") ? "index.html" : ""));
    const stat = file && statSync(file.replace(/\/$/, ""), { throwIfNoEntry: false });
    if (!stat?.isFile()) {
      response.writeHead(404).end();
      return;
    }
    const type = TYPES[extname(path) || ".html"] ?? "application/octet-stream";
    const headers = { "content-type": type, "cache-control": cacheControl, "accept-ranges": "bytes" };
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
    const [start, end] = range ? [Number(range[1]), Math.min(Number(range[2] || Infinity), stat.size - 1)] : [0, stat.size - 1];
    response.writeHead(range ? 206 : 200, {
      ...headers,
      "content-length": end - start + 1,
      ...(range && { "content-range": `bytes ${start}-${end}/${stat.size}` }),
    });
    createReadStream(file.replace(/\/$/, ""), stat.size ? { start, end } : {}).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, address, resolve));
  return {
    url: `http://${address}:${server.address().port}/`,
    close: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}
