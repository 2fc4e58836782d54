//! The torrents that are being seeded: put there at the start, exchanged when what is asked for changes.
//!
//! It hashes, so it blocks; the engine is reached by its handle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use headwater_core::metainfo::{Limits, Metainfo};
use tracing::warn;

use super::drive::Driving;
use crate::chunks::TorrentNumber;
use crate::commands::inspect::magnet_of;
use crate::config::{Seed, is_websocket, tracker_of};
use crate::dht::Dht;
use crate::engine::Handle;
use crate::error::{Error, Result};
use crate::http::{Content, Published, Site, file_path, torrent_path};
use crate::library::{self, AddressBook, Mark, State, Stocked, Wish, is_current};
use crate::making::Made;
use crate::report::{Links, Reloaded};
use crate::storage::Storage;
use crate::torrent_file;

/// All of them.
#[derive(Debug)]
pub(super) struct Shelf {
    seed: Seed,
    at: At,
    state: Option<State>,
    /// Who was there before we started.
    neighbours: Option<AddressBook>,
    engine: Handle,
    dht: Option<Dht>,
    items: Vec<Item>,
    next: TorrentNumber,
}

/// Where we are.
#[derive(Clone, Debug)]
pub(super) struct At {
    /// When the engine's time began.
    pub(super) started: Instant,
    /// HTTP.
    pub(super) bound: SocketAddr,
    /// The port of ordinary BitTorrent, if it is spoken.
    pub(super) tcp: Option<u16>,
}

/// One of them.
#[derive(Debug)]
struct Item {
    number: TorrentNumber,
    wish: Wish,
    torrent: Option<Mark>,
    storage: Arc<Storage>,
    published: Arc<Published>,
    links: Links,
    trackers: Vec<String>,
}

impl Shelf {
    /// Empty; what is put there is driven by `engine`, and looked for in the DHT.
    pub(super) fn new(seed: &Seed, at: At, engine: Handle, dht: Option<Dht>) -> Self {
        let open = |folder: &std::path::PathBuf| {
            let opened = State::open(folder);
            let untold = |e| warn!("nothing is remembered in {}: {e}", folder.display());
            opened.map_err(untold).ok()
        };
        let state = seed.state.as_ref().and_then(open);
        Self {
            neighbours: state.as_ref().map(State::address_book),
            state,
            seed: seed.clone(),
            at,
            engine,
            dht,
            items: Vec::new(),
            next: 0,
        }
    }

    /// Where peers are to be remembered, if anything is.
    pub(super) fn address_book(&self) -> Option<AddressBook> {
        self.neighbours.clone()
    }

    /// Puts there what is asked for. What need not be there and cannot is complained of.
    pub(super) fn fill(&mut self) -> Result<()> {
        let shown = !self.seed.json && !self.seed.quiet;
        for wish in library::wishes(&self.seed.entries)? {
            self.put(wish, shown)?;
        }
        if self.items.is_empty() {
            let words = "there is nothing to seed: see what was left out, and why, above";
            return Err(Error::Other(words.to_owned()));
        }
        Ok(())
    }

    /// Looks again at what is asked for: adds what is new, removes what is gone, makes anew what has
    /// changed. If the list cannot be read everything stays as it is.
    pub(super) fn renew(&mut self) -> Result<Reloaded> {
        let (seed, fixed) = self.seed.again()?;
        let mut wishes = library::wishes(&seed.entries)?;
        for name in fixed {
            warn!("`{name}` has changed; that takes effect at the next start");
        }
        let has_other_trackers = self.seed.trackers != seed.trackers;
        self.engine.limit(None, seed.upload_limit);
        self.seed = seed;
        let mut told = Reloaded::default();
        for item in std::mem::take(&mut self.items) {
            let same = wishes
                .iter()
                .position(|wish| wish.is_same_torrent(&item.wish));
            let is_kept = |_: &usize| !has_other_trackers && item.is_current();
            match same.filter(is_kept) {
                Some(at) => {
                    told.unchanged += 1;
                    let item = Item {
                        wish: wishes.remove(at),
                        ..item
                    };
                    self.engine.limit(Some(item.number), item.wish.upload_limit);
                    self.items.push(item);
                }
                None => {
                    self.engine.remove(item.number);
                    if let Some(dht) = &mut self.dht {
                        dht.forget(item.number);
                    }
                    told.removed.push(item.links.name);
                }
            }
        }
        for wish in wishes {
            // What was needed to start is not needed to go on.
            let wish = Wish {
                is_needed: false,
                ..wish
            };
            if self.put(wish, false)? {
                told.added
                    .extend(self.items.last().map(|item| item.links.clone()));
            }
        }
        Ok(told)
    }

