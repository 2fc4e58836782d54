//! The info dictionary: the part of a torrent that its names are over.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::error::Error;
use super::files::{Found, file_error, files_of_list, files_of_tree, joined};
use super::index::Index;
use super::limits::Limits;
use super::paths::{Paths, safe_component};
use crate::bencode::Value;
use crate::hash::{Sha1Digest, Sha256Digest, sha1, sha256};
use crate::ids::{InfoHashV1, InfoHashV2, InfoHashes};
use crate::layout::{Arrangement, BLOCK_LENGTH, FileEntry, Layout};

/// An info dictionary, checked.
#[derive(Clone, Debug)]
pub(super) struct Info {
    pub(super) bytes: Bytes,
    pub(super) hashes: InfoHashes,
    pub(super) name: String,
    pub(super) is_single_file: bool,
    pub(super) is_private: bool,
    pub(super) layout: Layout,
    /// Where in `bytes` the v1 piece hashes are.
    pub(super) v1_hashes: Option<Range<usize>>,
    /// By place in the layout.
    pub(super) roots: Vec<Option<Sha256Digest>>,
    pub(super) files_by_root: Index,
}

impl Info {
    pub(super) fn parse(info: Value<'_, '_>, limits: &Limits) -> Result<Self, Error> {
        if !info.is_dict() {
            return Err(Error::Invalid {
                key: "info",
                why: "it is not a dictionary",
            });
        }
        let is_v2 = is_v2(info)?;
        let list = info.get(b"files").filter(|files| files.is_list());
        let is_v1 = !is_v2 || list.is_some() || info.get(b"length").is_some();
        if !is_v1 && info.get(b"pieces").is_some() {
            return Err(Error::Hybrid {
                why: "there are v1 hashes, but no v1 files",
            });
        }
        let piece_length = piece_length(info, is_v2, limits)?;
        let name = info
            .get(b"name.utf-8")
            .and_then(|name| name.bytes())
            .or_else(|| info.get(b"name")?.bytes())
            .ok_or(Error::Missing("name"))?;
        if list.is_none() && is_v1 && is_no_name(name) {
            return Err(Error::Missing("name"));
        }
        let tree = if is_v2 {
            Some(files_of_tree(info, limits)?)
        } else {
            None
        };
        let is_single_file = match &tree {
            _ if is_v1 => list.is_none(),
            Some(tree) => matches!(&tree[..], [file] if file.path == [name]),
            None => false,
        };
        let (arrangement, files) = match (tree, is_v1) {
            (Some(tree), true) => {
                let list = files_of_list(info, list, name, limits)?;
                (Arrangement::Padded, joined(list, tree)?)
            }
            (Some(tree), false) => (Arrangement::Aligned, tree),
            (None, _) => (
                Arrangement::Contiguous,
                files_of_list(info, list, name, limits)?,
            ),
        };
        if files.iter().all(|file| file.length == 0) {
            return Err(Error::Invalid {
                key: "info",
                why: "all its files are empty",
            });
        }
        let roots: Vec<_> = files.iter().map(|file| file.root).collect();
        let files_by_root = files_by_root(&files)?;
        let layout = Layout::new(arrangement, piece_length, entries(&files))?;
        let v1_hashes = if is_v1 {
            Some(v1_hashes(info, &layout)?)
        } else {
            None
        };
        Ok(Self {
            bytes: Bytes::copy_from_slice(info.raw()),
            hashes: hashes(info.raw(), is_v1, is_v2),
            name: safe_component(name),
            is_single_file,
            is_private: info
                .get(b"private")
                .and_then(|private| private.int())
                .is_some_and(|private| private != 0),
            layout,
            v1_hashes,
            roots,
            files_by_root,
        })
    }
}

