//! How many requests one peer has outstanding, and which.
//!
//! Requests follow the bandwidth-delay product: X = Q·L / RTT below the knee, flat beyond it, so
//! Q grows while goodput grows and then follows delivered rate × (round trip + margin). The rate is
//! what came between a request and its answer, the best of the last seconds, as BBR takes it
//! (Cardwell et al., "BBR: Congestion-Based Congestion Control", 2016): so a time in which little
//! was asked for says nothing about the path.

use alloc::vec::Vec;

use super::peak::Peak;
use super::rate::Rate;
use super::trial::Trial;
use crate::layout::Block;
use crate::time::{Duration, Instant, time_of};

/// Requests out before anything is known of a peer.
const FIRST_LIMIT: u32 = 16;
/// What a peer that never said otherwise will queue (libtorrent's default `reqq` is 2000, BEP 10's old clients 250).
const DEFAULT_REQQ: u32 = 250;
/// Most requests we ever keep out to one peer.
const MAX_OUTSTANDING: u32 = 512;
/// Most slack on top of one and a half round trips, for a peer's own queueing and our turns.
const MARGIN: Duration = Duration::from_millis(50);
/// How long the best rate is believed when none comes near it any more: between one and two of these.
const RATE_LIFE: Duration = Duration::from_secs(2);
/// How long the shortest round trip is believed when all answers take longer than it explains.
const ROUND_TRIP_LIFE: Duration = Duration::from_secs(4);
/// Requests beyond the product, so that whole blocks in flight do not starve the pipe.
const SPARE: u32 = 1;
/// What a block is taken to need at the most.
const LONGEST: Duration = Duration::from_secs(60);
/// The whole, of which shares are parts.
const ALL: u32 = 1024;
/// Whether there may be peers that serve in pulses. Those known are reached over TCP, which pages do
/// not speak, and the engine of pages is downloaded.
const PULSE: bool = !cfg!(target_family = "wasm");
/// L of the formulas.
const BLOCK: u64 = 16 * 1024;

/// A request that is out.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// What was asked for.
    pub block: Block,
    /// When.
    pub at: Instant,
    /// Whether the block was given to others meanwhile: late bytes are still welcome.
    pub released: bool,
    /// Whether nothing else was out.
    alone: bool,
    /// Bytes delivered by then, and since when they are counted.
    delivered: (u64, Instant),
}

/// Answers that take longer than the shortest round trip explains.
#[derive(Clone, Copy, Debug)]
struct Late {
    since: Instant,
    /// The shortest of them.
    least: Duration,
    /// What is explained.
    explained: Duration,
}

/// The requests that are out to one peer, and how many there should be.
#[derive(Clone, Debug)]
pub struct Pipeline {
    outstanding: Vec<Asked>,
    reqq: u32,
    limit: u32,
    probing: bool,
    trial: Trial,
    /// Whether it owes a block for so long that it is asked for one at a time until it delivers.
    doubted: bool,
    /// The share of requests that it refuses, of [`ALL`].
    refused: u32,
    /// Blocks that came in this probing round, and the best rate at its beginning.
    round: (u32, u64),
    shortest: Option<Duration>,
    late: Option<Late>,
    /// Whether nothing is asked for until nothing is out, to see how long the path is.
    looks: bool,
    smoothed: Option<Duration>,
    /// How far answers stray from the smoothed time, on average.
    deviation: Duration,
    /// The best rate of late.
    best: Peak,
    delivered: Rate,
    last_block: Option<Instant>,
}

impl Default for Pipeline {
    fn default() -> Self {
        Self {
            outstanding: Vec::new(),
            reqq: DEFAULT_REQQ,
            limit: FIRST_LIMIT,
            probing: true,
            trial: Trial::default(),
            doubted: false,
            refused: 0,
            round: (0, 0),
            shortest: None,
            late: None,
            looks: false,
            smoothed: None,
            deviation: Duration::ZERO,
            best: Peak::new(RATE_LIFE),
            delivered: Rate::default(),
            last_block: None,
        }
    }
}

