/**
 * A torrent on a media element: added, its film chosen, played, and let go.
 *
 * What `<headwater-video>` does, for elements that are there already.
 */
import type { AddOptions, Headwater } from "./client.js";
import { asHeadwaterError, HeadwaterError } from "./errors.js";
import type { TorrentFile } from "./file.js";
import { sharedClient } from "./shared.js";
import type { Torrent } from "./torrent.js";
import type { TorrentId } from "./torrent-id.js";

/** How {@link attach} goes about it. */
export interface AttachOptions extends AddOptions {
  /** Whose torrent it is to be. The page's shared client. */
  client?: Headwater;
  /** Which file: its number, or its path in the torrent. The largest that plays. */
  file?: number | string;
}

/** A torrent that plays in an element. */
export interface Attachment {
  readonly torrent: Torrent;
  /** Resolves to the file that plays when the element has its address; rejects if it never will. */
  readonly ready: Promise<TorrentFile>;
  /** Takes the torrent off the element and leaves its swarm. */
  detach(): void;
}

/** Plays a torrent in a `<video>` or `<audio>`. Its first megabyte is fetched at once, unless the element's `preload` is `none`. */
export function attach(media: HTMLMediaElement, torrentId: TorrentId, { client = sharedClient(), file: wanted, ...options }: AttachOptions = {}): Attachment {
  const torrent = client.add(torrentId, options);
  let src = "";
  // It holds the signal that ends them all.
  const listening = new AbortController();
  const ready = torrent.ready.then(async ({ files }) => {
    const file = choose(files, wanted);
    if (media.preload !== "none") {
      // What the player will ask for first is fetched while the service worker comes up.
      const head = file.stream({ end: Math.min(file.length, HEAD_BYTES) });
      media.addEventListener("loadedmetadata", () => void head.cancel(), listening);
    }
    await file.streamTo(media);
    src = media.src;
    return file;
  });
  ready.catch(() => {});
  media.addEventListener("error", () => media.error && media.src === src && torrent.handleError(mediaError(media.error)), listening);
  return {
    torrent,
    ready: ready.catch((error: unknown) => Promise.reject(asHeadwaterError(error, "mediaFailed"))),
    detach(): void {
      listening.abort();
      if (src && media.src === src) {
        media.removeAttribute("src");
        media.load();
      }
      torrent.remove();
    },
  };
}

/** The file that is meant: the one that is named, or the largest that plays. */
export function choose(files: readonly TorrentFile[], wanted?: number | string): TorrentFile {
  const playable = files.filter(({ type }) => /^(video|audio)\//.test(type)).toSorted((a, b) => b.length - a.length);
  const file = wanted === undefined ? playable[0] : files.find(({ index, path }) => index === wanted || path === wanted);
  if (file) return file;
  throw wanted === undefined
    ? new HeadwaterError("mediaFailed", "No file in this torrent plays in a browser.")
    : new HeadwaterError("noFile", `The torrent has no file ${wanted}.`);
}

function mediaError({ message }: MediaError): HeadwaterError {
  return new HeadwaterError("mediaFailed", `The browser gave up on this file: ${message || "no reason"}.`);
}

/** Enough of a film for its first frame. */
const HEAD_BYTES = 1_000_000;
