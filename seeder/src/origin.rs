//! Origins: web servers that have a torrent's files, and the requests that are out to them.
//!
//! What to ask of which is the core's affair ([`headwater_core::swarm`]); here is how: one task a
//! request, over lines that are kept open, to addresses that are checked (`trust`), with answers
//! that are what was asked for or are no answers (`answer`).

mod answer;
mod file;
mod lines;
mod request;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use headwater_core::ids::{OriginId, Ticket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tracing::warn;

use crate::chunks::TorrentNumber;
pub use file::WebFile;
use lines::Lines;
pub use trust::Trust;

/// Pieces of answers that wait for the engine; more wait at their origins.
const MAX_WAITING: usize = 16;

/// An origin to be asked.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Its address, as a torrent's `url-list` has it.
    pub url: String,
    /// Whose word it is.
    pub trust: Trust,
}

/// What a request tells.
#[derive(Debug)]
pub enum Told {
    /// The next bytes.
    Bytes(Bytes),
    /// That was all.
    Ended,
    /// Nothing came of it, or no more: why.
    Failed(String),
}

/// What is asked of an origin.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The file's address.
    pub url: String,
    /// Bytes of it.
    pub range: Range<u64>,
    /// Bytes of the whole file.
    pub length: u64,
}

/// The origins of all torrents, and the requests under way.
#[derive(Debug)]
pub struct Origins {
    lines: Arc<Lines>,
    known: BTreeMap<(TorrentNumber, OriginId), Origin>,
    out: BTreeMap<(TorrentNumber, Ticket), AbortHandle>,
    tell: mpsc::Sender<(TorrentNumber, Ticket, Told)>,
    told: mpsc::Receiver<(TorrentNumber, Ticket, Told)>,
    /// What has been warned of.
    troubles: BTreeSet<(String, String)>,
}

impl Default for Origins {
    /// None yet.
    fn default() -> Self {
        let (tell, told) = mpsc::channel(MAX_WAITING);
        Self {
            lines: Arc::default(),
            known: BTreeMap::new(),
            out: BTreeMap::new(),
            tell,
            told,
            troubles: BTreeSet::new(),
        }
    }
}

impl Origins {
    /// A torrent has this origin too: how it is numbered.
    pub fn add(&mut self, torrent: TorrentNumber, origin: Origin) -> OriginId {
        let of_it = (torrent, OriginId(0))..=(torrent, OriginId(u32::MAX));
        let last = self.known.range(of_it).next_back();
        let id = OriginId(last.map_or(0, |((_, last), _)| last.0 + 1));
        self.known.insert((torrent, id), origin);
        id
    }

    /// Asks; what comes of it is [`told`](Self::told).
    pub fn begin(
        &mut self,
        torrent: TorrentNumber,
        ticket: Ticket,
        origin: OriginId,
        wanted: Wanted,
    ) {
        let Some(origin) = self.known.get(&(torrent, origin)) else {
            return;
        };
        let (lines, trust) = (Arc::clone(&self.lines), origin.trust);
        let tell = self.tell.clone();
        let task = tokio::spawn(async move {
            let say = |told| {
                let said = tell.send((torrent, ticket, told));
                // Nobody listens any more when the engine is gone.
                async { drop(said.await) }
            };
            let take = |bytes| say(Told::Bytes(bytes));
            let end = match request::make(&lines, trust, &wanted, take).await {
                Ok(()) => Told::Ended,
                Err(why) => Told::Failed(why),
            };
            say(end).await;
        });
        self.out.insert((torrent, ticket), task.abort_handle());
    }

    /// Nobody needs it any more.
    pub fn cancel(&mut self, torrent: TorrentNumber, ticket: Ticket) {
        if let Some(task) = self.out.remove(&(torrent, ticket)) {
            task.abort();
        }
    }

    /// What a request tells next.
    pub async fn told(&mut self) -> Option<(TorrentNumber, Ticket, Told)> {
        let told = self.told.recv().await?;
        if !matches!(told.2, Told::Bytes(_)) {
            self.out.remove(&(told.0, told.1));
        }
        Some(told)
    }

    /// Warns of an origin's trouble, of each once.
    pub fn warn(&mut self, url: &str, reason: &str, rests: Option<u64>) {
        if self.troubles.len() < MAX_TROUBLES
            && self.troubles.insert((url.to_owned(), reason.to_owned()))
        {
            match rests {
                Some(millis) => warn!(
                    "origin {url}: {reason}; it is left alone for {} s",
                    millis.div_ceil(1000)
                ),
                None => warn!("origin {url}: {reason}; it is not asked again"),
            }
        }
    }
}

/// Troubles remembered: the reasons are a stranger's words.
const MAX_TROUBLES: usize = 256;

impl Drop for Origins {
    fn drop(&mut self) {
        self.out.values().for_each(AbortHandle::abort);
    }
}
