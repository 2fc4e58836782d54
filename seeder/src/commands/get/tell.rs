//! What `headwater get` says while it runs: a bar for people, JSON lines for programs.

use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use headwater_core::layout::FileIndex;
use headwater_core::metainfo::Metainfo;
use headwater_core::swarm::{Event, Stats};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::serving::Urls;
use crate::config::{Get, To};
use crate::engine::Handle;
use crate::error::{Error, Result};
use crate::keep::Place;
use crate::report::{print_json, print_line};

/// Time between two looks at the figures.
const LOOK: Duration = Duration::from_secs(1);

/// One line of JSON.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    /// The torrent is known.
    Metadata {
        name: &'a str,
        info_hash_v1: Option<String>,
        info_hash_v2: Option<String>,
        /// Bytes that were asked for.
        length: u64,
        files: Vec<FileLine>,
    },
    /// Once a second.
    Progress {
        uptime: f64,
        /// Verified bytes that reached their place.
        done: u64,
        length: Option<u64>,
        peers: u32,
        seeds: u32,
        /// Bytes a second.
        receive_rate: u64,
        send_rate: u64,
        /// Payload so far.
        received: u64,
        /// The same from origins.
        from_origins: u64,
        sent: u64,
        refused: u64,
        wasted: u64,
        /// Bytes of the torrent in memory.
        window_used: u64,
        window_peak: u64,
    },
    /// Players are served.
    Serving {
        url: &'a str,
        playlist: &'a str,
        files: Vec<ServedLine<'a>>,
    },
    /// Nothing can be written just now.
    Paused { why: &'a str },
    /// It can again.
    Resumed,
    /// What happened in the swarm.
    Swarm { what: &'a Event },
    /// All that was asked for is there.
    Done { length: u64, seconds: f64 },
}

/// A file of the torrent.
#[derive(Debug, Serialize)]
struct FileLine {
    path: String,
    length: u64,
}

/// A file for players.
#[derive(Debug, Serialize)]
struct ServedLine<'a> {
    path: &'a str,
    url: &'a str,
}

/// How far we are; the work counts, the teller tells.
#[derive(Debug)]
pub struct Teller {
    json: bool,
    to_stderr: bool,
    bar: ProgressBar,
    started: Instant,
    patience: Option<Duration>,
    /// The state file of what is kept.
    state: RefCell<Option<PathBuf>>,
    is_done: Cell<bool>,
    paused: Cell<bool>,
    done: Cell<u64>,
    length: Cell<Option<u64>>,
}

impl Teller {
    /// As the flags say.
    pub fn new(get: &Get, name: &str) -> Self {
        let bar = if get.json || get.quiet {
            ProgressBar::hidden()
        } else {
            ProgressBar::new_spinner()
        };
        bar.set_style(style("{spinner} {prefix}: {msg}"));
        bar.set_prefix(name.escape_debug().to_string());
        bar.set_message("looking for peers");
        Self {
            json: get.json,
            to_stderr: get.to == To::Stdout,
            bar,
            started: Instant::now(),
            patience: get.patience,
            state: RefCell::default(),
            is_done: Cell::new(false),
            paused: Cell::new(false),
            done: Cell::new(0),
            length: Cell::new(None),
        }
    }

    /// The torrent is known, and these of its files are wanted.
    pub fn known(&self, metainfo: &Metainfo, files: &[FileIndex]) {
        let entry = |file: &FileIndex| metainfo.layout().entry(*file);
        let length = files.iter().map(|file| entry(file).length).sum();
        self.length.set(Some(length));
        self.bar.set_length(length);
        self.bar
            .set_prefix(metainfo.name().escape_debug().to_string());
        self.bar
            .set_style(style("{prefix} [{wide_bar}] {bytes}/{total_bytes} {msg}"));
        let hashes = metainfo.info_hashes();
        self.line(&Line::Metadata {
            name: metainfo.name(),
            info_hash_v1: hashes.v1().map(|hash| hash.to_hex()),
            info_hash_v2: hashes.v2().map(|hash| hash.to_hex()),
            length,
            files: files
                .iter()
                .map(|file| FileLine {
                    path: entry(file).path.join("/"),
                    length: entry(file).length,
                })
                .collect(),
        });
    }

    /// Players are served from now on.
    pub fn serving(&self, urls: &Urls) {
        if !self.json {
            self.bar
                .set_style(style("{spinner} {prefix}: {msg} (Ctrl-C ends it)"));
            self.bar
                .suspend(|| print_line(&format!("Open  {}", urls.url)));
        }
        let served = urls
            .files
            .iter()
            .map(|(path, url)| ServedLine { path, url });
        self.line(&Line::Serving {
            url: &urls.url,
            playlist: &urls.playlist,
            files: served.collect(),
        });
    }

    /// So many bytes more have reached their place.
    pub fn advance(&self, bytes: u64) {
        self.done.set(self.done.get() + bytes);
    }

    /// It goes to files.
    pub fn keeps(&self, place: &Place) {
        self.state.replace(Some(place.state.clone()));
    }

    /// A bar for looking at what is there already.
    pub fn checking(&self) -> ProgressBar {
        let bar = match self.bar.is_hidden() {
            true => ProgressBar::hidden(),
            false => ProgressBar::new(self.length.get().unwrap_or(0)),
        };
        bar.set_style(style(
            "looking at what is there [{wide_bar}] {bytes}/{total_bytes}",
        ));
        bar
    }

