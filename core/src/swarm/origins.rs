//! Origins: web servers that have the torrent's files (BEP 19), and the fetches that are out to them.
//!
//! What an origin sends goes through the assembler as a peer's blocks do, under a key that no peer
//! has, and a lie is laid at its door in the same way. What to ask of it and when is decided in
//! [`sourcing`](super::sourcing); how to ask is the driver's affair.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use serde::Serialize;

use super::sourcing::SILENT;
use super::{Event, Output, Swarm};
use crate::ids::{OriginId, PeerKey, ReaderId, Ticket};
use crate::layout::{Block, FileIndex, Layout};
use crate::ordered::Map;
use crate::peer::Rate;
use crate::time::{Duration, Instant};

/// Whether there are origins at all.
const ASKED: bool = cfg!(feature = "origins");
/// Origins of one torrent at the most; more are passed over.
const MAX_ORIGINS: usize = 32;
/// How long an origin is left alone after it failed; twice as long each time it fails again.
const REST: Duration = Duration::from_secs(1);
/// How long at the most.
const LONG_REST: Duration = Duration::from_secs(300);
/// The same after it sent wrong bytes.
const LIAR_REST: Duration = Duration::from_secs(60);
/// An origin that sent wrong bytes so many times is not asked again.
const MAX_LIES: u32 = 5;
/// An origin that sends nothing for this long has failed.
const STALLED: Duration = Duration::from_secs(10);
/// The shortest time over which an origin's speed is taken.
const SAMPLE: Duration = Duration::from_millis(500);
/// When an origin is asked that is not asked again.
const NEVER: Instant = Instant::from_micros(u64::MAX);
/// The bit of a key that no peer's has.
const MARK: u64 = 1 << 63;

/// What an origin's blocks are kept under.
pub(super) const fn key_of(origin: OriginId) -> PeerKey {
    PeerKey(MARK | origin.0 as u64)
}

/// The origin behind a key, if it is not a peer's.
pub(super) const fn origin_of(key: PeerKey) -> Option<OriginId> {
    if !ASKED || key.0 & MARK == 0 {
        None
    } else {
        Some(OriginId((key.0 & !MARK) as u32))
    }
}

/// The origins of a torrent.
#[derive(Debug, Default)]
pub(super) struct Origins {
    list: Vec<Origin>,
    pub fetches: Vec<Fetch>,
    /// None of them is to be asked.
    pub paused: bool,
    next: u64,
    /// Whether there may be something to ask for, or to take back.
    pub look: bool,
    /// Urgent blocks that come too late from those who were asked.
    pub late: Vec<Block>,
    pub waits: Map<ReaderId, Wait>,
    /// When it could first be asked.
    pub since: Option<Instant>,
    /// When luck was last asked whether to fetch a share.
    pub drawn: Option<Instant>,
    /// Where the last run for storage ended.
    pub cursor: u32,
    pub received: Rate,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Origin {
    id: OriginId,
    url: String,
    received: u64,
    refused: u64,
    /// Since it last delivered all that was asked.
    failures: u32,
    lies: u32,
    rests: Option<Instant>,
    /// Why it failed last.
    reason: Option<String>,
    pub pace: Pace,
}

/// A reader that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// For which byte.
    pub head: u64,
    /// When it was last seen waiting.
    pub seen: Instant,
    /// When it will have waited too long.
    pub until: Instant,
}

/// How fast an origin is while it is asked for something.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Bytes per second.
    pub rate: Option<u64>,
    /// From asking to the first byte.
    pub answer: Option<Duration>,
    sample: u64,
    since: Option<Instant>,
}

/// Why something is fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Aim {
    /// It would be late otherwise.
    Due,
    /// It is our part of what nobody has yet.
    Share,
}

