/**
 * The client: one engine in a worker, and the torrents that were added to it.
 *
 * Joins the page's parts (engine, connections, service worker, torrents), which do not know each other.
 */
import { Connections, type ConnectionOptions } from "./connections.js";
import { Engine } from "./engine.js";
import { asHeadwaterError, HeadwaterError } from "./errors.js";
import { Emitter } from "./events.js";
import type { FromWorker, Source } from "./protocol.js";
import { Read } from "./read.js";
import { ServiceWorkerLink } from "./service-worker-link.js";
import { Torrent, type TorrentHost } from "./torrent.js";
import { toSource, type TorrentId } from "./torrent-id.js";

/** How a client is made. All of it can be left out. */
export interface HeadwaterOptions extends ConnectionOptions {
  /**
   * Most bytes a torrent may hold: pieces fetched ahead, pieces kept to share, blocks in flight.
   * 64 MiB. Less saves memory; more rides out longer gaps and shares with viewers further away.
   */
  windowBytes?: number;
  /** Trackers (`wss://…`) used beside those a torrent names. None. */
  trackers?: readonly string[];
  /** Whether pieces are sent to others. True: a swarm in which nobody sends is a slow web server. */
  upload?: boolean;
  /** Where `worker.js` is. Beside this module. */
  workerUrl?: string | URL;
  /** Where `headwater_wasm_bg.wasm` is. Beside this module. */
  wasmUrl?: string | URL;
  /** Where `headwater-sw.js` is: at or above the page's path. `headwater-sw.js` beside the page. Null: no stream URLs. */
  serviceWorkerUrl?: string | URL | null;
}

/** What may differ from the client's options for one torrent. */
export type AddOptions = Pick<HeadwaterOptions, "windowBytes" | "trackers" | "upload">;

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
  readonly #abort = new AbortController();
  #nextKey = 1;
  #failure: HeadwaterError | null = null;

  constructor(options: HeadwaterOptions = {}) {
    super();
    this.#options = options;
    this.#engine = new Engine(
      { workerUrl: workerUrl(options), wasmUrl: wasmUrl(options), config: { forward: options.forwardMessages === true, statsEveryMs: STATS_EVERY_MS } },
      (message) => this.#handle(message),
      (error) => this.#handleFailure(error),
    );
    this.ready = this.#engine.ready;
    this.#connections = new Connections(options, this.#engine.post);
    this.#reads = this.#makeReadPort();
    this.#serviceWorker = new ServiceWorkerLink(serviceWorkerUrl(options), () => this.#makeReadPort());
    // A page with open connections cannot go into the back/forward cache.
    const { signal } = this.#abort;
    addEventListener("pagehide", () => this.#connections.suspend("the page was left"), { signal });
    addEventListener("pageshow", () => this.#connections.resume(), { signal });
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

  /** Joins a torrent's swarm. Fetches nothing but metadata until a file is read. */
  add(torrentId: TorrentId, options: AddOptions = {}): Torrent {
    if (this.#abort.signal.aborted) throw new HeadwaterError("destroyed", "This client was destroyed.");
    const torrent = new Torrent(this.#torrentHost(), this.#nextKey++);
    this.#torrents.set(torrent.key, torrent);
    void this.#start(torrent, torrentId, options);
    // Ready by the time the first file is; whoever needs it will hear of a failure.
    if (this.#options.serviceWorkerUrl !== null) this.#serviceWorker.ready().catch(() => {});
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

  async #start(torrent: Torrent, torrentId: TorrentId, options: AddOptions): Promise<void> {
    try {
      // Not at once: whoever adds a torrent has yet to listen to it.
      this.#post(torrent, await Promise.resolve(torrentId).then(toSource), options);
      if (this.#failure) this.#fail(torrent, this.#failure);
    } catch (error) {
      torrent.handleError(asHeadwaterError(error, "badTorrentId"));
    }
  }

  #post(torrent: Torrent, source: Source, options: AddOptions): void {
    if (!this.#torrents.has(torrent.key)) return;
    const { windowBytes = DEFAULT_WINDOW_BYTES, upload = true, trackers = [] } = { ...this.#options, ...options };
    const transfer = source.kind === "metainfo" ? [source.bytes.buffer] : [];
    this.#engine.post({ kind: "add", torrent: torrent.key, source, trackers: [...trackers], windowBytes, upload }, transfer);
  }

  #torrentHost(): TorrentHost {
    const link = this.#serviceWorker;
    return {
      serviceWorkerReady: () => link.ready(),
      get isServiceWorkerReady() { return link.isReady; },
      streamUrl: (path) => link.streamUrl(path),
      openRead: (torrent, file, range) => new Read(this.#reads, { torrent, file, ...range }),
      remove: (torrent) => this.#end(torrent, new HeadwaterError("removed", "The torrent was removed.")),
    };
  }

  #end(torrent: Torrent, error: HeadwaterError): void {
    torrent.end(error);
    this.#torrents.delete(torrent.key);
    this.#engine.post({ kind: "remove", torrent: torrent.key });
  }

  #handle(message: FromWorker): void {
    switch (message.kind) {
      case "makeOffer":
      case "acceptOffer":
      case "applyAnswer":
      case "drop":
      case "send": return this.#connections.handle(message);
      case "metadata":
      case "events":
      case "stats":
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

// Bundlers find and copy the files by these very expressions.
function workerUrl({ workerUrl: url }: HeadwaterOptions): URL {
  return url === undefined ? new URL("./worker.js", import.meta.url) : new URL(url, document.baseURI);
}

function wasmUrl({ wasmUrl: url }: HeadwaterOptions): URL {
  return url === undefined ? new URL("./headwater_wasm_bg.wasm", import.meta.url) : new URL(url, document.baseURI);
}

function serviceWorkerUrl({ serviceWorkerUrl: url }: HeadwaterOptions): URL | null {
  return url === null ? null : new URL(url ?? "headwater-sw.js", document.baseURI);
}

const DEFAULT_WINDOW_BYTES = 64 * 1024 * 1024;

/** Twice a second: a page's figures look alive, and cost nothing. */
const STATS_EVERY_MS = 500;

/** For the worker to tell trackers that we leave. */
const FAREWELL_MS = 200;
