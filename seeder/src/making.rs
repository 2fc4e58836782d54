//! From a path to a torrent whose bytes are at hand: made anew, or an existing one checked
//! against the files.

mod remote;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use headwater_core::layout::{FileIndex, Layout, PieceIndex};
use headwater_core::merkle::Shape;
use headwater_core::metainfo::Metainfo;
use headwater_core::metainfo::create::{self, Contents, CreateError, Options, Plan};
use tracing::warn;

use crate::config::{Make, Version};
use crate::error::{Error, Result};
use crate::hashing::{PieceHashes, Wanted, hash_pieces, progress};
use crate::source::{SourceFile, Sources};
use crate::storage::Storage;
use crate::torrent_file;
pub use remote::make as make_of_remote;

/// A torrent and its bytes.
#[derive(Debug)]
pub struct Made {
    /// What it says.
    pub metainfo: Metainfo,
    /// Where its bytes are.
    pub storage: Arc<Storage>,
}

/// Hashes what is at `path` into a new torrent.
pub fn make(path: &Path, make: &Make, show_progress: bool) -> Result<Made> {
    let sources = Sources::list(path)?;
    for skipped in &sources.skipped {
        warn!("{skipped}");
    }
    let name = make.name.as_deref().unwrap_or(&sources.name);
    let plan = Plan::new(name, contents(&sources), options(make)).map_err(|e| refused(path, &e))?;
    let files = in_order_of(&plan, sources.files);
    let layout = plan.layout().clone();
    let wanted = Wanted {
        v1: make.version.has_v1(),
        v2: make.version.has_v2(),
    };
    let bar = progress(name, layout.content_length(), show_progress);
    let hashes = hash_pieces(&layout, &files, wanted, &bar);
    bar.finish_and_clear();
    let hashes = hashes?;
    let hashed = layout
        .pieces()
        .zip(&hashes)
        .map(|(piece, hashes)| create::PieceHashes {
            piece,
            v1: hashes.v1,
            v2: shape(&layout, piece).and_then(|shape| shape.piece_root(&hashes.leaves)),
        });
    let metainfo = plan.finish(hashed).map_err(|e| refused(path, &e))?;
    Ok(Made {
        metainfo,
        storage: Arc::new(Storage::new(layout, files, hashes)),
    })
}

/// Checks what is at `path` against an existing torrent.
pub fn verify(torrent: &Path, path: &Path, show_progress: bool) -> Result<Made> {
    let mut metainfo = torrent_file::read(torrent)?;
    let layout = metainfo.layout().clone();
    let files = find(&metainfo, path)?;
    for ((_, entry), file) in layout.content_files().zip(&files) {
        if entry.length != file.length() {
            return Err(Error::Mismatch(format!(
                "{} has {} bytes, the torrent says {}",
                file.path.display(),
                file.length(),
                entry.length
            )));
        }
    }
    let hashes = metainfo.info_hashes();
    let wanted = Wanted {
        v1: hashes.v1().is_some(),
        v2: hashes.v2().is_some(),
    };
    let bar = progress(metainfo.name(), layout.content_length(), show_progress);
    let hashes = hash_pieces(&layout, &files, wanted, &bar);
    bar.finish_and_clear();
    let hashes = hashes?;
    add_missing_layers(&mut metainfo, &hashes)?;
    match layout
        .pieces()
        .zip(&hashes)
        .find(|(piece, hashes)| !is_right(&metainfo, *piece, hashes))
    {
        Some((piece, _)) => Err(Error::Mismatch(format!(
            "{} is not what {} was made from: piece {piece} differs",
            path.display(),
            torrent.display()
        ))),
        None => Ok(Made {
            metainfo,
            storage: Arc::new(Storage::new(layout, files, hashes)),
        }),
    }
}

/// BEP 52 lets a torrent come without its piece layers; having the files, we can add them.
fn add_missing_layers(metainfo: &mut Metainfo, hashes: &[PieceHashes]) -> Result<()> {
    let missing: Vec<FileIndex> = metainfo.missing_piece_layers().collect();
    for file in missing {
        let layout = metainfo.layout();
        let pieces = layout
            .file_pieces(file)
            .filter_map(|piece| layout.piece(piece));
        let layer = pieces
            .filter_map(|piece| shape(layout, piece)?.piece_root(&hashes[piece.as_usize()].leaves));
        let (layer, path) = (layer.collect(), layout.entry(file).path.join("/"));
        metainfo.set_piece_layer(file, layer).map_err(|_| {
            Error::Mismatch(format!("{path} is not what the torrent was made from"))
        })?;
    }
    Ok(())
}

