//! `headwater track`: the tracker alone.

use axum::Router;
use axum::routing::get;
use headwater_core::tracker::server::ServerConfig;
use serde_json::json;
use tokio::runtime::Builder;

use super::seed::{luck, runtime, stopped};
use crate::config::{Track, site_of, tracker_of};
use crate::error::Result;
use crate::http;
use crate::report::{print_json, print_line};
use crate::tracker::{self, TrackerConfig, TrackerHandle};

/// Does it, until it is told to stop.
pub fn run(track: &Track) -> Result<()> {
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    http::raise_socket_limit();
    let (listener, bound) = runtime.block_on(http::bind(track.listen))?;
    let config = TrackerConfig {
        origins: track.origins.clone(),
        proxies: track.proxies.clone(),
        ..config()?
    };
    let router = tracker::router(TrackerHandle::new(config));
    let router = router.merge(words_for_browsers());
    let url = tracker_of(&site_of(bound));
    if track.json {
        print_json(&json!({ "tracker": url }));
    } else {
        print_line(&format!("Tracking at  {url}\n\nUntil stopped (Ctrl-C)."));
    }
    runtime.block_on(async {
        tokio::select! {
            () = http::serve(listener, router) => {}
            () = stopped() => {}
        }
    });
    runtime.shutdown_background();
    Ok(())
}

/// The defaults, and this machine's luck.
pub(super) fn config() -> Result<TrackerConfig> {
    let server = ServerConfig {
        seed: luck()?.next_u64(),
        ..ServerConfig::default()
    };
    Ok(TrackerConfig {
        server,
        ..TrackerConfig::default()
    })
}

fn words_for_browsers() -> Router {
    const WORDS: &str = "This is a Headwater tracker. Put its ws:// address, ending in /announce, into a torrent.\n";
    Router::new().route("/", get(|| async { WORDS }))
}
