//! One peer: what it said, what is out with it, what it wants, what waits to be sent to it.
//!
//! State only. What a message means for the swarm is decided there.

mod fault;
mod parts;
mod peak;
mod pipeline;
mod rate;
mod trial;
mod uploads;
mod wary;

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use serde::Serialize;

pub use fault::Fault;
pub use parts::Parts;
pub use peak::Peak;
pub use pipeline::{Asked, Pipeline};
pub use rate::Rate;
pub use uploads::{MAX_QUEUED, Queued, Uploads};
pub use wary::Wary;

use crate::bitfield::Bitfield;
use crate::ids::{PeerId, PeerKey};
use crate::layout::{BLOCK_LENGTH, Block};
use crate::ordered::Set;
use crate::time::{Duration, Instant, time_of};
use crate::wire::extended::{
    ExtendedHandshake, HW_BLOCKS, HW_STATE, LT_DONTHAVE, State, UT_METADATA,
};
use crate::wire::{Decoder, Features, HashSpan, Message};

/// Most bytes in one message to a transport: a data channel takes no more everywhere.
pub const MAX_SEND: usize = 64 * 1024;
/// Bytes of a message to a slow peer: a block and its header.
const MIN_MESSAGE: usize = 16 * 1024 + 13;
/// Most bytes that wait for a peer that does not read.
pub const MAX_OUTBOX: usize = 1 << 20;
/// The least and the most that a block is taken to need of one that has delivered none, whatever it
/// says of itself.
const LEAST_UNPROVEN: Duration = Duration::from_millis(250);
const MOST_UNPROVEN: Duration = Duration::from_secs(2);
/// One that put us off deals its blocks out, as far as we know, for so long.
const DEALS_FOR: Duration = Duration::from_secs(5);
/// Pieces a peer may name before we know how many there are.
const MAX_EARLY_HAVES: usize = 4096;

/// What carries a peer's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Transport {
    /// A TCP connection.
    Tcp,
    /// A WebRTC data channel.
    WebRtc,
}

/// What a peer has.
#[derive(Clone, Debug)]
pub enum Has {
    /// Everything.
    All,
    /// This.
    Some(Bitfield),
    /// Said before we knew the torrent: the body of its bitfield, and its haves.
    Unread {
        /// The body of its `bitfield`, if it sent one.
        bits: Option<Vec<u8>>,
        /// Whether it said that it has everything.
        all: bool,
        /// Its `have`s.
        haves: Vec<u32>,
    },
}

impl Has {
    /// The body of a `bitfield` message about `pieces` pieces.
    pub fn read(body: &[u8], pieces: u32) -> Result<Self, Fault> {
        let bits = Bitfield::from_bytes(body, pieces).ok_or(Fault::BadMessage)?;
        Ok(if bits.is_full() {
            Self::All
        } else {
            Self::Some(bits)
        })
    }
}

/// One peer.
#[derive(Debug)]
pub struct Peer {
    /// How its connection is numbered.
    pub key: PeerKey,
    /// How the driver calls it, for events.
    pub name: String,
    /// What carries its bytes.
    pub transport: Transport,
    /// Whether we called it.
    pub dialled: bool,
    /// How busy it says it is.
    pub state: Option<State>,
    /// What we last told it of ourselves, and when.
    pub told: Option<(Instant, State)>,
    /// Its byte stream.
    pub decoder: Decoder,
    /// Its handshake's id; `None` until that came.
    pub id: Option<PeerId>,
    /// What it can do.
    pub features: Features,
    /// Whether both sides mean the v2 torrent: hashes may be asked for.
    pub v2: bool,
    /// Whether our handshake went out.
    pub greeted: bool,
    /// Whether it was told what we have.
    pub knows_ours: bool,
    /// What it said in its extended handshake.
    pub extensions: ExtendedHandshake,
    /// What it has.
    pub has: Has,
    /// What it said of single blocks.
    pub parts: Parts,
    /// Whether it answers us not.
    pub chokes_us: bool,
    /// Whether it wants something of us.
    pub wants: bool,
    /// Whether we told it that we want something.
    pub wanted: bool,
    /// Since when we answer it.
    pub unchoked: Option<Instant>,
    /// When that last changed.
    pub choke_changed: Instant,
    /// Our requests.
    pub pipeline: Pipeline,
    /// Its requests.
    pub uploads: Uploads,
    /// Payload it took.
    pub sent: Rate,
    /// Payload that it sent and that was wrong.
    pub refused: u64,
    /// Requests that we took back and that it has not answered yet, oldest first: it may still send
    /// the block, or refuse it (BEP 6), though it has been asked for again by then.
    pub taken_back: Vec<Block>,
    /// Pieces we let go before it said its extensions.
    pub untold: Vec<u32>,
    /// Whether it lets its requests starve.
    pub snubbed: bool,
    /// Our requests for hashes that it has not answered; also those asked of others since.
    pub hash_requests: Set<HashSpan>,
    /// Its requests for hashes that we have not answered.
    pub hash_debts: u32,
    /// When it last said something.
    pub heard: Instant,
    /// When we last said something.
    pub spoke: Instant,
    /// When it was opened.
    pub opened: Instant,
    /// When it put us off last.
    pub put_off: Option<Instant>,
    /// How much more it may be asked for, if it refused everything of late.
    pub wary: Wary,
    /// What it was last told to ask for later, and when.
    pub said_later: Option<(Instant, u32)>,
    /// Since when all that it asks for is put off, as others were just sent it.
    denied: Option<Instant>,
    outbox: Vec<u8>,
    /// What may wait for something to go with.
    aside: Vec<u8>,
    room: usize,
    /// Bytes that the transport took and that have not left yet, as far as we know.
    in_transport: usize,
}

