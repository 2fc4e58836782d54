/** One torrent of a client: what it is, how it does, what happens in it. */
import type { ConnectionStep } from "./connections.js";
import type { ConnectionCounts, Diagnosis } from "./doctor.js";
import { HeadwaterError } from "./errors.js";
import { Emitter } from "./events.js";
import { TorrentFile, type FileHost } from "./file.js";
import type { ErrorMessage, HashedMessage, Metadata, PeerKey, StatsMessage, TorrentKey, TorrentMessage, ToWorker, TrackerState } from "./protocol.js";
import type { ByteRange } from "./range.js";
import { Read } from "./read.js";
import type { Share, Sharing, UploadLimits } from "./sharing.js";
import type { EngineEvent, PathKind, PeerStats, PieceMap, Stats, StorageStats } from "./stats.js";

export type { TrackerState };

/** The events of the engine, and those of the page's side, by kind. */
export type TorrentEvents = {
  [K in Exclude<EngineEvent["kind"], "metadata">]: Extract<EngineEvent, { kind: K }>;
} & {
  /** Name and files are known. */
  metadata: Torrent;
  /** Files of this page are being hashed: bytes done, and bytes in all. */
  hashing: { done: number; total: number };
  /** What is given and taken became another, and why. */
  sharing: Sharing;
  /** New figures, twice a second. */
  stats: Stats;
  /** What is kept changed, or that anything is: `reason` says why not. */
  storage: StorageStats;
  trackerState: TrackerState;
  error: HeadwaterError;
};

/** When a torrent came how far, in milliseconds since it was added. */
export type Phases = Partial<Record<"announced" | "firstPeer" | "firstVerified" | "metadata", number>>;

/** What a torrent is made with. */
export interface TorrentInit {
  /** What the page wants given and taken, if it said so. */
  asked: Share | undefined;
  trackers: readonly string[];
  deselected: readonly number[];
  /** Files of this page that it is made of. */
  files: readonly Blob[];
}

/** What a torrent needs of its client. */
export interface TorrentHost extends Omit<FileHost, "hasAhead" | "openRead" | "select"> {
  decideSharing(asked: Share | undefined): Sharing;
  isEngineReady(): boolean;
  /** Whether all tabs together have given what they may this month. */
  isMonthSpent(): boolean;
  openRead(torrent: TorrentKey, file: number, range: Partial<ByteRange>): Read;
  path(peer: PeerKey): PathKind | undefined;
  record(kind: string, details: Record<string, unknown>): void;
  /** Tells the engine. */
  post(message: ToWorker): void;
  setLimits(torrent: TorrentKey, limits: UploadLimits): void;
  /** Counts bytes that were given. */
  spend(bytes: number): void;
  remove(torrent: Torrent, forget: boolean): void;
}

/** A torrent that has been added. */
export class Torrent extends Emitter<TorrentEvents> {
  /** Resolves to this torrent when name and files are known; rejects when they never will be. */
  readonly ready: Promise<Torrent>;
  readonly #host: TorrentHost;
  readonly #key: TorrentKey;
  readonly #init: TorrentInit;
  readonly #added = performance.now();
  #secondsAhead?: number;
  readonly #phases: Phases = {};
  readonly #connections: ConnectionCounts = { steps: {}, failures: [] };
  readonly #reads = new Set<Read>();
  readonly #trackers = new Map<string, TrackerState>();
  #settle!: { resolve: (torrent: Torrent) => void; reject: (error: HeadwaterError) => void };
  #metadata: Metadata | null = null;
  #files: readonly TorrentFile[] = [];
  #last: { stats: Stats; peers: PeerStats[]; pieces: PieceMap } | null = null;
  #ended: HeadwaterError | null = null;
  #asked: Share | undefined;
  #storage: StorageStats | null = null;
  #isPaused = false;
  #isBudgetSpent = false;
  /** Bytes given that the month's budget knows of. */
  #given = 0;
  #sharing: Sharing;
  #hashed: HashedMessage | null = null;
  #greeted = 0;
  #isRead = false;
  /** @internal Whether the engine knows of it. */
  isPosted = false;
  /** @internal What {@link setLimits} said before the engine knew of it. */
  limits: UploadLimits = {};

