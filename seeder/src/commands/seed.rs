//! `headwater seed`: hash, track, seed, serve, and say where.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use headwater_core::ids::PeerId;
use headwater_core::metainfo::Metainfo;
use headwater_core::rng::Rng;
use headwater_core::swarm::{self, Swarm};
use headwater_core::tracker::Progress;
use headwater_core::tracker::client::{self, Client, ClientConfig};
use headwater_core::tracker::http::{HttpClient, HttpConfig};
use tokio::runtime::{Builder, Runtime};
use tracing::warn;

use super::inspect::magnet_of;
use super::track;
use crate::config::{self, Seed, is_http, is_websocket, site_of, tracker_of};
use crate::engine::{Engine, Torrent, key_space, since};
use crate::error::{Error, Result};
use crate::http::{self, Content, Published, Site, torrent_path};
use crate::making::{self, Made};
use crate::notify;
use crate::report::{Links, Ready, Reporter};
use crate::signals::Stop;
use crate::tcp::{Tcp, TcpConfig};
use crate::torrent_file;
use crate::tracker;
use crate::webrtc::{Endpoint, EndpointConfig};

/// Peers of one torrent at the most.
const MAX_PEERS: usize = 200;

/// Connections of the process at the most, those being made included.
const MAX_CONNECTIONS: usize = 512;

/// Offers a seeder brings to a tracker: few, for the pages bring theirs, and a page that offers is
/// connected sooner.
const OFFERS: usize = 2;

/// Does it, until it is told to stop.
pub fn run(seed: &Seed) -> Result<()> {
    // HTTP and its tracker have threads of their own, so that they and the data channels do not wait for each other.
    let web = runtime(
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("http"),
    )?;
    let main = runtime(&mut Builder::new_current_thread())?;
    http::raise_socket_limit();
    // Ports first: whether they are free should not be learnt after an hour of hashing.
    let (listener, bound) = web.block_on(http::bind(seed.listen))?;
    let endpoint = main.block_on(async { bind_webrtc(seed.webrtc) })?;
    let webrtc = endpoint.local_addr();
    let tcp =
        main.block_on(async { seed.tcp.map(|at| bind_tcp(at, webrtc.port())).transpose() })?;
    let tcp_at = tcp.as_ref().and_then(Tcp::local_addr);

    let made = make_all(seed)?;
    let site = seed.site(bound);
    let torrents = with_trackers(seed, made, &site);
    write_out(seed, &torrents)?;
    let slugs = slugs(&torrents);
    let ready = ready(seed, &site, (webrtc, tcp_at), &torrents, &slugs);
    let beside = if seed.own_tracker {
        tracker::router(track::embedded()?)
    } else {
        Router::new()
    };
    let router = published(seed, bound, &torrents, slugs).router(beside);
    web.spawn(http::serve(listener, router));
    if let Some(missing) = http::missing_parts() {
        warn!("{missing}");
    }

    let mut reporter = Reporter::new(seed.json, seed.quiet);
    // Whoever hears that we are ready may tell us to stop in the same breath.
    let mut stop = main.block_on(async { Stop::catch() })?;
    reporter.ready(&ready);
    notify::ready();
    let local_tracker = seed
        .own_tracker
        .then(|| (tracker_of(&site), tracker_of(&site_of(bound))));
    main.block_on(async {
        let started = Instant::now();
        let port = tcp_at.map_or(0, |address| address.port());
        let mut driven = drive(started, torrents, local_tracker)?;
        for torrent in driven.iter_mut().filter(|_| tcp.is_some()) {
            let trackers = torrent.swarm.metainfo().map(Metainfo::trackers);
            let all = trackers.unwrap_or_default().iter();
            let http = all.filter(|url| is_http(url)).cloned().collect();
            torrent.http = Some(http_client(started, &torrent.swarm, http, port, Some(0))?);
        }
        let count = driven.len();
        let mut engine = Engine::new(started, endpoint, driven, seed.upload_limit);
        if let Some(tcp) = tcp {
            engine = engine.with_tcp(tcp);
        }
        for torrent in 0..count {
            for peer in &seed.peers {
                engine.heard_of(torrent, *peer);
            }
        }
        let stopped = async {
            stop.told().await;
            notify::stopping();
        };
        engine.run(stopped, |tick| reporter.tick(tick)).await;
        Ok::<(), Error>(())
    })?;
    reporter.finish();
    web.shutdown_background();
    Ok(())
}

