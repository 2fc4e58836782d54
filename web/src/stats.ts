/**
 * What the engine says of itself: the events and figures of the core, as they are.
 *
 * Types, and what their numbers mean. Byte counts are since the torrent was added and of payload; rates are bytes per second.
 */
import type { PeerKey } from "./protocol.js";

/** What happened in one torrent's swarm. */
export type EngineEvent =
  /** A peer sent a block whose hash is wrong. */
  | { kind: "blockRefused"; piece: number; block: number; peer: PeerKey; name: string }
  /** The torrent's v1 and v2 hashes of a piece disagree; nothing more is fetched. */
  | { kind: "contradiction"; piece: number }
  /** All that was to be kept is in storage. */
  | { kind: "kept" }
  /** The torrent is known now. */
  | { kind: "metadata" }
  /** A web server sent not what it was asked for; it is asked again after `restsMs`, never if there is none. */
  | { kind: "originFailed"; origin: number; url: string; reason: string; restsMs?: number | null }
  /** A connection closed; `fault` is what the peer did wrong, if that was why. */
  | { kind: "peerClosed"; peer: PeerKey; name: string; fault?: Fault | null; reason: string }
  /** A peer said its name. */
  | { kind: "peerOpened"; peer: PeerKey; name: string; client: string }
  /** A verified piece was let go to make room. */
  | { kind: "pieceEvicted"; piece: number }
  /** A whole piece had the wrong hash; it came from these peers and is fetched again. */
  | { kind: "pieceRefused"; piece: number; peers: string[] }
  /** A piece is whole and right. */
  | { kind: "pieceVerified"; piece: number }
  /** What the torrent is read from could not deliver. */
  | { kind: "storageFailed"; piece: number };

/** What a peer did to be dropped. */
export type Fault =
  | "badBytes"
  | "badHashes"
  | "badMessage"
  | "badMetadata"
  | "barred"
  | "closing"
  | "flood"
  | "frameTooLong"
  | "full"
  | "ourselves"
  | "silent"
  | "twice"
  | "wrongTorrent";

/** One torrent's figures. */
export interface Stats extends DriverStats {
  /** What is kept on this machine; null where the page did not ask for it. */
  storage: StorageStats | null;
  /** Bytes that came, whatever became of them. */
  received: number;
  /** Bytes that came from web servers; they are not among {@link received}. */
  fromOrigins: number;
  /** Bytes a second that come from them. */
  originRate: number;
  /** Bytes proven right. */
  verified: number;
  /** Bytes proven wrong. */
  refused: number;
  /** Bytes that came twice or too late. */
  wasted: number;
  /** Bytes sent. */
  sent: number;
  receiveRate: number;
  sendRate: number;
  /** Peers that said their name. */
  peers: number;
  /** Those of them that have everything. */
  seeds: number;
  /** The window's budget in bytes. */
  windowCap: number;
  /** Bytes of it reserved: pieces kept and under way. */
  windowUsed: number;
  /** The most that ever were. */
  windowPeak: number;
  /** The most bytes that may lie ahead of the readers. */
  aheadCap: number;
  /** Pieces of the torrent. */
  pieces: number;
  /** Pieces that are here now. */
  piecesHere: number;
  /** Requests that are out. */
  outstanding: number;
  /** Copies of the whole torrent among the connected peers. */
  copies: number;
  /** Readers that are open. */
  readers: number;
  /** Readers that wait for bytes that are not there yet. */
  readersWaiting: number;
}

