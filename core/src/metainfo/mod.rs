//! What a torrent says of itself: its names, files, hashes and where to ask for it.
//!
//! Read from a `.torrent` file or, for a magnet link, from an info dictionary that peers sent.
//! The info dictionary is kept as the bytes that were found, for its hash is over those.

pub mod create;
mod error;
mod files;
mod index;
mod info;
mod limits;
pub mod magnet;
mod paths;
mod web_seed;

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bencode::{self, Encoder, Value};
use crate::hash::{Sha1Digest, Sha256Digest};
use crate::ids::InfoHashes;
use crate::layout::{FileIndex, Layout, PieceIndex};
use crate::merkle::Shape;
use crate::ordered::Map;

pub use create::choose_piece_length;
pub use error::Error;
pub use limits::Limits;
pub use magnet::Magnet;

use info::Info;

/// A torrent's description, checked.
#[derive(Clone, Debug)]
pub struct Metainfo {
    info: Info,
    /// Piece layers by the root they lead to; identical files share one.
    layers: Map<Sha256Digest, Vec<Sha256Digest>>,
    extra: Extra,
}

/// What stands outside the info dictionary and can be anyone's.
#[derive(Clone, Default, Debug)]
struct Extra {
    trackers: Vec<String>,
    web_seeds: Vec<String>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
}

/// Reads a `.torrent` file within the default limits.
pub fn parse(torrent: &[u8]) -> Result<Metainfo, Error> {
    Metainfo::parse(torrent, &Limits::default())
}

/// Reads an info dictionary that should have these names, within the default limits.
pub fn from_info(
    info: &[u8],
    expected: &InfoHashes,
    trackers: Vec<String>,
) -> Result<Metainfo, Error> {
    Metainfo::from_info(info, expected, trackers, &Limits::default())
}

impl Metainfo {
    /// Reads a `.torrent` file.
    pub fn parse(torrent: &[u8], limits: &Limits) -> Result<Self, Error> {
        if torrent.len() > limits.torrent_bytes {
            return Err(Error::TooLong {
                limit: limits.torrent_bytes,
            });
        }
        let document = bencode::decode(torrent, limits.bencode)?;
        let root = document.root();
        if !root.is_dict() {
            return Err(Error::NotATorrent);
        }
        let info = root.get(b"info").ok_or(Error::Missing("info"))?;
        let mut metainfo = Self {
            info: Info::parse(info, limits)?,
            layers: Map::new(),
            extra: Extra::parse(root, limits),
        };
        if let Some(layers) = root.get(b"piece layers") {
            metainfo.read_piece_layers(layers)?;
        }
        Ok(metainfo)
    }

    /// Reads an info dictionary that came from peers, if it has all the names expected.
    ///
    /// Piece layers are not part of it: see [`set_piece_layer`](Self::set_piece_layer).
    pub fn from_info(
        info: &[u8],
        expected: &InfoHashes,
        trackers: Vec<String>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut metainfo = Self::read_info(info, limits)?;
        if !expected.are_of(&metainfo.info_hashes()) {
            return Err(Error::WrongInfoHash);
        }
        metainfo.set_trackers(trackers);
        Ok(metainfo)
    }

    /// Reads an info dictionary, whatever its names.
    fn read_info(info: &[u8], limits: &Limits) -> Result<Self, Error> {
        if info.len() > limits.torrent_bytes {
            return Err(Error::TooLong {
                limit: limits.torrent_bytes,
            });
        }
        let document = bencode::decode(info, limits.bencode)?;
        Ok(Self {
            info: Info::parse(document.root(), limits)?,
            layers: Map::new(),
            extra: Extra::default(),
        })
    }

    /// The torrent's names.
    pub fn info_hashes(&self) -> InfoHashes {
        self.info.hashes
    }

    /// Where its bytes are.
    pub fn layout(&self) -> &Layout {
        &self.info.layout
    }

    /// The name of its file or folder, safe to use as a file name.
    pub fn name(&self) -> &str {
        &self.info.name
    }

    /// Whether it is one file and no folder.
    pub fn is_single_file(&self) -> bool {
        self.info.is_single_file
    }

    /// Whether it asks to be shared through its trackers alone (BEP 27).
    pub fn is_private(&self) -> bool {
        self.info.is_private
    }

    /// Trackers, first choice first.
    pub fn trackers(&self) -> &[String] {
        &self.extra.trackers
    }

