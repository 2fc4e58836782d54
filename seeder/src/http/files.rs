//! A torrent's files over plain HTTP: an origin for players without WebRTC, and a web seed (BEP 19).
//!
//! A torrent's files are a stranger's: they are served so that nothing in them runs as part of
//! this site.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_core::layout::FileIndex;
use tracing::warn;

use super::range::{Asked, asked};
use super::{Content, Shown, Site};

/// What a browser may show by itself. All else is a download.
const TYPES: [(&str, &str); 20] = [
    ("avif", "image/avif"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("png", "image/png"),
    ("vtt", "text/vtt"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
];

/// `/files/NAME` for a torrent of one file, `/files/NAME/path/to/file` for one of many.
pub(super) async fn serve(
    State(shown): State<Shown>,
    Path(path): Path<String>,
    method: Method,
    request: HeaderMap,
) -> Response {
    let site = shown.site();
    let Some((content, file, tag)) = find(&site, &path) else {
        return (StatusCode::NOT_FOUND, "no such file here\n").into_response();
    };
    let entry = content.layout().entry(file);
    let length = entry.length;
    let tag = format!("\"{tag}-{file}\"");
    let text = |name| {
        request
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let known = text(header::IF_NONE_MATCH);
    if known.is_some_and(|known| {
        known
            .split(',')
            .any(|one| [tag.as_str(), "*"].contains(&one.trim()))
    }) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response();
    }
    // A range of another version of the file is no use to anybody (RFC 9110 §13.1.5).
    let range =
        text(header::RANGE).filter(|_| text(header::IF_RANGE).is_none_or(|wanted| wanted == tag));
    let (status, part) = match asked(range, length) {
        Asked::All => (StatusCode::OK, 0..length),
        Asked::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Asked::Beyond => (StatusCode::RANGE_NOT_SATISFIABLE, 0..0),
    };
    let name = entry.path.last().map_or("", String::as_str);
    let mut headers = headers_for(name);
    let mut set =
        |name, value: String| HeaderValue::try_from(value).map(|value| headers.insert(name, value));
    let _ = set(header::ETAG, tag);
    let _ = match status {
        StatusCode::PARTIAL_CONTENT => set(
            header::CONTENT_RANGE,
            format!("bytes {}-{}/{length}", part.start, part.end - 1),
        ),
        StatusCode::RANGE_NOT_SATISFIABLE => {
            set(header::CONTENT_RANGE, format!("bytes */{length}"))
        }
        _ => Ok(None),
    };
    let _ = set(header::CONTENT_LENGTH, (part.end - part.start).to_string());
    if method == Method::HEAD || part.is_empty() {
        return (status, headers).into_response();
    }
    match content.body(file, part).await {
        Ok(body) => (status, headers, body).into_response(),
        Err(e) => {
            warn!("cannot serve /files/{path}: {e}");
            let words = "the file cannot be read as it was published\n";
            (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
        }
    }
}

/// One component of a path as it stands in a URL.
pub(super) fn encode(component: &str) -> String {
    let mut encoded = String::with_capacity(component.len());
    for byte in component.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into())
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn find<'a>(site: &'a Site, path: &str) -> Option<(&'a Content, FileIndex, &'a str)> {
    let (slug, rest) = path.split_once('/').unwrap_or((path, ""));
    let published = site
        .torrents
        .iter()
        .find(|published| published.slug == slug)?;
    let mut files = published.content.layout().content_files();
    let (file, _) = if published.single {
        files.next().filter(|_| rest.is_empty())?
    } else {
        files.find(|(_, entry)| entry.path.iter().map(String::as_str).eq(rest.split('/')))?
    };
    Some((&published.content, file, &published.info_hash))
}

/// Whether a player would know what to do with a file of this name.
pub(super) fn is_playable(name: &str) -> bool {
    type_of(name).is_some_and(|kind| kind.starts_with("video/") || kind.starts_with("audio/"))
}

fn type_of(name: &str) -> Option<&'static str> {
    let extension = name.rsplit_once('.')?.1.to_ascii_lowercase();
    let known = TYPES.iter().find(|(known, _)| *known == extension);
    known.map(|(_, kind)| *kind)
}

fn headers_for(name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let shown = type_of(name);
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    match shown {
        Some(content_type) => set(header::CONTENT_TYPE, content_type),
        None => {
            set(header::CONTENT_DISPOSITION, "attachment");
            set(header::CONTENT_TYPE, "application/octet-stream")
        }
    };
    set(header::ACCEPT_RANGES, "bytes");
    set(header::CACHE_CONTROL, "no-cache");
    set(
        header::CONTENT_SECURITY_POLICY,
        "sandbox; default-src 'none'",
    );
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_run_is_a_download() {
        for name in [
            "a.html",
            "a.svg",
            "a.js",
            "a.xhtml",
            "a.pdf",
            "a.mp4.html",
            "a",
            "a.txt",
            ".mp4x",
        ] {
            let headers = headers_for(name);
            assert_eq!(
                headers[header::CONTENT_TYPE],
                "application/octet-stream",
                "{name}"
            );
            assert_eq!(headers[header::CONTENT_DISPOSITION], "attachment", "{name}");
        }
        assert_eq!(headers_for("a.MP4")[header::CONTENT_TYPE], "video/mp4");
    }

    #[test]
    fn a_url_carries_any_name() {
        assert_eq!(
            encode("Ein Film #1?/ü.mp4"),
            "Ein%20Film%20%231%3F%2F%C3%BC.mp4"
        );
    }
}
