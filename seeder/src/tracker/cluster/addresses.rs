//! The peers over TCP of a swarm, which stand in Redis by address: two sorted sets, seeds and
//! leechers, whose members are the peers and whose scores are the seconds at which they are gone.
//!
//! Unlike those over WebRTC they hang on no tracker, so they outlive the one they announced to. A
//! look draws a few of them by lot, however many there are.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use headwater_core::ids::{PeerId, SwarmHash};
use headwater_core::tracker::server::{Drawn, MAX_ADDRESSES, PlainAnnounce, PlainPeer};

use super::ledger::set_of;
use super::redis::{Commands, Reply};

const SEEDS: &str = "tcp-seeds";
const LEECHERS: &str = "tcp-leechers";

/// Bytes of a peer's id, and of its address in front of it.
const ID: usize = 20;
const FOUR: usize = 6;
const SIX: usize = 18;

/// Seconds since 1970: all that the trackers' clocks have in common.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// A peer as it stands in a set: what a compact answer has of it (BEP 23, BEP 7), and its id.
fn member_of((address, id): PlainPeer) -> Vec<u8> {
    let mut member = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    member.extend_from_slice(&address.port().to_be_bytes());
    member.extend_from_slice(&id.0);
    member
}

fn peer_in(member: &[u8]) -> Option<PlainPeer> {
    let (address, id) = member.split_at_checked(member.len().checked_sub(ID)?)?;
    let (ip, port) = address.split_last_chunk()?;
    let ip: IpAddr = match address.len() {
        FOUR => <[u8; FOUR - 2]>::try_from(ip).ok()?.into(),
        SIX => <[u8; SIX - 2]>::try_from(ip).ok()?.into(),
        _ => return None,
    };
    let port = Some(u16::from_be_bytes(*port)).filter(|port| *port > 0)?;
    let id = PeerId(id.try_into().ok()?);
    Some((SocketAddr::new(ip, port), id))
}

/// Say that a peer is there for so long, or gone, and who had its address before.
pub(super) fn tell(
    commands: &mut Commands,
    announce: &PlainAnnounce,
    replaced: Option<PeerId>,
    life: Duration,
) {
    let now = seconds();
    let own = match (announce.is_stopped(), announce.is_seed()) {
        (true, _) => None,
        (false, true) => Some(SEEDS),
        (false, false) => Some(LEECHERS),
    };
    let member = member_of((announce.address, announce.peer_id));
    let before = replaced.map(|id| member_of((announce.address, id)));
    for kind in [SEEDS, LEECHERS] {
        let set = set_of(kind, announce.info_hash);
        let set = set.as_bytes();
        let gone = format!("{now}");
        commands.push(&[b"ZREMRANGEBYSCORE", set, b"-inf", gone.as_bytes()]);
        if let Some(before) = &before {
            commands.push(&[b"ZREM", set, before]);
        }
        if own == Some(kind) {
            let (until, life) = (
                (now + life.as_secs()).to_string(),
                life.as_secs().to_string(),
            );
            commands.push(&[b"ZADD", set, until.as_bytes(), &member]);
            commands.push(&[b"EXPIRE", set, life.as_bytes()]);
        } else {
            commands.push(&[b"ZREM", set, &member]);
        }
    }
}

/// Ask how many there are: two replies, seeds and leechers.
pub(super) fn count(commands: &mut Commands, swarm: SwarmHash) {
    let now = format!("({}", seconds());
    for kind in [SEEDS, LEECHERS] {
        let set = set_of(kind, swarm);
        commands.push(&[b"ZCOUNT", set.as_bytes(), now.as_bytes(), b"+inf"]);
    }
}

/// Replies that a draw gets.
pub(super) const REPLIES: usize = 2;

/// Ask for some of them, by lot: the asker itself and twice as many as are wanted, for we may have
/// chosen half of them among our own already.
pub(super) fn draw(commands: &mut Commands, announce: &PlainAnnounce) {
    let wanted = 2 * announce.wanted.min(MAX_ADDRESSES) + 1;
    let seeds = if announce.is_seed() { 0 } else { wanted };
    for (kind, count) in [(SEEDS, seeds), (LEECHERS, wanted)] {
        let (set, count) = (set_of(kind, announce.info_hash), count.to_string());
        commands.push(&[b"ZRANDMEMBER", set.as_bytes(), count.as_bytes()]);
    }
}

/// Who was drawn. What is nobody's address is passed over.
pub(super) fn drawn(replies: &[Reply]) -> Drawn {
    let peers = |at: usize| {
        let members = replies.get(at).map_or(&[][..], Reply::values);
        let members = members.iter().filter_map(Reply::bytes);
        members.filter_map(peer_in).collect()
    };
    Drawn {
        seeds: peers(0),
        leechers: peers(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_read_as_it_was_written_and_a_strangers_bytes_are_passed_over() {
        let peers = ["192.0.2.1:6881", "[2001:db8::1]:1"].map(|address| {
            let address: SocketAddr = address.parse().expect("an address");
            (address, PeerId([7; 20]))
        });
        let bytes = |bytes: &[u8]| Reply::Bytes(bytes.to_vec());
        let mut members: Vec<Reply> = peers.map(|peer| bytes(&member_of(peer))).into();
        members.extend((0..60).map(|length| bytes(&vec![0; length])));
        members.push(Reply::Integer(1));
        let replies = [Reply::Error("WRONGTYPE".into()), Reply::Array(members)];
        let found = drawn(&replies);
        assert_eq!((found.seeds, found.leechers), (Vec::new(), peers.to_vec()));
        assert_eq!(drawn(&[]), Drawn::default());
    }
}