    /// As HTTP serves them.
    pub(super) fn site(&self) -> Site {
        let published = self.items.iter().map(|item| Arc::clone(&item.published));
        Site {
            torrents: published.collect(),
            trackers: self.trackers().to_vec(),
            loopback: self.at.bound.ip().is_loopback() && self.seed.url.is_none(),
            controls: self.seed.demo_controls,
        }
    }

    /// Says goodbye to all swarms; what is served over HTTP stays.
    pub(super) fn leave(&self) {
        for item in &self.items {
            self.engine.remove(item.number);
        }
    }

    /// Joins them again, under numbers that were never used.
    pub(super) fn join_again(&mut self) -> Result<()> {
        for at in 0..self.items.len() {
            let number = self.next;
            self.next += 1;
            let item = &mut self.items[at];
            item.number = number;
            let metainfo = Metainfo::parse(&item.published.torrent, &Limits::NATIVE);
            let made = Made {
                metainfo: metainfo.map_err(|e| Error::NotATorrent {
                    from: item.links.name.clone(),
                    reason: e.to_string(),
                })?,
                storage: Arc::clone(&item.storage),
            };
            let upload_limit = item.wish.upload_limit;
            self.drive(number, made, upload_limit)?;
        }
        Ok(())
    }

    /// What each is called.
    pub(super) fn links(&self) -> Vec<Links> {
        self.items.iter().map(|item| item.links.clone()).collect()
    }

    /// Where the first is announced.
    pub(super) fn trackers(&self) -> &[String] {
        let first = self.items.first();
        first.map_or(&[], |item| &item.trackers)
    }

    /// Whether it is there now.
    fn put(&mut self, wish: Wish, shown: bool) -> Result<bool> {
        let is_needed = wish.is_needed;
        match library::stock(wish, self.state.as_ref(), shown) {
            Ok(stocked) => self.add(stocked).map(|()| true),
            Err(e) if is_needed => Err(e),
            Err(e) => {
                warn!("left out: {e}");
                Ok(false)
            }
        }
    }

    fn add(&mut self, stocked: Stocked) -> Result<()> {
        let Stocked {
            wish,
            mut made,
            torrent,
        } = stocked;
        let site = self.seed.site(self.at.bound);
        let trackers = self.all_trackers(&site, &wish, &made.metainfo);
        made.metainfo.set_trackers(trackers.clone());
        let slug = self.free_slug(made.metainfo.name());
        if self.is_web_seed_of(&wish) {
            name_web_seed(&mut made.metainfo, &site, &slug);
        }
        let bytes = made.metainfo.to_torrent_bytes();
        if let Some(out) = &self.seed.out {
            torrent_file::write(out, &bytes)?;
        }
        let hashes = made.metainfo.info_hashes();
        let (v1, v2) = (
            hashes.v1().map(|hash| hash.to_hex()),
            hashes.v2().map(|hash| hash.to_hex()),
        );
        let links = Links {
            name: made.metainfo.name().to_owned(),
            magnet: magnet_of(&made.metainfo).to_string(),
            torrent: format!("{site}{}", torrent_path(&slug)),
            file: self.seed.out.as_ref().map(|out| out.display().to_string()),
            info_hash_v1: v1.clone(),
            info_hash_v2: v2.clone(),
            length: made.metainfo.layout().content_length(),
        };
        let published = Published {
            slug,
            magnet: links.magnet.clone(),
            info_hash: v1.or(v2).unwrap_or_default(),
            torrent: bytes,
            single: made.metainfo.is_single_file(),
            content: Content::Disk(Arc::clone(&made.storage)),
        };
        let number = self.next;
        self.next += 1;
        let item = Item {
            number,
            wish,
            torrent,
            storage: Arc::clone(&made.storage),
            published: Arc::new(published),
            links,
            trackers,
        };
        self.drive(number, made, item.wish.upload_limit)?;
        self.items.push(item);
        Ok(())
    }

