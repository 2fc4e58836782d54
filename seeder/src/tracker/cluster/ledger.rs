//! What stands in Redis: of each swarm two sorted sets, seeds and leechers, whose members are the
//! trackers that have some over WebRTC and whose scores are how many; how often it was completed;
//! and a channel for each tracker. Peers over TCP stand beside them ([`super::addresses`]).
//!
//! No peer over WebRTC is written there: what a dead tracker leaves behind is one member a swarm,
//! which the first that looks for it takes out, and Redis itself an hour later.

use headwater_core::ids::SwarmHash;
use headwater_core::tracker::server::{Abroad, Change, MAX_SHARES, NodeKey, Share};

use super::addresses;
use super::redis::{Commands, Reply};

/// Seconds after which a set that nobody wrote to is gone.
const FORGOTTEN_AFTER: &[u8] = b"3600";

/// The same for the number of those that completed, which is written more seldom.
const COMPLETED_FORGOTTEN_AFTER: &[u8] = b"604800";

const COMPLETED: &str = "completed";
const SEEDS: &str = "seeds";
const LEECHERS: &str = "leechers";

pub(super) fn set_of(kind: &str, swarm: SwarmHash) -> String {
    let hex: String = swarm.0.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("headwater:{kind}:{hex}")
}

fn name_of(node: NodeKey) -> String {
    format!("{:016x}", node.0)
}

fn node_named(name: &[u8]) -> Option<NodeKey> {
    let name = std::str::from_utf8(name).ok()?;
    let key = u64::from_str_radix(name, 16).ok().map(NodeKey)?;
    (name_of(key) == name).then_some(key)
}

/// Where a tracker hears what is handed to it.
pub(super) fn channel_of(node: NodeKey) -> String {
    format!("headwater:to:{}", name_of(node))
}

/// Say what is new of a swarm.
pub(super) fn tell(commands: &mut Commands, swarm: SwarmHash, change: &Change) {
    tell_share(commands, swarm, &change.share);
    if change.completed > 0 {
        let (key, more) = (set_of(COMPLETED, swarm), change.completed.to_string());
        commands.push(&[b"INCRBY", key.as_bytes(), more.as_bytes()]);
        commands.push(&[b"EXPIRE", key.as_bytes(), COMPLETED_FORGOTTEN_AFTER]);
    }
}

/// Say what a tracker has of a swarm.
fn tell_share(commands: &mut Commands, swarm: SwarmHash, share: &Share) {
    let name = name_of(share.node);
    for (kind, count) in [(SEEDS, share.seeds), (LEECHERS, share.leechers)] {
        let set = set_of(kind, swarm);
        match count {
            0 => commands.push(&[b"ZREM", set.as_bytes(), name.as_bytes()]),
            _ => {
                let count = count.to_string();
                commands.push(&[b"ZADD", set.as_bytes(), count.as_bytes(), name.as_bytes()]);
                commands.push(&[b"EXPIRE", set.as_bytes(), FORGOTTEN_AFTER]);
            }
        }
    }
}

/// A tracker is gone: it has nothing of this swarm.
pub(super) fn strike(commands: &mut Commands, swarm: SwarmHash, node: NodeKey) {
    let (seeds, leechers) = (0, 0);
    let share = Share {
        node,
        seeds,
        leechers,
    };
    tell_share(commands, swarm, &share);
}

/// Replies that a look gets.
pub(super) const REPLIES: usize = 5;

/// Ask which trackers have most of a swarm, and what hangs on none of them.
pub(super) fn look(commands: &mut Commands, swarm: SwarmHash) {
    let last = MAX_SHARES.to_string();
    for kind in [SEEDS, LEECHERS] {
        let set = set_of(kind, swarm);
        let words = [
            b"ZREVRANGE",
            set.as_bytes(),
            b"0",
            last.as_bytes(),
            b"WITHSCORES",
        ];
        commands.push(&words);
    }
    addresses::count(commands, swarm);
    commands.push(&[b"GET", set_of(COMPLETED, swarm).as_bytes()]);
}

/// What the others have, from the replies to a look. What is nobody's name and no number is passed
/// over.
pub(super) fn abroad(replies: &[Reply], own: NodeKey) -> Abroad {
    let count = |at: usize| match replies.get(at) {
        Some(Reply::Integer(count)) => u64::try_from(*count).unwrap_or(0),
        Some(Reply::Bytes(text)) => count_in(text).map_or(0, u64::from),
        _ => 0,
    };
    Abroad {
        shares: shares(replies, own),
        plain_seeds: count(2),
        plain_leechers: count(3),
        downloaded: count(4),
    }
}

fn shares(replies: &[Reply], own: NodeKey) -> Vec<Share> {
    let mut shares: Vec<Share> = Vec::new();
    for (reply, is_seeds) in replies.iter().zip([true, false]) {
        for pair in reply.values().chunks_exact(2) {
            let node = pair[0].bytes().and_then(node_named);
            let count = pair[1].bytes().and_then(count_in);
            let (Some(node), Some(count)) = (node.filter(|node| *node != own), count) else {
                continue;
            };
            let at = shares.iter().position(|share| share.node == node);
            let at = at.unwrap_or_else(|| {
                let (seeds, leechers) = (0, 0);
                shares.push(Share {
                    node,
                    seeds,
                    leechers,
                });
                shares.len() - 1
            });
            match is_seeds {
                true => shares[at].seeds = count,
                false => shares[at].leechers = count,
            }
        }
    }
    shares
}

/// A score: a number that may be anything.
fn count_in(text: &[u8]) -> Option<u32> {
    let score: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (1.0..=1e9).contains(&score).then_some(score as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_is_read_and_a_strangers_words_are_passed_over() {
        let set = |pairs: &[(&str, &str)]| {
            let words = pairs.iter().flat_map(|(name, score)| [name, score]);
            Reply::Array(
                words
                    .map(|word| Reply::Bytes(word.as_bytes().to_vec()))
                    .collect(),
            )
        };
        let (own, other) = (NodeKey(1), NodeKey(0xab));
        let replies = [
            set(&[
                ("00000000000000ab", "3"),
                ("0000000000000001", "9"),
                ("ab", "5"),
                ("", "1"),
            ]),
            set(&[
                ("00000000000000ab", "1e2"),
                ("00000000000000AC", "1"),
                ("00000000000000ad", "inf"),
                ("00000000000000ae", "-1"),
                ("00000000000000af", "nan"),
                ("+0000000000000af", "1"),
            ]),
        ];
        let expected = Share {
            node: other,
            seeds: 3,
            leechers: 100,
        };
        assert_eq!(shares(&replies, own), [expected]);
        let wrong = [Reply::Error("WRONGTYPE".into()), Reply::Integer(1)];
        assert!(shares(&wrong, own).is_empty());
        assert!(shares(&[Reply::Array(vec![Reply::Other; 7])], own).is_empty());
        let numbers = [-1, 5].map(Reply::Integer);
        let replies = [&wrong[..], &numbers, &[Reply::Bytes(b"12".to_vec())]].concat();
        let abroad = abroad(&replies, own);
        let found = (abroad.plain_seeds, abroad.plain_leechers, abroad.downloaded);
        assert_eq!(found, (0, 5, 12));
    }
}
