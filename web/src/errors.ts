/** Errors a page can meet: a stable code, what happened, and what to do about it. */

/** Codes of our own; the engine adds those it sends (`trackerDown`, `tooLarge`, …). */
export type ErrorCode = keyof typeof HINTS | (string & {});

/** What went wrong (`message`), under which name (`code`), and what to do (`hint`). */
export class HeadwaterError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; hint?: string }) {
    super(message, options);
    this.name = "HeadwaterError";
    this.code = code;
    this.hint = options?.hint ?? (HINTS as Record<string, string>)[code] ?? "";
  }
}

/** Anything thrown, as one of ours. */
export function asHeadwaterError(error: unknown, code: ErrorCode): HeadwaterError {
  if (error instanceof HeadwaterError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new HeadwaterError(code, message, { cause: error });
}

const HINTS = {
  badMessage: "worker.js and headwater.js are of different versions: serve both from the same package.",
  badRange: "Ask for bytes of the file.",
  badMagnet: "A magnet link looks like magnet:?xt=urn:btih:<40 hex digits>&tr=<wss tracker>. Copy it whole.",
  badTorrent: "Check that this is a .torrent file and not the page that links to it.",
  badTorrentId: "Pass a magnet link, the URL of a .torrent file, an info hash, or the bytes of a .torrent file.",
  deselected: "Call file.select() to read it.",
  destroyed: "Make a new Headwater.",
  engineFailed: "Serve worker.js and headwater_wasm_bg.wasm beside headwater.js, or pass workerUrl and wasmUrl.",
  fetchFailed: "Open the address in a tab: it must answer 200, and from another site it must allow CORS.",
  hashFailed: "The file may have changed or gone while it was read: choose it again.",
  mediaFailed: "The browser cannot play this file. MP4 (H.264/AAC, index at the front) and WebM play everywhere.",
  noFile: "torrent.files says what there is.",
  noFiles: "Pass at least one File that is not empty.",
  noTorrent: "The torrent was removed; add it again.",
  noTracker: "Add &tr=wss://… to the magnet link, or pass trackers to add().",
  noWorker: "Run this in a browser page: on a server, importing headwater is fine, creating a client is not.",
  removed: "The torrent was removed; add it again.",
  serviceWorkerFailed: "Serve headwater-sw.js (from the package's dist folder) at or above the page's own path, as JavaScript, or pass swUrl.",
  serviceWorkerForeign: 'Another service worker has this page. Put importScripts("headwater-sw.js") into it.',
  serviceWorkerNotReady: "Await file.ready (or call file.streamTo(video)) before using file.url.",
  serviceWorkerOff: "swUrl is null. Leave it out, or use file.stream() and file.arrayBuffer().",
  serviceWorkerUnsupported:
    "Open the page over https:// or from http://localhost (not file://, and not a private window in Firefox). file.stream() and file.arrayBuffer() work here, too.",
  tooLarge: "This is more than a page should hold.",
  tooLate: "Call configure() before the first attach() and before the first <headwater-video> is connected.",
  tooManyStreams: "Cancel streams that are not read any more.",
  trackerDown: "Check that the tracker runs and that its address starts with wss:// (ws:// only from http pages).",
} as const;
