//! Peers with a mind of their own: whatever they say is raw messages, no swarm behind them.

use std::collections::BTreeMap;
use std::fmt::Debug;

use bytes::Bytes;
use headwater_core::ids::{PeerId, PeerKey};
use headwater_core::peer::MAX_SEND;
use headwater_core::swarm::{Input, Output};
use headwater_core::time::{Duration, Instant};
use headwater_core::wire::{Decoder, Features, Frame, Handshake, Message};

use crate::Film;

/// How often a mind may act of itself.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// What such a peer does.
pub trait Evil: Debug {
    /// A connection opened.
    fn opened(&mut self, line: &mut Line);
    /// The other end said something.
    fn heard(&mut self, line: &mut Line, frame: &Frame<'_>);
    /// Ten milliseconds passed.
    fn ticked(&mut self, _line: &mut Line) {}
}

/// One connection of such a peer.
#[derive(Debug)]
pub struct Line {
    /// The time it is.
    pub now: Instant,
    /// Set to hang up.
    pub hang_up: bool,
    decoder: Decoder,
    outbox: Vec<u8>,
    room: usize,
}

impl Line {
    /// Says a message.
    pub fn say(&mut self, message: &Message<'_>) {
        message.encode(&mut self.outbox);
    }

    /// Says bytes.
    pub fn say_bytes(&mut self, bytes: &[u8]) {
        self.outbox.extend_from_slice(bytes);
    }

    /// Greets as a member of a film's swarm, under a name of its own.
    pub fn greet(&mut self, film: &Film, features: Features, name: u64) {
        let mut peer_id = *b"-EV0001-000000000000";
        peer_id[12..].copy_from_slice(&name.to_be_bytes());
        let hashes = film.metainfo.info_hashes();
        let hello = Handshake {
            features,
            swarm: hashes.v2().map_or_else(|| hashes.announced(), Into::into),
            peer_id: PeerId(peer_id),
        };
        hello.encode(&mut self.outbox);
    }

    /// A line without another end, to see what would be said.
    pub fn unconnected() -> Self {
        Self {
            now: Instant::START,
            hang_up: false,
            decoder: Decoder::new(),
            outbox: Vec::new(),
            room: 0,
        }
    }

    /// What was said and is not sent.
    pub fn said(&self) -> &[u8] {
        &self.outbox
    }
}

/// Such a peer, and its connections.
#[derive(Debug)]
pub(crate) struct Stranger {
    mind: Box<dyn Evil>,
    lines: BTreeMap<PeerKey, Line>,
    due: Instant,
}

impl Stranger {
    pub fn new(mind: Box<dyn Evil>) -> Self {
        Self {
            mind,
            lines: BTreeMap::new(),
            due: Instant::START,
        }
    }

    pub fn is_alone(&self) -> bool {
        self.lines.is_empty()
    }

    pub fn handle_input(&mut self, now: Instant, input: &Input<'_>) {
        match input {
            Input::Closed(key) => {
                self.lines.remove(key);
            }
            Input::Opened { peer, .. } => {
                let mut line = Line::unconnected();
                line.now = now;
                self.mind.opened(&mut line);
                self.lines.insert(*peer, line);
            }
            Input::Received(key, bytes) => {
                let Some(line) = self.lines.get_mut(key) else {
                    return;
                };
                line.now = now;
                let (mut rest, mut decoder) = (*bytes, std::mem::take(&mut line.decoder));
                while let Ok(Some(frame)) = decoder.next(&mut rest) {
                    self.mind.heard(line, &frame);
                }
                line.decoder = decoder;
            }
            Input::TimedOut if now >= self.due => {
                self.due = now + TICK;
                for line in self.lines.values_mut() {
                    line.now = now;
                    self.mind.ticked(line);
                }
            }
            Input::Writable { peer, room, .. } => {
                if let Some(line) = self.lines.get_mut(peer) {
                    line.room = *room;
                }
            }
            _ => {}
        }
    }

    /// What its lines have to send now.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (key, line) in &mut self.lines {
            while line.room > 0 && !line.outbox.is_empty() {
                let length = line.outbox.len().min(line.room).min(MAX_SEND);
                let rest = line.outbox.split_off(length);
                let message = std::mem::replace(&mut line.outbox, rest);
                line.room -= length;
                outputs.push(Output::Send(*key, Bytes::from(message)));
            }
            if line.hang_up {
                outputs.push(Output::Close(*key, None));
            }
        }
        self.lines.retain(|_, line| !line.hang_up);
        outputs
    }
}
