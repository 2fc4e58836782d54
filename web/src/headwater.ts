/**
 * Headwater: BitTorrent for web pages.
 *
 * Importing this does nothing: no worker, no network, no globals touched, on a server either.
 */
export { attach, type Attachment, type AttachOptions } from "./attach.js";
export { Headwater, type AddOptions, type HeadwaterEvents, type HeadwaterOptions, type SeedOptions } from "./client.js";
export type { ConnectionOptions, ConnectionStep } from "./connections.js";
export type { Diagnosis, DoctorCode, Rung, RungState } from "./doctor.js";
export { HeadwaterError, type ErrorCode } from "./errors.js";
export type { Emitter, Listener } from "./events.js";
export type { TorrentFile } from "./file.js";
export type { ByteRange } from "./range.js";
export { configure, sharedClient } from "./shared.js";
export type { Share, Sharing, UploadLimits } from "./sharing.js";
export { PieceSource, PieceState, type EngineEvent, type Fault, type OriginStats, type PathKind, type PeerStats, type PieceMap, type Stats, type StorageStats } from "./stats.js";
export type { KeepOptions, PeerKey } from "./protocol.js";
export type { Phases, Torrent, TorrentEvents, TrackerState } from "./torrent.js";
export type { TorrentId } from "./torrent-id.js";
export type { Trace, TraceEntry } from "./trace.js";
