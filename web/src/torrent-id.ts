/** What a page may call a torrent, told apart: magnet, info hash, address, bytes. */
import { HeadwaterError } from "./errors.js";
import type { Source } from "./protocol.js";

/** A magnet link, an info hash in hex, the URL of a .torrent file, or its bytes. */
export type TorrentId = string | URL | Uint8Array | ArrayBuffer | Blob;

/** What the engine is asked for; reading a Blob or a URL takes a moment. */
export function toSource(id: TorrentId): Source | Promise<Source> {
  if (typeof id === "string") return fromText(id.trim());
  if (id instanceof URL) return fromText(id.href);
  if (id instanceof ArrayBuffer) return metainfo(id.slice(0));
  if (ArrayBuffer.isView(id)) return metainfo(new Uint8Array(id.buffer, id.byteOffset, id.byteLength).slice().buffer);
  if (id instanceof Blob) return id.arrayBuffer().then(metainfo);
  throw new HeadwaterError("badTorrentId", "This is no torrent: neither text nor bytes.");
}

function metainfo(bytes: ArrayBuffer, url?: string): Source {
  return { kind: "metainfo", bytes: new Uint8Array(bytes), url };
}

function fromText(text: string): Source | Promise<Source> {
  if (/^magnet:/i.test(text)) return { kind: "magnet", uri: text };
  if (/^[0-9a-f]{40}$/i.test(text)) return { kind: "magnet", uri: `magnet:?xt=urn:btih:${text.toLowerCase()}` };
  if (/^[0-9a-f]{64}$/i.test(text)) return { kind: "magnet", uri: `magnet:?xt=urn:btmh:1220${text.toLowerCase()}` };
  const url = /^$|\s/.test(text) ? null : URL.parse(text, document.baseURI);
  if (url && FETCHABLE.test(url.protocol)) return fetched(url.href);
  throw new HeadwaterError("badTorrentId", `“${shortened(text)}” is neither a magnet link nor the address of a .torrent file.`);
}

/** A .torrent file, read while the engine loads. What cannot be read so the engine tries itself, and says why not. */
async function fetched(url: string): Promise<Source> {
  let left = MAX_TORRENT_BYTES;
  const limit = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform: (part, out) => ((left -= part.length) < 0 ? out.error() : out.enqueue(part)),
  });
  try {
    const { ok, body } = await fetch(url, { credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (ok && body) return metainfo(await new Response(body.pipeThrough(limit)).arrayBuffer(), url);
  } catch {
    // As said.
  }
  return { kind: "url", url };
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

const FETCHABLE = /^(https?|blob|data):$/;

/** Less than the engine waits: it may ask a second time. */
const PATIENCE_MS = 10_000;

/** The engine's own limit. */
const MAX_TORRENT_BYTES = 8 * 1024 * 1024;
