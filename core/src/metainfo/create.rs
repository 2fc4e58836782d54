//! Making torrents: what to hash, and the description that the hashes make.
//!
//! It reads no file. A [`Plan`] says which bytes make up each piece; the caller reads them, calls
//! [`Plan::hash`] on as many threads as it likes, and hands all the hashes to [`Plan::finish`].
//! For the same input the info hashes are those of libtorrent 2.1's `create_torrent`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Error, Extra, Limits, Metainfo};
use crate::bencode::Encoder;
use crate::hash::{Sha1Digest, Sha256Digest, sha1};
use crate::layout::{
    Arrangement, BLOCK_LENGTH, FileEntry, FileIndex, Layout, LayoutError, PieceIndex,
};
use crate::merkle::{self, Shape};

/// Smallest piece we make, in bytes: a block.
pub const MIN_PIECE_LENGTH: u32 = BLOCK_LENGTH;

/// Largest piece we make, in bytes: what a browser takes.
pub const MAX_PIECE_LENGTH: u32 = Limits::BROWSER.piece_length;

/// Largest piece of which a 48 MiB look-ahead holds 32: enough to be shared out rarest first.
const MAX_WINDOWED_PIECE_LENGTH: u32 = 1 << 20;

/// Pieces up to which a torrent's description, have-messages and maps stay small.
const WANTED_PIECES: u64 = 4_000;

/// Fewest pieces of a small torrent, so that even a short film is shared out in parts.
const FEWEST_PIECES: u64 = 16;

/// Most pieces whose v1 and v2 hashes fit a browser's 8 MiB with room to spare.
const MOST_PIECES: u64 = 1 << 16;

/// A piece length for this many bytes: a power of two from 16 KiB to 16 MiB.
///
/// - Up to 1 MiB in all: 16 KiB, one block.
/// - From there 64 KiB (16 pieces and more), doubled while there are over 4,000 pieces, up to
///   1 MiB, of which a 48 MiB look-ahead holds 48.
/// - Over 3.9 GiB few pieces and a well-filled window exclude each other. The window wins, for
///   playing hangs on it, and a longer description costs 20 to 52 bytes a piece once.
/// - Past 64 GiB that description would outgrow what a browser takes, and pieces grow after all.
pub fn choose_piece_length(total: u64) -> u32 {
    let small = 4 * MIN_PIECE_LENGTH;
    if total < FEWEST_PIECES * u64::from(small) {
        return MIN_PIECE_LENGTH;
    }
    let mut length = small;
    while length < MAX_WINDOWED_PIECE_LENGTH && total.div_ceil(length.into()) > WANTED_PIECES {
        length *= 2;
    }
    while length < MAX_PIECE_LENGTH && total.div_ceil(length.into()) > MOST_PIECES {
        length *= 2;
    }
    length
}

/// For whom a torrent is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Version {
    /// BitTorrent v1 only.
    V1,
    /// BitTorrent v2 only.
    V2,
    /// Both: one swarm for all.
    #[default]
    Hybrid,
}

/// What a torrent is to say besides its files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// For whom it is made.
    pub version: Version,
    /// Bytes of a piece; [`choose_piece_length`] if left open.
    pub piece_length: Option<u32>,
    /// Trackers, first choice first.
    pub trackers: Vec<String>,
    /// Where else the bytes are served over HTTP.
    pub web_seeds: Vec<String>,
    /// What to say of it.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When it is made, in seconds since 1970.
    pub creation_date: Option<i64>,
    /// Whether it is to be shared through its trackers alone.
    pub private: bool,
}

/// What is to be shared.
#[derive(Clone, Debug)]
pub enum Contents {
    /// One file, under the torrent's name; its path is not looked at.
    File(Source),
    /// A folder with the torrent's name.
    Folder(Vec<Source>),
}

/// A file to be shared.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Source {
    /// Components below the folder.
    pub path: Vec<String>,
    /// Bytes.
    pub length: u64,
    /// Whether its owner may run it; part of the info hash, as in libtorrent.
    pub executable: bool,
    /// Whether the system calls it hidden; part of the info hash, as in libtorrent, which sees
    /// such files on Windows only.
    pub hidden: bool,
}

