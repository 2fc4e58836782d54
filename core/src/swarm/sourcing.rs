//! When origins are asked, and for what.
//!
//! Alone, everything at once and in order, so that an origin with no peers beside it is as good as
//! a download. With peers, only what would be late: what a reader needs soon and nobody will have
//! brought by then, or whatever is lacking while the peers together are slower than the origin. And
//! in a crowd now and then a piece that nobody has, chosen by luck, so that those who watch in step
//! fetch different ones and give them to each other (p2p-media-loader spreads its requests alike).

use alloc::vec::Vec;

use super::Swarm;
use super::origins::{Aim, Fetch, Wait, key_of};
use crate::ids::{OriginId, ReaderId};
use crate::layout::{BLOCK_LENGTH, Block};
use crate::peer::Peer;
use crate::rng::Rng;
use crate::time::{Duration, time_of};

/// What a reader needs within this time is due. More is safer on a slow origin, and asks it for
/// more that a peer would have brought.
const HORIZON: Duration = Duration::from_secs(4);
/// How long we may not have met the peers yet: until then an origin is asked for no more than a
/// reader waits for.
const YOUNG: Duration = Duration::from_secs(2);
/// How long a request should take: long enough that the way there and back does not count.
const RUN: Duration = Duration::from_secs(1);
/// Bytes of a first request, when the origin's speed is not known.
const FIRST_RUN: u64 = 4 << 20;
/// Most bytes of a request.
const MAX_RUN: u64 = 32 << 20;
/// How long a piece is taken to need from an origin that was never asked.
const PIECE_TIME: Duration = Duration::from_secs(1);
/// An origin that needs longer for what a peer could bring sooner leaves it to that peer.
const TOO_LONG: Duration = Duration::from_secs(2);
/// An origin that says nothing for this long lets others go first.
pub(super) const SILENT: Duration = Duration::from_secs(2);
/// While peers have as much to bring as takes them this long, nobody need fetch more for them.
const PLENTY: Duration = Duration::from_secs(2);
/// How long a reader may wait for others to bring what nobody has.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// How long a reader that waited counts as one that waits.
const HUNGRY: Duration = Duration::from_secs(1);
/// Between two throws of the dice.
const DRAW: Duration = Duration::from_millis(50);
/// Bytes with which a reader has begun.
const FIRST_BYTES: u64 = 1 << 20;
/// Pieces looked at for one that nobody has.
const SAMPLE: u32 = 4096;
/// Requests out to an origin at a time: one that is answered, and one behind it.
const MAX_FETCHES: usize = 2;
/// The same with those for what is late.
const MAX_OUT: usize = 4;

/// Who is there, and how fast everybody is.
#[derive(Clone, Copy, Debug)]
struct Scene {
    origin: OriginId,
    /// Peers that lack pieces themselves.
    crowd: u32,
    /// Whether nobody is there at all.
    is_alone: bool,
    /// Whether that may only be because we have just come.
    is_young: bool,
    /// Bytes per second that peers send.
    swarm: u64,
    /// The same of the origin, if it was asked before.
    rate: Option<u64>,
    /// What the origin needs for a piece.
    piece_time: Duration,
}

impl Scene {
    /// Whether peers bring less than the origin alone would.
    fn is_slow(&self) -> bool {
        self.rate.is_none_or(|rate| self.swarm < rate)
    }

    /// Whether others should bring what was asked for beyond the piece that comes now: they fetch as we
    /// do, or are faster than the origin turned out to be.
    fn has_better(&self) -> bool {
        self.crowd > 0 || !(self.is_alone || self.is_slow())
    }
}

impl Swarm {
    /// Asks origins for what is due, and for our share.
    pub(super) fn ask_origins(&mut self) {
        if self.origins.is_empty()
            || self.origins.paused
            || !core::mem::take(&mut self.origins.look)
        {
            return;
        }
        if self.torrent.is_some() {
            self.origins.since.get_or_insert(self.now);
        }
        self.look_at_fetches();
        if self.scene().is_some_and(|scene| scene.has_better()) {
            self.shorten_fetches();
        }
        self.look_at_readers();
        for _ in 0..MAX_FETCHES {
            let Some(scene) = self.scene() else { break };
            let due = self.due(&scene);
            let (aim, blocks) = if due.is_empty() {
                (Aim::Share, self.share(&scene))
            } else {
                (Aim::Due, due)
            };
            if blocks.is_empty() {
                break;
            }
            self.begin_fetch(scene.origin, aim, blocks);
        }
        self.origins.late.clear();
    }

