//! How much may be under way, and how fast it may leave: CUBIC (RFC 9438), a pacer, and what a
//! round trip takes.
//!
//! After a loss the window is what the path was seen to deliver in a round trip, if that is more
//! than CUBIC leaves of it (Casetti et al., "TCP Westwood", 2002): where nothing waited in a queue
//! nothing was congested, and a browser that is busy drops some of what comes now and then.
//!
//! Arithmetic only: it is told what was acknowledged and what was lost.

use std::time::{Duration, Instant};

/// Packets that may leave before anything is acknowledged: as many as Google's QUIC begins with.
/// With 10 (RFC 6928) the first piece of 256 KiB takes two round trips more.
const INITIAL_WINDOW: usize = 32;
const MIN_WINDOW: usize = 4;
/// What is left of the window after a loss (RFC 9438 §4.6), and how it grows back (§4.2).
const DECREASE: f64 = 0.7;
const GROWTH: f64 = 0.4;
/// Less than this part of a window lost in a round trip is no congestion, as in BBR version 2 and 3
/// (draft-ietf-ccwg-bbr, BBR.LossThresh): a busy browser's socket drops some now and then.
const TOLERATED: usize = 50;
/// How long after a loss the window may grow faster than CUBIC has it where nothing waits in a queue:
/// about as often BBR looks for more, too. By how much of itself a round trip.
const CAUTION: Duration = Duration::from_secs(1);
const FREE_GROWTH: f64 = 8.0;
/// Bytes that may leave at once: what a browser's socket holds, with a margin.
const BURST: f64 = 65_536.0;
/// Bytes that are waited for when the pacer holds something back.
const QUANTUM: f64 = 16_384.0;
/// A shorter way is not paced: there it is mostly the two processes' turns on the CPU.
const SHORT_PATH: Duration = Duration::from_millis(5);
/// How long an answer may take beside the way there and back and twice its usual variation.
const SLACK: Duration = Duration::from_millis(25);
/// The same, in all, while nothing is known.
const FIRST_PATIENCE: Duration = Duration::from_millis(250);
/// How much longer a round trip takes now and then without a queue: the turns of two processes.
const NOISE: Duration = Duration::from_millis(2);
/// The longest wait for an answer.
const MAX_PATIENCE: Duration = Duration::from_secs(2);

/// What a round trip takes (RFC 9260 §6.3.1).
#[derive(Debug, Default)]
pub(super) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
    pub(super) least: Duration,
}

impl RoundTrip {
    pub(super) fn observe(&mut self, took: Duration) {
        let Some(smoothed) = self.smoothed else {
            *self = Self {
                smoothed: Some(took),
                variation: took / 2,
                least: took,
            };
            return;
        };
        self.variation = (self.variation * 3 + smoothed.abs_diff(took)) / 4;
        self.smoothed = Some((smoothed * 7 + took) / 8);
        self.least = self.least.min(took);
    }

