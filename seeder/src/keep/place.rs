//! Where a torrent's files go.
//!
//! Names come from a stranger, and are made safe when the torrent is read; that no link leads
//! them out of the folder is seen to here.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use headwater_core::bitfield::Bitfield;
use headwater_core::layout::Layout;
use headwater_core::metainfo::Metainfo;

use crate::error::{Error, Result};
use crate::source::SourceFile;

/// Where a person wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// In the working folder, under the torrent's name.
    Here,
    /// As this file or folder; or in this folder under the torrent's name, if it exists or ends in a slash.
    At(PathBuf),
}

/// Where a torrent's files go.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file, or the folder all files are in.
    pub root: PathBuf,
    /// What is known of the files, beside them.
    pub state: PathBuf,
    /// The torrent's files that are no padding, in its order.
    pub paths: Vec<PathBuf>,
}

impl Place {
    /// The place of a torrent.
    pub fn new(out: &Out, metainfo: &Metainfo) -> Result<Self> {
        let root = match out {
            Out::Here => PathBuf::from(metainfo.name()),
            Out::At(path) if path.is_dir() || ends_in_slash(path) => path.join(metainfo.name()),
            Out::At(path) => path.clone(),
        };
        let name = root.file_name().ok_or_else(|| {
            let words = format!("-o {} names no file and no folder", root.display());
            Error::Usage(words)
        })?;
        let state = root.with_file_name(format!(".{}.headwater", name.to_string_lossy()));
        let single = metainfo.is_single_file();
        let below = |path: &[String]| match single {
            true => root.clone(),
            false => path.iter().fold(root.clone(), |path, part| path.join(part)),
        };
        let files = metainfo.layout().content_files();
        let paths = files.map(|(_, entry)| below(&entry.path)).collect();
        Ok(Self { root, state, paths })
    }

    /// Keeps other processes out, until the file is dropped or the process ends; `None` if nothing is
    /// there yet, or the file system knows no locks.
    pub fn lock(&self) -> Result<Option<File>> {
        let mut options = OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            &mut options,
            libc::O_NOFOLLOW | libc::O_NONBLOCK,
        );
        let Ok(file) = options.open(&self.root) else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Err(Error::Other(format!(
                "another headwater is writing {}; wait for it, or choose another place with -o",
                self.root.display()
            ))),
            Err(TryLockError::Error(_)) => Ok(None),
        }
    }

    /// Makes the files that have something of these pieces, of their full length, sparse; the
    /// others are said to be absent.
    pub fn make(&self, layout: &Layout, wanted: &Bitfield) -> Result<Vec<SourceFile>> {
        let entries = layout.content_files().zip(&self.paths);
        entries
            .map(|((file, entry), path)| {
                let mut pieces = layout.file_pieces(file);
                let is_wanted = entry.length == 0 || pieces.any(|piece| wanted.has(piece));
                if !is_wanted {
                    return Ok(SourceFile::absent(entry.path.clone(), path.clone()));
                }
                self.make_one(path, entry.length)
                    .and_then(|file| file.metadata())
                    .map(|meta| SourceFile::growing(entry.path.clone(), path.clone(), &meta))
                    .map_err(|e| Error::path("write", path, e))
            })
            .collect()
    }

    fn make_one(&self, path: &Path, length: u64) -> io::Result<File> {
        if let Some(folder) = path.parent().filter(|folder| *folder != Path::new("")) {
            fs::create_dir_all(folder)?;
            let (within, root) = (fs::canonicalize(folder)?, self.root.parent());
            let root = root.filter(|root| *root != Path::new(""));
            if !within.starts_with(fs::canonicalize(root.unwrap_or(Path::new(".")))?) {
                return Err(io::Error::other("a link leads out of the folder"));
            }
        }
        let file = open_to_write(path, true)?;
        if file.metadata()?.len() != length {
            file.set_len(length)?;
        }
        Ok(file)
    }
}

/// Opens a file to write to it, never through a link.
pub(super) fn open_to_write(path: &Path, create: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is no regular file")),
    }
}

fn ends_in_slash(path: &Path) -> bool {
    path.to_string_lossy().ends_with(std::path::is_separator)
}
