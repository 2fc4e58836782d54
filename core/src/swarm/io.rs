//! What a swarm is told, and what it answers.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use serde::Serialize;

use crate::bitfield::Bitfield;
use crate::hash::Sha256Digest;
use crate::ids::{OriginId, PeerKey, ReaderId, Ticket};
use crate::layout::{Block, FileIndex, PieceIndex};
use crate::peer::{Fault, Transport};
use crate::pex::{News, Wish};
use crate::time::Duration;

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// Whoever watches has read so much of the film that it has not played yet. While that is
    /// plenty, nothing is urgent, and the seed is left alone with what viewers give. Of use only when
    /// it is said again every second or so.
    Ahead(Duration),
    /// A peer whom we called over WebRTC waits for us to speak, as all but Headwater may.
    Awaited(PeerKey),
    /// A connection is gone.
    Closed(PeerKey),
    /// The body of an answer to [`Output::Fetch`] came to its end.
    FetchEnded(Ticket),
    /// An origin did not answer [`Output::Fetch`] as it should: why, in words.
    FetchFailed(Ticket, String),
    /// Bytes came from an origin: the next of those that [`Output::Fetch`] asked for, cut anywhere.
    Fetched(Ticket, &'a [u8]),
    /// Storage keeps the torrent, which must be known, from now on: what it lacks is fetched without
    /// being read, and handed to it by [`Output::Store`].
    Kept {
        /// The pieces it is to have.
        wanted: Bitfield,
        /// Those it has, verified.
        have: Bitfield,
    },
    /// Storage has no leaves or no bytes: answers [`Output::Load`].
    LoadFailed(Block),
    /// Storage delivered a block: answers [`Output::Load`].
    Loaded(Block, Bytes),
    /// Storage delivered the SHA-256 of each block of a piece: answers [`Output::LoadLeaves`]. Empty if it cannot.
    LeavesLoaded(PieceIndex, Vec<Sha256Digest>),
    /// A connection opened.
    Opened {
        /// How it is numbered from now on.
        peer: PeerKey,
        /// What carries it.
        transport: Transport,
        /// Whether we called (on WebRTC: whether the offer was ours).
        dialled: bool,
        /// How the driver calls the peer, for events.
        name: String,
    },
    /// A web server has the torrent's files, as far as we were told (BEP 19).
    OriginAdded {
        /// How it is numbered from now on.
        origin: OriginId,
        /// Its address, as a torrent's `url-list` has it.
        url: String,
    },
    /// A reader wants up to this many bytes; answered by one [`Output::Data`], or by [`Output::Ended`].
    Pulled(ReaderId, usize),
    /// A reader is gone.
    ReaderClosed(ReaderId),
    /// Somebody wants to read these bytes of a file, in order. The torrent must be known.
    ReaderOpened {
        /// How the reader is numbered from now on.
        reader: ReaderId,
        /// The file.
        file: FileIndex,
        /// Bytes within the file.
        range: Range<u64>,
    },
    /// Storage let this piece go to make room, after [`Input::Shelved`].
    PieceLetGo(PieceIndex),
    /// Storage no longer has this piece as it was hashed: it is withdrawn, and fetched again if it is kept.
    PieceLost(PieceIndex),
    /// Bytes came from a peer, cut anywhere.
    Received(PeerKey, &'a [u8]),
    /// Storage keeps nothing any more, after [`Input::Shelved`]: memory is all there is from now on.
    ShelfLost,
    /// Storage keeps what readers come to, from now on. The torrent must be known.
    Shelved {
        /// The pieces it has. They need not be verified, if it looks at them before it answers the
        /// first [`Output::Load`] of each.
        have: Bitfield,
    },
    /// Storage has this piece: answers [`Output::Store`]. Whenever it can; until then it stays in memory.
    Stored(PieceIndex),
    /// The moment that [`poll_timeout`](super::Swarm::poll_timeout) named has come.
    TimedOut,
    /// The tracker client wants something of neighbours.
    Wished(Wish),
    /// How much a transport takes, or may take, for a peer now.
    Writable {
        /// For whom.
        peer: PeerKey,
        /// Bytes that it takes (not: in addition).
        room: usize,
        /// Bytes that it took and that have not left yet.
        queued: usize,
    },
}

/// What to do.
#[derive(Debug)]
pub enum Output {
    /// Nobody needs this [`Output::Fetch`] any more.
    CancelFetch(Ticket),
    /// Close a connection; if it is a fault, the peer's.
    Close(PeerKey, Option<Fault>),
    /// The next bytes for a reader.
    Data {
        /// Who pulled.
        reader: ReaderId,
        /// Where in the file they start.
        offset: u64,
        /// Verified bytes, at least one.
        bytes: Bytes,
    },
    /// The reader has had all it wanted.
    Ended(ReaderId),
    /// Something worth telling.
    Event(Event),
    /// Something that neighbours have for the tracker client.
    Introduction(News),
    /// Get these bytes of a file from an origin.
    Fetch {
        /// What the answer is called.
        ticket: Ticket,
        /// The origin.
        origin: OriginId,
        /// The file's address there.
        url: String,
        /// Bytes of the file, at least one.
        range: Range<u64>,
        /// Bytes of the whole file; an answer that says otherwise is of another file.
        length: u64,
    },
    /// Read a block from storage; padding is zeros.
    Load(Block),
    /// The SHA-256 of each block of a piece, padding left out.
    LoadLeaves(PieceIndex),
    /// Write a verified piece, without its padding, to storage.
    Store(PieceIndex, Bytes),
    /// Send these bytes, at most 64 KiB, as one message; there was room for them.
    Send(PeerKey, Bytes),
}

/// What happened in the swarm, for people and programs that watch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Event {
    /// A peer sent a block whose hash is wrong.
    BlockRefused {
        /// The piece.
        piece: u32,
        /// The block within it.
        block: u32,
        /// The peer's connection.
        peer: u64,
        /// How the driver calls the peer.
        name: String,
    },
    /// The torrent says two things that cannot both be true; nothing more is fetched.
    Contradiction {
        /// The piece whose v1 and v2 hashes disagree.
        piece: u32,
    },
    /// All that was to be kept is in storage.
    Kept,
    /// The torrent is known now.
    Metadata,
    /// An origin failed, and is left alone for a while.
    OriginFailed {
        /// Its number.
        origin: u32,
        /// Its address.
        url: String,
        /// Why, in words.
        reason: String,
        /// Until it is asked again, in milliseconds; never if there is none.
        rests_ms: Option<u64>,
    },
    /// A connection closed.
    PeerClosed {
        /// Its number.
        peer: u64,
        /// How the driver calls the peer.
        name: String,
        /// What the peer did wrong, if that was why.
        fault: Option<Fault>,
        /// The same in words.
        reason: String,
    },
    /// A peer said its name.
    PeerOpened {
        /// Its connection's number.
        peer: u64,
        /// How the driver calls it.
        name: String,
        /// How it calls itself.
        client: String,
    },
    /// A verified piece was let go to make room.
    PieceEvicted {
        /// The piece.
        piece: u32,
    },
    /// A whole piece had the wrong hash, and is fetched again.
    PieceRefused {
        /// The piece.
        piece: u32,
        /// Who sent parts of it, as the driver calls them.
        peers: Vec<String>,
    },
    /// A piece is whole and right.
    PieceVerified {
        /// The piece.
        piece: u32,
    },
    /// Storage could not deliver what it should have; the piece is withdrawn.
    StorageFailed {
        /// The piece.
        piece: u32,
    },
}
