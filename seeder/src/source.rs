//! The files of a path as found on disk: which there are, what is left out, and whether one of
//! them has changed since.
//!
//! Nothing outside the path is read. A link that leads out, a FIFO or a device is left out with a
//! warning; and a file is opened only as the very file that was listed (device, inode, length and
//! time of change), so that swapping it for a link in between gains nothing.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{Error, Result};

/// Deepest folder we walk into; a torrent's paths are no deeper.
const MAX_DEPTH: usize = 100;

/// A file or folder, ready to be hashed or served.
#[derive(Debug)]
pub struct Sources {
    /// What to call the torrent: the last component of the path.
    pub name: String,
    /// Whether the path is one file rather than a folder.
    pub single: bool,
    /// The files in the order of a v2 file tree: by the bytes of their path's components.
    pub files: Vec<SourceFile>,
    /// What was left out, each with its reason.
    pub skipped: Vec<String>,
}

/// One file on disk.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Components under the root; the file's own name if it is the root.
    pub components: Vec<String>,
    /// Where it is.
    pub path: PathBuf,
    /// Whether its owner may run it: BEP 47 has an attribute for that.
    pub executable: bool,
    stamp: Stamp,
    /// Whether it is being written, so that its time of change says nothing.
    grows: bool,
}

/// What tells one state of a file from another.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Stamp {
    identity: (u64, u64),
    length: u64,
    modified: Option<SystemTime>,
}

impl Sources {
    /// Lists what is at `path`.
    pub fn list(path: &Path) -> Result<Self> {
        let root = fs::canonicalize(path).map_err(|e| Error::path("read", path, e))?;
        let meta = fs::metadata(&root).map_err(|e| Error::path("read", path, e))?;
        let name = name_of(path, &root)?;
        let mut sources = Self {
            name: name.clone(),
            single: meta.is_file(),
            files: Vec::new(),
            skipped: Vec::new(),
        };
        if meta.is_dir() {
            sources.walk(&root, &root, &mut Vec::new())?;
            sources
                .files
                .sort_by(|a, b| a.components.cmp(&b.components));
        } else if meta.is_file() {
            sources.files.push(SourceFile::new(vec![name], root, &meta));
        } else {
            return Err(Error::Other(format!(
                "{} is neither a file nor a folder; only those can be seeded",
                path.display()
            )));
        }
        if sources.files.iter().all(|file| file.length() == 0) {
            return Err(Error::Nothing(path.to_owned()));
        }
        Ok(sources)
    }

    /// The files of a torrent under `root`, in the torrent's order; every one must be there.
    pub fn of_paths<'a>(
        root: &Path,
        paths: impl Iterator<Item = &'a [String]>,
    ) -> Result<Vec<SourceFile>> {
        let root = fs::canonicalize(root).map_err(|e| Error::path("read", root, e))?;
        paths
            .map(|components| {
                let wanted = components
                    .iter()
                    .fold(root.clone(), |path, part| path.join(part));
                let path =
                    fs::canonicalize(&wanted).map_err(|e| Error::path("read", &wanted, e))?;
                let meta = fs::metadata(&path).map_err(|e| Error::path("read", &wanted, e))?;
                if !path.starts_with(&root) || !meta.is_file() {
                    return Err(Error::Mismatch(format!(
                        "{} is no file of that folder",
                        wanted.display()
                    )));
                }
                Ok(SourceFile::new(components.to_vec(), path, &meta))
            })
            .collect()
    }

    fn walk(&mut self, root: &Path, folder: &Path, components: &mut Vec<String>) -> Result<()> {
        if components.len() >= MAX_DEPTH {
            self.skip(folder, "folders nested too deep");
            return Ok(());
        }
        let entries = fs::read_dir(folder).map_err(|e| Error::path("read", folder, e))?;
        for entry in entries {
            let entry = entry.map_err(|e| Error::path("read", folder, e))?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                self.skip(&path, "its name is not UTF-8");
                continue;
            };
            let kind = entry
                .file_type()
                .map_err(|e| Error::path("read", &path, e))?;
            components.push(name);
            if kind.is_dir() {
                self.walk(root, &path, components)?;
            } else if kind.is_file() {
                let meta = entry
                    .metadata()
                    .map_err(|e| Error::path("read", &path, e))?;
                self.add(components, path, &meta);
            } else if kind.is_symlink() {
                self.follow(root, path, components);
            } else {
                self.skip(&path, "it is no regular file");
            }
            components.pop();
        }
        Ok(())
    }

    /// A link counts as the file it leads to, if that lies in the folder; to a folder it would be a loop or a copy.
    fn follow(&mut self, root: &Path, link: PathBuf, components: &[String]) {
        let target =
            fs::canonicalize(&link).and_then(|target| Ok((fs::metadata(&target)?, target)));
        match target {
            Ok((meta, target)) if target.starts_with(root) && meta.is_file() => {
                self.add(components, target, &meta)
            }
            Ok((_, target)) if !target.starts_with(root) => {
                self.skip(&link, "it links out of the folder")
            }
            Ok(_) => self.skip(&link, "it links to something that is no file"),
            Err(_) => self.skip(&link, "it links to nothing"),
        }
    }

    fn add(&mut self, components: &[String], path: PathBuf, meta: &Metadata) {
        self.files
            .push(SourceFile::new(components.to_vec(), path, meta));
    }

    fn skip(&mut self, path: &Path, why: &str) {
        self.skipped
            .push(format!("left out {}: {why}", path.display()));
    }
}

