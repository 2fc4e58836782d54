//! What `headwater seed` says while it runs: links and a line of figures for people, JSON lines
//! for programs.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde::Serialize;

/// Torrents whose links are shown to a person; programs are told all.
const MAX_SHOWN: usize = 20;

/// The first JSON line: everything is ready.
#[derive(Debug, Serialize)]
pub struct Ready {
    /// The page that plays the first torrent.
    pub page: String,
    /// The first torrent's.
    #[serde(flatten)]
    pub first: Links,
    /// All of them, the first too.
    pub torrents: Vec<Links>,
    /// The UDP address of WebRTC.
    pub webrtc: String,
    /// The TCP address of ordinary BitTorrent.
    pub tcp: Option<String>,
    /// Where the torrents are announced.
    pub trackers: Vec<String>,
}

/// How one torrent is called.
#[derive(Clone, Debug, Serialize)]
pub struct Links {
    /// Its name.
    pub name: String,
    /// Magnet link.
    pub magnet: String,
    /// Where the .torrent is served.
    pub torrent: String,
    /// Where the .torrent was written, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Hex.
    pub info_hash_v1: Option<String>,
    /// Hex.
    pub info_hash_v2: Option<String>,
    /// Bytes of all files.
    pub length: u64,
}

/// What came of looking again at what is to be seeded.
#[derive(Debug, Default, Serialize)]
pub struct Reloaded {
    /// New, or made anew.
    pub added: Vec<Links>,
    /// Gone, or made anew.
    pub removed: Vec<String>,
    /// As before.
    pub unchanged: usize,
}

/// Bytes per transport.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PerTransport {
    /// Over ordinary BitTorrent connections.
    pub tcp: u64,
    /// Over data channels.
    pub webrtc: u64,
}

impl PerTransport {
    /// Over all of them.
    pub const fn total(&self) -> u64 {
        self.tcp + self.webrtc
    }
}

/// One line a second.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Tick {
    /// Seconds since everything was ready.
    pub uptime: f64,
    /// Connected now.
    pub peers: usize,
    /// Bytes handed to peers' connections so far: blocks and the protocol around them.
    pub sent: PerTransport,
    /// Bytes that came from them.
    pub received: PerTransport,
    /// Blocks read for peers so far.
    pub requests: u64,
}

/// Where it is said.
#[derive(Debug)]
pub struct Reporter {
    json: bool,
    bar: ProgressBar,
    last: Tick,
}

impl Reporter {
    /// JSON lines on stdout, or words there and a moving line of figures on the terminal.
    pub fn new(json: bool, quiet: bool) -> Self {
        let bar = if json || quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        Self {
            json,
            bar,
            last: Tick::default(),
        }
    }

    /// Says that all is ready.
    pub fn ready(&self, ready: &Ready) {
        if self.json {
            return print_json(ready);
        }
        for links in ready.torrents.iter().take(MAX_SHOWN) {
            print_line(&format!(
                "{}\n  magnet   {}\n  torrent  {}",
                links.name, links.magnet, links.torrent
            ));
            if let Some(file) = &links.file {
                print_line(&format!("  written  {file}"));
            }
        }
        if let more @ 1.. = ready.torrents.len().saturating_sub(MAX_SHOWN) {
            print_line(&format!("and {more} more; /config.json names them all"));
        }
        print_line(&format!(
            "\nOpen  {}\n\nSeeding until stopped (Ctrl-C).",
            ready.page
        ));
    }

    /// Says how it goes; call it once a second.
    pub fn tick(&mut self, tick: Tick) {
        if self.json {
            print_json(&tick);
        } else {
            let rate = tick.sent.total().saturating_sub(self.last.sent.total());
            self.bar.set_message(format!(
                "{} peers, {}/s, {} sent",
                tick.peers,
                HumanBytes(rate),
                HumanBytes(tick.sent.total())
            ));
            self.bar.tick();
        }
        self.last = tick;
    }

    /// Takes the moving line away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Says what a reload has changed.
pub fn reloaded(told: &Reloaded, json: bool, quiet: bool) {
    if json {
        print_json(&serde_json::json!({ "reloaded": told }));
    } else if !quiet {
        print_line(&format!(
            "Looked again: {} added, {} removed, {} unchanged.",
            told.added.len(),
            told.removed.len(),
            told.unchanged
        ));
    }
}

/// How often [`Reporter::tick`] is called.
pub const TICK: Duration = Duration::from_secs(1);

/// One JSON object on a line of stdout.
pub fn print_json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(line) => print_line(&line),
        Err(e) => debug_assert!(false, "own report: {e}"),
    }
}

/// One line of stdout. Whoever read it may be gone: that stops nobody's film.
pub fn print_line(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
