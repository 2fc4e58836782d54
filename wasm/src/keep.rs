//! Pieces that outlive the page: what is read is kept by the browser, and read back from there.
//!
//! `web/src/keep.ts` has the files, and knows nothing of hashes. What it gives back is looked at here,
//! once for each piece, before anybody sees a byte of it.

use bytes::Bytes;
use headwater_core::bitfield::Bitfield;
use headwater_core::hash::Sha256Digest;
use headwater_core::layout::{Block, PieceIndex};
use headwater_core::metainfo::{Limits, Metainfo};
use headwater_core::swarm::Swarm;
use js_sys::{Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::host::{Happened, Host};
use crate::protocol::{field, object};

#[wasm_bindgen]
extern "C" {
    /// Where one torrent's pieces lie.
    #[derive(Debug)]
    pub(crate) type Shelf;

    /// Makes it ready for this torrent; what it has, as a `bitfield` message.
    #[wasm_bindgen(method)]
    fn begin(this: &Shelf, torrent: &[u8], piece_length: u32, pieces: u32) -> Uint8Array;
    /// Closes it; `forget`: nothing of it stays.
    #[wasm_bindgen(method)]
    fn close(this: &Shelf, forget: bool);
    /// Fills `into`; whether it could.
    #[wasm_bindgen(method)]
    fn read(this: &Shelf, piece: u32, begin: u32, into: &mut [u8]) -> bool;
    /// Lets a piece go, to make room or because it is wrong.
    #[wasm_bindgen(method)]
    fn release(this: &Shelf, piece: u32, wrong: bool);
    /// Remembers the torrent itself.
    #[wasm_bindgen(method)]
    fn remember(this: &Shelf, torrent: &[u8]);
    /// The torrent, as it was remembered.
    #[wasm_bindgen(method)]
    fn torrent(this: &Shelf) -> Uint8Array;
    /// Takes a piece: a [`Taken`].
    #[wasm_bindgen(method)]
    fn write(this: &Shelf, piece: u32, bytes: &[u8]) -> u32;
}

/// What [`Shelf::write`] answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    Yes,
    /// There is no room, but there may be when something else goes.
    Full,
    /// Never again.
    Lost,
}

/// One torrent's shelf, from when the page asks for it.
#[derive(Debug, Default)]
pub(crate) enum Keep {
    /// Nothing is kept.
    #[default]
    Off,
    /// It is being opened: what is to be read waits.
    Opening,
    /// It is open, and the torrent is not known yet.
    Open(Shelf),
    Kept(Kept),
}

/// What is kept of a known torrent.
#[derive(Debug)]
pub(crate) struct Kept {
    shelf: Shelf,
    /// Pieces that were written by us, or found to be right.
    checked: Bitfield,
    /// The piece that was looked at last.
    last: Option<(PieceIndex, Bytes)>,
    /// Whether the shelf remembers all that is to know of the torrent.
    is_remembered: bool,
}

/// Begins to open the shelf of this name. The engine is told of it, perhaps twice: that it must wait,
/// for another tab has the place, and that the place is its own.
pub(crate) fn begin(torrent: u32, name: &str, how: &JsValue, open: &Function, host: &Host) {
    let mut opened = open.call3(&JsValue::NULL, &torrent.into(), &name.into(), how);
    let host = host.clone();
    spawn_local(async move {
        while let Ok(Ok(promise)) = opened.map(JsCast::dyn_into::<Promise>) {
            let answer = JsFuture::from(promise).await.unwrap_or_default();
            opened = Ok(field(&answer, "later"));
            host.happened(Happened::Shelf(torrent, object(&answer, "shelf")));
        }
    });
}

/// A shelf that nobody waits for any more.
pub(crate) fn discard(shelf: Option<js_sys::Object>) {
    if let Some(shelf) = shelf {
        shelf.unchecked_into::<Shelf>().close(false);
    }
}

impl Keep {
    pub(crate) const fn is_opening(&self) -> bool {
        matches!(self, Self::Opening)
    }

    /// The shelf is open, or will not be for now. The torrent, if it is remembered there.
    pub(crate) fn opened(&mut self, shelf: Option<js_sys::Object>) -> Option<Box<Metainfo>> {
        *self = Self::Off;
        let shelf: Shelf = shelf?.unchecked_into();
        let torrent = Metainfo::parse(&shelf.torrent().to_vec(), &Limits::BROWSER).ok();
        *self = Self::Open(shelf);
        torrent.map(Box::new)
    }

