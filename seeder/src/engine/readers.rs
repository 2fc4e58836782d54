//! Reading from a torrent that is being fetched: the hand that other tasks hold, and the
//! engine's end of it.
//!
//! Bytes come when they are pulled, one pull at a time: a reader that pauses pauses the fetching.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use headwater_core::ids::ReaderId;
use headwater_core::layout::FileIndex;
use headwater_core::metainfo::Metainfo;
use headwater_core::swarm::{Event, Input, Stats, Swarm};
use headwater_core::time::Instant;
use tokio::sync::{mpsc, oneshot};

use super::company::Order;
use crate::chunks::TorrentNumber;
use crate::keep::Keep;

/// Events that wait for a watcher.
const MAX_UNHEARD: usize = 256;

/// What other tasks ask of the engine.
#[derive(Debug)]
pub(super) enum Command {
    Closed(TorrentNumber, ReaderId),
    Kept(TorrentNumber, Box<Keep>, oneshot::Sender<()>),
    Known(TorrentNumber, oneshot::Sender<Metainfo>),
    Opened(
        TorrentNumber,
        ReaderId,
        FileIndex,
        Range<u64>,
        mpsc::UnboundedSender<Bytes>,
    ),
    Ordered(Order),
    Pulled(TorrentNumber, ReaderId, usize),
    Stats(TorrentNumber, oneshot::Sender<Stats>),
    Watched(TorrentNumber, mpsc::Sender<Event>),
}

/// A hand on a running engine; may be cloned.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    next: Arc<AtomicU64>,
}

/// Bytes of a file, in order, verified.
#[derive(Debug)]
pub struct Reader {
    torrent: TorrentNumber,
    id: ReaderId,
    commands: mpsc::UnboundedSender<Command>,
    bytes: mpsc::UnboundedReceiver<Bytes>,
}

impl Handle {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, asked) = mpsc::unbounded_channel();
        (
            Self {
                commands,
                next: Arc::default(),
            },
            asked,
        )
    }

    /// What the torrent is, as soon as it is known; `None` if the engine has ended.
    pub async fn metainfo(&self, torrent: TorrentNumber) -> Option<Metainfo> {
        let (tell, told) = oneshot::channel();
        self.commands.send(Command::Known(torrent, tell)).ok()?;
        told.await.ok()
    }

    /// The swarm in numbers; `None` if the engine has ended.
    pub async fn stats(&self, torrent: TorrentNumber) -> Option<Stats> {
        let (tell, told) = oneshot::channel();
        self.commands.send(Command::Stats(torrent, tell)).ok()?;
        told.await.ok()
    }

    /// What happens in the swarm from now on. Whoever does not listen misses what is beyond `MAX_UNHEARD`.
    pub fn watch(&self, torrent: TorrentNumber) -> mpsc::Receiver<Event> {
        let (tell, told) = mpsc::channel(MAX_UNHEARD);
        // An engine that has ended drops the sender, and the watcher sees its end.
        let _ = self.commands.send(Command::Watched(torrent, tell));
        told
    }

    /// Keeps a torrent that is known on disk; the answer comes when all that is wanted is there.
    pub fn keep(&self, torrent: TorrentNumber, keep: Keep) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        // An engine that has ended drops the sender.
        let _ = self
            .commands
            .send(Command::Kept(torrent, Box::new(keep), tell));
        told
    }

    /// Opens a range of a file of a torrent that is known.
    pub fn read(&self, torrent: TorrentNumber, file: FileIndex, range: Range<u64>) -> Reader {
        let id = ReaderId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sink, bytes) = mpsc::unbounded_channel();
        // An engine that has ended drops the sink, and the reader sees its end.
        let _ = self
            .commands
            .send(Command::Opened(torrent, id, file, range, sink));
        Reader {
            torrent,
            id,
            commands: self.commands.clone(),
            bytes,
        }
    }
}

