//! Hashes a torrent's files piece by piece on all cores.
//!
//! Reads by position into one small buffer a thread, so memory does not grow with the files, and
//! a file cut short while we read it is an error, not a fault of the process (no mmap).

use std::fs::File;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use headwater_core::hash::{Sha1, Sha1Digest, Sha256Digest};
use headwater_core::layout::{Layout, PieceIndex};
use headwater_core::merkle;
use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};
use crate::source::{SourceFile, read_exact_at};

/// Bytes read at once: whole blocks, and small enough to stay in a core's own cache.
const READ: usize = 16 * merkle::BLOCK;

/// What a piece hashes to.
#[derive(Debug)]
pub struct PieceHashes {
    /// Over all its bytes on the wire, padding too, if asked for.
    pub v1: Option<Sha1Digest>,
    /// One a block of the file, padding left out; empty if not asked for.
    pub leaves: Vec<Sha256Digest>,
}

/// Which hashes to make.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// SHA-1 of every piece.
    pub v1: bool,
    /// SHA-256 of every block.
    pub v2: bool,
}

/// Hashes every piece; `files` are those of the layout that are no padding, in its order.
pub fn hash_pieces(
    layout: &Layout,
    files: &[SourceFile],
    wanted: Wanted,
    bar: &ProgressBar,
) -> Result<Vec<PieceHashes>> {
    let count = layout.piece_count() as usize;
    let threads = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(count.max(1));
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Ok(Vec::with_capacity(count)));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut hasher = Hasher {
                    layout,
                    files,
                    places: places(layout),
                    wanted,
                    open: None,
                    buffer: vec![0; READ],
                    bar,
                };
                let mut hashed = Vec::new();
                let result = hasher.work(&next, &mut hashed);
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                match (result, done.as_mut()) {
                    (Ok(()), Ok(all)) => all.extend(hashed),
                    (Err(e), Ok(_)) => {
                        // Nobody need hash what will not be used.
                        next.store(count, Ordering::Relaxed);
                        *done = Err(e);
                    }
                    (_, Err(_)) => {}
                }
            });
        }
    });
    let mut all: Vec<(u32, PieceHashes)> =
        done.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    all.sort_unstable_by_key(|(piece, _)| *piece);
    Ok(all.into_iter().map(|(_, hashes)| hashes).collect())
}

/// A bar on the terminal, or nothing where there is none.
pub fn progress(what: &str, bytes: u64, shown: bool) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let style =
        "{prefix} {wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} {eta}";
    let bar = ProgressBar::new(bytes).with_prefix(format!("Hashing {what}"));
    bar.set_style(
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// For each file of a layout, its place among those that are no padding.
pub fn places(layout: &Layout) -> Vec<usize> {
    let mut next = 0;
    layout
        .files()
        .iter()
        .map(|file| {
            next += usize::from(!file.pad);
            next - usize::from(!file.pad)
        })
        .collect()
}

/// One thread's own tools.
struct Hasher<'a> {
    layout: &'a Layout,
    files: &'a [SourceFile],
    places: Vec<usize>,
    wanted: Wanted,
    open: Option<(usize, File)>,
    buffer: Vec<u8>,
    bar: &'a ProgressBar,
}

impl Hasher<'_> {
    fn work(&mut self, next: &AtomicUsize, hashed: &mut Vec<(u32, PieceHashes)>) -> Result<()> {
        while let Some(piece) = u32::try_from(next.fetch_add(1, Ordering::Relaxed))
            .ok()
            .and_then(|piece| self.layout.piece(piece))
        {
            hashed.push((piece.get(), self.piece(piece)?));
        }
        self.close()
    }

    fn piece(&mut self, piece: PieceIndex) -> Result<PieceHashes> {
        let mut v1 = self.wanted.v1.then(Sha1::new);
        let mut leaves = Vec::new();
        let layout = self.layout;
        for span in layout.spans(piece) {
            let mut offset = span.offset;
            let mut left = span.length as usize;
            while left > 0 {
                let take = left.min(READ);
                if span.pad {
                    self.buffer[..take].fill(0);
                } else {
                    self.read(self.places[span.file.as_usize()], offset, take)?;
                    self.bar.inc(take as u64);
                }
                let bytes = &self.buffer[..take];
                if let Some(v1) = &mut v1 {
                    v1.update(bytes);
                }
                // With v2 a piece is of one file, so blocks of the file are blocks of the buffer.
                if self.wanted.v2 && !span.pad {
                    leaves.extend(bytes.chunks(merkle::BLOCK).map(merkle::leaf));
                }
                offset += take as u64;
                left -= take;
            }
        }
        Ok(PieceHashes {
            v1: v1.map(Sha1::finish),
            leaves,
        })
    }

    fn read(&mut self, place: usize, offset: u64, take: usize) -> Result<()> {
        let source = &self.files[place];
        if self.open.as_ref().is_none_or(|(open, _)| *open != place) {
            self.close()?;
            self.open = Some((place, source.open().map_err(|e| changed_or(source, e))?));
        }
        let Some((_, file)) = &self.open else {
            return Ok(());
        };
        read_exact_at(file, &mut self.buffer[..take], offset).map_err(|e| changed_or(source, e))
    }

    /// Lets go of a file, after a last look whether it stayed the same under our hands.
    fn close(&mut self) -> Result<()> {
        match self.open.take() {
            Some((place, file)) => {
                let source = &self.files[place];
                source.check(&file).map_err(|e| changed_or(source, e))
            }
            None => Ok(()),
        }
    }
}

fn changed_or(source: &SourceFile, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::Other | std::io::ErrorKind::UnexpectedEof => {
            Error::Changed(source.path.clone())
        }
        _ => Error::path("read", &source.path, error),
    }
}
