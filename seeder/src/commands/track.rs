//! `headwater track`: the tracker alone.

use std::net::TcpListener;

use headwater_core::tracker::server::{NodeKey, ServerConfig};
use serde_json::json;
use tokio::runtime::Builder;

use super::seed::{luck, runtime};
use crate::config::{Track, site_of, tracker_of};
use crate::error::{Error, Result};
use crate::http;
use crate::report::{print_json, print_line};
use crate::signals::Stop;
use crate::tracker::{TrackerConfig, TrackerHandle};

/// Does it, until it is told to stop.
pub fn run(track: &Track) -> Result<()> {
    // Only to be told to stop: sockets have threads of their own.
    let runtime = runtime(&mut Builder::new_current_thread())?;
    http::raise_socket_limit();
    let failed = |e| Error::bind(track.listen, e);
    let listener = TcpListener::bind(track.listen).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let mut config = track.tracker.clone();
    let mut luck = luck()?;
    config.server.seed = luck.next_u64();
    config.server.node = config.cluster.is_some().then(|| NodeKey(luck.next_u64()));
    let mut stop = runtime.block_on(async { Stop::catch() })?;
    let is_secure = config.tls.is_some();
    let handle =
        TrackerHandle::listen(config, listener).map_err(|e| Error::Other(e.to_string()))?;
    let site = match is_secure {
        true => site_of(bound).replacen("http", "https", 1),
        false => site_of(bound),
    };
    let url = tracker_of(&site);
    if track.json {
        print_json(&json!({ "tracker": url }));
    } else {
        print_line(&format!(
            "Tracking at  {url}\n  over TCP   {site}/announce\n\nUntil stopped (Ctrl-C)."
        ));
    }
    runtime.block_on(stop.told());
    handle.drain(track.drain);
    Ok(())
}

/// A tracker with all defaults, for somebody else's port.
pub(super) fn embedded() -> Result<TrackerHandle> {
    let server = ServerConfig {
        seed: luck()?.next_u64(),
        ..ServerConfig::default()
    };
    let config = TrackerConfig {
        server,
        ..TrackerConfig::default()
    };
    TrackerHandle::new(config).map_err(|e| Error::Other(format!("cannot track: {e}")))
}
