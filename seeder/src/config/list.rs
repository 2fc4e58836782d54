//! The file that `headwater seed --config` reads (TOML): what is to be seeded, and where.
//!
//! A name that is not known is an error: a limit that is misspelt would be no limit.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};

use super::address::address_of;
use super::seed::{Entry, is_library};
use super::{
    MAX_TRACKERS, Make, Version, at_most, check_tracker, checked_name, checked_piece_length,
};
use crate::cli::parse_size;
use crate::error::{Error, Result};

/// Longest such file: a hundred thousand entries.
const MAX_LENGTH: u64 = 16 << 20;

/// What it says, checked. Flags of the command line go before it.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) entries: Vec<Entry>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) webrtc: Option<SocketAddr>,
    pub(super) tcp: Option<SocketAddr>,
    pub(super) url: Option<String>,
    pub(super) tracker: Option<bool>,
    pub(super) web_seed: Option<bool>,
    pub(super) trackers: Vec<String>,
    pub(super) upload_limit: Option<u64>,
    pub(super) state: Option<PathBuf>,
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    listen: Option<SocketAddr>,
    webrtc: Option<SocketAddr>,
    tcp: Option<SocketAddr>,
    url: Option<String>,
    tracker: Option<bool>,
    web_seed: Option<bool>,
    #[serde(default)]
    trackers: Vec<String>,
    #[serde(default, deserialize_with = "size")]
    upload_limit: Option<u64>,
    state: Option<PathBuf>,
    #[serde(default)]
    seed: Vec<WrittenEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenEntry {
    path: PathBuf,
    torrent: Option<PathBuf>,
    name: Option<String>,
    version: Option<WrittenVersion>,
    #[serde(default, deserialize_with = "size")]
    piece_length: Option<u64>,
    #[serde(default)]
    trackers: Vec<String>,
    #[serde(default, deserialize_with = "size")]
    upload_limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenVersion {
    Hybrid,
    V1,
    V2,
}

impl List {
    /// Reads and checks it. Paths in it are from where it lies.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let failed = |e| Error::path("read", path, e);
        let folder = fs::canonicalize(path).map_err(failed)?;
        let folder = folder.parent().unwrap_or(Path::new("/"));
        if fs::metadata(path).map_err(failed)?.len() > MAX_LENGTH {
            return Err(Error::Usage(format!("{} is too long", path.display())));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        let within = |e: String| Error::Usage(format!("{}: {e}", path.display()));
        let written: Written = toml::from_str(&text).map_err(|e| within(e.to_string()))?;
        let entries = written.seed.into_iter();
        let entries = entries.map(|entry| entry.checked(folder));
        let entries: Result<Vec<_>> = entries.collect();
        written
            .trackers
            .iter()
            .try_for_each(|url| check_tracker(url))?;
        at_most(written.trackers.len(), MAX_TRACKERS, "trackers")?;
        Ok(Self {
            entries: entries.map_err(|e| within(e.to_string()))?,
            listen: written.listen,
            webrtc: written.webrtc,
            tcp: written.tcp,
            url: written.url,
            tracker: written.tracker,
            web_seed: written.web_seed,
            trackers: written.trackers,
            upload_limit: written.upload_limit,
            state: written.state.map(|state| folder.join(state)),
        })
    }
}

impl WrittenEntry {
    fn checked(self, folder: &Path) -> Result<Entry> {
        let path = match address_of(&self.path) {
            Some(_) => self.path.clone(),
            None => folder.join(&self.path),
        };
        let is_library = is_library(&path);
        let of_one = [
            (self.torrent.is_some(), "torrent"),
            (self.name.is_some(), "name"),
        ];
        if let Some((_, key)) = of_one.iter().find(|(given, _)| *given && is_library) {
            return Err(Error::Usage(format!(
                "`{key}` is for one torrent, and {} is a library",
                self.path.display()
            )));
        }
        self.trackers
            .iter()
            .try_for_each(|url| check_tracker(url))?;
        at_most(self.trackers.len(), MAX_TRACKERS, "trackers")?;
        let version = match self.version.unwrap_or(WrittenVersion::Hybrid) {
            WrittenVersion::Hybrid => Version::Hybrid,
            WrittenVersion::V1 => Version::V1,
            WrittenVersion::V2 => Version::V2,
        };
        let make = Make {
            version,
            piece_length: self.piece_length.map(checked_piece_length).transpose()?,
            name: self.name.map(checked_name).transpose()?,
            trackers: self.trackers,
            web_seeds: Vec::new(),
            comment: None,
            private: false,
        };
        Ok(Entry {
            path,
            is_library,
            torrent: self.torrent.map(|torrent| folder.join(torrent)),
            make,
            upload_limit: self.upload_limit,
            is_needed: false,
        })
    }
}

/// `"2MB"`, or a number of bytes.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Words(String),
    }
    let words = match Size::deserialize(deserializer)? {
        Size::Bytes(bytes) => bytes.to_string(),
        Size::Words(words) => words,
    };
    parse_size(&words)
        .map(Some)
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<List> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("headwater-list-{}-{number}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).expect("write");
        let list = List::read(&path);
        fs::remove_file(path).expect("remove");
        list
    }

    #[test]
    fn what_the_sample_in_packaging_says_is_understood() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/headwater.toml");
        let list = List::read(Path::new(sample)).expect("a sound list");
        assert_eq!(list.entries.len(), 2);
        assert_eq!(list.upload_limit, Some(20_000_000));
    }

    #[test]
    fn an_error_says_what_and_where() {
        for (text, words) in [
            ("listen = 5", "line 1"),
            ("uplod-limit = '2MB'", "unknown field `uplod-limit`"),
            ("upload-limit = 'fast'", "`fast` is not a size"),
            ("[[seed]]", "missing field `path`"),
            (
                "[[seed]]\npath = 'a'\npiece-length = 5",
                "a piece of 5 bytes",
            ),
            (
                "[[seed]]\npath = 'a'\nname = 'a/b'",
                "`a/b` cannot be the name",
            ),
            (
                "trackers = ['gopher://x']",
                "`gopher://x` cannot be a tracker",
            ),
            ("[[seed]]\npath = '/tmp/'\nname = 'x'", "/tmp/ is a library"),
        ] {
            let said = read(text).expect_err(text).to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
    }
}
