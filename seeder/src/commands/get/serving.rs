//! `--serve`: the torrent for a player of this machine, over HTTP with Range.

use std::net::SocketAddr;

use headwater_core::metainfo::Metainfo;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use crate::commands::inspect::magnet_of;
use crate::commands::seed::runtime;
use crate::config::site_of;
use crate::engine::Handle;
use crate::error::Result;
use crate::http::{self, Content, PLAYLIST, Published, Site, Swarmed, paths};

/// A port that is ours, and threads to serve on it.
#[derive(Debug)]
pub struct Server {
    runtime: Runtime,
    listener: Option<TcpListener>,
    bound: SocketAddr,
}

/// Where players find things.
#[derive(Debug)]
pub struct Urls {
    /// The one file, or the playlist.
    pub url: String,
    /// The playlist.
    pub playlist: String,
    /// Each file's path in the torrent, and its address.
    pub files: Vec<(String, String)>,
}

impl Server {
    /// Takes the port; what comes there waits until it is [`open`](Self::open).
    pub fn bind(address: SocketAddr) -> Result<Self> {
        let runtime = runtime(
            Builder::new_multi_thread()
                .worker_threads(1)
                .thread_name("http"),
        )?;
        http::raise_socket_limit();
        let (listener, bound) = runtime.block_on(http::bind(address))?;
        Ok(Self {
            runtime,
            listener: Some(listener),
            bound,
        })
    }

    /// Serves what the engine's first torrent brings.
    pub fn open(&mut self, metainfo: &Metainfo, handle: &Handle, window: u64) -> Urls {
        let hashes = metainfo.info_hashes();
        let hash = hashes
            .v1()
            .map(|hash| hash.to_hex())
            .or_else(|| hashes.v2().map(|hash| hash.to_hex()));
        let layout = metainfo.layout().clone();
        let published = Published {
            slug: metainfo.name().to_owned(),
            magnet: magnet_of(metainfo).to_string(),
            info_hash: hash.unwrap_or_default(),
            torrent: Vec::new(),
            single: metainfo.is_single_file(),
            content: Content::Swarm(Swarmed::new(handle.clone(), 0, layout, window).into()),
        };
        let site = site_of(self.bound);
        let files: Vec<(String, String)> = paths(&published)
            .map(|(name, path)| (name, format!("{site}{path}")))
            .collect();
        let playlist = format!("{site}{PLAYLIST}");
        let url = match &files[..] {
            [(_, url)] => url.clone(),
            _ => playlist.clone(),
        };
        let router = Site {
            torrents: vec![published.into()],
            trackers: Vec::new(),
            loopback: self.bound.ip().is_loopback(),
            controls: false,
        }
        .player();
        if let Some(listener) = self.listener.take() {
            self.runtime.spawn(http::serve(listener, router));
        }
        Urls {
            url,
            playlist,
            files,
        }
    }

    /// Hangs up on all; not from within a runtime's own threads.
    pub fn close(self) {
        self.runtime.shutdown_background();
    }
}
