// A web server that has a film, and the ways in which one can be wrong.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";

/** What a slow one sends every {@link SLICE_MS}. */
const SLICE = 32_000;
const SLICE_MS = 50;

/** How it may answer a request for `range` of `film`; those that answer nothing are right up to there. */
const MANNERS = {
  honest: () => ({}),
  /** Sends all of it, whatever it is asked for. */
  ignoresRange: ({ film }) => ({ status: 200, body: film }),
  /** The same, and of another length. */
  anotherFile: ({ film }) => ({ status: 200, body: film.subarray(1) }),
  /** As many bytes as were asked for, from elsewhere, and says so. */
  otherRange: ({ film, start, end }) => ({ body: film.subarray(0, end - start), says: `bytes 0-${end - start - 1}/${film.length}` }),
  /** As many bytes as were asked for, and wrong ones. */
  lies: ({ body }) => ({ body: Buffer.from(body).fill(7) }),
  /** 640 KB a second. */
  slow: ({ body }) => ({ pieces: Array.from({ length: Math.ceil(body.length / SLICE) }, (_, at) => body.subarray(at * SLICE, (at + 1) * SLICE)) }),
  /** Half of what it announces, and then nothing. */
  stalls: ({ body }) => ({ body: body.subarray(0, body.length / 2), length: body.length, isLeftOpen: true }),
  compresses: ({ body }) => ({ body: gzipSync(body), headers: { "content-encoding": "gzip" } }),
  /** Lets no other site read it. */
  refusesCors: () => ({ isClosed: true }),
  missing: () => ({ status: 404, body: Buffer.from("no such film") }),
  /** Says nothing of what it sends but that it is a part. */
  terse: () => ({ isTerse: true }),
};

/** Serves `path` on an origin of its own, in that manner, and whatever is put into `files`; remembers the requests. */
export async function serveFilm(path, manner = "honest") {
  const film = readFileSync(path);
  const seen = { requests: [] };
  const files = new Map();
  const server = createServer((request, response) => {
    const other = files.get(request.url);
    if (other) return response.writeHead(200, { "access-control-allow-origin": "*" }).end(other);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    const [start, end] = [Number(first ?? 0), Number(last ?? film.length - 1) + 1];
    const body = film.subarray(start, end);
    const answer = { status: 206, body, headers: {}, says: `bytes ${start}-${end - 1}/${film.length}`, ...MANNERS[manner]({ film, start, end, body }) };
    seen.requests.push({ start, end, headers: request.headers });
    response.writeHead(answer.status, {
      "content-type": "video/mp4",
      "content-length": answer.length ?? answer.body.length,
      ...(answer.status === 206 && { "content-range": answer.says }),
      ...(!answer.isClosed && { "access-control-allow-origin": "*" }),
      ...(!answer.isClosed && !answer.isTerse && { "access-control-expose-headers": "content-range, content-encoding" }),
      ...answer.headers,
    });
    if (answer.isLeftOpen) response.write(answer.body);
    else if (answer.pieces) drip(response, answer.pieces);
    else response.end(answer.body);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/film.mp4`,
    seen,
    files,
    close: () => (server.closeAllConnections(), new Promise((resolve) => server.close(resolve))),
  };
}

/** Sends pieces one by one, for as long as somebody listens. */
function drip(response, pieces) {
  const timer = setInterval(() => (pieces.length > 1 ? response.write(pieces.shift()) : response.end(pieces.shift())), SLICE_MS);
  for (const over of ["close", "finish"]) response.once(over, () => clearInterval(timer));
}

/** A film's web server for the length of `body`. */
export async function withOrigin(path, manner, body) {
  const origin = await serveFilm(path, manner);
  try {
    return await body(origin);
  } finally {
    await origin.close();
  }
}