impl Peer {
    /// A connection that just opened.
    pub fn new(
        now: Instant,
        key: PeerKey,
        name: String,
        transport: Transport,
        dialled: bool,
    ) -> Self {
        Self {
            key,
            name,
            transport,
            dialled,
            state: None,
            told: None,
            decoder: Decoder::new(),
            id: None,
            features: Features::default(),
            v2: false,
            greeted: false,
            knows_ours: false,
            extensions: ExtendedHandshake::default(),
            has: Has::Unread {
                bits: None,
                all: false,
                haves: Vec::new(),
            },
            parts: Parts::default(),
            chokes_us: true,
            wants: false,
            wanted: false,
            unchoked: None,
            choke_changed: now,
            pipeline: Pipeline::default(),
            uploads: Uploads::default(),
            sent: Rate::default(),
            refused: 0,
            taken_back: Vec::new(),
            untold: Vec::new(),
            snubbed: false,
            hash_requests: Set::new(),
            hash_debts: 0,
            heard: now,
            spoke: now,
            opened: now,
            put_off: None,
            wary: Wary::default(),
            said_later: None,
            denied: None,
            outbox: Vec::new(),
            aside: Vec::new(),
            room: 0,
            in_transport: 0,
        }
    }

    /// Whether it has a piece, as far as we know.
    pub fn has(&self, piece: u32) -> bool {
        match &self.has {
            Has::All => true,
            Has::Some(bits) => bits.has(piece),
            Has::Unread { .. } => false,
        }
    }

    /// Whether it has a block, as far as we know: with its piece, or of a piece under way.
    pub fn has_block(&self, piece: u32, block: u32) -> bool {
        self.has(piece) || (self.parts.of(piece)).is_some_and(|part| part.has(block))
    }

    /// Whether it has a piece or blocks of it.
    pub fn has_any(&self, piece: u32) -> bool {
        self.has(piece) || self.parts.of(piece).is_some()
    }

    /// Whether ours is the first word. Over TCP the caller's is. Over WebRTC it is the called one's:
    /// its channel may just be on its way to a worker, and what comes meanwhile is lost; when it
    /// speaks, it hears.
    pub fn speaks_first(&self) -> bool {
        self.dialled == (self.transport == Transport::Tcp)
    }

    /// Whether it sends what it is asked for, as far as it has shown.
    pub const fn answers_us(&self) -> bool {
        !self.chokes_us && !self.snubbed
    }

    /// Whether it may be asked for something now.
    pub fn may_be_asked(&self) -> bool {
        !self.chokes_us && self.wanted && self.wary.may() > 0 && self.pipeline.is_hungry()
    }

    /// Whether it is one that deals its blocks out.
    pub fn deals(&self, now: Instant) -> bool {
        self.put_off.is_some_and(|at| now.since(at) < DEALS_FOR)
    }

    /// Whether it has delivered anything.
    pub const fn has_delivered(&self) -> bool {
        self.pipeline.delivered() > 0
    }

    /// How long a block asked for now should take: as it has shown, or before that by what it says of
    /// itself, which makes it neither faster than others may be nor slower than one who says nothing.
    pub fn expected(&self, now: Instant) -> Duration {
        let said = self
            .state
            .filter(|state| !state.is_busy && !self.has_delivered());
        let Some(state) = said.filter(|_| !self.pipeline.is_doubted()) else {
            return self.pipeline.expected(now);
        };
        let blocks = u64::from(self.pipeline.outstanding() + 1) * u64::from(BLOCK_LENGTH);
        let queued = time_of(
            u64::from(state.queued) * 1024 + blocks,
            u64::from(state.idle) * 1024,
        );
        let round_trip = self.pipeline.round_trip().unwrap_or(Duration::ZERO);
        (round_trip + queued).clamp(LEAST_UNPROVEN, MOST_UNPROVEN)
    }

    /// Whether it has everything.
    pub const fn is_seed(&self) -> bool {
        matches!(self.has, Has::All)
    }

    /// How many of `pieces` pieces it has.
    pub fn piece_count(&self, pieces: u32) -> u32 {
        match &self.has {
            Has::All => pieces,
            Has::Some(bits) => bits.count(),
            Has::Unread { .. } => 0,
        }
    }

