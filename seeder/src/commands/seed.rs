//! `headwater seed`: hash, track, seed, serve, and say where.

mod drive;
mod shelf;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use headwater_core::ids::PeerId;
use headwater_core::rng::Rng;
use tokio::runtime::{Builder, Runtime};
use tracing::{error, warn};

use super::track;
use crate::config::{self, Seed};
use crate::dht::Dht;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::http::{self, Health, Shown, Switches};
use crate::notify;
use crate::report::{Ready, Reporter, reloaded};
use crate::signals::{Reload, Stop};
use crate::tcp::{Tcp, TcpConfig};
use crate::tracker;
use crate::webrtc::{Endpoint, EndpointConfig};

pub(super) use drive::http_client;
use shelf::{At, Shelf};

/// Connections of the process at the most, those being made included.
const MAX_CONNECTIONS: usize = 512;

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
    // From here on it is no reason to end.
    let reload = match seed.is_library {
        true => Some(main.block_on(async { Reload::catch() })?),
        false => None,
    };

    let started = Instant::now();
    let mut engine = Engine::new(started, endpoint, Vec::new(), seed.upload_limit);
    if let Some(tcp) = tcp {
        engine = engine.with_tcp(tcp);
    }
    let at = At {
        started,
        bound,
        tcp: tcp_at.map(|address| address.port()),
    };
    let dht = main.block_on(async {
        let through = seed.dht.as_ref().zip(tcp_at);
        through
            .map(|(nodes, tcp)| Dht::join(nodes, tcp, engine.handle()))
            .transpose()
    })?;
    let mut shelf = Shelf::new(seed, at, engine.handle(), dht);
    shelf.fill()?;
    if let Some(book) = shelf.address_book() {
        engine.remember_in(book);
    }
    let ready = ready(seed, &shelf, bound, (webrtc, tcp_at));
    let tracker = seed.own_tracker.then(track::embedded).transpose()?;
    let beside = tracker.clone().map_or_else(Router::new, tracker::router);
    let health = Health::new(engine.handle(), tracker).router();
    let shown = Shown::new(shelf.site());
    let switches = Arc::<Switches>::default();
    let mut router = beside.merge(health);
    if seed.demo_controls {
        router = router.merge(Arc::clone(&switches).router());
    }
    let router = Arc::clone(&switches).guard(shown.clone().router(router));
    web.spawn(http::serve(listener, router));
    if let Some(missing) = http::missing_parts() {
        warn!("{missing}");
    }

    let mut reporter = Reporter::new(seed.json, seed.quiet);
    // Whoever hears that we are ready may tell us to stop in the same breath.
    let mut stop = main.block_on(async { Stop::catch() })?;
    reporter.ready(&ready);
    notify::ready(ready.torrents.len());
    let shelf = Arc::new(Mutex::new(shelf));
    main.block_on(async {
        let stopped = async {
            tokio::select! {
                () = stop.told() => {}
                () = renew(reload, &shelf, &shown, seed) => {}
                () = obey(&switches, &shelf) => {}
            }
            notify::stopping();
        };
        engine.run(stopped, |tick| reporter.tick(tick)).await;
    });
    reporter.finish();
    web.shutdown_background();
    // Something may still be hashed; nobody waits for it.
    main.shutdown_background();
    Ok(())
}

/// Whenever we are told to, has the shelf look again; until the terminal that started us is gone.
async fn renew(reload: Option<Reload>, shelf: &Arc<Mutex<Shelf>>, shown: &Shown, seed: &Seed) {
    let Some(mut reload) = reload else {
        return std::future::pending().await;
    };
    while reload.told().await {
        notify::reloading();
        let (shelf, shown) = (Arc::clone(shelf), shown.clone());
        let (json, quiet) = (seed.json, seed.quiet);
        let done = tokio::task::spawn_blocking(move || {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            match shelf.renew() {
                Ok(told) => {
                    shown.show(shelf.site());
                    reloaded(&told, json, quiet);
                }
                Err(e) => error!("{e}; everything stays as it was"),
            }
            notify::ready(shelf.links().len());
        });
        // Only a panic ends it otherwise, and that has been told.
        let _ = done.await;
    }
}

/// Leaves the swarms when the demo page says so, and joins them again. Nobody may turn what nobody is shown.
async fn obey(switches: &Switches, shelf: &Mutex<Shelf>) {
    let locked = || shelf.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        switches.seeding(false).await;
        locked().leave();
        switches.seeding(true).await;
        if let Err(e) = locked().join_again() {
            error!("{e}; the swarms stay left");
        }
    }
}

fn ready(
    seed: &Seed,
    shelf: &Shelf,
    bound: SocketAddr,
    (webrtc, tcp): (SocketAddr, Option<SocketAddr>),
) -> Ready {
    let torrents = shelf.links();
    let first = torrents[0].clone();
    Ready {
        page: format!("{}/#{}", seed.site(bound), first.torrent),
        first,
        trackers: shelf.trackers().to_vec(),
        torrents,
        webrtc: webrtc.to_string(),
        tcp: tcp.map(|address| address.to_string()),
    }
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