pub(super) fn runtime(builder: &mut Builder) -> Result<Runtime> {
    builder
        .enable_all()
        .build()
        .map_err(|e| Error::Other(format!("cannot start: {e}")))
}

pub(super) fn bind_webrtc(address: SocketAddr) -> Result<Endpoint> {
    let config = EndpointConfig {
        ip: address.ip(),
        port: address.port(),
        max_peers: MAX_CONNECTIONS,
        ..EndpointConfig::default()
    };
    Endpoint::bind(config).map_err(|e| Error::bind(address, e))
}

/// The port number of WebRTC is the one a person opens in a firewall, so TCP is there too if it can.
pub(super) fn bind_tcp(at: config::Tcp, beside: u16) -> Result<Tcp> {
    let bind = |address: SocketAddr| {
        let config = TcpConfig {
            listen: Some(address),
            max_connections: MAX_CONNECTIONS,
            ..TcpConfig::default()
        };
        Tcp::bind(config).map_err(|e| Error::bind(address, e))
    };
    let on = |ip: IpAddr, port: u16| bind(SocketAddr::new(ip, port));
    match at {
        config::Tcp::At(address) => bind(address),
        config::Tcp::Beside(ip) => on(ip, beside).or_else(|_| on(ip, 0)),
    }
}

fn make_all(seed: &Seed) -> Result<Vec<Made>> {
    let shown = !seed.json && !seed.quiet;
    let one = |path| match &seed.torrent {
        Some(torrent) => making::verify(torrent, path, shown),
        None => making::make(path, &seed.make, shown),
    };
    seed.paths.iter().map(|path| one(path)).collect()
}

/// Our own tracker comes first, then those the person named, then those the torrent had.
fn with_trackers(seed: &Seed, mut made: Vec<Made>, site: &str) -> Vec<Made> {
    for made in &mut made {
        let own = seed.own_tracker.then(|| tracker_of(site));
        let mut trackers: Vec<String> = own
            .into_iter()
            .chain(seed.make.trackers.iter().cloned())
            .collect();
        for tracker in made.metainfo.trackers() {
            if !trackers.contains(tracker) {
                trackers.push(tracker.clone());
            }
        }
        if !trackers.iter().any(|tracker| is_websocket(tracker)) {
            warn!(
                "no tracker of {} is a WebSocket tracker (ws:// or wss://): web pages cannot find us",
                made.metainfo.name()
            );
        }
        made.metainfo.set_trackers(trackers);
    }
    made
}

fn write_out(seed: &Seed, torrents: &[Made]) -> Result<()> {
    match (&seed.out, torrents.first()) {
        (Some(out), Some(made)) => torrent_file::write(out, &made.metainfo.to_torrent_bytes()),
        _ => Ok(()),
    }
}

/// A name in URLs for each torrent, no two alike.
fn slugs(torrents: &[Made]) -> Vec<String> {
    let mut slugs: Vec<String> = Vec::new();
    for made in torrents {
        let name = made.metainfo.name();
        let free = |slug: &String| !slugs.contains(slug);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        slugs.extend(std::iter::once(name.to_owned()).chain(numbered).find(free));
    }
    slugs
}

