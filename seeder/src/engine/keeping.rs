//! The engine's keepers: what is to be stored is handed to a thread that may wait for a disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headwater_core::layout::PieceIndex;
use headwater_core::swarm;
use headwater_core::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::warn;

use super::Engine;
use crate::chunks::TorrentNumber;
use crate::keep::{Keep, Keeper, Told};
use crate::library::AddressBook;

/// Who keeps what, and who waits until all of it is kept.
#[derive(Debug)]
pub(super) struct Keepers {
    keepers: BTreeMap<TorrentNumber, Keeper>,
    waiting: BTreeMap<TorrentNumber, oneshot::Sender<()>>,
    /// Of all torrents, kept or not, where whoever seeds them wants that remembered.
    addresses: Option<Addresses>,
    tell: mpsc::UnboundedSender<(TorrentNumber, Told)>,
    told: mpsc::UnboundedReceiver<(TorrentNumber, Told)>,
}

impl Keepers {
    pub(super) fn new() -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            keepers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            addresses: None,
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
        if let Some(mut addresses) = self.addresses.take() {
            addresses.written().await;
            addresses.write();
            addresses.written().await;
        }
    }
}

/// The address book, and whether it is being written.
#[derive(Debug)]
struct Addresses {
    book: AddressBook,
    is_news: bool,
    writing: Option<JoinHandle<()>>,
}

impl Addresses {
    /// Writes what is new, unless something is being written.
    fn write(&mut self) {
        let is_writing = |writing: &JoinHandle<()>| !writing.is_finished();
        if !self.is_news || self.writing.as_ref().is_some_and(is_writing) {
            return;
        }
        self.is_news = false;
        let write = self.book.writer();
        self.writing = Some(tokio::task::spawn_blocking(move || {
            if let Err(e) = write() {
                warn!("whom to call without a tracker cannot be remembered: {e}");
            }
        }));
    }

    async fn written(&mut self) {
        if let Some(writing) = self.writing.take() {
            // Only a panic ends it otherwise, and that has been told.
            let _ = writing.await;
        }
    }
}

impl Engine {
    /// Remembers in `book` where peers of its torrents are.
    pub fn remember_in(&mut self, book: AddressBook) {
        self.keepers.addresses = Some(Addresses {
            book,
            is_news: false,
            writing: None,
        });
    }

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

    /// Whoever keeps a torrent keeps whom to call for it; whoever seeds many, for all of them.
    pub(super) fn keep_neighbours(&mut self) {
        for (number, keeper) in &self.keepers.keepers {
            keeper.remember(self.neighbours(*number));
        }
        // A moment in which nothing is seeded is no reason to forget all.
        let torrents = self.torrents.iter();
        let now: Vec<_> = torrents
            .map(|(number, one)| (one.swarm.info_hashes().announced(), self.neighbours(number)))
            .collect();
        if let Some(addresses) = self.keepers.addresses.as_mut().filter(|_| !now.is_empty()) {
            addresses.is_news |= addresses.book.note(now);
            addresses.write();
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
