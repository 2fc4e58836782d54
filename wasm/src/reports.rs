//! What the page is told about a torrent: what it is, and how it does.

use std::ops::Range;

use headwater_core::ids::{InfoHashV1, InfoHashV2, to_hex};
use headwater_core::layout::Layout;
use headwater_core::metainfo::Metainfo;
use headwater_core::swarm::{OriginStats, PeerStats, Stats, Swarm};
use headwater_core::time::Instant;
use headwater_core::tracker::{Progress, client};
use js_sys::{ArrayBuffer, WebAssembly};
use serde::Serialize;
use wasm_bindgen::JsCast as _;

use crate::mime;
use crate::protocol::{Page, ToPage};

/// What a torrent is, for the page. Padding is left out.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata<'a> {
    name: &'a str,
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    /// Bytes.
    piece_length: u32,
    piece_count: u32,
    /// Bytes of all files together.
    length: u64,
    files: Vec<File<'a>>,
}

#[derive(Debug, Serialize)]
struct File<'a> {
    index: u32,
    path: &'a [String],
    name: &'a str,
    length: u64,
    r#type: &'static str,
}

pub(crate) fn metadata(metainfo: &Metainfo) -> Metadata<'_> {
    let layout = metainfo.layout();
    let hashes = metainfo.info_hashes();
    let files = layout.content_files().map(|(index, file)| {
        let name = file.path.last().map_or("", String::as_str);
        File {
            index: index.get(),
            path: &file.path,
            name,
            length: file.length,
            r#type: mime::of(name),
        }
    });
    Metadata {
        name: metainfo.name(),
        info_hash_v1: hashes.v1().map(|hash: InfoHashV1| hash.to_hex()),
        info_hash_v2: hashes.v2().map(|hash: InfoHashV2| hash.to_hex()),
        piece_length: layout.standard_piece_length(),
        piece_count: layout.piece_count(),
        length: layout.content_length(),
        files: files.collect(),
    }
}

/// How a torrent does.
#[derive(Debug)]
pub(crate) struct Report {
    stats: Stats,
    driver: Driver,
    peers: Vec<PeerStats>,
    pieces: Pieces,
    /// Where each piece stands, and whom it came from: as the core's `PieceMap` says.
    states: Vec<u8>,
    sources: Vec<u8>,
    left: Option<u64>,
    played_percent: Option<u8>,
}

/// What the core does not know of itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Driver {
    /// Our own peer id in hex.
    peer_id: String,
    /// Bytes that may still be given; `None` for no limit.
    upload_left: Option<u64>,
    /// Bytes of this worker's WebAssembly memory, all torrents together. It never shrinks.
    wasm_memory: u32,
    /// The web servers that are asked.
    origins: Vec<OriginStats>,
}

/// The window and the readers: the core's `PieceMap` without states and sources.
#[derive(Debug, Serialize)]
pub(crate) struct Pieces {
    window: Vec<Range<u32>>,
    heads: Vec<u32>,
}

impl Report {
    pub(crate) fn of(swarm: &Swarm, upload_left: Option<u64>, now: Instant) -> Self {
        let (stats, pieces) = (swarm.stats(now), swarm.pieces());
        Self {
            left: swarm
                .metainfo()
                .map(|metainfo| left(metainfo.layout(), &stats)),
            played_percent: swarm.played_percent(),
            stats,
            driver: Driver {
                peer_id: to_hex(&swarm.peer_id().0),
                upload_left,
                wasm_memory: wasm_memory(),
                origins: swarm.origins(now),
            },
            peers: swarm.peers(now),
            states: pieces.states,
            sources: pieces.sources,
            pieces: Pieces {
                window: pieces.window,
                heads: pieces.heads,
            },
        }
    }

    /// Tells the page.
    pub(crate) fn tell(self, torrent: u32, page: &Page) {
        let message = ToPage::Stats {
            torrent,
            stats: self.stats,
            driver: self.driver,
            peers: self.peers,
            pieces: self.pieces,
        };
        page.tell_with(
            &message,
            &[("states", &self.states), ("sources", &self.sources)],
        );
    }

    /// What trackers are told.
    pub(crate) const fn progress(&self) -> client::Input<'static> {
        let Stats { sent, received, .. } = self.stats;
        client::Input::Progress(Progress {
            uploaded: sent,
            downloaded: received,
            left: self.left,
            played_percent: self.played_percent,
        })
    }
}

/// Bytes that are not here, to a piece; 0 only if all are.
fn left(layout: &Layout, stats: &Stats) -> u64 {
    let here = u64::from(stats.pieces_here) * u64::from(layout.standard_piece_length());
    match stats.pieces_here == stats.pieces {
        true => 0,
        false => layout.length().saturating_sub(here).max(1),
    }
}

fn wasm_memory() -> u32 {
    let memory: WebAssembly::Memory = wasm_bindgen::memory().unchecked_into();
    memory
        .buffer()
        .unchecked_into::<ArrayBuffer>()
        .byte_length()
}
