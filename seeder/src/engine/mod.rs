//! Drives the core: joins swarms and tracker clients to data channels, sockets and storage.
//!
//! One task owns it all; nothing in it waits for a disk or a lock. It decides nothing about the
//! protocol: what to send to whom is the core's affair.

mod readers;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use headwater_core::hash::Sha256Digest;
use headwater_core::ids::PeerKey;
use headwater_core::layout::{FileIndex, PieceIndex};
use headwater_core::peer::Transport;
use headwater_core::swarm::{self, Swarm};
use headwater_core::time::Instant;
use headwater_core::tracker::client::{self, Client};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::{debug, warn};

use crate::bucket::Bucket;
use crate::chunks::{Chunks, Loaded, Read, TorrentNumber};
use crate::report::{PerTransport, TICK, Tick};
use crate::sockets::{SocketEvent, SocketKey, Sockets};
use crate::storage::Storage;
use crate::webrtc::{self, Endpoint, EndpointEvent};

use readers::{Command, Readers};
pub use readers::{Handle, Reader};

/// How long peers may take to hear that we go.
const FAREWELL: std::time::Duration = std::time::Duration::from_millis(300);

/// Time between two looks whether the files are still what was hashed. Sooner withdraws sooner,
/// and opens every file more often.
const LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// Longest sleep when nothing is due.
const IDLE: std::time::Duration = std::time::Duration::from_secs(60);

/// Rounds of answers to answers before the sockets get a turn again.
const MAX_ROUNDS: usize = 64;

/// One torrent, ready to be driven.
#[derive(Debug)]
pub struct Torrent {
    /// Its name, for the log.
    pub name: String,
    /// Its swarm.
    pub swarm: Swarm,
    /// Its tracker client; its key space is [`key_space`] of this torrent's number.
    pub tracker: Client,
    /// Its bytes, if the swarm was told that we have them all; otherwise they are fetched as they are read.
    pub storage: Option<Arc<Storage>>,
}

/// The driver.
#[derive(Debug)]
pub struct Engine {
    started: std::time::Instant,
    endpoint: Endpoint,
    torrents: Vec<Torrent>,
    chunks: Chunks,
    reads: mpsc::UnboundedReceiver<Read>,
    hashed: mpsc::UnboundedSender<HashedAgain>,
    hashes: mpsc::UnboundedReceiver<HashedAgain>,
    handle: Handle,
    commands: mpsc::UnboundedReceiver<Command>,
    readers: Readers,
    sockets: Sockets,
    socket_events: mpsc::Receiver<(SocketKey, SocketEvent)>,
    bucket: Option<Bucket>,
    /// Whom to grant upload first next time.
    next_granted: PeerKey,
    /// Connections whose offer was ours.
    dialled: BTreeSet<PeerKey>,
    /// Connections that stand.
    open: BTreeSet<PeerKey>,
    /// Trackers whose trouble has been told, and not yet its end.
    troubled: BTreeSet<(TorrentNumber, String)>,
    changed: mpsc::Sender<Vec<(TorrentNumber, FileIndex)>>,
    changes: mpsc::Receiver<Vec<(TorrentNumber, FileIndex)>>,
    /// Files that have been withdrawn.
    lost: BTreeSet<(TorrentNumber, FileIndex)>,
    sent: u64,
    received: u64,
    requests: u64,
}

/// Leaves that were not in memory.
type HashedAgain = (TorrentNumber, PieceIndex, Vec<Sha256Digest>);

/// The upper half of the peer keys of this torrent's connections.
pub fn key_space(torrent: TorrentNumber) -> u32 {
    u32::try_from(torrent + 1).unwrap_or(u32::MAX)
}

fn torrent_of(peer: PeerKey) -> TorrentNumber {
    ((peer.0 >> 32) as usize).saturating_sub(1)
}

/// A tokio clock's now, as the core counts: from the engine's start.
pub fn since(started: std::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX))
}