fn ready(
    seed: &Seed,
    site: &str,
    (webrtc, tcp): (SocketAddr, Option<SocketAddr>),
    torrents: &[Made],
    slugs: &[String],
) -> Ready {
    let links = torrents.iter().zip(slugs).map(|(made, slug)| {
        let hashes = made.metainfo.info_hashes();
        Links {
            name: made.metainfo.name().to_owned(),
            magnet: magnet_of(&made.metainfo).to_string(),
            torrent: format!("{site}{}", torrent_path(slug)),
            file: seed.out.as_ref().map(|out| out.display().to_string()),
            info_hash_v1: hashes.v1().map(|hash| hash.to_hex()),
            info_hash_v2: hashes.v2().map(|hash| hash.to_hex()),
            length: made.metainfo.layout().content_length(),
        }
    });
    let torrents_links: Vec<Links> = links.collect();
    let first = torrents_links[0].clone();
    Ready {
        page: format!("{site}/#{}", first.torrent),
        first,
        trackers: torrents[0].metainfo.trackers().to_vec(),
        torrents: torrents_links,
        webrtc: webrtc.to_string(),
        tcp: tcp.map(|address| address.to_string()),
    }
}

fn published(seed: &Seed, bound: SocketAddr, torrents: &[Made], slugs: Vec<String>) -> Site {
    let publish = |(made, slug): (&Made, String)| {
        let hashes = made.metainfo.info_hashes();
        let hash = hashes
            .v1()
            .map(|hash| hash.to_hex())
            .or_else(|| hashes.v2().map(|hash| hash.to_hex()));
        Published {
            slug,
            magnet: magnet_of(&made.metainfo).to_string(),
            info_hash: hash.unwrap_or_default(),
            torrent: made.metainfo.to_torrent_bytes(),
            single: made.metainfo.is_single_file(),
            content: Content::Disk(Arc::clone(&made.storage)),
        }
    };
    Site {
        trackers: torrents
            .first()
            .map(|made| made.metainfo.trackers().to_vec())
            .unwrap_or_default(),
        torrents: torrents.iter().zip(slugs).map(publish).collect(),
        loopback: bound.ip().is_loopback() && seed.url.is_none(),
    }
}

/// Swarms and tracker clients; `local_tracker` is what our own is called outside, and how we reach it ourselves.
fn drive(
    started: Instant,
    made: Vec<Made>,
    local_tracker: Option<(String, String)>,
) -> Result<Vec<Torrent>> {
    let mut luck = luck()?;
    let torrent = |(number, made): (usize, Made)| {
        let peer_id = peer_id(&mut luck);
        let metainfo: Metainfo = made.metainfo;
        let reached = |tracker: &String| match &local_tracker {
            Some((outside, inside)) if tracker == outside => inside.clone(),
            _ => tracker.clone(),
        };
        let client = ClientConfig {
            peer_id,
            swarm: metainfo.info_hashes().announced(),
            trackers: metainfo
                .trackers()
                .iter()
                .filter(|url| is_websocket(url))
                .map(reached)
                .collect(),
            offers_wanted: OFFERS,
            key_space: key_space(number),
            seed: luck.next_u64(),
            max_connections: MAX_PEERS,
        };
        let now = since(started);
        let mut tracker = Client::new(client, now);
        // The first announce says already that nothing is lacking.
        let complete = Progress {
            left: Some(0),
            ..Progress::default()
        };
        tracker.handle_input(now, client::Input::Progress(complete));
        let mut config = swarm::Config::new(peer_id, luck.next_u64());
        config.max_peers = MAX_PEERS;
        Torrent {
            name: metainfo.name().to_owned(),
            swarm: Swarm::new(config, swarm::Source::Complete(Box::new(metainfo))),
            tracker,
            http: None,
            storage: Some(made.storage),
        }
    };
    Ok(made.into_iter().enumerate().map(torrent).collect())
}

/// What announces a torrent to HTTP trackers, and there says where we take calls for it.
pub(super) fn http_client(
    started: Instant,
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

pub(super) fn luck() -> Result<Rng> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed)
        .map_err(|e| Error::Other(format!("this system has no randomness to give: {e}")))?;
    Ok(Rng::seeded(u64::from_le_bytes(seed)))
}

/// BEP 20: who we are, then luck.
pub(super) fn peer_id(luck: &mut Rng) -> PeerId {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut id = *b"-HW0100-____________";
    for letter in &mut id[8..] {
        *letter = LETTERS[luck.below(LETTERS.len() as u32) as usize];
    }
    PeerId(id)
}
