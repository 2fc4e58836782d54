/**
 * Fetches from web servers that have a torrent's files (BEP 19), for the engine.
 *
 * What to ask for the engine decides, and it looks at every byte. Here an answer is judged by its head:
 * exactly the range asked for, or the whole file in its right length. Through which redirects an answer
 * came, and from which network, no page is told.
 */

/** What the engine calls. What comes of it the engine is told as a message. */
export class Fetcher {
  readonly #out = new Map<string, AbortController>();

  /** Fetches the bytes from `start` up to, not including, `end` of a file of `length` bytes. */
  begin(torrent: number, ticket: number, url: string, start: number, end: number, length: number): void {
    const key = `${torrent} ${ticket}`;
    const abort = new AbortController();
    const tell = (what: { bytes?: Uint8Array; reason?: string }): void => {
      if (!abort.signal.aborted) dispatchEvent(new MessageEvent("message", { data: { kind: "fetched", torrent, ticket, ...what } }));
    };
    this.#out.set(key, abort);
    fetchRange(url, { start, end, length }, abort.signal, (bytes) => tell({ bytes }))
      .then(() => tell({}), (error: Error) => tell({ reason: error.message }))
      .finally(() => this.#out.delete(key));
  }

  /** Nobody needs it any more. */
  end(torrent: number, ticket: number): void {
    this.#out.get(`${torrent} ${ticket}`)?.abort();
  }

  /**
   * Whether a torrent may lead us there by its word alone: to the page's own site, to where the torrent came
   * from, and to hosts that the world knows by name. A torrent is a stranger's, and must not have the
   * visitor's browser ask the machines of the visitor's own network.
   */
  may(url: string, home: string): boolean {
    const there = URL.parse(url);
    if (!there || !/^https?:$/.test(there.protocol)) return false;
    return [location.origin, URL.parse(home)?.origin].includes(there.origin) || WORLDS_NAME.test(there.hostname);
  }
}

/** As a browser writes a host: an address in digits ends in a number or a bracket, and is none. */
const WORLDS_NAME = /\.(?!(?:arpa|home|internal|lan|local|localhost)$)[a-z][^.]*$/;

interface Wanted {
  start: number;
  end: number;
  /** Bytes of the whole file. */
  length: number;
}

async function fetchRange(url: string, wanted: Wanted, signal: AbortSignal, take: (bytes: Uint8Array) => void): Promise<void> {
  const headers = { range: `bytes=${wanted.start}-${wanted.end - 1}` };
  // The window is the cache; the browser's would have requests for one file wait for each other.
  const init: RequestInit = { headers, signal, cache: "no-store", credentials: "omit", referrerPolicy: "no-referrer" };
  const response = await fetch(url, init).catch((error: Error) => {
    throw new Error(`${error.message} (it may be down, or not allow ${location.origin} to read it: CORS)`);
  });
  let skip: number;
  try {
    skip = skipped(response, wanted);
  } catch (error) {
    void response.body?.cancel();
    throw error;
  }
  const reader = response.body!.getReader();
  for (let left = wanted.end - wanted.start; left > 0; ) {
    const { value } = await reader.read();
    if (!value) return;
    const bytes = value.subarray(skip, skip + left);
    skip = Math.max(0, skip - value.length);
    left -= bytes.length;
    if (bytes.length > 0) take(bytes);
  }
  // What comes after that was not asked for.
  void reader.cancel();
}

/** The bytes of a body to pass over before those that were asked for; throws why it is no good otherwise. */
export function skipped({ status, headers, body }: Response, { start, end, length }: Wanted): number {
  const refuse = (reason: string): never => {
    throw new Error(reason);
  };
  const coding = headers.get("content-encoding") ?? "identity";
  if (coding !== "identity") refuse(`it compresses what it sends (${coding})`);
  const said = headers.get("content-length");
  const bytes = said === null ? null : Number(said);
  if (status === 206) {
    // Of another site the browser tells only what that lets it: what is wrong unseen, the hashes show.
    const right = `bytes ${start}-${end - 1}/${length}`;
    const range = headers.get("content-range") ?? right;
    if (range !== right) refuse(`it was asked for ${right} and says it sends ${range}`);
    if (bytes !== null && bytes !== end - start) refuse(`it says ${right} and sends ${bytes} bytes`);
  } else if (status !== 200) {
    refuse(`it says ${status}`);
  } else if (bytes === null) {
    refuse("it ignores Range, and does not say how long its file is");
  } else if (bytes !== length) {
    refuse(`its file has ${bytes} bytes, and the torrent's ${length}`);
  } else if (start > MAX_SKIPPED_BYTES) {
    refuse("it ignores Range, and the file is too long to be sent whole");
  }
  if (!body) refuse("it sends nothing");
  return status === 200 ? start : 0;
}

/** Bytes that are read and thrown away at most, where a server ignores `Range`. */
const MAX_SKIPPED_BYTES = 16 << 20;
