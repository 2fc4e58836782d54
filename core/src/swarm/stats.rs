//! Numbers for people and programs that watch.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde::Serialize;

use super::Swarm;
use super::keeping::Keeping;
use crate::ids::to_hex;
use crate::peer::Transport;
use crate::time::Instant;

/// The swarm in numbers. Bytes and bytes per second.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Payload that came, whatever became of it.
    pub received: u64,
    /// Payload that came from origins; it is not among `received`.
    pub from_origins: u64,
    /// Payload per second that comes from origins.
    pub origin_rate: u64,
    /// Payload proven right.
    pub verified: u64,
    /// Payload proven wrong.
    pub refused: u64,
    /// Payload that came twice or too late.
    pub wasted: u64,
    /// Payload sent.
    pub sent: u64,
    /// Payload per second that comes.
    pub receive_rate: u64,
    /// Payload per second that goes.
    pub send_rate: u64,
    /// Peers that said their name.
    pub peers: u32,
    /// Those of them that have everything.
    pub seeds: u32,
    /// W.
    pub window_cap: u64,
    /// Bytes of it reserved: pieces kept and under way.
    pub window_used: u64,
    /// The most that ever were.
    pub window_peak: u64,
    /// The most bytes that may lie ahead of the readers now: at most three quarters of W.
    pub ahead_cap: u64,
    /// Pieces of the torrent.
    pub pieces: u32,
    /// Pieces that we have now.
    pub pieces_here: u32,
    /// Bytes that are kept and not in storage yet.
    pub kept_left: u64,
    /// Requests that are out.
    pub outstanding: u32,
    /// Copies of the whole torrent among the connected peers.
    pub copies: f64,
    /// Readers that are open.
    pub readers: u32,
    /// Readers that wait for bytes that are not there yet.
    pub readers_waiting: u32,
}

/// One peer in numbers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStats {
    /// Its connection's number.
    pub peer: u64,
    /// Its peer id in hex, once it said it: the same wherever it is connected.
    pub id: Option<String>,
    /// How the driver calls it.
    pub name: String,
    /// How it calls itself.
    pub client: String,
    /// What carries its bytes.
    pub transport: Transport,
    /// Whether both sides mean the v2 torrent.
    pub v2: bool,
    /// Payload bytes that it sent us.
    pub received: u64,
    /// Payload bytes that it took.
    pub sent: u64,
    /// Payload bytes per second that it sends us.
    pub receive_rate: u64,
    /// Payload bytes per second that it takes.
    pub send_rate: u64,
    /// Shortest time from request to block of late, in milliseconds.
    pub round_trip_ms: Option<f64>,
    /// Requests out to it.
    pub outstanding: u32,
    /// How many there may be.
    pub pipeline: u32,
    /// Its requests that wait.
    pub queued: u32,
    /// Pieces it has.
    pub pieces: u32,
    /// Whether it has all.
    pub seed: bool,
    /// Whether it does not answer us.
    pub chokes_us: bool,
    /// Whether we do not answer it.
    pub choked: bool,
    /// Whether it wants something of us.
    pub wants: bool,
    /// Whether we want something of it.
    pub wanted: bool,
    /// Whether it lets our requests starve.
    pub snubbed: bool,
}

/// Where each piece stands.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PieceMap {
    /// Per piece: 0 not here, 1 under way, 2 here and verified, 3 turned out wrong and is fetched again.
    pub states: Vec<u8>,
    /// Per piece where it came from, as bits: 1 peers, 2 an origin, 4 it was here. What was let go is remembered.
    pub sources: Vec<u8>,
    /// The window: runs of pieces that may be fetched.
    pub window: Vec<Range<u32>>,
    /// The piece each reader is at.
    pub heads: Vec<u32>,
}