    /// Whether an origin takes so long that what it was asked should be asked of others, too.
    pub(super) fn is_too_slow(&self, fetch: &Fetch, silence: Duration) -> bool {
        let (Some(block), Some(torrent)) = (fetch.blocks.last(), &self.torrent) else {
            return false;
        };
        if silence > SILENT {
            return true;
        }
        let piece = block.piece.get();
        let Some(scene) = self.scene() else {
            return false;
        };
        let is_urgent = torrent.urgent().contains(&piece);
        let ahead = fetch
            .blocks
            .iter()
            .filter(|other| other.piece == block.piece);
        let left: u64 = ahead.map(|block| u64::from(block.length)).sum();
        let is_long = scene
            .rate
            .is_some_and(|rate| time_of(left, rate) > TOO_LONG);
        is_long && (is_urgent || !scene.is_slow()) && self.is_offered(piece)
    }

    fn scene(&self) -> Option<Scene> {
        let torrent = self.torrent.as_ref().filter(|torrent| !torrent.broken)?;
        if torrent.only_gives() && torrent.readers.is_empty() {
            return None;
        }
        let now = self.now;
        let since = self.origins.since.unwrap_or(now);
        let best = self.origins.best(now)?;
        let named = self.peers.values().filter(|peer| peer.id.is_some());
        let piece = torrent.layout().standard_piece_length();
        let pace = &best.pace;
        let needs = |rate| pace.answer.unwrap_or_default() + time_of(piece.into(), rate);
        Some(Scene {
            origin: best.id(),
            crowd: named.clone().filter(|peer| !peer.is_seed()).count() as u32,
            is_alone: named.count() == 0,
            is_young: now.since(since) < YOUNG,
            swarm: self.totals.received.per_second(now),
            rate: pace.rate,
            piece_time: pace.rate.map_or(PIECE_TIME, needs),
        })
    }

    /// What the origin needs for a block, while it is faster than the peers together.
    pub(super) fn origin_expected(&self) -> Option<Duration> {
        if self.origins.is_empty() {
            return None;
        }
        let scene = self.scene().filter(Scene::is_slow)?;
        let answer = self.origins.best(self.now)?.pace.answer?;
        Some(answer + time_of(BLOCK_LENGTH.into(), scene.rate?))
    }

    /// Whether a peer would send a piece.
    fn is_offered(&self, piece: u32) -> bool {
        let able = |peer: &Peer| peer.answers_us() && peer.has(piece);
        self.peers.values().any(able)
    }

    /// Notes what readers wait for, and how long they may.
    fn look_at_readers(&mut self) {
        // In a crowd that waits for the same, one is to go first and the others to hear of it.
        let spread = self.scene().map_or(PIECE_TIME, |scene| {
            scene.piece_time.max(PIECE_TIME / 4) * (scene.crowd + 1) / 2
        });
        let spread = spread.min(LONGEST_WAIT).as_millis() as u32;
        let Some(torrent) = &self.torrent else { return };
        let (now, waits) = (self.now, &mut self.origins.waits);
        // Between two pulls it does not wait, and is as hungry as before.
        waits.retain(|_, wait| now.since(wait.seen) < HUNGRY);
        for reader in self.waiting.iter() {
            let Some(state) = torrent.readers.get(reader) else {
                continue;
            };
            if let Some(wait) = waits.get_mut(reader)
                && wait.head == state.head
            {
                wait.seen = now;
                continue;
            }
            let patience = Duration::from_millis(1000 + u64::from(self.rng.below(spread)));
            let wait = Wait {
                head: state.head,
                seen: now,
                until: now + patience,
            };
            waits.insert(*reader, wait);
        }
    }