/// Blocks that are being fetched, one after the other.
#[derive(Debug)]
pub(super) struct Fetch {
    /// The request that is out.
    pub ticket: Ticket,
    pub origin: OriginId,
    pub aim: Aim,
    /// What is still to come, the next one last.
    pub blocks: Vec<Block>,
    /// How many blocks it was.
    length: usize,
    /// Where they lie in the files, the request that is out last.
    parts: Vec<Part>,
    buffer: Vec<u8>,
    asked: Instant,
    pub heard: Instant,
    is_answered: bool,
    /// Its blocks may be asked of others.
    pub is_slow: bool,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    file: FileIndex,
    offset: u64,
    length: u64,
    pad: bool,
}

/// One origin in numbers.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginStats {
    /// As the driver numbers it.
    pub origin: u32,
    /// Where it is.
    pub url: String,
    /// Payload bytes that came from it.
    pub received: u64,
    /// Payload that was wrong.
    pub refused: u64,
    /// Payload bytes per second while it is asked, if it was.
    pub rate: Option<u64>,
    /// Requests that are out.
    pub fetching: u32,
    /// Why it failed last.
    pub trouble: Option<String>,
    /// Whether it is left alone for a while because of that.
    pub rests: bool,
}

impl Pace {
    fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    fn add(&mut self, now: Instant, bytes: u64) {
        self.sample += bytes;
        if self.since.is_some_and(|since| now.since(since) >= SAMPLE) {
            self.take(now);
        }
    }

    /// A request came to its end; `is_idle` if no other is out.
    fn end(&mut self, now: Instant, is_idle: bool) {
        if is_idle {
            self.take(now);
            self.since = None;
        }
    }

    fn take(&mut self, now: Instant) {
        let Some(since) = self.since.replace(now) else {
            return;
        };
        let took = now.since(since).as_micros().max(1);
        let rate = mem::take(&mut self.sample).saturating_mul(1_000_000) / took;
        self.rate = Some(self.rate.map_or(rate, |before| (before + 3 * rate) / 4));
    }
}

impl Fetch {
    /// The next block that is whole with the first of these bytes, which are used up.
    fn take(&mut self, bytes: &mut &[u8]) -> Option<(Block, Vec<u8>)> {
        let block = *self.blocks.last()?;
        let lacks = (block.length as usize).saturating_sub(self.buffer.len());
        let (taken, rest) = bytes.split_at(lacks.min(bytes.len()));
        self.buffer.extend_from_slice(taken);
        *bytes = rest;
        if self.buffer.len() < block.length as usize {
            return None;
        }
        self.blocks.pop();
        Some((block, mem::take(&mut self.buffer)))
    }
}

impl Origins {
    pub const fn is_empty(&self) -> bool {
        !ASKED || self.list.is_empty()
    }

    fn origin_mut(&mut self, id: OriginId) -> Option<&mut Origin> {
        self.list.iter_mut().find(|origin| origin.id == id)
    }

    /// So much of what an origin sent was wrong.
    pub fn refused(&mut self, id: OriginId, bytes: u64) {
        if let Some(origin) = self.origin_mut(id) {
            origin.refused += bytes;
        }
    }

    /// Where an origin is.
    pub fn name(&self, id: OriginId) -> String {
        let known = self.list.iter().find(|origin| origin.id == id);
        known.map(|origin| origin.url.clone()).unwrap_or_default()
    }

    /// The one to ask: the first that neither rests nor keeps us waiting.
    pub fn best(&self, now: Instant) -> Option<&Origin> {
        let is_slow = |id| (self.fetches.iter()).any(|fetch| fetch.origin == id && fetch.is_slow);
        (self.list.iter())
            .filter(|origin| origin.rests.is_none_or(|until| until <= now) && !is_slow(origin.id))
            .min_by_key(|origin| (origin.lies, origin.failures))
    }

