//! A torrent for the player next door: its files with Range, and a playlist of them.
//!
//! For this machine, or those that may reach the port; there is no page here and no tracker.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::{Published, Shown, Site, files, only_by_local_names};

/// Where the playlist is.
pub const PLAYLIST: &str = "/playlist.m3u";

impl Site {
    /// The routes for a player: `/` leads to the one file, or to the playlist.
    pub fn player(self) -> Router {
        let loopback = self.loopback;
        let routes = Router::new()
            .route("/", get(root))
            .route(PLAYLIST, get(playlist))
            .route("/files/{*path}", get(files::serve))
            .with_state(Shown::new(self));
        if loopback {
            routes.layer(middleware::from_fn(only_by_local_names))
        } else {
            routes
        }
    }
}

async fn root(State(shown): State<Shown>) -> Response {
    let site = shown.site();
    let to = match &site.torrents[..] {
        [published] if published.single => paths(published).next().map(|(_, path)| path),
        _ => None,
    };
    Redirect::temporary(to.as_deref().unwrap_or(PLAYLIST)).into_response()
}

/// What can be played, in order; all of it, if nothing can.
async fn playlist(State(shown): State<Shown>, request: HeaderMap) -> Response {
    let site = shown.site();
    let host = request.get(header::HOST).and_then(authority);
    let all = || site.torrents.iter().flat_map(|published| paths(published));
    let any_plays = all().any(|(name, _)| files::is_playable(&name));
    let mut text = "#EXTM3U\n".to_owned();
    for (name, path) in all().filter(|(name, _)| !any_plays || files::is_playable(name)) {
        // Some players take a path without a site for a file on their own disk.
        let site = host
            .map(|host| format!("http://{host}"))
            .unwrap_or_default();
        text.push_str(&format!(
            "#EXTINF:-1,{}\n{site}{path}\n",
            in_one_line(&name)
        ));
    }
    let headers = [
        (header::CONTENT_TYPE, "audio/x-mpegurl; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

/// Names and paths of the files of a torrent.
pub fn paths(published: &Published) -> impl Iterator<Item = (String, String)> {
    let root = format!("/files/{}", files::encode(&published.slug));
    let single = published.single;
    let entries = published.content.layout().content_files();
    entries.map(move |(_, entry)| {
        let mut path = root.clone();
        for part in entry.path.iter().filter(|_| !single) {
            path.push('/');
            path.push_str(&files::encode(part));
        }
        (entry.path.join("/"), path)
    })
}

/// A name as a line of its own; names are a stranger's.
fn in_one_line(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// What the client called us, if that is nothing but a host and a port.
fn authority(host: &HeaderValue) -> Option<&str> {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b".:[]-_".contains(&byte);
    host.to_str()
        .ok()
        .filter(|host| !host.is_empty() && host.bytes().all(sound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_names_nor_hosts_can_add_lines() {
        assert_eq!(in_one_line("a\n#EXTINF\r\u{85}b"), "a #EXTINF  b");
        assert_eq!(
            authority(&HeaderValue::from_static("127.0.0.1:80")),
            Some("127.0.0.1:80")
        );
        for host in ["", "a/b", "a b", "a@b", "a?b"] {
            assert_eq!(authority(&HeaderValue::from_static(host)), None, "{host}");
        }
    }
}
