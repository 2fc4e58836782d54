//! What arrives: chunks put in order and made into messages again, and what the remote is told
//! of it.
//!
//! Chunks are handed on in the order of their TSNs, whatever their stream: we use one, and so no
//! stream waits for another. What waits is bounded by [`RECEIVE_WINDOW`].

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::super::MAX_MESSAGE;
use super::outgoing::extend;
use super::wire::{Data, FLAG_BEGIN, FLAG_END, FLAG_IMMEDIATE, SACK_HEADER, write_sack};

/// Bytes of messages kept for a remote before it must wait: 160 MB/s at 50 ms.
pub(super) const RECEIVE_WINDOW: usize = 8 << 20;
/// What a chunk that waits costs beside its payload, at the most.
const CHUNK_COST: usize = 256;
/// How far ahead a chunk may be: as far as a SACK can tell.
const MAX_AHEAD: u64 = u16::MAX as u64;
/// How long the remote waits at the most for word of a packet that asked for none.
const SACK_DELAY: Duration = Duration::from_millis(20);
/// Packets after which it gets word at once, within one batch of what came and between two.
const SACK_WITHIN: u32 = 8;
const SACK_AFTER: u32 = 2;

/// A message as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Message {
    pub(in super::super) stream: u16,
    pub(in super::super) ppid: u32,
    pub(in super::super) payload: Bytes,
}

/// The remote has sent a message longer than it may.
#[derive(Debug)]
pub(super) struct TooLong;

pub(super) struct Incoming {
    /// All up to this TSN has arrived.
    cumulative: u64,
    /// What has arrived beyond it, and from where to where that is without a gap.
    ahead: BTreeMap<u64, Data>,
    runs: Vec<(u64, u64)>,
    ahead_cost: usize,
    /// The message that is not whole.
    partial: Option<Partial>,
    /// How long the last one of several chunks was.
    last_length: usize,
    /// Packets with data since the last SACK.
    untold: u32,
    is_urgent: bool,
    sack_at: Option<Instant>,
}

struct Partial {
    stream: u16,
    ppid: u32,
    payload: BytesMut,
}

impl Incoming {
    /// Expects this TSN first.
    pub(super) fn new(first: u32) -> Self {
        Self {
            // So that TSNs before it can be told apart.
            cumulative: (1 << 32) + u64::from(first) - 1,
            ahead: BTreeMap::new(),
            runs: Vec::new(),
            ahead_cost: 0,
            partial: None,
            last_length: 0,
            untold: 0,
            is_urgent: false,
            sack_at: None,
        }
    }

    /// Takes a chunk of a packet so long; hands on the messages that are whole with it.
    pub(super) fn handle_data(
        &mut self,
        mut data: Data,
        packet: usize,
        each: &mut impl FnMut(Message),
    ) -> Result<(), TooLong> {
        self.is_urgent |= data.flags & FLAG_IMMEDIATE != 0;
        let tsn = extend(self.cumulative, data.tsn);
        if tsn == self.cumulative + 1 {
            self.cumulative = tsn;
            self.assemble(data, packet, each)?;
            return self.catch_up(each);
        }
        self.is_urgent = true;
        let cost = data.payload.len() + CHUNK_COST;
        let is_near = tsn > self.cumulative && tsn - self.cumulative <= MAX_AHEAD;
        if is_near && self.buffered() + cost <= RECEIVE_WINDOW && self.note(tsn) {
            data.payload = alone(data.payload, packet);
            self.ahead_cost += cost;
            self.ahead.insert(tsn, data);
        }
        Ok(())
    }

    /// Hands on what is no longer ahead.
    fn catch_up(&mut self, each: &mut impl FnMut(Message)) -> Result<(), TooLong> {
        while let Some(data) = self.ahead.remove(&(self.cumulative + 1)) {
            self.cumulative += 1;
            self.ahead_cost -= data.payload.len() + CHUNK_COST;
            let length = data.payload.len();
            self.assemble(data, length, each)?;
        }
        if self
            .runs
            .first()
            .is_some_and(|(_, last)| *last <= self.cumulative)
        {
            self.runs.remove(0);
        }
        Ok(())
    }

