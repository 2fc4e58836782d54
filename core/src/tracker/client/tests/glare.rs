//! Two peers that offer to each other at once, at one tracker or at two.

use super::*;

/// A client whose offer `remote` answered, and which answers `remote`'s.
pub(super) fn glare(remote: PeerId) -> (World, PeerKey, PeerKey) {
    let mut world = World::announced(2, 2);
    let (at, offer) = world.offers_out()[0].clone();
    world.hear_offer(1 - at.0, remote);
    let theirs = world.accepted()[0];
    world.tell(Input::AnswerMade(theirs, SDP));
    world.hear_answer(at.0, remote, offer.id);
    let ours = world.applied()[0];
    assert!(world.dropped().is_empty(), "both are kept until one opens");
    (world, ours, theirs)
}

#[test]
fn in_a_glare_the_connection_the_smaller_id_offered_is_kept_whichever_opens_first() {
    for (remote, is_ours_kept) in [(peer(0xff), true), (peer(0), false)] {
        for is_ours_first in [true, false] {
            let (mut world, ours, theirs) = glare(remote);
            let (keep, lose) = if is_ours_kept {
                (ours, theirs)
            } else {
                (theirs, ours)
            };
            world.tell(Input::Opened(if is_ours_first { ours } else { theirs }));
            world.tell(Input::Opened(if is_ours_first { theirs } else { ours }));
            assert_eq!(world.dropped(), [lose]);
            assert_eq!(world.client.remote_id(keep), Some(remote));
        }
    }
}

#[test]
fn in_a_glare_with_webtorrent_the_connection_we_offered_is_kept() {
    let (mut world, ours, theirs) = glare(PeerId(*b"-WW0205-aaaaaaaaaaaa"));
    world.tell(Input::Opened(theirs));
    assert!(world.dropped().is_empty());
    world.tell(Input::Opened(ours));
    assert_eq!(world.dropped(), [theirs]);
}

#[test]
fn in_a_glare_whose_better_half_fails_the_other_half_stays() {
    let (mut world, ours, theirs) = glare(peer(0xff));
    world.tell(Input::Opened(theirs));
    world.tell(Input::ConnectionFailed(ours, "ice"));
    world.pass(secs(60));
    assert!(world.dropped().iter().all(|key| *key != theirs));
    assert!(world.client.remote_id(theirs).is_some());
}

#[test]
fn a_second_offer_from_a_peer_we_have_is_ignored() {
    let mut world = World::announced(2, 0);
    world.hear_offer(0, peer(1));
    world.hear_offer(1, peer(1));
    world.hear_offer(0, OWN);
    assert_eq!(world.accepted().len(), 1);
}
