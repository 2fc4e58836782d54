//! Somebody who watches: bytes go in as they come, and out at the film's own pace.
//!
//! It keeps the accounts of one viewing: how long until it began, how often and how long it stood.

use headwater_core::time::{Duration, Instant};

/// How a player plays.
#[derive(Clone, Copy, Debug)]
pub struct Player {
    /// Bytes per second of the film.
    pub rate: u64,
    /// It begins, and goes on after a stall, with this much in its buffer.
    pub begins_with: Duration,
    /// It reads no further ahead than this.
    pub buffer: Duration,
    /// Whether it says how much it has ahead.
    pub tells: bool,
}

impl Player {
    /// What a page's `<video>` does, about: begins with a second, reads 30 s ahead.
    pub const fn of_rate(rate: u64) -> Self {
        Self {
            rate,
            begins_with: Duration::from_secs(1),
            buffer: Duration::from_secs(30),
            tells: true,
        }
    }
}

/// A viewing under way.
#[derive(Clone, Debug)]
pub struct Playing {
    player: Player,
    opened: Instant,
    /// From opening to the first picture.
    pub startup: Option<Duration>,
    /// Times it stood for want of bytes.
    pub stalls: u32,
    /// How long it stood so, all together.
    pub stalled: Duration,
    runs: bool,
    paused: bool,
    /// Bytes played as of `at`.
    played: u64,
    at: Instant,
}

impl Playing {
    pub(crate) const fn new(player: Player, now: Instant) -> Self {
        Self {
            player,
            opened: now,
            startup: None,
            stalls: 0,
            stalled: Duration::ZERO,
            runs: false,
            paused: false,
            played: 0,
            at: now,
        }
    }

    /// More came: `read` bytes in all, `all` says that there will be no more.
    pub(crate) fn came(&mut self, now: Instant, before: u64, read: u64, all: bool) {
        self.play_on(now, before);
        if !self.runs
            && !self.paused
            && (all || read - self.played >= self.bytes(self.player.begins_with))
        {
            self.runs = true;
            match self.startup {
                None => self.startup = Some(now.since(self.opened)),
                Some(_) => self.stalled += now.since(self.at),
            }
            self.at = now;
        }
    }

    /// What it has read and not played, as film, if it says so.
    pub(crate) fn ahead(&mut self, now: Instant, read: u64) -> Option<Duration> {
        self.play_on(now, read);
        let micros = (read - self.played) * 1_000_000 / self.player.rate.max(1);
        self.player.tells.then(|| Duration::from_micros(micros))
    }

    /// Somebody pauses it, or lets it go on.
    pub(crate) fn pause(&mut self, now: Instant, read: u64, paused: bool) {
        self.play_on(now, read);
        self.paused = paused;
        if paused {
            self.runs = false;
        } else {
            self.at = now;
            self.runs = self.startup.is_some() && read > self.played;
        }
    }

    /// When it wants to read on, having read this much.
    pub(crate) fn reads_on(&mut self, now: Instant, read: u64, chunk: u64) -> Instant {
        self.play_on(now, read);
        let ahead = read - self.played;
        let most = self.bytes(self.player.buffer).max(chunk);
        if ahead + chunk <= most {
            return now;
        }
        let over = ahead + chunk - most;
        let micros = (over * 1_000_000).div_ceil(self.player.rate.max(1));
        now + Duration::from_micros(micros.max(1000))
    }

    /// Whether nothing of what it has read is left to play.
    pub(crate) fn has_played(&self, now: Instant, read: u64) -> bool {
        let since = if self.runs {
            now.since(self.at)
        } else {
            Duration::ZERO
        };
        self.played + self.bytes(since) >= read
    }

    /// Plays what is there until now, and stands where it ends.
    fn play_on(&mut self, now: Instant, read: u64) {
        if !self.runs {
            return;
        }
        let micros = now.since(self.at).as_micros();
        let can = self.player.rate * micros / 1_000_000;
        if self.played + can <= read {
            if can > 0 {
                self.played += can;
                self.at += Duration::from_micros(can * 1_000_000 / self.player.rate);
            }
            return;
        }
        let took = (read - self.played) * 1_000_000 / self.player.rate;
        self.played = read;
        self.at += Duration::from_micros(took);
        self.runs = false;
        self.stalls += 1;
    }

    const fn bytes(&self, span: Duration) -> u64 {
        self.player.rate * span.as_micros() / 1_000_000
    }
}
