//! All torrents of one page: who is told what, and when the worker is to wake.

use std::cell::RefCell;
use std::rc::Rc;

use headwater_core::ids::{PeerId, PeerKey};
use headwater_core::ordered::Map;
use headwater_core::swarm::{self, Swarm};
use headwater_core::time::{Duration, Instant};
use headwater_core::tracker::client::ClientConfig;
use js_sys::{Function, Object};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{MessageEvent, MessagePort};

use crate::clock::{Clock, random, scope};
use crate::fetch;
use crate::giving::{self, Giving, Purse};
use crate::host::{Happened, Host, PeerDid};
use crate::keep;
use crate::link::Scratch;
use crate::origins::{self, Fetcher};
use crate::protocol::{Add, AddSource, Config, FromPage, Page, Refusal, Share, ToPage};
use crate::source::{is_web_tracker, source, web_seeds};
use crate::streams::Wish;
use crate::timer::Timer;
use crate::torrent::{Parts, Torrent};

/// How we call ourselves (BEP 20): Headwater 0.1.
const CLIENT: [u8; 8] = *b"-HW0001-";

/// Offers made ahead, for as many peers to answer.
const OFFERS: usize = 8;

/// Reports after the last thing that happened, until rates have come to rest.
const LAST_REPORTS: u8 = 6;

/// All torrents of one page.
#[derive(Debug)]
pub(crate) struct Engine {
    host: Host,
    page: Page,
    clock: Clock,
    timer: Timer,
    report_every: Duration,
    open_shelf: Option<Function>,
    fetcher: Fetcher,
    /// What all torrents together may still give.
    purse: Rc<RefCell<Purse>>,
    torrents: Map<u32, Slot>,
    scratch: Scratch,
    /// Consumers' control ports: the page's own, and the service worker's.
    controls: Vec<MessagePort>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    on_control: Closure<dyn FnMut(MessageEvent)>,
}

/// One torrent, and its reports.
#[derive(Debug)]
struct Slot {
    state: State,
    next_report: Instant,
    /// Reports still due. 0: nothing has happened for a while.
    reports: u8,
}

#[derive(Debug)]
enum State {
    /// Its .torrent file is on the way; what it is to become, and who waits for it.
    Fetching(Box<Add>, Vec<Wish>),
    Running(Box<Torrent>),
}

/// Control ports kept; the oldest is closed for one more.
const MAX_CONTROLS: usize = 8;

impl Engine {
    /// Takes over the worker's messages.
    pub(crate) fn new(config: Config, host: &Host) -> Result<Self, JsValue> {
        let on_message = host.callback(Happened::Told);
        let on_control = host.callback(Happened::Asked);
        let scope = scope();
        scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        let page = Page::new();
        page.tell(&ToPage::Ready);
        let clock = Clock::of(&scope)?;
        let purse = Purse::new(config.limits, clock.now());
        Ok(Self {
            host: host.clone(),
            page,
            clock,
            timer: Timer::new(host),
            report_every: Duration::from_millis(config.stats_every_ms.into()),
            purse: Rc::new(RefCell::new(purse)),
            open_shelf: config.open_shelf,
            fetcher: config.fetcher,
            torrents: Map::new(),
            scratch: Scratch::default(),
            controls: Vec::new(),
            _on_message: on_message,
            on_control,
        })
    }

    pub(crate) fn handle(&mut self, what: Happened) {
        let now = self.clock.now();
        match what {
            Happened::Asked(event) => self.handle_wish(now, &event),
            Happened::Fetched(torrent, fetched) => self.handle_fetched(now, torrent, fetched),
            Happened::Told(event) => match FromPage::read(&event.data()) {
                Some(message) => self.handle_page(now, message),
                None => self.page.refuse(
                    None,
                    &Refusal::new("badMessage", "The engine does not know this message."),
                ),
            },
            Happened::Peer(peer, did) => self.with_peer(now, peer, |torrent, scratch| {
                torrent.handle_peer(now, peer, did, scratch)
            }),
            Happened::Reader(torrent, reader, did) => self.with(now, torrent, |torrent, _| {
                torrent.handle_reader(now, reader, did)
            }),
            Happened::Shelf(torrent, shelf) => self.handle_shelf(now, torrent, shelf),
            Happened::TimedOut => self.timer.disarm(),
            Happened::Tracker(torrent, tracker, did) => {
                self.with(now, torrent, |torrent, _| {
                    torrent.handle_tracker(now, tracker, did)
                });
            }
        }
        self.handle_due(now);
    }

