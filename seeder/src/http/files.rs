//! The seeded files over plain HTTP: an origin for players without WebRTC, and a web seed (BEP 19).
//!
//! A torrent's files are a stranger's: they are served so that nothing in them runs as part of
//! this site.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use headwater_core::layout::FileIndex;
use tracing::warn;

use super::Site;
use super::range::{Asked, asked};
use crate::storage::Storage;

/// Bytes read and sent at a time.
const STEP: u64 = 256 * 1024;

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
    State(site): State<Arc<Site>>,
    Path(path): Path<String>,
    method: Method,
    request: HeaderMap,
) -> Response {
    let Some((storage, file, tag)) = find(&site, &path) else {
        return (StatusCode::NOT_FOUND, "no such file here\n").into_response();
    };
    let entry = storage.layout().entry(file);
    let length = entry.length;
    let tag = format!("\"{tag}-{file}\"");
    let text = |name| {
        request
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
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
    match body(storage, file, part).await {
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

fn find<'a>(site: &'a Site, path: &str) -> Option<(Arc<Storage>, FileIndex, &'a str)> {
    let (slug, rest) = path.split_once('/').unwrap_or((path, ""));
    let published = site
        .torrents
        .iter()
        .find(|published| published.slug == slug)?;
    let mut files = published.storage.layout().content_files();
    let (file, _) = if published.single {
        files.next().filter(|_| rest.is_empty())?
    } else {
        files.find(|(_, entry)| entry.path.iter().map(String::as_str).eq(rest.split('/')))?
    };
    Some((Arc::clone(&published.storage), file, &published.info_hash))
}

fn headers_for(name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let extension = name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension)
        .to_ascii_lowercase();
    let shown = TYPES.iter().find(|(known, _)| *known == extension);
    let mut set = |name, value| headers.insert(name, HeaderValue::from_static(value));
    match shown {
        Some((_, content_type)) => set(header::CONTENT_TYPE, content_type),
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

/// Reads as fast as the client takes, one step ahead at most; the first step now, while an error can still be said.
async fn body(storage: Arc<Storage>, file: FileIndex, part: Range<u64>) -> io::Result<Body> {
    let first = step(&storage, file, part.clone()).await?;
    let at = part.start + first.len() as u64;
    let rest = stream::try_unfold((storage, at), move |(storage, at)| async move {
        if at >= part.end {
            return Ok(None);
        }
        let bytes = step(&storage, file, at..part.end).await?;
        let next = at + bytes.len() as u64;
        Ok::<_, io::Error>(Some((bytes, (storage, next))))
    });
    Ok(Body::from_stream(
        stream::once(std::future::ready(Ok(first))).chain(rest),
    ))
}

async fn step(storage: &Arc<Storage>, file: FileIndex, part: Range<u64>) -> io::Result<Bytes> {
    let storage = Arc::clone(storage);
    let end = part.end.min(part.start + STEP);
    let read = tokio::task::spawn_blocking(move || storage.read_file(file, part.start..end));
    Ok(Bytes::from(read.await.map_err(io::Error::other)??))
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
