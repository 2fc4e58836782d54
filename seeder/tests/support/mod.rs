//! What the stories share: a folder that goes away, the command, and a plain HTTP client.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

pub mod cluster;
pub mod getting;
pub mod origin;
pub mod ranges;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Nothing on loopback takes this long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of its own for each test, gone with it.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("headwater-test-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path.canonicalize().expect("its path"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file of `length` bytes that are different everywhere.
    pub fn file(&self, name: &str, length: usize) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, bytes(length)).expect("a file");
        path
    }

    /// Every file below, by its path from here.
    pub fn listing(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .expect("the folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `length` bytes that never repeat within a block.
pub fn bytes(length: usize) -> Vec<u8> {
    let mut rng = headwater_core::rng::Rng::seeded(length as u64);
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes
}

/// Runs the command in `folder` to its end.
pub fn headwater(folder: &Folder, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_headwater"))
        .args(args)
        .current_dir(&folder.0)
        .env_remove("RUST_LOG")
        .output()
        .expect("the command runs")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// The command failed with this code, said what `says` says, and nothing of a panic.
pub fn assert_refused(output: &Output, code: i32, says: &str) {
    let words = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{words}");
    assert!(words.contains(says), "expected {says:?} in: {words}");
    assert!(!words.contains("panicked"), "{words}");
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// One request on a connection of its own; `extra` are whole header lines.
pub fn request(to: SocketAddr, method: &str, path: &str, extra: &[&str]) -> Answer {
    let mut stream = TcpStream::connect(to).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !extra
        .iter()
        .any(|line| line.to_ascii_lowercase().starts_with("host:"))
    {
        head.push_str(&format!("host: {to}\r\n"));
    }
    for line in extra {
        head.push_str(line);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).expect("send");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("answer");
    let end = all
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .expect("a head");
    let head = String::from_utf8(all[..end].to_vec()).expect("an ASCII head");
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .and_then(|s| s.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Answer {
        status: status.expect("a status"),
        headers,
        body: all[end + 4..].to_vec(),
    }
}
