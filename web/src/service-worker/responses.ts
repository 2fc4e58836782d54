/**
 * What the service worker answers: heads without bytes.
 *
 * A torrent is a stranger's: nothing it holds may run as this site's script, document or style.
 */
import type { ByteRange } from "../range.js";
import type { Head } from "../read.js";

/** The response to a request for `part` of a file, or for all of it. */
export function fileResponse(head: Head, part: ByteRange | null, body: ReadableStream<Uint8Array<ArrayBuffer>> | null): Response {
  const range = part ?? { start: 0, end: head.length };
  const headers = fileHeaders(head);
  headers.set("Content-Length", String(range.end - range.start));
  if (part) headers.set("Content-Range", `bytes ${part.start}-${part.end - 1}/${head.length}`);
  return new Response(body, part ? { status: 206, statusText: "Partial Content", headers } : { status: 200, headers });
}

/** The response to a range that begins after the file's end. */
export function unsatisfiable(head: Head): Response {
  const headers = fileHeaders(head);
  headers.set("Content-Range", `bytes */${head.length}`);
  headers.set("Content-Length", "0");
  return new Response(null, { status: 416, statusText: "Range Not Satisfiable", headers });
}

/** A refusal or failure, in words for whoever opens the network panel. */
export function failure(status: number, statusText: string, reason: string): Response {
  const headers = guarded({ "Content-Type": "text/plain; charset=utf-8" });
  return new Response(`${reason}\n`, { status, statusText, headers });
}

/** What a page may do with torrent bytes: fetch them, play them, show them as an image. */
export function isDestinationAllowed(request: Request): boolean {
  return request.mode !== "navigate" && ALLOWED_DESTINATIONS.has(request.destination);
}

function fileHeaders(head: Head): Headers {
  const headers = guarded({ "Accept-Ranges": "bytes" });
  if (ALLOWED_TYPES.has(head.type)) {
    headers.set("Content-Type", head.type);
  } else {
    headers.set("Content-Type", "application/octet-stream");
    headers.set("Content-Disposition", `attachment; filename*=UTF-8''${encodeFileName(head.name)}`);
  }
  return headers;
}

function guarded(headers: Record<string, string>): Headers {
  return new Headers({
    "Cache-Control": "no-store",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  });
}

/** RFC 8187: `encodeURIComponent` leaves four characters that an extended value may not have. */
function encodeFileName(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** Fetch and XHR have no destination. Documents, scripts, workers, styles and plug-ins are not here. */
const ALLOWED_DESTINATIONS = new Set(["", "audio", "image", "track", "video"]);

/** Types that are shown, played or read; nothing that is laid out or run. */
const ALLOWED_TYPES = new Set([
  "application/vnd.apple.mpegurl",
  "application/x-subrip",
  "audio/aac",
  "audio/flac",
  "audio/mp4",
  "audio/mpeg",
  "audio/ogg",
  "audio/wav",
  "audio/webm",
  "audio/x-matroska",
  "image/apng",
  "image/avif",
  "image/bmp",
  "image/gif",
  "image/jpeg",
  "image/jxl",
  "image/png",
  "image/webp",
  "text/vtt",
  "video/3gpp",
  "video/iso.segment",
  "video/mp2t",
  "video/mp4",
  "video/mpeg",
  "video/ogg",
  "video/quicktime",
  "video/webm",
  "video/x-matroska",
  "video/x-msvideo",
]);
