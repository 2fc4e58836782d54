//! Viewers, many in one process: each comes, reads the film as fast as it gets it, and stays.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use headwater::engine::{Engine, Torrent, key_space, since};
use headwater::webrtc::{Endpoint, EndpointConfig};
use headwater_core::ids::PeerId;
use headwater_core::metainfo::Magnet;
use headwater_core::rng::Rng;
use headwater_core::swarm::{self, Source, Swarm};
use headwater_core::tracker::client::{Client, ClientConfig};
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::sleep;

/// Offers, and connections at the most: a page's.
const OFFERS: usize = 5;
const MAX_PEERS: usize = 50;

/// Bytes of window: all of the film and more, as a page's 64 MiB hold many a film.
const WINDOW: u64 = 64 << 20;

/// Bytes pulled at a time.
const STEP: usize = 256 << 10;

/// What became of one viewer: from its joining to the first byte, to `start` bytes, and to the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) first: Duration,
    pub(crate) started: Duration,
    pub(crate) all: Duration,
}

/// Bytes with which a player can begin.
pub(crate) const START: u64 = 256 << 10;

/// `viewers MAGNET COUNT PROCESS SECONDS`: prints two numbers for each, and ends when nobody listens.
pub(crate) fn main(args: &[String]) -> io::Result<()> {
    let [magnet, count, process, over] = args else {
        return Err(io::Error::other("viewers MAGNET COUNT PROCESS SECONDS"));
    };
    let count: u32 = count.parse().map_err(io::Error::other)?;
    let process: u64 = process.parse().map_err(io::Error::other)?;
    let over = Duration::from_secs_f64(over.parse().map_err(io::Error::other)?);
    std::thread::spawn(|| {
        // When whoever started us is gone, so are we.
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let local = LocalSet::new();
    for number in 0..count {
        let magnet = magnet.clone();
        local.spawn_local(async move {
            sleep(over * number / count).await;
            let seed = process << 32 | u64::from(number);
            let told = |seen: Seen| {
                println!("{} {}", seen.first.as_secs_f64(), seen.all.as_secs_f64());
            };
            if let Err(e) = view(&magnet, seed, told, std::future::pending()).await {
                eprintln!("a viewer could not begin: {e}");
            }
        });
    }
    runtime.block_on(local);
    Ok(())
}

/// One viewer, from now until `stay` has passed after it had it all.
pub(crate) async fn view(
    magnet: &str,
    seed: u64,
    told: impl FnOnce(Seen),
    stay: impl Future<Output = ()>,
) -> io::Result<()> {
    let started = Instant::now();
    let endpoint = Endpoint::bind(EndpointConfig {
        max_peers: 2 * MAX_PEERS,
        ..EndpointConfig::default()
    })?;
    let torrent = torrent(magnet, seed, started)?;
    let mut engine = Engine::new(started, endpoint, vec![torrent], None);
    let handle = engine.handle();
    let watch = async {
        let mut seen = Seen::default();
        let Some(metainfo) = handle.metainfo(0).await else {
            return;
        };
        let Some(file) = metainfo.layout().file(0) else {
            return;
        };
        let length = metainfo.layout().entry(file).length;
        let (mut reader, mut had) = (handle.read(0, file, 0..length), 0);
        while let Some(bytes) = reader.next(STEP).await {
            let before = had;
            had += bytes.len() as u64;
            if before == 0 {
                seen.first = started.elapsed();
            }
            if before < START && had >= START {
                seen.started = started.elapsed();
            }
        }
        seen.all = started.elapsed();
        told(seen);
        stay.await;
    };
    engine.run(watch, |_| {}).await;
    Ok(())
}

fn torrent(magnet: &str, seed: u64, started: Instant) -> io::Result<Torrent> {
    let magnet = Magnet::parse(magnet).map_err(io::Error::other)?;
    let mut luck = Rng::seeded(seed ^ u64::from(std::process::id()) << 48);
    let mut name = *b"-HW0100-____________";
    luck.fill(&mut name[8..]);
    let peer_id = PeerId(name);
    let client = ClientConfig {
        peer_id,
        swarm: magnet.hashes.announced(),
        trackers: magnet.trackers.clone(),
        offers_wanted: OFFERS,
        key_space: key_space(0),
        seed: luck.next_u64(),
        max_connections: MAX_PEERS,
    };
    let config = swarm::Config {
        window_bytes: WINDOW,
        max_peers: MAX_PEERS,
        ..swarm::Config::new(peer_id, luck.next_u64())
    };
    Ok(Torrent {
        name: "film".to_owned(),
        tracker: Client::new(client, since(started)),
        swarm: Swarm::new(config, Source::Magnet(Box::new(magnet))),
        http: None,
        storage: None,
    })
}
