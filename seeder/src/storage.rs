//! Reads a seeded torrent's bytes from its files, and its v2 leaves from memory.
//!
//! Blocking: call it from a thread that may wait. It never serves a byte of a file that is not
//! what was hashed: before and after every read the file's length and times are compared, and a
//! difference fails the read.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use headwater_core::hash::Sha256Digest;
use headwater_core::layout::{FileIndex, Layout, PieceIndex, Span};
use headwater_core::merkle;

use crate::hashing::{PieceHashes, places};
use crate::source::{SourceFile, read_exact_at};

/// Files kept open at once, all torrents of a folder together.
const MAX_OPEN: usize = 64;

/// Leaves kept in memory: 64 MiB of them describe 32 GiB; beyond that they are hashed again when asked for.
const MAX_LEAVES: usize = 64 << 20;

/// A torrent's bytes on disk.
#[derive(Debug)]
pub struct Storage {
    layout: Layout,
    /// Those of the layout that are no padding, in its order.
    files: Vec<SourceFile>,
    places: Vec<usize>,
    /// By piece; empty where there are none, or too many.
    leaves: Vec<Vec<Sha256Digest>>,
    open: Mutex<VecDeque<(usize, Arc<File>)>>,
    /// Whether we write it ourselves.
    grows: bool,
}

impl Storage {
    /// `files` and `hashes` as [`hash_pieces`](crate::hashing::hash_pieces) took and gave them.
    pub fn new(layout: Layout, files: Vec<SourceFile>, hashes: Vec<PieceHashes>) -> Self {
        let bytes: usize = hashes
            .iter()
            .map(|piece| piece.leaves.len() * Sha256Digest::LENGTH)
            .sum();
        let leaves = if bytes <= MAX_LEAVES {
            hashes.into_iter().map(|piece| piece.leaves).collect()
        } else {
            Vec::new()
        };
        let places = places(&layout);
        Self {
            layout,
            files,
            places,
            leaves,
            open: Mutex::default(),
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

    /// Its files that are no padding, in the layout's order.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
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
        let content = self.layout.content_files().zip(&self.files);
        content
            .filter(|_| !self.grows)
            .filter(|(_, source)| source.open().is_err())
            .map(|((file, _), _)| file)
            .collect()
    }

    fn read_into(&self, span: Span, skip: u64, bytes: &mut [u8]) -> io::Result<()> {
        let place = self.places[span.file.as_usize()];
        let source = &self.files[place];
        let file = self.file(place)?;
        let read =
            read_exact_at(&file, bytes, span.offset + skip).and_then(|()| source.check(&file));
        if read.is_err() {
            self.forget(place);
        }
        read.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", source.path.display())))
    }

    fn file(&self, place: usize) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(other, _)| *other == place) {
            if let Some(found) = open.remove(at) {
                open.push_back(found);
            }
        } else {
            if open.len() >= MAX_OPEN {
                open.pop_front();
            }
            let source = &self.files[place];
            let file = source
                .open()
                .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", source.path.display())))?;
            open.push_back((place, Arc::new(file)));
        }
        open.back()
            .map(|(_, file)| Arc::clone(file))
            .ok_or_else(|| io::Error::other("no file"))
    }

    fn forget(&self, place: usize) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|(other, _)| *other != place);
    }
}
