//! An upload limit, as a seeder's driver keeps one: a bucket that all connections drink from in turn.

use headwater_core::bucket::Bucket;
use headwater_core::ids::PeerKey;
use headwater_core::swarm::Input;

use super::Sim;
use super::happenings::Happening;
use crate::NodeId;

/// A node's limit, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Limit {
    rate: u64,
    bucket: Bucket,
    next: PeerKey,
}

impl Sim {
    /// A node gives no more than so many bytes a second from now on, however wide its link is.
    pub fn limit_upload(&mut self, id: NodeId, rate: u64) {
        let bucket = Bucket::new(rate, self.now);
        let next = PeerKey(0);
        self.schedule(bucket.refill_at(), Happening::Fills(id));
        self.hosts[id.0].limit = Some(Limit { rate, bucket, next });
    }

    /// Bytes a second that a node can send, and may.
    pub fn uplink(&self, id: NodeId) -> u64 {
        let host = &self.hosts[id.0];
        let limit = host.limit.as_ref().map(|limit| limit.rate);
        host.link.up.min(limit.unwrap_or(u64::MAX))
    }

    /// Tells a node what one of its connections takes now.
    pub(super) fn grant(&mut self, id: NodeId, peer: PeerKey) {
        let Some(wire) = &self.wires[peer.0 as usize] else {
            return;
        };
        let (host, queued) = (&self.hosts[id.0], wire.buffered);
        let room = host.link.buffer - queued;
        let allowed = host.limit.as_ref().map(|limit| limit.bucket.room());
        let room = room.min(allowed.unwrap_or(usize::MAX));
        self.input(id, Input::Writable { peer, room, queued });
    }

    /// A node sent so many bytes: where it may send no more, all its connections are told.
    pub(super) fn count(&mut self, id: NodeId, bytes: usize) {
        let host = &mut self.hosts[id.0];
        let Some(limit) = &mut host.limit else { return };
        limit.bucket.take(bytes);
        if limit.bucket.room() == 0 {
            for key in host.wires.clone() {
                self.grant(id, key);
            }
        }
    }

    pub(super) fn fill(&mut self, id: NodeId) {
        let now = self.now;
        let host = &mut self.hosts[id.0];
        let Some(limit) = host.limit.as_mut().filter(|_| !host.gone) else {
            return;
        };
        limit.bucket.fill(now);
        let due = limit.bucket.refill_at();
        let next = limit.next;
        let mut turn: Vec<PeerKey> = host.wires.range(next..).copied().collect();
        turn.extend(host.wires.range(..next));
        limit.next = turn.get(1).copied().unwrap_or(PeerKey(0));
        for key in turn {
            let limit = self.hosts[id.0].limit.as_mut();
            if let Some(limit) = limit.filter(|limit| limit.bucket.room() == 0) {
                limit.next = key;
                break;
            }
            self.grant(id, key);
            self.turn(id);
        }
        self.schedule(due, Happening::Fills(id));
    }
}