    /// Whether one more of this kind may be asked for, when there may be so many: the last should
    /// be half done, so that they do not all end at once.
    pub fn has_room(&self, aim: Aim, most: usize) -> bool {
        let out = self.fetches.iter();
        let out = out.filter(|fetch| fetch.aim == aim && !fetch.is_slow);
        let is_young = |fetch: &Fetch| fetch.blocks.len() * 2 > fetch.length;
        out.clone().count() < most && !out.clone().any(is_young)
    }

    /// When one of those that rest may be asked again.
    pub fn wakes(&self, now: Instant) -> Option<Instant> {
        let rests = self.list.iter().filter_map(|origin| origin.rests);
        rests.filter(|until| *until > now && *until < NEVER).min()
    }

    fn position(&self, ticket: Ticket) -> Option<usize> {
        if !ASKED {
            return None;
        }
        self.fetches.iter().position(|fetch| fetch.ticket == ticket)
    }

    /// Takes a fetch out.
    fn end(&mut self, now: Instant, at: usize) -> Fetch {
        let fetch = self.fetches.remove(at);
        let is_idle = self
            .fetches
            .iter()
            .all(|other| other.origin != fetch.origin);
        if let Some(origin) = self.origin_mut(fetch.origin) {
            origin.pace.end(now, is_idle);
        }
        self.look = true;
        fetch
    }
}

impl Origin {
    pub const fn id(&self) -> OriginId {
        self.id
    }

    /// How long it is left alone after one failure more.
    fn rest(&mut self, least: Duration) -> Duration {
        self.failures += 1;
        (REST * (1 << (self.failures - 1).min(10))).clamp(least, LONG_REST)
    }
}

impl Swarm {
    pub(super) fn origin_added(&mut self, id: OriginId, url: String) {
        let is_known = (self.origins.list.iter()).any(|known| known.id == id || known.url == url);
        if !ASKED || is_known || self.origins.list.len() >= MAX_ORIGINS {
            return;
        }
        let (received, refused, failures, lies) = Default::default();
        self.origins.list.push(Origin {
            id,
            url,
            received,
            refused,
            failures,
            lies,
            rests: None,
            reason: None,
            pace: Pace::default(),
        });
        self.origins.look = true;
    }

    /// These blocks, which lie one after the other, are fetched from an origin.
    pub(super) fn begin_fetch(&mut self, id: OriginId, aim: Aim, mut blocks: Vec<Block>) {
        let Some(torrent) = &self.torrent else { return };
        let mut parts = parts_of(torrent.layout(), &blocks);
        parts.reverse();
        blocks.reverse();
        let fetch = Fetch {
            ticket: Ticket(0),
            origin: id,
            aim,
            length: blocks.len(),
            blocks,
            parts,
            buffer: Vec::new(),
            asked: self.now,
            heard: self.now,
            is_answered: false,
            is_slow: false,
        };
        if let Some(origin) = self.origins.origin_mut(id) {
            origin.pace.begin(self.now);
        }
        self.origins.fetches.push(fetch);
        self.is_asking = true;
        self.ask_for_part(self.origins.fetches.len() - 1);
    }

    /// Asks for the first part of a fetch.
    fn ask_for_part(&mut self, at: usize) {
        self.origins.next += 1;
        let ticket = Ticket(self.origins.next);
        let Some(fetch) = self.origins.fetches.get_mut(at) else {
            return;
        };
        fetch.ticket = ticket;
        let (Some(part), Some(torrent)) = (fetch.parts.last().copied(), &self.torrent) else {
            return;
        };
        if part.pad {
            // Nobody keeps padding: it is zeros.
            return self.fetched(ticket, &alloc::vec![0; part.length as usize]);
        }
        let id = fetch.origin;
        let url = self.origins.name(id);
        self.outputs.push_back(Output::Fetch {
            ticket,
            origin: id,
            url: torrent.metainfo.file_url(&url, part.file),
            range: part.offset..part.offset + part.length,
            length: torrent.layout().entry(part.file).length,
        });
    }

