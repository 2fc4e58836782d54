//! Reads a seeded torrent's bytes from what holds them, and its v2 leaves from memory.
//!
//! Blocking: call it from a thread that may wait. It never serves a byte of a file that is not
//! what was hashed: before and after every read a file's length and times are compared, what comes
//! from elsewhere is hashed again, and a difference fails the read.

mod disk;

use std::fmt::Debug;
use std::io;
use std::ops::Range;

use headwater_core::hash::Sha256Digest;
use headwater_core::layout::{FileIndex, Layout, PieceIndex, Span};
use headwater_core::merkle;

use crate::hashing::{PieceHashes, places};
use crate::source::SourceFile;
use disk::Disk;

/// Leaves kept in memory: 64 MiB of them describe 32 GiB; beyond that they are hashed again when asked for.
const MAX_LEAVES: usize = 64 << 20;

/// What holds a torrent's files: this machine's disk, or a server elsewhere. A file's place is its
/// number among those of the layout that are no padding.
///
/// Blocking, and asked by several threads at once.
pub trait Backing: Debug + Send + Sync {
    /// Fills `into` from `offset` of a file; an error rather than a byte that is not what was hashed.
    /// One of the kind `WouldBlock` will pass.
    fn read(&self, place: usize, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// The files that are no longer what was hashed, as far as is known without waiting for a server.
    fn changed(&self) -> Vec<usize>;

    /// Those that are on this disk.
    fn files(&self) -> &[SourceFile] {
        &[]
    }
}

/// A torrent's bytes.
#[derive(Debug)]
pub struct Storage {
    layout: Layout,
    backing: Box<dyn Backing>,
    places: Vec<usize>,
    /// By piece; empty where there are none, or too many.
    leaves: Vec<Vec<Sha256Digest>>,
    /// Whether we write it ourselves.
    grows: bool,
}

impl Storage {
    /// `files` and `hashes` as [`hash_pieces`](crate::hashing::hash_pieces) took and gave them.
    pub fn new(layout: Layout, files: Vec<SourceFile>, hashes: Vec<PieceHashes>) -> Self {
        let leaves = hashes.into_iter().map(|piece| piece.leaves).collect();
        Self::backed(layout, Box::new(Disk::new(files)), leaves)
    }

    /// Held by this; with the leaves of each piece, one a block, empty where there are none.
    pub fn backed(
        layout: Layout,
        backing: Box<dyn Backing>,
        leaves: Vec<Vec<Sha256Digest>>,
    ) -> Self {
        let count: usize = leaves.iter().map(Vec::len).sum();
        let fits = count * Sha256Digest::LENGTH <= MAX_LEAVES;
        Self {
            places: places(&layout),
            layout,
            backing,
            leaves: if fits { leaves } else { Vec::new() },
            grows: false,
        }
    }

    /// Files that are being written; whoever reads must know that what is read is there.
    pub fn growing(layout: Layout, files: Vec<SourceFile>) -> Self {
        Self {
            grows: true,
            ..Self::new(layout, files, Vec::new())
        }
    }

    /// Its files that are no padding, in the layout's order, if they are on this disk.
    pub fn files(&self) -> &[SourceFile] {
        self.backing.files()
    }

    /// Whether its files are still being written.
    pub const fn grows(&self) -> bool {
        self.grows
    }

    /// How the files lie in the torrent.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Bytes of the torrent's byte space; padding and v2's gaps read as zeros.
    pub fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let length =
            usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        for piece in self.layout.pieces_in(range.clone()) {
            let mut at = self.layout.piece_start(piece);
            for span in self.layout.spans(piece) {
                let end = at + u64::from(span.length);
                let (from, to) = (at.max(range.start), end.min(range.end));
                if from < to && !span.pad {
                    let into = (from - range.start) as usize..(to - range.start) as usize;
                    self.read_into(span, from - at, &mut bytes[into])?;
                }
                at = end;
            }
        }
        Ok(bytes)
    }

    /// Bytes of one file; the caller has checked the range.
    pub fn read_file(&self, file: FileIndex, range: Range<u64>) -> io::Result<Vec<u8>> {
        let span = self
            .layout
            .file_span(file, range)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        self.read(span)
    }

    /// The leaves of a piece, one a block, if that needs no reading; empty if there are none (v1).
    pub fn leaves_in_memory(&self, piece: PieceIndex) -> Option<&[Sha256Digest]> {
        self.leaves.get(piece.as_usize()).map(Vec::as_slice)
    }

    /// The leaves of a piece, one a block, hashed again from the file; empty if there are none (v1).
    pub fn leaves(&self, piece: PieceIndex) -> io::Result<Vec<Sha256Digest>> {
        let Some(part) = self.layout.file_piece(piece) else {
            return Ok(Vec::new());
        };
        let start = self.layout.piece_start(piece);
        Ok(merkle::leaves(
            &self.read(start..start + u64::from(part.length))?,
        ))
    }

    /// The files that no longer are what was hashed.
    pub fn changed(&self) -> Vec<FileIndex> {
        if self.grows {
            return Vec::new();
        }
        let changed = self.backing.changed();
        let content = self.layout.content_files().enumerate();
        let content = content.filter(|(place, _)| changed.contains(place));
        content.map(|(_, (file, _))| file).collect()
    }

    fn read_into(&self, span: Span, skip: u64, bytes: &mut [u8]) -> io::Result<()> {
        let place = self.places[span.file.as_usize()];
        self.backing.read(place, span.offset + skip, bytes)
    }
}
