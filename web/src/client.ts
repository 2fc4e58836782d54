/**
 * The client: one engine in a worker, and the torrents that were added to it.
 *
 * Joins the page's parts (engine, connections, service worker, torrents), which do not know each other.
 */
import { keepAsset, makingAsset, wasmAsset, workerAsset } from "./assets.js";
import { Connections, type ConnectionOptions } from "./connections.js";
import { Engine } from "./engine.js";
import { asHeadwaterError, HeadwaterError } from "./errors.js";
import { Emitter } from "./events.js";
import { MonthlyBudget } from "./monthly-budget.js";
import type { FromWorker, KeepOptions, PeerKey, Source, ToWorker } from "./protocol.js";
import { Read } from "./read.js";
import { ServiceWorkerLink } from "./service-worker-link.js";
import { decideSharing, onConnectionChange, type Share, type UploadLimits } from "./sharing.js";
import { Torrent, type TorrentHost } from "./torrent.js";
import { toSource, type TorrentId } from "./torrent-id.js";
import { Recorder, type Trace } from "./trace.js";

/** How a client is made. All of it can be left out. The upload's limits are those of all torrents together. */
export interface HeadwaterOptions extends ConnectionOptions, UploadLimits {
  /** Bytes given in a month at the most, by all tabs of the site together; a report's worth more may be. Infinity. */
  uploadBytesPerMonth?: number;
  /**
   * Most bytes a torrent may hold: pieces fetched ahead, pieces kept to share, blocks in flight.
   * 64 MiB. Less saves memory; more rides out longer gaps and shares with viewers further away.
   */
  windowBytes?: number;
  /** Most peers of a torrent, connected or being connected. 64. */
  maxPeers?: number;
  /** Trackers (`wss://…`) used beside those a torrent names. None. */
  trackers?: readonly string[];
  /**
   * Web servers that have the files, as web seeds have them (BEP 19): asked for what peers would bring too
   * late, and for everything where nobody is. On another site they must let the page read them (CORS). None.
   */
  origins?: readonly (string | URL)[];
  /**
   * Whether the web servers that a torrent names are asked, too: those of the page's own site, those where the
   * torrent came from, and those whose name is the world's. True.
   */
  webSeeds?: boolean;
  /**
   * Whether pieces are given to others and taken from them. Share: a swarm in which nobody gives is a
   * slow web server. Where the visitor's device saves data, or is on a cellular network: download.
   */
  share?: Share;
  /**
   * Whether verified pieces are written to the browser's storage as they are read, for the next visit and for
   * other peers; and how many bytes all torrents of the site may take. False: nothing outlives the page.
   */
  keep?: boolean | KeepOptions;
  /** Where `worker.js` is. Beside this module. */
  workerUrl?: string | URL;
  /** Where `keep.js` is, which is loaded where {@link keep} is wanted. Beside this module. */
  keepUrl?: string | URL;
  /** Where `making.js` is, which is loaded by {@link Headwater.seed}. Beside this module. */
  makingUrl?: string | URL;
  /** Where `headwater_wasm_bg.wasm` is. Beside this module. */
  wasmUrl?: string | URL;
  /** Where `headwater-sw.js` is: at or above the page's path. `headwater-sw.js` beside the page. Null: no stream URLs. */
  swUrl?: string | URL | null;
}

/** What may differ from the client's options for one torrent. The upload's limits are its own, within the client's. */
export interface AddOptions extends Pick<HeadwaterOptions, "keep" | "maxPeers" | "origins" | "share" | "trackers" | "webSeeds" | "windowBytes">, UploadLimits {
  /** Files that are not to be read, by number, from before anything is fetched. */
  deselect?: readonly number[];
}

/** How files of this page are given to others. */
export interface SeedOptions extends AddOptions {
  /** What to call it. The file's name, or the folder's. */
  name?: string;
  /** Bytes of a piece, a power of two from 16 KiB to 16 MiB. By the length of it all. */
  pieceLength?: number;
}

/** Events of the client itself. */
export interface HeadwaterEvents {
  /** The engine failed, or something that belongs to no torrent did. */
  error: HeadwaterError;
}

/** A BitTorrent peer in this page. */
export class Headwater extends Emitter<HeadwaterEvents> {
  /** Resolves when the engine runs; rejects when it cannot be loaded. */
  readonly ready: Promise<void>;
  readonly #options: HeadwaterOptions;
  readonly #engine: Engine;
  readonly #connections: Connections;
  readonly #serviceWorker: ServiceWorkerLink;
  readonly #reads: MessagePort;
  readonly #torrents = new Map<number, Torrent>();
  readonly #recorder = new Recorder();
  readonly #monthlyBudget: MonthlyBudget;
  readonly #abort = new AbortController();
  #nextKey = 1;
  #isReady = false;
  #failure: HeadwaterError | null = null;

