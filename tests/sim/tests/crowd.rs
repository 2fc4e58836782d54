//! Crowds, in ranges over seeds: what `cargo xtask bench swarm` measures at length.

use headwater_core::metainfo::create::Version;
use headwater_core::swarm::{Config, Order};
use headwater_core::time::{Duration, Instant};
use headwater_core::wire::extended::State;
use headwater_sim::{
    Braggart, Crowd, Film, Halt, Link, NodeId, OFFERS, Player, Report, Sim, UP, VIEWER, film_of,
    median, secs,
};

const CROWD: Crowd = Crowd {
    viewer: VIEWER,
    seed_up: 2 * UP,
    limited: false,
    viewers: 16,
    pieces: 64,
    piece: 128 * 1024,
    window: 16,
    order: Order::Rarest,
    version: Version::V2,
};

fn median_of(reports: &[Report], of: fn(&Report) -> f64) -> f64 {
    median(reports.iter().map(of).collect())
}

#[test]
fn a_flash_crowd_carries_the_film_through_a_window_of_sixteen_pieces() {
    let reports: Vec<Report> = (0..6).map(|seed| CROWD.run(seed)).collect();
    for report in &reports {
        assert_eq!(report.unfinished, 0);
        // Much of so short a film is its end, where what is late is asked of two.
        assert!(report.duplicates <= 0.05, "{report:?}");
        assert!(report.seed_copies <= 2.5, "{report:?}");
        assert!(report.control <= 0.02, "{report:?}");
    }
    let efficiency = median_of(&reports, |report| report.efficiency);
    assert!(efficiency >= 0.50, "efficiency {efficiency}");
    let offload = median_of(&reports, |report| report.offload);
    assert!(offload >= 0.85, "offload {offload}");
}

#[test]
fn where_only_whole_pieces_are_passed_on_the_seed_deals_whole_pieces() {
    let crowd = Crowd {
        version: Version::V1,
        ..CROWD
    };
    let reports: Vec<Report> = (0..4).map(|seed| crowd.run(seed)).collect();
    for report in &reports {
        assert_eq!(report.unfinished, 0);
        assert!(report.seed_copies <= 3.5, "{report:?}");
    }
    let efficiency = median_of(&reports, |report| report.efficiency);
    assert!(efficiency >= 0.35, "efficiency {efficiency}");
}

#[test]
fn a_seed_that_holds_itself_to_a_limit_is_as_good_as_one_whose_line_is_no_wider() {
    for version in [Version::V1, Version::V2] {
        let held = Crowd {
            viewer: Link {
                up: 40 * UP,
                down: 40 * UP,
                ..VIEWER
            },
            seed_up: 2_000_000,
            limited: true,
            viewers: 8,
            pieces: 192,
            version,
            ..CROWD
        };
        for report in (0..3).map(|seed| held.run(seed)) {
            assert_eq!(report.unfinished, 0);
            assert!(report.efficiency >= 0.7, "{version:?}: {report:?}");
            assert!(report.seed_copies <= 1.3, "{version:?}: {report:?}");
        }
    }
}

#[test]
fn a_seed_that_is_what_the_crowd_waits_for_sends_little_more_than_one_copy() {
    let narrow = Crowd {
        seed_up: UP / 2,
        ..CROWD
    };
    let reports: Vec<Report> = (0..4).map(|seed| narrow.run(seed)).collect();
    assert!(reports.iter().all(|report| report.unfinished == 0));
    let copies = median_of(&reports, |report| report.seed_copies);
    assert!(copies <= 1.25, "copies {copies}");
    let efficiency = median_of(&reports, |report| report.efficiency);
    assert!(efficiency >= 0.75, "efficiency {efficiency}");
}

#[test]
fn a_wider_window_is_no_worse() {
    let wide = Crowd {
        window: 32,
        ..CROWD
    };
    let narrow: Vec<Report> = (0..4).map(|seed| CROWD.run(seed)).collect();
    let wide: Vec<Report> = (0..4).map(|seed| wide.run(seed)).collect();
    let [narrow, wide] =
        [narrow, wide].map(|reports| median_of(&reports, |report| report.efficiency));
    assert!(wide >= narrow * 0.95, "{wide} against {narrow}");
}