impl Pipeline {
    /// The peer said how many requests it queues (BEP 10 `reqq`).
    pub fn honour(&mut self, reqq: u32) {
        self.reqq = reqq.max(1);
    }

    /// The peer gives what it is asked for as soon as its line lets it: late answers mean a long line.
    pub fn never_pulses(&mut self) {
        self.trial.give_up();
    }

    /// How many more requests may go out now.
    pub fn room(&self) -> u32 {
        self.limit().saturating_sub(self.outstanding())
    }

    /// Whether it is time to ask for more: a quarter of the requests are free to go. In one message
    /// they cost both ends what a single one costs.
    pub fn is_hungry(&self) -> bool {
        self.room() * 4 >= self.limit().max(1)
    }

    /// How many requests should be out.
    pub fn limit(&self) -> u32 {
        if self.looks && self.outstanding.first().is_some_and(|first| !first.alone) {
            return 0;
        }
        let most = if self.doubted { 1 } else { MAX_OUTSTANDING };
        // What is refused brings nothing, so more must be asked for to get as much; where answers
        // come late, its line is full without that.
        let refused = if self.is_late() {
            0
        } else {
            self.refused.min(ALL / 2)
        };
        (self.limit * ALL / (ALL - refused))
            .min(self.reqq)
            .min(most)
    }

    /// How many requests are out.
    pub fn outstanding(&self) -> u32 {
        self.outstanding.len() as u32
    }