    /// Whether a reader waits for bytes, or did a moment ago.
    fn is_hungry(&self, reader: ReaderId) -> bool {
        if self.is_calm() {
            return false;
        }
        self.waiting.contains(&reader) || self.origins.waits.contains_key(&reader)
    }

    /// What would be late if the origin were not asked for it.
    fn due(&mut self, scene: &Scene) -> Vec<Block> {
        let most = if scene.is_alone || (scene.crowd == 0 && scene.is_slow()) {
            MAX_FETCHES
        } else {
            1
        };
        // What is late waits for nothing; but in a crowd that is fast enough it comes all the same.
        let has_starved = |(_, wait): (&ReaderId, &Wait)| wait.until <= self.now;
        let is_starved = self.origins.waits.iter().any(has_starved);
        let is_pressing = match scene.crowd {
            0 => true,
            _ => !self.is_calm() && (scene.is_slow() || is_starved),
        };
        if is_pressing && self.origins.fetches.len() < MAX_OUT {
            let late = self.late_run(scene.origin);
            if !late.is_empty() {
                return late;
            }
        }
        if !self.origins.has_room(Aim::Due, most) {
            return Vec::new();
        }
        let length = match (most, scene.rate) {
            // Of what peers may bring as well, one piece.
            (1, _) => 1,
            (_, None) => FIRST_RUN,
            (_, Some(rate)) => (rate * RUN.as_secs()).min(MAX_RUN),
        };
        if let Some(piece) = self.due_for_readers(scene) {
            return self.run(scene.origin, piece, length);
        }
        let keeps = (self.torrent.as_ref()).is_some_and(|torrent| torrent.keeping.is_some());
        if keeps && (scene.is_alone || scene.is_slow()) {
            return self.run_for_storage(scene, length);
        }
        Vec::new()
    }

    /// Urgent blocks that no peer brings in time.
    fn late_run(&mut self, origin: OriginId) -> Vec<Block> {
        let mut run = Vec::new();
        let key = key_of(origin);
        let Some(torrent) = &mut self.torrent else {
            return run;
        };
        for block in core::mem::take(&mut self.origins.late) {
            let next = run
                .last()
                .map(|last: &Block| (last.piece, last.begin + last.length));
            if next.is_some_and(|next| next != (block.piece, block.begin)) {
                break;
            }
            let number = block.begin / BLOCK_LENGTH;
            if let Some(partial) = torrent.assembler.piece_mut(block.piece.get())
                && partial.only.is_none()
                && !partial.has(number)
            {
                partial.ask(number, key);
                run.push(block);
            }
        }
        run
    }

    /// The first piece that a reader would have to wait for.
    fn due_for_readers(&self, scene: &Scene) -> Option<u32> {
        let torrent = self.torrent.as_ref()?;
        let readers = torrent.readers.iter();
        readers
            .filter_map(|(reader, state)| {
                let (first, _) = torrent.layout().piece_at(state.head)?;
                let window = torrent.window.ranges().iter();
                let window = window.clone().find(|run| run.contains(&first.get()))?;
                let mut ahead = first.get()..window.end;
                let piece = ahead.find(|piece| self.may_fetch(scene.origin, *piece))?;
                let start = u64::from(piece) * u64::from(torrent.layout().standard_piece_length());
                let lead = start.saturating_sub(state.head);
                let slack = self.slack(*reader, lead);
                self.is_due(scene, *reader, piece, slack)
                    .then_some((slack, piece))
            })
            .min()
            .map(|(_, piece)| piece)
    }

    /// How long a reader will go on without the byte that is so many ahead of it.
    fn slack(&self, reader: ReaderId, lead: u64) -> Duration {
        let state = self
            .torrent
            .as_ref()
            .and_then(|torrent| torrent.readers.get(&reader));
        let pace = state.map_or(0, |state| state.pace.per_second(self.now));
        let slack = match pace {
            _ if self.is_hungry(reader) => Duration::ZERO,
            0 => Duration::MAX,
            pace => time_of(lead, pace),
        };
        // It reads as fast as bytes come, and whoever watches has these besides.
        slack.max(self.calm_for())
    }