    /// The torrent is known: the pieces of it that are on the shelf, if it is open and new to us.
    pub(crate) fn known(&mut self, metainfo: &Metainfo) -> Option<Bitfield> {
        let shelf = match std::mem::take(self) {
            Self::Open(shelf) => shelf,
            other => {
                *self = other;
                return None;
            }
        };
        let (layout, torrent) = (metainfo.layout(), metainfo.to_torrent_bytes());
        let count = layout.piece_count();
        let there = shelf.begin(&torrent, layout.standard_piece_length(), count);
        let have = Bitfield::from_bytes(&there.to_vec(), count);
        *self = Self::Kept(Kept {
            shelf,
            checked: Bitfield::none(count),
            last: None,
            is_remembered: metainfo.has_all_piece_layers(),
        });
        Some(have.unwrap_or_else(|| Bitfield::none(count)))
    }

    /// What is kept, if something is.
    pub(crate) const fn kept(&mut self) -> Option<&mut Kept> {
        match self {
            Self::Kept(kept) => Some(kept),
            _ => None,
        }
    }

    /// Keeps no more; `forget`: nothing of it stays.
    pub(crate) fn end(&mut self, forget: bool) {
        match std::mem::take(self) {
            Self::Open(shelf) | Self::Kept(Kept { shelf, .. }) => shelf.close(forget),
            Self::Off | Self::Opening => {}
        }
    }
}

impl Kept {
    /// A block; `None` if it is not there, or not right.
    pub(crate) fn block(&mut self, swarm: &Swarm, block: Block) -> Option<Bytes> {
        let length = swarm.metainfo()?.layout().real_length(block.piece);
        let wanted = block.length as usize;
        let mut bytes = vec![0; wanted];
        // A v2 piece ends with its file; on the wire zeros follow.
        let real = wanted.min(length.saturating_sub(block.begin) as usize);
        if !self.checked.has(block.piece.get()) || self.is_last(block.piece) {
            let piece = self.piece(swarm, block.piece)?;
            let begin = block.begin as usize;
            bytes[..real].copy_from_slice(piece.get(begin..begin + real)?);
        } else if !self
            .shelf
            .read(block.piece.get(), block.begin, &mut bytes[..real])
        {
            return None;
        }
        Some(bytes.into())
    }

    /// The leaves over a piece's bytes; none if it is not there, or not right.
    pub(crate) fn leaves(&mut self, swarm: &Swarm, piece: PieceIndex) -> Vec<Sha256Digest> {
        let bytes = self.piece(swarm, piece);
        bytes
            .and_then(|bytes| swarm.leaves_if_right(piece, &bytes))
            .unwrap_or_default()
    }

    /// Takes a verified piece.
    pub(crate) fn store(&mut self, metainfo: &Metainfo, piece: PieceIndex, bytes: &[u8]) -> Taken {
        if !self.is_remembered && metainfo.has_all_piece_layers() {
            self.is_remembered = true;
            self.shelf.remember(&metainfo.to_torrent_bytes());
        }
        match self.shelf.write(piece.get(), bytes) {
            0 => {
                self.checked.set(piece.get());
                Taken::Yes
            }
            1 => Taken::Full,
            _ => Taken::Lost,
        }
    }

    /// Makes room.
    pub(crate) fn let_go(&mut self, piece: PieceIndex) {
        self.last = None;
        self.shelf.release(piece.get(), false);
    }

    fn is_last(&self, piece: PieceIndex) -> bool {
        self.last.as_ref().is_some_and(|(last, _)| *last == piece)
    }

    /// A whole piece, looked at if it has not been.
    fn piece(&mut self, swarm: &Swarm, piece: PieceIndex) -> Option<Bytes> {
        if let Some((_, bytes)) = self.last.as_ref().filter(|(last, _)| *last == piece) {
            return Some(bytes.clone());
        }
        let length = swarm.metainfo()?.layout().real_length(piece);
        let mut bytes = vec![0; length as usize];
        let is_right = self.shelf.read(piece.get(), 0, &mut bytes)
            && (self.checked.has(piece.get()) || swarm.leaves_if_right(piece, &bytes).is_some());
        if !is_right {
            self.checked.clear(piece.get());
            self.shelf.release(piece.get(), true);
            return None;
        }
        self.checked.set(piece.get());
        let bytes = Bytes::from(bytes);
        self.last = Some((piece, bytes.clone()));
        Some(bytes)
    }
}
