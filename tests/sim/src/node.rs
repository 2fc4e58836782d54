//! One peer of the simulation: its swarm, its storage, and who reads on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use headwater_core::ids::{ReaderId, Ticket};
use headwater_core::layout::{Block, PieceIndex};
use headwater_core::swarm::{Event, Swarm};
use headwater_core::time::{Duration, Instant};

use crate::{Film, OriginNumber, Player, Playing};

/// Bytes a reader without a pace of its own pulls at a time.
const CHUNK: usize = 256 * 1024;
/// The same for a player.
const SIP: usize = 64 * 1024;

/// One node of the simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct NodeId(pub usize);

/// Somebody who reads a file from start to end.
#[derive(Debug)]
pub struct Watch {
    /// The bytes as they came, in order; none in a forgetful simulation.
    pub bytes: Vec<u8>,
    /// When it was opened.
    pub opened: Instant,
    /// When the first byte came.
    pub first_byte: Option<Instant>,
    /// When the last came.
    pub ended: Option<Instant>,
    /// When it had a mebibyte.
    pub first_mebibyte: Option<Instant>,
    /// The longest it waited between one delivery and the next.
    pub longest_wait: Duration,
    /// The film as a player sees it, if it is one that reads.
    pub playing: Option<Playing>,
    /// The least delay after opening with which reading at the simulation's steady rate never stands.
    pub steady_after: Duration,
    last_came: Instant,
    pub(crate) start: u64,
    pub(crate) next: u64,
    pub(crate) end: u64,
    pub(crate) paused: bool,
    pub(crate) pending: bool,
    /// Until when it has enough.
    pub(crate) sated: Option<Instant>,
}

/// What a reader wants.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Thirst {
    /// So many bytes.
    Now(usize),
    /// Nothing before this.
    At(Instant),
}

impl Watch {
    pub(crate) fn new(now: Instant, start: u64, end: u64, player: Option<Player>) -> Self {
        Self {
            bytes: Vec::new(),
            opened: now,
            first_byte: None,
            ended: None,
            first_mebibyte: None,
            longest_wait: Duration::ZERO,
            last_came: now,
            playing: player.map(|player| Playing::new(player, now)),
            steady_after: Duration::ZERO,
            start,
            next: start,
            end,
            paused: false,
            pending: false,
            sated: None,
        }
    }

    /// Bytes it got.
    pub const fn had(&self) -> u64 {
        self.next - self.start
    }

    /// Whether its viewer has seen it all, or read it where nobody plays.
    pub fn is_over(&self, now: Instant) -> bool {
        let playing = self.playing.as_ref();
        self.ended.is_some() && playing.is_none_or(|playing| playing.has_played(now, self.had()))
    }

    /// What it wants to pull, or when; `None` if it waits already, for bytes or for that moment.
    pub(crate) fn thirst(&mut self, now: Instant) -> Option<Thirst> {
        if self.pending || self.paused || self.ended.is_some() || self.sated.is_some() {
            return None;
        }
        let had = self.had();
        if let Some(playing) = &mut self.playing {
            let at = playing.reads_on(now, had, SIP as u64);
            if at > now {
                self.sated = Some(at);
                return Some(Thirst::At(at));
            }
        }
        self.pending = true;
        let chunk = if self.playing.is_some() { SIP } else { CHUNK };
        Some(Thirst::Now(chunk))
    }

    /// Bytes came; what its player has ahead now, if it has one.
    pub(crate) fn came(
        &mut self,
        now: Instant,
        bytes: &[u8],
        steady: u64,
        keep: bool,
    ) -> Option<Duration> {
        let before = self.had();
        self.next += bytes.len() as u64;
        if self.first_byte.is_some() {
            self.longest_wait = self.longest_wait.max(now.since(self.last_came));
        }
        self.first_byte.get_or_insert(now);
        self.last_came = now;
        if self.had() >= 1 << 20 {
            self.first_mebibyte.get_or_insert(now);
        }
        self.pending = false;
        if keep {
            self.bytes.extend_from_slice(bytes);
        }
        if let Some(micros) = (before * 1_000_000).checked_div(steady) {
            let lag = now.before(Duration::from_micros(micros)).since(self.opened);
            self.steady_after = self.steady_after.max(lag);
        }
        let (had, all) = (self.had(), self.next >= self.end);
        let playing = self.playing.as_mut()?;
        playing.came(now, before, had, all);
        playing.ahead(now, had)
    }
}

/// One peer of the simulation.
#[derive(Debug)]
pub struct Node {
    /// Its swarm.
    pub swarm: Swarm,
    /// What happened in it; nothing in a forgetful simulation.
    pub events: Vec<Event>,
    /// Who reads on it.
    pub watches: BTreeMap<ReaderId, Watch>,
    /// Whether its storage tells lies.
    pub lies: bool,
    /// Pieces that were written to its storage, if it keeps the film.
    pub kept: BTreeMap<PieceIndex, Bytes>,
    /// Its disk is full: what is to be written waits in [`unwritten`](Self::unwritten).
    pub full: bool,
    /// What waits for room on its disk.
    pub unwritten: Vec<(PieceIndex, Bytes)>,
    pub(crate) fetches: BTreeMap<Ticket, OriginNumber>,
    /// When it said that others are to be found, for nobody here has what is read.
    pub starved: Vec<Instant>,
    pub(crate) storage: Option<Arc<Film>>,
    pub(crate) timer: Option<Instant>,
    /// Pieces it ever had, if it began with none.
    pub(crate) verified: Vec<bool>,
}

impl Node {
    pub(crate) fn new(swarm: Swarm, storage: Option<Arc<Film>>) -> Self {
        Self {
            swarm,
            events: Vec::new(),
            watches: BTreeMap::new(),
            lies: false,
            kept: BTreeMap::new(),
            full: false,
            unwritten: Vec::new(),
            fetches: BTreeMap::new(),
            starved: Vec::new(),
            storage,
            timer: None,
            verified: Vec::new(),
        }
    }

    /// The bytes a reader got.
    pub fn read(&self, reader: ReaderId) -> &[u8] {
        &self.watches[&reader].bytes
    }

    /// Whether it has everything from the start.
    pub const fn is_seeder(&self) -> bool {
        self.storage.is_some()
    }

    pub(crate) fn load(&self, block: Block) -> Bytes {
        let Some(film) = self.storage.as_ref() else {
            let (begin, length) = (block.begin as usize, block.length as usize);
            let mut bytes = self.kept[&block.piece].to_vec();
            // What was written has no padding.
            bytes.resize(bytes.len().max(begin + length), 0);
            return Bytes::from(bytes).slice(begin..begin + length);
        };
        let bytes = film.block(block);
        if !self.lies {
            return bytes;
        }
        let mut bytes = bytes.to_vec();
        bytes[0] ^= 1;
        Bytes::from(bytes)
    }
}
