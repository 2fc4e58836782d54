//! Drives the core: joins swarms and tracker clients to data channels, sockets and storage.
//!
//! One task owns it all; nothing in it waits for a disk or a lock. It decides nothing about the
//! protocol: what to send to whom is the core's affair.

mod announces;
mod company;
mod files;
mod keeping;
mod origins;
mod readers;
mod roster;
mod tcp;
mod trackers;
mod upload;

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use headwater_core::hash::Sha256Digest;
use headwater_core::ids::PeerKey;
use headwater_core::layout::{FileIndex, PieceIndex};
use headwater_core::peer::Transport;
use headwater_core::swarm::{self, Swarm};
use headwater_core::time::Instant;
use headwater_core::tracker::client::{self, Client};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tracing::{debug, info};

use crate::chunks::{Chunks, Read, TorrentNumber};
use crate::report::{PerTransport, TICK, Tick};
use crate::sockets::{SocketEvent, SocketKey, Sockets};
use crate::storage::Storage;
use crate::webrtc::{Endpoint, EndpointEvent};
use headwater_core::tracker::http::HttpClient;

use crate::origin::{Origins, Wanted};
use announces::HttpTrackers;
pub use company::Fare;
use keeping::Keepers;
use readers::{Command, Readers};
pub use readers::{Handle, Reader};
use roster::Roster;
use tcp::{Calls, is_tcp};
use upload::Upload;

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
    /// Its HTTP trackers' client, if it has any.
    pub http: Option<HttpClient>,
    /// Its bytes, if the swarm was told that we have them all; otherwise they are fetched as they are read.
    pub storage: Option<Arc<Storage>>,
}

