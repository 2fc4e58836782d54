//! The engine's upload: who may send how much, by the room in the channel and by the limit.

use bytes::Bytes;
use headwater_core::ids::PeerKey;
use headwater_core::swarm;
use headwater_core::time::Instant;

use super::tcp::is_tcp;
use super::{Engine, torrent_of};
use headwater_core::bucket::Bucket;

impl Engine {
    pub(super) fn send(&mut self, now: Instant, peer: PeerKey, bytes: Bytes) {
        let length = bytes.len();
        match &mut self.calls {
            Some(calls) if is_tcp(peer) => {
                self.sent.tcp += length as u64;
                calls.tcp.send(peer, bytes);
            }
            _ => {
                self.sent.webrtc += length as u64;
                self.endpoint.send(peer, bytes);
            }
        }
        let Some(bucket) = &mut self.bucket else {
            return;
        };
        bucket.take(length);
        if bucket.room() == 0 {
            // What is promised is promised, but nothing new.
            for &peer in &self.open {
                if let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) {
                    torrent
                        .swarm
                        .handle_input(now, swarm::Input::Writable(peer, 0));
                }
            }
        }
    }

    /// Tells a swarm how much this peer's channel, and our limit, have room for.
    pub(super) fn grant(&mut self, now: Instant, peer: PeerKey) {
        if !self.open.contains(&peer) {
            return;
        }
        let room = match &self.calls {
            Some(calls) if is_tcp(peer) => calls.tcp.room(peer),
            _ => self.endpoint.room(peer),
        };
        let room = room.min(self.bucket.as_ref().map_or(usize::MAX, Bucket::room));
        if let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) {
            torrent
                .swarm
                .handle_input(now, swarm::Input::Writable(peer, room));
        }
    }

    /// Fills the bucket and lets the peers drink in turn, another one first every time.
    pub(super) fn refill(&mut self, now: Instant) {
        let Some(bucket) = self
            .bucket
            .as_mut()
            .filter(|bucket| bucket.refill_at() <= now)
        else {
            return;
        };
        bucket.fill(now);
        let mut turn: Vec<PeerKey> = self.open.range(self.next_granted..).copied().collect();
        turn.extend(self.open.range(..self.next_granted));
        for peer in turn {
            if self.bucket.as_ref().is_none_or(|bucket| bucket.room() == 0) {
                self.next_granted = peer;
                return;
            }
            self.grant(now, peer);
            self.drain_swarm(now, torrent_of(peer));
        }
    }
}
