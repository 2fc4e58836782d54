//! The swarm of one torrent: where the parts meet.
//!
//! It is told what happened ([`Input`]), says what to do ([`Output`]) and when it wants to be
//! called again. It has no socket, no clock and no storage: the drivers have those.
//!
//! A turn is: any number of [`Swarm::handle_input`], then [`Swarm::poll_output`] until it is
//! `None`. Requests and messages are put together at the end of the turn, so that one turn is one
//! message a peer where that is possible.

mod blame;
mod config;
mod dealing;
mod download;
mod giving;
mod hashes;
mod haves;
mod introductions;
mod io;
mod keeping;
mod look_ahead;
mod messages;
mod metadata;
mod origins;
mod parts;
mod places;
mod proofs;
mod provenance;
mod reading;
mod requests;
mod shelving;
mod sourcing;
mod starving;
mod state;
mod stats;
mod tick;
mod torrent;
mod upload;

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

pub use config::{Config, Order, Source};
pub use io::{Event, Input, Output};
pub use origins::OriginStats;
pub use stats::{PeerStats, PieceMap, Stats};

use crate::choker::Choker;
use crate::grid::Grid;
use crate::ids::{InfoHashes, PeerId, PeerKey, ReaderId};
use crate::metainfo::Metainfo;
use crate::ordered::{Map, Set};
use crate::peer::{Fault, MAX_OUTBOX, Peak, Peer, Rate, Transport};
use crate::pex::Introductions;
use crate::rng::Rng;
use crate::time::{Duration, Instant};
use metadata::MetadataFetch;
use origins::Origins;
use starving::Starving;
use torrent::Torrent;

/// Peer ids that are kept out for what they did.
const MAX_BARRED: usize = 1024;
/// How long it is remembered how much we could send.
const BEST_LIFE: Duration = Duration::from_secs(30);

/// The swarm of one torrent.
#[derive(Debug)]
pub struct Swarm {
    config: Config,
    rng: Rng,
    hashes: InfoHashes,
    torrent: Option<Torrent>,
    metadata: Option<MetadataFetch>,
    peers: Map<PeerKey, Peer>,
    barred: Set<PeerId>,
    choker: Choker,
    grid: Grid,
    introductions: Introductions,
    /// Neighbours that can introduce us, as the tracker client was told.
    carriers: usize,
    origins: Origins,
    /// Since somebody reads what nobody here has.
    starving: Option<Starving>,
    chokes_due: Option<Instant>,
    /// Until when nothing is urgent, for whoever watches has enough.
    calm_until: Option<Instant>,
    /// When whoever watches has played all that it has, as it was last said.
    dry_at: Option<Instant>,
    /// Bytes of blocks that may be given before the driver allows more.
    upload_allowance: Option<u64>,
    outputs: VecDeque<Output>,
    dirty: Set<PeerKey>,
    /// Whose turn comes first: who was next when the last upload allowance was used up.
    first_turn: PeerKey,
    waiting: Set<ReaderId>,
    /// Whether a block came free in this turn that others may be asked for.
    freed: bool,
    now: Instant,
    next_tick: Option<Instant>,
    last_tick: Instant,
    /// When blocks that no neighbour gives are offered, and when that was done last.
    news_due: Option<Instant>,
    news_told: Instant,
    /// When a peer was last let go for others.
    place_made: Instant,
    /// Whether somebody who lacks pieces is connected.
    crowded: bool,
    /// Whether that may be otherwise by now.
    company_changed: bool,
    /// Whether requests are out, as far as the last tick and what was asked since say.
    is_asking: bool,
    totals: Totals,
    /// The most bytes per second that we sent of late.
    best_sent: Peak,
}

/// What all peers together did, those that left among them.
#[derive(Clone, Debug, Default)]
struct Totals {
    received: Rate,
    sent: Rate,
    verified: u64,
    refused: u64,
    wasted: u64,
    hashes_sent: u64,
}

