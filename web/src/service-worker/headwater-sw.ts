/**
 * The service worker: turns requests for `<scope>headwater/<token>/<torrent>/<file>/<name>` into
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
  let finish = (): void => {};
  // A browser may stop a service worker that looks idle: a response is not done when it begins.
  event.waitUntil(new Promise<void>((resolve) => (finish = resolve)));
  event.respondWith(answer(event.request, target, finish).catch(explain).finally(() => target.isOpen || finish()));
}

interface Target extends ReadRequest {
  token: string;
  /** Whether bytes still flow after the response began. */
  isOpen: boolean;
}

function parseUrl(url: string): Target | null {
  const prefix = `${worker.registration.scope}headwater/`;
  if (!url.startsWith(prefix)) return null;
  const match = /^([0-9a-f]{32})\/(\d{1,9})\/(\d{1,9})(?:[/?#]|$)/.exec(url.slice(prefix.length));
  if (!match) return null;
  return { token: match[1] ?? "", torrent: Number(match[2]), file: Number(match[3]), isOpen: false };
}

async function answer(request: Request, target: Target, finish: () => void): Promise<Response> {
  if (!isDestinationAllowed(request)) return failure(403, "Forbidden", "Torrent bytes may be fetched or played, not opened or run.");
  if (request.method !== "GET" && request.method !== "HEAD") return failure(405, "Method Not Allowed", "Only GET and HEAD.");
  const page = await pages.find(target.token);
  if (!page) return failure(503, "Service Unavailable", "The page that streams this is gone.");

  const head = await fileHead(page, target);
  const range = parseRange(request.headers.get("Range"), head.length);
  if (range.kind === "unsatisfiable") return unsatisfiable(head);
  const part = range.kind === "part" ? range : null;
  if (request.method === "HEAD" || head.length === 0) return fileResponse(head, part, null);

  const { torrent, file } = target;
  const { start, end } = part ?? { start: 0, end: head.length };
  const read = openRead(page, { torrent, file, start, end }, finish);
  target.isOpen = true;
  request.signal.addEventListener("abort", () => read.cancel());
  await read.head;
  return fileResponse(head, part, read.stream());
}

/** What is known of a file, asking the engine the first time: a range needs the length. */
async function fileHead(page: PagePort, { torrent, file }: ReadRequest): Promise<Head> {
  const key = `${torrent}/${file}`;
  const known = page.heads.get(key);
  if (known) return known;
  const read = openRead(page, { torrent, file });
  const head = await read.head;
  read.cancel();
  page.heads.set(key, head);
  return head;
}

function openRead(page: PagePort, request: ReadRequest, onClosed: () => void = () => {}): Read {
  const read: Read = new Read(page.port, request, () => {
    page.reads.delete(read);
    onClosed();
  });
  page.reads.add(read);
  return read;
}

function explain(error: unknown): Response {
  if (!(error instanceof HeadwaterError)) return failure(500, "Internal Server Error", String(error));
  const isUnknown = /^(unknown|no)(Torrent|File)$/.test(error.code);
  return isUnknown ? failure(404, "Not Found", error.message) : failure(502, "Bad Gateway", `${error.code}: ${error.message}`);
}