impl Swarm {
    /// The swarm in numbers, as of `now`.
    pub fn stats(&self, now: Instant) -> Stats {
        let named = self.peers.values().filter(|peer| peer.id.is_some());
        let totals = &self.totals;
        let mut stats = Stats {
            received: totals.received.total(),
            from_origins: self.origins.received.total(),
            origin_rate: self.origins.received.per_second(now),
            verified: totals.verified,
            refused: totals.refused,
            wasted: totals.wasted,
            sent: totals.sent.total(),
            receive_rate: totals.received.per_second(now),
            send_rate: totals.sent.per_second(now),
            peers: named.clone().count() as u32,
            seeds: named.filter(|peer| peer.is_seed()).count() as u32,
            outstanding: self
                .peers
                .values()
                .map(|peer| peer.pipeline.outstanding())
                .sum(),
            window_cap: self.config.window_bytes,
            readers_waiting: self.waiting.len() as u32,
            ..Stats::default()
        };
        if let Some(torrent) = &self.torrent {
            stats.window_used = torrent.cache.used();
            stats.window_peak = torrent.cache.peak();
            stats.ahead_cap = torrent.window.ahead_bytes();
            stats.pieces = torrent.layout().piece_count();
            stats.pieces_here = torrent.have.count();
            stats.copies = torrent.availability.distributed_copies();
            stats.kept_left = torrent.keeping.as_ref().map_or(0, Keeping::left);
            stats.readers = torrent.readers.len() as u32;
        }
        stats
    }

    /// The peers in numbers, as of `now`.
    pub fn peers(&self, now: Instant) -> Vec<PeerStats> {
        let pieces = self
            .torrent
            .as_ref()
            .map_or(0, |torrent| torrent.layout().piece_count());
        self.peers
            .values()
            .map(|peer| PeerStats {
                peer: peer.key.0,
                id: peer.id.map(|id| to_hex(&id.0)),
                name: peer.name.clone(),
                client: peer.client(),
                transport: peer.transport,
                v2: peer.v2,
                received: peer.pipeline.delivered(),
                sent: peer.sent.total(),
                receive_rate: peer.pipeline.rate(now),
                send_rate: peer.sent.per_second(now),
                round_trip_ms: peer
                    .pipeline
                    .round_trip()
                    .map(|took| took.as_micros() as f64 / 1000.0),
                outstanding: peer.pipeline.outstanding(),
                pipeline: peer.pipeline.limit(),
                queued: peer.uploads.len() as u32,
                pieces: peer.piece_count(pieces),
                seed: peer.is_seed(),
                chokes_us: peer.chokes_us,
                choked: peer.unchoked.is_none(),
                wants: peer.wants,
                wanted: peer.wanted,
                snubbed: peer.snubbed,
            })
            .collect()
    }

    /// How far into the torrent the reader is that came last, in hundredths of its bytes.
    pub fn played_percent(&self) -> Option<u8> {
        let torrent = self.torrent.as_ref()?;
        let reader = torrent.readers.values().next_back()?;
        let length = torrent.layout().length().max(1);
        u8::try_from(reader.head.saturating_mul(100) / length).ok()
    }

    /// Where each piece stands now.
    pub fn pieces(&self) -> PieceMap {
        let Some(torrent) = &self.torrent else {
            return PieceMap::default();
        };
        let state = |piece: u32| {
            if torrent.have.has(piece) {
                2
            } else if torrent.suspects.knows(piece) {
                3
            } else {
                u8::from(torrent.assembler.piece(piece).is_some())
            }
        };
        let head = |byte: u64| {
            torrent
                .layout()
                .piece_at(byte)
                .map(|(piece, _)| piece.get())
        };
        let source = |piece: u32| torrent.provenance.of(piece, torrent.have.has(piece));
        PieceMap {
            sources: (0..torrent.layout().piece_count()).map(source).collect(),
            states: (0..torrent.layout().piece_count()).map(state).collect(),
            window: torrent.window.ranges().to_vec(),
            heads: torrent
                .readers
                .values()
                .filter_map(|reader| head(reader.head))
                .collect(),
        }
    }
}
