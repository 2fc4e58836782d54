//! The thread that writes: pieces to their files, and now and then what is certain to the state file.
//!
//! What cannot be written waits, is said, and is tried again: a disk with no room left pauses one
//! torrent and breaks nothing.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_core::layout::{Layout, PieceIndex};
use tokio::sync::watch;

use super::Place;
use super::place::open_to_write;
use super::state::State;
use crate::hashing::places;
use crate::source::{SourceFile, identity, write_all_at};

/// Time between writing a piece and claiming it: so much, and longer on a disk that is slow, so that
/// waiting for it takes a tenth of the time at most. More loses more to a power cut.
const CLAIM_AFTER: Duration = Duration::from_millis(100);
const CLAIM_AT_LAST: Duration = Duration::from_secs(5);

/// Most bytes written and not claimed.
const MAX_UNCLAIMED: u64 = 256 << 20;

/// Time between two tries to write what could not be.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Files kept open at once.
const MAX_OPEN: usize = 64;

/// What the writer tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// The piece is written and can be read back.
    Stored(PieceIndex),
    /// The piece was written, and the system then said that it did not reach the disk.
    Lost(PieceIndex),
}

/// What is to be written.
#[derive(Debug)]
enum Job {
    /// Who may be called the next time.
    Neighbours(Vec<SocketAddr>),
    /// A piece, without its padding.
    Piece(PieceIndex, Bytes),
}

/// A hand on the writing thread. When it is dropped the thread ends, once all is written.
#[derive(Debug)]
pub struct Keeper {
    jobs: Option<Sender<Job>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts it; what it tells is told from its thread.
    pub fn start(writer: Writer, tell: impl Fn(Told) + Send + 'static) -> Self {
        let (jobs, given) = channel();
        let stopping = Arc::new(AtomicBool::new(false));
        let told_to_stop = Arc::clone(&stopping);
        let thread = thread::spawn(move || writer.run(&given, &told_to_stop, tell));
        Self {
            jobs: Some(jobs),
            stopping,
            thread: Some(thread),
        }
    }

