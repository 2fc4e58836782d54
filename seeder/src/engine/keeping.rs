//! The engine's keepers: what is to be stored is handed to a thread that may wait for a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headwater_core::layout::PieceIndex;
use headwater_core::swarm;
use headwater_core::time::Instant;
use tokio::sync::{mpsc, oneshot};

use super::Engine;
use crate::chunks::TorrentNumber;
use crate::keep::{Keep, Keeper, Told};

/// Who keeps what, and who waits until all of it is kept.
#[derive(Debug)]
pub(super) struct Keepers {
    keepers: BTreeMap<TorrentNumber, Keeper>,
    waiting: BTreeMap<TorrentNumber, oneshot::Sender<()>>,
    tell: mpsc::UnboundedSender<(TorrentNumber, Told)>,
    told: mpsc::UnboundedReceiver<(TorrentNumber, Told)>,
}

impl Keepers {
    pub(super) fn new() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            keepers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            tell,
            told,
        }
    }

    /// What a keeper tells next.
    pub(super) async fn told(&mut self) -> Option<(TorrentNumber, Told)> {
        self.told.recv().await
    }

    /// All is kept.
    pub(super) fn done(&mut self, number: TorrentNumber) {
        if let Some(waiting) = self.waiting.remove(&number) {
            // Whoever asked may have gone.
            let _ = waiting.send(());
        }
    }

    /// Until everything is written, as far as it can be.
    pub(super) async fn close(&mut self) {
        let keepers = std::mem::take(&mut self.keepers);
        let close = move || keepers.into_values().for_each(Keeper::close);
        let _ = tokio::task::spawn_blocking(close).await;
    }
}

impl Engine {
    /// Keeps a torrent from now on.
    pub(super) fn keep(
        &mut self,
        now: Instant,
        number: TorrentNumber,
        keep: Keep,
        done: oneshot::Sender<()>,
    ) {
        let Some(torrent) = self.torrents.get_mut(number) else {
            return;
        };
        let tell = self.keepers.tell.clone();
        let keeper = Keeper::start(keep.writer, move |told| {
            // Nobody listens any more when the engine is gone.
            let _ = tell.send((number, told));
        });
        self.keepers.keepers.insert(number, keeper);
        self.keepers.waiting.insert(number, done);
        torrent.storage = Some(Arc::clone(&keep.storage));
        let (wanted, have) = (keep.wanted, keep.have);
        torrent
            .swarm
            .handle_input(now, swarm::Input::Kept { wanted, have });
    }

    pub(super) fn store(&mut self, number: TorrentNumber, piece: PieceIndex, bytes: Bytes) {
        if let Some(keeper) = self.keepers.keepers.get(&number) {
            keeper.store(piece, bytes);
        }
    }

    /// Whoever keeps a torrent keeps whom to call for it.
    pub(super) fn keep_neighbours(&mut self) {
        for (number, keeper) in &self.keepers.keepers {
            keeper.remember(self.neighbours(*number));
        }
    }

    pub(super) fn on_keeper(&mut self, (number, told): (TorrentNumber, Told)) {
        let now = self.now();
        let input = match told {
            Told::Stored(piece) => swarm::Input::Stored(piece),
            Told::Lost(piece) => swarm::Input::PieceLost(piece),
        };
        if let Some(torrent) = self.torrents.get_mut(number) {
            torrent.swarm.handle_input(now, input);
        }
    }
}
