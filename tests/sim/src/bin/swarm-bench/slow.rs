//! Peers that are slow, stall, are loaded or thin: nobody is waited for.

use headwater_core::time::{Duration, Instant};
use headwater_core::wire::extended::State;
use headwater_sim::{Braggart, Film, Halt, Link, NodeId, OFFERS, Sim, UP, VIEWER, secs};

use crate::crowd::{PIECE, film};
use crate::sheet::{Case, Figure};

const PIECES: u64 = 160;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "slow",
            "four peers and one at a twentieth of their rate",
            slow,
        ),
        Case::new(
            "stall",
            "four peers, one of which stops within a block",
            stall,
        ),
        Case::new(
            "loaded",
            "two sources, one of them with nine others at it",
            loaded,
        ),
        Case::new(
            "boast",
            "two peers and one at a quarter of their rate, which says ten times that",
            boast,
        ),
        Case::new("thin", "a seeder of 2 Mbit/s with 8 leechers", thin),
    ]
}

/// One viewer on a fast line and these peers, all with everything.
fn viewer(seed: u64, film: &Film, ups: &[u64]) -> (Sim, NodeId, Vec<NodeId>) {
    let mut sim = Sim::seeded(seed);
    let source = |up| Link { up, ..VIEWER };
    let peers: Vec<NodeId> = ups.iter().map(|up| sim.seeder(film, source(*up))).collect();
    let line = Link {
        down: 20 * UP,
        ..VIEWER
    };
    let viewer = sim.viewer_with(film, line, |config| {
        config.window_bytes = 32 * u64::from(PIECE);
    });
    peers.iter().for_each(|peer| sim.connect(viewer, *peer));
    (sim, viewer, peers)
}

fn took(sim: &Sim) -> f64 {
    sim.now().since(sim.started()).as_secs_f64()
}

fn duplicates(sim: &Sim, viewer: NodeId) -> Figure {
    let stats = sim.node(viewer).swarm.stats(sim.now());
    let share = stats.wasted as f64 / stats.received.max(1) as f64;
    Figure::new("duplicates", "%", share * 100.0).aim("<= 3")
}

fn slow(seed: u64) -> Vec<Figure> {
    let film = film(PIECES);
    let run = |ups: &[u64]| {
        let (mut sim, viewer, _) = viewer(seed, film, ups);
        let reader = sim.watch_all(viewer);
        sim.run_until_ended(secs(600));
        let wait = sim.node(viewer).watches[&reader].longest_wait;
        (took(&sim), wait, duplicates(&sim, viewer))
    };
    let (alone, calm, _) = run(&[UP; 4]);
    let (with, wait, duplicates) = run(&[UP, UP, UP, UP, UP / 20]);
    vec![
        Figure::new("cost of the slow one", "%", (with / alone - 1.0) * 100.0).aim("<= 5"),
        Figure::new("longest wait at the head", "ms", millis(wait)),
        Figure::new("the same without it", "ms", millis(calm)),
        duplicates,
    ]
}

fn stall(seed: u64) -> Vec<Figure> {
    let film = film(PIECES);
    let run = |stalls: bool| {
        let (mut sim, viewer, peers) = viewer(seed, film, &[UP; 4]);
        let reader = sim.watch_all(viewer);
        sim.run_until(secs(3));
        let peer = sim.node(viewer).swarm.peers(sim.now()).remove(0);
        let queue = f64::from(peer.outstanding + 1) * 16384.0;
        let expected = queue / peer.receive_rate.max(1) as f64 * 1000.0;
        if stalls {
            // In the middle of a block, whichever that is.
            sim.halt_after(peers[0], 5000 + seed * 977 % 16384, Halt::Stalls);
        }
        sim.run_until_ended(secs(600));
        let wait = millis(sim.node(viewer).watches[&reader].longest_wait);
        (wait, expected, took(&sim), duplicates(&sim, viewer))
    };
    let (calm, expected, before, _) = run(false);
    let (wait, _, after, duplicates) = run(true);
    let trip = 2.0 * millis(VIEWER.delay * 2);
    vec![
        Figure::new("added at the head", "ms", (wait - calm).max(0.0))
            .aim(format!("<= {:.0}", 2.0 * expected + trip / 2.0)),
        Figure::new("expected time of a block", "ms", expected),
        Figure::new("longest wait without", "ms", calm),
        Figure::new("time against four, and three", "", after / before),
        duplicates,
    ]
}