    fn handle_page(&mut self, now: Instant, message: FromPage) {
        match message {
            FromPage::Add(add) => self.add(now, add),
            FromPage::Ahead(torrent, ms) => {
                self.with(now, torrent, |torrent, _| torrent.has_ahead(now, ms));
            }
            FromPage::AnswerMade(peer, sdp) => self.with_peer(now, peer, |torrent, _| {
                torrent.handle_answer_made(now, peer, sdp)
            }),
            FromPage::Buffered(peer, amount) => self.with_peer(now, peer, |torrent, _| {
                torrent.handle_buffered(now, peer, amount)
            }),
            FromPage::Channel(peer, channel) => self.with_peer(now, peer, |torrent, _| {
                torrent.handle_channel(now, peer, channel)
            }),
            FromPage::ChannelClosed(peer) => self.peer_did(now, peer, PeerDid::Close),
            FromPage::ChannelForwarded(peer) => self.with_peer(now, peer, |torrent, _| {
                torrent.handle_channel_forwarded(peer)
            }),
            FromPage::ChannelOpened(peer) => self.peer_did(now, peer, PeerDid::Open),
            FromPage::ConnectionFailed(peer, reason) => {
                self.with_peer(now, peer, |torrent, _| {
                    torrent.handle_connection_failed(now, peer, reason)
                });
            }
            FromPage::Fetch(torrent, ticket, did) => self.with(now, torrent, |torrent, _| {
                torrent.handle_fetch(now, ticket, did);
            }),
            FromPage::Limits(torrent, limits) => self.set_limits(now, torrent, limits),
            FromPage::OfferMade(peer, sdp) => self.with_peer(now, peer, |torrent, _| {
                torrent.handle_offer_made(now, peer, sdp)
            }),
            FromPage::Received(peer, bytes) => self.peer_did(now, peer, PeerDid::Send(bytes)),
            FromPage::Remove(torrent, forget) => self.remove(now, torrent, forget),
            FromPage::Select {
                torrent,
                file,
                selected,
            } => self.select(now, torrent, file, selected),
            FromPage::Share(torrent, share) => self.set_share(now, torrent, share),
            FromPage::Streams(port) => self.take_control(port),
        }
    }

    fn peer_did(&mut self, now: Instant, peer: PeerKey, did: PeerDid) {
        self.with_peer(now, peer, |torrent, scratch| {
            torrent.handle_peer(now, peer, did, scratch)
        });
    }

    fn with_peer(
        &mut self,
        now: Instant,
        peer: PeerKey,
        act: impl FnOnce(&mut Torrent, &mut Scratch),
    ) {
        // The upper half of a peer's key is its torrent's number: that is how we number them.
        self.with(now, (peer.0 >> 32) as u32, act);
    }

    /// Acts on a torrent, and does what follows from that.
    fn with(&mut self, now: Instant, torrent: u32, act: impl FnOnce(&mut Torrent, &mut Scratch)) {
        let Some(slot) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let State::Running(torrent) = &mut slot.state else {
            return;
        };
        act(torrent, &mut self.scratch);
        torrent.turn(now);
        if slot.reports == 0 {
            slot.next_report = now;
        }
        slot.reports = LAST_REPORTS;
    }

    fn add(&mut self, now: Instant, add: Add) {
        self.remove(now, add.torrent, false);
        let torrent = add.torrent;
        if let AddSource::Url(url) = &add.source {
            fetch::begin(torrent, url.clone(), &self.host);
            self.torrents.insert(
                torrent,
                Slot::new(now, State::Fetching(Box::new(add), Vec::new())),
            );
            return;
        }
        self.run(now, add, Vec::new());
    }

