//! What was hashed, remembered: one file a torrent, which holds the torrent and how its files were.
//!
//! A file counts as unchanged while its length, its time of change and its number in the file system
//! are the same; the device's number is not compared, for a reboot may change it.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headwater_core::hash::sha1;
use headwater_core::metainfo::{Limits, Metainfo};
use serde::{Deserialize, Serialize};

use super::{AddressBook, Wish};
use crate::making::{self, Made};
use crate::private;
use crate::source::SourceFile;
use crate::storage::Storage;

/// Changed when the files can no longer be read as they are.
const FORMAT: u32 = 1;

/// What their names end in.
const ENDING: &str = "seeded";

/// How long what is not needed is remembered: a disk that was away for a season comes back to it.
const MEMORY: Duration = Duration::from_secs(100 * 24 * 3600);

/// Longest head of such a file: the paths of a torrent with the most files.
const MAX_HEAD: usize = 64 << 20;

/// The folder they are in.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
}

/// How a file was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    path: PathBuf,
    length: u64,
    inode: u64,
    /// Nanoseconds since 1970.
    modified: Option<u64>,
}

/// The first line; the torrent follows.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Head {
    format: u32,
    wish: Named,
    torrent: Option<Mark>,
    /// In the torrent's order.
    files: Vec<Mark>,
}

/// What a wish is told from others by.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Named {
    path: PathBuf,
    torrent: Option<PathBuf>,
    name: Option<String>,
    piece_length: Option<u32>,
    v1: bool,
    v2: bool,
}

impl State {
    /// In this folder, which is made if it is not there. What nobody has needed for long is forgotten.
    pub fn open(folder: &Path) -> io::Result<Self> {
        private::create_folder(folder)?;
        for entry in fs::read_dir(folder)?.filter_map(Result::ok) {
            let path = entry.path();
            let unused = entry.metadata().and_then(|meta| meta.modified());
            let unused = unused.ok().and_then(|at| at.elapsed().ok());
            if path.extension().is_some_and(|end| end == ENDING) && unused > Some(MEMORY) {
                fs::remove_file(path)?;
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Whom to call for what is seeded.
    pub fn address_book(&self) -> AddressBook {
        AddressBook::open(&self.folder)
    }

    /// The torrent of a wish, if its files are what they were when it was hashed.
    pub(super) fn recall(&self, wish: &Wish, torrent: Option<&Mark>) -> Option<Made> {
        let named = Named::of(wish)?;
        let path = self.path(&named);
        let (head, bytes) = read(&path)?;
        let mut metainfo = Metainfo::parse(&bytes, &Limits::NATIVE).ok()?;
        let files = match wish.torrent {
            Some(_) => making::find(&metainfo, &wish.path).ok()?,
            None => making::listed(&wish.path, metainfo.layout())?,
        };
        let now = Head {
            format: FORMAT,
            wish: named,
            torrent: torrent.cloned(),
            files: Mark::all(&files),
        };
        if head != now {
            return None;
        }
        // It is needed. Should that not be written down, it is hashed anew some day.
        let used = File::options().append(true).open(&path);
        let _ = used.and_then(|file| file.set_modified(SystemTime::now()));
        if wish.torrent.is_none() {
            // The trackers are whose the person names today.
            metainfo.set_trackers(wish.make.trackers.clone());
        }
        // Leaves are hashed again when somebody asks for them.
        let storage = Storage::new(metainfo.layout().clone(), files, Vec::new());
        Some(Made {
            metainfo,
            storage: Arc::new(storage),
        })
    }

    pub(super) fn remember(
        &self,
        wish: &Wish,
        torrent: Option<&Mark>,
        made: &Made,
    ) -> io::Result<()> {
        let wish = Named::of(wish).ok_or(io::ErrorKind::InvalidInput)?;
        let path = self.path(&wish);
        let head = Head {
            format: FORMAT,
            wish,
            torrent: torrent.cloned(),
            files: Mark::all(made.storage.files()),
        };
        let mut bytes = serde_json::to_vec(&head)?;
        bytes.push(b'\n');
        bytes.extend(made.metainfo.to_torrent_bytes());
        private::replace(&path, &bytes)
    }

    fn path(&self, named: &Named) -> PathBuf {
        let name = serde_json::to_vec(named).unwrap_or_default();
        self.folder
            .join(format!("{}.{ENDING}", sha1(&name).to_hex()))
    }
}

fn read(path: &Path) -> Option<(Head, Vec<u8>)> {
    let most = (Limits::NATIVE.torrent_bytes + MAX_HEAD) as u64;
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(most).read_to_end(&mut bytes).ok()?;
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let head = serde_json::from_slice(&bytes[..end]).ok()?;
    Some((head, bytes.split_off(end + 1)))
}

impl Named {
    fn of(wish: &Wish) -> Option<Self> {
        Some(Self {
            path: fs::canonicalize(&wish.path).ok()?,
            torrent: match &wish.torrent {
                Some(torrent) => Some(fs::canonicalize(torrent).ok()?),
                None => None,
            },
            name: wish.make.name.clone(),
            piece_length: wish.make.piece_length,
            v1: wish.make.version.has_v1(),
            v2: wish.make.version.has_v2(),
        })
    }
}

impl Mark {
    /// How the file at a path is.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        let (_, inode) = crate::source::identity(&meta);
        let modified = meta.modified().ok();
        Ok(Self::new(path, meta.len(), inode, modified))
    }

    /// How these files were when they were listed.
    pub(super) fn all(files: &[SourceFile]) -> Vec<Self> {
        let mark = |file: &SourceFile| {
            let (_, inode) = file.identity();
            Self::new(&file.path, file.length(), inode, file.modified())
        };
        files.iter().map(mark).collect()
    }

    fn new(path: &Path, length: u64, inode: u64, modified: Option<SystemTime>) -> Self {
        let since = modified.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            path: path.to_owned(),
            length,
            inode,
            modified: since.and_then(|since| u64::try_from(since.as_nanos()).ok()),
        }
    }
}
