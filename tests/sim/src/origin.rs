//! A web server that has the film: requests for ranges in, bytes out, one uplink for all.
//!
//! What it does with a request is its [`Mood`]. The way of its bytes to whoever asked is the
//! network's.

use std::collections::VecDeque;

use headwater_core::ids::Ticket;
use headwater_core::time::Duration;

use crate::{Film, NodeId};

/// Bytes that leave it at a time.
const QUANTUM: usize = 16 * 1024;
/// Bytes on the way to one client before it waits for them to arrive.
const WINDOW: usize = 2048 * 1024;

/// One web server of the simulation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OriginNumber(pub usize);

/// How a web server behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    /// As it should.
    Honest,
    /// Every byte it sends is wrong.
    Lies,
    /// It refuses everything.
    Refuses,
    /// After this many bytes, of all requests together, it says nothing more.
    StallsAfter(u64),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub from: NodeId,
    pub ticket: Ticket,
    file: usize,
    next: u64,
    end: u64,
    pub in_flight: usize,
}

/// One web server.
#[derive(Debug)]
pub(crate) struct Origin {
    film: Film,
    rate: u64,
    pub delay: Duration,
    pub mood: Mood,
    pub requests: VecDeque<Request>,
    pub is_busy: bool,
    pub sent: u64,
}

impl Origin {
    pub fn new(film: Film, rate: u64, delay: Duration, mood: Mood) -> Self {
        Self {
            film,
            rate,
            delay,
            mood,
            requests: VecDeque::new(),
            is_busy: false,
            sent: 0,
        }
    }

    /// A request for bytes of the file at this address.
    pub fn ask(&mut self, from: NodeId, ticket: Ticket, url: &str, range: std::ops::Range<u64>) {
        let layout = self.film.metainfo.layout();
        let name = |file| self.film.metainfo.file_url("http://origin/", file);
        let mut files = layout.content_files();
        let file =
            files.find(|(file, _)| url.ends_with(name(*file).trim_start_matches("http://origin")));
        let file = file.expect("a file that the origin has").0.as_usize();
        self.requests.push_back(Request {
            from,
            ticket,
            file,
            next: range.start,
            end: range.end,
            in_flight: 0,
        });
    }

    /// The next bytes that leave: to whom, and how long that takes.
    pub fn serve(&mut self) -> Option<(NodeId, Ticket, Vec<u8>, Duration)> {
        if let Mood::StallsAfter(bytes) = self.mood
            && self.sent >= bytes
        {
            return None;
        }
        let at = (self.requests.iter()).position(|request| request.in_flight < WINDOW)?;
        let mut request = self.requests.remove(at)?;
        let length = QUANTUM.min((request.end - request.next) as usize);
        let start = request.next as usize;
        let mut bytes = self.film.files[request.file][start..start + length].to_vec();
        if self.mood == Mood::Lies {
            bytes.iter_mut().for_each(|byte| *byte ^= 1);
        }
        request.next += length as u64;
        request.in_flight += length;
        self.sent += length as u64;
        let (from, ticket) = (request.from, request.ticket);
        if request.next < request.end {
            self.requests.push_back(request);
        }
        let takes = Duration::from_micros(length as u64 * 1_000_000 / self.rate);
        Some((from, ticket, bytes, takes))
    }

    /// A client has had some of what it asked for, or wants no more of it.
    pub fn arrived(&mut self, from: NodeId, ticket: Ticket, bytes: usize) {
        let mut requests = self.requests.iter_mut();
        if let Some(request) = requests.find(|r| (r.from, r.ticket) == (from, ticket)) {
            request.in_flight -= bytes;
        }
    }

    pub fn cancel(&mut self, from: NodeId, ticket: Ticket) {
        self.requests
            .retain(|r| (r.from, r.ticket) != (from, ticket));
    }
}
