//! What the swarm wants of origins, and what comes of it.

use std::ops::Range;

use headwater_core::ids::Ticket;
use headwater_core::swarm::Input;
use headwater_core::time::Instant;

use super::Torrent;
use crate::origins::FetchDid;

impl Torrent {
    /// Fetches a range of a file of `length` bytes.
    pub(super) fn fetch(&self, ticket: Ticket, url: &str, range: &Range<u64>, length: u64) {
        let (start, end) = (range.start as f64, range.end as f64);
        self.fetcher
            .begin(self.number, ticket.0 as f64, url, start, end, length as f64);
    }

    pub(super) fn cancel_fetch(&self, ticket: Ticket) {
        self.fetcher.end(self.number, ticket.0 as f64);
    }

    pub(crate) fn handle_fetch(&mut self, now: Instant, ticket: Ticket, did: FetchDid) {
        let input = match &did {
            FetchDid::Send(bytes) => Input::Fetched(ticket, bytes),
            FetchDid::End(None) => Input::FetchEnded(ticket),
            FetchDid::End(Some(reason)) => Input::FetchFailed(ticket, reason.clone()),
        };
        self.swarm.handle_input(now, input);
    }
}