    /// What a torrent that is still being fetched is to do when it runs is changed as well.
    fn set_share(&mut self, now: Instant, torrent: u32, share: Share) {
        match self.torrents.get_mut(&torrent).map(|slot| &mut slot.state) {
            Some(State::Fetching(add, _)) => add.share = share,
            _ => self.with(now, torrent, |torrent, _| torrent.set_share(now, share)),
        }
    }

    fn set_limits(&mut self, now: Instant, torrent: u32, limits: giving::Limits) {
        match self.torrents.get_mut(&torrent).map(|slot| &mut slot.state) {
            Some(State::Fetching(add, _)) => add.limits = limits,
            _ => self.with(now, torrent, |torrent, _| torrent.set_limits(now, limits)),
        }
    }

    fn select(&mut self, now: Instant, torrent: u32, file: u32, selected: bool) {
        match self.torrents.get_mut(&torrent).map(|slot| &mut slot.state) {
            Some(State::Fetching(add, _)) => {
                add.deselected.retain(|other| *other != file);
                add.deselected.extend((!selected).then_some(file));
            }
            _ => self.with(now, torrent, |torrent, _| {
                torrent.select(now, file, selected)
            }),
        }
    }

    fn handle_fetched(&mut self, now: Instant, torrent: u32, fetched: Result<Vec<u8>, Refusal>) {
        // It may have been removed, or added anew, meanwhile.
        let Some(State::Fetching(..)) = self.torrents.get(&torrent).map(|slot| &slot.state) else {
            return;
        };
        let Some(State::Fetching(add, waiting)) =
            self.torrents.remove(&torrent).map(|slot| slot.state)
        else {
            return;
        };
        match fetched {
            Ok(bytes) => self.run(
                now,
                Add {
                    source: AddSource::Metainfo(bytes),
                    ..*add
                },
                waiting,
            ),
            Err(refusal) => self.give_up(torrent, waiting, &refusal),
        }
    }

    fn run(&mut self, now: Instant, add: Add, waiting: Vec<Wish>) {
        let (number, share, keep) = (add.torrent, add.share, add.keep.clone());
        match self.make(now, add) {
            Ok(mut torrent) => {
                if let Some(open) = self.open_shelf.as_ref().filter(|_| keep.is_object()) {
                    let name = torrent.await_shelf();
                    keep::begin(number, &name, &keep, open, &self.host);
                }
                self.torrents
                    .insert(number, Slot::new(now, State::Running(Box::new(torrent))));
                self.with(now, number, |torrent, _| {
                    torrent.set_share(now, share);
                    waiting
                        .into_iter()
                        .for_each(|wish| torrent.handle_wish(now, wish))
                });
            }
            Err(refusal) => self.give_up(number, waiting, &refusal),
        }
    }

    fn give_up(&self, torrent: u32, waiting: Vec<Wish>, refusal: &Refusal) {
        waiting.iter().for_each(|wish| wish.refuse(refusal));
        self.page.refuse(Some(torrent), refusal);
    }

