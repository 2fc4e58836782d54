//! The DHT (BEP 5): who says there to be in a torrent's swarm, and that we say so too. Off unless asked for.
//!
//! The node is the crate `mainline`, on a thread and a UDP port of its own, over IPv4. Here is when it is
//! asked, and who of those it names is called. It is never asked for a private torrent (BEP 27).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use headwater_core::ids::{InfoHashes, SwarmHash};
use headwater_core::tracker::http::Reach;
use mainline::async_dht::AsyncDht;
use mainline::{Dht as Node, Id};
use tokio::runtime;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::debug;

use crate::chunks::TorrentNumber;
use crate::engine::Handle;
use crate::error::{Error, Result};

/// Pause after a torrent's first search, doubled with each up to the longest. Nodes forget who does not
/// announce for half an hour.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);

/// Addresses believed of one search.
const MAX_HEARD: usize = 200;

/// Our place in the DHT, and the torrents looked for there.
#[derive(Debug)]
pub struct Dht {
    node: AsyncDht,
    engine: Handle,
    /// Where ordinary BitTorrent clients call us.
    port: u16,
    reach: Reach,
    runtime: runtime::Handle,
    searches: BTreeMap<TorrentNumber, AbortHandle>,
}

impl Dht {
    /// Joins it through these nodes, `host:port`, or through the well-known ones if there are none; for
    /// those who call us at `tcp`. Within a tokio runtime; names are looked up before it returns.
    pub fn join(nodes: &[String], tcp: SocketAddr, engine: Handle) -> Result<Self> {
        let IpAddr::V4(ip) = tcp.ip() else {
            let words = "--dht speaks IPv4 alone; choose such an address with --tcp";
            return Err(Error::Usage(words.to_owned()));
        };
        let mut builder = Node::builder();
        builder.bind_address(ip).port(0);
        if !nodes.is_empty() {
            builder.bootstrap(nodes);
        }
        let bound = builder.build();
        let node = bound.map_err(|e| Error::Other(format!("cannot join the DHT at {ip}: {e}")))?;
        Ok(Self {
            node: node.as_async(),
            engine,
            port: tcp.port(),
            reach: Reach::of(tcp.ip()).unwrap_or(Reach::World),
            runtime: runtime::Handle::current(),
            searches: BTreeMap::new(),
        })
    }

    /// Looks for a torrent from now on, and says that we are in its swarm.
    pub fn search(&mut self, torrent: TorrentNumber, hashes: InfoHashes) {
        let search = Search {
            node: self.node.clone(),
            engine: self.engine.clone(),
            torrent,
            names: names(&hashes),
            port: self.port,
            reach: self.reach,
        };
        let task = self.runtime.spawn(search.run());
        self.searches.insert(torrent, task.abort_handle());
    }

    /// Looks for it no more.
    pub fn forget(&mut self, torrent: TorrentNumber) {
        if let Some(search) = self.searches.remove(&torrent) {
            search.abort();
        }
    }
}

impl Drop for Dht {
    fn drop(&mut self) {
        self.searches.values().for_each(AbortHandle::abort);
    }
}

/// One torrent's.
struct Search {
    node: AsyncDht,
    engine: Handle,
    torrent: TorrentNumber,
    names: Vec<Id>,
    port: u16,
    reach: Reach,
}

impl Search {
    /// Until it is told to stop, or the torrent turns out to be private.
    async fn run(self) {
        tokio::select! {
            biased;
            () = self.turns_private() => debug!("a private torrent is no more looked for in the DHT"),
            () = self.again_and_again() => {}
        }
    }

    async fn turns_private(&self) {
        let metainfo = self.engine.metainfo(self.torrent).await;
        if !metainfo.is_some_and(|metainfo| metainfo.is_private()) {
            std::future::pending().await
        }
    }

    async fn again_and_again(&self) {
        let mut pause = FIRST_PAUSE;
        loop {
            for name in &self.names {
                self.look_for(*name).await;
                // Where no node answers there is nobody to tell; the next round may find some.
                if let Err(e) = self.node.announce_peer(*name, Some(self.port)).await {
                    debug!("not announced in the DHT: {e}");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn look_for(&self, name: Id) {
        let mut answers = self.node.get_peers(name);
        let mut heard = 0;
        while let Some(peers) = answers.next().await {
            let room = MAX_HEARD.saturating_sub(heard);
            let peers = peers.into_iter().map(SocketAddr::V4);
            for peer in peers.filter(|peer| self.reach.may_name(*peer)).take(room) {
                heard += 1;
                self.engine.hear(self.torrent, peer);
            }
        }
    }
}

/// A hybrid is in the DHT under both its names.
fn names(hashes: &InfoHashes) -> Vec<Id> {
    let v1 = hashes.v1().map(SwarmHash::from);
    let v2 = hashes.v2().map(SwarmHash::from);
    let names = v1.into_iter().chain(v2);
    names.map(|name| Id::from(name.0)).collect()
}
