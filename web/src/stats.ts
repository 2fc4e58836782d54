/**
 * What the engine says of itself: the events and figures of the core, as they are.
 *
 * Types only. Byte counts are since the torrent was added; rates are bytes per second.
 */
import type { PeerKey } from "./protocol.js";

/** What happened in one torrent's swarm. */
export type EngineEvent =
  | { kind: "metadata" }
  | { kind: "pieceVerified"; piece: number }
  | { kind: "pieceRefused"; piece: number }
  | { kind: "blockRefused"; piece: number; begin: number; peer: PeerKey; name: string }
  | { kind: "peerOpened"; peer: PeerKey; name: string }
  | { kind: "peerClosed"; peer: PeerKey; name: string; fault: string | null }
  | { kind: "completed" }
  | { kind: "warning"; message: string };

/** One torrent's figures. */
export interface Stats {
  /** The window's budget, W. */
  windowBytes: number;
  /** Bytes of the budget in use: verified pieces ahead and behind, and blocks in flight. */
  ledgerBytes: number;
  /** Bytes the engine's WebAssembly memory occupies, of all torrents together. */
  wasmBytes?: number;
  downloadedBytes: number;
  uploadedBytes: number;
  verifiedBytes: number;
  refusedBytes: number;
  downloadRate: number;
  uploadRate: number;
  peers: number;
}

/** One peer's figures. */
export interface PeerStats {
  peer: PeerKey;
  name: string;
  downloadRate: number;
  uploadRate: number;
  downloadedBytes: number;
  uploadedBytes: number;
  /** Milliseconds from a request to its block, smoothed. */
  rttMs?: number;
}

/** What every piece is, and where the window lies. */
export interface PieceMap {
  states: string;
}