/// Eight players that begin together, with a seed that could serve them all.
fn together(seed: u64, film: &Film, player: Player) -> Report {
    let mut sim = Sim::seeded(seed).forgetful();
    let source = Link {
        up: 20 * UP,
        ..VIEWER
    };
    let seeder = sim.seeder(film, source);
    sim.join(seeder, 0);
    let mut players: Vec<(NodeId, _)> = Vec::new();
    for _ in 0..8 {
        let viewer = sim.viewer(film, VIEWER);
        sim.join(viewer, 5);
        players.push((viewer, sim.play(viewer, 0, 0..film.length(), player)));
    }
    sim.run_until_ended(secs(300));
    let report = Report::of(&sim, film.length(), &players);
    assert_eq!(report.unfinished, 0, "seed {seed}");
    assert!(report.stalled <= 3.0, "seed {seed}: {report:?}");
    report
}

#[test]
fn players_in_step_take_most_of_the_load_off_the_seed() {
    for seed in 0..4 {
        let film = film_of(CROWD.pieces, CROWD.piece);
        let report = together(seed, film, Player::of_rate(UP / 2));
        assert!(report.offload >= 0.5, "seed {seed}: {report:?}");
    }
}

#[test]
fn who_has_enough_ahead_leaves_the_seed_alone() {
    let told = Player::of_rate(UP * 4 / 5);
    let untold = Player {
        tells: false,
        ..told
    };
    let film = film_of(160, 256 * 1024);
    let offload = |player| {
        let reports: Vec<Report> = (0..4).map(|seed| together(seed, film, player)).collect();
        median_of(&reports, |report| report.offload)
    };
    let (told, untold) = (offload(told), offload(untold));
    assert!(
        told >= untold + 0.03,
        "{told} where it is told, else {untold}"
    );
}

#[test]
fn a_peer_that_stops_within_a_block_holds_the_head_up_once_and_not_for_long() {
    let film = film_of(160, 256 * 1024);
    for seed in 0..4 {
        let mut sim = Sim::seeded(seed).forgetful();
        let line = Link {
            down: 20 * UP,
            ..VIEWER
        };
        let viewer = sim.viewer_with(film, line, |config| config.window_bytes = 8 << 20);
        let peers = [0; 4].map(|_| sim.seeder(film, VIEWER));
        for peer in peers {
            sim.connect(viewer, peer);
        }
        let reader = sim.watch_all(viewer);
        sim.run_until(secs(3));
        let peer = sim.node(viewer).swarm.peers(sim.now()).remove(0);
        let queue = (u64::from(peer.outstanding) + 1) * 16384;
        let expected = Duration::from_micros(queue * 1_000_000 / peer.receive_rate.max(1));
        sim.halt_after(peers[0], 5000, Halt::Stalls);
        assert!(sim.run_until_ended(secs(60)), "seed {seed}");
        let wait = sim.node(viewer).watches[&reader].longest_wait;
        // What a reader waits where nobody stops is some 20 ms.
        let most = expected * 2 + VIEWER.delay * 4;
        assert!(wait <= most, "seed {seed}: {wait:?} of {most:?}");
    }
}

#[test]
fn who_says_ten_times_what_it_can_is_not_believed_for_long() {
    let film = film_of(160, 256 * 1024);
    let time = |seed: u64, says: u64| {
        let mut sim = Sim::seeded(seed).forgetful();
        let viewer = sim.viewer(
            film,
            Link {
                down: 20 * UP,
                ..VIEWER
            },
        );
        let says = State {
            idle: (says / 1024) as u32,
            ..State::default()
        };
        let link = Link {
            up: UP / 4,
            ..VIEWER
        };
        let braggart = sim.stranger(film, link, Braggart::new(film, says));
        sim.connect(viewer, braggart);
        for _ in 0..2 {
            let honest = sim.seeder(film, VIEWER);
            sim.connect(viewer, honest);
        }
        sim.watch_all(viewer);
        assert!(sim.run_until_ended(secs(120)), "seed {seed}");
        let gave = sim.node(viewer).swarm.peers(sim.now());
        let gave = gave.iter().filter(|peer| peer.received > 0).count();
        assert_eq!(gave, 3, "seed {seed}");
        sim.now().as_micros() as f64
    };
    let changes = (0..4).map(|seed| time(seed, UP / 4 * 10) / time(seed, UP / 4));
    let change = median(changes.collect());
    assert!((0.97..=1.03).contains(&change), "{change}");
}

