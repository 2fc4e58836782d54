//! What leaves: messages cut into chunks, and the chunks until the remote has them.
//!
//! A chunk counts as lost when others that left later have arrived (RFC 9002 §6.1, RACK in RFC
//! 8985), so all that is missing is sent again within one round trip, however often it has been
//! lost. Where nothing arrives, the oldest and the newest are sent once more (RFC 9002 §6.2): what
//! the remote says to that tells what else is missing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::congestion::{Congestion, RoundTrip};
use super::wire::{DATA_HEADER, Data, FLAG_BEGIN, FLAG_END, FLAG_IMMEDIATE, Sack, write_data};

/// Packets that may overtake one before it counts as lost.
const REORDERING: u64 = 3;
/// No fragment shorter than this is cut off to fill a packet.
const MIN_FRAGMENT: usize = 128;
/// Silences after which the remote is thought to know nothing of what is under way.
const MAX_PROBES: u32 = 3;

pub(super) struct Outgoing {
    /// What is not under way yet.
    queue: VecDeque<Queued>,
    /// What is under way, from TSN `first` on.
    flight: VecDeque<Sent>,
    first: u64,
    /// Chunks to send again.
    lost: BTreeSet<u64>,
    /// Bytes that are on the path, as far as we know.
    under_way: usize,
    unacknowledged: usize,
    /// Bytes the remote takes beyond what it has acknowledged.
    window: usize,
    congestion: Congestion,
    pub(super) round_trip: RoundTrip,
    /// The number of the next packet, and of the latest that has arrived.
    number: u64,
    arrived: u64,
    ssns: BTreeMap<u16, u16>,
    /// When chunks that were overtaken count as lost.
    lost_at: Option<Instant>,
    /// When something is sent to break the silence, how often it was, and chunks that may leave
    /// for that.
    probe_at: Option<Instant>,
    probes: u32,
    probing: u32,
    /// When the pacer lets go of more.
    paced_until: Option<Instant>,
}

struct Queued {
    stream: u16,
    ppid: u32,
    rest: Bytes,
    has_begun: bool,
}

struct Sent {
    data: Data,
    number: u64,
    at: Instant,
    is_again: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Arrived,
    Lost,
    UnderWay,
}

/// The newest packet of those that a SACK says have arrived.
struct Newest {
    number: u64,
    at: Instant,
    is_again: bool,
}

