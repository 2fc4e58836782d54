//! Where a torrent's bytes are: files, pieces and 16 KiB blocks over one byte space.
//!
//! Arithmetic only: it knows no hash and holds no byte.
//!
//! The byte space is what pieces are cut from. In v1 the files lie end to end; in a hybrid too,
//! with pad files between them so that every file starts a piece; in v2 alone every non-empty
//! file starts a piece and the gap behind it belongs to nobody, so a file's last piece is short.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// Bytes of a block: what one request asks for, and what one v2 leaf covers.
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// Most pieces a torrent may have.
pub const MAX_PIECES: u32 = 1 << 21;

/// A piece known to exist; only [`Layout::piece`] and its kin make one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(u32);

/// A file known to exist; only [`Layout::file`] and its kin make one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIndex(u32);

macro_rules! index {
    ($name:ident) => {
        impl $name {
            /// The number on the wire.
            pub const fn get(self) -> u32 {
                self.0
            }

            /// The number as a place in a slice.
            pub const fn as_usize(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u32(self.0)
            }
        }
    };
}
index!(PieceIndex);
index!(FileIndex);

impl FileIndex {
    /// For the metainfo's own files, before they have a layout.
    pub(crate) const fn unchecked(index: usize) -> Self {
        Self(index as u32)
    }
}

/// A run of bytes inside one piece, at most a block unless a peer asked for more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Block {
    /// The piece it lies in.
    pub piece: PieceIndex,
    /// Its first byte within the piece.
    pub begin: u32,
    /// How many bytes.
    pub length: u32,
}

/// One file of a torrent, or the padding between two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Components under the torrent's root, safe to join to a folder; one if the torrent is a single file.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// Whether this is padding: zeros that are never stored and never shown (BEP 47).
    pub pad: bool,
    /// Where it starts in the torrent's byte space.
    pub start: u64,
}

impl FileEntry {
    /// Where it ends in the torrent's byte space.
    pub const fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// The part of a piece that one file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The file.
    pub file: FileIndex,
    /// Where in the file.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
    /// Whether these bytes are padding: zeros, never stored.
    pub pad: bool,
}

/// A piece as v2 sees it: part of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilePiece {
    /// The file.
    pub file: FileIndex,
    /// Which of the file's pieces, counted from 0.
    pub index: u32,
    /// Bytes of the file in it; what is left of the piece on the wire is padding.
    pub length: u32,
}

/// How files lie in the byte space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrangement {
    /// v1: end to end.
    Contiguous,
    /// v1 and v2 at once: end to end, and pad files start each file on a piece.
    Padded,
    /// v2: each non-empty file starts a piece.
    Aligned,
}

/// Why files do not make a layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayoutError {
    /// The lengths do not fit 64 bits.
    Overflow,
    /// The piece length is 0.
    PieceLength,
    /// More than [`MAX_PIECES`] pieces.
    TooManyPieces,
    /// More files than a number on the wire can name.
    TooManyFiles,
    /// In a hybrid, this file does not start a piece.
    Unaligned(usize),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow => f.write_str("the file lengths add up to more than 64 bits hold"),
            Self::PieceLength => f.write_str("the piece length is 0"),
            Self::TooManyPieces => write!(f, "more than {MAX_PIECES} pieces"),
            Self::TooManyFiles => f.write_str("too many files"),
            Self::Unaligned(file) => write!(
                f,
                "a hybrid torrent's file {file} does not start on a piece: padding is missing or wrong"
            ),
        }
    }
}

impl core::error::Error for LayoutError {}

/// The map between a torrent's files, pieces and blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    arrangement: Arrangement,
    files: Vec<FileEntry>,
    length: u64,
    piece_count: u32,
    piece_length: u32,
}

