//! How far ahead of the readers is fetched: less than W allows, as long as they need not wait.
//!
//! What lies ahead is lost when somebody stops watching, and takes the place of what could be kept
//! to share. So it begins with enough for a crowd to be efficient, follows what a player plays in half
//! a minute, and grows to all that W allows where readers wait: a slow swarm needs a long run-up, and
//! whoever reads as fast as it comes always waits.

use super::Swarm;
use crate::time::{Duration, Instant};

/// Bytes ahead to begin with.
const FIRST_BYTES: u64 = 16 << 20;
/// Pieces ahead at the least. Crowds are no more efficient with more (Tewari and Kleinrock, 2006).
const FIRST_PIECES: u64 = 16;
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
    /// For how long readers may wait until it grows.
    patience: Duration,
    /// When it is looked at what was read since, once that has begun.
    look: Option<(Instant, Option<u64>)>,
    /// Bytes that readers got.
    read: u64,
}

impl LookAhead {
    /// At most `most` bytes ahead, of pieces of `piece_length` bytes.
    pub fn new(most: u64, piece_length: u32) -> Self {
        let first = FIRST_BYTES.max(FIRST_PIECES * u64::from(piece_length));
        Self {
            bytes: first.min(most),
            most,
            patience: PATIENCE,
            look: None,
            read: 0,
        }
    }

    /// Bytes ahead of all readers together.
    pub const fn bytes(&self) -> u64 {
        self.bytes
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
        let before = torrent.look_ahead.bytes;
        if is_calm {
            torrent.look_ahead.plays(self.now);
        } else if !self.waiting.is_empty() {
            torrent.look_ahead.waited(time);
        }
        if torrent.look_ahead.bytes != before {
            let moved = torrent.window.look_ahead(torrent.look_ahead.bytes);
            self.window_moved(&moved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const MIB: u64 = 1 << 20;

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

    #[test]
    fn a_player_has_half_a_minute_of_its_film_ahead_and_no_less_than_a_crowd_needs() {
        let ahead = |piece| LookAhead::new(48 * MIB, piece);
        assert_eq!(played(ahead(256 << 10), 100_000), 16 * MIB);
        assert_eq!(played(ahead(2 << 20), 100_000), 32 * MIB);
        let bytes = played(ahead(256 << 10), 1_000_000);
        assert!((29_000_000..=31_000_000).contains(&bytes), "{bytes}");
        assert_eq!(played(ahead(256 << 10), 9_000_000), 48 * MIB);
    }

    #[test]
    fn what_is_read_to_fill_a_players_buffer_says_nothing_of_its_film() {
        let mut ahead = LookAhead::new(48 * MIB, 256 << 10);
        ahead.plays(at(0));
        ahead.read(40_000_000);
        assert_eq!(played(ahead, 100_000), 16 * MIB);
    }

    #[test]
    fn where_readers_wait_all_that_may_be_is_fetched_ahead() {
        let mut ahead = LookAhead::new(48 * MIB, 256 << 10);
        let mut bytes = Vec::new();
        for _ in 0..40 {
            ahead.waited(Duration::from_millis(100));
            bytes.push(ahead.bytes() / MIB);
        }
        bytes.dedup();
        assert_eq!(bytes, [16, 32, 48]);
    }

    #[test]
    fn what_may_not_be_is_not_fetched_ahead() {
        let mut ahead = LookAhead::new(MIB, 256 << 10);
        ahead.waited(PATIENCE);
        assert_eq!(ahead.bytes(), MIB);
    }
}