    fn make(&self, now: Instant, add: Add) -> Result<Torrent, Refusal> {
        let unlucky = |_| {
            Refusal::new(
                "engineFailed",
                "This browser has no source of random numbers.",
            )
        };
        let mut peer_id = random::<20>().map_err(unlucky)?;
        peer_id[..CLIENT.len()].copy_from_slice(&CLIENT);
        let seed = u64::from_le_bytes(random::<8>().map_err(unlucky)?);
        let (source, hashes, known, storage) = source(add.source)?;
        let mut trackers: Vec<String> = Vec::new();
        for url in add.trackers.into_iter().chain(known) {
            if is_web_tracker(&url) && !trackers.contains(&url) {
                trackers.push(url);
            }
        }
        let mut origins = add.origins;
        if add.web_seeds {
            origins.extend(self.fetcher.allowed(web_seeds(&source), &add.home));
        }
        // What a magnet means only a peer tells.
        let needs_peers = origins.is_empty() || matches!(source, swarm::Source::Magnet(_));
        if trackers.is_empty() && needs_peers {
            return Err(Refusal::new(
                "noTracker",
                "The torrent names no WebSocket tracker (wss:// or ws://), so no peer can be found: give one in `trackers`.",
            ));
        }
        let config = swarm::Config {
            window_bytes: add.window_bytes,
            upload: add.share == Share::Full,
            max_peers: add.max_peers,
            ..swarm::Config::new(PeerId(peer_id), seed)
        };
        let mut swarm = Swarm::new(config, source);
        origins::tell(now, &mut swarm, origins);
        let client = ClientConfig {
            peer_id: PeerId(peer_id),
            swarm: hashes.announced(),
            trackers,
            offers_wanted: OFFERS,
            key_space: add.torrent,
            seed,
            max_connections: add.max_peers,
        };
        let parts = Parts {
            swarm,
            client,
            giving: Giving::new(Purse::new(add.limits, now), Rc::clone(&self.purse)),
            storage,
            fetcher: self.fetcher.clone(),
            deselected: add.deselected.into_iter().collect(),
        };
        Ok(Torrent::new(add.torrent, parts, &self.host, &self.page))
    }

    fn remove(&mut self, now: Instant, torrent: u32, forget: bool) {
        match self.torrents.remove(&torrent).map(|slot| slot.state) {
            Some(State::Running(torrent)) => torrent.stop(now, forget),
            Some(State::Fetching(_, waiting)) => {
                let gone = Refusal::new("removed", "The torrent was removed.");
                waiting.iter().for_each(|wish| wish.refuse(&gone));
            }
            None => {}
        }
    }

    fn handle_shelf(&mut self, now: Instant, torrent: u32, shelf: Option<Object>) {
        match self.torrents.get(&torrent).map(|slot| &slot.state) {
            Some(State::Running(_)) => self.with(now, torrent, |torrent, _| {
                torrent.handle_shelf(now, shelf);
            }),
            _ => keep::discard(shelf),
        }
    }

    fn take_control(&mut self, port: MessagePort) {
        if self.controls.len() == MAX_CONTROLS {
            self.controls.remove(0).close();
        }
        port.set_onmessage(Some(self.on_control.as_ref().unchecked_ref()));
        self.controls.push(port);
    }

    fn handle_wish(&mut self, now: Instant, event: &MessageEvent) {
        let Some(wish) = Wish::read(&event.data()) else {
            return;
        };
        match self
            .torrents
            .get_mut(&wish.torrent)
            .map(|slot| &mut slot.state)
        {
            Some(State::Running(_)) => self.with(now, wish.torrent, |torrent, _| {
                torrent.handle_wish(now, wish)
            }),
            Some(State::Fetching(_, waiting)) => waiting.push(wish),
            None => wish.refuse(&Refusal::new("noTorrent", "There is no such torrent here.")),
        }
    }

    /// Handles what is due by now, and sees that the worker wakes for the rest.
    fn handle_due(&mut self, now: Instant) {
        let mut next: Option<Instant> = None;
        for slot in self.torrents.values_mut() {
            let State::Running(torrent) = &mut slot.state else {
                continue;
            };
            if torrent.deadline().is_some_and(|due| due <= now) {
                torrent.turn(now);
            }
            if slot.reports > 0 && slot.next_report <= now {
                slot.reports -= 1;
                slot.next_report = now + self.report_every;
                torrent.report(now);
                torrent.turn(now);
            }
            let report = (slot.reports > 0).then_some(slot.next_report);
            next = [next, torrent.deadline(), report]
                .into_iter()
                .flatten()
                .min();
        }
        if let Some(due) = next {
            let armed = self.timer.arm(now, due);
            debug_assert!(armed.is_ok(), "every worker has setTimeout");
        }
    }
}

impl Slot {
    const fn new(now: Instant, state: State) -> Self {
        Self {
            state,
            next_report: now,
            reports: LAST_REPORTS,
        }
    }
}