impl Layout {
    /// Lays files out in their order; their `start` is set here.
    pub fn new(
        arrangement: Arrangement,
        piece_length: u32,
        mut files: Vec<FileEntry>,
    ) -> Result<Self, LayoutError> {
        if piece_length == 0 {
            return Err(LayoutError::PieceLength);
        }
        u32::try_from(files.len()).map_err(|_| LayoutError::TooManyFiles)?;
        let step = u64::from(piece_length);
        let mut end: u64 = 0;
        for (number, file) in files.iter_mut().enumerate() {
            let aligned = end.checked_next_multiple_of(step);
            file.start = match arrangement {
                Arrangement::Aligned if file.length > 0 => aligned.ok_or(LayoutError::Overflow)?,
                Arrangement::Padded if file.length > 0 && !file.pad && aligned != Some(end) => {
                    return Err(LayoutError::Unaligned(number));
                }
                _ => end,
            };
            // A pad fills up the piece that a file began, and all of it.
            if arrangement == Arrangement::Padded
                && file.pad
                && (aligned == Some(end) || end.checked_add(file.length) != aligned)
            {
                return Err(LayoutError::Unaligned(number));
            }
            end = file
                .start
                .checked_add(file.length)
                .ok_or(LayoutError::Overflow)?;
        }
        let piece_count = u32::try_from(end.div_ceil(step))
            .ok()
            .filter(|count| *count <= MAX_PIECES)
            .ok_or(LayoutError::TooManyPieces)?;
        Ok(Self {
            arrangement,
            files,
            length: end,
            piece_count,
            piece_length,
        })
    }

    /// How files lie in the byte space.
    pub const fn arrangement(&self) -> Arrangement {
        self.arrangement
    }

    /// The end of the byte space: all file bytes, padding, and in v2 the gaps.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of all files, padding left out.
    pub fn content_length(&self) -> u64 {
        self.files.iter().filter(|f| !f.pad).map(|f| f.length).sum()
    }

    /// Bytes of a piece that is not the last of its file or torrent.
    pub const fn standard_piece_length(&self) -> u32 {
        self.piece_length
    }

    /// How many pieces there are.
    pub const fn piece_count(&self) -> u32 {
        self.piece_count
    }

    /// The piece a peer calls `index`, if there is one.
    pub fn piece(&self, index: u32) -> Option<PieceIndex> {
        (index < self.piece_count).then_some(PieceIndex(index))
    }

    /// All pieces in order.
    pub fn pieces(
        &self,
    ) -> impl DoubleEndedIterator<Item = PieceIndex> + ExactSizeIterator + use<> {
        (0..self.piece_count).map(PieceIndex)
    }

