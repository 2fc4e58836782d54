//! How far ahead of the readers is fetched, and how much is kept behind them: less than W allows, as
//! long as they need not wait and nobody else is there.
//!
//! What lies ahead is lost when somebody stops watching, and takes the place of what could be kept
//! to share. So it begins with a little, with enough for a crowd to be efficient in company, follows
//! what a player plays in half a minute, and grows to all that W allows where readers wait: a slow
//! swarm needs a long run-up, and whoever reads as fast as it comes always waits.
//!
//! What lies behind is kept for others who may come to it. While nobody is there who lacks pieces,
//! only as much is kept as somebody may go back to who missed a word; but what is small is kept whole.

use super::Swarm;
use crate::peer::Peer;
use crate::time::{Duration, Instant};

/// Bytes ahead to begin with, and pieces at the least: alone, and in company. Crowds are no more
/// efficient with more pieces (Tewari and Kleinrock, 2006).
const FIRST: (u64, u64) = (6 << 20, 4);
const FIRST_IN_COMPANY: (u64, u64) = (16 << 20, 16);
/// With so many who lack pieces, and for a player beside any of them, it opens from here, in bytes and
/// pieces at the least, by what comes.
///
/// Where many begin together with a wide window, all of it is there at nearly the same time: nobody
/// sees anything for long, and then all move on at once and leave behind who was a moment late. Of
/// 40 who begin to play together the middle one sees its first picture after 3.1 s and not 6.2 s. And
/// who comes while others watch would fetch what is far ahead of it before it has anything to play.
/// Where an origin gives, too, there is no such waiting.
const OPENING: (u64, u64) = (1 << 20, 4);
const MANY: usize = 12;
/// For so long it is remembered that somebody was there: who comes back finds what we had.
const LINGER: Duration = Duration::from_secs(60);
/// Of a film that is played, so much lies ahead.
const PLAYED: u64 = 30;
/// How long a player is left alone before it is looked at how fast it reads: first it fills a buffer
/// of its own.
const SETTLING: Duration = Duration::from_secs(5);
/// How long it is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// Readers may have waited for so long in all before more is fetched ahead, and for so long again.
const PATIENCE: Duration = Duration::from_secs(2);
const MORE_PATIENCE: Duration = Duration::from_secs(1);

/// How far ahead is fetched, and what that follows from.
#[derive(Debug)]
pub(super) struct LookAhead {
    bytes: u64,
    most: u64,
    /// What it is in company at the least.
    in_company: u64,
    /// What it begins with in a crowd.
    opening: u64,
    /// All there is, if that is little.
    small: u64,
    /// Until when what lies behind is kept for others: somebody is there or was of late.
    company_until: Option<Instant>,
    /// For how long readers may wait until it grows.
    patience: Duration,
    /// When it is looked at what was read since, once that has begun.
    look: Option<(Instant, Option<u64>)>,
    /// Bytes that readers got.
    read: u64,
}

impl LookAhead {
    /// At most `most` bytes ahead, of `total` in pieces of `piece_length` bytes.
    pub fn new(most: u64, piece_length: u32, total: u64) -> Self {
        let least = |(bytes, pieces): (u64, u64)| bytes.max(pieces * u64::from(piece_length));
        Self {
            bytes: least(FIRST).min(most),
            most,
            in_company: least(FIRST_IN_COMPANY),
            opening: least(OPENING),
            small: if total <= FIRST_IN_COMPANY.0 {
                total
            } else {
                0
            },
            company_until: None,
            patience: PATIENCE,
            look: None,
            read: 0,
        }
    }

    /// Bytes ahead of all readers together.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes over which nothing is kept behind the readers; alone it is a quarter, as of W.
    pub const fn with_behind(&self) -> u64 {
        match self.company_until {
            Some(_) => u64::MAX,
            None if self.small > 0 => self.small,
            None => self.bytes / 3 * 4,
        }
    }

    /// Whether somebody is there whom we may give what they lack.
    pub fn company(&mut self, now: Instant, is_there: bool) {
        if is_there {
            self.company_until = Some(now + LINGER);
            self.grow(self.in_company);
        }
        self.company_until = self.company_until.filter(|until| now < *until);
    }

    /// A reader got bytes.
    pub const fn read(&mut self, bytes: usize) {
        self.read += bytes as u64;
    }

    /// Somebody has waited for so long.
    fn waited(&mut self, time: Duration) {
        self.look = None;
        self.patience = self.patience - time;
        if self.patience == Duration::ZERO {
            self.patience = MORE_PATIENCE;
            self.grow(self.bytes * 2);
        }
    }

    /// A player has enough for now, so that what it reads is what it plays.
    fn plays(&mut self, now: Instant) {
        let (due, before) = *self.look.get_or_insert((now + SETTLING, None));
        if now < due {
            return;
        }
        self.look = Some((now + LOOK, Some(self.read)));
        if let Some(before) = before {
            let took = (LOOK + now.since(due)).as_micros();
            let pace = (self.read - before) * 1_000_000 / took;
            self.grow(pace * PLAYED);
        }
    }