    /// Bytes of a fetch came.
    pub(super) fn fetched(&mut self, ticket: Ticket, bytes: &[u8]) {
        let now = self.now;
        self.origins.received.add(now, bytes.len() as u64);
        let Some(at) = self.origins.position(ticket) else {
            self.totals.wasted += bytes.len() as u64;
            return;
        };
        let fetch = &mut self.origins.fetches[at];
        let id = fetch.origin;
        let Some(part) = fetch.parts.last_mut() else {
            return;
        };
        let more = (bytes.len() as u64).min(part.length);
        part.length -= more;
        let is_over = part.length == 0;
        fetch.heard = now;
        let waited = (!mem::replace(&mut fetch.is_answered, true)).then(|| now.since(fetch.asked));
        if let Some(origin) = self.origins.origin_mut(id) {
            origin.received += more;
            origin.pace.add(now, more);
            if let Some(waited) = waited {
                let before = origin.pace.answer.unwrap_or(waited);
                origin.pace.answer = Some((before + waited) / 2);
            }
        }
        let mut bytes = &bytes[..more as usize];
        let half = self.origins.fetches[at].length / 2;
        // A wrong block ends the fetch.
        while let Some(at) = self.origins.position(ticket)
            && let Some((block, data)) = self.origins.fetches[at].take(&mut bytes)
        {
            self.origins.look |= self.origins.fetches[at].blocks.len() == half;
            self.origin_sent(id, block, &data);
        }
        let Some(at) = self.origins.position(ticket) else {
            return;
        };
        if self.origins.fetches[at].blocks.is_empty() {
            if !is_over {
                // It was shortened.
                self.outputs.push_back(Output::CancelFetch(ticket));
            }
            self.fetch_done(at);
        } else if is_over {
            self.origins.fetches[at].parts.pop();
            self.ask_for_part(at);
        }
    }

    fn origin_sent(&mut self, id: OriginId, block: Block, data: &[u8]) {
        if self.keep_block(key_of(id), block, data).is_err() {
            self.origin_lied(id);
        }
    }

    fn fetch_done(&mut self, at: usize) {
        let fetch = self.origins.end(self.now, at);
        if let Some(origin) = self.origins.origin_mut(fetch.origin) {
            origin.failures = 0;
            origin.rests = None;
            origin.reason = None;
        }
    }

    /// The body of a fetch came to its end.
    pub(super) fn fetch_ended(&mut self, ticket: Ticket) {
        // What came whole is done already.
        self.fetch_failed(ticket, "it ended early".into());
    }

    /// A fetch came to nothing, or to less than was asked.
    pub(super) fn fetch_failed(&mut self, ticket: Ticket, reason: String) {
        if let Some(at) = self.origins.position(ticket) {
            let fetch = self.drop_fetch(at);
            self.origin_failed(fetch, reason, Some(REST));
        }
    }

    /// An origin sent what is not in the torrent.
    pub(super) fn origin_lied(&mut self, id: OriginId) {
        while let Some(at) = (self.origins.fetches.iter()).position(|fetch| fetch.origin == id) {
            self.cancel_fetch(at);
        }
        let lies = self.origins.origin_mut(id).map_or(0, |origin| {
            origin.lies += 1;
            origin.lies
        });
        let rest = (lies < MAX_LIES).then_some(LIAR_REST);
        self.origin_failed(id, "it sent wrong bytes".into(), rest);
    }

    /// An origin is left alone: for a while, and `least` so long, or for good.
    fn origin_failed(&mut self, id: OriginId, reason: String, least: Option<Duration>) {
        let now = self.now;
        let Some(origin) = self.origins.origin_mut(id) else {
            return;
        };
        let rest = least.map(|least| origin.rest(least));
        origin.rests = Some(rest.map_or(NEVER, |rest| now + rest));
        origin.reason = Some(reason.clone());
        let url = origin.url.clone();
        self.tell(Event::OriginFailed {
            origin: id.0,
            url,
            reason,
            rests_ms: rest.map(|rest| rest.as_millis()),
        });
    }