impl SourceFile {
    fn new(components: Vec<String>, path: PathBuf, meta: &Metadata) -> Self {
        Self {
            components,
            path,
            executable: is_executable(meta),
            stamp: Stamp::of(meta),
            grows: false,
        }
    }

    /// One that we write ourselves: it must stay itself and keep its length.
    pub fn growing(components: Vec<String>, path: PathBuf, meta: &Metadata) -> Self {
        Self {
            grows: true,
            ..Self::new(components, path, meta)
        }
    }

    /// One that is not there, and can never be opened.
    pub const fn absent(components: Vec<String>, path: PathBuf) -> Self {
        Self {
            components,
            path,
            executable: false,
            stamp: Stamp {
                identity: (0, 0),
                length: 0,
                modified: None,
            },
            grows: true,
        }
    }

    /// Device and inode.
    pub const fn identity(&self) -> (u64, u64) {
        self.stamp.identity
    }

    /// Bytes, when it was listed.
    pub const fn length(&self) -> u64 {
        self.stamp.length
    }

    /// When it last changed, when it was listed.
    pub const fn modified(&self) -> Option<SystemTime> {
        self.stamp.modified
    }

    /// Opens it, if it still is what was listed.
    pub fn open(&self) -> io::Result<File> {
        let file = open_at_once(&self.path)?;
        self.check(&file)?;
        Ok(file)
    }

    /// Whether the open `file` and the one its path leads to both are what was listed.
    pub fn check(&self, file: &File) -> io::Result<()> {
        let is_same = |meta: &Metadata| {
            let mut now = Stamp::of(meta);
            if self.grows {
                now.modified = self.stamp.modified;
            }
            now == self.stamp
        };
        if is_same(&file.metadata()?) && is_same(&fs::metadata(&self.path)?) {
            Ok(())
        } else {
            Err(io::Error::other("the file has changed since it was hashed"))
        }
    }
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            identity: identity(meta),
            length: meta.len(),
            modified: meta.modified().ok(),
        }
    }
}

/// Fills `buffer` from `offset` on, wherever the file's own cursor stands.
pub fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            match std::os::windows::fs::FileExt::seek_read(
                file,
                &mut buffer[done..],
                offset + done as u64,
            )? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => done += read,
            }
        }
        Ok(())
    }
}

/// Writes all of `buffer` from `offset` on, wherever the file's own cursor stands.
pub fn write_all_at(file: &File, buffer: &[u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::write_all_at(file, buffer, offset)
    }
    #[cfg(windows)]
    {
        let mut done = 0;
        while done < buffer.len() {
            match std::os::windows::fs::FileExt::seek_write(
                file,
                &buffer[done..],
                offset + done as u64,
            )? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => done += written,
            }
        }
        Ok(())
    }
}

/// A FIFO that took the file's place must not hold us up until somebody writes to it.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

#[cfg(unix)]
pub(crate) fn identity(meta: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino())
}

#[cfg(unix)]
fn is_executable(meta: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &Metadata) -> bool {
    false
}

#[cfg(not(unix))]
pub(crate) fn identity(_: &Metadata) -> (u64, u64) {
    (0, 0)
}

fn name_of(given: &Path, root: &Path) -> Result<String> {
    let name = given
        .file_name()
        .or_else(|| root.file_name())
        .and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        Error::Other(format!(
            "{} has no name that is UTF-8; give one with --name",
            given.display()
        ))
    })
}
