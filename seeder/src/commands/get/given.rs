//! What the person gave, made into something a swarm can be joined by; and which of its files are meant.

use headwater_core::ids::InfoHashes;
use headwater_core::layout::{FileEntry, FileIndex};
use headwater_core::metainfo::{Limits, Magnet, Metainfo};
use headwater_core::swarm::Source;

use crate::config::Given;
use crate::error::{Error, Result};
use crate::http::fetch::fetch;
use crate::torrent_file;

/// Files named in an error before "and so on".
const NAMED: usize = 10;

/// Enough to join.
#[derive(Debug)]
pub enum Lead {
    /// Its name, and perhaps trackers.
    Magnet(Box<Magnet>),
    /// All about it.
    Metainfo(Box<Metainfo>),
}

impl Lead {
    /// Reads or fetches it.
    pub async fn find(given: &Given) -> Result<Self> {
        match given {
            Given::File(path) => Ok(Self::Metainfo(Box::new(torrent_file::read(path)?))),
            Given::Magnet(magnet) => Ok(Self::Magnet(magnet.clone())),
            Given::Url(url) => {
                let limits = Limits::NATIVE;
                let bytes = fetch(url, limits.torrent_bytes)
                    .await
                    .map_err(|why| Error::Other(format!("cannot fetch {url}: {why}")))?;
                let metainfo =
                    Metainfo::parse(&bytes, &limits).map_err(|e| Error::NotATorrent {
                        from: url.clone(),
                        reason: e.to_string(),
                    })?;
                Ok(Self::Metainfo(Box::new(metainfo)))
            }
        }
    }

    /// What to call it until more is known.
    pub fn name(&self) -> String {
        match self {
            Self::Magnet(magnet) => magnet.name.clone().unwrap_or_else(|| "torrent".to_owned()),
            Self::Metainfo(metainfo) => metainfo.name().to_owned(),
        }
    }

    /// The torrent's names.
    pub fn hashes(&self) -> InfoHashes {
        match self {
            Self::Magnet(magnet) => magnet.hashes,
            Self::Metainfo(metainfo) => metainfo.info_hashes(),
        }
    }

    /// Those it brings.
    pub fn trackers(&self) -> &[String] {
        match self {
            Self::Magnet(magnet) => &magnet.trackers,
            Self::Metainfo(metainfo) => metainfo.trackers(),
        }
    }

    /// Web servers it brings (BEP 19).
    pub fn web_seeds(&self) -> &[String] {
        match self {
            Self::Magnet(magnet) => &magnet.web_seeds,
            Self::Metainfo(metainfo) => metainfo.web_seeds(),
        }
    }

    /// Peers to call, as `host:port`.
    pub fn peers(&self) -> &[String] {
        match self {
            Self::Magnet(magnet) => &magnet.peers,
            Self::Metainfo(_) => &[],
        }
    }

    /// As the swarm takes it.
    pub fn into_source(self) -> Source {
        match self {
            Self::Magnet(magnet) => Source::Magnet(magnet),
            Self::Metainfo(metainfo) => Source::Metainfo(metainfo),
        }
    }
}

/// The files meant: all of them, or the one whose path ends so.
pub fn chosen(metainfo: &Metainfo, name: Option<&str>) -> Result<Vec<FileIndex>> {
    let files = || metainfo.layout().content_files();
    let Some(name) = name else {
        return Ok(files().map(|(file, _)| file).collect());
    };
    let named = |entry: &FileEntry| {
        let path = entry.path.join("/");
        path == name || path.ends_with(&format!("/{name}"))
    };
    let matching: Vec<_> = files().filter(|(_, entry)| named(entry)).collect();
    match matching[..] {
        [(file, _)] => Ok(vec![file]),
        [] => Err(Error::Usage(format!(
            "no file of this torrent is called `{name}`; it has {}",
            names(files().map(|(_, entry)| entry))
        ))),
        _ => Err(Error::Usage(format!(
            "several files end in `{name}`: {}; give more of the path",
            names(matching.iter().map(|(_, entry)| *entry))
        ))),
    }
}

/// The one file meant, where there can be but one.
pub fn the_one(metainfo: &Metainfo, name: Option<&str>) -> Result<FileIndex> {
    match chosen(metainfo, name)?[..] {
        [file] => Ok(file),
        _ => Err(Error::Usage(format!(
            "only one file can go to standard output; choose it with --file: {}",
            names(metainfo.layout().content_files().map(|(_, entry)| entry))
        ))),
    }
}

fn names<'a>(entries: impl Iterator<Item = &'a FileEntry>) -> String {
    let mut paths: Vec<String> = entries
        .take(NAMED + 1)
        .map(|entry| entry.path.join("/").escape_debug().to_string())
        .collect();
    if paths.len() > NAMED {
        paths[NAMED] = "…".to_owned();
    }
    paths.join(", ")
}
