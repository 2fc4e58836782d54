/**
 * The service worker: turns requests for `<scope>headwater/<token>/<torrent>/<path in the torrent>` into
 * bytes pulled from the page's engine.
 *
 * Holds no bytes and touches no other request. Classic script, so that a site with a service worker
 * of its own can `importScripts` it.
 */
import { HeadwaterError } from "../errors.js";
import { PagePorts, type PagePort } from "./page-ports.js";
import { parseRange } from "../range.js";
import { Read, type Head, type ReadRequest } from "../read.js";
import { failure, fileResponse, isDestinationAllowed, unsatisfiable } from "./responses.js";

const worker = self as unknown as ServiceWorkerGlobalScope;
const pages = new PagePorts(worker.clients);

worker.addEventListener("install", () => void worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("message", handleMessage);
worker.addEventListener("fetch", handleFetch);

function handleMessage(event: ExtendableMessageEvent): void {
  const { source } = event;
  const data: unknown = event.data;
  if (!(source instanceof WindowClient) || new URL(source.url).origin !== worker.location.origin) return;
  const token = pages.hear(data, source);
  if (token) source.postMessage({ kind: "headwater-port-taken", token });
  else if ((data as { kind?: unknown } | null)?.kind === "headwater-claim") event.waitUntil(worker.clients.claim());
}

function handleFetch(event: FetchEvent): void {
  const target = parseUrl(event.request.url);
  if (!target) return;
  const answered = answer(event.request, target).catch((error: unknown) => ({ response: explain(error), body: null }));
  event.respondWith(answered.then(({ response }) => response));
  // A browser may stop a service worker that looks idle: a response is not done when it begins.
  event.waitUntil(answered.then(({ body }) => body?.closed));
}

/**
 * What a response is read from. A browser copies a chunk before it wants the next, so that its memory is freed
 * then: transferred to a port that closes, it waits for no collector.
 */
class ResponseRead extends Read {
  #chunk: Uint8Array<ArrayBuffer> | null = null;

  override async pull(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#chunk) {
      const { port1, port2 } = new MessageChannel();
      port1.postMessage(null, [this.#chunk.buffer]);
      port1.close();
      port2.close();
    }
    return (this.#chunk = await super.pull());
  }
}

interface Target {
  token: string;
  torrent: number;
  path: string[];
}

interface Answer {
  response: Response;
  /** Where its bytes come from, if it has any. */
  body: Read | null;
}

function parseUrl(url: string): Target | null {
  const prefix = `${worker.registration.scope}headwater/`;
  if (!url.startsWith(prefix)) return null;
  const [, token = "", torrent, path = ""] = /^([0-9a-f]{32})\/(\d{1,9})\/([^?#]+)/.exec(url.slice(prefix.length)) ?? [];
  if (!token) return null;
  try {
    return { token, torrent: Number(torrent), path: path.split("/").map(decodeURIComponent) };
  } catch {
    // Not UTF-8: no file is called that.
    return { token, torrent: Number(torrent), path: [] };
  }
}

async function answer(request: Request, { token, torrent, path }: Target): Promise<Answer> {
  const without = (response: Response): Answer => ({ response, body: null });
  if (!isDestinationAllowed(request)) return without(failure(403, "Forbidden", "Torrent bytes may be fetched or played, not opened or run."));
  if (request.method !== "GET" && request.method !== "HEAD") return without(failure(405, "Method Not Allowed", "Only GET and HEAD."));
  const page = await pages.find(token);
  if (!page) return without(failure(503, "Service Unavailable", "The page that streams this is gone."));

  const { head, whole } = await knowFile(page, { torrent, path });
  const range = parseRange(request.headers.get("Range"), head.length);
  const part = range.kind === "part" ? range : null;
  const { start, end } = part ?? { start: 0, end: head.length };
  const isBodyWanted = request.method === "GET" && range.kind !== "unsatisfiable" && head.length > 0;
  const body = isBodyWanted ? await openPart(page, { torrent, path, start, end }, head, whole) : null;
  if (!isBodyWanted) whole?.cancel();
  if (range.kind === "unsatisfiable") return without(unsatisfiable(head));
  request.signal.addEventListener("abort", () => body?.cancel());
  return { response: fileResponse(head, part, body?.stream() ?? null), body };
}

/** What is known of a file; the first time, the read of all of it that told us. A range needs the length. */
async function knowFile(page: PagePort, request: ReadRequest): Promise<{ head: Head; whole: Read | null }> {
  const key = [request.torrent, ...(request.path ?? [])].join("/");
  const known = page.heads.get(key);
  if (known) return { head: known, whole: null };
  const whole = openRead(page, request);
  const head = await whole.head;
  page.heads.set(key, head);
  return { head, whole };
}

/** The read of this part; that of the whole serves if the part is the whole. */
async function openPart(page: PagePort, request: ReadRequest, head: Head, whole: Read | null): Promise<Read> {
  if (whole && request.start === 0 && request.end === head.length) return whole;
  whole?.cancel();
  const read = openRead(page, request);
  await read.head;
  return read;
}

function openRead(page: PagePort, request: ReadRequest): Read {
  const read = new ResponseRead(page.port, request);
  page.reads.add(read);
  void read.closed.then(() => page.reads.delete(read));
  return read;
}

function explain(error: unknown): Response {
  if (!(error instanceof HeadwaterError)) return failure(500, "Internal Server Error", String(error));
  const isUnknown = /^(no(Torrent|File)|deselected)$/.test(error.code);
  return isUnknown ? failure(404, "Not Found", error.message) : failure(502, "Bad Gateway", `${error.code}: ${error.message}`);
}