  /** @internal */
  constructor(host: TorrentHost, key: TorrentKey, init: TorrentInit) {
    super();
    this.#host = host;
    this.#key = key;
    this.#init = init;
    this.#asked = init.asked;
    this.#sharing = this.#decided();
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

  /** What is to be handed on for others to join: the torrent's names and trackers. Empty until {@link ready}. */
  get magnet(): string {
    if (!this.#metadata) return "";
    const { infoHashV1, infoHashV2, name } = this.#metadata;
    const trackers = new Set([...this.#init.trackers, ...this.#trackers.keys()]);
    const parts = [
      ...(infoHashV1 ? [`xt=urn:btih:${infoHashV1}`] : []),
      ...(infoHashV2 ? [`xt=urn:btmh:1220${infoHashV2}`] : []),
      `dn=${encodeURIComponent(name.toWellFormed())}`,
      ...Array.from(trackers, (url) => `tr=${encodeURIComponent(url)}`),
    ];
    return `magnet:?${parts.join("&")}`;
  }

  /** The .torrent file of what this page seeds; null for what it joined. */
  get torrentFile(): Blob | null {
    return this.#hashed && new Blob([this.#hashed.metainfo], { type: "application/x-bittorrent" });
  }

  /** When it came how far, in milliseconds since it was added. */
  get phases(): Readonly<Phases> {
    return this.#phases;
  }

  /** What is given and taken, and why. */
  get sharing(): Sharing {
    return this.#sharing;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** What is to be given and taken from now on; undefined leaves it to the visitor's device. */
  setShare(share: Share | undefined): void {
    this.#asked = share;
    this.decideSharing();
  }

  /** How much of it is given from now on, within the client's limits; what was given before does not count. */
  setLimits(limits: UploadLimits): void {
    this.limits = limits;
    if (this.isPosted) this.#host.setLimits(this.#key, limits);
  }

  /**
   * Time to stall: seconds of film that the player has and has not played; undefined while no player says.
   *
   * {@link attach} and {@link TorrentFile.streamTo} keep it up. A player of one's own sets it about once
   * a second: while there is enough, a seed is not asked for what viewers bring in time; where there is
   * hardly any, what comes next is asked of the fastest alone.
   */
  get secondsAhead(): number | undefined {
    return this.#secondsAhead;
  }

  set secondsAhead(seconds: number) {
    this.#secondsAhead = seconds;
    this.#host.post({ kind: "ahead", torrent: this.#key, seconds });
  }

  /** Leaves the swarm until {@link resume}: nothing is fetched, nothing is given, nobody is spoken to. Pieces stay. */
  pause(): void {
    this.#isPaused = true;
    this.decideSharing();
  }

  /** Joins the swarm again; what was being read goes on. */
  resume(): void {
    this.#isPaused = false;
    this.decideSharing();
  }

  /** Why am I alone? How far this torrent came on the way to its first block, and what is in the way. */
  async doctor(): Promise<Diagnosis> {
    // Loaded when it is asked: most pages never do.
    const { diagnose } = await import("./doctor.js");
    return diagnose({
      isEngineReady: this.#host.isEngineReady(),
      sharing: this.#sharing,
      trackers: this.trackers,
      connections: this.#connections,
      stats: this.stats,
      greeted: this.#greeted,
      hasMetadata: this.#metadata !== null,
      isSeed: this.#init.files.length > 0,
      isRead: this.#isRead,
    });
  }

  /** Leaves the swarm and frees the window. Streams of this torrent end with an error. `keep: false`: what was kept of it goes, too. */
  remove({ keep = true }: { keep?: boolean } = {}): void {
    if (!this.#ended) this.#host.remove(this, !keep);
  }

  /** @internal */
  get key(): TorrentKey {
    return this.#key;
  }

  /** @internal */
  handle(message: TorrentMessage): void {
    switch (message.kind) {
      case "hashed": this.#hashed = message; return;
      case "hashing": return this.emit("hashing", { done: message.done, total: message.total });
      case "metadata": return this.#handleMetadata(message.metadata);
      case "events": return message.events.forEach((event) => this.#handleEvent(event));
      case "stats": return this.#handleStats(message);
      case "storage": return this.#handleStorage(message.storage);
      case "tracker": return this.#handleTracker(message.tracker);
      default: message satisfies never;
    }
  }

  /** @internal */
  handleError({ code, message }: Pick<ErrorMessage, "code" | "message">): void {
    const error = new HeadwaterError(code, message);
    // A tracker that is down may come back, and others may answer.
    if (!PASSING.has(code)) this.#settle.reject(error);
    this.#record("error", { code });
    this.emit("error", error);
  }

  /** @internal */
  handleStep(peer: PeerKey, step: ConnectionStep): void {
    this.#connections.steps[step] = (this.#connections.steps[step] ?? 0) + 1;
    this.#record("connection", { peer: short(peer), step });
  }

  /** @internal */
  handleConnectionFailed(peer: PeerKey, after: ConnectionStep | null, reason: string): void {
    this.#connections.failures.push({ after, reason });
    this.#connections.failures.splice(0, this.#connections.failures.length - MAX_FAILURES);
    this.#record("connectionFailed", { peer: short(peer), after, reason });
  }

  /** @internal */
  decideSharing(): void {
    const decided = this.#decided();
    const { share, reason } = this.#sharing;
    if (decided.share === share && decided.reason === reason) return;
    this.#sharing = decided;
    if (decided.share !== share && this.isPosted) this.#host.post({ kind: "share", torrent: this.#key, share: decided.share });
    this.#record("sharing", { ...decided });
    this.emit("sharing", decided);
  }

  #decided(): Sharing {
    if (this.#isPaused) return { share: "off", reason: "paused" };
    const decided = this.#host.decideSharing(this.#asked);
    const isSpent = this.#isBudgetSpent || this.#host.isMonthSpent();
    return decided.share === "share" && isSpent ? { share: "download", reason: "budgetSpent" } : decided;
  }

  /** @internal */
  end(error: HeadwaterError): void {
    this.#ended = error;
    this.#settle.reject(error);
    for (const file of this.#files) file.end();
    for (const read of [...this.#reads]) read.fail(error);
  }

  #handleMetadata(message: Metadata): void {
    if (this.#metadata) return;
    this.#metadata = message;
    const host: FileHost = {
      serviceWorkerReady: () => this.#host.serviceWorkerReady(),
      isServiceWorkerReady: () => this.#host.isServiceWorkerReady(),
      streamUrl: (path) => this.#host.streamUrl(path),
      openRead: (file, range) => this.#openRead(file, range),
      select: (file, selected) => this.#host.post({ kind: "select", torrent: this.#key, file, selected }),
      hasAhead: (seconds) => (this.secondsAhead = seconds),
    };
    this.#files = message.files.map((entry) => {
      const source = this.#hashed?.sources[entry.index] ?? null;
      const local = source === null ? null : (this.#init.files[source] ?? null);
      return new TorrentFile(host, this.#key, entry, { isSelected: !this.#init.deselected.includes(entry.index), local });
    });
    this.#reach("metadata");
    this.#settle.resolve(this);
    this.emit("metadata", this);
  }

  #handleEvent(event: EngineEvent): void {
    // The metadata message tells it, with what it says.
    if (event.kind === "metadata") return;
    if (event.kind === "peerOpened") {
      this.#greeted += 1;
      this.#reach("firstPeer");
    }
    // Of pieces there are thousands.
    if (event.kind === "pieceVerified") this.#reach("firstVerified");
    else if (event.kind !== "pieceEvicted") this.#record(event.kind, "peer" in event ? { ...event, peer: short(event.peer) } : { ...event });
    this.emit(event.kind, event as never);
  }

  #handleStats(message: StatsMessage): void {
    const { driver, peers, pieces, states, sources } = message;
    const stats = { ...message.stats, ...driver, storage: this.#storage };
    for (const peer of peers) {
      const path = this.#host.path(peer.peer);
      if (path) peer.path = path;
    }
    this.#last = { stats, peers, pieces: { ...pieces, states, sources } };
    if (stats.verified > 0) this.#reach("firstVerified");
    this.#host.spend(stats.sent - this.#given);
    this.#given = stats.sent;
    this.#isBudgetSpent = stats.uploadLeft === 0;
    this.decideSharing();
    const { received, sent, verified, windowUsed } = stats;
    this.#record("stats", { received, sent, verified, peers: stats.peers, windowUsed });
    this.emit("stats", stats);
  }

  #handleStorage(storage: StorageStats): void {
    this.#storage = storage;
    if (this.#last) this.#last.stats.storage = storage;
    this.#record("storage", { ...storage });
    this.emit("storage", storage);
  }

  /** Notes when it came there first. */
  #reach(phase: keyof Phases): void {
    if (this.#phases[phase] !== undefined) return;
    this.#phases[phase] = Math.round(performance.now() - this.#added);
    this.#record(phase);
  }

  #record(kind: string, details: Record<string, unknown> = {}): void {
    this.#host.record(kind, { ...details, torrent: this.#key });
  }

  #handleTracker(tracker: TrackerState): void {
    const { url, state, message } = tracker;
    const wasLost = this.#trackers.get(url)?.state === "lost";
    // A warning changes nothing of what is known.
    if (state !== "warning") this.#trackers.set(url, tracker);
    if (state === "announced") this.#reach("announced");
    this.#record("tracker", { ...tracker });
    this.emit("trackerState", tracker);
    if (state === "lost" && !wasLost) {
      this.handleError({ code: "trackerDown", message: `The tracker ${url} cannot be reached${message ? ` (${message})` : ""}; it is tried again.` });
    }
  }

  #openRead(file: number, range: Partial<ByteRange>): Read {
    if (this.#ended) throw this.#ended;
    this.#isRead = true;
    const read = this.#host.openRead(this.#key, file, range);
    this.#reads.add(read);
    void read.closed.then(() => this.#reads.delete(read));
    return read;
  }
}

/** A peer's number within its torrent. */
function short(peer: PeerKey): number {
  return peer % 2 ** 32;
}

/** Failed connections that are remembered. */
const MAX_FAILURES = 32;

/** Errors after which the metadata may still come. */
const PASSING = new Set(["trackerDown"]);