/// Why no torrent can be made.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CreateError {
    /// There is no byte to share.
    Empty,
    /// A piece was not hashed, or its bytes were not as many as planned.
    Piece(PieceIndex),
    /// A name that is empty, `.`, `..`, or holds a separator.
    Name(String),
    /// Two files with one path, or a file where a folder is.
    SamePath(String),
    /// The piece length is no power of two from 16 KiB to 16 MiB.
    PieceLength(u32),
    /// The files and the piece length do not fit.
    Layout(LayoutError),
    /// What was made is no torrent that we would take.
    Metainfo(Error),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is nothing to share: no file, or empty ones only"),
            Self::Piece(piece) => write!(f, "piece {piece} was not hashed as planned"),
            Self::Name(name) => write!(f, "a torrent cannot have a file called \"{name}\""),
            Self::SamePath(path) => write!(f, "more than one file has the path \"{path}\""),
            Self::PieceLength(length) => write!(
                f,
                "a piece length of {length} is no power of two from 16384 to {MAX_PIECE_LENGTH}"
            ),
            Self::Layout(LayoutError::TooManyPieces) => {
                f.write_str("too many pieces: choose a larger piece length")
            }
            Self::Layout(error) => error.fmt(f),
            Self::Metainfo(Error::TooLong { .. }) => {
                f.write_str("the torrent would be too long: choose a larger piece length")
            }
            Self::Metainfo(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CreateError {}

/// What a piece hashes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceHashes {
    /// The piece.
    pub piece: PieceIndex,
    /// SHA-1 of all of it, if the torrent has a v1 part.
    pub v1: Option<Sha1Digest>,
    /// The root over its leaves, if the torrent has a v2 part.
    pub v2: Option<Sha256Digest>,
}

/// A torrent to be: all but its hashes.
#[derive(Clone, Debug)]
pub struct Plan {
    options: Options,
    name: String,
    /// One for each file of the layout; none for padding.
    sources: Vec<Option<(usize, Source)>>,
    is_single_file: bool,
    layout: Layout,
}

impl Plan {
    /// Plans a torrent of this name.
    ///
    /// Files of v2 and hybrid torrents are put in the order of the v2 tree; those of a v1 torrent
    /// stay as they are given, and their order is part of the info hash.
    pub fn new(name: &str, contents: Contents, options: Options) -> Result<Self, CreateError> {
        check_name(name)?;
        let is_single_file = matches!(contents, Contents::File(_));
        let mut sources: Vec<(usize, Source)> = match contents {
            Contents::File(mut file) => {
                file.path = alloc::vec![name.to_string()];
                alloc::vec![(0, file)]
            }
            Contents::Folder(files) => files.into_iter().enumerate().collect(),
        };
        check_paths(&sources)?;
        if options.version != Version::V1 {
            sources.sort_by(|(_, left), (_, right)| left.path.cmp(&right.path));
        }
        let total = sources
            .iter()
            .try_fold(0u64, |sum, (_, file)| sum.checked_add(file.length))
            .ok_or(CreateError::Layout(LayoutError::Overflow))?;
        if total == 0 {
            return Err(CreateError::Empty);
        }
        let piece_length = match options.piece_length {
            Some(length) => check_piece_length(length)?,
            None => choose_piece_length(total),
        };
        let pads = options.version == Version::Hybrid && sources.len() > 1;
        let sources = with_padding(sources, pads.then_some(piece_length));
        let arrangement = match options.version {
            Version::V1 => Arrangement::Contiguous,
            Version::V2 => Arrangement::Aligned,
            Version::Hybrid => Arrangement::Padded,
        };
        let entries = sources.iter().map(Planned::entry).collect();
        Ok(Self {
            layout: Layout::new(arrangement, piece_length, entries).map_err(CreateError::Layout)?,
            sources: sources.into_iter().map(Planned::source).collect(),
            is_single_file,
            name: name.to_string(),
            options,
        })
    }

    /// Where the bytes of each piece are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Which of the files given a file of the layout is; `None` for padding.
    pub fn source(&self, file: FileIndex) -> Option<usize> {
        Some(self.sources.get(file.as_usize())?.as_ref()?.0)
    }

    /// What a piece hashes to, from its SHA-1 and the leaves over its real bytes, whichever the version needs.
    pub fn hashes(
        &self,
        piece: PieceIndex,
        v1: Option<Sha1Digest>,
        leaves: &[Sha256Digest],
    ) -> Result<PieceHashes, CreateError> {
        let v1 = v1.filter(|_| self.options.version != Version::V2);
        let v2 = match self.layout.file_piece(piece) {
            Some(part) if leaves.len() as u32 == part.length.div_ceil(BLOCK_LENGTH) => {
                self.shape(part.file).piece_root(leaves)
            }
            Some(_) => return Err(CreateError::Piece(piece)),
            None => None,
        };
        Ok(PieceHashes { piece, v1, v2 })
    }

