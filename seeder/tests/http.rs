//! The HTTP port as a browser, a player and a stranger meet it.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use headwater::hashing::{Wanted, hash_pieces, progress};
use headwater::http::{self, Content, Limits, Published, Shown, Site};
use headwater::source::Sources;
use headwater::storage::Storage;
use headwater_core::layout::{Arrangement, FileEntry, Layout};
use support::{Folder, PATIENCE, bytes, ranges, request};

const PIECE: u32 = 32 * 1024;

/// Serves what is at `name` in the folder for as long as the runtime lives.
fn serve(folder: &Folder, name: &str) -> (tokio::runtime::Runtime, SocketAddr) {
    serve_within(folder, name, Limits::default())
}

fn serve_within(
    folder: &Folder,
    name: &str,
    limits: Limits,
) -> (tokio::runtime::Runtime, SocketAddr) {
    let sources = Sources::list(&folder.path(name)).expect("sources");
    let entry = |file: &headwater::source::SourceFile| FileEntry {
        path: file.components.clone(),
        length: file.length(),
        pad: false,
        start: 0,
    };
    let entries = sources.files.iter().map(entry).collect();
    let layout = Layout::new(Arrangement::Aligned, PIECE, entries).expect("a layout");
    let wanted = Wanted {
        v1: false,
        v2: true,
    };
    let hashes =
        hash_pieces(&layout, &sources.files, wanted, &progress("", 0, false)).expect("hashes");
    let published = Published {
        slug: sources.name,
        magnet: "magnet:?xt=…".to_owned(),
        info_hash: "00ff".to_owned(),
        torrent: b"de".to_vec(),
        single: sources.single,
        content: Content::Disk(Arc::new(Storage::new(layout, sources.files, hashes))),
    };
    let site = Site {
        torrents: vec![published.into()],
        trackers: vec!["ws://t/announce".to_owned()],
        loopback: true,
        controls: false,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("runtime");
    let (listener, address) = runtime
        .block_on(http::bind("127.0.0.1:0".parse().expect("address")))
        .expect("bind");
    runtime.spawn(http::serve_within(
        limits,
        listener,
        Shown::new(site).router(axum::Router::new()),
    ));
    (runtime, address)
}

#[test]
fn every_request_a_player_makes_gets_the_answer_the_rfc_says() {
    let folder = Folder::new();
    folder.file("film.mp4", 700_001);
    let (_runtime, address) = serve(&folder, "film.mp4");
    let (path, whole) = ("/files/film.mp4", bytes(700_001));
    ranges::every_request_is_answered_as_it_must_be(address, path, &whole);
    ranges::random_ranges_are_those_of_the_file(address, path, &whole);
}

#[test]
fn a_head_request_says_the_length_and_sends_nothing() {
    let folder = Folder::new();
    folder.file("film.webm", 50_000);
    let (_runtime, address) = serve(&folder, "film.webm");
    let head = request(address, "HEAD", "/files/film.webm", &[]);
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("50000"))
    );
    assert_eq!(head.header("content-type"), Some("video/webm"));
    assert!(head.body.is_empty());
}

#[test]
fn a_range_of_another_version_gets_the_whole_file() {
    let folder = Folder::new();
    folder.file("film.webm", 50_000);
    let (_runtime, address) = serve(&folder, "film.webm");
    let tag = request(address, "HEAD", "/files/film.webm", &[])
        .header("etag")
        .expect("a tag")
        .to_owned();
    let with = |tag: &str| {
        request(
            address,
            "GET",
            "/files/film.webm",
            &["range: bytes=0-9", &format!("if-range: {tag}")],
        )
    };
    assert_eq!(with(&tag).status, 206);
    assert_eq!(with("\"other\"").status, 200);
}

#[test]
fn files_of_a_folder_are_found_by_their_path_and_by_nothing_else() {
    let folder = Folder::new();
    folder.file("a/b/ü #1.mp4", 1_000);
    folder.file("a/empty.mp4", 0);
    folder.file("secret.mp4", 10);
    let (_runtime, address) = serve(&folder, "a");
    let status = |path: &str| request(address, "GET", path, &[]).status;
    let found = request(address, "GET", "/files/a/b/%C3%BC%20%231.mp4", &[]);
    assert_eq!(found.status, 200);
    assert!(found.body == bytes(1_000));
    assert_eq!(
        request(address, "GET", "/files/a/empty.mp4", &[]).header("content-length"),
        Some("0")
    );
    for path in [
        "/files/a",
        "/files/a/",
        "/files/a/b",
        "/files/a/../secret.mp4",
        "/files/a/%2e%2e/secret.mp4",
        "/files/a/b%2F..%2F..%2F..%2Fsecret.mp4",
        "/files//etc/passwd",
        "/files/%FF",
    ] {
        assert!([400, 404].contains(&status(path)), "{path}");
    }
}

