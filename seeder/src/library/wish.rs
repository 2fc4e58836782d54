//! One torrent that is to be seeded, and how a library becomes many.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::config::{Entry, Make};
use crate::error::{Error, Result};
use crate::torrent_file;

/// Most torrents of a library: more is a mistake, such as `/`.
const MAX_TORRENTS: usize = 100_000;

/// One torrent that is to be seeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wish {
    /// A file or a folder, or the address of a file.
    pub path: PathBuf,
    /// The existing torrent it is of.
    pub torrent: Option<PathBuf>,
    /// How it is made otherwise; its trackers are those the person named for it.
    pub make: Make,
    /// Bytes a second.
    pub upload_limit: Option<u64>,
    /// Whether nothing is to be seeded if this cannot be.
    pub is_needed: bool,
}

impl Wish {
    /// Whether the same torrent is asked for, whatever it may send.
    pub fn is_same_torrent(&self, other: &Self) -> bool {
        (&self.path, &self.torrent, &self.make) == (&other.path, &other.torrent, &other.make)
    }
}

/// What these entries come to; a torrent that is named twice is one.
pub fn wishes(entries: &[Entry]) -> Result<Vec<Wish>> {
    let mut all: Vec<Wish> = Vec::new();
    let mut known = BTreeSet::new();
    for entry in entries {
        let found = match entry.is_library {
            true => match of_library(entry) {
                Err(e) if !entry.is_needed => {
                    warn!("{e}");
                    continue;
                }
                found => found?,
            },
            false => vec![entry.wish(entry.path.clone(), entry.torrent.clone(), entry.is_needed)],
        };
        for wish in found {
            if known.insert((wish.path.clone(), wish.torrent.clone())) {
                all.push(wish);
            }
        }
    }
    Ok(all)
}

impl Entry {
    fn wish(&self, path: PathBuf, torrent: Option<PathBuf>, is_needed: bool) -> Wish {
        Wish {
            path,
            torrent,
            make: self.make.clone(),
            upload_limit: self.upload_limit,
            is_needed,
        }
    }
}

/// Each .torrent file with the data beside it, and everything else that is not hidden.
fn of_library(library: &Entry) -> Result<Vec<Wish>> {
    let (torrents, mut others): (Vec<_>, Vec<_>) = visible(&library.path)?
        .into_iter()
        .partition(|path| path.extension().is_some_and(|end| end == "torrent"));
    let mut wishes = Vec::new();
    for torrent in torrents {
        let name = match torrent_file::read(&torrent) {
            Ok(metainfo) => metainfo.name().to_owned(),
            Err(e) => {
                warn!("{e}");
                continue;
            }
        };
        let data = library.path.join(&name);
        match others.iter().position(|path| *path == data) {
            Some(at) => wishes.push(library.wish(others.remove(at), Some(torrent), false)),
            None => warn!("{} lies without its data, {name}", torrent.display()),
        }
    }
    wishes.extend(
        others
            .into_iter()
            .map(|path| library.wish(path, None, false)),
    );
    wishes.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(wishes)
}

fn visible(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::path("read", folder, e);
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
        if paths.len() > MAX_TORRENTS {
            let words = format!("{} holds more than {MAX_TORRENTS} things", folder.display());
            return Err(Error::Other(words));
        }
    }
    paths.sort();
    Ok(paths)
}