#[test]
fn a_slow_peer_beside_four_fast_ones_costs_little() {
    let film = film_of(CROWD.pieces, CROWD.piece);
    let time = |seed: u64, ups: &[u64]| {
        let mut sim = Sim::seeded(seed).forgetful();
        let line = Link {
            down: 20 * UP,
            ..VIEWER
        };
        let viewer = sim.viewer(film, line);
        for up in ups {
            let peer = sim.seeder(film, Link { up: *up, ..VIEWER });
            sim.connect(viewer, peer);
        }
        sim.watch_all(viewer);
        sim.run_until_ended(secs(300));
        let stats = sim.node(viewer).swarm.stats(sim.now());
        assert!(stats.wasted * 20 <= stats.received, "{stats:?}");
        sim.now().as_micros() as f64
    };
    let ratios = (0..4).map(|seed| time(seed, &[UP, UP, UP, UP, UP / 20]) / time(seed, &[UP; 4]));
    let ratio = median(ratios.collect());
    assert!(ratio <= 1.1, "{ratio} times as long");
}

#[test]
fn a_thin_seeder_is_used_and_nobody_gives_it_up() {
    let film = film_of(32, 64 * 1024);
    let up = 250_000;
    for seed in 0..3 {
        let mut sim = Sim::seeded(seed).forgetful();
        let seeder = sim.seeder(film, Link { up, ..VIEWER });
        sim.join(seeder, 0);
        for _ in 0..8 {
            let viewer = sim.viewer(film, VIEWER);
            sim.join(viewer, 5);
            sim.watch_all(viewer);
        }
        assert!(sim.run_until_ended(secs(120)), "seed {seed}");
        let (one, sent) = sim.copies()[0].expect("a copy");
        let used = sent as f64 / (up as f64 * one.as_micros() as f64 / 1e6);
        assert!(used >= 0.85, "seed {seed}: {used} of the uplink");
    }
}

#[test]
fn throughput_follows_the_formula() {
    let film = film_of(256, 256 * 1024);
    for (trip, megabits) in [(5, 10), (20, 30), (50, 10), (50, 100)] {
        let mut sim = Sim::seeded(1).forgetful();
        let rate = megabits * 125_000;
        let line = Link {
            up: rate,
            down: 4 * rate,
            delay: Duration::from_micros(trip * 250),
            ..Link::FAST
        };
        let seeder = sim.seeder(film, line);
        let viewer = sim.viewer(film, line);
        sim.connect(viewer, seeder);
        sim.watch_all(viewer);
        // Blocks, not what was read: that comes a piece at a time.
        let received = |sim: &Sim| sim.node(viewer).swarm.stats(sim.now()).received;
        sim.run_until(secs(2));
        let before = received(&sim);
        sim.run_until(secs(4));
        let got = (received(&sim) - before) as f64 / 2.0;
        let share = got / rate as f64;
        assert!(
            (0.9..=1.05).contains(&share),
            "{trip} ms, {megabits} Mbit/s: {share}"
        );
    }
}

#[test]
fn on_fast_lines_nobody_waits_for_what_the_one_in_front_has_let_go() {
    let film = film_of(128, 256 * 1024);
    for seed in 0..3 {
        let mut sim = Sim::seeded(seed).forgetful();
        let line = Link {
            up: 15_000_000,
            down: 30_000_000,
            delay: Duration::from_micros(300),
            jitter: Duration::from_millis(1),
            ..Link::FAST
        };
        let seeder = sim.seeder(
            film,
            Link {
                up: 60_000_000,
                ..line
            },
        );
        for _ in 0..8 {
            let window = 16 * 256 * 1024 * 4 / 3;
            let viewer = sim.viewer_with(film, line, |config| config.window_bytes = window);
            sim.watch_all(viewer);
        }
        sim.connect_all();
        assert!(sim.run_until_ended(secs(10)), "seed {seed}");
        let sent = sim.node(seeder).swarm.stats(sim.now()).sent;
        assert!(sent <= 6 * film.length(), "seed {seed}: {sent} bytes");
    }
}

