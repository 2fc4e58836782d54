//! From a torrent with its bytes to one that the engine drives: its swarm, and its tracker clients.

use headwater_core::metainfo::Metainfo;
use headwater_core::swarm::{self, Swarm};
use headwater_core::tracker::Progress;
use headwater_core::tracker::client::{self, Client, ClientConfig};
use headwater_core::tracker::http::{HttpClient, HttpConfig};

use super::shelf::At;
use super::{luck, peer_id};
use crate::chunks::TorrentNumber;
use crate::config::{is_http, is_websocket, site_of, tracker_of};
use crate::engine::{Torrent, key_space, since};
use crate::error::Result;
use crate::making::Made;

/// Peers of one torrent at the most.
const MAX_PEERS: usize = 200;

/// Offers a seeder brings to a tracker: few, for the pages bring theirs, and a page that offers is
/// connected sooner.
const OFFERS: usize = 2;

/// Torrents that bring any, the first so many: an offer is half a connection, and hundreds of them
/// would leave those who come no place.
const OFFERING: TorrentNumber = 32;

/// How they are driven.
pub(super) struct Driving<'a> {
    pub(super) at: &'a At,
    /// What our own tracker is called outside, if we run one.
    pub(super) own_tracker: Option<&'a str>,
}

impl Driving<'_> {
    /// The engine's torrent of this number.
    pub(super) fn torrent(&self, number: TorrentNumber, made: Made) -> Result<Torrent> {
        let mut luck = luck()?;
        let peer_id = peer_id(&mut luck);
        let metainfo: Metainfo = made.metainfo;
        let http: Vec<String> = of_kind(&metainfo, is_http);
        let client = ClientConfig {
            peer_id,
            swarm: metainfo.info_hashes().announced(),
            trackers: of_kind(&metainfo, is_websocket)
                .into_iter()
                .map(|url| self.reached(url))
                .collect(),
            offers_wanted: if number < OFFERING { OFFERS } else { 0 },
            key_space: key_space(number),
            seed: luck.next_u64(),
            max_connections: MAX_PEERS,
        };
        let now = since(self.at.started);
        let mut tracker = Client::new(client, now);
        // The first announce says already that nothing is lacking.
        let complete = Progress {
            left: Some(0),
            ..Progress::default()
        };
        tracker.handle_input(now, client::Input::Progress(complete));
        let mut config = swarm::Config::new(peer_id, luck.next_u64());
        config.max_peers = MAX_PEERS;
        let name = metainfo.name().to_owned();
        let swarm = Swarm::new(config, swarm::Source::Complete(Box::new(metainfo)));
        let client = |port| http_client(self.at.started, &swarm, http, port, Some(0));
        Ok(Torrent {
            name,
            tracker,
            http: self.at.tcp.map(client).transpose()?,
            storage: Some(made.storage),
            swarm,
        })
    }

    /// We reach our own tracker without the detour that others take.
    fn reached(&self, url: String) -> String {
        match self.own_tracker {
            Some(own) if url == own => tracker_of(&site_of(self.at.bound)),
            _ => url,
        }
    }
}

fn of_kind(metainfo: &Metainfo, is_kind: fn(&str) -> bool) -> Vec<String> {
    let all = metainfo.trackers().iter();
    all.filter(|url| is_kind(url)).cloned().collect()
}

/// What announces a torrent to HTTP trackers, and there says where we take calls for it.
pub(in crate::commands) fn http_client(
    started: std::time::Instant,
    swarm: &Swarm,
    trackers: Vec<String>,
    port: u16,
    left: Option<u64>,
) -> Result<HttpClient> {
    let config = HttpConfig {
        peer_id: swarm.peer_id(),
        hashes: swarm.info_hashes(),
        trackers,
        port,
        left,
        seed: luck()?.next_u64(),
    };
    Ok(HttpClient::new(config, since(started)))
}
