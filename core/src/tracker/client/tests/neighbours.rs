//! The client among neighbours that introduce it to others.

use super::*;
use crate::pex::{News, Wish};

impl World {
    /// A client without a tracker that answers, among neighbours.
    fn orphaned(offers_wanted: usize) -> Self {
        let mut world = Self::new(config(1, offers_wanted));
        world.tell(Input::Introduced(&News::Carriers(2)));
        world.tell(Input::TrackerClosed(TrackerKey(0), "gone"));
        world.make_offers();
        world.said.clear();
        world
    }

    /// Offers that neighbours were asked to carry.
    fn shown(&self) -> Vec<OfferId> {
        let asked = self.said.iter().filter_map(|output| match output {
            Output::Introduce(Wish::Introduce { id, .. }) => Some(*id),
            _ => None,
        });
        asked.collect()
    }

    fn hear_of(&mut self, from: PeerId) {
        let (via, id, sdp) = (PeerKey(1), OfferId([9; 20]), SDP.into());
        self.tell(Input::Introduced(&News::Offered { via, id, from, sdp }));
    }

    fn declined(&self) -> usize {
        self.count(|output| matches!(output, Output::Introduce(Wish::Decline { .. })))
    }
}

#[test]
fn where_no_tracker_answers_neighbours_are_asked_at_once_and_in_vain_ever_later() {
    let mut world = World::orphaned(5);
    let mut asked = Vec::new();
    for _ in 0..120 {
        world.pass(secs(5));
        world.make_offers();
        for id in world.shown() {
            asked.push(world.now.as_micros() / 1_000_000);
            world.tell(Input::Introduced(&News::Declined { id }));
        }
        world.said.clear();
    }
    assert!(asked[0] < 10, "{asked:?}");
    // Two offers each time, ten minutes long.
    assert!((12..=30).contains(&asked.len()), "{asked:?}");
}

#[test]
fn a_neighbour_that_leaves_has_the_others_asked_anew() {
    let mut world = World::orphaned(5);
    for _ in 0..60 {
        world.pass(secs(5));
        world.make_offers();
        for id in world.shown() {
            world.tell(Input::Introduced(&News::Declined { id }));
        }
        world.said.clear();
    }
    world.tell(Input::Introduced(&News::Carriers(1)));
    for _ in 0..3 {
        world.pass(secs(1));
        world.make_offers();
    }
    assert!(!world.shown().is_empty(), "at once, not after minutes");
}

#[test]
fn while_a_tracker_introduces_us_neighbours_are_left_alone() {
    let mut world = World::announced(1, 3);
    world.tell(Input::Introduced(&News::Carriers(5)));
    world.pass(secs(10));
    assert!(world.shown().is_empty());
    world.pass(secs(30));
    assert_eq!(world.shown().len(), 2, "what nobody answered there");
}

#[test]
fn an_answer_that_neighbours_bring_makes_a_connection_once() {
    let mut world = World::orphaned(5);
    world.pass(secs(2));
    world.make_offers();
    let id = world.shown()[0];
    let answered = |from| News::Answered {
        id,
        from,
        sdp: SDP.into(),
    };
    world.tell(Input::Introduced(&answered(OWN)));
    assert!(world.applied().is_empty());
    world.tell(Input::Introduced(&News::Answered {
        id: OfferId([1; 20]),
        from: peer(1),
        sdp: SDP.into(),
    }));
    assert!(world.applied().is_empty(), "nobody asked for that");
    world.pass(secs(40));
    let id = *world.shown().last().expect("asked again");
    let from = peer(1);
    let sdp = SDP.into();
    world.tell(Input::Introduced(&News::Answered { id, from, sdp }));
    world.tell(Input::Introduced(&answered(peer(2))));
    assert_eq!(world.applied().len(), 1);
}

#[test]
fn an_offer_that_a_neighbour_brings_is_answered_through_it() {
    let mut world = World::orphaned(5);
    world.hear_of(peer(1));
    let accepted = world.said.iter().find_map(|output| match output {
        Output::AcceptOffer(key, _) => Some(*key),
        _ => None,
    });
    world.tell(Input::AnswerMade(accepted.expect("a connection"), SDP));
    let (via, id, sdp) = (PeerKey(1), OfferId([9; 20]), SDP.into());
    let answer = Output::Introduce(Wish::Answer { via, id, sdp });
    assert_eq!(world.said.last(), Some(&answer));
    world.hear_of(peer(1));
    assert_eq!(world.declined(), 1, "one connection to one peer");
}

#[test]
fn neighbours_fill_no_more_than_half_of_us_and_little_at_a_time() {
    let mut world = World::orphaned(5);
    for number in 0..100 {
        world.hear_of(peer(number));
        let accepted: Vec<PeerKey> = world
            .said
            .iter()
            .filter_map(|output| match output {
                Output::AcceptOffer(key, _) => Some(*key),
                _ => None,
            })
            .collect();
        let under_way = accepted.len();
        assert!(under_way <= 4);
        if under_way == 4 {
            for key in accepted {
                world.tell(Input::AnswerMade(key, SDP));
                world.tell(Input::Opened(key));
            }
            world.said.clear();
        }
    }
    assert_eq!(world.client.connections.room(), 25);
}

#[test]
fn who_reads_what_no_neighbour_has_announces_at_once_and_no_more_often_than_allowed() {
    let mut world = World::announced(1, 2);
    for (number, (_, offer)) in (1..).zip(world.offers_out()) {
        world.hear_answer(0, peer(number), offer.id);
    }
    world
        .applied()
        .into_iter()
        .for_each(|key| world.tell(Input::Opened(key)));
    world.said.clear();
    let begun = world.now;
    for _ in 0..30 {
        world.tell(Input::Introduced(&News::Starving));
        world.pass(secs(1));
        world.make_offers();
    }
    let announces = world.announces();
    assert!((2..=3).contains(&announces.len()), "in thirty seconds");
    // Those offers are out when the next is due.
    assert!(!announces[0].1.offers.is_empty());
    assert!(world.now.since(begun) >= secs(30));
}