fn loaded(seed: u64) -> Vec<Figure> {
    let film = film(PIECES);
    let mut sim = Sim::seeded(seed);
    let free = sim.seeder(film, VIEWER);
    let loaded = sim.seeder(film, VIEWER);
    for _ in 0..9 {
        let other = sim.viewer(film, VIEWER);
        sim.connect(other, loaded);
        sim.watch_all(other);
    }
    sim.run_until(secs(5));
    let viewer = sim.viewer(film, VIEWER);
    sim.connect(viewer, free);
    sim.connect(viewer, loaded);
    let reader = sim.watch_all(viewer);
    let start = sim.now();
    sim.run_while(secs(1000), |sim| {
        sim.node(viewer).watches[&reader].ended.is_none()
    });
    let took = sim.now().since(start).as_secs_f64();
    // Half from each, of the loaded one its tenth.
    let uniform = film.length() as f64 / 2.0 / (UP as f64 / 10.0);
    let best = film.length() as f64 / (UP as f64 * 1.1);
    vec![
        Figure::new("time against uniform choice", "", took / uniform).aim("<= 0.70"),
        Figure::new("time against the best", "", took / best),
        duplicates(&sim, viewer),
    ]
}

fn boast(seed: u64) -> Vec<Figure> {
    let film = film(PIECES);
    let rate = UP / 4;
    let run = |says: u64| {
        let (mut sim, viewer, _) = viewer(seed, film, &[UP; 2]);
        let says = State {
            idle: (says / 1024) as u32,
            ..State::default()
        };
        let link = Link { up: rate, ..VIEWER };
        let braggart = sim.stranger(film, link, Braggart::new(film, says));
        sim.connect(viewer, braggart);
        let reader = sim.watch_all(viewer);
        sim.run_until_ended(secs(600));
        let wait = sim.node(viewer).watches[&reader].longest_wait;
        (took(&sim), wait, duplicates(&sim, viewer))
    };
    let (honest, calm, _) = run(rate);
    let (boasting, wait, duplicates) = run(rate * 10);
    let change = (boasting / honest - 1.0).abs() * 100.0;
    vec![
        Figure::new("change of completion", "%", change).aim("<= 3"),
        Figure::new("longest wait at the head", "ms", millis(wait)),
        Figure::new("the same where it says the truth", "ms", millis(calm)),
        duplicates,
    ]
}

fn thin(seed: u64) -> Vec<Figure> {
    let film = film(40);
    let mut sim = Sim::seeded(seed);
    let up = 250_000;
    let seeder = sim.seeder(film, Link { up, ..VIEWER });
    sim.join(seeder, 0);
    let viewers: Vec<NodeId> = (0..8).map(|_| sim.viewer(film, VIEWER)).collect();
    for viewer in &viewers {
        sim.join(*viewer, OFFERS);
        sim.watch_all(*viewer);
    }
    let (mut next, mut snubs) = (Instant::START, 0);
    let mut counted = |sim: &Sim| {
        if sim.now() >= next {
            next = sim.now() + Duration::from_millis(500);
            let peers = viewers
                .iter()
                .flat_map(|id| sim.node(*id).swarm.peers(sim.now()));
            snubs += peers.filter(|peer| peer.seed && peer.snubbed).count();
        }
    };
    let all = |sim: &Sim| {
        let mut watches = viewers.iter().flat_map(|id| sim.node(*id).watches.values());
        watches.all(|watch| watch.ended.is_some())
    };
    sim.run_while(secs(1000), |sim| {
        counted(sim);
        sim.copies()[0].is_none()
    });
    let one = sim.now().as_micros() as f64 / 1e6;
    let sent = sim.node(seeder).swarm.stats(sim.now()).sent as f64;
    sim.run_while(secs(1000), |sim| {
        counted(sim);
        !all(sim)
    });
    let dropped = |event: &headwater_core::swarm::Event| {
        use headwater_core::swarm::Event;
        matches!(
            event,
            Event::PeerClosed {
                fault: Some(headwater_core::peer::Fault::Silent),
                ..
            }
        )
    };
    let drops = viewers
        .iter()
        .flat_map(|id| &sim.node(*id).events)
        .filter(|event| dropped(event));
    let copies = sim.node(seeder).swarm.stats(sim.now()).sent as f64 / film.length() as f64;
    vec![
        Figure::new("peers dropped as silent", "", drops.count() as f64).aim("0"),
        Figure::new("seconds the seeder was snubbed", "s", snubs as f64 / 2.0).aim("0"),
        Figure::new(
            "uplink used until one copy",
            "%",
            100.0 * sent / (f64::from(up as u32) * one),
        )
        .aim(">= 92"),
        Figure::new(
            "efficiency",
            "",
            film.length() as f64 / up as f64 / took(&sim),
        ),
        Figure::new("copies sent by the seed", "", copies),
    ]
}

const fn millis(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}