    /// Other trackers from now on.
    pub fn set_trackers(&mut self, trackers: Vec<String>) {
        self.extra.trackers = trackers;
    }

    /// Where else its bytes are served over HTTP (BEP 19).
    pub fn web_seeds(&self) -> &[String] {
        &self.extra.web_seeds
    }

    /// Other web seeds from now on.
    pub fn set_web_seeds(&mut self, web_seeds: Vec<String>) {
        self.extra.web_seeds = web_seeds;
    }

    /// What its maker says of it.
    pub fn comment(&self) -> Option<&str> {
        self.extra.comment.as_deref()
    }

    /// The program that made it.
    pub fn created_by(&self) -> Option<&str> {
        self.extra.created_by.as_deref()
    }

    /// When it was made, in seconds since 1970.
    pub fn creation_date(&self) -> Option<i64> {
        self.extra.creation_date
    }

    /// The info dictionary as it was found: what the info hashes are over.
    pub fn info_bytes(&self) -> &Bytes {
        &self.info.bytes
    }

    /// SHA-1 of a whole piece, padding included; `None` in a v2 torrent.
    pub fn v1_piece_hash(&self, piece: PieceIndex) -> Option<Sha1Digest> {
        let hashes = self.info.bytes.get(self.info.v1_hashes.clone()?)?;
        let start = piece.as_usize() * Sha1Digest::LENGTH;
        Sha1Digest::from_slice(hashes.get(start..start + Sha1Digest::LENGTH)?)
    }

    /// The v2 hash over a piece's leaves; `None` in a v1 torrent, or if the piece layer is not there yet.
    pub fn v2_piece_root(&self, piece: PieceIndex) -> Option<Sha256Digest> {
        let part = self.layout().file_piece(piece)?;
        let root = self.pieces_root(part.file)?;
        if self.shape(part.file)?.has_piece_layer() {
            self.layers.get(&root)?.get(part.index as usize).copied()
        } else {
            Some(root)
        }
    }

    /// The root of a file's hash tree; `None` for empty files, padding and v1 torrents.
    pub fn pieces_root(&self, file: FileIndex) -> Option<Sha256Digest> {
        *self.info.roots.get(file.as_usize())?
    }

    /// A file with this root, if there is one: what a hash request names.
    pub fn file_with_root(&self, root: &Sha256Digest) -> Option<FileIndex> {
        let file = self.info.files_by_root.get(&root.0)?;
        Some(FileIndex::unchecked(file as usize))
    }

    /// The measures of a file's hash tree, if it has one.
    pub fn shape(&self, file: FileIndex) -> Option<Shape> {
        self.pieces_root(file)?;
        Some(Shape {
            length: self.layout().entry(file).length,
            piece_length: self.layout().standard_piece_length(),
        })
    }

    /// The hashes of a file's pieces, if it is larger than a piece and they are known.
    pub fn piece_layer(&self, file: FileIndex) -> Option<&[Sha256Digest]> {
        Some(self.layers.get(&self.pieces_root(file)?)?)
    }

    /// Whether every piece's v2 hash is known; so in every v1 torrent.
    pub fn has_all_piece_layers(&self) -> bool {
        self.missing_piece_layers().next().is_none()
    }

    /// The files whose pieces have no v2 hash yet; of identical files, all.
    pub fn missing_piece_layers(&self) -> impl Iterator<Item = FileIndex> {
        self.layout()
            .content_files()
            .map(|(file, _)| file)
            .filter(|file| {
                self.shape(*file)
                    .is_some_and(|shape| shape.has_piece_layer())
                    && self.piece_layer(*file).is_none()
            })
    }

    /// Takes the hashes of a file's pieces if they lead to its root; identical files get them too.
    pub fn set_piece_layer(
        &mut self,
        file: FileIndex,
        layer: Vec<Sha256Digest>,
    ) -> Result<(), Error> {
        let root = self.pieces_root(file);
        let shape = self.shape(file);
        let error = |why| Error::PieceLayer {
            file: self.layout().entry(file).path.join("/"),
            why,
        };
        let (Some(root), Some(shape)) = (root, shape) else {
            return Err(error("the file has no hash tree"));
        };
        if !shape.has_piece_layer() {
            return Err(error("the file is not larger than a piece"));
        }
        if layer.len() as u64 != shape.piece_count() {
            return Err(error("it has not one hash for each piece"));
        }
        if shape.root(&layer) != Some(root) {
            return Err(error("it does not lead to the file's root"));
        }
        self.layers.insert(root, layer);
        Ok(())
    }