  constructor(options: HeadwaterOptions = {}) {
    super();
    this.#options = options;
    this.#monthlyBudget = new MonthlyBudget(options.uploadBytesPerMonth ?? Infinity);
    this.#engine = new Engine(
      { workerUrl: workerUrl(options), wasmUrl: wasmUrl(options), config: { forward: options.forwardMessages === true, statsEveryMs: STATS_EVERY_MS, limits: limits(options) } },
      (message) => this.#handle(message),
      (error) => this.#handleFailure(error),
    );
    this.ready = this.#engine.ready;
    this.ready.then(() => {
      this.#isReady = true;
      this.#recorder.add("engineReady");
    }, () => {});
    this.#connections = new Connections(options, this.#engine.post, {
      stepped: (peer, step) => this.#torrentOf(peer)?.handleStep(peer, step),
      failed: (peer, after, reason) => this.#torrentOf(peer)?.handleConnectionFailed(peer, after, reason),
    });
    this.#reads = this.#makeReadPort();
    this.#serviceWorker = new ServiceWorkerLink(serviceWorkerUrl(options), () => this.#makeReadPort());
    const { signal } = this.#abort;
    const decide = (): void => this.torrents.forEach((torrent) => torrent.decideSharing());
    // A page with open connections cannot go into the back/forward cache. Swarms are left, too: joined anew, they
    // have peers for it at once.
    addEventListener("pagehide", () => {
      this.#connections.suspend("the page was left");
      decide();
    }, { signal });
    addEventListener("pageshow", () => {
      this.#connections.resume();
      decide();
    }, { signal });
    onConnectionChange(decide, signal);
  }

  /** Torrents that were added and not removed. */
  get torrents(): readonly Torrent[] {
    return [...this.#torrents.values()];
  }

  /** Connections to peers, open or being made. */
  get connectionCount(): number {
    return this.#connections.count;
  }

  /** Whether messages pass through the page, because this browser cannot move a data channel to a worker. */
  get isForwarding(): boolean {
    return this.#connections.isForwarding;
  }

  /** Whether {@link destroy} was called. */
  get isDestroyed(): boolean {
    return this.#abort.signal.aborted;
  }

  /** Joins a torrent's swarm. Fetches nothing but metadata until a file is read. */
  add(torrentId: TorrentId, options: AddOptions = {}): Torrent {
    return this.#add(() => toSource(torrentId), options);
  }

  /**
   * Gives files of this page to others: hashes them in the worker, makes a torrent (v1 and v2), joins its
   * swarm. They are read from where they lie, and stay there. `torrent.magnet` is what to hand on.
   * Folders are those of the files' `webkitRelativePath`, if they have any.
   */
  seed(input: File | Iterable<File>, options: SeedOptions = {}): Torrent {
    const files = input instanceof File ? [input] : [...input];
    if (!files[0]) throw new HeadwaterError("noFiles", "There is no file to seed.");
    const { name, pieceLength } = options;
    const source: Source = {
      kind: "files",
      name,
      pieceLength,
      files: files.map((file) => ({ path: file.webkitRelativePath || file.name, file })),
      makingUrl: resolved(this.#options.makingUrl ?? makingAsset()).href,
    };
    return this.#add(() => source, { share: "share", ...options }, files);
  }

  /** What is kept on this machine, of all torrents of the site. */
  get storage(): { clear(): Promise<void> } {
    return { clear: async () => (await import("./storage.js")).clear() };
  }

  /** What happened since the client was made, as plain JSON: for a bug report, or to look at later. */
  trace(): Trace {
    return this.#recorder.export();
  }

  #add(source: () => Source | Promise<Source>, options: AddOptions, files: readonly File[] = []): Torrent {
    if (this.isDestroyed) throw new HeadwaterError("destroyed", "This client was destroyed.");
    const all = { ...this.#options, ...options };
    const torrent = new Torrent(this.#torrentHost(), this.#nextKey++, {
      asked: all.share,
      trackers: all.trackers ?? [],
      deselected: options.deselect ?? [],
      files,
    });
    this.#torrents.set(torrent.key, torrent);
    this.#recorder.add("added", { torrent: torrent.key });
    void this.#start(torrent, source, options);
    // Ready by the time the first file is; whoever needs it will hear of a failure.
    if (this.#options.swUrl !== null && files.length === 0) this.#serviceWorker.ready().catch(() => {});
    return torrent;
  }

  /** Leaves all swarms, closes every connection, ends every stream, stops the worker. */
  async destroy(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    for (const torrent of this.torrents) this.#end(torrent, new HeadwaterError("destroyed", "The client was destroyed."));
    this.#serviceWorker.close(new HeadwaterError("destroyed", "The client was destroyed."));
    this.#connections.suspend("the client was destroyed");
    // The worker still has to tell the trackers.
    await new Promise((resolve) => setTimeout(resolve, FAREWELL_MS));
    this.#reads.close();
    this.#engine.terminate();
  }

  async #start(torrent: Torrent, source: () => Source | Promise<Source>, options: AddOptions): Promise<void> {
    try {
      // Not at once: whoever adds a torrent has yet to listen to it.
      this.#post(torrent, await Promise.resolve().then(source), options);
      if (this.#failure) this.#fail(torrent, this.#failure);
    } catch (error) {
      torrent.handleError(asHeadwaterError(error, "badTorrentId"));
    }
  }

  #post(torrent: Torrent, source: Source, options: AddOptions): void {
    if (!this.#torrents.has(torrent.key)) return;
    const { windowBytes = DEFAULT_WINDOW_BYTES, maxPeers = DEFAULT_MAX_PEERS, trackers, origins, webSeeds, keep, keepUrl = keepAsset() } = { ...this.#options, ...options };
    const add: ToWorker = {
      kind: "add",
      torrent: torrent.key,
      source,
      trackers,
      origins: origins?.map((url) => resolved(url).href),
      webSeeds,
      windowBytes: Math.floor(windowBytes),
      maxPeers,
      share: torrent.sharing.share,
      limits: limits({ ...options, ...torrent.limits }),
      deselected: options.deselect,
      keep: keep && source.kind !== "files" ? { url: resolved(keepUrl).href, ...(keep as KeepOptions) } : undefined,
    };
    this.#engine.post(add, source.kind === "metainfo" ? [source.bytes.buffer] : []);
    torrent.isPosted = true;
  }

  #torrentHost(): TorrentHost {
    const link = this.#serviceWorker;
    return {
      serviceWorkerReady: () => link.ready(),
      isServiceWorkerReady: () => link.isReady,
      streamUrl: (path) => link.streamUrl(path),
      openRead: (torrent, file, range) => new Read(this.#reads, { torrent, file, ...range }),
      post: (message) => this.#engine.post(message),
      setLimits: (torrent, given) => this.#engine.post({ kind: "limits", torrent, limits: limits(given) }),
      path: (peer) => this.#connections.path(peer),
      record: (kind, details) => this.#recorder.add(kind, details),
      isEngineReady: () => this.#failure === null && this.#isReady,
      decideSharing: (asked) => (this.#connections.isSuspended ? { share: "off", reason: "away" } : decideSharing(asked)),
      isMonthSpent: () => this.#monthlyBudget.isSpent,
      spend: (bytes) => this.#monthlyBudget.spend(bytes),
      remove: (torrent, forget) => this.#end(torrent, new HeadwaterError("removed", "The torrent was removed."), forget),
    };
  }

  /** The upper half of a peer's number is its torrent's. */
  #torrentOf(peer: PeerKey): Torrent | undefined {
    return this.#torrents.get(Math.floor(peer / 2 ** 32));
  }

  #end(torrent: Torrent, error: HeadwaterError, forget = false): void {
    torrent.end(error);
    this.#torrents.delete(torrent.key);
    this.#engine.post({ kind: "remove", torrent: torrent.key, forget });
  }

  #handle(message: FromWorker): void {
    switch (message.kind) {
      case "makeOffer":
      case "acceptOffer":
      case "applyAnswer":
      case "drop":
      case "send": return this.#connections.handle(message);
      case "hashed":
      case "hashing":
      case "metadata":
      case "events":
      case "stats":
      case "storage":
      case "tracker": return this.#torrents.get(message.torrent)?.handle(message);
      case "error": return this.#handleError(message.torrent, message.code, message.message);
      case "ready": return;
      default: message satisfies never;
    }
  }

  #handleError(key: number | undefined, code: string, message: string): void {
    if (key === undefined) return this.emit("error", new HeadwaterError(code, message));
    this.#torrents.get(key)?.handleError({ code, message });
  }

  #handleFailure(error: HeadwaterError): void {
    this.#failure = error;
    this.#serviceWorker.close(error);
    this.#connections.suspend(error.message);
    this.emit("error", error);
    for (const torrent of this.torrents) this.#fail(torrent, error);
  }

  #fail(torrent: Torrent, error: HeadwaterError): void {
    torrent.handleError(error);
    this.#end(torrent, error);
  }

  #makeReadPort(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#engine.post({ kind: "streams", port: port1 }, [port1]);
    return port2;
  }
}