    /// The requests that are out, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Asked> {
        self.outstanding.iter()
    }

    /// Whether this block is out with this peer.
    pub fn has(&self, block: Block) -> bool {
        self.outstanding.iter().any(|asked| asked.block == block)
    }

    /// How many blocks of this piece are out with this peer.
    pub fn count_of(&self, piece: u32) -> usize {
        let of_it = |asked: &&Asked| asked.block.piece.get() == piece;
        self.outstanding.iter().filter(of_it).count()
    }

    /// A request went out.
    pub fn ask(&mut self, now: Instant, block: Block) {
        if self.outstanding.is_empty() {
            self.round.0 = 0;
        }
        let since = match self.last_block {
            Some(last) if !self.outstanding.is_empty() => last,
            _ => self.outstanding.first().map_or(now, |first| first.at),
        };
        self.outstanding.push(Asked {
            block,
            at: now,
            released: false,
            alone: self.outstanding.is_empty(),
            delivered: (self.delivered.total(), since),
        });
    }

    /// Counts a request that is out already, but was given to others meanwhile, as ours again.
    /// Whether there was one.
    pub fn reclaim(&mut self, block: Block) -> bool {
        let asked = self
            .outstanding
            .iter_mut()
            .find(|asked| asked.released && asked.block == block);
        asked.map(|asked| asked.released = false).is_some()
    }

    /// A block came. The request it answers, or `None` if nobody asked for it. It may answer one that
    /// was taken back if `is_again`; then nobody knows how long it took (Karn and Partridge,
    /// "Improving Round-Trip Time Estimates in Reliable Transport Protocols", 1987).
    pub fn answer(&mut self, now: Instant, block: Block, is_again: bool) -> Option<Asked> {
        let asked = self.take(block)?;
        self.doubted = false;
        self.refused -= self.refused.div_ceil(16);
        if is_again {
            self.delivered.add(now, u64::from(block.length));
            self.last_block = Some(now);
            return Some(asked);
        }
        let took = now.since(asked.at);
        self.measure(now, took);
        if asked.alone
            && core::mem::take(&mut self.looks)
            && let Some(late) = self.late.take()
        {
            self.shortest = Some(late.least);
            self.probing = true;
        }
        let smoothed = self.smoothed.unwrap_or(took);
        let strayed = took.max(smoothed) - took.min(smoothed);
        self.deviation = (self.deviation * 7 + strayed) / 8;
        self.smoothed = Some((smoothed * 7 + took) / 8);
        self.delivered.add(now, u64::from(block.length));
        self.reckon(now, &asked);
        self.last_block = Some(now);
        self.adapt(now, took);
        Some(asked)
    }

    /// A request was refused.
    pub fn refuse(&mut self, block: Block) -> Option<Asked> {
        let asked = self.take(block)?;
        self.refused += (ALL - self.refused) / 16;
        Some(asked)
    }

    /// A request was taken back.
    pub fn take(&mut self, block: Block) -> Option<Asked> {
        let at = self
            .outstanding
            .iter()
            .position(|asked| asked.block == block)?;
        Some(self.outstanding.remove(at))
    }

    /// All requests that are out, as when a peer chokes us or leaves.
    pub fn clear(&mut self) -> impl Iterator<Item = Asked> + use<> {
        core::mem::take(&mut self.outstanding).into_iter()
    }

    /// It owes a block for too long: until it delivers it is asked for one at a time.
    pub fn doubt(&mut self) {
        self.doubted = true;
    }

    /// Whether it owed a block for too long, and has not delivered since.
    pub const fn is_doubted(&self) -> bool {
        self.doubted
    }

    /// The peer does not deliver: its blocks are free for others and it gets one request at a time
    /// until it delivers again.
    pub fn snub(&mut self) -> impl Iterator<Item = Block> + '_ {
        self.limit = 1;
        self.probing = true;
        self.outstanding
            .iter_mut()
            .filter(|asked| !asked.released)
            .map(|asked| {
                asked.released = true;
                asked.block
            })
    }

    /// Bytes per second that the peer delivers.
    pub fn rate(&self, now: Instant) -> u64 {
        self.delivered.per_second(now)
    }

    /// Bytes that the peer delivered.
    pub const fn delivered(&self) -> u64 {
        self.delivered.total()
    }

    /// The shortest time from request to block of late.
    pub fn round_trip(&self) -> Option<Duration> {
        self.shortest
    }

    /// When the last block came.
    pub const fn last_block(&self) -> Option<Instant> {
        self.last_block
    }

    /// How long a block asked for now should take: what it takes of late, or what the queue says.
    pub fn expected(&self, now: Instant) -> Duration {
        if self.doubted {
            return LONGEST;
        }
        let queue = (u64::from(self.outstanding()) + 1) * BLOCK;
        let queued = time_of(queue, self.rate(now)).min(LONGEST);
        match self.smoothed {
            Some(smoothed) => smoothed.max(queued.min(smoothed * 4)),
            None => Duration::from_secs(2),
        }
    }

    /// How long until the next block of those that are out should come, of a peer that sends one
    /// after the other; answers stray, so this is generous.
    pub fn interval(&self, now: Instant) -> Option<Duration> {
        let oldest = self.outstanding.first()?;
        let last = self.last_block.filter(|last| *last > oldest.at)?;
        let rate = self.rate(now.min(last)).max(1);
        Some((time_of(2 * BLOCK, rate) + self.deviation * 4).min(LONGEST))
    }

    /// Something that the peer answers at once took this long there and back.
    pub fn measure(&mut self, now: Instant, took: Duration) {
        let Some(shortest) = self.shortest.filter(|shortest| *shortest < took) else {
            self.shortest = Some(took);
            self.late = None;
            return;
        };
        // Our own queue makes every answer late; only what it cannot explain means a longer path.
        // By how much it does is reckoned from before: the longer path slows it down, too.
        let explained = shortest + self.margin(shortest) + time_of(2 * BLOCK, self.best_rate());
        let late = self.late.get_or_insert(Late {
            since: now,
            least: took,
            explained,
        });
        if took <= late.explained {
            self.late = None;
            return;
        }
        // The first were on their way when the path became longer.
        if now.since(late.since) < ROUND_TRIP_LIFE / 2 {
            late.least = took;
        }
        late.least = took.min(late.least);
    }

    /// Looks how long the path is, if answers have come late for long. In a crowd those of a peer that
    /// others load come late, too, for a while.
    pub fn look(&mut self, now: Instant, crowded: bool) {
        let patience = ROUND_TRIP_LIFE * if crowded { 4 } else { 1 };
        let is_due = |late: Late| now.since(late.since) > patience;
        self.looks |= self.late.is_some_and(is_due);
    }

    /// What requests are out beyond the round trip.
    fn margin(&self, shortest: Duration) -> Duration {
        // A block more or less in line is no straying.
        let strays = self.deviation - time_of(BLOCK, self.best_rate());
        (shortest / 2).max((strays * 2).min(MARGIN))
    }

    /// Whether blocks take longer than the way to the peer and back explains.
    fn is_late(&self) -> bool {
        let both = self.smoothed.zip(self.shortest);
        both.is_some_and(|(smoothed, shortest)| smoothed > soon(shortest))
    }

    fn adapt(&mut self, now: Instant, took: Duration) {
        self.round.0 += 1;
        let Some(shortest) = self.shortest else {
            return;
        };
        let soon = soon(shortest);
        if took > soon + time_of(2 * BLOCK, self.best_rate()) {
            self.step_back(now, shortest);
        } else if self.probing {
            self.limit += 2;
            let queued = shortest * 2 + MARGIN + time_of(2 * BLOCK, self.best_rate());
            if self.smoothed.is_some_and(|smoothed| smoothed > queued) {
                self.probing = false;
            } else if self.round.0 >= self.limit / 2 {
                // A rate that no longer rises by a tenth means the pipe is full.
                let best = self.best_rate();
                self.probing = best > self.round.1 + self.round.1 / 10;
                self.round = (0, best);
            }
        } else {
            let time = shortest + self.margin(shortest);
            // Down by one a block, up at once.
            self.limit = requests_in(self.best_rate(), time).max(self.limit - 1);
        }
        if PULSE && took > soon && !self.probing {
            let delivered = self.delivered.total();
            let rate = self.rate(now);
            let worth = self.trial.late(now, took, self.limit, delivered, rate);
            self.limit = self.limit.max(worth);
        }
        self.limit = self.limit.min(MAX_OUTSTANDING);
    }

    /// Others stand in line before us, it seems: what comes now counts, not the best there was, or
    /// all of us would fill the line.
    fn step_back(&mut self, now: Instant, shortest: Duration) {
        self.probing = false;
        let less = self.limit - self.limit.div_ceil(4);
        self.limit = requests_in(self.rate(now), shortest * 3 / 2).max(less);
    }

    /// Takes the rate at which blocks came since this one was asked for.
    fn reckon(&mut self, now: Instant, asked: &Asked) {
        let (before, since) = asked.delivered;
        let micros = now.since(since).as_micros().max(1000);
        let rate = (self.delivered.total() - before) * 1_000_000 / micros;
        self.best.note(now, rate);
    }

    fn best_rate(&self) -> u64 {
        self.best.most().max(1)
    }
}

