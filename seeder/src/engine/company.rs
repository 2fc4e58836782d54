//! Torrents that come and go while the engine runs, and how each of them fares.

use std::net::SocketAddr;

use headwater_core::ids::PeerKey;
use headwater_core::time::Instant;
use tokio::sync::oneshot;

use super::readers::Command;
use super::{Engine, Handle, Torrent, torrent_of};
use crate::chunks::TorrentNumber;
use crate::report::Tick;

/// What is to become of torrents.
#[derive(Debug)]
pub(super) enum Order {
    Add(TorrentNumber, Box<Torrent>),
    Limit(Option<TorrentNumber>, Option<u64>),
    Remove(TorrentNumber),
    Hear(TorrentNumber, SocketAddr),
    Tell(oneshot::Sender<(Tick, Vec<Fare>)>),
}

/// How one torrent fares.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fare {
    /// Its name.
    pub name: String,
    /// As it is announced, in hex.
    pub info_hash: String,
    /// Connected peers.
    pub peers: u32,
    /// Those of them that have everything.
    pub seeds: u32,
    /// Payload bytes sent so far.
    pub sent: u64,
    /// Pieces that it has.
    pub pieces: u32,
    /// Pieces that were withdrawn, because their files changed.
    pub withdrawn: u32,
}

impl Handle {
    /// Drives one more. Its number, which its tracker's key space is of, must never have been used.
    pub fn add(&self, number: TorrentNumber, torrent: Torrent) {
        self.order(Order::Add(number, Box::new(torrent)));
    }

    /// Says goodbye to a torrent's trackers and peers, and forgets it.
    pub fn remove(&self, number: TorrentNumber) {
        self.order(Order::Remove(number));
    }

    /// The most bytes a second that one torrent, or all together, may send.
    pub fn limit(&self, whose: Option<TorrentNumber>, rate: Option<u64>) {
        self.order(Order::Limit(whose, rate));
    }

    /// Somebody is said to have or want a torrent; whether that may be is the caller's to know.
    pub fn hear(&self, number: TorrentNumber, address: SocketAddr) {
        self.order(Order::Hear(number, address));
    }

    /// How all and each fare; `None` if the engine has ended.
    pub async fn fares(&self) -> Option<(Tick, Vec<Fare>)> {
        let (tell, told) = oneshot::channel();
        self.order(Order::Tell(tell));
        told.await.ok()
    }

    fn order(&self, order: Order) {
        // An engine that has ended does nothing any more.
        let _ = self.commands.send(Command::Ordered(order));
    }
}

impl Engine {
    pub(super) fn follow(&mut self, now: Instant, order: Order) {
        match order {
            Order::Add(number, torrent) => self.torrents.add(number, *torrent),
            Order::Hear(number, address) => self.heard_of(number, address),
            Order::Limit(whose, rate) => self.upload.limit(now, whose, rate),
            Order::Remove(number) => self.remove(now, number),
            // Whoever asked may have gone.
            Order::Tell(tell) => drop(tell.send((self.figures(), self.fares(now)))),
        }
    }

    fn remove(&mut self, now: Instant, number: TorrentNumber) {
        let Some(torrent) = self.torrents.get_mut(number) else {
            return;
        };
        torrent.stop(now);
        self.drain_tracker(now, number);
        self.drain_announces(number);
        let is_its = |peer: &PeerKey| torrent_of(*peer) == number;
        let peers = self.open.union(&self.dialled).copied().filter(is_its);
        for peer in peers.collect::<Vec<_>>() {
            self.hang_up(peer);
            self.open.remove(&peer);
            self.dialled.remove(&peer);
        }
        self.torrents.remove(number);
        self.upload.limit(now, Some(number), None);
        if let Some(calls) = &mut self.calls {
            calls.forget(number);
        }
        self.troubled.retain(|(whose, _)| *whose != number);
        self.lost.retain(|(whose, _)| *whose != number);
    }

    fn fares(&self, now: Instant) -> Vec<Fare> {
        let fare = |(_, torrent): (TorrentNumber, &Torrent)| {
            let stats = torrent.swarm.stats(now);
            Fare {
                name: torrent.name.clone(),
                info_hash: torrent.swarm.info_hashes().announced().to_hex(),
                peers: stats.peers,
                seeds: stats.seeds,
                sent: stats.sent,
                pieces: stats.pieces_here,
                withdrawn: stats.pieces.saturating_sub(stats.pieces_here),
            }
        };
        self.torrents.iter().map(fare).collect()
    }
}
