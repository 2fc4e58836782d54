//! The one HTTP port: page, torrents, the seeded files with Range, and whatever router (the
//! tracker's) is put beside them.
//!
//! Slow and greedy clients are cut off here; who may talk to the tracker is the tracker's own affair.

mod assets;
mod content;
pub mod fetch;
mod files;
mod health;
mod player;
mod range;
mod switches;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

pub use assets::{missing_parts, page_is_built};
pub use content::{Content, Swarmed};
pub use health::Health;
pub use player::{PLAYLIST, paths};
pub use switches::Switches;

/// Most bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;

/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client may cost us.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A client that has not sent its request's head by then is gone; long enough for a bad line.
    pub header_timeout: Duration,
    /// Most connections at a time, WebSockets among them; more wait to be accepted. An idle one
    /// costs some 15 KiB.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            connections: 16_384,
        }
    }
}

/// A torrent as HTTP serves it.
#[derive(Debug)]
pub struct Published {
    /// Its name in URLs; no two are alike.
    pub slug: String,
    /// Its magnet link.
    pub magnet: String,
    /// Hex of its v1 info hash, or of its v2 one.
    pub info_hash: String,
    /// The .torrent file.
    pub torrent: Vec<u8>,
    /// Whether it is one file rather than a folder.
    pub single: bool,
    /// Where its bytes are.
    pub content: Content,
}

/// What is served.
#[derive(Debug)]
pub struct Site {
    /// The torrents, the first one being what the page shows.
    pub torrents: Vec<Arc<Published>>,
    /// Trackers a page should announce to.
    pub trackers: Vec<String>,
    /// Whether strangers' names for this machine are refused: it is bound to loopback, and a page
    /// elsewhere must not reach it by having its own name resolve here.
    pub loopback: bool,
    /// Whether the page is told that there are [`Switches`].
    pub controls: bool,
}

/// A site that may be replaced while it is served.
#[derive(Clone, Debug)]
pub struct Shown(Arc<RwLock<Arc<Site>>>);

impl Shown {
    /// This one, for now.
    pub fn new(site: Site) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(site))))
    }

    /// Serves another one from now on.
    pub fn show(&self, site: Site) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(site);
    }

    /// The one of this moment.
    fn site(&self) -> Arc<Site> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// All its routes, and those (the tracker's) that live beside them.
    pub fn router(self, beside: Router) -> Router {
        let loopback = self.site().loopback;
        let site = self;
        let routes = Router::new()
            .route("/config.json", get(config))
            .route("/torrents/{name}", get(torrent))
            .route("/files/{*path}", get(files::serve))
            .fallback(get(assets::serve))
            .with_state(site)
            .merge(beside);
        if loopback {
            routes.layer(middleware::from_fn(only_by_local_names))
        } else {
            routes
        }
    }
}

/// Serves `router` on `listener` until dropped.
pub async fn serve(listener: TcpListener, router: Router) {
    serve_within(Limits::default(), listener, router).await;
}

/// Serves `router` on `listener` until dropped, within limits of the caller's own.
pub async fn serve_within(limits: Limits, listener: TcpListener, router: Router) {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD);
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(e) if is_of_one_connection(&e) => continue,
            Err(e) => {
                warn!("cannot accept connections for now: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let service = router.clone().layer(middleware::from_fn(
            move |mut request: Request, next: Next| {
                request.extensions_mut().insert(ConnectInfo(address));
                async move { Ok::<_, Infallible>(next.run(request).await) }
            },
        ));
        let connection = builder
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .with_upgrades();
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                debug!(%address, "connection ended: {e}");
            }
            drop(slot);
        });
    }
}

/// Asks the system for as many open sockets as it will give; it starts with few on most.
pub fn raise_socket_limit() {
    #[cfg(unix)]
    if let Err(e) = rlimit::increase_nofile_limit(u64::MAX) {
        debug!("the limit of open files stays: {e}");
    }
}

/// Binds, with a word on what to do when the port is taken.
pub async fn bind(address: SocketAddr) -> crate::error::Result<(TcpListener, SocketAddr)> {
    let failed = |e| crate::error::Error::bind(address, e);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn config(State(shown): State<Shown>) -> Response {
    let site = shown.site();
    let entry = |published: &Arc<Published>| {
        json!({
            "name": published.slug,
            "magnet": published.magnet,
            "torrent": torrent_path(&published.slug),
            "files": format!("/files/{}", files::encode(&published.slug)),
        })
    };
    let torrents: Vec<_> = site.torrents.iter().map(entry).collect();
    let first = site.torrents.first();
    let body = json!({
        "magnet": first.map(|published| &published.magnet),
        "torrent": first.map(|published| torrent_path(&published.slug)),
        "trackers": site.trackers,
        "controls": site.controls,
        "torrents": torrents,
    });
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// The path at which the files of a torrent of this slug are served: the file itself, if it is one.
pub fn file_path(slug: &str) -> String {
    format!("/files/{}", files::encode(slug))
}

/// The path at which a torrent of this slug is served.
pub fn torrent_path(slug: &str) -> String {
    format!("/torrents/{}.torrent", files::encode(slug))
}

async fn torrent(State(shown): State<Shown>, Path(name): Path<String>) -> Response {
    let site = shown.site();
    let slug = name.strip_suffix(".torrent");
    match site
        .torrents
        .iter()
        .find(|published| Some(published.slug.as_str()) == slug)
    {
        Some(published) => {
            let headers = [
                (header::CONTENT_TYPE, "application/x-bittorrent"),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::CACHE_CONTROL, "no-cache"),
            ];
            (headers, published.torrent.clone()).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such torrent here\n").into_response(),
    }
}

/// DNS rebinding: a page of another site can make its own name lead to this machine, but it cannot
/// make the browser say another name.
async fn only_by_local_names(request: Request, next: Next) -> Response {
    if is_local_name(request.headers()) {
        next.run(request).await
    } else {
        (
            StatusCode::MISDIRECTED_REQUEST,
            "this server listens on this machine alone; use its address\n",
        )
            .into_response()
    }
}

fn is_local_name(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    host.to_str().is_ok_and(is_local_host)
}

/// Whether a `Host` names this machine as only itself can be named.
pub(crate) fn is_local_host(host: &str) -> bool {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = without_port.trim_start_matches('[').trim_end_matches(']');
    let is_localhost =
        name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_localhost || name.parse::<IpAddr>().is_ok()
}

/// Whether the system says of one connection that it failed, not of all.
pub(crate) fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_strangers_name_for_this_machine_is_refused() {
        let says = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            is_local_name(&headers)
        };
        for host in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "localhost:1",
            "LOCALHOST",
            "[::1]:8080",
            "a.localhost:80",
        ] {
            assert!(says(host), "{host}");
        }
        for host in [
            "evil.example:8080",
            "evil.example",
            "",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
        ] {
            assert!(!says(host), "{host}");
        }
    }
}