    /// The pieces that hold any of these bytes of the byte space.
    pub fn pieces_in(
        &self,
        range: Range<u64>,
    ) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        let end = range.end.min(self.length);
        let step = u64::from(self.piece_length);
        let pieces = if range.start < end {
            range.start / step..end.div_ceil(step)
        } else {
            0..0
        };
        pieces.map(|piece| PieceIndex(piece as u32))
    }

    /// Where a piece starts in the byte space.
    pub fn piece_start(&self, piece: PieceIndex) -> u64 {
        u64::from(piece.0) * u64::from(self.piece_length)
    }

    /// Bytes of this piece on the wire: padding counts, a v2 gap does not.
    pub fn piece_length(&self, piece: PieceIndex) -> u32 {
        let start = self.piece_start(piece);
        let end = match self.arrangement {
            Arrangement::Aligned => self.file_over(start).map_or(0, |(_, file)| file.end()),
            Arrangement::Contiguous | Arrangement::Padded => self.length,
        };
        end.saturating_sub(start).min(self.piece_length.into()) as u32
    }

    /// Bytes of this piece that are worth moving: padding is known to be zero.
    pub fn real_length(&self, piece: PieceIndex) -> u32 {
        let part = self.file_piece(piece);
        part.map_or_else(|| self.piece_length(piece), |part| part.length)
    }

    /// The piece over this byte of the byte space, and where in it the byte lies.
    ///
    /// `None` past the end and in a v2 gap.
    pub fn piece_at(&self, offset: u64) -> Option<(PieceIndex, u32)> {
        let index = u32::try_from(offset / u64::from(self.piece_length)).ok()?;
        let piece = self.piece(index)?;
        let within = (offset % u64::from(self.piece_length)) as u32;
        (within < self.piece_length(piece)).then_some((piece, within))
    }

    /// How many blocks this piece has.
    pub fn block_count(&self, piece: PieceIndex) -> u32 {
        self.piece_length(piece).div_ceil(BLOCK_LENGTH)
    }

    /// The `index`th block of this piece.
    pub fn block(&self, piece: PieceIndex, index: u32) -> Option<Block> {
        let begin = index.checked_mul(BLOCK_LENGTH)?;
        let length = self
            .piece_length(piece)
            .checked_sub(begin)?
            .min(BLOCK_LENGTH);
        (length > 0).then_some(Block {
            piece,
            begin,
            length,
        })
    }

    /// The blocks of this piece in order.
    pub fn blocks(&self, piece: PieceIndex) -> impl Iterator<Item = Block> + use<> {
        let end = self.piece_length(piece);
        (0..end)
            .step_by(BLOCK_LENGTH as usize)
            .map(move |begin| Block {
                piece,
                begin,
                length: (end - begin).min(BLOCK_LENGTH),
            })
    }

    /// The bytes a peer calls by these numbers, if the torrent has them all in that piece.
    pub fn run(&self, piece: u32, begin: u32, length: u32) -> Option<Block> {
        let piece = self.piece(piece)?;
        let end = begin.checked_add(length)?;
        (length > 0 && end <= self.piece_length(piece)).then_some(Block {
            piece,
            begin,
            length,
        })
    }

    /// All files in order, padding among them; a [`FileIndex`] is a place in this slice.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// The file of this number, if there is one.
    pub fn file(&self, index: u32) -> Option<FileIndex> {
        ((index as usize) < self.files.len()).then_some(FileIndex(index))
    }

    /// All files that are no padding, each with its number.
    pub fn content_files(&self) -> impl Iterator<Item = (FileIndex, &FileEntry)> {
        (0..)
            .map(FileIndex)
            .zip(&self.files)
            .filter(|(_, file)| !file.pad)
    }

    /// What is known of a file.
    ///
    /// Panics if the index came from another torrent's layout.
    pub fn entry(&self, file: FileIndex) -> &FileEntry {
        &self.files[file.as_usize()]
    }

    /// Where a range of a file lies in the byte space; `None` if the file is shorter.
    pub fn file_span(&self, file: FileIndex, range: Range<u64>) -> Option<Range<u64>> {
        let entry = self.files.get(file.as_usize())?;
        (range.start <= range.end && range.end <= entry.length)
            .then(|| entry.start + range.start..entry.start + range.end)
    }

    /// The parts of files that make up this piece, in order.
    pub fn spans(&self, piece: PieceIndex) -> impl Iterator<Item = Span> {
        let start = self.piece_start(piece);
        self.spans_in(start..start + u64::from(self.piece_length(piece)))
    }

    /// The parts of files that make up this block, in order.
    pub fn block_spans(&self, block: Block) -> impl Iterator<Item = Span> {
        let start = self.piece_start(block.piece) + u64::from(block.begin);
        self.spans_in(start..start + u64::from(block.length))
    }

    /// This piece as v2 sees it; `None` in a v1 torrent.
    pub fn file_piece(&self, piece: PieceIndex) -> Option<FilePiece> {
        if self.arrangement == Arrangement::Contiguous {
            return None;
        }
        let start = self.piece_start(piece);
        let (file, entry) = self.file_over(start)?;
        let step = u64::from(self.piece_length);
        Some(FilePiece {
            file,
            index: ((start - entry.start) / step) as u32,
            length: (entry.end() - start).min(step) as u32,
        })
    }

    /// The pieces that hold a file's bytes, as numbers; in v1 a neighbour may share the outer ones.
    pub fn file_pieces(&self, file: FileIndex) -> Range<u32> {
        let step = u64::from(self.piece_length);
        match self.files.get(file.as_usize()) {
            Some(entry) if entry.length > 0 => {
                (entry.start / step) as u32..entry.end().div_ceil(step) as u32
            }
            _ => 0..0,
        }
    }

    fn spans_in(&self, range: Range<u64>) -> impl Iterator<Item = Span> {
        let first = self.files.partition_point(|file| file.end() <= range.start);
        self.files[first..]
            .iter()
            .zip(first..)
            .take_while({
                let end = range.end;
                move |(file, _)| file.start < end
            })
            .filter(|(file, _)| file.length > 0)
            .map(move |(file, number)| {
                let start = file.start.max(range.start);
                Span {
                    file: FileIndex(number as u32),
                    offset: start - file.start,
                    length: (file.end().min(range.end) - start) as u32,
                    pad: file.pad,
                }
            })
    }

    /// The file whose bytes include this offset.
    fn file_over(&self, offset: u64) -> Option<(FileIndex, &FileEntry)> {
        // Ends never fall, and an empty file ends where it starts, so the first one past it is it.
        let number = self.files.partition_point(|file| file.end() <= offset);
        let file = self.files.get(number)?;
        (file.start <= offset).then_some((FileIndex(number as u32), file))
    }
}