impl Engine {
    /// Joins them; `started` is when the core's time began, `upload_limit` is bytes a second.
    pub fn new(
        started: std::time::Instant,
        endpoint: Endpoint,
        torrents: Vec<Torrent>,
        upload_limit: Option<u64>,
    ) -> Self {
        let (chunks, reads) = Chunks::new();
        let (hashed, hashes) = mpsc::unbounded_channel();
        let (changed, changes) = mpsc::channel(1);
        let (handle, commands) = Handle::new();
        let (sockets, socket_events) = Sockets::new();
        Self {
            started,
            endpoint,
            torrents,
            chunks,
            reads,
            hashed,
            hashes,
            handle,
            commands,
            readers: Readers::default(),
            sockets,
            socket_events,
            bucket: upload_limit.map(|rate| Bucket::new(rate, since(started))),
            next_granted: PeerKey(0),
            dialled: BTreeSet::new(),
            open: BTreeSet::new(),
            troubled: BTreeSet::new(),
            changed,
            changes,
            lost: BTreeSet::new(),
            sent: 0,
            received: 0,
            requests: 0,
        }
    }

    /// Works until `stop`, then says goodbye to trackers and peers. Figures go to `tell` once a second.
    pub async fn run(&mut self, stop: impl Future<Output = ()>, mut tell: impl FnMut(Tick)) {
        tokio::pin!(stop);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.settle();
            let due = self.due();
            tokio::select! {
                () = &mut stop => break,
                () = self.endpoint.drive() => {}
                Some(read) = self.reads.recv() => self.finish_reads(read),
                Some(hashed) = self.hashes.recv() => self.finish_leaves(hashed),
                Some(files) = self.changes.recv() => self.withdraw(&files),
                Some(command) = self.commands.recv() => self.obey(command),
                Some((key, event)) = self.socket_events.recv() => self.on_socket(key, event),
                _ = ticks.tick() => {
                    tell(self.figures());
                    self.tell_progress();
                }
                _ = looks.tick() => self.look(),
                () = sleep_until(due) => {}
            }
            self.time_out();
        }
        self.say_goodbye().await;
    }

    /// A hand for other tasks to read by.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What [`run`](Self::run) tells.
    pub fn figures(&self) -> Tick {
        Tick {
            uptime: self.started.elapsed().as_secs_f64(),
            peers: self.open.len(),
            sent: PerTransport { webrtc: self.sent },
            received: PerTransport {
                webrtc: self.received,
            },
            requests: self.requests,
        }
    }

    fn now(&self) -> Instant {
        since(self.started)
    }

    /// Hands everything to whom it concerns until nobody has anything more to say.
    fn settle(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let now = self.now();
            let mut busy = false;
            while let Some(event) = self.endpoint.poll_event() {
                busy = true;
                self.on_endpoint(now, event);
            }
            for torrent in 0..self.torrents.len() {
                busy |= self.drain_swarm(now, torrent);
                busy |= self.drain_tracker(now, torrent);
            }
            if !busy {
                break;
            }
        }
    }

    fn on_endpoint(&mut self, now: Instant, event: EndpointEvent) {
        match event {
            EndpointEvent::Opened(peer) => {
                let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) else {
                    return;
                };
                self.open.insert(peer);
                let dialled = self.dialled.contains(&peer);
                let name = format!("webrtc-{}", peer.0 & u64::from(u32::MAX));
                torrent
                    .tracker
                    .handle_input(now, client::Input::Opened(peer));
                let opened = swarm::Input::Opened {
                    peer,
                    transport: Transport::WebRtc,
                    dialled,
                    name,
                };
                torrent.swarm.handle_input(now, opened);
                self.grant(now, peer);
            }
            EndpointEvent::Received(peer, bytes) => {
                self.received += bytes.len() as u64;
                if let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) {
                    torrent
                        .swarm
                        .handle_input(now, swarm::Input::Received(peer, &bytes));
                }
            }
            // The number may be older than what was sent meanwhile; the endpoint knows the true one.
            EndpointEvent::Writable(peer, _) => self.grant(now, peer),
            EndpointEvent::Closed(peer, reason) => {
                debug!(peer = peer.0, reason, "connection over");
                self.forget(now, peer, &reason);
            }
        }
    }

    /// Tells swarm and tracker that a connection is gone, or came to nothing.
    fn forget(&mut self, now: Instant, peer: PeerKey, reason: &str) {
        self.dialled.remove(&peer);
        let was_open = self.open.remove(&peer);
        let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) else {
            return;
        };
        if was_open {
            torrent.swarm.handle_input(now, swarm::Input::Closed(peer));
            torrent
                .tracker
                .handle_input(now, client::Input::Closed(peer));
        } else {
            torrent
                .tracker
                .handle_input(now, client::Input::ConnectionFailed(peer, reason));
        }
    }

    fn drain_swarm(&mut self, now: Instant, number: TorrentNumber) -> bool {
        let mut busy = false;
        while let Some(output) = self.torrents[number].swarm.poll_output() {
            busy = true;
            match output {
                swarm::Output::Send(peer, bytes) => self.send(now, peer, bytes),
                swarm::Output::Load(block) => {
                    self.requests += 1;
                    let torrent = &mut self.torrents[number];
                    let storage = torrent.storage.as_ref();
                    match storage.map(|storage| self.chunks.block(number, storage, block)) {
                        Some(Some(bytes)) => torrent
                            .swarm
                            .handle_input(now, swarm::Input::Loaded(block, bytes)),
                        // It comes when it is read.
                        Some(None) => {}
                        None => torrent
                            .swarm
                            .handle_input(now, swarm::Input::LoadFailed(block)),
                    }
                }
                swarm::Output::LoadLeaves(piece) => self.load_leaves(now, number, piece),
                swarm::Output::Close(peer, fault) => {
                    debug!(peer = peer.0, ?fault, "dropping peer");
                    self.endpoint.close(peer);
                    self.open.remove(&peer);
                    self.dialled.remove(&peer);
                    self.torrents[number]
                        .tracker
                        .handle_input(now, client::Input::Closed(peer));
                }
                swarm::Output::Event(event) => {
                    let torrent = &self.torrents[number];
                    debug!(torrent = torrent.name, ?event);
                    if event == swarm::Event::Metadata {
                        self.readers.known(number, &torrent.swarm);
                    }
                }
                swarm::Output::Data { reader, bytes, .. } => self.readers.data(reader, bytes),
                swarm::Output::Ended(reader) => self.readers.ended(reader),
            }
        }
        busy
    }

    fn drain_tracker(&mut self, now: Instant, number: TorrentNumber) -> bool {
        let mut busy = false;
        while let Some(output) = self.torrents[number].tracker.poll_output() {
            busy = true;
            match output {
                client::Output::OpenTracker(key, url) => self.sockets.open((number, key), url),
                client::Output::SendTracker(key, message) => {
                    self.sockets.send((number, key), message)
                }
                client::Output::CloseTracker(key) => self.sockets.close((number, key)),
                client::Output::MakeOffer(peer) => {
                    self.dialled.insert(peer);
                    let made = self.endpoint.make_offer(peer);
                    let input = made
                        .as_deref()
                        .map(|sdp| client::Input::OfferMade(peer, sdp));
                    self.answer(now, number, peer, input);
                }
                client::Output::AcceptOffer(peer, sdp) => {
                    let made = self.endpoint.accept_offer(peer, &sdp);
                    let input = made
                        .as_deref()
                        .map(|sdp| client::Input::AnswerMade(peer, sdp));
                    self.answer(now, number, peer, input);
                }
                client::Output::ApplyAnswer(peer, sdp) => {
                    if let Err(e) = self.endpoint.apply_answer(peer, &sdp) {
                        self.answer(now, number, peer, Err(&e));
                    }
                }
                client::Output::Drop(peer) => {
                    self.endpoint.close(peer);
                    self.dialled.remove(&peer);
                    if self.open.remove(&peer) {
                        self.torrents[number]
                            .swarm
                            .handle_input(now, swarm::Input::Closed(peer));
                    }
                }
                client::Output::Event(event) => self.on_tracker_event(number, &event),
            }
        }
        busy
    }

    /// Gives the tracker client what it asked of the endpoint, or why there is none.
    fn answer(
        &mut self,
        now: Instant,
        number: TorrentNumber,
        peer: PeerKey,
        made: Result<client::Input<'_>, &webrtc::Error>,
    ) {
        let tracker = &mut self.torrents[number].tracker;
        match made {
            Ok(input) => tracker.handle_input(now, input),
            Err(e) => {
                debug!(peer = peer.0, "no connection: {e}");
                self.endpoint.close(peer);
                self.dialled.remove(&peer);
                tracker.handle_input(now, client::Input::ConnectionFailed(peer, &e.to_string()));
            }
        }
    }

    /// A tracker in trouble is told of once, and once more when it is well.
    fn on_tracker_event(&mut self, number: TorrentNumber, event: &client::Event) {
        match event {
            client::Event::Lost { url, message } => {
                if self.troubled.insert((number, url.clone())) {
                    warn!("tracker {url} is down ({message}); trying again until it is back");
                }
            }
            client::Event::Connected { url } => {
                if self.troubled.remove(&(number, url.clone())) {
                    warn!("tracker {url} is back");
                }
            }
            client::Event::Warning { url, message } => warn!("tracker {url} says: {message}"),
            client::Event::Announced {
                url,
                complete,
                incomplete,
            } => {
                debug!(url, complete, incomplete, "announced");
            }
        }
    }

    fn on_socket(&mut self, key: SocketKey, event: SocketEvent) {
        let now = self.now();
        let (number, tracker) = key;
        let client = &mut self.torrents[number].tracker;
        match event {
            SocketEvent::Opened => client.handle_input(now, client::Input::TrackerOpened(tracker)),
            SocketEvent::Received(text) => {
                client.handle_input(now, client::Input::TrackerReceived(tracker, &text))
            }
            SocketEvent::Closed(reason) => {
                self.sockets.forget(key);
                client.handle_input(now, client::Input::TrackerClosed(tracker, &reason));
            }
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        if let Some(torrent) = self.torrents.get_mut(command.torrent()) {
            self.readers.obey(now, &mut torrent.swarm, command);
        }
    }

    fn send(&mut self, now: Instant, peer: PeerKey, bytes: Bytes) {
        self.sent += bytes.len() as u64;
        let Some(bucket) = &mut self.bucket else {
            return self.endpoint.send(peer, bytes);
        };
        bucket.take(bytes.len());
        let dry = bucket.room() == 0;
        self.endpoint.send(peer, bytes);
        if dry {
            // What is promised is promised, but nothing new.
            for &peer in &self.open {
                if let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) {
                    torrent
                        .swarm
                        .handle_input(now, swarm::Input::Writable(peer, 0));
                }
            }
        }
    }

    /// Tells a swarm how much this peer's channel, and our limit, have room for.
    fn grant(&mut self, now: Instant, peer: PeerKey) {
        if !self.open.contains(&peer) {
            return;
        }
        let room = self
            .endpoint
            .room(peer)
            .min(self.bucket.as_ref().map_or(usize::MAX, Bucket::room));
        if let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) {
            torrent
                .swarm
                .handle_input(now, swarm::Input::Writable(peer, room));
        }
    }

    /// Fills the bucket and lets the peers drink in turn, another one first every time.
    fn refill(&mut self, now: Instant) {
        let Some(bucket) = self
            .bucket
            .as_mut()
            .filter(|bucket| bucket.refill_at() <= now)
        else {
            return;
        };
        bucket.fill(now);
        let mut turn: Vec<PeerKey> = self.open.range(self.next_granted..).copied().collect();
        turn.extend(self.open.range(..self.next_granted));
        for peer in turn {
            if self.bucket.as_ref().is_none_or(|bucket| bucket.room() == 0) {
                self.next_granted = peer;
                return;
            }
            self.grant(now, peer);
            self.drain_swarm(now, torrent_of(peer));
        }
    }

    fn load_leaves(&mut self, now: Instant, number: TorrentNumber, piece: PieceIndex) {
        let torrent = &mut self.torrents[number];
        let storage = torrent.storage.as_ref();
        let in_memory = storage.and_then(|storage| storage.leaves_in_memory(piece));
        match (in_memory, storage) {
            (None, Some(storage)) => {
                let storage = Arc::clone(storage);
                let hashed = self.hashed.clone();
                tokio::task::spawn_blocking(move || {
                    let leaves = storage.leaves(piece).unwrap_or_default();
                    // Nobody listens any more when the engine is gone.
                    let _ = hashed.send((number, piece, leaves));
                });
            }
            (leaves, _) => {
                let leaves = leaves.unwrap_or_default().to_vec();
                torrent
                    .swarm
                    .handle_input(now, swarm::Input::LeavesLoaded(piece, leaves));
            }
        }
    }

    fn finish_leaves(&mut self, (number, piece, leaves): HashedAgain) {
        let now = self.now();
        self.torrents[number]
            .swarm
            .handle_input(now, swarm::Input::LeavesLoaded(piece, leaves));
    }

    fn finish_reads(&mut self, first: Read) {
        let now = self.now();
        let mut next = Some(first);
        while let Some(read) = next {
            for Loaded {
                torrent,
                block,
                bytes,
            } in self.chunks.finish(read)
            {
                let input = match bytes {
                    Ok(bytes) => swarm::Input::Loaded(block, bytes),
                    Err(why) => {
                        debug!("{why}");
                        swarm::Input::LoadFailed(block)
                    }
                };
                self.torrents[torrent].swarm.handle_input(now, input);
            }
            next = self.reads.try_recv().ok();
        }
    }

    /// Has the files looked at, in a thread that may wait; what is found comes to [`withdraw`](Self::withdraw).
    fn look(&self) {
        // The last look may still be under way, on a slow disk.
        let Ok(place) = self.changed.clone().try_reserve_owned() else {
            return;
        };
        let storages: Vec<_> = self.torrents.iter().map(|t| t.storage.clone()).collect();
        tokio::task::spawn_blocking(move || {
            let of_one = |(number, storage): (TorrentNumber, Option<Arc<Storage>>)| {
                let files = storage.map(|storage| storage.changed()).unwrap_or_default();
                files.into_iter().map(move |file| (number, file))
            };
            let changed: Vec<_> = storages.into_iter().enumerate().flat_map(of_one).collect();
            // Without anything to say the place is given back.
            if !changed.is_empty() {
                place.send(changed);
            }
        });
    }

    /// Takes back what was promised of files that are no longer what was hashed.
    fn withdraw(&mut self, files: &[(TorrentNumber, FileIndex)]) {
        let now = self.now();
        for &(number, file) in files {
            let torrent = &mut self.torrents[number];
            let Some(storage) = torrent.storage.as_ref() else {
                continue;
            };
            if !self.lost.insert((number, file)) {
                continue;
            }
            let layout = storage.layout();
            warn!(
                "{}: {} has changed or gone, and is no longer shared; seed it anew to share it as it is",
                torrent.name,
                layout.entry(file).path.join("/")
            );
            for piece in layout
                .file_pieces(file)
                .filter_map(|piece| layout.piece(piece))
            {
                torrent
                    .swarm
                    .handle_input(now, swarm::Input::PieceLost(piece));
            }
        }
    }

    fn tell_progress(&mut self) {
        let now = self.now();
        for torrent in &mut self.torrents {
            let stats = torrent.swarm.stats(now);
            let progress = client::Input::Progress {
                uploaded: stats.sent,
                downloaded: stats.received,
                left: torrent.storage.is_some().then_some(0),
            };
            torrent.tracker.handle_input(now, progress);
        }
    }

    fn time_out(&mut self) {
        let now = self.now();
        for torrent in &mut self.torrents {
            if torrent.swarm.poll_timeout().is_some_and(|at| at <= now) {
                torrent.swarm.handle_input(now, swarm::Input::TimedOut);
            }
            if torrent.tracker.poll_timeout().is_some_and(|at| at <= now) {
                torrent.tracker.handle_input(now, client::Input::TimedOut);
            }
        }
        self.refill(now);
    }

    fn due(&self) -> tokio::time::Instant {
        let timers = self
            .torrents
            .iter()
            .flat_map(|t| [t.swarm.poll_timeout(), t.tracker.poll_timeout()])
            .flatten();
        let refill = self
            .bucket
            .as_ref()
            .filter(|_| !self.open.is_empty())
            .map(Bucket::refill_at);
        let next = timers.chain(refill).min();
        let at = next.map_or(std::time::Instant::now() + IDLE, |at| {
            self.started + std::time::Duration::from_micros(at.as_micros())
        });
        at.into()
    }

    async fn say_goodbye(&mut self) {
        let now = self.now();
        for torrent in &mut self.torrents {
            torrent.tracker.handle_input(now, client::Input::Stopped);
        }
        self.settle();
        for peer in std::mem::take(&mut self.open) {
            self.endpoint.close(peer);
        }
        let endpoint = &mut self.endpoint;
        let flush = timeout(FAREWELL, async {
            loop {
                endpoint.drive().await;
                while endpoint.poll_event().is_some() {}
            }
        });
        let _ = tokio::join!(flush, self.sockets.finish());
    }
}