/// Reads the version before anything else, so that a newer torrent is called that.
fn is_v2(info: Value<'_, '_>) -> Result<bool, Error> {
    let version = info.get(b"meta version").and_then(|version| version.int());
    if matches!(version, Some(1..)) && !info.is_sorted() {
        return Err(Error::Invalid {
            key: "info",
            why: "its keys are not in order",
        });
    }
    match version {
        Some(2) => Ok(true),
        Some(version @ 3..) => Err(Error::NewerVersion(version)),
        _ if info.get(b"file tree").is_some_and(|tree| tree.is_dict()) => Err(Error::Invalid {
            key: "meta version",
            why: "there is a \"file tree\", but the version is not 2",
        }),
        _ => Ok(false),
    }
}

fn piece_length(info: Value<'_, '_>, is_v2: bool, limits: &Limits) -> Result<u32, Error> {
    let length = info
        .get(b"piece length")
        .and_then(|length| length.int())
        .ok_or(Error::Missing("piece length"))?;
    let error = |why| Error::PieceLength { length, why };
    let checked = u32::try_from(length)
        .ok()
        .filter(|length| *length > 0)
        .ok_or(error("it is no usable number"))?;
    if checked > limits.piece_length {
        return Err(error("pieces that large are not supported here"));
    }
    if is_v2 && (!checked.is_power_of_two() || checked < BLOCK_LENGTH) {
        return Err(error("in v2 it must be a power of two, 16384 or more"));
    }
    Ok(checked)
}

fn files_by_root(files: &[Found<'_>]) -> Result<Index, Error> {
    let mut by_root = Index::default();
    for (number, file) in files.iter().enumerate() {
        let Some(root) = file.root else { continue };
        let first = by_root.get_or_insert(&root.0, number as u32);
        // One root cannot be over two lengths, and one layer could not serve both.
        if files[first as usize].length != file.length {
            return Err(file_error(
                &file.path,
                "it shares its pieces root with a file of another length",
            ));
        }
    }
    Ok(by_root)
}

fn entries(files: &[Found<'_>]) -> Vec<FileEntry> {
    let mut paths = Paths::default();
    let mut entry = |file: &Found<'_>| {
        let components = file.path.iter().map(|c| safe_component(c)).collect();
        FileEntry {
            // Padding is never stored, so its name is in nobody's way.
            path: if file.pad {
                components
            } else {
                paths.place(components)
            },
            length: file.length,
            pad: file.pad,
            start: 0,
        }
    };
    files.iter().map(&mut entry).collect()
}

fn v1_hashes(info: Value<'_, '_>, layout: &Layout) -> Result<Range<usize>, Error> {
    let pieces = info.get(b"pieces").ok_or(Error::Missing("pieces"))?;
    let hashes = pieces.bytes().ok_or(Error::Invalid {
        key: "pieces",
        why: "it is not a string",
    })?;
    if !hashes.len().is_multiple_of(Sha1Digest::LENGTH) {
        return Err(Error::Invalid {
            key: "pieces",
            why: "it is no string of 20-byte hashes",
        });
    }
    let found = (hashes.len() / Sha1Digest::LENGTH) as u64;
    let expected = u64::from(layout.piece_count());
    if found != expected {
        return Err(Error::PieceHashes { expected, found });
    }
    let end = pieces.offset() + pieces.raw().len() - info.offset();
    Ok(end - hashes.len()..end)
}

fn hashes(info: &[u8], is_v1: bool, is_v2: bool) -> InfoHashes {
    let v1 = || InfoHashV1(sha1(info).0);
    let v2 = || InfoHashV2(sha256(info).0);
    match (is_v1, is_v2) {
        (true, true) => InfoHashes::Hybrid(v1(), v2()),
        (false, true) => InfoHashes::V2(v2()),
        (_, false) => InfoHashes::V1(v1()),
    }
}

/// Whether nothing is left of a name that is made safe.
fn is_no_name(name: &[u8]) -> bool {
    matches!(name, b"" | b"." | b".." | [0, ..]) || name.iter().all(|b| matches!(b, b'/' | b'\\'))
}