impl Swarm {
    /// The swarm of `source`'s torrent, with nobody in it yet.
    pub fn new(config: Config, source: Source) -> Self {
        let choker = Choker::new(config.upload_slots.max(1));
        let (hashes, torrent, metadata) = match source {
            Source::Complete(metainfo) => (
                metainfo.info_hashes(),
                Some(Torrent::new(*metainfo, true, 0, 0)),
                None,
            ),
            Source::Metainfo(metainfo) => (
                metainfo.info_hashes(),
                Some(Torrent::new(
                    *metainfo,
                    false,
                    config.window_bytes,
                    config.ahead_bytes(),
                )),
                None,
            ),
            Source::Magnet(magnet) => {
                let trackers = magnet.trackers().to_vec();
                (
                    magnet.hashes,
                    None,
                    Some(MetadataFetch::new(config.max_metadata, trackers)),
                )
            }
        };
        Self {
            rng: Rng::seeded(config.seed),
            config,
            hashes,
            torrent,
            metadata,
            peers: Map::new(),
            barred: Set::new(),
            choker,
            grid: Grid::default(),
            introductions: Introductions::default(),
            carriers: 0,
            origins: Origins::default(),
            starving: None,
            chokes_due: None,
            calm_until: None,
            dry_at: None,
            upload_allowance: None,
            outputs: VecDeque::new(),
            dirty: Set::new(),
            first_turn: PeerKey(0),
            waiting: Set::new(),
            freed: false,
            now: Instant::START,
            next_tick: None,
            last_tick: Instant::START,
            news_due: None,
            news_told: Instant::START,
            place_made: Instant::START,
            crowded: false,
            company_changed: false,
            is_asking: false,
            totals: Totals::default(),
            best_sent: Peak::new(BEST_LIFE),
        }
    }

    /// The torrent, once it is known.
    pub fn metainfo(&self) -> Option<&Metainfo> {
        self.torrent.as_ref().map(|torrent| &torrent.metainfo)
    }

    /// The torrent's names.
    pub const fn info_hashes(&self) -> InfoHashes {
        self.hashes
    }

    /// How we call ourselves.
    pub const fn peer_id(&self) -> PeerId {
        self.config.peer_id
    }

