//! Readers that wait for what nobody here has: then somebody else is to be found, now and not when
//! the tracker next expects us.

use super::{Output, Swarm};
use crate::pex::News;
use crate::time::{Duration, Instant};

/// How long a reader waits for what nobody has before others are looked for. In a crowd what is
/// lacking often comes within the second.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long at the most in a crowd, while it is given other things that it wants. When a film begins
/// everybody waits for pieces of which nobody has the whole, and is none the better for asking.
const LONG_PATIENCE: Duration = Duration::from_secs(8);
/// Pieces after our window that tell whether the others have moved on.
const BEYOND: u32 = 4;
/// So many are a crowd.
const MANY: usize = 12;

/// The longest pause before they are looked for again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A hunger that has not been stilled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starving {
    /// When others are looked for next.
    next: Instant,
    /// How long is waited after that.
    pause: Duration,
    /// Until when it is put off while other things come.
    patient_until: Instant,
    /// What had come when that was last looked at.
    received: u64,
}

impl Swarm {
    /// Has others looked for, if somebody reads what none of those who are here has.
    pub(super) fn look_beyond(&mut self) {
        if !self.is_starving() {
            self.starving = None;
            return;
        }
        let received = self.totals.received.total();
        let hunger = self.starving.get_or_insert(Starving {
            next: self.now + PATIENCE,
            pause: PATIENCE * 2,
            patient_until: self.now + LONG_PATIENCE,
            received,
        });
        if hunger.next > self.now {
            return;
        }
        let came = received - core::mem::replace(&mut hunger.received, received);
        let may_wait = came > 0 && self.now < hunger.patient_until;
        if may_wait && self.peers.len() >= MANY && !self.is_left_behind() {
            self.starving = self.starving.map(|hunger| Starving {
                next: self.now + PATIENCE,
                ..hunger
            });
            return;
        }
        let Some(hunger) = &mut self.starving else {
            return;
        };
        hunger.next = self.now + hunger.pause;
        hunger.pause = (hunger.pause * 2).min(MAX_PAUSE);
        self.outputs.push_back(Output::Introduction(News::Starving));
    }

    /// Whether the others have moved on: most of them have something that our window does not reach.
    fn is_left_behind(&self) -> bool {
        let Some(torrent) = &self.torrent else {
            return false;
        };
        let others = self.peers.values().filter(|peer| !peer.is_seed()).count();
        let end = torrent.window.ranges().last().map_or(0, |range| range.end);
        let mut beyond = end..end.saturating_add(BEYOND);
        beyond.any(|piece| torrent.availability.of(piece) as usize * 2 > others)
    }

    /// Whether a reader waits for a piece that nobody has whom we know.
    fn is_starving(&self) -> bool {
        let Some(torrent) = self.torrent.as_ref().filter(|torrent| torrent.fetches()) else {
            return false;
        };
        let waiting = self.waiting.iter();
        let mut heads = waiting.filter_map(|reader| Some(torrent.readers.get(reader)?.head));
        heads.any(|head| {
            let piece = torrent.layout().piece_at(head);
            piece.is_some_and(|(piece, _)| torrent.availability.of(piece.get()) == 0)
        })
    }
}
