//! The torrents the engine drives: who they are, which of them have something to say, and when
//! each wants to be woken.
//!
//! Hundreds of them idle, so nothing is done for all where one is meant: whoever is touched is
//! drained, and only then is asked anew when it wants to be woken.

use std::collections::{BTreeMap, BTreeSet};

use headwater_core::ids::SwarmHash;
use headwater_core::swarm;
use headwater_core::time::Instant;
use headwater_core::tracker::client;
use headwater_core::tracker::http::{self, HttpClient};

use super::Torrent;
use crate::chunks::TorrentNumber;

/// All of them. A number is never given twice.
#[derive(Debug, Default)]
pub(super) struct Roster {
    torrents: BTreeMap<TorrentNumber, Torrent>,
    touched: BTreeSet<TorrentNumber>,
    wakes: BTreeMap<TorrentNumber, Instant>,
    by_time: BTreeSet<(Instant, TorrentNumber)>,
}

impl Roster {
    pub(super) fn add(&mut self, number: TorrentNumber, torrent: Torrent) {
        self.torrents.insert(number, torrent);
        self.touched.insert(number);
    }

    pub(super) fn remove(&mut self, number: TorrentNumber) -> Option<Torrent> {
        self.touched.remove(&number);
        if let Some(at) = self.wakes.remove(&number) {
            self.by_time.remove(&(at, number));
        }
        self.torrents.remove(&number)
    }

    pub(super) fn get(&self, number: TorrentNumber) -> Option<&Torrent> {
        self.torrents.get(&number)
    }

    /// The one that a peer calls so.
    pub(super) fn named(&self, name: SwarmHash) -> Option<TorrentNumber> {
        let mut all = self.iter();
        all.find_map(|(number, one)| one.swarm.info_hashes().is_named(name).then_some(number))
    }

    /// One that is about to be told something, and will be drained for that.
    pub(super) fn get_mut(&mut self, number: TorrentNumber) -> Option<&mut Torrent> {
        let torrent = self.torrents.get_mut(&number)?;
        self.touched.insert(number);
        Some(torrent)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (TorrentNumber, &Torrent)> {
        self.torrents.iter().map(|(number, one)| (*number, one))
    }

    pub(super) fn numbers(&self) -> Vec<TorrentNumber> {
        self.torrents.keys().copied().collect()
    }

    /// Those that were touched since the last time, to be drained.
    pub(super) fn take_touched(&mut self) -> BTreeSet<TorrentNumber> {
        std::mem::take(&mut self.touched)
    }

    pub(super) fn poll_swarm(&mut self, number: TorrentNumber) -> Option<swarm::Output> {
        self.torrents.get_mut(&number)?.swarm.poll_output()
    }

    pub(super) fn poll_tracker(&mut self, number: TorrentNumber) -> Option<client::Output> {
        self.torrents.get_mut(&number)?.tracker.poll_output()
    }

    pub(super) fn poll_http(&mut self, number: TorrentNumber) -> Option<http::Output> {
        let http = self.torrents.get_mut(&number)?.http.as_mut();
        http.and_then(HttpClient::poll_output)
    }

    /// Asks one that has been drained when it wants to be woken.
    pub(super) fn schedule(&mut self, number: TorrentNumber) {
        let wanted = self.torrents.get(&number).and_then(Torrent::poll_timeout);
        let before = match wanted {
            Some(at) => self.wakes.insert(number, at),
            None => self.wakes.remove(&number),
        };
        if before != wanted {
            if let Some(at) = before {
                self.by_time.remove(&(at, number));
            }
            self.by_time.extend(wanted.map(|at| (at, number)));
        }
    }

    /// When the first of them wants to be woken; long ago, if one has not been drained.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let undrained = self.touched.first().map(|_| Instant::START);
        undrained.or(self.by_time.first().map(|(at, _)| *at))
    }

    /// Wakes those who wanted it by now.
    pub(super) fn time_out(&mut self, now: Instant) {
        let due = self.by_time.range(..=(now, TorrentNumber::MAX));
        for (_, number) in due.copied().collect::<Vec<_>>() {
            if let Some(torrent) = self.get_mut(number) {
                torrent.time_out(now);
            }
        }
    }
}

impl Torrent {
    fn poll_timeout(&self) -> Option<Instant> {
        let http = self.http.as_ref().and_then(HttpClient::poll_timeout);
        let all = [self.swarm.poll_timeout(), self.tracker.poll_timeout(), http];
        all.into_iter().flatten().min()
    }

    fn time_out(&mut self, now: Instant) {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(self.swarm.poll_timeout()) {
            self.swarm.handle_input(now, swarm::Input::TimedOut);
        }
        if is_due(self.tracker.poll_timeout()) {
            self.tracker.handle_input(now, client::Input::TimedOut);
        }
        if is_due(self.http.as_ref().and_then(HttpClient::poll_timeout)) {
            self.tell_http(now, http::Input::TimedOut);
        }
    }

    /// Tells the client of its HTTP trackers, if it has one.
    pub(super) fn tell_http(&mut self, now: Instant, input: http::Input<'_>) {
        if let Some(http) = &mut self.http {
            http.handle_input(now, input);
        }
    }

    /// Says goodbye to its trackers.
    pub(super) fn stop(&mut self, now: Instant) {
        self.tracker.handle_input(now, client::Input::Stopped);
        self.tell_http(now, http::Input::Stopped);
    }
}