/// Places of a seed, all of them taken, and of who comes late.
const PLACES: usize = 8;

/// A seed and viewers who have seen its film, stay, and keep its end; and one more, who has met nobody.
fn full_house() -> (Sim, NodeId, Vec<NodeId>, NodeId) {
    const PIECE: u32 = 64 * 1024;
    let film = Film::single(Version::V2, PIECE, 64 * PIECE as usize);
    let mut sim = Sim::seeded(7);
    let seeder = sim.seeder_with(&film, VIEWER, |config| config.max_peers = PLACES);
    sim.join(seeder, 0);
    let viewer = |sim: &mut Sim, places| {
        sim.viewer_with(&film, VIEWER, |config| {
            config.window_bytes = 8 * u64::from(PIECE);
            config.max_peers = places;
        })
    };
    let mut first = Vec::new();
    for _ in 0..PLACES {
        let one = viewer(&mut sim, 2 * PLACES);
        sim.join(one, 4);
        sim.watch_all(one);
        first.push(one);
    }
    sim.run_to_end(secs(60));
    assert!(first.iter().all(|one| sim.are_connected(*one, seeder)));
    let late = viewer(&mut sim, PLACES);
    (sim, seeder, first, late)
}

#[test]
fn a_seed_whose_places_are_all_taken_has_one_for_who_finds_its_film_nowhere_else() {
    let (mut sim, seeder, first, late) = full_house();
    sim.join(late, 4);
    sim.watch_all(late);
    sim.run_to_end(secs(120));
    let stayed = first.iter().filter(|one| sim.are_connected(**one, seeder));
    assert!(
        stayed.count() >= PLACES - 2,
        "more were sent away than had to be"
    );
}

#[test]
fn who_starves_among_neighbours_that_take_all_its_places_has_one_for_the_seed() {
    let (mut sim, _, first, late) = full_house();
    for one in &first {
        sim.connect(late, *one);
    }
    sim.join(late, 0);
    sim.watch_all(late);
    assert!(first.iter().all(|one| sim.are_connected(late, *one)));
    sim.run_to_end(secs(180));
}

/// Forty who read as fast as it comes, with 16 pieces ahead, around one seed with twice their uplink.
fn in_step() -> (Sim, NodeId) {
    let film = film_of(160, 256 * 1024);
    let mut sim = Sim::seeded(1).forgetful();
    let line = Link {
        up: 2 * UP,
        ..VIEWER
    };
    let seeder = sim.seeder(film, line);
    sim.join(seeder, 0);
    for _ in 0..40 {
        let viewer = sim.viewer_with(film, VIEWER, of_sixteen);
        sim.watch_all(viewer);
        sim.join(viewer, OFFERS);
    }
    (sim, seeder)
}

/// Sixteen pieces of 256 KiB ahead.
fn of_sixteen(config: &mut Config) {
    config.window_bytes = 16 * 256 * 1024 * 4 / 3;
}

#[test]
fn nobody_is_dealt_more_than_a_few_blocks_at_a_time() {
    let (mut sim, seeder) = in_step();
    for step in 1..60 {
        sim.run_until(Instant::from_micros(step * 100_000));
        let peers = sim.node(seeder).swarm.peers(sim.now());
        let most = peers.iter().map(|peer| peer.queued).max();
        assert!(most <= Some(5), "{most:?} at {:?}", sim.now());
    }
}