fn is_right(metainfo: &Metainfo, piece: PieceIndex, hashes: &PieceHashes) -> bool {
    let root = shape(metainfo.layout(), piece).and_then(|shape| shape.piece_root(&hashes.leaves));
    let v2_is_right =
        metainfo.info_hashes().v2().is_none() || root == metainfo.v2_piece_root(piece);
    metainfo.v1_piece_hash(piece) == hashes.v1 && v2_is_right
}

/// The tree of the file this piece belongs to; `None` in a v1 torrent.
fn shape(layout: &Layout, piece: PieceIndex) -> Option<Shape> {
    let part = layout.file_piece(piece)?;
    Some(Shape {
        length: layout.entry(part.file).length,
        piece_length: layout.standard_piece_length(),
    })
}

/// The torrent's files at `path`: that file, that folder, or the torrent's own name within that folder.
pub(crate) fn find(metainfo: &Metainfo, path: &Path) -> Result<Vec<SourceFile>> {
    let is_folder = std::fs::metadata(path)
        .map_err(|e| Error::path("read", path, e))?
        .is_dir();
    let inside = path.join(metainfo.name());
    if metainfo.is_single_file() {
        let file = if is_folder { &inside } else { path };
        let sources = Sources::list(file)?;
        return Ok(sources.files);
    }
    if !is_folder {
        return Err(Error::Mismatch(format!(
            "the torrent is a folder, {} is a file",
            path.display()
        )));
    }
    let root = if inside.is_dir() { &inside } else { path };
    let paths: Vec<_> = metainfo
        .layout()
        .content_files()
        .map(|(_, entry)| entry.path.as_slice())
        .collect();
    Sources::of_paths(root, paths.into_iter())
}

/// The files at `path` in the order of a torrent that was made of them; `None` if they are not the
/// same ones any more.
pub(crate) fn listed(path: &Path, layout: &Layout) -> Option<Vec<SourceFile>> {
    let listed = Sources::list(path).ok()?.files;
    let is_single = listed.len() == 1;
    let by_path: BTreeMap<_, _> = listed.iter().map(|file| (&file.components, file)).collect();
    let content = layout.content_files();
    let ordered = content.map(|(_, entry)| match is_single {
        true => listed.first(),
        false => by_path.get(&entry.path).copied(),
    });
    let ordered: Option<Vec<_>> = ordered.map(|file| file.cloned()).collect();
    ordered.filter(|ordered| ordered.len() == listed.len())
}

fn contents(sources: &Sources) -> Contents {
    let mut files = sources.files.iter().map(|file| create::Source {
        path: file.components.clone(),
        length: file.length(),
        executable: file.executable,
        ..create::Source::default()
    });
    if sources.single {
        Contents::File(files.next().unwrap_or_default())
    } else {
        Contents::Folder(files.collect())
    }
}

/// The files as the layout has them, padding left out.
fn in_order_of(plan: &Plan, files: Vec<SourceFile>) -> Vec<SourceFile> {
    let order = plan
        .layout()
        .content_files()
        .filter_map(|(file, _)| plan.source(file));
    order
        .filter_map(|place| files.get(place).cloned())
        .collect()
}

fn options(make: &Make) -> Options {
    Options {
        version: match make.version {
            Version::Hybrid => create::Version::Hybrid,
            Version::V1 => create::Version::V1,
            Version::V2 => create::Version::V2,
        },
        piece_length: make.piece_length,
        trackers: make.trackers.clone(),
        web_seeds: make.web_seeds.clone(),
        comment: make.comment.clone(),
        created_by: Some(concat!("headwater ", env!("CARGO_PKG_VERSION")).to_owned()),
        creation_date: None,
        private: make.private,
    }
}

fn refused(path: &Path, error: &CreateError) -> Error {
    match error {
        CreateError::Empty => Error::Nothing(path.to_owned()),
        other => Error::Other(format!(
            "cannot make a torrent of {}: {other}",
            path.display()
        )),
    }
}
