//! Which pieces on disk are right, looked at on all cores.

use std::fs::File;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use headwater_core::hash::{Sha1, Sha1Digest};
use headwater_core::layout::{FileIndex, PieceIndex};
use headwater_core::merkle::{self, Shape};
use headwater_core::metainfo::Metainfo;
use indicatif::ProgressBar;

use super::Place;
use crate::hashing::places;
use crate::source::{open_at_once, read_exact_at};

/// Those of `pieces` that are on disk and right.
pub(super) fn right(
    metainfo: &Metainfo,
    place: &Place,
    pieces: Vec<u32>,
    bar: &ProgressBar,
) -> Vec<u32> {
    if !place.paths.iter().any(|path| path.exists()) {
        return Vec::new();
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let look = || {
        let mut checker = Checker {
            metainfo,
            place,
            places: places(metainfo.layout()),
            open: None,
            buffer: Vec::new(),
        };
        let mut right = Vec::new();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let index = metainfo.layout().piece(*piece);
            if index.is_some_and(|index| checker.is_right(index)) {
                right.push(*piece);
            }
            bar.inc(metainfo.layout().standard_piece_length().into());
        }
        right
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(look)).collect();
        let done = workers.into_iter().filter_map(|worker| worker.join().ok());
        done.flatten().collect()
    })
}

/// One thread's eyes.
struct Checker<'a> {
    metainfo: &'a Metainfo,
    place: &'a Place,
    places: Vec<usize>,
    open: Option<(FileIndex, File)>,
    buffer: Vec<u8>,
}

impl Checker<'_> {
    fn is_right(&mut self, piece: PieceIndex) -> bool {
        let expected = (
            self.metainfo.v1_piece_hash(piece),
            self.metainfo.v2_piece_root(piece),
        );
        // Without a hash nothing can be said of it.
        if expected == (None, None) || !self.read(piece) {
            return false;
        }
        let is_v1 = expected.0.is_none_or(|hash| self.v1() == hash);
        is_v1 && expected.1.is_none_or(|_| self.is_v2(piece))
    }

    /// The piece as it is on the wire, padding too; whether all of it is there.
    fn read(&mut self, piece: PieceIndex) -> bool {
        let layout = self.metainfo.layout();
        self.buffer.clear();
        self.buffer.resize(layout.piece_length(piece) as usize, 0);
        let mut at = 0;
        for span in layout.spans(piece) {
            let end = at + span.length as usize;
            if !span.pad {
                let is_open = self
                    .open
                    .as_ref()
                    .is_some_and(|(file, _)| *file == span.file);
                if !is_open {
                    let path = &self.place.paths[self.places[span.file.as_usize()]];
                    self.open = open_at_once(path).ok().map(|file| (span.file, file));
                }
                let Some((_, file)) = &self.open else {
                    return false;
                };
                if read_exact_at(file, &mut self.buffer[at..end], span.offset).is_err() {
                    return false;
                }
            }
            at = end;
        }
        true
    }

    fn v1(&self) -> Sha1Digest {
        let mut hasher = Sha1::new();
        hasher.update(&self.buffer);
        hasher.finish()
    }

    fn is_v2(&self, piece: PieceIndex) -> bool {
        let layout = self.metainfo.layout();
        let Some(part) = layout.file_piece(piece) else {
            return false;
        };
        let shape = Shape {
            length: layout.entry(part.file).length,
            piece_length: layout.standard_piece_length(),
        };
        let leaves = merkle::leaves(&self.buffer[..part.length as usize]);
        shape.piece_root(&leaves) == self.metainfo.v2_piece_root(piece)
    }
}