/// Until when an answer is no late one, on a path of this round trip.
fn soon(shortest: Duration) -> Duration {
    shortest * 2 + MARGIN * 2
}

/// Requests that fill `time` at `rate` bytes per second.
fn requests_in(rate: u64, time: Duration) -> u32 {
    let product = rate * time.as_micros() / 1_000_000;
    product.div_ceil(BLOCK) as u32 + SPARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Arrangement, Layout};
    use alloc::collections::BTreeMap;
    use alloc::vec;

    /// One huge file in huge pieces.
    fn layout() -> Layout {
        let film = crate::layout::FileEntry {
            path: vec!["film".into()],
            length: 1 << 32,
            pad: false,
            start: 0,
        };
        Layout::new(Arrangement::Contiguous, 1 << 30, vec![film]).unwrap()
    }

    /// Runs a pipeline against a pipe of this rate and round trip: (blocks a second at the end, requests out).
    fn run(rate: u64, round_trip: Duration, secs: u64) -> (u64, u32) {
        let layout = layout();
        let piece = layout.piece(0).unwrap();
        let mut pipeline = Pipeline::default();
        let mut answers: BTreeMap<Instant, Block> = BTreeMap::new();
        let (mut now, mut free, mut next, mut late) = (Instant::START, Instant::START, 0, 0);
        let end = Instant::START + Duration::from_secs(secs);
        while now < end {
            while pipeline.room() > 0 {
                let block = layout.block(piece, next).unwrap();
                next += 1;
                pipeline.ask(now, block);
                let sent = free.max(now + round_trip / 2);
                free = sent + Duration::from_micros(BLOCK * 1_000_000 / rate);
                answers.insert(free + round_trip / 2, block);
            }
            let (at, block) = answers.pop_first().unwrap();
            now = at;
            pipeline.answer(now, block, false);
            late += u64::from(now + Duration::from_secs(2) > end);
        }
        (late * BLOCK / 2, pipeline.limit())
    }

    #[test]
    fn of_one_that_refuses_half_twice_as_much_is_asked() {
        let layout = layout();
        let piece = layout.piece(0).unwrap();
        let mut pipeline = Pipeline::default();
        let limit = pipeline.limit();
        for number in 0..200u32 {
            let block = layout.block(piece, number).unwrap();
            pipeline.ask(Instant::START, block);
            pipeline.refuse(block);
        }
        assert_eq!(pipeline.limit(), limit * 2);
        for number in 0..100u32 {
            let at = Instant::from_micros(u64::from(number) * 1000);
            let block = layout.block(piece, number).unwrap();
            pipeline.ask(at, block);
            pipeline.answer(at + Duration::from_millis(20), block, false);
        }
        assert_eq!(pipeline.limit(), pipeline.limit);
    }

    #[test]
    fn a_peer_that_serves_in_pulses_is_not_taken_for_one_with_a_queue() {
        // Transmission answers every half second what was asked for; it was quick once, by chance.
        const MOST: usize = 64;
        let piece = layout().piece(0).unwrap();
        let mut pipeline = Pipeline::default();
        let mut blocks = (0..).map(|number| layout().block(piece, number).unwrap());
        let first = blocks.next().unwrap();
        pipeline.ask(Instant::START, first);
        pipeline.answer(Instant::from_micros(5_000), first, false);
        let mut now = Instant::from_micros(5_000);
        for beat in 1..=60 {
            while pipeline.room() > 0 {
                pipeline.ask(now, blocks.next().unwrap());
            }
            now = Instant::from_micros(beat * 500_000);
            let asked: Vec<Block> = pipeline.iter().map(|asked| asked.block).collect();
            for (number, block) in asked.into_iter().take(MOST).enumerate() {
                // Its buffer holds one; the next waits for an acknowledgement.
                let at = now + Duration::from_millis(if number == 0 { 0 } else { 40 });
                pipeline.answer(at, block, false);
            }
        }
        let rate = pipeline.rate(now) / BLOCK;
        assert!(
            rate >= MOST as u64,
            "{rate} blocks a second of {}",
            MOST * 2
        );
    }

    #[test]
    fn requests_fill_the_pipe_and_do_not_flood_it() {
        for rate in [125_000, 1_250_000, 12_500_000] {
            for millis in [5, 20, 50, 100, 200] {
                let (goodput, limit) = run(rate, Duration::from_millis(millis), 60);
                let knee = (rate * millis / 1000).div_ceil(BLOCK) as u32 + 1;
                let ceiling = knee * 3 / 2 + (rate / 20).div_ceil(BLOCK) as u32 + 3;
                let case = alloc::format!("{rate} B/s, {millis} ms: {goodput} B/s with {limit}");
                assert!(goodput * 100 >= rate * 93, "{case}");
                assert!(
                    limit <= ceiling.min(DEFAULT_REQQ + 1),
                    "{case}, knee {knee}"
                );
            }
        }
    }
}
