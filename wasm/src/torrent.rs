//! One torrent: its swarm and its trackers' client, and the channels, sockets and ports they use.
//!
//! The driver's loop: what happened goes in, and what comes out is done at once.

mod connections;
mod keeping;
mod origins;
mod trackers;

use headwater_core::ids::{PeerKey, ReaderId};
use headwater_core::ordered::{Map, Set};
use headwater_core::swarm::{self, Event, Swarm};
use headwater_core::time::{Duration, Instant};
use headwater_core::tracker::client::{self, Client, ClientConfig, TrackerKey};

use crate::giving::{Giving, Limits};
use crate::host::{Host, ReaderDid};
use crate::keep::Keep;
use crate::link::Link;
use crate::origins::Fetcher;
use crate::protocol::{Page, Refusal, Share, ToPage};
use crate::reports::Report;
use crate::storage::Storage;
use crate::streams::{PULL_BYTES, Streams, Wish};
use crate::tracker_socket::TrackerSocket;

/// Streams that may wait for the metadata.
const MAX_WAITING: usize = 32;

/// Events told at once at the most.
const MAX_EVENTS: usize = 256;

/// What a torrent is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) swarm: Swarm,
    pub(crate) client: ClientConfig,
    pub(crate) giving: Giving,
    pub(crate) storage: Option<Storage>,
    pub(crate) fetcher: Fetcher,
    pub(crate) deselected: Set<u32>,
}

/// One torrent.
#[derive(Debug)]
pub(crate) struct Torrent {
    number: u32,
    host: Host,
    page: Page,
    swarm: Swarm,
    /// `None` while nobody is spoken to.
    client: Option<Client>,
    client_config: ClientConfig,
    giving: Giving,
    /// Files of the page, if it is made of them.
    storage: Option<Storage>,
    fetcher: Fetcher,
    /// What outlives the page.
    keep: Keep,
    /// Files that are not to be read.
    deselected: Set<u32>,
    links: Map<PeerKey, Link>,
    /// Connections the page has or makes, and whether the offer was ours.
    dialled: Map<PeerKey, bool>,
    /// Links that sent since the swarm last heard of their room.
    sent: Set<PeerKey>,
    sockets: Map<TrackerKey, TrackerSocket>,
    streams: Streams,
    waiting: Vec<Wish>,
    /// What the page has not been told yet.
    events: Vec<Event>,
    is_announced: bool,
}

impl Torrent {
    /// With nobody spoken to yet.
    pub(crate) fn new(number: u32, parts: Parts, host: &Host, page: &Page) -> Self {
        Self {
            number,
            host: host.clone(),
            page: page.clone(),
            swarm: parts.swarm,
            client: None,
            client_config: parts.client,
            giving: parts.giving,
            storage: parts.storage,
            fetcher: parts.fetcher,
            keep: Keep::Off,
            deselected: parts.deselected,
            links: Map::new(),
            dialled: Map::new(),
            sent: Set::new(),
            sockets: Map::new(),
            streams: Streams::new(number, host),
            waiting: Vec::new(),
            events: Vec::new(),
            is_announced: false,
        }
    }

