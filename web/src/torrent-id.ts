/** What a page may call a torrent, told apart: magnet, info hash, address, bytes. */
import { HeadwaterError } from "./errors.js";
import type { Source } from "./protocol.js";

/** A magnet link, an info hash in hex, the URL of a .torrent file, or its bytes. */
export type TorrentId = string | URL | Uint8Array | ArrayBuffer | Blob;

/** What the engine is asked for; reading a Blob takes a moment. */
export function toSource(id: TorrentId): Source | Promise<Source> {
  if (typeof id === "string") return fromText(id.trim());
  if (id instanceof URL) return fromText(id.href);
  if (id instanceof ArrayBuffer) return { kind: "metainfo", bytes: new Uint8Array(id.slice(0)) };
  if (ArrayBuffer.isView(id)) return { kind: "metainfo", bytes: new Uint8Array(id.buffer, id.byteOffset, id.byteLength).slice() };
  if (id instanceof Blob) return id.arrayBuffer().then((bytes) => ({ kind: "metainfo", bytes: new Uint8Array(bytes) }));
  throw new HeadwaterError("badTorrentId", "This is no torrent: neither text nor bytes.");
}

function fromText(text: string): Source {
  if (/^magnet:/i.test(text)) return { kind: "magnet", uri: text };
  if (/^[0-9a-f]{40}$/i.test(text)) return { kind: "magnet", uri: `magnet:?xt=urn:btih:${text.toLowerCase()}` };
  if (/^[0-9a-f]{64}$/i.test(text)) return { kind: "magnet", uri: `magnet:?xt=urn:btmh:1220${text.toLowerCase()}` };
  const url = text === "" || /\s/.test(text) ? null : URL.parse(text, document.baseURI);
  if (url && FETCHABLE.has(url.protocol)) return { kind: "url", url: url.href };
  throw new HeadwaterError("badTorrentId", `“${shortened(text)}” is neither a magnet link nor the address of a .torrent file.`);
}

function shortened(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

const FETCHABLE = new Set(["http:", "https:", "blob:", "data:"]);
