/** One file of a torrent: its bytes, read in order through the window. */
import { HeadwaterError } from "./errors.js";
import type { ByteRange } from "./range.js";
import { Read } from "./read.js";

/** What a file needs of the client it belongs to. */
export interface FileHost {
  /** Resolves when stream URLs work. */
  serviceWorkerReady(): Promise<void>;
  readonly isServiceWorkerReady: boolean;
  streamUrl(path: string): string;
  openRead(file: number, range: Partial<ByteRange>): Read;
}

/** A file of a torrent. */
export class TorrentFile {
  /** The file's number in the torrent. */
  readonly index: number;
  readonly name: string;
  /** Folders and name, joined by `/`. */
  readonly path: string;
  /** Bytes. */
  readonly length: number;
  /** Media type, by the name's extension. */
  readonly type: string;
  readonly #host: FileHost;
  readonly #torrent: number;

  /** @internal */
  constructor(host: FileHost, torrent: number, entry: { index: number; path: string[]; name: string; length: number; type: string }) {
    this.#host = host;
    this.#torrent = torrent;
    this.index = entry.index;
    this.name = entry.name;
    this.path = entry.path.join("/");
    this.length = entry.length;
    this.type = entry.type;
  }

  /** Resolves when {@link url} can be used; rejects where service workers are missing, saying what to do. */
  get ready(): Promise<void> {
    return this.#host.serviceWorkerReady();
  }

  /**
   * An address of this page that serves the file, with ranges, for as long as the torrent is there.
   *
   * Throws `serviceWorkerNotReady` before {@link ready}.
   */
  get url(): string {
    const url = this.#host.streamUrl(`${this.#torrent}/${this.index}/${encodeURIComponent(this.name.toWellFormed())}`);
    if (!this.#host.isServiceWorkerReady) {
      throw new HeadwaterError("serviceWorkerNotReady", "The service worker is not ready yet.");
    }
    return url;
  }

  /** Plays the file: waits for the service worker and sets the element's `src`. */
  async streamTo(media: HTMLMediaElement): Promise<void> {
    await this.ready;
    media.src = this.url;
  }

  /** The bytes in order, verified; none is fetched that the window does not need. No service worker needed. */
  stream(range: Partial<ByteRange> = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#host.openRead(this.index, this.#checked(range)).stream();
  }

  /** The bytes as one buffer: mind that it has to fit into the page's memory. */
  async arrayBuffer(range: Partial<ByteRange> = {}): Promise<ArrayBuffer> {
    const { start, end } = this.#checked(range);
    const whole = new Uint8Array(end - start);
    if (whole.length === 0) return whole.buffer;
    const read = this.#host.openRead(this.index, { start, end });
    let filled = 0;
    for (let bytes = await read.pull(); bytes; bytes = await read.pull()) {
      whole.set(bytes, filled);
      filled += bytes.length;
    }
    if (filled < whole.length) throw new HeadwaterError("removed", `The stream ended after ${filled} of ${whole.length} bytes.`);
    return whole.buffer;
  }

  #checked({ start = 0, end = this.length }: Partial<ByteRange>): ByteRange {
    const isInside = Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= this.length;
    if (!isInside) throw new HeadwaterError("badRange", `There are no bytes ${start} to ${end} in ${this.length} bytes.`);
    return { start, end };
  }
}