function workerUrl({ workerUrl: url }: HeadwaterOptions): URL {
  return resolved(url ?? workerAsset());
}

function wasmUrl({ wasmUrl: url }: HeadwaterOptions): URL {
  return resolved(url ?? wasmAsset());
}

function serviceWorkerUrl({ swUrl: url }: HeadwaterOptions): URL | null {
  return url === null ? null : resolved(url ?? "headwater-sw.js");
}

/** Against the page: some bundlers make addresses without an origin. On a server there is nothing to resolve against, and nothing to run. */
function resolved(url: string | URL): URL {
  return new URL(String(url), typeof document === "undefined" ? import.meta.url : document.baseURI);
}

function limits({ uploadRate = 0, uploadBytes = Infinity }: UploadLimits): { uploadRate: number; uploadBytes: number | null } {
  return { uploadRate: Math.floor(uploadRate), uploadBytes: uploadBytes === Infinity ? null : Math.floor(uploadBytes) };
}

const DEFAULT_WINDOW_BYTES = 64 * 1024 * 1024;

const DEFAULT_MAX_PEERS = 64;

/** Twice a second: a page's figures look alive, and cost nothing. */
const STATS_EVERY_MS = 500;

/** For the worker to tell trackers that we leave. */
const FAREWELL_MS = 200;
