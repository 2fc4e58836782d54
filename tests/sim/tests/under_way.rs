//! Pieces under way: blocks that are proven alone are passed on before their piece is whole.

use headwater_core::metainfo::create::Version;
use headwater_core::peer::Fault;
use headwater_core::swarm::Event;
use headwater_core::time::Instant;
use headwater_core::wire::extended::{Blocks, ExtendedHandshake, HANDSHAKE_ID, HW_BLOCKS};
use headwater_core::wire::{Features, Frame, Message};
use headwater_sim::{Evil, Film, Line, Link, NodeId, Sim, secs};

const MIB: usize = 1 << 20;
/// A piece takes eight seconds.
const SLOW: Link = Link {
    up: 128 * 1024,
    ..Link::HOME
};

/// A film of one large piece goes from a slow seeder through one viewer to another: when each has it.
fn in_a_row(version: Version) -> [Instant; 2] {
    let film = Film::single(version, MIB as u32, MIB);
    let mut sim = Sim::seeded(1);
    let seeder = sim.seeder(&film, SLOW);
    let viewers = [sim.viewer(&film, SLOW), sim.viewer(&film, SLOW)];
    sim.connect(viewers[0], seeder);
    sim.connect(viewers[1], viewers[0]);
    let readers = viewers.map(|viewer| sim.watch_all(viewer));
    sim.run_to_end(secs(60));
    [0, 1].map(|at| {
        let node = sim.node(viewers[at]);
        assert!(node.read(readers[at]) == film.files[0], "{version:?}");
        node.watches[&readers[at]].ended.expect("it ended")
    })
}

#[test]
fn a_block_goes_on_before_its_piece_is_whole() {
    for version in [Version::V2, Version::Hybrid] {
        let [first, second] = in_a_row(version);
        let behind = second.since(first);
        assert!(
            behind < secs(2).since(Instant::START),
            "{version:?}: {behind:?}"
        );
    }
}

#[test]
fn what_cannot_be_proven_alone_is_not_passed_on() {
    let [first, second] = in_a_row(Version::V1);
    let behind = second.since(first);
    assert!(behind > secs(7).since(Instant::START), "{behind:?}");
}

/// Says this of the blocks of the first piece as soon as it may, and gives nothing.
#[derive(Debug)]
struct Boaster {
    film: Film,
    bits: Vec<u8>,
    piece: u32,
}

impl Evil for Boaster {
    fn opened(&mut self, line: &mut Line) {
        line.greet(&self.film, Features::ALL, 1);
        line.say(&Message::HaveNone);
        line.say(&Message::Unchoke);
    }

    fn heard(&mut self, line: &mut Line, frame: &Frame<'_>) {
        let Frame::Message(Message::Extended {
            id: HANDSHAKE_ID,
            payload,
        }) = frame
        else {
            return;
        };
        let theirs = ExtendedHandshake::parse(payload).expect("a handshake");
        let id = theirs.id_of(HW_BLOCKS).expect("it knows the word");
        let (piece, bits) = (self.piece, &self.bits);
        let payload = &Blocks { piece, bits }.to_payload();
        line.say(&Message::Extended { id, payload });
    }
}

/// A viewer between one who boasts and an honest seeder; whom it dropped, and whether the film came.
fn beside_a_boaster(piece: u32, bits: &[u8]) -> (Option<Fault>, bool) {
    let film = Film::single(Version::V2, 256 * 1024, 4 * MIB);
    let mut sim = Sim::seeded(3);
    let boaster = Boaster {
        film: film.clone(),
        bits: bits.to_vec(),
        piece,
    };
    let boaster = sim.stranger(&film, Link::FAST, boaster);
    let viewer = sim.viewer(&film, Link::FAST);
    sim.connect(viewer, boaster);
    let reader = sim.watch_all(viewer);
    sim.run_until(secs(1));
    let seeder = sim.seeder(&film, Link::HOME);
    sim.connect(viewer, seeder);
    let ended = sim.run_until_ended(secs(30));
    let node = sim.node(viewer);
    let dropped = node.events.iter().find_map(|event| match event {
        Event::PeerClosed { name, fault, .. } if *name == name_of(boaster) => *fault,
        _ => None,
    });
    (dropped, ended && node.read(reader) == film.files[0])
}

fn name_of(node: NodeId) -> String {
    format!("node {}", node.0)
}

#[test]
fn offers_of_blocks_that_a_piece_has_not_are_the_end_of_it() {
    for (piece, bits) in [
        (0, &[0xff; 3][..]),
        (0, &[0xff]),
        (16, &[0xff; 2]),
        (u32::MAX, &[]),
    ] {
        let outcome = beside_a_boaster(piece, bits);
        assert_eq!(outcome, (Some(Fault::BadMessage), true), "{piece} {bits:?}");
    }
}

#[test]
fn one_who_offers_blocks_and_gives_none_is_not_waited_for() {
    assert_eq!(beside_a_boaster(0, &[0xff; 2]), (None, true));
    assert_eq!(beside_a_boaster(0, &[0; 2]), (None, true));
    assert_eq!(beside_a_boaster(0, &[]), (None, true));
}
