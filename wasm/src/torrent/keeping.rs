//! What outlives the page: how the swarm and the shelf are brought together.

use headwater_core::ids::to_hex;
use headwater_core::layout::{Block, PieceIndex};
use headwater_core::swarm;
use headwater_core::time::Instant;

use super::Torrent;
use crate::keep::{Keep, Taken};

impl Torrent {
    /// What is to be read waits until the shelf is open, which has the name that is returned.
    pub(crate) fn await_shelf(&mut self) -> String {
        self.keep = Keep::Opening;
        to_hex(&self.swarm.info_hashes().announced().0)
    }

    /// The shelf is open; without one, it goes on in memory.
    pub(crate) fn handle_shelf(&mut self, now: Instant, shelf: Option<js_sys::Object>) {
        let remembered = self.keep.opened(shelf);
        if let Some(metainfo) = remembered {
            self.swarm.set_metainfo(metainfo);
        }
        self.shelve(now);
        if self.is_announced {
            self.open_waiting(now);
        }
    }

    /// What is on the shelf is had from now on, if the torrent is known and the shelf is open.
    pub(super) fn shelve(&mut self, now: Instant) {
        let metainfo = self.swarm.metainfo();
        if let Some(have) = metainfo.and_then(|metainfo| self.keep.known(metainfo)) {
            self.swarm.handle_input(now, swarm::Input::Shelved { have });
        }
    }

    pub(super) fn load(&mut self, now: Instant, block: Block) {
        let Some(metainfo) = self.swarm.metainfo() else {
            return;
        };
        let bytes = match (&mut self.storage, self.keep.kept()) {
            (Some(storage), _) => storage.block(metainfo.layout(), block),
            (None, Some(kept)) => kept.block(&self.swarm, block),
            (None, None) => None,
        };
        let input = match bytes {
            Some(bytes) => swarm::Input::Loaded(block, bytes),
            None => swarm::Input::LoadFailed(block),
        };
        self.swarm.handle_input(now, input);
    }

    pub(super) fn load_leaves(&mut self, now: Instant, piece: PieceIndex) {
        let Some(metainfo) = self.swarm.metainfo() else {
            return;
        };
        let leaves = match (&mut self.storage, self.keep.kept()) {
            (Some(storage), _) => storage.leaves(metainfo.layout(), piece),
            (None, Some(kept)) => kept.leaves(&self.swarm, piece),
            (None, None) => Vec::new(),
        };
        self.swarm
            .handle_input(now, swarm::Input::LeavesLoaded(piece, leaves));
    }

    /// Stores a piece; what is least wanted makes room. If there is none to be made, nothing is kept any more.
    pub(super) fn store(&mut self, now: Instant, piece: PieceIndex, bytes: &[u8]) {
        while let (Some(metainfo), Some(kept)) = (self.swarm.metainfo(), self.keep.kept()) {
            let taken = kept.store(metainfo, piece, bytes);
            if taken == Taken::Yes {
                return self.swarm.handle_input(now, swarm::Input::Stored(piece));
            }
            let least = self.swarm.least_wanted_stored();
            match least.filter(|_| taken == Taken::Full) {
                Some(least) => {
                    kept.let_go(least);
                    self.swarm
                        .handle_input(now, swarm::Input::PieceLetGo(least));
                }
                None => {
                    self.keep.end(false);
                    self.swarm.handle_input(now, swarm::Input::ShelfLost);
                }
            }
        }
    }
}