/** What is kept when the page is gone, and why nothing is if nothing is. Of the site's torrents together where it says so. */
export interface StorageStats {
  /** `waiting`: another tab of the site keeps; this one is next in line, and goes on in memory. */
  state: "keeping" | "off" | "waiting";
  /**
   * Why it is not keeping. `cleared`: the page removed what was kept. `failed`: a file could not be opened or written.
   * `full`: not even the pieces around the playhead fit. `unsupported`: this browser, or this window of it, has no such storage.
   */
  reason: "cleared" | "failed" | "full" | "otherTab" | "unsupported" | null;
  /** The same in the browser's words, where it had some. */
  message: string;
  /** Bytes of this torrent's pieces, to a piece. */
  kept: number;
  /** Bytes that all torrents of the site take. */
  used: number;
  /** Bytes that they may take: of {@link quota} and `maxBytes`, what is less. */
  limit: number;
  /** Bytes that the browser lets the site store, whatever it is. */
  quota: number;
  /** Bytes that were let go to make room, since the torrent was added. */
  evicted: number;
  /** Kept pieces that were not right any more, and were fetched again. */
  refused: number;
}

/** What the worker adds to the core's figures. */
export interface DriverStats {
  /** Bytes that may still be given; null where there is no limit. */
  uploadLeft: number | null;
  /** Bytes of the engine's WebAssembly memory, of all torrents together. It never shrinks. */
  wasmMemory: number;
  /** Our own peer id in hex. */
  peerId: string;
  /** The web servers that are asked. */
  origins: OriginStats[];
}

/** One web server's figures. */
export interface OriginStats {
  /** Its number: those of the page first, then the torrent's. */
  origin: number;
  url: string;
  /** Bytes that it sent us. */
  received: number;
  /** Bytes of them that were wrong. */
  refused: number;
  /** Bytes a second while it is asked; null if it never was. */
  rate: number | null;
  /** Requests out to it. */
  fetching: number;
  /** Why it failed last; null since all came. */
  trouble: string | null;
  /** Whether it is left alone for a while because of that. */
  rests: boolean;
}

/** What the path to a peer is: within one network, through routers, or by way of a relay (TURN). */
export type PathKind = "direct" | "local" | "relayed";

/** One peer's figures. */
export interface PeerStats {
  peer: PeerKey;
  /** Its peer id in hex, once it said it: the same wherever it is connected, another every time it joins. */
  id?: string | null;
  /** How the engine calls it. */
  name: string;
  /** How it calls itself. */
  client: string;
  transport: "tcp" | "webRtc";
  /** What the path to it is; missing until the browser tells. */
  path?: PathKind;
  /** Whether both sides mean the v2 torrent. */
  v2: boolean;
  /** Bytes that it sent us. */
  received: number;
  /** Bytes that it took. */
  sent: number;
  receiveRate: number;
  sendRate: number;
  /** Shortest time from request to block of late. */
  roundTripMs?: number | null;
  /** Requests out to it. */
  outstanding: number;
  /** How many there may be. */
  pipeline: number;
  /** Its requests that wait. */
  queued: number;
  /** Pieces it has. */
  pieces: number;
  /** Whether it has all. */
  seed: boolean;
  /** Whether it does not answer us. */
  chokesUs: boolean;
  /** Whether we do not answer it. */
  choked: boolean;
  /** Whether it wants something of us. */
  wants: boolean;
  /** Whether we want something of it. */
  wanted: boolean;
  /** Whether it lets our requests starve. */
  snubbed: boolean;
}

/** What a piece is: not here, under way, here and verified, turned out wrong and fetched again. */
export const PieceState = { missing: 0, inFlight: 1, verified: 2, refused: 3 } as const;

/** Where a piece came from: bits, for its blocks may have come from several. `storage`: it was here already. */
export const PieceSource = { peers: 1, origin: 2, storage: 4 } as const;

/** Where each piece stands. */
export interface PieceMap {
  /** A {@link PieceState} per piece. */
  states: Uint8Array;
  /** {@link PieceSource} bits per piece: where it came from. What was let go since is remembered. */
  sources: Uint8Array;
  /** Runs of pieces that may be fetched: `start` up to, not including, `end`. */
  window: { start: number; end: number }[];
  /** The piece each reader is at. */
  heads: number[];
}