    /// Adds a TSN to the runs; whether it is new.
    fn note(&mut self, tsn: u64) -> bool {
        let at = self.runs.partition_point(|(_, last)| last + 1 < tsn);
        match self.runs.get_mut(at) {
            Some((first, last)) if *first <= tsn && tsn <= *last => return false,
            Some((_, last)) if *last + 1 == tsn => {
                *last = tsn;
                if let Some(&(next, end)) = self.runs.get(at + 1)
                    && next == tsn + 1
                {
                    self.runs[at].1 = end;
                    self.runs.remove(at + 1);
                }
            }
            Some((first, _)) if *first == tsn + 1 => *first = tsn,
            _ => self.runs.insert(at, (tsn, tsn)),
        }
        true
    }

    fn assemble(
        &mut self,
        data: Data,
        packet: usize,
        each: &mut impl FnMut(Message),
    ) -> Result<(), TooLong> {
        let (stream, ppid) = (data.stream, data.ppid);
        let (begins, ends) = (data.flags & FLAG_BEGIN != 0, data.flags & FLAG_END != 0);
        if begins && ends {
            self.partial = None;
            if data.payload.len() > MAX_MESSAGE {
                return Err(TooLong);
            }
            let payload = alone(data.payload, packet);
            each(Message {
                stream,
                ppid,
                payload,
            });
            return Ok(());
        }
        if begins {
            let payload = BytesMut::with_capacity(self.last_length);
            self.partial = Some(Partial {
                stream,
                ppid,
                payload,
            });
        }
        // What continues nothing, or something else, is none of ours.
        let Some(partial) = self.partial.as_mut().filter(|p| p.stream == stream) else {
            return Ok(());
        };
        if partial.payload.len() + data.payload.len() > MAX_MESSAGE {
            return Err(TooLong);
        }
        partial.payload.extend_from_slice(&data.payload);
        if ends && let Some(partial) = self.partial.take() {
            self.last_length = partial.payload.len();
            each(Message {
                stream,
                ppid: partial.ppid,
                payload: partial.payload.freeze(),
            });
        }
        Ok(())
    }

    pub(super) fn buffered(&self) -> usize {
        self.ahead_cost + self.partial.as_ref().map_or(0, |p| p.payload.len())
    }

    /// A packet with data is over.
    pub(super) fn handle_packet_end(&mut self, now: Instant) {
        self.untold += 1;
        self.sack_at.get_or_insert(now + SACK_DELAY);
    }

    /// Whether the remote should get word before the next packet is looked at.
    pub(super) fn is_overdue(&self) -> bool {
        self.untold >= SACK_WITHIN || (!self.runs.is_empty() && self.untold >= SACK_AFTER)
    }

    /// Whether it should get word now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let late = self.sack_at.is_some_and(|at| at <= now);
        late || self.untold >= SACK_AFTER || (self.is_urgent && self.untold > 0)
    }

    /// Whether there is anything to say.
    pub(super) fn has_news(&self) -> bool {
        self.untold > 0
    }

    /// Adds a SACK to a packet.
    pub(super) fn write_sack(&mut self, packet: &mut Vec<u8>, limit: usize) {
        let most = limit.saturating_sub(packet.len() + SACK_HEADER) / 4;
        let base = self.cumulative;
        let offset = |tsn: u64| (tsn - base) as u16;
        let gaps = self.runs[..self.runs.len().min(most)].iter();
        let window = RECEIVE_WINDOW.saturating_sub(self.buffered()) as u32;
        let gaps = gaps.map(|(first, last)| (offset(*first), offset(*last)));
        write_sack(packet, base as u32, window, gaps);
        self.untold = 0;
        self.is_urgent = false;
        self.sack_at = None;
    }

    /// Whether all up to this TSN has arrived.
    pub(super) fn has(&self, tsn: u32) -> bool {
        extend(self.cumulative, tsn) <= self.cumulative
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.sack_at
    }
}

/// A payload that does not keep a packet alive more than half of which is something else.
fn alone(payload: Bytes, packet: usize) -> Bytes {
    if payload.len() * 2 < packet {
        Bytes::copy_from_slice(&payload)
    } else {
        payload
    }
}
