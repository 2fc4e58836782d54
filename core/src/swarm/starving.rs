//! Readers that wait for what nobody here has: then somebody else is to be found, now and not when
//! the tracker next expects us.

use super::{Output, Swarm};
use crate::pex::News;
use crate::time::{Duration, Instant};

/// How long a reader waits for what nobody has before others are looked for. In a crowd what is
/// lacking often comes within the second.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest pause before they are looked for again.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A hunger that has not been stilled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starving {
    /// When others are looked for next.
    next: Instant,
    /// How long is waited after that.
    pause: Duration,
}

impl Swarm {
    /// Has others looked for, if somebody reads what none of those who are here has.
    pub(super) fn look_beyond(&mut self) {
        if !self.is_starving() {
            self.starving = None;
            return;
        }
        let hunger = self.starving.get_or_insert(Starving {
            next: self.now + PATIENCE,
            pause: PATIENCE * 2,
        });
        if hunger.next > self.now {
            return;
        }
        hunger.next = self.now + hunger.pause;
        hunger.pause = (hunger.pause * 2).min(MAX_PAUSE);
        self.outputs.push_back(Output::Introduction(News::Starving));
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