    fn grow(&mut self, bytes: u64) {
        self.bytes = bytes.clamp(self.bytes, self.most);
    }
}

impl Swarm {
    /// Some time passed: those who wait waited, those who play read.
    pub(super) fn look_ahead(&mut self, time: Duration) {
        let is_calm = self.is_calm();
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if is_calm {
            torrent.look_ahead.plays(self.now);
        } else if !self.waiting.is_empty() {
            torrent.look_ahead.waited(time);
        }
        self.look_behind(self.crowded);
    }

    /// Others who lack pieces are there, or not: as much is ahead and behind as that wants.
    pub(super) fn look_behind(&mut self, crowded: bool) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let gives = crowded && self.config.upload;
        torrent.look_ahead.company(self.now, gives);
        let mut bytes = torrent.look_ahead.bytes;
        let lacks = |peer: &&Peer| !peer.is_seed();
        let has_origin = self.origins.best(self.now).is_some();
        let opens = self.dry_at.is_some() || self.peers.values().filter(lacks).count() >= MANY;
        if crowded && !has_origin && opens {
            bytes = bytes.min(torrent.look_ahead.opening + self.totals.verified);
        }
        if torrent.window.ahead_bytes() != bytes {
            let moved = torrent.window.look_ahead(bytes);
            self.window_moved(&moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const MIB: u64 = 1 << 20;
    const FILM: u64 = 200 * MIB;

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    /// A player that reads so many bytes a second for 20 s.
    fn played(mut ahead: LookAhead, pace: usize) -> u64 {
        for tick in 0..200 {
            ahead.read(pace / 10);
            ahead.plays(at(tick * 100));
        }
        ahead.bytes()
    }

    fn in_company(piece_length: u32) -> LookAhead {
        let mut ahead = LookAhead::new(48 * MIB, piece_length, FILM);
        ahead.company(at(0), true);
        ahead
    }

    #[test]
    fn a_player_has_half_a_minute_of_its_film_ahead_and_no_less_than_a_crowd_needs() {
        assert_eq!(played(in_company(256 << 10), 100_000), 16 * MIB);
        assert_eq!(played(in_company(2 << 20), 100_000), 32 * MIB);
        let bytes = played(in_company(256 << 10), 1_000_000);
        assert!((29_000_000..=31_000_000).contains(&bytes), "{bytes}");
        assert_eq!(played(in_company(256 << 10), 9_000_000), 48 * MIB);
    }

    #[test]
    fn alone_a_few_pieces_ahead_are_enough() {
        let alone = |piece_length| LookAhead::new(48 * MIB, piece_length, FILM);
        assert_eq!(played(alone(256 << 10), 100_000), 6 * MIB);
        assert_eq!(played(alone(2 << 20), 100_000), 8 * MIB);
        let bytes = played(alone(256 << 10), 1_000_000);
        assert!((29_000_000..=31_000_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn what_is_read_to_fill_a_players_buffer_says_nothing_of_its_film() {
        let mut ahead = LookAhead::new(48 * MIB, 256 << 10, FILM);
        ahead.plays(at(0));
        ahead.read(40_000_000);
        assert_eq!(played(ahead, 100_000), 6 * MIB);
    }

    #[test]
    fn where_readers_wait_all_that_may_be_is_fetched_ahead() {
        let mut ahead = LookAhead::new(48 * MIB, 256 << 10, FILM);
        let mut bytes = Vec::new();
        for _ in 0..60 {
            ahead.waited(Duration::from_millis(100));
            bytes.push(ahead.bytes() / MIB);
        }
        bytes.dedup();
        assert_eq!(bytes, [6, 12, 24, 48]);
    }

    #[test]
    fn behind_a_lone_reader_a_third_of_what_lies_ahead_is_kept_and_in_company_all_that_fits() {
        let mut ahead = LookAhead::new(48 * MIB, 256 << 10, FILM);
        ahead.company(at(0), false);
        assert_eq!(ahead.with_behind(), 8 * MIB);
        ahead.company(at(1000), true);
        assert_eq!(ahead.with_behind(), u64::MAX);
        ahead.company(at(60_999), false);
        assert_eq!(ahead.with_behind(), u64::MAX);
        ahead.company(at(61_000), false);
        assert_eq!(ahead.with_behind(), 16 * MIB / 3 * 4);
    }

    #[test]
    fn what_is_small_is_kept_whole() {
        let ahead = |total| LookAhead::new(48 * MIB, 256 << 10, total);
        assert_eq!(ahead(16 * MIB).with_behind(), 16 * MIB);
        assert_eq!(ahead(16 * MIB + 1).with_behind(), 8 * MIB);
    }

    #[test]
    fn what_may_not_be_is_not_fetched_ahead() {
        let mut ahead = LookAhead::new(MIB, 256 << 10, FILM);
        ahead.waited(PATIENCE);
        assert_eq!(ahead.bytes(), MIB);
    }
}