impl Reader {
    /// The next bytes, at most so many; `None` after the last, or when the engine has ended.
    pub async fn next(&mut self, most: usize) -> Option<Bytes> {
        self.commands
            .send(Command::Pulled(self.torrent, self.id, most))
            .ok()?;
        self.bytes.recv().await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Closed(self.torrent, self.id));
    }
}

/// The engine's end.
#[derive(Debug, Default)]
pub(super) struct Readers {
    sinks: BTreeMap<ReaderId, mpsc::UnboundedSender<Bytes>>,
    curious: Vec<(TorrentNumber, oneshot::Sender<Metainfo>)>,
    watchers: Vec<(TorrentNumber, mpsc::Sender<Event>)>,
}

impl Readers {
    /// Passes a command on to its swarm.
    pub(super) fn obey(&mut self, now: Instant, swarm: &mut Swarm, command: Command) {
        match command {
            Command::Closed(_, reader) => {
                if self.sinks.remove(&reader).is_some() {
                    swarm.handle_input(now, Input::ReaderClosed(reader));
                }
            }
            // The engine's own affair.
            Command::Kept(..) | Command::Ordered(_) => {}
            Command::Known(torrent, tell) => {
                self.curious.push((torrent, tell));
                self.known(torrent, swarm);
            }
            Command::Opened(_, reader, file, range, sink) => {
                let length = swarm
                    .metainfo()
                    .map(|metainfo| metainfo.layout().entry(file).length);
                if length.is_some_and(|length| range.start <= range.end && range.end <= length) {
                    self.sinks.insert(reader, sink);
                    swarm.handle_input(
                        now,
                        Input::ReaderOpened {
                            reader,
                            file,
                            range,
                        },
                    );
                }
            }
            Command::Pulled(_, reader, most) => {
                if self.sinks.contains_key(&reader) {
                    swarm.handle_input(now, Input::Pulled(reader, most));
                }
            }
            // Whoever asked may have gone.
            Command::Stats(_, tell) => drop(tell.send(swarm.stats(now))),
            Command::Watched(torrent, tell) => self.watchers.push((torrent, tell)),
        }
    }

    /// Tells those who asked what the torrent is, if that is known by now.
    pub(super) fn known(&mut self, torrent: TorrentNumber, swarm: &Swarm) {
        let Some(metainfo) = swarm.metainfo() else {
            return;
        };
        let (told, waiting) = std::mem::take(&mut self.curious)
            .into_iter()
            .partition(|(whose, _)| *whose == torrent);
        self.curious = waiting;
        let told: Vec<(TorrentNumber, oneshot::Sender<Metainfo>)> = told;
        for (_, tell) in told {
            // Whoever asked may have gone.
            let _ = tell.send(metainfo.clone());
        }
    }

    /// Tells those who watch.
    pub(super) fn saw(&mut self, torrent: TorrentNumber, event: &Event) {
        self.watchers.retain(|(_, watcher)| !watcher.is_closed());
        for (_, watcher) in self.watchers.iter().filter(|(whose, _)| *whose == torrent) {
            let _ = watcher.try_send(event.clone());
        }
    }

    /// Hands a reader what it pulled.
    pub(super) fn data(&self, reader: ReaderId, bytes: Bytes) {
        if let Some(sink) = self.sinks.get(&reader) {
            let _ = sink.send(bytes);
        }
    }

    /// The reader has had everything.
    pub(super) fn ended(&mut self, reader: ReaderId) {
        self.sinks.remove(&reader);
    }
}

impl Command {
    /// Whose swarm it is for, if it is for one.
    pub(super) const fn torrent(&self) -> Option<TorrentNumber> {
        match self {
            Self::Ordered(_) => None,
            Self::Closed(torrent, _)
            | Self::Kept(torrent, ..)
            | Self::Known(torrent, _)
            | Self::Opened(torrent, ..)
            | Self::Pulled(torrent, ..)
            | Self::Stats(torrent, _)
            | Self::Watched(torrent, _) => Some(*torrent),
        }
    }
}
