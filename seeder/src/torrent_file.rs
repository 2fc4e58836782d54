//! `.torrent` files on disk: read within the limits, written whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use headwater_core::metainfo::{Limits, Metainfo};

use crate::error::{Error, Result};

/// Reads and parses a torrent.
pub fn read(path: &Path) -> Result<Metainfo> {
    let limits = Limits::NATIVE;
    let failed = |e| Error::path("read", path, e);
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte over the limit is enough to know: whatever it is, we do not read it to its end.
    let most = limits.torrent_bytes as u64 + 1;
    file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    Metainfo::parse(&bytes, &limits).map_err(|e| Error::NotATorrent {
        from: path.display().to_string(),
        reason: e.to_string(),
    })
}

/// Writes it under a name nobody reads, then gives it the right one.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let half_written = beside(path);
    let written = write_new(&half_written, bytes).and_then(|()| fs::rename(&half_written, path));
    written.map_err(|e| {
        let _ = fs::remove_file(&half_written);
        Error::path("write", path, e)
    })
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.part", std::process::id()))
}