impl Outgoing {
    pub(super) fn new(tsn: u32, mtu: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            flight: VecDeque::new(),
            // So that TSNs before it can be told apart.
            first: (1 << 32) + u64::from(tsn),
            lost: BTreeSet::new(),
            under_way: 0,
            unacknowledged: 0,
            window: 0,
            congestion: Congestion::new(mtu),
            round_trip: RoundTrip::default(),
            number: 1,
            arrived: 0,
            ssns: BTreeMap::new(),
            lost_at: None,
            probe_at: None,
            probes: 0,
            probing: 0,
            paced_until: None,
        }
    }

    pub(super) fn set_window(&mut self, window: u32) {
        self.window = window as usize;
    }

    pub(super) fn push(&mut self, stream: u16, ppid: u32, message: Bytes) {
        self.unacknowledged += message.len();
        self.queue.push_back(Queued {
            stream,
            ppid,
            rest: message,
            has_begun: false,
        });
    }

    /// Bytes of messages that the remote has not said it has.
    pub(super) fn unacknowledged(&self) -> usize {
        self.unacknowledged
    }

    /// The last TSN in use.
    pub(super) fn last_tsn(&self) -> u32 {
        (self.end() - 1) as u32
    }

    fn end(&self) -> u64 {
        self.first + self.flight.len() as u64
    }

    /// Adds chunks to a packet as far as they fit and may leave.
    pub(super) fn write(&mut self, now: Instant, packet: &mut Vec<u8>, limit: usize) {
        self.paced_until = None;
        if self.lost.is_empty() && self.queue.is_empty() {
            return;
        }
        self.paced_until = self.congestion.handle_turn(now, self.round_trip.smoothed());
        let mut last = None;
        while let Some(tsn) = self.lost.first().copied() {
            let Some(sent) = self.flight.get_mut((tsn - self.first) as usize) else {
                break;
            };
            let length = sent.data.payload.len();
            let may = self.probing > 0
                || self.under_way == 0
                || (self.under_way + length <= self.congestion.window()
                    && self.congestion.has_credit());
            if !may || packet.len() + DATA_HEADER + length > limit {
                break;
            }
            self.lost.pop_first();
            self.probing = self.probing.saturating_sub(1);
            (sent.number, sent.at) = (self.number, now);
            (sent.is_again, sent.state) = (true, State::UnderWay);
            self.under_way += length;
            self.congestion.handle_sent(length);
            last = Some(packet.len());
            write_data(packet, &sent.data);
        }
        if self.lost.is_empty() {
            while let Some(data) = self.cut(limit.saturating_sub(packet.len() + DATA_HEADER)) {
                let length = data.payload.len();
                self.under_way += length;
                self.congestion.handle_sent(length);
                last = Some(packet.len());
                write_data(packet, &data);
                self.flight.push_back(Sent {
                    data,
                    number: self.number,
                    at: now,
                    is_again: false,
                    state: State::UnderWay,
                });
            }
        }
        let Some(last) = last else { return };
        self.number += 1;
        if !self.may_go_on() {
            packet[last + 1] |= FLAG_IMMEDIATE;
        }
        self.probe_at = Some(now + self.round_trip.patience(self.probes));
    }

    /// Whether another packet could follow at once.
    pub(super) fn may_go_on(&self) -> bool {
        let has_more = !self.lost.is_empty() || !self.queue.is_empty();
        has_more && self.may_leave(MIN_FRAGMENT)
    }

    /// Whether a chunk that is new may leave.
    fn may_leave(&self, length: usize) -> bool {
        let under_way = self.under_way + length;
        self.under_way == 0
            || (under_way <= self.congestion.window()
                && under_way <= self.window
                && self.congestion.has_credit())
    }

    /// The next chunk of the queue that fits into so much.
    fn cut(&mut self, space: usize) -> Option<Data> {
        let next = self.queue.front()?;
        // All but the last of a message fill their packet to a multiple of four.
        let length = next.rest.len().min(space & !3);
        let is_last = length == next.rest.len();
        if (!is_last && length < MIN_FRAGMENT) || !self.may_leave(length) {
            return None;
        }
        let tsn = self.end() as u32;
        let next = self.queue.front_mut()?;
        let ssn = self.ssns.entry(next.stream).or_default();
        let begin = if next.has_begun { 0 } else { FLAG_BEGIN };
        let end = if is_last { FLAG_END } else { 0 };
        next.has_begun = true;
        let data = Data {
            flags: begin | end,
            tsn,
            stream: next.stream,
            ssn: *ssn,
            ppid: next.ppid,
            payload: next.rest.split_to(length),
        };
        if is_last {
            *ssn = ssn.wrapping_add(1);
            self.queue.pop_front();
        }
        Some(data)
    }

    /// Learns what has arrived.
    pub(super) fn handle_sack(&mut self, now: Instant, sack: &Sack) {
        let cumulative = extend(self.first - 1, sack.cumulative);
        // An old one, or one that acknowledges what was never sent.
        if cumulative + 1 < self.first || cumulative >= self.end() {
            return;
        }
        self.window = sack.window as usize;
        let under_way = self.under_way;
        let (mut bytes, mut newest) = (0, None);
        while self.first <= cumulative {
            bytes += self.handle_arrival(0, &mut newest);
            self.flight.pop_front();
            self.first += 1;
        }
        let mut seen = 0;
        for (first, last) in sack.gaps() {
            let range = cumulative + u64::from(first)..=cumulative + u64::from(last);
            if first <= seen || last < first || *range.end() >= self.end() {
                break;
            }
            seen = last;
            for tsn in range {
                bytes += self.handle_arrival((tsn - self.first) as usize, &mut newest);
            }
        }
        if let Some(newest) = newest {
            self.handle_news(now, bytes, under_way, &newest);
        }
        if seen > 0 {
            self.find_lost(now, usize::from(seen));
        }
    }

    /// One chunk has arrived; its bytes if that is news.
    fn handle_arrival(&mut self, at: usize, newest: &mut Option<Newest>) -> usize {
        let Some(sent) = self.flight.get_mut(at) else {
            return 0;
        };
        let length = sent.data.payload.len();
        match std::mem::replace(&mut sent.state, State::Arrived) {
            State::Arrived => return 0,
            State::Lost => {
                self.lost.remove(&(self.first + at as u64));
            }
            State::UnderWay => {
                self.under_way -= length;
                if newest.as_ref().is_none_or(|n| n.number <= sent.number) {
                    *newest = Some(Newest {
                        number: sent.number,
                        at: sent.at,
                        is_again: sent.is_again,
                    });
                }
            }
        }
        self.unacknowledged -= length;
        length
    }

    fn handle_news(&mut self, now: Instant, bytes: usize, under_way: usize, newest: &Newest) {
        let took = now.saturating_duration_since(newest.at);
        // RFC 9260 §6.3.1, C5: who knows which of the two it was that arrived.
        if !newest.is_again {
            self.round_trip.observe(took);
        }
        // What came sooner than anything can was the first of the two (RFC 8985 §6.2, step 2).
        if !newest.is_again || took >= self.round_trip.least {
            self.arrived = self.arrived.max(newest.number);
        }
        let numbers = (newest.number, self.number);
        let has_queue = self.round_trip.has_queue();
        self.congestion
            .handle_acknowledged(now, bytes, under_way, numbers, has_queue);
        self.probes = 0;
        self.lost_at = None;
        let waits = self.under_way > 0 || !self.lost.is_empty();
        self.probe_at = waits.then(|| now + self.round_trip.patience(0));
    }

    /// Which of the first so many chunks are lost, or will be soon.
    fn find_lost(&mut self, now: Instant, count: usize) {
        let smoothed = self.round_trip.smoothed().unwrap_or_default();
        let reordering = (smoothed * 9 / 8).max(Duration::from_millis(1));
        self.lost_at = None;
        for (at, sent) in self.flight.iter_mut().enumerate().take(count) {
            if sent.state != State::UnderWay || sent.number >= self.arrived {
                continue;
            }
            if sent.number + REORDERING <= self.arrived || sent.at + reordering <= now {
                let length = sent.data.payload.len();
                sent.state = State::Lost;
                self.under_way -= length;
                self.lost.insert(self.first + at as u64);
                let numbers = (sent.number, self.number);
                self.congestion
                    .handle_lost(now, length, numbers, self.round_trip.least);
            } else {
                let due = sent.at + reordering;
                self.lost_at = Some(self.lost_at.map_or(due, |at| at.min(due)));
            }
        }
    }

    /// Does what is due; whether the remote was silent for too long.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.paced_until.is_some_and(|at| at <= now) {
            self.paced_until = None;
        }
        if self.lost_at.is_some_and(|at| at <= now) {
            self.find_lost(now, self.flight.len());
        }
        if self.probe_at.is_none_or(|at| at > now) {
            return false;
        }
        self.probes += 1;
        let last = self.flight.len().saturating_sub(1);
        if self.probes == MAX_PROBES {
            self.congestion.handle_silence(now, self.number);
            // Even of what it had beyond a gap: it may have let go of that (RFC 9260 §6.2).
            (0..=last).for_each(|at| self.give_up(at));
        }
        self.give_up(0);
        self.give_up(last);
        self.probing = 2.min(self.lost.len()) as u32;
        self.probe_at = Some(now + self.round_trip.patience(self.probes));
        true
    }

    fn give_up(&mut self, at: usize) {
        let Some(sent) = self.flight.get_mut(at) else {
            return;
        };
        let length = sent.data.payload.len();
        match sent.state {
            State::Lost => return,
            State::Arrived if self.probes < MAX_PROBES => return,
            State::Arrived => self.unacknowledged += length,
            State::UnderWay => self.under_way -= length,
        }
        sent.state = State::Lost;
        self.lost.insert(self.first + at as u64);
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timers = [self.lost_at, self.probe_at, self.paced_until];
        timers.into_iter().flatten().min()
    }
}

/// The TSN near `near` that ends in these 32 bits.
pub(super) fn extend(near: u64, tsn: u32) -> u64 {
    near.wrapping_add_signed(i64::from(tsn.wrapping_sub(near as u32).cast_signed()))
}