    /// Takes a fetch back from its origin.
    pub(super) fn cancel_fetch(&mut self, at: usize) {
        let ticket = self.origins.fetches[at].ticket;
        self.outputs.push_back(Output::CancelFetch(ticket));
        self.drop_fetch(at);
    }

    fn drop_fetch(&mut self, at: usize) -> OriginId {
        let fetch = self.origins.end(self.now, at);
        for block in fetch.blocks {
            self.free_block(key_of(fetch.origin), block);
        }
        fetch.origin
    }

    /// Gives up fetches that send nothing, and those of which nothing is wanted any more.
    pub(super) fn look_at_fetches(&mut self) {
        for at in (0..self.origins.fetches.len()).rev() {
            let fetch = &self.origins.fetches[at];
            let (id, silence) = (fetch.origin, self.now.since(fetch.heard));
            let is_wanted = fetch.blocks.iter().any(|block| self.lacks_block(*block));
            // Who fell silent has failed, even if others brought meanwhile what it was asked for.
            if silence > STALLED || (!is_wanted && silence > SILENT) {
                self.cancel_fetch(at);
                let reason = alloc::format!("it sent nothing for {} s", silence.as_secs());
                self.origin_failed(id, reason, Some(REST));
            } else if !is_wanted {
                self.cancel_fetch(at);
            } else if !fetch.is_slow && self.is_too_slow(fetch, silence) {
                self.origins.fetches[at].is_slow = true;
                for block in self.origins.fetches[at].blocks.clone() {
                    self.free_block(key_of(id), block);
                }
            }
        }
    }

    /// Beyond the piece that comes now each may be fetched by anybody.
    pub(super) fn shorten_fetches(&mut self) {
        for at in 0..self.origins.fetches.len() {
            let fetch = &mut self.origins.fetches[at];
            let key = key_of(fetch.origin);
            let next = fetch.blocks.last().map(|block| block.piece);
            let others = |block: &mut Block| Some(block.piece) != next;
            let freed: Vec<Block> = fetch.blocks.extract_if(.., others).collect();
            for block in freed {
                self.free_block(key, block);
            }
        }
    }

    fn lacks_block(&self, block: Block) -> bool {
        let partial = self.torrent.as_ref();
        let partial = partial.and_then(|torrent| torrent.assembler.piece(block.piece.get()));
        partial.is_some_and(|partial| !partial.has(block.begin / crate::layout::BLOCK_LENGTH))
    }

    /// Whether origins are asked from now on.
    pub fn set_origins(&mut self, now: Instant, ask: bool) {
        self.now = now;
        self.origins.paused = !ask;
        self.origins.look = true;
        while !ask && !self.origins.fetches.is_empty() {
            self.cancel_fetch(0);
        }
    }

    /// The origins in numbers, as of `now`.
    pub fn origins(&self, now: Instant) -> Vec<OriginStats> {
        let stats = |origin: &Origin| {
            let out = self.origins.fetches.iter();
            OriginStats {
                origin: origin.id.0,
                url: origin.url.clone(),
                received: origin.received,
                refused: origin.refused,
                rate: origin.pace.rate,
                fetching: out.filter(|fetch| fetch.origin == origin.id).count() as u32,
                trouble: origin.reason.clone(),
                rests: origin.rests.is_some_and(|until| until > now),
            }
        };
        self.origins.list.iter().map(stats).collect()
    }
}

/// Where blocks lie in the files: as few parts as there can be.
fn parts_of(layout: &Layout, blocks: &[Block]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for span in blocks.iter().flat_map(|block| layout.block_spans(*block)) {
        let length = u64::from(span.length);
        match parts.last_mut() {
            Some(last) if last.file == span.file && last.offset + last.length == span.offset => {
                last.length += length;
            }
            _ => parts.push(Part {
                file: span.file,
                offset: span.offset,
                length,
                pad: span.pad,
            }),
        }
    }
    parts
}