    fn is_due(&self, scene: &Scene, reader: ReaderId, piece: u32, slack: Duration) -> bool {
        if scene.is_alone {
            return self.is_hungry(reader) || !scene.is_young || slack < HORIZON;
        }
        if slack > HORIZON {
            return false;
        }
        if self.is_hungry(reader) {
            let wait = self.origins.waits.get(&reader);
            return scene.is_slow() || wait.is_some_and(|wait| wait.until <= self.now);
        }
        if self.is_offered(piece) {
            return scene.is_slow();
        }
        // What nobody has somebody may fetch for all, until there is no more time for that; and
        // not everybody comes to that at the same moment.
        let last_moment = scene.piece_time * 2 + Duration::from_millis(500);
        let early = HORIZON.saturating_sub(last_moment).as_millis() as u32;
        let luck = Rng::seeded(self.config.seed ^ u64::from(piece)).below(early);
        scene.crowd == 0 || slack < last_moment + Duration::from_millis(luck.into())
    }

    /// What is lacking in storage: in a crowd a piece by luck, else one run after the other.
    fn run_for_storage(&mut self, scene: &Scene, length: u64) -> Vec<Block> {
        let Some(torrent) = &self.torrent else {
            return Vec::new();
        };
        let pieces = torrent.layout().piece_count();
        let mut from = self.origins.cursor;
        if scene.crowd > 0 || scene.rate.is_none() {
            from = self.rng.below(pieces);
        }
        let mut around = (from..pieces).chain(0..from);
        let Some(piece) = around.find(|piece| self.may_fetch(scene.origin, *piece)) else {
            return Vec::new();
        };
        let run = self.run(scene.origin, piece, length);
        if let Some(last) = run.last() {
            self.origins.cursor = last.piece.get();
        }
        run
    }

    /// A piece that nobody has, chosen by luck, if luck says that it is our turn.
    fn share(&mut self, scene: &Scene) -> Vec<Block> {
        let elapsed = self.now.since(self.origins.drawn.unwrap_or(self.now));
        if self.origins.drawn.is_some() && elapsed < DRAW {
            return Vec::new();
        }
        self.origins.drawn = Some(self.now);
        if scene.crowd == 0 || !self.origins.has_room(Aim::Share, 1) || self.is_starting() {
            return Vec::new();
        }
        let (mut lacking, offered) = self.lacking(scene);
        let brings = scene.swarm.max(scene.rate.unwrap_or(0)).max(FIRST_RUN / 16);
        let mut time = scene.piece_time;
        if offered > brings * PLENTY.as_secs() {
            // Peers have enough to bring for now. What a reader comes to before long has that time.
            lacking.retain(|piece| self.comes_in(*piece) < HORIZON * 2);
            let nearest = lacking.iter().map(|piece| self.comes_in(*piece)).min();
            time = time.max(nearest.unwrap_or_default() / 2);
        }
        let count = lacking.len() as u32;
        // So many fetch at once that seldom two fetch the same.
        let crowd = (scene.crowd + 1) * 4;
        let is_ours = count >= crowd || {
            let turns = (elapsed.as_micros() * u64::from(count)) << 16;
            let needed = time.as_micros() * u64::from(crowd - count);
            let chance = (turns / needed.max(1)).min(1 << 16) as u32;
            self.rng.chance(chance, 1 << 16)
        };
        if count == 0 || !is_ours {
            return Vec::new();
        }
        let piece = lacking[self.rng.below(count) as usize];
        self.run(scene.origin, piece, 1)
    }

    /// Whether a reader has hardly begun: what it needs first goes before all shares.
    fn is_starting(&self) -> bool {
        let Some(torrent) = &self.torrent else {
            return false;
        };
        let has_little = |reader: &ReaderId| {
            let state = torrent.readers.get(reader);
            state.is_some_and(|state| state.pace.total() < FIRST_BYTES)
        };
        !self.origins.has_room(Aim::Due, 1) && self.waiting.iter().any(has_little)
    }