    /// Hashes a piece, all its bytes as they lie in the layout, zeros where it has padding.
    pub fn hash(&self, piece: PieceIndex, bytes: &[u8]) -> Result<PieceHashes, CreateError> {
        if bytes.len() != self.layout.piece_length(piece) as usize {
            return Err(CreateError::Piece(piece));
        }
        let v1 = (self.options.version != Version::V2).then(|| sha1(bytes));
        let leaves = match self.layout.file_piece(piece) {
            Some(part) => merkle::leaves(bytes.get(..part.length as usize).unwrap_or(bytes)),
            None => Vec::new(),
        };
        self.hashes(piece, v1, &leaves)
    }

    /// The torrent, once each piece is hashed; the hashes may come in any order.
    pub fn finish(
        &self,
        hashes: impl IntoIterator<Item = PieceHashes>,
    ) -> Result<Metainfo, CreateError> {
        let mut hashes: Vec<PieceHashes> = hashes.into_iter().collect();
        hashes.sort_unstable_by_key(|hashes| hashes.piece);
        let missing = self
            .layout
            .pieces()
            .zip(
                hashes
                    .iter()
                    .map(|hash| Some(hash.piece))
                    .chain(core::iter::repeat(None)),
            )
            .find(|(wanted, found)| *found != Some(*wanted));
        if let Some((piece, _)) = missing {
            return Err(CreateError::Piece(piece));
        }
        let layers = self.layers(&hashes)?;
        let info = self.encode_info(&hashes, &layers)?;
        self.encode_torrent(&info, layers)
    }

    fn shape(&self, file: FileIndex) -> Shape {
        Shape {
            length: self.layout.entry(file).length,
            piece_length: self.layout.standard_piece_length(),
        }
    }

    /// The piece roots of each file, in the layout's order.
    fn layers(&self, hashes: &[PieceHashes]) -> Result<Vec<Vec<Sha256Digest>>, CreateError> {
        let mut layers = alloc::vec![Vec::new(); self.layout.files().len()];
        if self.options.version == Version::V1 {
            return Ok(layers);
        }
        for hash in hashes {
            let part = self.layout.file_piece(hash.piece);
            let (Some(part), Some(root)) = (part, hash.v2) else {
                return Err(CreateError::Piece(hash.piece));
            };
            layers[part.file.as_usize()].push(root);
        }
        Ok(layers)
    }

    fn encode_info(
        &self,
        hashes: &[PieceHashes],
        layers: &[Vec<Sha256Digest>],
    ) -> Result<Vec<u8>, CreateError> {
        let has_v1 = self.options.version != Version::V2;
        let has_v2 = self.options.version != Version::V1;
        let only = self.is_single_file.then(|| self.sources.first()?.as_ref());
        let only = only.flatten().map(|(_, file)| file);
        let mut out = Encoder::new();
        out.dict();
        if let Some(file) = only.filter(|_| has_v1) {
            encode_attributes(&mut out, file);
        }
        if has_v2 {
            out.key(b"file tree");
            self.encode_tree(&mut out, layers);
        }
        match only {
            None if has_v1 => self.encode_files(&mut out),
            Some(file) if has_v1 => {
                out.key(b"length").int(file.length as i64);
            }
            _ => {}
        }
        if has_v2 {
            out.key(b"meta version").int(2);
        }
        out.key(b"name").bytes(self.name.as_bytes());
        out.key(b"piece length")
            .int(self.layout.standard_piece_length().into());
        if has_v1 {
            let mut pieces = Vec::with_capacity(hashes.len() * Sha1Digest::LENGTH);
            for hash in hashes {
                let digest = hash.v1.ok_or(CreateError::Piece(hash.piece))?;
                pieces.extend_from_slice(&digest.0);
            }
            out.key(b"pieces").bytes(&pieces);
        }
        if self.options.private {
            out.key(b"private").int(1);
        }
        out.end();
        Ok(out.finish())
    }

    fn encode_files(&self, out: &mut Encoder) {
        out.key(b"files").list();
        for (entry, source) in self.layout.files().iter().zip(&self.sources) {
            out.dict();
            match source {
                Some((_, file)) => encode_attributes(out, file),
                None => {
                    out.key(b"attr").bytes(b"p");
                }
            }
            out.key(b"length").int(entry.length as i64);
            out.key(b"path").list();
            for component in &entry.path {
                out.bytes(component.as_bytes());
            }
            out.end().end();
        }
        out.end();
    }

