//! The engine's files: what peers ask for is read elsewhere and handed on here; what has changed is
//! taken back.

use std::sync::Arc;

use headwater_core::layout::{Block, FileIndex, PieceIndex};
use headwater_core::swarm;
use headwater_core::time::Instant;
use tracing::{debug, warn};

use super::{Engine, HashedAgain};
use crate::chunks::{Loaded, Read, TorrentNumber};
use crate::storage::Storage;

impl Engine {
    pub(super) fn load(&mut self, now: Instant, number: TorrentNumber, block: Block) {
        self.requests += 1;
        let Some(torrent) = self.torrents.get_mut(number) else {
            return;
        };
        let storage = torrent.storage.as_ref();
        let input = match storage.map(|storage| self.chunks.block(number, storage, block)) {
            Some(Some(bytes)) => swarm::Input::Loaded(block, bytes),
            // It comes when it is read.
            Some(None) => return,
            None => swarm::Input::LoadFailed(block),
        };
        torrent.swarm.handle_input(now, input);
    }

    pub(super) fn load_leaves(&mut self, now: Instant, number: TorrentNumber, piece: PieceIndex) {
        let Some(torrent) = self.torrents.get_mut(number) else {
            return;
        };
        let storage = torrent.storage.as_ref();
        let in_memory = storage.and_then(|storage| storage.leaves_in_memory(piece));
        match (in_memory, storage) {
            (None, Some(storage)) => {
                let storage = Arc::clone(storage);
                let hashed = self.hashed.clone();
                tokio::task::spawn_blocking(move || {
                    let leaves = storage.leaves(piece).unwrap_or_default();
                    // Nobody listens any more when the engine is gone.
                    let _ = hashed.send((number, piece, leaves));
                });
            }
            (leaves, _) => {
                let leaves = leaves.unwrap_or_default().to_vec();
                torrent
                    .swarm
                    .handle_input(now, swarm::Input::LeavesLoaded(piece, leaves));
            }
        }
    }

    pub(super) fn finish_leaves(&mut self, (number, piece, leaves): HashedAgain) {
        let now = self.now();
        if let Some(torrent) = self.torrents.get_mut(number) {
            let loaded = swarm::Input::LeavesLoaded(piece, leaves);
            torrent.swarm.handle_input(now, loaded);
        }
    }

    pub(super) fn finish_reads(&mut self, first: Read) {
        let now = self.now();
        let mut next = Some(first);
        while let Some(read) = next {
            for Loaded {
                torrent,
                block,
                bytes,
            } in self.chunks.finish(read)
            {
                let input = match bytes {
                    Ok(bytes) => swarm::Input::Loaded(block, bytes),
                    Err(why) => {
                        debug!("{why}");
                        swarm::Input::LoadFailed(block)
                    }
                };
                if let Some(torrent) = self.torrents.get_mut(torrent) {
                    torrent.swarm.handle_input(now, input);
                }
            }
            next = self.reads.try_recv().ok();
        }
    }

    /// Has the files looked at, in a thread that may wait; what is found comes to [`withdraw`](Self::withdraw).
    pub(super) fn look(&self) {
        // The last look may still be under way, on a slow disk.
        let Ok(place) = self.changed.clone().try_reserve_owned() else {
            return;
        };
        let all = self.torrents.iter();
        let storages = all.filter_map(|(number, one)| Some((number, one.storage.clone()?)));
        let storages: Vec<_> = storages.collect();
        tokio::task::spawn_blocking(move || {
            let of_one = |(number, storage): (TorrentNumber, Arc<Storage>)| {
                let files = storage.changed().into_iter();
                files.map(move |file| (number, file))
            };
            let changed: Vec<_> = storages.into_iter().flat_map(of_one).collect();
            // Without anything to say the place is given back.
            if !changed.is_empty() {
                place.send(changed);
            }
        });
    }

    /// Takes back what was promised of files that are no longer what was hashed.
    pub(super) fn withdraw(&mut self, files: &[(TorrentNumber, FileIndex)]) {
        let now = self.now();
        for &(number, file) in files {
            let Some(torrent) = self.torrents.get_mut(number) else {
                continue;
            };
            let Some(storage) = torrent.storage.as_ref() else {
                continue;
            };
            if !self.lost.insert((number, file)) {
                continue;
            }
            let layout = storage.layout();
            warn!(
                "{}: {} has changed or gone, and is no longer shared; seed it anew to share it as it is",
                torrent.name,
                layout.entry(file).path.join("/")
            );
            for piece in layout
                .file_pieces(file)
                .filter_map(|piece| layout.piece(piece))
            {
                torrent
                    .swarm
                    .handle_input(now, swarm::Input::PieceLost(piece));
            }
        }
    }
}
