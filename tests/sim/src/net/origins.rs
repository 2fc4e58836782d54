//! Web servers in the network: who has one, and the way of its bytes.

use headwater_core::ids::{OriginId, Ticket};
use headwater_core::swarm::Input;
use headwater_core::time::Duration;

use super::Sim;
use super::happenings::Happening;
use crate::origin::Origin;
use crate::{Film, Mood, NodeId, OriginNumber};

/// What may happen on the way to an origin and back.
#[derive(Debug)]
pub(super) enum Errand {
    /// A request reaches it.
    Asked(OriginNumber, NodeId, Ticket, String, std::ops::Range<u64>),
    /// Its uplink is free again.
    Free(OriginNumber),
    /// Bytes stand before a client's own link.
    Reaches(OriginNumber, NodeId, Ticket, Vec<u8>),
    /// A client has them.
    Arrives(OriginNumber, NodeId, Ticket, Vec<u8>),
    /// A client hears that it gets nothing.
    Refused(NodeId, Ticket),
}

impl Sim {
    /// Adds a web server that has `film`, and sends so many bytes a second to all together.
    pub fn origin(&mut self, film: &Film, rate: u64, delay: Duration, mood: Mood) -> OriginNumber {
        let number = OriginNumber(self.origins.len());
        self.origins
            .push(Origin::new(film.clone(), rate, delay, mood));
        number
    }

    /// A node is told of a web server.
    pub fn tell_of(&mut self, id: NodeId, origin: OriginNumber) {
        let url = format!("http://{}.origin/", origin.0);
        let origin = OriginId(origin.0 as u32);
        self.input(id, Input::OriginAdded { origin, url });
        self.turn(id);
    }

    /// A web server behaves otherwise from now on.
    pub fn set_mood(&mut self, origin: OriginNumber, mood: Mood) {
        self.origins[origin.0].mood = mood;
    }

    /// Bytes that left a web server.
    pub fn sent_by(&self, origin: OriginNumber) -> u64 {
        self.origins[origin.0].sent
    }

    pub(super) fn fetch(
        &mut self,
        id: NodeId,
        origin: OriginId,
        ticket: Ticket,
        url: String,
        range: std::ops::Range<u64>,
    ) {
        let origin = OriginNumber(origin.0 as usize);
        self.nodes[id.0].fetches.insert(ticket, origin);
        let asked = Errand::Asked(origin, id, ticket, url, range);
        // There and back, and there again: a connection, then the request.
        self.errand(self.way(id, origin) * 3, asked);
    }

    pub(super) fn cancel_fetch(&mut self, id: NodeId, ticket: Ticket) {
        if let Some(origin) = self.nodes[id.0].fetches.remove(&ticket) {
            self.origins[origin.0].cancel(id, ticket);
            self.pump(origin);
        }
    }

    pub(super) fn run_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Asked(origin, id, ticket, url, range) => {
                if !self.nodes[id.0].fetches.contains_key(&ticket) || self.hosts[id.0].gone {
                    return;
                }
                if self.origins[origin.0].mood == Mood::Refuses {
                    let refused = Errand::Refused(id, ticket);
                    return self.errand(self.way(id, origin), refused);
                }
                self.origins[origin.0].ask(id, ticket, &url, range);
                self.pump(origin);
            }
            Errand::Free(origin) => {
                self.origins[origin.0].is_busy = false;
                self.pump(origin);
            }
            Errand::Reaches(origin, id, ticket, bytes) => {
                let at = self.hosts[id.0].take_in(self.now, bytes.len());
                let arrives = Errand::Arrives(origin, id, ticket, bytes);
                self.errand(at.since(self.now), arrives);
            }
            Errand::Arrives(origin, id, ticket, bytes) => {
                self.origins[origin.0].arrived(id, ticket, bytes.len());
                if self.nodes[id.0].fetches.contains_key(&ticket) {
                    self.input(id, Input::Fetched(ticket, &bytes));
                    self.turn(id);
                }
                self.pump(origin);
            }
            Errand::Refused(id, ticket) => {
                self.nodes[id.0].fetches.remove(&ticket);
                self.input(id, Input::FetchFailed(ticket, "404 Not Found".to_owned()));
                self.turn(id);
            }
        }
    }

    fn pump(&mut self, number: OriginNumber) {
        let origin = &mut self.origins[number.0];
        if origin.is_busy {
            return;
        }
        if let Some((id, ticket, bytes, takes)) = origin.serve() {
            origin.is_busy = true;
            let reaches = Errand::Reaches(number, id, ticket, bytes);
            self.errand(takes, Errand::Free(number));
            self.errand(takes + self.way(id, number), reaches);
        }
    }

    fn way(&self, id: NodeId, origin: OriginNumber) -> Duration {
        self.hosts[id.0].link.delay + self.origins[origin.0].delay
    }

    fn errand(&mut self, after: Duration, errand: Errand) {
        self.schedule(self.now + after, Happening::Errand(errand));
    }
}