    /// The files stand in the order of their paths, so that folders open and close in turn.
    fn encode_tree(&self, out: &mut Encoder, layers: &[Vec<Sha256Digest>]) {
        out.dict();
        let mut open: &[String] = &[];
        for (file, _) in self.layout.content_files() {
            let Some((_, source)) = &self.sources[file.as_usize()] else {
                continue;
            };
            let Some((name, folders)) = source.path.split_last() else {
                continue;
            };
            let shared = open.iter().zip(folders).take_while(|(a, b)| a == b).count();
            close(out, open.len() - shared);
            for folder in &folders[shared..] {
                out.key(folder.as_bytes()).dict();
            }
            open = folders;
            out.key(name.as_bytes()).dict().key(b"").dict();
            encode_attributes(out, source);
            out.key(b"length").int(source.length as i64);
            if let Some(root) = self.shape(file).root(&layers[file.as_usize()]) {
                out.key(b"pieces root").bytes(&root.0);
            }
            out.end().end();
        }
        close(out, open.len() + 1);
    }

    fn encode_torrent(
        &self,
        info: &[u8],
        layers: Vec<Vec<Sha256Digest>>,
    ) -> Result<Metainfo, CreateError> {
        let limits = Limits::NATIVE;
        let mut metainfo = Metainfo::read_info(info, &limits).map_err(CreateError::Metainfo)?;
        for (layer, (file, entry)) in layers.into_iter().zip(files_of(&self.layout)) {
            if !entry.pad && self.shape(file).has_piece_layer() && !layer.is_empty() {
                metainfo
                    .set_piece_layer(file, layer)
                    .map_err(CreateError::Metainfo)?;
            }
        }
        metainfo.extra = Extra {
            trackers: self.options.trackers.clone(),
            web_seeds: self.options.web_seeds.clone(),
            comment: self.options.comment.clone(),
            created_by: self.options.created_by.clone(),
            creation_date: self.options.creation_date,
        };
        let length = metainfo.to_torrent_bytes().len();
        if length > limits.torrent_bytes {
            return Err(CreateError::Metainfo(Error::TooLong {
                limit: limits.torrent_bytes,
            }));
        }
        Ok(metainfo)
    }
}

/// A file of the layout to be.
enum Planned {
    File(usize, Source),
    Padding(u64),
}

impl Planned {
    fn entry(&self) -> FileEntry {
        match self {
            Self::File(_, file) => FileEntry {
                path: file.path.clone(),
                length: file.length,
                pad: false,
                start: 0,
            },
            Self::Padding(length) => FileEntry {
                path: alloc::vec![".pad".to_string(), length.to_string()],
                length: *length,
                pad: true,
                start: 0,
            },
        }
    }

    fn source(self) -> Option<(usize, Source)> {
        match self {
            Self::File(given, file) => Some((given, file)),
            Self::Padding(_) => None,
        }
    }
}

/// BEP 52 wants padding between files; libtorrent also pads the last one, and so do we.
fn with_padding(sources: Vec<(usize, Source)>, piece_length: Option<u32>) -> Vec<Planned> {
    let mut planned = Vec::with_capacity(sources.len());
    for (given, file) in sources {
        let over = piece_length.map_or(0, |step| file.length % u64::from(step));
        planned.push(Planned::File(given, file));
        if let (Some(step), 1..) = (piece_length, over) {
            planned.push(Planned::Padding(u64::from(step) - over));
        }
    }
    planned
}

fn files_of(layout: &Layout) -> impl Iterator<Item = (FileIndex, &FileEntry)> {
    (0..)
        .map_while(|index| layout.file(index))
        .zip(layout.files())
}

fn close(out: &mut Encoder, folders: usize) {
    for _ in 0..folders {
        out.end();
    }
}

fn encode_attributes(out: &mut Encoder, file: &Source) {
    let attributes: &[u8] = match (file.hidden, file.executable) {
        (true, true) => b"hx",
        (true, false) => b"h",
        (false, true) => b"x",
        (false, false) => return,
    };
    out.key(b"attr").bytes(attributes);
}

fn check_piece_length(length: u32) -> Result<u32, CreateError> {
    if length.is_power_of_two() && (MIN_PIECE_LENGTH..=MAX_PIECE_LENGTH).contains(&length) {
        Ok(length)
    } else {
        Err(CreateError::PieceLength(length))
    }
}

fn check_name(name: &str) -> Result<(), CreateError> {
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(CreateError::Name(name.to_string()));
    }
    Ok(())
}

fn check_paths(sources: &[(usize, Source)]) -> Result<(), CreateError> {
    let mut paths: Vec<&[String]> = sources.iter().map(|(_, file)| &file.path[..]).collect();
    for path in &paths {
        let name = path.last().ok_or(CreateError::Name(String::new()))?;
        check_name(name)?;
        path.iter().try_for_each(|name| check_name(name))?;
    }
    // In order, a file that another lies under stands right before the first of those.
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        Some(pair) => Err(CreateError::SamePath(pair[0].join("/"))),
        None => Ok(()),
    }
}