    /// Why nothing can be written just now, or that it can again.
    pub fn trouble(&self, why: Option<&str>) {
        self.paused.set(why.is_some());
        match why {
            Some(why) => {
                self.bar.suspend(|| tracing::warn!("paused: {why}"));
                self.line(&Line::Paused { why });
            }
            None => {
                self.bar.suspend(|| tracing::warn!("writing again"));
                self.line(&Line::Resumed);
            }
        }
    }

    /// All that was wanted is in files.
    pub fn all_kept(&self) {
        self.done.set(self.length.get().unwrap_or(0));
        self.is_done.set(true);
        self.bar.set_style(style(
            "{spinner} {prefix}: all there; seeding, {msg} (Ctrl-C ends it)",
        ));
        self.finished();
    }

    /// Whether [`all_kept`](Self::all_kept) was said.
    pub const fn is_done(&self) -> bool {
        self.is_done.get()
    }

    /// The files are whole and will not be gone on with: nothing more need be known of them.
    pub fn forget_state(&self) {
        if let Some(state) = self.state.take().filter(|_| self.is_done()) {
            // Without it they would only be looked at again.
            let _ = std::fs::remove_file(state);
        }
    }

    /// Everything is there.
    pub fn finished(&self) {
        self.line(&Line::Done {
            length: self.done.get(),
            seconds: self.started.elapsed().as_secs_f64(),
        });
    }

    /// Tells how it goes, for as long as it goes; an error when nothing arrives for too long.
    pub async fn follow(&self, handle: &Handle) -> Result<()> {
        let mut events = handle.watch(0);
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut received, mut fed) = (0, Instant::now());
        loop {
            let event = tokio::select! {
                _ = looks.tick() => None,
                Some(event) = events.recv() => Some(event),
            };
            if let Some(event) = event {
                self.happened(&event)?;
                continue;
            }
            let Some(stats) = handle.stats(0).await else {
                return Ok(());
            };
            self.figures(&stats);
            let came = stats.received + stats.from_origins;
            if came > received || !self.is_hungry(&stats) {
                (received, fed) = (came, Instant::now());
            }
            if let Some(patience) = self.patience.filter(|patience| fed.elapsed() > *patience) {
                return Err(Error::Starved(patience));
            }
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn happened(&self, event: &Event) -> Result<()> {
        if !matches!(
            event,
            Event::PieceVerified { .. } | Event::PieceEvicted { .. } | Event::Metadata
        ) {
            self.line(&Line::Swarm { what: event });
        }
        match event {
            Event::Contradiction { piece } => Err(Error::Other(format!(
                "this torrent says two things of piece {piece} that cannot both be true: \
                 its v1 and v2 hashes are of different files; ask whoever made it for another"
            ))),
            _ => Ok(()),
        }
    }

    fn figures(&self, stats: &Stats) {
        if stats.kept_left > 0 {
            let length = self.length.get().unwrap_or(0);
            self.done.set(length.saturating_sub(stats.kept_left));
        }
        self.bar.set_position(self.done.get());
        let peers = stats.peers;
        let rate = stats.receive_rate + stats.origin_rate;
        if self.length.get().is_none() {
            self.bar.set_message(match peers {
                0 => "looking for peers".to_owned(),
                _ => format!("asking {peers} peers what it is"),
            });
        } else {
            self.bar.set_message(format!(
                "{}/s down, {}/s up, {peers} peers{}{}",
                HumanBytes(rate),
                HumanBytes(stats.send_rate),
                origin_share(stats),
                self.time_left(rate)
            ));
        }
        self.bar.tick();
        self.line(&Line::Progress {
            uptime: self.started.elapsed().as_secs_f64(),
            done: self.done.get(),
            length: self.length.get(),
            peers,
            seeds: stats.seeds,
            receive_rate: stats.receive_rate,
            send_rate: stats.send_rate,
            received: stats.received,
            from_origins: stats.from_origins,
            sent: stats.sent,
            refused: stats.refused,
            wasted: stats.wasted,
            window_used: stats.window_used,
            window_peak: stats.window_peak,
        });
    }

    /// Whether something is waited for that only peers can bring.
    fn is_hungry(&self, stats: &Stats) -> bool {
        let waits = stats.readers_waiting > 0 || stats.kept_left > 0;
        stats.pieces == 0 || (waits && !self.paused.get())
    }

    fn time_left(&self, rate: u64) -> String {
        let left = self
            .length
            .get()
            .unwrap_or(0)
            .saturating_sub(self.done.get());
        match left.checked_div(rate) {
            Some(seconds) if left > 0 => {
                let left = indicatif::HumanDuration(Duration::from_secs(seconds));
                format!(", {left:#} left")
            }
            _ => String::new(),
        }
    }

    fn line(&self, line: &Line<'_>) {
        if !self.json {
            return;
        }
        if !self.to_stderr {
            return print_json(line);
        }
        if let Ok(line) = serde_json::to_string(line) {
            // Whoever read it may be gone: that stops nothing.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }
}

/// How much of what came origins sent, if they sent any.
fn origin_share(stats: &Stats) -> String {
    let all = stats.received + stats.from_origins;
    match (stats.from_origins * 100).checked_div(all) {
        Some(share) if stats.from_origins > 0 => format!(", {share} % from origins"),
        _ => String::new(),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
