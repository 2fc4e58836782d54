/** One torrent of a client: what it is, how it does, what happens in it. */
import { HeadwaterError } from "./errors.js";
import { Emitter } from "./events.js";
import { TorrentFile, type FileHost } from "./file.js";
import type { ErrorMessage, MetadataMessage, StatsMessage, TorrentKey, TorrentMessage, TrackerMessage } from "./protocol.js";
import type { ByteRange } from "./range.js";
import { Read } from "./read.js";
import type { EngineEvent, PeerStats, PieceMap, Stats } from "./stats.js";

/** A tracker's last known state. */
export type TrackerState = Omit<TrackerMessage, "kind" | "torrent">;

/** The events of the engine, and those of the page's side, by kind. */
export type TorrentEvents = {
  [K in Exclude<EngineEvent["kind"], "metadata">]: Extract<EngineEvent, { kind: K }>;
} & {
  /** Name and files are known. */
  metadata: Torrent;
  /** New figures, twice a second. */
  stats: Stats;
  trackerState: TrackerState;
  error: HeadwaterError;
};

/** What a torrent needs of its client. */
export interface TorrentHost extends Omit<FileHost, "openRead"> {
  openRead(torrent: TorrentKey, file: number, range: Partial<ByteRange>): Read;
  remove(torrent: Torrent): void;
}

/** A torrent that has been added. */
export class Torrent extends Emitter<TorrentEvents> {
  /** Resolves to this torrent when name and files are known; rejects when they never will be. */
  readonly ready: Promise<Torrent>;
  readonly #host: TorrentHost;
  readonly #key: TorrentKey;
  readonly #reads = new Set<Read>();
  readonly #trackers = new Map<string, TrackerState>();
  #settle!: { resolve: (torrent: Torrent) => void; reject: (error: HeadwaterError) => void };
  #metadata: MetadataMessage | null = null;
  #files: readonly TorrentFile[] = [];
  #last: StatsMessage | null = null;
  #ended: HeadwaterError | null = null;

  /** @internal */
  constructor(host: TorrentHost, key: TorrentKey) {
    super();
    this.#host = host;
    this.#key = key;
    this.ready = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // The `error` event tells the same; nobody has to await `ready`.
    this.ready.catch(() => {});
  }

  /** Empty until {@link ready}. */
  get name(): string {
    return this.#metadata?.name ?? "";
  }

  /** Hex, 40 digits; null when the torrent has none, or is not known yet. */
  get infoHashV1(): string | null {
    return this.#metadata?.infoHashV1 ?? null;
  }

  /** Hex, 64 digits; null when the torrent has none, or is not known yet. */
  get infoHashV2(): string | null {
    return this.#metadata?.infoHashV2 ?? null;
  }

  /** Bytes of all files together. */
  get length(): number {
    return this.#metadata?.length ?? 0;
  }

  /** Bytes of a piece. */
  get pieceLength(): number {
    return this.#metadata?.pieceLength ?? 0;
  }

  get pieceCount(): number {
    return this.#metadata?.pieceCount ?? 0;
  }

  get files(): readonly TorrentFile[] {
    return this.#files;
  }

  /** The last figures; null before the first. */
  get stats(): Stats | null {
    return this.#last?.stats ?? null;
  }

  get peers(): readonly PeerStats[] {
    return this.#last?.peers ?? [];
  }

  /** Every piece's state; null before {@link ready}. */
  get pieces(): PieceMap | null {
    return this.#last?.pieces ?? null;
  }

  get trackers(): readonly TrackerState[] {
    return [...this.#trackers.values()];
  }

  /** Leaves the swarm and frees the window. Streams of this torrent end with an error. */
  remove(): void {
    if (!this.#ended) this.#host.remove(this);
  }

  /** @internal */
  get key(): TorrentKey {
    return this.#key;
  }

  /** @internal */
  handle(message: TorrentMessage): void {
    switch (message.kind) {
      case "metadata": return this.#handleMetadata(message);
      case "events": return message.events.forEach((event) => this.#handleEvent(event));
      case "stats": this.#last = message; return this.emit("stats", message.stats);
      case "tracker": return this.#handleTracker(message);
      default: message satisfies never;
    }
  }

  /** @internal */
  handleError({ code, message }: Pick<ErrorMessage, "code" | "message">): void {
    const error = new HeadwaterError(code, message);
    // A tracker that is down may come back, and others may answer.
    if (!PASSING.has(code)) this.#settle.reject(error);
    this.emit("error", error);
  }

  /** @internal */
  end(error: HeadwaterError): void {
    this.#ended = error;
    this.#settle.reject(error);
    for (const read of [...this.#reads]) read.fail(error);
  }

  #handleMetadata(message: MetadataMessage): void {
    if (this.#metadata) return;
    this.#metadata = message;
    const host: FileHost = {
      serviceWorkerReady: () => this.#host.serviceWorkerReady(),
      streamUrl: (path) => this.#host.streamUrl(path),
      openRead: (file, range) => this.#openRead(file, range),
      isServiceWorkerReady: false,
    };
    Object.defineProperty(host, "isServiceWorkerReady", { get: () => this.#host.isServiceWorkerReady });
    this.#files = message.files.map((entry) => new TorrentFile(host, this.#key, entry));
    this.#settle.resolve(this);
    this.emit("metadata", this);
  }

  #handleEvent(event: EngineEvent): void {
    // The metadata message tells it, with what it says.
    if (event.kind !== "metadata") this.emit(event.kind, event as never);
  }

  #handleTracker({ url, state, complete, incomplete, message }: TrackerMessage): void {
    const tracker: TrackerState = {
      url,
      state,
      ...(complete !== undefined && { complete }),
      ...(incomplete !== undefined && { incomplete }),
      ...(message !== undefined && { message }),
    };
    const wasLost = this.#trackers.get(url)?.state === "lost";
    // A warning changes nothing of what is known.
    if (state !== "warning") this.#trackers.set(url, tracker);
    this.emit("trackerState", tracker);
    if (state === "lost" && !wasLost) {
      this.handleError({ code: "trackerDown", message: `The tracker ${url} cannot be reached${message ? ` (${message})` : ""}; it is tried again.` });
    }
  }

  #openRead(file: number, range: Partial<ByteRange>): Read {
    if (this.#ended) throw this.#ended;
    const read = this.#host.openRead(this.#key, file, range);
    this.#reads.add(read);
    void read.closed.then(() => this.#reads.delete(read));
    return read;
  }
}

/** Errors after which the metadata may still come. */
const PASSING = new Set(["trackerDown"]);