    /// The torrent as a file, with every piece layer known; the info dictionary stays byte for byte.
    pub fn to_torrent_bytes(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        out.dict();
        self.extra.encode_before_info(&mut out);
        out.key(b"info").raw(&self.info.bytes);
        if self.info_hashes().v2().is_some() {
            out.key(b"piece layers").dict();
            for (root, layer) in &self.layers {
                out.key(&root.0).bytes(&concat(layer));
            }
            out.end();
        }
        self.extra.encode_after_info(&mut out);
        out.end();
        out.finish()
    }

    fn read_piece_layers(&mut self, layers: Value<'_, '_>) -> Result<(), Error> {
        if self.info_hashes().v2().is_none() {
            return Ok(());
        }
        let layers = layers.dict().ok_or(Error::Invalid {
            key: "piece layers",
            why: "it is not a dictionary",
        })?;
        for (root, layer) in layers {
            let file = Sha256Digest::from_slice(root)
                .and_then(|root| self.file_with_root(&root))
                .ok_or(Error::Invalid {
                    key: "piece layers",
                    why: "it has a key that is no file's root",
                })?;
            let bytes = layer.bytes().unwrap_or_default();
            let (hashes, rest) = bytes.as_chunks::<32>();
            if hashes.is_empty() || !rest.is_empty() {
                return Err(Error::Invalid {
                    key: "piece layers",
                    why: "a layer is no string of 32-byte hashes",
                });
            }
            self.set_piece_layer(file, hashes.iter().copied().map(Sha256Digest).collect())?;
        }
        Ok(())
    }
}

impl Extra {
    /// Whatever of it is there and usable; the rest is not worth refusing a torrent for.
    fn parse(root: Value<'_, '_>, limits: &Limits) -> Self {
        let text = |key| Some(String::from(root.get(key)?.text()?));
        let tiers = root.get(b"announce-list").and_then(|list| list.list());
        let listed = tiers.into_iter().flatten().filter_map(|tier| tier.list());
        let first = root.get(b"announce");
        let trackers = first.into_iter().chain(listed.flatten());
        let seeds = root.get(b"url-list");
        let one_seed = seeds.filter(|seeds| !seeds.is_list());
        let many_seeds = seeds.and_then(|seeds| seeds.list()).into_iter().flatten();
        Self {
            trackers: distinct_texts(trackers, limits.trackers),
            web_seeds: distinct_texts(one_seed.into_iter().chain(many_seeds), limits.web_seeds),
            comment: text(b"comment.utf-8").or_else(|| text(b"comment")),
            created_by: text(b"created by"),
            creation_date: root.get(b"creation date").and_then(|date| date.int()),
        }
    }

    fn encode_before_info(&self, out: &mut Encoder) {
        if let Some(first) = self.trackers.first() {
            out.key(b"announce").bytes(first.as_bytes());
        }
        if self.trackers.len() > 1 {
            out.key(b"announce-list").list();
            for tracker in &self.trackers {
                out.list().bytes(tracker.as_bytes()).end();
            }
            out.end();
        }
        if let Some(comment) = &self.comment {
            out.key(b"comment").bytes(comment.as_bytes());
        }
        if let Some(created_by) = &self.created_by {
            out.key(b"created by").bytes(created_by.as_bytes());
        }
        if let Some(date) = self.creation_date {
            out.key(b"creation date").int(date);
        }
    }

    fn encode_after_info(&self, out: &mut Encoder) {
        if !self.web_seeds.is_empty() {
            out.key(b"url-list").list();
            for seed in &self.web_seeds {
                out.bytes(seed.as_bytes());
            }
            out.end();
        }
    }
}

/// The first few different texts among these values.
fn distinct_texts<'a: 'd, 'd>(
    values: impl Iterator<Item = Value<'a, 'd>>,
    limit: usize,
) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in values.filter_map(|value| value.text()) {
        if texts.len() >= limit {
            break;
        }
        if !text.is_empty() && !texts.iter().any(|known| known == text) {
            texts.push(text.into());
        }
    }
    texts
}

fn concat(hashes: &[Sha256Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}