    /// It said what it has before we know the torrent. Faulty if that is more than anybody has to say.
    pub fn note_early(&mut self, said: &Message<'_>) -> Result<(), Fault> {
        let Has::Unread { bits, all, haves } = &mut self.has else {
            return Err(Fault::BadMessage);
        };
        match said {
            Message::Bitfield(body) => *bits = Some(body.to_vec()),
            Message::HaveAll => *all = true,
            Message::Have(piece) if haves.len() < MAX_EARLY_HAVES => haves.push(*piece),
            Message::Have(_) => return Err(Fault::BadMessage),
            _ => {}
        }
        Ok(())
    }

    /// The id it gave `ut_metadata`.
    pub fn ut_metadata(&self) -> Option<u8> {
        self.extensions.id_of(UT_METADATA)
    }

    /// The id it gave `lt_donthave`.
    pub fn lt_donthave(&self) -> Option<u8> {
        self.extensions.id_of(LT_DONTHAVE)
    }

    /// The id it gave `hw_blocks`.
    pub fn hw_blocks(&self) -> Option<u8> {
        self.extensions.id_of(HW_BLOCKS)
    }

    /// The id it gave `hw_state`.
    pub fn hw_state(&self) -> Option<u8> {
        self.extensions.id_of(HW_STATE)
    }

    /// Whether it is a WebTorrent, whose ways want some care (BEP 20).
    pub fn is_webtorrent(&self) -> bool {
        self.id
            .is_some_and(|id| id.0.starts_with(b"-WW") || id.0.starts_with(b"-WD"))
    }

    /// How it calls itself: its client's name, or the beginning of its id.
    pub fn client(&self) -> String {
        let printable = |id: PeerId| id.0.iter().take(8).map(|byte| char::from(*byte)).collect();
        self.extensions
            .v
            .clone()
            .or_else(|| self.id.map(printable))
            .unwrap_or_default()
    }

    /// Puts a message in line.
    pub fn say(&mut self, message: &Message<'_>) {
        message.encode(&mut self.outbox);
    }

    /// Puts a message in line that may wait: it goes with the next that may not, or with the next tick.
    pub fn mention(&mut self, message: &Message<'_>) {
        message.encode(&mut self.aside);
    }

    /// What may wait has waited long enough. Whether there was anything.
    pub fn say_mentions(&mut self) -> bool {
        self.outbox.append(&mut self.aside);
        !self.outbox.is_empty()
    }

    /// Puts it in line that a block will not be sent, for those who know the word (BEP 6).
    pub fn refuse(&mut self, block: Block) {
        if self.features.fast {
            self.say(&Message::RejectRequest {
                piece: block.piece.get(),
                begin: block.begin,
                length: block.length,
            });
        }
    }

    /// Puts raw bytes in line.
    pub fn say_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.outbox);
    }

    /// Bytes in line.
    pub const fn waiting(&self) -> usize {
        self.outbox.len() + self.aside.len()
    }

    /// The transport takes `room` bytes now, and has `queued` bytes that it took before.
    pub fn set_room(&mut self, room: usize, queued: usize) {
        self.room = room;
        self.in_transport = queued;
    }

    /// Notes whether it may have what it asked for, or is to ask again later.
    pub fn admitted(&mut self, now: Instant, may: bool) {
        self.denied = if may { None } else { self.denied.or(Some(now)) };
    }

    /// Whether everything it asked for was put off for longer than this.
    pub fn is_denied(&self, now: Instant, longest: Duration) -> bool {
        self.denied.is_some_and(|since| now.since(since) > longest)
    }

    /// Bytes that it was promised and that have not left yet, about.
    pub fn backlog(&self) -> u64 {
        let waiting = self.outbox.len() + self.uploads.len() * BLOCK_LENGTH as usize;
        (self.in_transport + waiting) as u64
    }

    /// How many more bytes of blocks are worth putting in line for the next message.
    pub fn appetite(&self, now: Instant) -> usize {
        self.room
            .min(self.message_length(now))
            .saturating_sub(self.outbox.len())
    }

    /// How long messages to it should be: a message arrives whole or not at all, so it should not
    /// take long by itself; on a fast path long ones cost less.
    fn message_length(&self, now: Instant) -> usize {
        let moment = self.sent.per_second(now) / 64;
        usize::try_from(moment)
            .unwrap_or(MAX_SEND)
            .clamp(MIN_MESSAGE, MAX_SEND)
    }

    /// The next message for the transport, if there is something to say and room for it.
    pub fn take_send(&mut self, now: Instant) -> Option<Bytes> {
        if !self.outbox.is_empty() {
            self.outbox.append(&mut self.aside);
        }
        let length = self
            .outbox
            .len()
            .min(self.room)
            .min(self.message_length(now));
        if length == 0 {
            return None;
        }
        let rest = self.outbox.split_off(length);
        let message = core::mem::replace(&mut self.outbox, rest);
        self.room -= length;
        self.in_transport += length;
        self.spoke = now;
        Some(Bytes::from(message))
    }
}
