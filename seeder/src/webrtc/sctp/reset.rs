//! Ending streams (RFC 6525): which of ours are over, and what the remote says of its own.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::wire::{Parameter, response, write_reset};

/// Streams of ours that may wait to be ended.
const MAX_WAITING: usize = 64;
/// When a request that is not answered is made again, and how often it is made.
const RESEND: Duration = Duration::from_secs(1);
const MAX_REQUESTS: u32 = 10;

/// RFC 6525 §4.4.
const NOTHING_TO_DO: u32 = 0;
const PERFORMED: u32 = 1;
const DENIED: u32 = 2;
const BAD_NUMBER: u32 = 5;
const IN_PROGRESS: u32 = 6;

pub(super) struct Resets {
    waiting: BTreeSet<u16>,
    /// The request that is under way, with what it said first of our last TSN.
    asked: Option<Asked>,
    /// The numbers of our next request and of the remote's.
    next: u32,
    expected: u32,
    /// What the remote's last request was answered with.
    answered: u32,
}

struct Asked {
    streams: Vec<u16>,
    last_tsn: u32,
    times: u32,
    again_at: Option<Instant>,
}

impl Resets {
    /// Requests are numbered from our first TSN on.
    pub(super) fn new(next: u32) -> Self {
        Self {
            waiting: BTreeSet::new(),
            asked: None,
            next,
            expected: 0,
            answered: NOTHING_TO_DO,
        }
    }

    pub(super) fn expect(&mut self, first: u32) {
        self.expected = first;
    }

    pub(super) fn push(&mut self, stream: u16) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.insert(stream);
        }
    }

    /// Adds a request to a packet if it is time for one.
    pub(super) fn write(&mut self, now: Instant, last_tsn: u32, packet: &mut Vec<u8>) {
        if self.asked.is_none() && !self.waiting.is_empty() {
            self.asked = Some(Asked {
                streams: std::mem::take(&mut self.waiting).into_iter().collect(),
                last_tsn,
                times: 0,
                again_at: None,
            });
        }
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.again_at.is_none()) {
            asked.times += 1;
            asked.again_at = Some(now + RESEND);
            let numbers = (self.next, self.expected.wrapping_sub(1), asked.last_tsn);
            write_reset(packet, numbers, &asked.streams);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(asked) = &mut self.asked
            && asked.again_at.is_some_and(|at| at <= now)
        {
            asked.again_at = None;
            if asked.times >= MAX_REQUESTS {
                self.finish();
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.asked.as_ref()?.again_at
    }

    pub(super) fn handle_response(&mut self, request: u32, result: u32) {
        if request == self.next && self.asked.is_some() && result != IN_PROGRESS {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.asked = None;
        self.next = self.next.wrapping_add(1);
    }

    /// What to answer a remote's request, and the streams it has ended. `has` knows what has
    /// arrived.
    pub(super) fn handle_request(
        &mut self,
        request: Parameter,
        has: impl Fn(u32) -> bool,
    ) -> (Vec<u8>, Option<Vec<u16>>) {
        let (number, reset) = match request {
            Parameter::OutgoingReset {
                request,
                last_tsn,
                streams,
                ..
            } => (request, Some((last_tsn, streams))),
            Parameter::Other(request) | Parameter::Response { request, .. } => (request, None),
        };
        if number.wrapping_add(1) == self.expected {
            return (response(number, self.answered), None);
        }
        if number != self.expected {
            return (response(number, BAD_NUMBER), None);
        }
        let (result, streams) = match reset {
            // It asks again with the same number.
            Some((last_tsn, _)) if !has(last_tsn) => return (response(number, IN_PROGRESS), None),
            Some((_, streams)) => (PERFORMED, Some(streams)),
            None => (DENIED, None),
        };
        self.expected = self.expected.wrapping_add(1);
        self.answered = result;
        (response(number, result), streams)
    }
}
