//! A torrent's connections: made by the page, carried by links, spoken over by the swarm.

use headwater_core::ids::PeerKey;
use headwater_core::peer::Transport;
use headwater_core::swarm;
use headwater_core::time::Instant;
use headwater_core::tracker::client;
use wasm_bindgen::JsValue;
use web_sys::RtcDataChannel;

use super::Torrent;
use crate::host::PeerDid;
use crate::link::{Link, Scratch};
use crate::protocol::ToPage;

impl Torrent {
    pub(crate) fn handle_offer_made(&mut self, now: Instant, peer: PeerKey, sdp: String) {
        self.tell_client(now, client::Input::OfferMade(peer, &sdp));
    }

    pub(crate) fn handle_answer_made(&mut self, now: Instant, peer: PeerKey, sdp: String) {
        self.tell_client(now, client::Input::AnswerMade(peer, &sdp));
    }

    pub(crate) fn handle_channel(&mut self, now: Instant, peer: PeerKey, channel: RtcDataChannel) {
        if !self.dialled.contains_key(&peer) {
            // It was given up while the channel was on its way.
            channel.close();
            return;
        }
        let link = Link::over_channel(peer, channel, &self.host);
        let was_opened = link.was_opened();
        self.links.insert(peer, link);
        if was_opened {
            self.open(now, peer);
        }
    }

    pub(crate) fn handle_channel_forwarded(&mut self, peer: PeerKey) {
        if self.dialled.contains_key(&peer) {
            self.links.insert(peer, Link::over_page(peer, &self.page));
        }
    }

    pub(crate) fn handle_buffered(&mut self, now: Instant, peer: PeerKey, amount: usize) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.handle_buffered(amount);
            self.drained(now, peer);
        }
    }

    pub(crate) fn handle_connection_failed(&mut self, now: Instant, peer: PeerKey, reason: String) {
        self.lose(now, peer, reason);
    }

    pub(crate) fn handle_peer(
        &mut self,
        now: Instant,
        peer: PeerKey,
        did: PeerDid,
        scratch: &mut Scratch,
    ) {
        match did {
            PeerDid::Close => self.lose(now, peer, "the channel closed".to_owned()),
            PeerDid::Drain => self.drained(now, peer),
            PeerDid::Open => self.open(now, peer),
            PeerDid::Send(message) => self.receive(now, peer, &message, scratch),
        }
    }

    fn receive(&mut self, now: Instant, peer: PeerKey, message: &JsValue, scratch: &mut Scratch) {
        let Some(link) = self.links.get(&peer) else {
            return;
        };
        // A transferred channel may bring the remote's first words before it says that it is open.
        if !link.is_open {
            self.open(now, peer);
        }
        self.drained(now, peer);
        match scratch.read(message) {
            Some(bytes) => self
                .swarm
                .handle_input(now, swarm::Input::Received(peer, bytes)),
            None => self.lose(
                now,
                peer,
                "the peer sent a message that is not of this protocol".to_owned(),
            ),
        }
    }

    fn open(&mut self, now: Instant, peer: PeerKey) {
        let Some(link) = self.links.get_mut(&peer).filter(|link| !link.is_open) else {
            return;
        };
        link.is_open = true;
        let dialled = self.dialled.get(&peer).copied().unwrap_or_default();
        self.swarm.handle_input(
            now,
            swarm::Input::Opened {
                peer,
                transport: Transport::WebRtc,
                dialled,
                name: format!("webrtc {}", peer.0 & u64::from(u32::MAX)),
            },
        );
        if dialled && !self.is_headwater(peer) {
            self.swarm.handle_input(now, swarm::Input::Awaited(peer));
        }
        self.drained(now, peer);
        self.tell_client(now, client::Input::Opened(peer));
    }

    pub(super) fn is_headwater(&self, peer: PeerKey) -> bool {
        let client = self.client.as_ref();
        client.is_some_and(|client| client.is_headwater(peer))
    }

    /// A link may have more room.
    fn drained(&mut self, now: Instant, peer: PeerKey) {
        let link = self.links.get_mut(&peer).filter(|link| link.is_open);
        if let Some((room, queued)) = link.and_then(Link::news_of_room) {
            self.swarm
                .handle_input(now, swarm::Input::Writable { peer, room, queued });
        }
    }

    /// A connection is gone, or never came to be.
    pub(super) fn lose(&mut self, now: Instant, peer: PeerKey, reason: String) {
        let was_open = self.links.remove(&peer).is_some_and(|link| link.is_open);
        self.dialled.remove(&peer);
        self.page.tell(&ToPage::Drop { peer: peer.0 });
        if was_open {
            self.swarm.handle_input(now, swarm::Input::Closed(peer));
            self.tell_client(now, client::Input::Closed(peer));
        } else {
            self.tell_client(now, client::Input::ConnectionFailed(peer, &reason));
        }
    }

    pub(super) fn send(&mut self, now: Instant, peer: PeerKey, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&peer) else {
            return;
        };
        self.sent.insert(peer);
        if link.send(bytes).is_err() {
            self.lose(now, peer, "the channel takes no more".to_owned());
        }
    }

    /// Tells the swarm what room its sending left, where it must know.
    pub(super) fn tell_room(&mut self, now: Instant) {
        while let Some(peer) = self.sent.pop_first() {
            if let Some((room, queued)) =
                self.links.get_mut(&peer).and_then(Link::news_of_more_room)
            {
                self.swarm
                    .handle_input(now, swarm::Input::Writable { peer, room, queued });
            }
        }
    }
}
