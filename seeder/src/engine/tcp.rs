//! The engine's TCP: who is called, whose call is taken, and bytes from and to the swarms.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use headwater_core::ids::PeerKey;
use headwater_core::peer::{Fault, Transport};
use headwater_core::time::Instant;

use super::{Engine, key_space, torrent_of};
use crate::chunks::TorrentNumber;
use crate::tcp::{Arrival, Candidates, Ending, Tcp, TcpEvent};

/// Bytes read from a peer at once.
const READ: usize = 256 * 1024;

/// Reads from one peer before others get a turn.
const READS: usize = 4;

/// The bit of a peer key that says what carries the connection. Tracker clients count theirs
/// from zero and do not get there.
pub(super) const TCP_BIT: u64 = 1 << 31;

/// Whether this peer's connection is TCP.
pub(super) const fn is_tcp(peer: PeerKey) -> bool {
    peer.0 & TCP_BIT != 0
}

/// Whether who listens at `own` is called at `address`, as far as the address tells.
fn is_same(own: SocketAddr, address: SocketAddr) -> bool {
    let is_here =
        own.ip() == address.ip() || own.ip().is_unspecified() && address.ip().is_loopback();
    is_here && own.port() == address.port()
}

/// What a swarm that hangs up says of the address.
pub(super) fn ending_of(fault: Option<Fault>) -> Ending {
    let is_unwanted = |fault: Fault| {
        fault.is_malice()
            || matches!(
                fault,
                Fault::Ourselves | Fault::WrongTorrent | Fault::Barred
            )
    };
    match fault {
        Some(fault) if is_unwanted(fault) => Ending::Unwanted,
        None | Some(Fault::Twice) => Ending::Parted,
        Some(_) => Ending::Over,
    }
}

/// TCP, and whom each torrent might call.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) tcp: Tcp,
    /// Of those that have heard of somebody.
    candidates: BTreeMap<TorrentNumber, Candidates>,
    next_key: u64,
    buffer: Vec<u8>,
}

impl Calls {
    pub(super) fn new(tcp: Tcp) -> Self {
        Self {
            tcp,
            candidates: BTreeMap::new(),
            next_key: 0,
            buffer: vec![0; READ],
        }
    }

    fn key(&mut self, torrent: TorrentNumber) -> PeerKey {
        let number = self.next_key;
        self.next_key = (number + 1) % TCP_BIT;
        PeerKey(u64::from(key_space(torrent)) << 32 | TCP_BIT | number)
    }

    /// The next to be called: whose torrent, and where.
    fn due(&self, now: Instant) -> Option<(TorrentNumber, SocketAddr)> {
        if !self.tcp.has_room() {
            return None;
        }
        let mut all = self.candidates.iter();
        all.find_map(|(torrent, candidates)| Some((*torrent, candidates.next(now)?)))
    }

    /// When somebody is to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if !self.tcp.has_room() {
            return None;
        }
        self.candidates
            .values()
            .filter_map(Candidates::poll_timeout)
            .min()
    }

    /// Calls nobody for it any more.
    pub(super) fn forget(&mut self, torrent: TorrentNumber) {
        self.candidates.remove(&torrent);
    }

    /// Drives it; waits for ever where there is none.
    pub(super) async fn drive(calls: &mut Option<Self>) {
        match calls {
            Some(calls) => calls.tcp.drive().await,
            None => std::future::pending().await,
        }
    }
}

impl Engine {
    /// Speaks ordinary BitTorrent too.
    #[must_use]
    pub fn with_tcp(mut self, tcp: Tcp) -> Self {
        self.calls = Some(Calls::new(tcp));
        self
    }

    /// Somebody is said to have or want this torrent; whether that may be is the caller's to know.
    pub fn heard_of(&mut self, torrent: TorrentNumber, address: SocketAddr) {
        let now = self.now();
        let Some(calls) = &mut self.calls else { return };
        // Trackers name us too.
        let own = calls.tcp.local_addr();
        if own.is_some_and(|own| is_same(own, address)) {
            return;
        }
        if self.torrents.get(torrent).is_some() {
            let candidates = calls.candidates.entry(torrent).or_default();
            candidates.heard(now, address);
        }
    }