#[test]
fn who_is_behind_all_others_is_served_first() {
    let (mut sim, seeder) = in_step();
    sim.run_until(secs(15));
    let film = film_of(160, 256 * 1024);
    let late = sim.viewer_with(film, VIEWER, of_sixteen);
    sim.connect(late, seeder);
    let reader = sim.watch_all(late);
    sim.run_until(secs(25));
    // The crowd takes half of the seed's uplink. In line with all others it would get a twelfth of
    // what it can take.
    let rate = sim.node(late).watches[&reader].had() / 10;
    assert!(rate > UP / 3, "{rate} bytes a second");
}

#[test]
fn refusals_take_next_to_nothing_of_a_seeds_uplink() {
    let crowd = Crowd {
        viewers: 60,
        pieces: 48,
        piece: 256 * 1024,
        ..CROWD
    };
    let reports: Vec<Report> = (0..3).map(|seed| crowd.run(seed)).collect();
    let control = median_of(&reports, |report| report.seed_control);
    // Where each was answered for itself, and asked for again and again, it was 0.12.
    assert!(control <= 0.06, "{control} of what the seed sent");
}

#[test]
fn who_has_nothing_to_play_is_helped_by_a_seed_with_uplink_to_spare() {
    let film = film_of(96, 128 * 1024);
    let told = Player::of_rate(UP * 4 / 5);
    let untold = Player {
        tells: false,
        ..told
    };
    for seed in 0..4 {
        let (told, untold) = (together(seed, film, told), together(seed, film, untold));
        assert!(
            told.startup <= untold.startup * 0.65,
            "seed {seed}: {told:?}, else {untold:?}"
        );
        assert!(told.offload >= 0.5, "seed {seed}: {told:?}");
    }
}

/// Sixteen players that come one after the other, with most of a film's window ahead of each.
fn coming(seed: u64) -> Report {
    let film = film_of(240, 256 * 1024);
    let mut sim = Sim::seeded(seed).forgetful();
    let source = Link {
        up: 80 * UP,
        ..VIEWER
    };
    let seeder = sim.seeder(film, source);
    sim.join(seeder, 0);
    let mut players: Vec<(NodeId, _)> = Vec::new();
    for number in 0..16 {
        sim.run_until(Instant::START + Duration::from_millis(1300) * number);
        let viewer = sim.viewer_with(film, VIEWER, |config| config.window_bytes = 40 << 20);
        sim.join(viewer, OFFERS);
        let player = Player::of_rate(UP * 4 / 5);
        players.push((viewer, sim.play(viewer, 0, 0..film.length(), player)));
    }
    sim.run_until_ended(secs(300));
    Report::of(&sim, film.length(), &players)
}

#[test]
fn who_comes_while_others_watch_sees_the_film_at_once_and_without_a_stop() {
    let reports: Vec<Report> = (0..6).map(coming).collect();
    // A picture wants a second of the film, which alone takes a fifth of one.
    let startup = median_of(&reports, |report| report.startup);
    assert!(startup <= 0.6, "{startup} s");
    // Where what a player needs now was asked of whoever had room, it stood for 1.2 s.
    let stalled = median_of(&reports, |report| report.stalled);
    assert!(stalled <= 0.25, "{stalled} s");
    let offload = median_of(&reports, |report| report.offload);
    assert!(offload >= 0.7, "{offload}");
}

#[test]
fn nobody_looks_for_others_while_a_crowd_gets_going() {
    let film = film_of(160, 256 * 1024);
    let mut sim = Sim::seeded(1).forgetful();
    // Most have no connection to the seed, and wait for what nobody has whom they know.
    let seeder = sim.seeder_with(film, VIEWER, |config| config.max_peers = 12);
    sim.join(seeder, 0);
    let join = |_| {
        let viewer = sim.viewer_with(film, VIEWER, of_sixteen);
        sim.watch_all(viewer);
        sim.join(viewer, OFFERS);
        viewer
    };
    let viewers: Vec<NodeId> = (0..40).map(join).collect();
    sim.run_until(secs(8));
    let looked = |viewer: &&NodeId| !sim.node(**viewer).starved.is_empty();
    let looked = viewers.iter().filter(looked).count();
    assert!(looked <= 3, "{looked} of 40 looked for others");
}