/// The driver.
#[derive(Debug)]
pub struct Engine {
    started: std::time::Instant,
    endpoint: Endpoint,
    calls: Option<Calls>,
    http: HttpTrackers,
    torrents: Roster,
    chunks: Chunks,
    reads: mpsc::UnboundedReceiver<Read>,
    hashed: mpsc::UnboundedSender<HashedAgain>,
    hashes: mpsc::UnboundedReceiver<HashedAgain>,
    handle: Handle,
    commands: mpsc::UnboundedReceiver<Command>,
    readers: Readers,
    keepers: Keepers,
    origins: Origins,
    sockets: Sockets,
    socket_events: mpsc::Receiver<(SocketKey, SocketEvent)>,
    upload: Upload,
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
    sent: PerTransport,
    received: PerTransport,
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

/// What a connection is called in the log.
fn name_of(peer: PeerKey) -> String {
    let number = peer.0 & u64::from(u32::MAX);
    match is_tcp(peer) {
        true => format!("tcp-{}", number ^ tcp::TCP_BIT),
        false => format!("webrtc-{number}"),
    }
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
        let mut engine = Self {
            started,
            endpoint,
            calls: None,
            http: HttpTrackers::new(),
            torrents: Roster::default(),
            chunks,
            reads,
            hashed,
            hashes,
            handle,
            commands,
            readers: Readers::default(),
            keepers: Keepers::new(),
            origins: Origins::default(),
            sockets,
            socket_events,
            upload: Upload::new(since(started), upload_limit),
            dialled: BTreeSet::new(),
            open: BTreeSet::new(),
            troubled: BTreeSet::new(),
            changed,
            changes,
            lost: BTreeSet::new(),
            sent: PerTransport::default(),
            received: PerTransport::default(),
            requests: 0,
        };
        for (number, torrent) in torrents.into_iter().enumerate() {
            engine.torrents.add(number, torrent);
        }
        engine
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
                () = Calls::drive(&mut self.calls) => {}
                Some(read) = self.reads.recv() => self.finish_reads(read),
                Some(hashed) = self.hashes.recv() => self.finish_leaves(hashed),
                Some(files) = self.changes.recv() => self.withdraw(&files),
                Some(told) = self.keepers.told() => self.on_keeper(told),
                Some((torrent, ticket, told)) = self.origins.told() => self.on_origin(torrent, ticket, told),
                Some(command) = self.commands.recv() => self.obey(command),
                Some(answered) = self.http.answered() => self.on_answer(answered),
                Some((key, event)) = self.socket_events.recv() => self.on_socket(key, event),
                _ = ticks.tick() => {
                    tell(self.figures());
                    self.tell_progress();
                }
                _ = looks.tick() => {
                    self.look();
                    self.keep_neighbours();
                }
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
            sent: self.sent,
            received: self.received,
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
            busy |= self.drain_tcp(now);
            let touched = self.torrents.take_touched();
            if touched.is_empty() && !busy {
                break;
            }
            for torrent in touched {
                self.drain_swarm(now, torrent);
                self.drain_tracker(now, torrent);
                self.drain_announces(torrent);
                self.torrents.schedule(torrent);
            }
        }
    }

    fn on_endpoint(&mut self, now: Instant, event: EndpointEvent) {
        match event {
            EndpointEvent::Opened(peer) => {
                let dialled = self.dialled.contains(&peer);
                self.stands(now, peer, Transport::WebRtc, dialled);
            }
            EndpointEvent::Received(peer, bytes) => {
                self.received.webrtc += bytes.len() as u64;
                self.take_in(now, peer, &bytes);
            }
            // The number may be older than what was sent meanwhile; the endpoint knows the true one.
            EndpointEvent::Writable(peer, _) => self.grant(now, peer),
            EndpointEvent::Closed(peer, reason) => {
                debug!(peer = peer.0, reason, "connection over");
                self.forget(now, peer, &reason);
            }
        }
    }

    /// A connection is there: its swarm is told, and what brought it about.
    fn stands(&mut self, now: Instant, peer: PeerKey, transport: Transport, dialled: bool) {
        let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) else {
            // It went while the connection came about.
            return self.hang_up(peer);
        };
        self.open.insert(peer);
        let opened = swarm::Input::Opened {
            peer,
            transport,
            dialled,
            name: name_of(peer),
        };
        torrent.swarm.handle_input(now, opened);
        if transport == Transport::WebRtc {
            torrent
                .tracker
                .handle_input(now, client::Input::Opened(peer));
            if dialled && !torrent.tracker.is_headwater(peer) {
                torrent.swarm.handle_input(now, swarm::Input::Awaited(peer));
            }
        }
        self.grant(now, peer);
    }

    fn take_in(&mut self, now: Instant, peer: PeerKey, bytes: &[u8]) {
        if let Some(torrent) = self.torrents.get_mut(torrent_of(peer)) {
            torrent
                .swarm
                .handle_input(now, swarm::Input::Received(peer, bytes));
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

    fn drain_swarm(&mut self, now: Instant, number: TorrentNumber) {
        while let Some(output) = self.torrents.poll_swarm(number) {
            match output {
                swarm::Output::CancelFetch(ticket) => self.origins.cancel(number, ticket),
                swarm::Output::Fetch {
                    ticket,
                    origin,
                    url,
                    range,
                    length,
                } => {
                    let wanted = Wanted { url, range, length };
                    self.origins.begin(number, ticket, origin, wanted);
                }
                swarm::Output::Send(peer, bytes) => self.send(now, peer, bytes),
                swarm::Output::Load(block) => self.load(now, number, block),
                swarm::Output::LoadLeaves(piece) => self.load_leaves(now, number, piece),
                swarm::Output::Close(peer, fault) => {
                    debug!(peer = peer.0, ?fault, "dropping peer");
                    self.hang_up(peer);
                    self.call_over(now, peer, tcp::ending_of(fault));
                    self.open.remove(&peer);
                    self.dialled.remove(&peer);
                    if let Some(torrent) = self.torrents.get_mut(number) {
                        torrent
                            .tracker
                            .handle_input(now, client::Input::Closed(peer));
                    }
                }
                swarm::Output::Event(event) => self.on_swarm_event(number, &event),
                swarm::Output::Introduction(news) => {
                    if let Some(torrent) = self.torrents.get_mut(number) {
                        let introduced = client::Input::Introduced(&news);
                        torrent.tracker.handle_input(now, introduced);
                    }
                }
                swarm::Output::Data { reader, bytes, .. } => self.readers.data(reader, bytes),
                swarm::Output::Ended(reader) => self.readers.ended(reader),
                swarm::Output::Store(piece, bytes) => self.store(number, piece, bytes),
            }
        }
    }

    fn on_swarm_event(&mut self, number: TorrentNumber, event: &swarm::Event) {
        self.readers.saw(number, event);
        let Some(torrent) = self.torrents.get(number) else {
            return;
        };
        match event {
            swarm::Event::PeerOpened { name, client, .. } => {
                info!(torrent = torrent.name, "{name} is here ({client})");
            }
            swarm::Event::PeerClosed { name, reason, .. } => {
                info!(torrent = torrent.name, "{name} is gone: {reason}");
            }
            swarm::Event::OriginFailed {
                url,
                reason,
                rests_ms,
                ..
            } => self.origins.warn(url, reason, *rests_ms),
            swarm::Event::Kept => self.keepers.done(number),
            swarm::Event::Metadata => self.readers.known(number, &torrent.swarm),
            other => debug!(torrent = torrent.name, event = ?other),
        }
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        let command = match command {
            Command::Kept(number, keep, done) => return self.keep(now, number, *keep, done),
            Command::Ordered(order) => return self.follow(now, order),
            other => other,
        };
        let torrent = command.torrent();
        if let Some(torrent) = torrent.and_then(|number| self.torrents.get_mut(number)) {
            self.readers.obey(now, &mut torrent.swarm, command);
        }
    }

    fn time_out(&mut self) {
        let now = self.now();
        self.torrents.time_out(now);
        self.refill(now);
    }

    fn due(&self) -> tokio::time::Instant {
        let parts = [
            self.torrents.poll_timeout(),
            self.upload.refill_at(&self.open),
            self.calls.as_ref().and_then(Calls::poll_timeout),
        ];
        let next = parts.into_iter().flatten().min();
        let at = next.map_or(std::time::Instant::now() + IDLE, |at| {
            self.started + std::time::Duration::from_micros(at.as_micros())
        });
        at.into()
    }

    async fn say_goodbye(&mut self) {
        let now = self.now();
        self.keep_neighbours();
        for number in self.torrents.numbers() {
            if let Some(torrent) = self.torrents.get_mut(number) {
                torrent.stop(now);
            }
        }
        self.settle();
        for peer in std::mem::take(&mut self.open) {
            self.hang_up(peer);
        }
        let endpoint = &mut self.endpoint;
        let flush = timeout(FAREWELL, async {
            loop {
                endpoint.drive().await;
                while endpoint.poll_event().is_some() {}
            }
        });
        let announces = self.http.announces.finish();
        let _ = tokio::join!(
            flush,
            self.sockets.finish(),
            announces,
            self.keepers.close()
        );
    }
}