#[test]
fn what_could_run_is_only_downloaded() {
    let folder = Folder::new();
    folder.file("site/evil.html", 100);
    let (_runtime, address) = serve(&folder, "site");
    let answer = request(address, "GET", "/files/site/evil.html", &[]);
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(answer.header("content-disposition"), Some("attachment"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        Some("same-origin")
    );
    assert_eq!(
        answer.header("content-security-policy"),
        Some("sandbox; default-src 'none'")
    );
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn a_file_that_changed_is_not_served() {
    let folder = Folder::new();
    let path = folder.file("film.mp4", 100_000);
    let (_runtime, address) = serve(&folder, "film.mp4");
    assert_eq!(
        request(address, "GET", "/files/film.mp4", &[]).body.len(),
        100_000
    );
    fs::write(&path, vec![7; 100_000]).expect("overwrite");
    let after = request(address, "GET", "/files/film.mp4", &[]);
    assert_eq!(after.status, 503);
    assert!(after.body.len() < 100);
}

#[test]
fn the_torrent_and_its_links_are_served() {
    let folder = Folder::new();
    folder.file("my film.mp4", 10);
    let (_runtime, address) = serve(&folder, "my film.mp4");
    let config = request(address, "GET", "/config.json", &[]);
    let config: serde_json::Value = serde_json::from_slice(&config.body).expect("JSON");
    assert_eq!(config["torrent"], "/torrents/my%20film.mp4.torrent");
    assert_eq!(config["trackers"][0], "ws://t/announce");
    let torrent = request(address, "GET", "/torrents/my%20film.mp4.torrent", &[]);
    assert_eq!(
        (torrent.status, torrent.header("content-type")),
        (200, Some("application/x-bittorrent"))
    );
    assert_eq!(torrent.body, b"de");
    assert_eq!(
        request(address, "GET", "/torrents/other.torrent", &[]).status,
        404
    );
}

#[test]
fn a_page_that_makes_its_own_name_lead_here_gets_nothing() {
    let folder = Folder::new();
    folder.file("film.mp4", 10);
    let (_runtime, address) = serve(&folder, "film.mp4");
    for path in [
        "/",
        "/config.json",
        "/files/film.mp4",
        "/torrents/film.mp4.torrent",
    ] {
        let answer = request(address, "GET", path, &["host: evil.example:8080"]);
        assert_eq!(answer.status, 421, "{path}");
    }
}

#[test]
fn the_root_is_the_page_or_says_how_to_get_it() {
    let folder = Folder::new();
    folder.file("film.mp4", 10);
    let (_runtime, address) = serve(&folder, "film.mp4");
    let page = request(address, "GET", "/", &[]);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    if !http::page_is_built() {
        let words = String::from_utf8(page.body).expect("UTF-8");
        assert!(words.contains("cargo xtask demo"), "{words}");
    }
}

#[test]
fn a_client_that_never_ends_its_request_is_hung_up_on() {
    let folder = Folder::new();
    folder.file("film.mp4", 10);
    let header_timeout = Duration::from_millis(200);
    let (_runtime, address) = serve_within(
        &folder,
        "film.mp4",
        Limits {
            header_timeout,
            ..Limits::default()
        },
    );
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    stream
        .write_all(b"GET / HTTP/1.1\r\nx-slow: ")
        .expect("send");
    let mut rest = Vec::new();
    stream
        .read_to_end(&mut rest)
        .expect("it ends the connection, before we lose patience");
}

#[test]
fn who_comes_when_the_house_is_full_waits_for_a_place() {
    let folder = Folder::new();
    folder.file("film.mp4", 10);
    let (_runtime, address) = serve_within(
        &folder,
        "film.mp4",
        Limits {
            connections: 1,
            ..Limits::default()
        },
    );
    let mut first = TcpStream::connect(address).expect("connect");
    first.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let line = format!("HEAD /files/film.mp4 HTTP/1.1\r\nhost: {address}\r\n\r\n");
    first.write_all(line.as_bytes()).expect("send");
    first
        .read_exact(&mut [0; 12])
        .expect("an answer, and the connection stays");

    let mut second = TcpStream::connect(address).expect("connect");
    second.write_all(line.as_bytes()).expect("send");
    second.set_nonblocking(true).expect("nonblocking");
    assert!(
        second
            .read(&mut [0; 1])
            .is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    );
    drop(first);
    second.set_nonblocking(false).expect("blocking");
    second.set_read_timeout(Some(PATIENCE)).expect("timeout");
    second.read_exact(&mut [0; 12]).expect("its turn has come");
}

#[test]
fn a_head_without_end_is_refused() {
    let folder = Folder::new();
    folder.file("film.mp4", 10);
    let (_runtime, address) = serve(&folder, "film.mp4");
    let long = format!("x-long: {}", "x".repeat(64 * 1024));
    let mut stream = TcpStream::connect(address).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    // It may hang up while we are still talking.
    let _ = stream.write_all(format!("GET / HTTP/1.1\r\n{long}\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}
