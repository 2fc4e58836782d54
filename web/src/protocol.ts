/**
 * The messages between the page and the worker that runs the engine.
 *
 * Types only. Names and numbers are the engine's own; bytes are transferred, never copied.
 */
import type { Share } from "./sharing.js";
import type { DriverStats, EngineEvent, PeerStats, PieceMap, Stats, StorageStats } from "./stats.js";

/** A torrent, as the page numbers it. */
export type TorrentKey = number;

/** A peer, as the engine numbers it. */
export type PeerKey = number;

/** Where a torrent comes from. */
export type Source =
  | { kind: "magnet"; uri: string }
  /** And where it came from, if that is an address. */
  | { kind: "metainfo"; bytes: Uint8Array<ArrayBuffer>; url?: string | undefined }
  | { kind: "url"; url: string }
  /** To be hashed, by what is at `makingUrl`, and given from where they lie. Their paths are with slashes. */
  | { kind: "files"; name: string | undefined; files: { path: string; file: Blob }[]; pieceLength: number | undefined; makingUrl: string };

/** How much is given. */
export interface Limits {
  /** Bytes a second, 0 for no limit. */
  uploadRate: number;
  /** Bytes in all; null for no limit. */
  uploadBytes: number | null;
}

/** How pieces are kept. */
export interface KeepOptions {
  /** Bytes that all kept torrents of the site may take together. Half of what the rest of the site leaves of the browser's quota. */
  maxBytes?: number;
}

/** What the worker is started with. */
export interface StartConfig {
  /** Page-forwarded messages instead of transferred channels. */
  forward: boolean;
  /** Milliseconds between two `stats` messages. */
  statsEveryMs: number;
  /** Of all torrents together. */
  limits: Limits;
}

/** Page → worker. */
export type ToWorker =
  | { kind: "start"; wasmUrl: string; module?: WebAssembly.Module | undefined; config: StartConfig }
  | {
      kind: "add";
      torrent: TorrentKey;
      source: Source;
      trackers?: readonly string[] | undefined;
      /** Web servers that have its files. */
      origins?: string[] | undefined;
      /** Whether those that the torrent names are asked, too. True. */
      webSeeds?: boolean | undefined;
      windowBytes: number;
      maxPeers: number;
      share: Share;
      limits: Limits;
      /** Files that are not to be read, by number. */
      deselected?: readonly number[] | undefined;
      /** Where the code that keeps pieces is, and how many bytes it may take. */
      keep?: (KeepOptions & { url: string }) | undefined;
    }
  /** What a torrent gives and takes from now on. */
  | { kind: "share"; torrent: TorrentKey; share: Share }
  /** How much of it is given from now on. */
  | { kind: "limits"; torrent: TorrentKey; limits: Limits }
  /** Film that its player has and has not played. */
  | { kind: "ahead"; torrent: TorrentKey; seconds: number }
  | { kind: "select"; torrent: TorrentKey; file: number; selected: boolean }
  /** `forget`: what was kept of it goes, too. */
  | { kind: "remove"; torrent: TorrentKey; forget: boolean }
  | { kind: "streams"; port: MessagePort }
  | { kind: "offerMade"; peer: PeerKey; sdp: string }
  | { kind: "answerMade"; peer: PeerKey; sdp: string }
  | { kind: "channel"; peer: PeerKey; channel: RTCDataChannel }
  | { kind: "connectionFailed"; peer: PeerKey; reason: string }
  | { kind: "channelForwarded"; peer: PeerKey }
  | { kind: "channelOpened"; peer: PeerKey }
  | { kind: "received"; peer: PeerKey; bytes: ArrayBuffer }
  | { kind: "buffered"; peer: PeerKey; amount: number }
  | { kind: "channelClosed"; peer: PeerKey };

/** What the page does with RTCPeerConnections when the engine says so. */
export type ConnectionOrder =
  | { kind: "makeOffer"; torrent: TorrentKey; peer: PeerKey }
  | { kind: "acceptOffer"; torrent: TorrentKey; peer: PeerKey; sdp: string; forward: boolean }
  | { kind: "applyAnswer"; peer: PeerKey; sdp: string }
  | { kind: "drop"; peer: PeerKey }
  | { kind: "send"; peer: PeerKey; bytes: ArrayBuffer | Uint8Array<ArrayBuffer> };

/** What a torrent turned out to be. */
export interface Metadata {
  name: string;
  infoHashV1: string | null;
  infoHashV2: string | null;
  /** Bytes. */
  pieceLength: number;
  pieceCount: number;
  /** Bytes of all files together. */
  length: number;
  files: { index: number; path: string[]; name: string; length: number; type: string }[];
}

/** The torrent is known. */
export interface MetadataMessage {
  kind: "metadata";
  torrent: TorrentKey;
  metadata: Metadata;
}

/** Files of this page are being hashed. */
export interface HashingMessage {
  kind: "hashing";
  torrent: TorrentKey;
  /** Bytes hashed. */
  done: number;
  /** Bytes to hash. */
  total: number;
}

/** Files of this page are hashed. */
export interface HashedMessage {
  kind: "hashed";
  torrent: TorrentKey;
  /** The .torrent file. */
  metainfo: Uint8Array<ArrayBuffer>;
  /** Which of the files given each file of the torrent is, by the torrent's numbers. */
  sources: (number | null)[];
}

/** A tracker's last known state. */
export interface TrackerState {
  url: string;
  /** `warning` says something odd in `message`, and changes nothing; `lost` is tried again. */
  state: "announced" | "connected" | "lost" | "warning";
  /** Peers of the swarm that have everything, as the tracker counts them. */
  complete?: number;
  /** Peers of the swarm that do not. */
  incomplete?: number;
  message?: string;
}

/** A tracker's state changed, or it warned. */
export interface TrackerMessage {
  kind: "tracker";
  torrent: TorrentKey;
  tracker: TrackerState;
}

/** What one torrent is doing, sent every `statsEveryMs`. */
export interface StatsMessage {
  kind: "stats";
  torrent: TorrentKey;
  stats: Omit<Stats, keyof DriverStats | "storage">;
  driver: DriverStats;
  peers: PeerStats[];
  pieces: Omit<PieceMap, "sources" | "states">;
  states: Uint8Array;
  sources: Uint8Array;
}

/** Something went wrong, for one torrent or (without `torrent`) for all of them. */
export interface ErrorMessage {
  kind: "error";
  torrent?: TorrentKey;
  code: string;
  message: string;
}

/** What the engine tells about one torrent. */
export type TorrentMessage =
  | HashedMessage
  | HashingMessage
  | MetadataMessage
  /** In the order in which they happened. Of pieces that come and go, with the next stats. */
  | { kind: "events"; torrent: TorrentKey; events: EngineEvent[] }
  | StatsMessage
  /** What is kept changed. */
  | { kind: "storage"; torrent: TorrentKey; storage: StorageStats }
  | TrackerMessage;

/** Worker → page. */
export type FromWorker = { kind: "ready" } | ConnectionOrder | TorrentMessage | ErrorMessage;