    /// When it wants to be called again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let client = self.client.as_ref().and_then(Client::poll_timeout);
        let giving = self.giving.deadline(&self.swarm);
        [self.swarm.poll_timeout(), client, giving]
            .into_iter()
            .flatten()
            .min()
    }

    /// Handles what is due, and does all there is to do.
    pub(crate) fn turn(&mut self, now: Instant) {
        if self.swarm.poll_timeout().is_some_and(|due| due <= now) {
            self.swarm.handle_input(now, swarm::Input::TimedOut);
        }
        let client_due = self.client.as_ref().and_then(Client::poll_timeout);
        if client_due.is_some_and(|due| due <= now) {
            self.tell_client(now, client::Input::TimedOut);
        }
        self.giving.allow(now, &mut self.swarm);
        while self.do_outputs(now) {
            self.tell_room(now);
        }
        if !self.is_announced {
            self.announce(now);
        }
        if self.events.len() >= MAX_EVENTS || self.events.iter().any(is_news) {
            self.tell_events();
        }
    }

    /// What is given and taken from now on.
    pub(crate) fn set_share(&mut self, now: Instant, share: Share) {
        self.swarm.set_upload(now, share == Share::Full);
        self.swarm.set_origins(now, share != Share::Off);
        match (&self.client, share) {
            (None, Share::Download | Share::Full) => {
                self.client = Some(Client::new(self.client_config.clone(), now));
            }
            (Some(_), Share::Off) => {
                self.tell_client(now, client::Input::Stopped);
                self.do_outputs(now);
                self.client = None;
                self.sockets.clear();
                for peer in self.dialled.keys().copied().collect::<Vec<_>>() {
                    self.lose(now, peer, "the torrent was paused".to_owned());
                }
            }
            (None, Share::Off) | (Some(_), Share::Download | Share::Full) => {}
        }
    }

    /// What may be given of it from now on.
    pub(crate) fn set_limits(&mut self, now: Instant, limits: Limits) {
        self.giving.set_own(now, limits, &mut self.swarm);
    }

    /// How much film its player has and has not played, in milliseconds.
    pub(crate) fn has_ahead(&mut self, now: Instant, ms: u32) {
        let ahead = Duration::from_millis(u64::from(ms));
        self.swarm.handle_input(now, swarm::Input::Ahead(ahead));
    }

    /// Whether a file may be read from now on.
    pub(crate) fn select(&mut self, now: Instant, file: u32, selected: bool) {
        match selected {
            true => self.deselected.remove(&file),
            false => self.deselected.insert(file),
        };
        let layout = self
            .swarm
            .metainfo()
            .map(headwater_core::metainfo::Metainfo::layout);
        let Some(file) = layout
            .and_then(|layout| layout.file(file))
            .filter(|_| !selected)
        else {
            return;
        };
        for reader in self.streams.of(file) {
            self.streams.fail(reader, &deselected());
            self.swarm
                .handle_input(now, swarm::Input::ReaderClosed(reader));
        }
    }

    /// Leaves the swarm: trackers are told, and everything is closed. `forget`: nothing of it stays.
    pub(crate) fn stop(mut self, now: Instant, forget: bool) {
        self.keep.end(forget);
        self.swarm.set_origins(now, false);
        self.tell_client(now, client::Input::Stopped);
        self.do_outputs(now);
        let gone = Refusal::new("removed", "The torrent was removed.");
        self.waiting.iter().for_each(|wish| wish.refuse(&gone));
        self.streams.fail_all(&gone);
        for peer in self.dialled.keys() {
            self.page.tell(&ToPage::Drop { peer: peer.0 });
        }
    }

    pub(crate) fn report(&mut self, now: Instant) {
        let report = Report::of(&self.swarm, self.giving.left(&self.swarm), now);
        self.tell_client(now, report.progress());
        self.tell_events();
        report.tell(self.number, &self.page);
    }

    fn tell_client(&mut self, now: Instant, input: client::Input<'_>) {
        if let Some(client) = &mut self.client {
            client.handle_input(now, input);
        }
    }

    pub(crate) fn handle_reader(&mut self, now: Instant, reader: ReaderId, did: ReaderDid) {
        match did {
            ReaderDid::Cancel => self.close_reader(now, reader),
            ReaderDid::Pull if self.streams.pull(now, reader) => {
                self.swarm
                    .handle_input(now, swarm::Input::Pulled(reader, PULL_BYTES));
            }
            ReaderDid::Pull => {}
        }
    }

    /// Opens a stream, or has it wait until it is known what is in the torrent, and what of it is here.
    pub(crate) fn handle_wish(&mut self, now: Instant, wish: Wish) {
        let metainfo = self.swarm.metainfo();
        let Some(metainfo) = metainfo.filter(|_| !self.keep.is_opening()) else {
            if self.waiting.len() < MAX_WAITING {
                self.waiting.push(wish);
            } else {
                wish.refuse(&Refusal::new(
                    "tooManyStreams",
                    "Too many streams wait for this torrent's metadata.",
                ));
            }
            return;
        };
        let file = wish.file(metainfo.layout());
        if file.is_some_and(|file| self.deselected.contains(&file.get())) {
            return wish.refuse(&deselected());
        }
        let opened = self.streams.open(now, metainfo.layout(), wish);
        if let Some((reader, file, range)) = opened {
            self.swarm.handle_input(
                now,
                swarm::Input::ReaderOpened {
                    reader,
                    file,
                    range,
                },
            );
        }
        while let Some(surplus) = self.streams.surplus() {
            self.streams.fail(
                surplus,
                &Refusal::new("tooManyStreams", "Too many newer streams are open."),
            );
            self.swarm
                .handle_input(now, swarm::Input::ReaderClosed(surplus));
        }
    }

    fn close_reader(&mut self, now: Instant, reader: ReaderId) {
        if self.streams.close(reader) {
            self.swarm
                .handle_input(now, swarm::Input::ReaderClosed(reader));
        }
    }

    /// Does what swarm and client want done; true if there was anything.
    fn do_outputs(&mut self, now: Instant) -> bool {
        let mut was_busy = false;
        loop {
            let mut is_busy = false;
            while let Some(output) = self.swarm.poll_output() {
                is_busy = true;
                self.do_swarm(now, output);
            }
            while let Some(output) = self.client.as_mut().and_then(Client::poll_output) {
                is_busy = true;
                self.do_client(now, output);
            }
            if !is_busy {
                return was_busy;
            }
            was_busy = true;
        }
    }

    fn do_swarm(&mut self, now: Instant, output: swarm::Output) {
        use swarm::Output;
        match output {
            Output::CancelFetch(ticket) => self.cancel_fetch(ticket),
            Output::Close(peer, _) => {
                self.links.remove(&peer);
                self.dialled.remove(&peer);
                self.page.tell(&ToPage::Drop { peer: peer.0 });
                self.tell_client(now, client::Input::Closed(peer));
            }
            Output::Data { reader, bytes, .. } => {
                if self.streams.answer(reader, &bytes) {
                    self.swarm
                        .handle_input(now, swarm::Input::Pulled(reader, PULL_BYTES));
                }
            }
            Output::Ended(reader) => self.streams.finish(reader),
            Output::Event(event) => self.events.push(event),
            Output::Fetch {
                ticket,
                url,
                range,
                length,
                ..
            } => self.fetch(ticket, &url, &range, length),
            Output::Introduction(news) => self.tell_client(now, client::Input::Introduced(&news)),
            Output::Load(block) => self.load(now, block),
            Output::LoadLeaves(piece) => self.load_leaves(now, piece),
            Output::Store(piece, bytes) => self.store(now, piece, &bytes),
            Output::Send(peer, bytes) => self.send(now, peer, &bytes),
        }
    }

    fn tell_events(&mut self) {
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            self.page.tell(&ToPage::Events {
                torrent: self.number,
                events,
            });
        }
    }

    /// Tells the page what the torrent is, and opens the streams that waited for that.
    fn announce(&mut self, now: Instant) {
        let Some(metainfo) = self.swarm.metainfo() else {
            return;
        };
        self.is_announced = true;
        let metadata = crate::reports::metadata(metainfo);
        self.page.tell(&ToPage::Metadata {
            torrent: self.number,
            metadata,
        });
        self.shelve(now);
        self.open_waiting(now);
        while self.do_outputs(now) {
            self.tell_room(now);
        }
    }

    fn open_waiting(&mut self, now: Instant) {
        for wish in std::mem::take(&mut self.waiting) {
            self.handle_wish(now, wish);
        }
    }
}

fn deselected() -> Refusal {
    Refusal::new("deselected", "This file was deselected.")
}

/// Whether the page is told at once. Pieces come and go many times a second: of them it is told with
/// the next report, for each message to the page costs what a block costs.
const fn is_news(event: &Event) -> bool {
    !matches!(
        event,
        Event::PieceEvicted { .. } | Event::PieceVerified { .. }
    )
}
