//! The page and the npm package inside the binary, where they were built; a word on how to build
//! them where they were not.

use std::borrow::Cow;

use axum::http::{HeaderName, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use rust_embed::RustEmbed;

/// The demo page. In a development build it is read from the folder at run time.
#[derive(RustEmbed)]
#[folder = "../web/demo/dist"]
#[allow_missing = true]
struct Page;

/// The npm package as published.
#[derive(RustEmbed)]
#[folder = "../web/dist"]
#[allow_missing = true]
struct Package;

/// Where the service worker must lie to control the whole site.
const SERVICE_WORKER: &str = "headwater-sw.js";

/// What builds everything.
const HOW: &str = "cargo xtask demo";

/// Whether the demo page is in this binary.
pub fn page_is_built() -> bool {
    missing_parts().is_none()
}

/// What is missing and how to get it; `None` if nothing is.
pub fn missing_parts() -> Option<String> {
    let page = Page::get("index.html").is_none();
    let package = package_or_page(SERVICE_WORKER).is_none();
    let what = match (page, package) {
        (false, false) => return None,
        (true, true) => "the demo page (web/demo/dist) and the npm package (web/dist)",
        (true, false) => "the demo page (web/demo/dist)",
        (false, true) => "the npm package (web/dist)",
    };
    Some(format!(
        "{what} had not been built when this binary was; tracker and seeding work, the page does not. \
         Run `{HOW}` in the repository: it builds both and starts again"
    ))
}

pub(super) async fn serve(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let found = match path.strip_prefix("pkg/") {
        Some(path) => Package::get(path).map(|file| file.data),
        None if path == SERVICE_WORKER => package_or_page(path),
        None => Page::get(path).map(|file| file.data),
    };
    match found {
        Some(bytes) => page_file(path, bytes),
        None if path == "index.html" => not_built(),
        None => (StatusCode::NOT_FOUND, "nothing here\n").into_response(),
    }
}

fn package_or_page(path: &str) -> Option<Cow<'static, [u8]>> {
    Page::get(path)
        .or_else(|| Package::get(path))
        .map(|file| file.data)
}

fn page_file(path: &str, bytes: Cow<'static, [u8]>) -> Response {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, type_of(path)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The page is this binary's own: after an update nobody may run yesterday's with today's engine.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, bytes).into_response()
}

fn not_built() -> Response {
    let why = missing_parts().unwrap_or_default();
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>Headwater</title>\
         <body style=\"font:1rem/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem\">\
         <h1>Headwater is seeding, but its page is not here</h1><p>{}.</p>",
        why.replace('`', "")
    );
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}

fn type_of(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}
