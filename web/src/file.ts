/** One file of a torrent: its bytes, read in order through the window. */
import { HeadwaterError } from "./errors.js";
import type { ByteRange } from "./range.js";
import { Read } from "./read.js";

/** What a file needs of the client it belongs to. */
export interface FileHost {
  /** Resolves when stream URLs work. */
  serviceWorkerReady(): Promise<void>;
  isServiceWorkerReady(): boolean;
  streamUrl(path: string): string;
  openRead(file: number, range: Partial<ByteRange>): Read;
  select(file: number, selected: boolean): void;
  /** Seconds of film that a player has and has not played. */
  hasAhead: (seconds: number) => void;
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
  readonly #path: readonly string[];
  readonly #local: Blob | null;
  #localUrl: string | null = null;
  #isSelected: boolean;

  /** @internal */
  constructor(
    host: FileHost,
    torrent: number,
    entry: { index: number; path: string[]; name: string; length: number; type: string },
    { isSelected = true, local = null }: { isSelected?: boolean; local?: Blob | null } = {},
  ) {
    this.#host = host;
    this.#torrent = torrent;
    this.#path = entry.path;
    this.#local = local;
    this.#isSelected = isSelected;
    this.index = entry.index;
    this.name = entry.name;
    this.path = entry.path.join("/");
    this.length = entry.length;
    this.type = entry.type;
  }

  /** Resolves when {@link url} can be used; rejects where service workers are missing, saying what to do. */
  get ready(): Promise<void> {
    return this.#local ? Promise.resolve() : this.#host.serviceWorkerReady();
  }

  /**
   * An address of this page that serves the file, with ranges, for as long as the torrent is there.
   *
   * Beside it, by the same folders, are the torrent's other files: a playlist finds its segments.
   * Throws `serviceWorkerNotReady` before {@link ready}.
   */
  get url(): string {
    if (this.#local) return (this.#localUrl ??= URL.createObjectURL(this.#local));
    const path = this.#path.map((name) => encodeURIComponent(name.toWellFormed())).join("/");
    const url = this.#host.streamUrl(`${this.#torrent}/${path}`);
    if (!this.#host.isServiceWorkerReady()) {
      throw new HeadwaterError("serviceWorkerNotReady", "The service worker is not ready yet.");
    }
    return url;
  }

  /** Whether it may be read. */
  get isSelected(): boolean {
    return this.#isSelected;
  }

  /** It may be read again. */
  select(): void {
    this.#select(true);
  }

  /** It is not to be read: its streams end with an error, and nothing is fetched for it. */
  deselect(): void {
    this.#select(false);
  }

  /** Plays the file: waits for the service worker, sets the element's `src`, and keeps up what lies ahead of it. */
  async streamTo(media: HTMLMediaElement): Promise<void> {
    const { hasAhead } = this.#host;
    // It has nothing yet, and somebody waits for it.
    hasAhead(0);
    await this.ready;
    const src = (media.src = this.url);
    const tell = () => {
      if (media.src !== src) return;
      hasAhead(secondsAhead(media));
      media.addEventListener("timeupdate", tell, { once: true });
    };
    tell();
  }

  /** The bytes in order, verified; none is fetched that the window does not need. No service worker needed. */
  stream(range: Partial<ByteRange> = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    const { start, end } = this.#checked(range);
    return this.#local?.slice(start, end).stream() ?? this.#host.openRead(this.index, { start, end }).stream();
  }

  /** The bytes as one buffer: mind that it has to fit into the page's memory. */
  async arrayBuffer(range: Partial<ByteRange> = {}): Promise<ArrayBuffer> {
    const { start, end } = this.#checked(range);
    if (this.#local) return this.#local.slice(start, end).arrayBuffer();
    const whole = new Uint8Array(end - start);
    if (whole.length === 0) return whole.buffer;
    const read = this.#host.openRead(this.index, { start, end });
    let filled = 0;
    for (let bytes = await read.pull(); bytes; bytes = await read.pull()) {
      whole.set(bytes, filled);
      filled += bytes.length;
    }
    if (filled < whole.length) throw new HeadwaterError("removed", `The stream ended after ${filled} bytes.`);
    return whole.buffer;
  }

  /** @internal */
  end(): void {
    if (this.#localUrl) URL.revokeObjectURL(this.#localUrl);
  }

  #select(selected: boolean): void {
    if (this.#isSelected === selected) return;
    this.#isSelected = selected;
    this.#host.select(this.index, selected);
  }

  #checked({ start = 0, end = this.length }: Partial<ByteRange>): ByteRange {
    const isInside = Number.isSafeInteger(start) && Number.isSafeInteger(end) && 0 <= start && start <= end && end <= this.length;
    if (!isInside) throw new HeadwaterError("badRange", `There are no bytes ${start} to ${end} in ${this.length} bytes.`);
    return { start, end };
  }
}

/** What the element has from where it is, at its pace; who has all to the end has enough. */
function secondsAhead({ buffered, currentTime, playbackRate, duration }: HTMLMediaElement): number {
  for (let range = buffered.length; range--; ) {
    const end = buffered.end(range);
    if (buffered.start(range) <= currentTime) return end > duration - 1 ? 1e5 : Math.max(0, end - currentTime) / playbackRate;
  }
  return 0;
}