    /// To be written, without its padding.
    pub fn store(&self, piece: PieceIndex, bytes: Bytes) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only when this end does.
            let _ = jobs.send(Job::Piece(piece, bytes));
        }
    }

    /// Whom to call the next time. If it is nobody, those of the last time are still the best guess.
    pub fn remember(&self, neighbours: Vec<SocketAddr>) {
        if let Some(jobs) = self.jobs.as_ref().filter(|_| !neighbours.is_empty()) {
            let _ = jobs.send(Job::Neighbours(neighbours));
        }
    }

    /// Until all is written and claimed, or cannot be. Waits for the disk.
    pub fn close(mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread owns.
#[derive(Debug)]
pub struct Writer {
    layout: Layout,
    place: Place,
    /// Keeps others out for as long as we write.
    _lock: Option<File>,
    places: Vec<usize>,
    /// Who the files were when they were made.
    files: Vec<(u64, u64)>,
    open: VecDeque<(usize, File)>,
    state: State,
    unclaimed: Vec<PieceIndex>,
    unclaimed_bytes: u64,
    unsynced: BTreeSet<usize>,
    oldest: Option<Instant>,
    claim_after: Duration,
    trouble: watch::Sender<Option<String>>,
}

impl Writer {
    pub(super) fn new(
        layout: Layout,
        place: Place,
        lock: Option<File>,
        sources: &[SourceFile],
        state: State,
        trouble: watch::Sender<Option<String>>,
    ) -> Self {
        Self {
            places: places(&layout),
            layout,
            place,
            _lock: lock,
            files: sources.iter().map(SourceFile::identity).collect(),
            open: VecDeque::new(),
            state,
            unclaimed: Vec::new(),
            unclaimed_bytes: 0,
            unsynced: BTreeSet::new(),
            oldest: None,
            claim_after: CLAIM_AFTER,
            trouble,
        }
    }

    fn run(mut self, jobs: &Receiver<Job>, stopping: &AtomicBool, tell: impl Fn(Told)) {
        // From here on the files are being written: what is not claimed may be there or not.
        self.save(false);
        loop {
            let wait = self.oldest.map_or(Duration::MAX, |oldest| {
                self.claim_after.saturating_sub(oldest.elapsed())
            });
            match jobs.recv_timeout(wait.min(Duration::from_secs(3600))) {
                Ok(Job::Neighbours(neighbours)) => {
                    if self.state.remember(neighbours) {
                        self.save(false);
                    }
                }
                Ok(Job::Piece(piece, bytes)) => {
                    if !self.write_at_last(piece, &bytes, stopping) {
                        break;
                    }
                    self.unclaimed.push(piece);
                    self.unclaimed_bytes += bytes.len() as u64;
                    self.oldest.get_or_insert_with(Instant::now);
                    drop(bytes);
                    tell(Told::Stored(piece));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let is_due = self
                .oldest
                .is_some_and(|oldest| oldest.elapsed() >= self.claim_after);
            if is_due || self.unclaimed_bytes >= MAX_UNCLAIMED {
                let begun = Instant::now();
                self.claim(&tell);
                self.save(false);
                self.claim_after = (begun.elapsed() * 9).clamp(CLAIM_AFTER, CLAIM_AT_LAST);
            }
        }
        let is_whole = self.claim(&tell);
        self.save(is_whole);
    }

    /// Tries until it is written; false if we are to stop before it is.
    fn write_at_last(&mut self, piece: PieceIndex, bytes: &[u8], stopping: &AtomicBool) -> bool {
        while let Err(why) = self.write(piece, bytes) {
            self.say(Some(why));
            if stopping.load(Ordering::Relaxed) {
                return false;
            }
            thread::sleep(TRY_AGAIN);
        }
        self.say(None);
        true
    }

    fn write(&mut self, piece: PieceIndex, bytes: &[u8]) -> Result<(), String> {
        let mut at = 0;
        let spans: Vec<_> = self.layout.spans(piece).collect();
        for span in spans {
            let end = at + span.length as usize;
            if !span.pad {
                let place = self.places[span.file.as_usize()];
                let part = bytes.get(at..end).unwrap_or_default();
                let written = self
                    .file(place)
                    .and_then(|file| write_all_at(file, part, span.offset));
                if let Err(e) = written {
                    self.open.retain(|(other, _)| *other != place);
                    return Err(self.words("write", place, &e));
                }
                self.unsynced.insert(place);
            }
            at = end;
        }
        Ok(())
    }

    /// Has all that was written put on the disk, and claims it. Whether that went well.
    fn claim(&mut self, tell: &impl Fn(Told)) -> bool {
        self.oldest = None;
        self.unclaimed_bytes = 0;
        let mut synced = Ok(());
        for place in std::mem::take(&mut self.unsynced) {
            if let Err(e) = self.file(place).and_then(|file| file.sync_data()) {
                synced = Err(self.words("sync", place, &e));
            }
        }
        let is_whole = synced.is_ok();
        for piece in std::mem::take(&mut self.unclaimed) {
            if is_whole {
                self.state.claim(piece.get());
            } else {
                tell(Told::Lost(piece));
            }
        }
        if let Err(why) = synced {
            self.say(Some(why));
        }
        is_whole
    }

    fn save(&mut self, clean: bool) {
        if let Err(e) = self.state.write(&self.place, clean) {
            // What is claimed stays as it was; the next time may go well.
            tracing::warn!("cannot write {}: {e}", self.place.state.display());
        }
    }

    /// The open file, if its path still leads to it.
    fn file(&mut self, place: usize) -> io::Result<&File> {
        let path = &self.place.paths[place];
        if fs::symlink_metadata(path).map(|meta| identity(&meta))? != self.files[place] {
            return Err(io::Error::other(
                "it is another file now; put the old one back",
            ));
        }
        match self.open.iter().position(|(other, _)| *other == place) {
            Some(at) => self.open.swap(at, 0),
            None => {
                self.open.push_front((place, open_to_write(path, false)?));
                self.open.truncate(MAX_OPEN);
            }
        }
        let front = self.open.front().map(|(_, file)| file);
        front.ok_or_else(|| io::Error::other("no file"))
    }

    fn words(&self, doing: &str, place: usize, error: &io::Error) -> String {
        let path = self.place.paths[place].display();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                format!("the disk is full: cannot {doing} {path}; waiting for room")
            }
            _ => format!("cannot {doing} {path}: {error}; trying again"),
        }
    }

    fn say(&self, trouble: Option<String>) {
        self.trouble.send_if_modified(|said| {
            let is_news = *said != trouble;
            *said = trouble;
            is_news
        });
    }
}