    /// Has the engine seed it.
    fn drive(
        &mut self,
        number: TorrentNumber,
        made: Made,
        upload_limit: Option<u64>,
    ) -> Result<()> {
        let site = self.seed.site(self.at.bound);
        let (hashes, is_private) = (made.metainfo.info_hashes(), made.metainfo.is_private());
        let own = self.seed.own_tracker.then(|| tracker_of(&site));
        let torrent = Driving {
            at: &self.at,
            own_tracker: own.as_deref(),
        }
        .torrent(number, made)?;
        self.engine.add(number, torrent);
        self.engine.limit(Some(number), upload_limit);
        for peer in &self.seed.peers {
            self.engine.hear(number, *peer);
        }
        if is_private {
            return Ok(());
        }
        // A tracker may be gone for good since then.
        if let Some(neighbours) = &self.neighbours {
            let known = neighbours.of(hashes.announced());
            known
                .iter()
                .for_each(|peer| self.engine.hear(number, *peer));
        }
        if let Some(dht) = &mut self.dht {
            dht.search(number, hashes);
        }
        Ok(())
    }

    /// Our own tracker comes first, then those the person named, then those the torrent had.
    fn all_trackers(&self, site: &str, wish: &Wish, metainfo: &Metainfo) -> Vec<String> {
        let own = self.seed.own_tracker.then(|| tracker_of(site));
        let named = self.seed.trackers.iter().chain(&wish.make.trackers);
        let mut trackers: Vec<String> = Vec::new();
        for tracker in own.iter().chain(named).chain(metainfo.trackers()) {
            if !trackers.contains(tracker) {
                trackers.push(tracker.clone());
            }
        }
        if !trackers.iter().any(|tracker| is_websocket(tracker)) {
            warn!(
                "no tracker of {} is a WebSocket tracker (ws:// or wss://): web pages cannot find us",
                metainfo.name()
            );
        }
        trackers
    }

    /// A torrent that the person brought says what its maker had it say; and HTTP knows no limits.
    fn is_web_seed_of(&self, wish: &Wish) -> bool {
        let has_limit = self.seed.upload_limit.or(wish.upload_limit).is_some();
        self.seed.web_seed && wish.torrent.is_none() && !has_limit
    }

    /// A name in URLs that no other has.
    fn free_slug(&self, name: &str) -> String {
        let is_free = |slug: &String| self.items.iter().all(|item| item.published.slug != *slug);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let mut all = std::iter::once(name.to_owned()).chain(numbered);
        all.find(is_free).unwrap_or_default()
    }
}

impl Item {
    fn is_current(&self) -> bool {
        is_current(&self.wish, &self.storage, self.torrent.as_ref())
    }
}

/// The torrent names us as a web seed (BEP 19), before those it had.
fn name_web_seed(metainfo: &mut Metainfo, site: &str, slug: &str) {
    // A single file is at its own address; to a folder's BEP 19 adds the torrent's name.
    let own = match metainfo.is_single_file() {
        true => format!("{site}{}", file_path(slug)),
        false if slug == metainfo.name() => format!("{site}{}", file_path("")),
        false => return,
    };
    let mut seeds = metainfo.web_seeds().to_vec();
    if !seeds.contains(&own) {
        seeds.insert(0, own);
    }
    metainfo.set_web_seeds(seeds);
}
