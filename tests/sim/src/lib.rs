//! Headwater's swarms in virtual time.
//!
//! Nodes are real [`Swarm`](headwater_core::swarm::Swarm)s; what is simulated is what surrounds them: links with rate, delay and
//! finite send buffers, storage, and people who watch. Nothing here sleeps, and one seed replays
//! everything.

mod film;
mod net;

pub use film::Film;
pub use net::{Link, Node, NodeId, Sim, Watch};

/// A moment this many seconds after the start.
pub fn secs(secs: u64) -> headwater_core::time::Instant {
    headwater_core::time::Instant::from_micros(secs * 1_000_000)
}
