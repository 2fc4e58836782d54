//! A peer that claims to have everything and answers every request with wrong bytes.
//!
//! `liar TRACKER SWARM_HASH` joins the swarm and answers the offers that the tracker relays. It
//! prints a JSON line when it has joined and one a second: `{"peers","asked","lied","closed"}`.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use headwater::webrtc::{Endpoint, EndpointConfig, EndpointEvent};
use headwater_core::ids::{PeerId, PeerKey, SwarmHash};
use headwater_core::wire::{Decoder, Features, Frame, Handshake, Message};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message as Text;

/// What it says in place of the film.
const LIE: u8 = 0xaa;
const NAME: PeerId = PeerId(*b"-LI0001-liarliarliar");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: liar TRACKER SWARM_HASH [IP]";
    let tracker = args.next().ok_or(usage)?;
    let swarm = SwarmHash::from_hex(&args.next().ok_or(usage)?).ok_or(usage)?;
    let mut config = EndpointConfig::default();
    if let Some(ip) = args.next() {
        config.ip = ip.parse()?;
    }

    let (mut socket, _) = tokio_tungstenite::connect_async(&tracker).await?;
    socket.send(Text::text(announce(swarm).to_string())).await?;
    let mut liar = Liar::new(Endpoint::bind(config)?, swarm);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            said = socket.next() => {
                if let Text::Text(text) = said.ok_or("the tracker left")??
                    && let Some(answer) = liar.handle_tracker(&serde_json::from_str(&text)?)
                {
                    socket.send(Text::text(answer.to_string())).await?;
                }
            }
            () = liar.endpoint.drive() => {}
            _ = second.tick() => println!("{}", liar.report()),
        }
        while let Some(event) = liar.endpoint.poll_event() {
            liar.handle_peer(event);
        }
    }
}

fn announce(swarm: SwarmHash) -> Value {
    json!({
        "action": "announce", "event": "started", "numwant": 0, "offers": [],
        "uploaded": 0, "downloaded": 0, "left": 0,
        "info_hash": latin1(&swarm.0), "peer_id": latin1(&NAME.0),
    })
}

/// Twenty bytes as trackers write them: a character for each.
fn latin1(bytes: &[u8; 20]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

struct Liar {
    endpoint: Endpoint,
    swarm: SwarmHash,
    decoders: BTreeMap<PeerKey, Decoder>,
    next: u64,
    asked: u64,
    lied: u64,
    closed: u64,
}

impl Liar {
    fn new(endpoint: Endpoint, swarm: SwarmHash) -> Self {
        Self {
            endpoint,
            swarm,
            decoders: BTreeMap::new(),
            next: 0,
            asked: 0,
            lied: 0,
            closed: 0,
        }
    }

    /// Answers an offer; all else is of no interest to it.
    fn handle_tracker(&mut self, message: &Value) -> Option<Value> {
        let sdp = message.get("offer")?.get("sdp")?.as_str()?;
        let key = PeerKey(self.next);
        self.next += 1;
        let answer = self.endpoint.accept_offer(key, sdp).ok()?;
        Some(json!({
            "action": "announce", "info_hash": latin1(&self.swarm.0), "peer_id": latin1(&NAME.0),
            "to_peer_id": message.get("peer_id")?, "offer_id": message.get("offer_id")?,
            "answer": {"type": "answer", "sdp": answer},
        }))
    }

    fn handle_peer(&mut self, event: EndpointEvent) {
        match event {
            EndpointEvent::Opened(peer) => self.greet(peer),
            EndpointEvent::Received(peer, bytes) => self.hear(peer, &bytes),
            EndpointEvent::Writable(..) => {}
            EndpointEvent::Closed(peer, _) => {
                self.closed += u64::from(self.decoders.remove(&peer).is_some());
            }
        }
    }

    fn greet(&mut self, peer: PeerKey) {
        let mut hello = Vec::new();
        Handshake {
            features: Features {
                extended: false,
                ..Features::ALL
            },
            swarm: self.swarm,
            peer_id: NAME,
        }
        .encode(&mut hello);
        Message::HaveAll.encode(&mut hello);
        Message::Unchoke.encode(&mut hello);
        self.endpoint.send(peer, Bytes::from(hello));
        self.decoders.insert(peer, Decoder::new());
    }

    fn hear(&mut self, peer: PeerKey, mut bytes: &[u8]) {
        let Some(decoder) = self.decoders.get_mut(&peer) else {
            return;
        };
        while let Ok(Some(frame)) = decoder.next(&mut bytes) {
            let mut answer = Vec::new();
            match frame {
                Frame::Message(Message::Request {
                    piece,
                    begin,
                    length,
                }) => {
                    self.asked += 1;
                    // A block has 16 KiB; what asks for more is not ours.
                    let data = vec![LIE; (length as usize).min(1 << 14)];
                    let lie = Message::Piece {
                        piece,
                        begin,
                        data: &data,
                    };
                    lie.encode(&mut answer);
                    self.lied += 1;
                }
                Frame::Message(Message::HashRequest(span)) => {
                    Message::HashReject(span).encode(&mut answer);
                }
                _ => continue,
            }
            self.endpoint.send(peer, Bytes::from(answer));
        }
    }

    fn report(&self) -> Value {
        json!({
            "peers": self.decoders.len(), "asked": self.asked,
            "lied": self.lied, "closed": self.closed,
        })
    }
}
