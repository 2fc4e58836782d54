//! The first words of a connection: what is said before the other end has said anything.

use std::cell::Cell;
use std::rc::Rc;

use headwater_core::metainfo::create::Version;
use headwater_core::time::{Duration, Instant};
use headwater_core::wire::{Features, Frame, Message};
use headwater_sim::{Evil, Film, Line, Link, Sim, secs};

const TRIP: Duration = Duration::from_millis(100);
/// A fast line with a long way.
const FAR: Link = Link {
    delay: Duration::from_millis(25),
    jitter: Duration::ZERO,
    ..Link::FAST
};

#[test]
fn the_first_block_is_there_after_a_round_trip_and_a_half() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        let film = Film::single(version, 64 * 1024, 1 << 20);
        let mut sim = Sim::seeded(1);
        let seeder = sim.seeder(&film, FAR);
        let viewer = sim.viewer(&film, FAR);
        sim.connect(viewer, seeder);
        let reader = sim.watch_all(viewer);
        // Half a trip until the channel is open; then half each for the seeder's words, the request
        // and its answer.
        sim.run_until(Instant::START + TRIP * 2 + TRIP / 5);
        let had = sim.node(viewer).watches[&reader].had();
        assert!(had >= 64 * 1024, "{version:?}: {had}");
    }
}

/// Takes a handshake, and nothing else of what comes before it has answered, as WebTorrent does.
#[derive(Debug)]
struct SlowToListen {
    film: Film,
    greeted: Option<Instant>,
    unchoked: Rc<Cell<bool>>,
}

impl Evil for SlowToListen {
    fn opened(&mut self, _: &mut Line) {}

    fn heard(&mut self, line: &mut Line, frame: &Frame<'_>) {
        match frame {
            Frame::Handshake(_) => {
                self.greeted = Some(line.now);
                line.greet(&self.film, Features::ALL, 1);
                line.say(&Message::HaveNone);
                line.say(&Message::Interested);
            }
            Frame::Message(Message::Unchoke) if self.greeted != Some(line.now) => {
                self.unchoked.set(true);
            }
            Frame::Message(_) => {}
        }
    }
}

#[test]
fn who_did_not_listen_before_it_answered_is_told_again_that_it_may_ask() {
    let film = Film::single(Version::V1, 64 * 1024, 1 << 20);
    let mut sim = Sim::seeded(1);
    let seeder = sim.seeder(&film, FAR);
    let unchoked = Rc::new(Cell::new(false));
    let slow = SlowToListen {
        film: film.clone(),
        greeted: None,
        unchoked: unchoked.clone(),
    };
    let slow = sim.stranger(&film, FAR, slow);
    sim.connect(slow, seeder);
    sim.run_until(secs(1));
    assert!(unchoked.get());
}