    /// Whether it takes so much longer than it must that something waits for others on the way.
    pub(super) fn has_queue(&self) -> bool {
        let most = self.least + self.least / 8 + NOISE;
        self.smoothed.is_none_or(|smoothed| smoothed > most)
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long an answer is waited for that was waited for in vain so often. What waits for one
    /// says so (RFC 7053), so nobody holds it back.
    pub(super) fn patience(&self, times: u32) -> Duration {
        let once = self.smoothed.map_or(FIRST_PATIENCE, |smoothed| {
            smoothed + self.variation * 4 + SLACK
        });
        (once * (1 << times.min(8))).min(MAX_PATIENCE)
    }
}

/// What the path delivers: the better of the last two round trips, in bytes a second.
#[derive(Debug, Default)]
struct Delivery {
    rate: f64,
    last: f64,
    /// Since when so many bytes have arrived, and with which packet the round trip ends.
    since: Option<Instant>,
    bytes: usize,
    end: u64,
}

impl Delivery {
    fn observe(&mut self, now: Instant, bytes: usize, number: u64, next: u64) {
        self.bytes += bytes;
        if number < self.end {
            return;
        }
        if let Some(since) = self.since {
            let took = now.saturating_duration_since(since).as_secs_f64().max(1e-6);
            let rate = self.bytes as f64 / took;
            self.rate = rate.max(self.last);
            self.last = rate;
        }
        (self.since, self.bytes, self.end) = (Some(now), 0, next);
    }
}

#[derive(Debug)]
pub(super) struct Congestion {
    mtu: usize,
    window: usize,
    /// Below it the window doubles each round trip.
    threshold: usize,
    /// CUBIC: the window before the last loss, when that was, and when it is reached again.
    before_loss: usize,
    since_loss: Option<Instant>,
    recovers_after: f64,
    /// Packets numbered below this belong to the loss already reacted to.
    reacted: u64,
    delivery: Delivery,
    /// Bytes lost of the packets below this number.
    lost: usize,
    round_end: u64,
    /// Bytes that may leave now, as of when.
    credit: f64,
    credited: Option<Instant>,
}

impl Congestion {
    pub(super) fn new(mtu: usize) -> Self {
        Self {
            mtu,
            window: INITIAL_WINDOW * mtu,
            threshold: usize::MAX,
            before_loss: 0,
            since_loss: None,
            recovers_after: 0.0,
            reacted: 0,
            delivery: Delivery::default(),
            lost: 0,
            round_end: 0,
            credit: BURST,
            credited: None,
        }
    }

    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// So many bytes have arrived, of so many under way, in packet `number` at the latest; the
    /// next will be `next`.
    pub(super) fn handle_acknowledged(
        &mut self,
        now: Instant,
        bytes: usize,
        under_way: usize,
        (number, next): (u64, u64),
        has_queue: bool,
    ) {
        self.delivery.observe(now, bytes, number, next);
        // A sender that does not fill the window learns nothing of it.
        if number < self.reacted || under_way * 2 < self.window {
            return;
        }
        if self.window < self.threshold {
            self.window += bytes;
            return;
        }
        let mtu = self.mtu as f64;
        let (window, bytes) = (self.window as f64 / mtu, bytes as f64 / mtu);
        let since = *self.since_loss.get_or_insert(now);
        let time = now.saturating_duration_since(since).as_secs_f64() - self.recovers_after;
        let target = GROWTH * time.powi(3) + self.before_loss as f64 / mtu;
        let cubic = (target - window).clamp(0.0, window / 2.0) / window * bytes;
        let reno = bytes / window;
        let is_free = !has_queue && now.saturating_duration_since(since) > CAUTION;
        let free = if is_free { bytes / FREE_GROWTH } else { 0.0 };
        self.window += (cubic.max(reno).max(free) * mtu) as usize;
    }

    /// Packet `number` with so many bytes is lost, on a way that takes `least` there and back.
    pub(super) fn handle_lost(
        &mut self,
        now: Instant,
        bytes: usize,
        (number, next): (u64, u64),
        least: Duration,
    ) {
        if number >= self.round_end {
            self.round_end = next;
            self.lost = 0;
        }
        self.lost += bytes;
        if self.lost * TOLERATED > self.window && number >= self.reacted {
            let delivered = self.delivery.rate * least.as_secs_f64();
            let less = self.window as f64 * DECREASE;
            self.shrink(now, delivered.clamp(less, self.window as f64), next);
        }
    }

    /// Nothing was heard for so long that the path may be another.
    pub(super) fn handle_silence(&mut self, now: Instant, next: u64) {
        self.shrink(now, 0.0, next);
    }

    fn shrink(&mut self, now: Instant, to: f64, next: u64) {
        self.before_loss = self.window;
        let threshold = to.max(self.window as f64 * DECREASE) as usize;
        self.threshold = threshold.max(MIN_WINDOW * self.mtu);
        self.window = (to as usize).max(MIN_WINDOW * self.mtu);
        let lost = (self.before_loss - self.before_loss.min(self.threshold)) / self.mtu;
        self.recovers_after = (lost as f64 / GROWTH).cbrt();
        self.since_loss = Some(now);
        self.reacted = next;
    }

    /// Whether something may leave now; else when.
    pub(super) fn handle_turn(
        &mut self,
        now: Instant,
        round_trip: Option<Duration>,
    ) -> Option<Instant> {
        let Some(round_trip) = round_trip.filter(|trip| *trip > SHORT_PATH) else {
            self.credit = BURST;
            return None;
        };
        // As TCP does: twice the rate while it doubles, a little over it then.
        let gain = if self.window < self.threshold {
            2.0
        } else {
            1.25
        };
        let rate = gain * self.window as f64 / round_trip.as_secs_f64();
        let passed = self
            .credited
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        // Timers here are good to a millisecond or two.
        self.credit = (self.credit + rate * passed).min(BURST.max(rate * 0.002));
        self.credited = Some(now);
        (self.credit <= 0.0).then(|| now + Duration::from_secs_f64((QUANTUM - self.credit) / rate))
    }

