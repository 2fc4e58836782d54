/**
 * Headwater: BitTorrent for web pages.
 *
 * Importing this does nothing: no worker, no network, no globals touched, on a server either.
 */
export { Headwater, type AddOptions, type HeadwaterEvents, type HeadwaterOptions } from "./client.js";
export type { ConnectionOptions } from "./connections.js";
export { HeadwaterError, type ErrorCode } from "./errors.js";
export type { Listener } from "./events.js";
export type { TorrentFile } from "./file.js";
export type { ByteRange } from "./range.js";
export { PieceState, type EngineEvent, type Fault, type PeerStats, type PieceMap, type Stats } from "./stats.js";
export type { Torrent, TorrentEvents, TrackerState } from "./torrent.js";
export type { TorrentId } from "./torrent-id.js";