    /// Something happened at `now`, which never goes back.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        debug_assert!(now >= self.now, "time went back");
        self.now = now;
        match input {
            Input::Ahead(ahead) => self.has_ahead(ahead),
            Input::Awaited(peer) => self.speak_first(peer),
            Input::Closed(peer) => self.close(peer, None, false),
            Input::LeavesLoaded(piece, leaves) => self.leaves_loaded(piece, &leaves),
            Input::FetchEnded(ticket) => self.fetch_ended(ticket),
            Input::FetchFailed(ticket, reason) => self.fetch_failed(ticket, reason),
            Input::Fetched(ticket, bytes) => self.fetched(ticket, bytes),
            Input::Kept { wanted, have } => self.keep(wanted, have),
            Input::LoadFailed(block) => {
                self.load_failed(block);
                self.load_failed_for_readers(block);
                self.want_again(block.piece);
            }
            Input::Loaded(block, data) => {
                self.loaded(block, &data);
                self.loaded_for_readers(block, &data);
            }
            Input::Opened {
                peer,
                transport,
                dialled,
                name,
            } => self.open(peer, transport, dialled, name),
            Input::OriginAdded { origin, url } => self.origin_added(origin, url),
            Input::PieceLetGo(piece) => self.let_go(piece),
            Input::PieceLost(piece) => {
                self.withdraw(piece);
                self.want_again(piece);
            }
            Input::Pulled(reader, bytes) => self.pulled(reader, bytes),
            Input::ReaderClosed(reader) => self.reader_closed(reader),
            Input::ReaderOpened {
                reader,
                file,
                range,
            } => self.reader_opened(reader, file, range),
            Input::Received(peer, bytes) => self.received(peer, bytes),
            Input::ShelfLost => self.unshelve(),
            Input::Shelved { have } => self.shelve(have),
            Input::Stored(piece) => self.stored(piece),
            Input::TimedOut => {}
            Input::Wished(wish) => self.wished(wish),
            Input::Writable { peer, room, queued } => {
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.set_room(room, queued);
                    self.dirty.insert(peer.key);
                }
            }
        }
        if self.next_tick.is_some_and(|due| due <= now) {
            self.tick();
        } else if self.news_due.is_some_and(|due| due <= now) {
            self.tell_news();
        }
        self.set_tick();
    }

    /// What to do next; `None` when the turn is over.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty() {
            self.end_turn();
        }
        self.outputs.pop_front()
    }

    /// When to say [`Input::TimedOut`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.next_tick, self.news_due) {
            (Some(tick), Some(news)) => Some(tick.min(news)),
            (tick, news) => tick.or(news),
        }
    }

    fn open(&mut self, key: PeerKey, transport: Transport, dialled: bool, name: String) {
        self.make_places();
        if self.peers.len() >= self.config.max_peers {
            self.outputs
                .push_back(Output::Close(key, Some(Fault::Full)));
            return;
        }
        let mut peer = Peer::new(self.now, key, name, transport, dialled);
        if peer.speaks_first() {
            self.greet(&mut peer, self.hashes.announced());
            self.speak_up(&mut peer);
        }
        self.peers.insert(key, peer);
        self.dirty.insert(key);
    }

    /// Forgets a peer; `tell` says whether the driver still has the connection.
    fn close(&mut self, key: PeerKey, fault: Option<Fault>, tell: bool) {
        if let Some(origin) = origins::origin_of(key) {
            return self.origin_lied(origin);
        }
        let Some(mut peer) = self.peers.remove(&key) else {
            return;
        };
        self.dirty.remove(&key);
        self.company_changed = true;
        self.forget_requests_of(&mut peer);
        self.forget_pieces_of(&peer);
        self.grid.forget(key);
        self.forget_introductions_of(key);
        if let (Some(id), Some(true)) = (peer.id, fault.map(Fault::is_malice)) {
            if self.barred.len() >= MAX_BARRED {
                self.barred.pop_first();
            }
            self.barred.insert(id);
        }
        if let Some(metadata) = &mut self.metadata {
            metadata.drop_peer(key);
        }
        if tell {
            self.outputs.push_back(Output::Close(key, fault));
        }
        let reason =
            fault.map_or_else(|| "the connection closed".into(), |fault| fault.to_string());
        self.tell(Event::PeerClosed {
            peer: key.0,
            name: peer.name,
            fault,
            reason,
        });
        if peer.unchoked.is_some() {
            self.chokes_due = Some(self.now);
        }
        self.dirty_all();
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Everybody may have something to be asked for now.
    fn dirty_all(&mut self) {
        self.dirty.extend(self.peers.keys());
    }

    /// Asks, answers and sends what this turn made possible.
    fn end_turn(&mut self) {
        if self.chokes_due.is_some_and(|due| due <= self.now) {
            self.rechoke();
        }
        self.look_around();
        self.fill_pool();
        self.ask_for_hashes();
        if core::mem::take(&mut self.freed) {
            self.dirty_all();
        }
        // First the peers: what is left is for the origins.
        let mut asked = self.first_asked();
        if let Some(key) = asked {
            self.request_blocks(key);
        }
        while let Some(key) = self.dirty.pop_from(&self.first_turn) {
            // If its turn comes next, nothing has changed since it was asked.
            if asked.take() != Some(key) {
                self.request_blocks(key);
            }
            self.answer_requests(key);
            let Some(peer) = self.peers.get_mut(&key) else {
                continue;
            };
            while let Some(bytes) = peer.take_send(self.now) {
                self.outputs.push_back(Output::Send(key, bytes));
            }
            if peer.waiting() > MAX_OUTBOX {
                self.close(key, Some(Fault::Flood), true);
            }
        }
        self.ask_origins();
        self.set_tick();
    }
}
