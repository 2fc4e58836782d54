//! Headwater's swarms in virtual time.
//!
//! Nodes are real [`Swarm`](headwater_core::swarm::Swarm)s; what is simulated is what surrounds them: links with rate, delay,
//! jitter and finite send buffers, storage, a tracker, and people who watch. Nothing here sleeps,
//! and one seed replays everything.

mod braggart;
mod chaos;
mod crowd;
mod evil;
mod film;
mod link;
mod net;
mod node;
mod origin;
mod play;
mod report;
mod tracker;

pub use braggart::Braggart;
pub use chaos::Chaos;
pub use crowd::{Crowd, OFFERS, UP, VIEWER, film_of};
pub use evil::{Evil, Line};
pub use film::Film;
pub use link::{Halt, Link};
pub use net::Sim;
pub use node::{Node, NodeId, Watch};
pub use origin::{Mood, OriginNumber};
pub use play::{Player, Playing};
pub use report::{Report, bound, median};

/// A moment this many seconds after the start.
pub fn secs(secs: u64) -> headwater_core::time::Instant {
    headwater_core::time::Instant::from_micros(secs * 1_000_000)
}