    /// Does what TCP brought; whether that was anything.
    pub(super) fn drain_tcp(&mut self, now: Instant) -> bool {
        let mut busy = false;
        while let Some(event) = self.calls.as_mut().and_then(|calls| calls.tcp.poll_event()) {
            busy = true;
            match event {
                TcpEvent::Arrived(arrival) => self.arrived(now, arrival),
                TcpEvent::Closed(peer, reason) => {
                    self.call_over(now, peer, Ending::Over);
                    self.forget(now, peer, &reason);
                }
                TcpEvent::Opened(peer) => {
                    self.call_taken(now, peer);
                    self.stands(now, peer, Transport::Tcp, true);
                }
                TcpEvent::Readable(peer) => self.read(now, peer),
                TcpEvent::Writable(peer) => self.grant(now, peer),
            }
        }
        self.call(now);
        busy
    }

    /// Calls those who are due.
    fn call(&mut self, now: Instant) {
        let Some(calls) = &mut self.calls else { return };
        while let Some((torrent, address)) = calls.due(now) {
            let key = calls.key(torrent);
            if let Some(candidates) = calls.candidates.get_mut(&torrent) {
                candidates.called(now, key, address);
            }
            calls.tcp.dial(key, address);
        }
    }

    /// Takes a call, if the torrent it names is one of ours.
    fn arrived(&mut self, now: Instant, arrival: Arrival) {
        let named = arrival.swarm();
        let Some(torrent) = self.torrents.named(named) else {
            return;
        };
        let Some(calls) = &mut self.calls else { return };
        let key = calls.key(torrent);
        let greeting = arrival.greeting;
        calls.tcp.admit(key, arrival);
        self.stands(now, key, Transport::Tcp, false);
        self.take_in_tcp(now, key, &greeting);
    }

    fn read(&mut self, now: Instant, peer: PeerKey) {
        let Some(mut buffer) = self
            .calls
            .as_mut()
            .map(|calls| std::mem::take(&mut calls.buffer))
        else {
            return;
        };
        for turn in 0..=READS {
            let Some(calls) = &mut self.calls else { break };
            if turn == READS {
                calls.tcp.read_later(peer);
                break;
            }
            let read = calls.tcp.read(peer, &mut buffer);
            if read == 0 {
                break;
            }
            self.take_in_tcp(now, peer, &buffer[..read]);
        }
        if let Some(calls) = &mut self.calls {
            calls.buffer = buffer;
        }
    }

    fn take_in_tcp(&mut self, now: Instant, peer: PeerKey, bytes: &[u8]) {
        self.received.tcp += bytes.len() as u64;
        self.take_in(now, peer, bytes);
        // What was asked may free what is to be asked next.
        self.drain_swarm(now, torrent_of(peer));
    }

    fn call_taken(&mut self, now: Instant, peer: PeerKey) {
        if let Some(candidates) = self.candidates_of(peer) {
            candidates.taken(now, peer);
        }
    }

    /// A connection is over: whether its address is worth another call.
    pub(super) fn call_over(&mut self, now: Instant, peer: PeerKey, how: Ending) {
        if let Some(candidates) = self.candidates_of(peer) {
            candidates.ended(now, peer, how);
        }
    }

    fn candidates_of(&mut self, peer: PeerKey) -> Option<&mut Candidates> {
        let calls = self.calls.as_mut()?;
        calls.candidates.get_mut(&torrent_of(peer))
    }

    /// Where peers of a torrent are that can be called again some day, without a tracker. None of a
    /// private one: its tracker says who may meet (BEP 27).
    pub(super) fn neighbours(&self, number: TorrentNumber) -> Vec<SocketAddr> {
        let torrent = self.torrents.get(number);
        let metainfo = torrent.and_then(|torrent| torrent.swarm.metainfo());
        let is_public = metainfo.is_some_and(|metainfo| !metainfo.is_private());
        let calls = self.calls.as_ref().filter(|_| is_public);
        let candidates = calls.and_then(|calls| calls.candidates.get(&number));
        candidates.map_or_else(Vec::new, |candidates| candidates.neighbours(self.now()))
    }

    /// Hangs up, whatever carries it.
    pub(super) fn hang_up(&mut self, peer: PeerKey) {
        match &mut self.calls {
            Some(calls) if is_tcp(peer) => calls.tcp.close(peer),
            _ => self.endpoint.close(peer),
        }
    }
}