    /// Wanted pieces that no connected peer has, the nearest, and the bytes of those that one has.
    fn lacking(&mut self, scene: &Scene) -> (Vec<u32>, u64) {
        let Some(torrent) = &self.torrent else {
            return (Vec::new(), 0);
        };
        let (layout, most) = (torrent.layout(), (scene.crowd as usize + 1) * 6);
        let pieces = layout.piece_count();
        let from = match torrent.keeping {
            Some(_) => self.rng.below(pieces),
            None => 0,
        };
        let all = (from..pieces).chain(0..from).take(SAMPLE as usize);
        let window = torrent.window.pieces();
        let (all, window) = match torrent.keeping {
            Some(_) => (Some(all), None),
            None => (None, Some(window)),
        };
        let (mut nobodys, mut offered) = (Vec::new(), 0);
        for piece in all
            .into_iter()
            .flatten()
            .chain(window.into_iter().flatten())
        {
            let is_here = torrent.have.has(piece) || torrent.cache.has(piece);
            if is_here || !torrent.wants(piece) {
                continue;
            }
            if torrent.availability.of(piece) > 0 {
                offered += u64::from(layout.standard_piece_length());
            } else if nobodys.len() < most && self.may_fetch(scene.origin, piece) {
                nobodys.push(piece);
            }
        }
        (nobodys, offered)
    }

    /// When the first reader comes to a piece, as it reads now.
    fn comes_in(&self, piece: u32) -> Duration {
        let Some(torrent) = &self.torrent else {
            return Duration::MAX;
        };
        let step = u64::from(torrent.layout().standard_piece_length());
        let start = u64::from(piece) * step;
        let ahead = torrent
            .readers
            .iter()
            .filter(|(_, state)| start + step > state.head);
        let times = ahead.map(|(_, state)| {
            time_of(
                start.saturating_sub(state.head),
                state.pace.per_second(self.now),
            )
        });
        times.min().unwrap_or(Duration::MAX)
    }

    /// Whether a piece is wanted, can be proven, and has a block that nobody was asked for.
    fn may_fetch(&self, origin: OriginId, piece: u32) -> bool {
        let Some(torrent) = &self.torrent else {
            return false;
        };
        let Some(index) = torrent.layout().piece(piece) else {
            return false;
        };
        let is_here = torrent.have.has(piece) || torrent.cache.has(piece);
        if is_here || !torrent.wants(piece) || !torrent.can_verify(index) {
            return false;
        }
        torrent.assembler.piece(piece).is_none_or(|partial| {
            partial.only.is_none_or(|only| only == key_of(origin)) && !partial.is_taken()
        })
    }

    /// From the first free block of `piece` on, so many bytes and to the end of a piece: what is
    /// free without a gap is asked of the origin.
    fn run(&mut self, origin: OriginId, piece: u32, length: u64) -> Vec<Block> {
        let key = key_of(origin);
        let mut run = Vec::new();
        let mut bytes = 0;
        let mut evicted = Vec::new();
        let mut next = piece;
        while bytes < length && self.may_fetch(origin, next) {
            let Some(torrent) = &mut self.torrent else {
                break;
            };
            let Some(index) = torrent.layout().piece(next) else {
                break;
            };
            if torrent.assembler.piece(next).is_none() {
                let (begun, gone) = torrent.begin(index);
                evicted.extend(gone);
                if !begun {
                    break;
                }
                torrent.not_aside(next);
            }
            let free = |torrent: &mut super::torrent::Torrent| {
                torrent.assembler.piece(next)?.free().first_from(0, None)
            };
            // A run goes on only where the last piece was free to its end and this is from its start.
            if next > piece && free(torrent) != Some(0) {
                break;
            }
            let mut last = None;
            while let Some(number) =
                free(torrent).filter(|n| last.is_none_or(|last| last + 1 == *n))
            {
                let block = torrent.block(index, number);
                if let Some(partial) = torrent.assembler.piece_mut(next) {
                    partial.ask(number, key);
                }
                bytes += u64::from(block.length);
                run.push(block);
                last = Some(number);
            }
            if free(torrent).is_none() {
                torrent.picker.forget(next);
            }
            let is_whole =
                last.is_some_and(|last| (last + 1) * BLOCK_LENGTH >= torrent.real_length(index));
            if !is_whole {
                break;
            }
            next += 1;
        }
        self.retract(&evicted);
        run
    }
}