    pub(super) fn handle_sent(&mut self, bytes: usize) {
        self.credit -= bytes as f64;
    }

    pub(super) fn has_credit(&self) -> bool {
        self.credit > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: usize = 1000;
    const LEAST: Duration = Duration::from_millis(100);

    #[test]
    fn a_loss_without_a_queue_leaves_the_window_at_what_is_delivered() {
        let mut now = Instant::now();
        let mut congestion = Congestion::new(MTU);
        congestion.window = 1000 * MTU;
        for round in 1..=3 {
            now += LEAST;
            let numbers = (round * 1000, (round + 1) * 1000);
            congestion.handle_acknowledged(now, 900 * MTU, 450 * MTU, numbers, false);
        }
        for n in 0..30 {
            congestion.handle_lost(now, MTU, (4000 + n, 5000), LEAST);
        }
        assert_eq!(congestion.window(), 900 * MTU);
    }

    #[test]
    fn the_window_doubles_until_something_is_lost_and_comes_back_to_where_that_was() {
        let mut now = Instant::now();
        let mut congestion = Congestion::new(MTU);
        let mut number = 0;
        let mut round = |congestion: &mut Congestion, now: &mut Instant| {
            // The path has room for 300 packets; what is more waits.
            let window = congestion.window();
            *now += Duration::from_millis(100).mul_f64((window as f64 / 300e3).max(1.0));
            let next = number + (window / MTU) as u64;
            for _ in 0..window / MTU {
                congestion.handle_acknowledged(*now, MTU, window, (number, next), true);
                number += 1;
            }
            number
        };
        for doubled in [64, 128, 256, 512] {
            round(&mut congestion, &mut now);
            assert_eq!(congestion.window(), doubled * MTU);
        }
        let next = round(&mut congestion, &mut now);
        for n in 0..40 {
            congestion.handle_lost(now, MTU, (next + n, next + 40), LEAST);
        }
        let left = congestion.window();
        assert!(left < 800 * MTU, "{left}");
        let mut rounds = 0;
        while congestion.window() < 1000 * MTU {
            round(&mut congestion, &mut now);
            rounds += 1;
        }
        assert!((10..150).contains(&rounds), "{rounds} rounds");
    }

    #[test]
    fn where_nothing_waits_the_window_grows_by_an_eighth_a_round_trip_but_not_soon_after_a_loss() {
        let grown = |has_queue, after: Duration| {
            let mut congestion = Congestion::new(MTU);
            let now = Instant::now();
            congestion.window = 1000 * MTU;
            congestion.threshold = 1000 * MTU;
            congestion.before_loss = 1000 * MTU;
            congestion.since_loss = Some(now);
            let numbers = (1000, 2000);
            congestion.handle_acknowledged(now + after, 800 * MTU, 800 * MTU, numbers, has_queue);
            (congestion.window() - 1000 * MTU) / MTU
        };
        assert_eq!(grown(false, CAUTION / 2), 0);
        assert_eq!(grown(false, CAUTION * 2), 100);
        assert_eq!(grown(true, CAUTION * 2), 2);
    }

    #[test]
    fn a_few_packets_of_many_are_no_congestion() {
        let now = Instant::now();
        let mut congestion = Congestion::new(MTU);
        congestion.window = 2000 * MTU;
        for n in 0..40 {
            congestion.handle_lost(now, MTU, (n, 2000), LEAST);
        }
        assert_eq!(congestion.window(), 2000 * MTU);
        congestion.handle_lost(now, MTU, (41, 2000), LEAST);
        assert_eq!(congestion.window(), 1400 * MTU);
    }

    #[test]
    fn a_long_way_is_given_its_window_over_the_round_trip_and_not_at_once() {
        let mut now = Instant::now();
        let mut congestion = Congestion::new(MTU);
        congestion.window = 2000 * MTU;
        congestion.threshold = 2000 * MTU;
        let trip = Some(Duration::from_millis(100));
        let (mut sent, end) = (0, now + Duration::from_millis(100));
        while now < end {
            match congestion.handle_turn(now, trip) {
                Some(later) => now = later,
                None => {
                    congestion.handle_sent(MTU);
                    sent += MTU;
                }
            }
        }
        assert!((2000 * MTU..2700 * MTU).contains(&sent), "{sent}");
    }
}
