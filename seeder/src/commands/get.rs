//! `headwater get`: a torrent to files; or to standard output and to players, through a window in memory.

mod given;
mod keeping;
mod origins;
mod pipe;
mod serving;
mod tell;

use std::io::{IsTerminal, stdout};
use std::net::SocketAddr;
use std::time::Instant;

use headwater_core::metainfo::Metainfo;
use headwater_core::swarm::{self, Swarm};
use headwater_core::tracker::client::{Client, ClientConfig};
use tokio::runtime::Builder;

use super::seed::{bind_tcp, bind_webrtc, http_client, luck, peer_id, runtime};
use crate::config::{self, Get, To, is_http, is_websocket, webrtc_for};
use crate::dht::Dht;
use crate::engine::{Engine, Handle, Torrent, key_space, since};
use crate::error::{Error, Result};
use crate::signals::Stop;
use crate::tcp::Tcp;
use given::Lead;
use pipe::Pipe;
use serving::Server;
use tell::Teller;

/// Peers at the most.
const MAX_PEERS: usize = 64;

/// Offers brought to a tracker: we are the one who joins.
const OFFERS: usize = 8;

/// Bytes pulled at a time.
const STEP: usize = 1 << 20;

/// Fewest pieces the window must have room for: the one read, and some that are on their way.
const MIN_PIECES: u64 = 4;

/// Does it, until all is there or it is told to stop.
pub fn run(get: &Get) -> Result<()> {
    if get.to == To::Stdout && stdout().is_terminal() {
        let words = "standard output is a terminal; send it on, as in `… -o - | mpv -`";
        return Err(Error::Usage(words.to_owned()));
    }
    let mut server = get.serve.map(Server::bind).transpose()?;
    let main = runtime(&mut Builder::new_current_thread())?;
    let outcome = main.block_on(join(get, server.as_mut()));
    // Looking at what was there may still be under way; nobody waits for it.
    main.shutdown_background();
    if let Some(server) = server {
        server.close();
    }
    outcome
}

async fn join(get: &Get, server: Option<&mut Server>) -> Result<()> {
    let lead = Lead::find(&get.given).await?;
    let mut stop = Stop::catch()?;
    let teller = Teller::new(get, &lead.name());
    let peers = peers(get, &lead);
    let origins = origins::origins(get, &lead);
    let trackers = trackers(
        get,
        &lead,
        peers.is_empty() && origins.is_empty() && get.dht.is_none(),
    )?;
    let endpoint = bind_webrtc(get.webrtc.unwrap_or_else(|| webrtc_for(&trackers, &peers)))?;
    let webrtc = endpoint.local_addr();
    let started = Instant::now();
    let (http, websocket) = trackers.into_iter().partition(|url| is_http(url));
    let mut torrent = torrent(get, lead, websocket, started)?;
    let tcp = match get.tcp {
        Some(at) => {
            let at = at.unwrap_or(config::Tcp::Beside(webrtc.ip()));
            let tcp = bind_tcp(at, webrtc.port())?;
            let port = tcp.local_addr().map_or(0, |address| address.port());
            torrent.http = Some(http_client(started, &torrent.swarm, http, port, None)?);
            Some(tcp)
        }
        None => None,
    };
    let hashes = torrent.swarm.info_hashes();
    let is_private = torrent.swarm.metainfo().is_some_and(Metainfo::is_private);
    let mut engine = Engine::new(started, endpoint, vec![torrent], get.upload_limit);
    let tcp_at = tcp.as_ref().and_then(Tcp::local_addr);
    let mut dht = match get.dht.as_ref().zip(tcp_at).filter(|_| !is_private) {
        Some((nodes, tcp)) => Some(Dht::join(nodes, tcp, engine.handle())?),
        None => None,
    };
    if let Some(dht) = &mut dht {
        dht.search(0, hashes);
    }
    if let Some(tcp) = tcp {
        engine = engine.with_tcp(tcp);
    }
    for peer in peers {
        engine.heard_of(0, peer);
    }
    engine = engine.with_origins(0, origins);
    let handle = engine.handle();
    let mut outcome = Ok(());
    let work = async {
        outcome = tokio::select! {
            done = work(get, server, &handle, &teller) => done,
            told = teller.follow(&handle) => told,
            // Serving and seeding have no other end than this.
            () = stop.told() => match get.to {
                To::Players => Ok(()),
                To::Disk(_) if teller.is_done() => Ok(()),
                To::Disk(_) | To::Stdout => Err(Error::Interrupted),
            },
        };
    };
    engine.run(work, |_| {}).await;
    teller.finish();
    if outcome.is_ok() && !get.seed {
        teller.forget_state();
    }
    outcome
}

/// Those the person named, then those a magnet link brings, as far as they are addresses.
fn peers(get: &Get, lead: &Lead) -> Vec<SocketAddr> {
    let named = get.peers.iter().copied();
    let brought = lead.peers().iter().filter_map(|peer| peer.parse().ok());
    named.chain(brought).filter(|_| get.tcp.is_some()).collect()
}

/// Those the person named, then those the torrent brings.
fn trackers(get: &Get, lead: &Lead, needed: bool) -> Result<Vec<String>> {
    let mut trackers = get.trackers.clone();
    let usable = |url: &&String| is_websocket(url) || get.tcp.is_some() && is_http(url);
    for tracker in lead.trackers().iter().filter(usable) {
        if !trackers.contains(tracker) {
            trackers.push(tracker.clone());
        }
    }
    if trackers.is_empty() && needed {
        return Err(Error::Usage(
            "this torrent names no tracker to ask for peers (ws://, wss://, http:// or https://); name one with --tracker, a peer with --peer, or a web server that has the files with --origin"
                .to_owned(),
        ));
    }
    Ok(trackers)
}

fn torrent(get: &Get, lead: Lead, trackers: Vec<String>, started: Instant) -> Result<Torrent> {
    let mut luck = luck()?;
    let peer_id = peer_id(&mut luck);
    let client = ClientConfig {
        peer_id,
        swarm: lead.hashes().announced(),
        trackers,
        offers_wanted: OFFERS,
        key_space: key_space(0),
        seed: luck.next_u64(),
        max_connections: MAX_PEERS,
    };
    let mut config = swarm::Config::new(peer_id, luck.next_u64());
    config.window_bytes = get.window;
    config.max_peers = MAX_PEERS;
    Ok(Torrent {
        name: lead.name(),
        tracker: Client::new(client, since(started)),
        swarm: Swarm::new(config, lead.into_source()),
        http: None,
        storage: None,
    })
}

async fn work(
    get: &Get,
    server: Option<&mut Server>,
    handle: &Handle,
    teller: &Teller,
) -> Result<()> {
    let metainfo = handle.metainfo(0).await.ok_or(Error::Interrupted)?;
    check_window(get.window, &metainfo)?;
    if let To::Disk(out) = &get.to {
        return keeping::keep(get, out, &metainfo, server, handle, teller).await;
    }
    if let Some(server) = server {
        teller.known(&metainfo, &given::chosen(&metainfo, get.file.as_deref())?);
        teller.serving(&server.open(&metainfo, handle, get.window));
    }
    if get.to == To::Players {
        return std::future::pending().await;
    }
    stream(get, &metainfo, handle, teller).await?;
    teller.finished();
    Ok(())
}

/// One file, in order, to whoever reads standard output.
async fn stream(get: &Get, metainfo: &Metainfo, handle: &Handle, teller: &Teller) -> Result<()> {
    let file = given::the_one(metainfo, get.file.as_deref())?;
    teller.known(metainfo, &[file]);
    let length = metainfo.layout().entry(file).length;
    let mut pipe = Pipe::to_stdout()?;
    let mut reader = handle.read(0, file, 0..length);
    let mut read = 0;
    while let Some(bytes) = reader.next(STEP).await {
        let more = bytes.len() as u64;
        pipe.write(bytes).await?;
        teller.advance(more);
        read += more;
    }
    pipe.finish().await?;
    if read == length {
        Ok(())
    } else {
        Err(Error::Interrupted)
    }
}

fn check_window(window: u64, metainfo: &Metainfo) -> Result<()> {
    let piece = u64::from(metainfo.layout().standard_piece_length());
    if window >= MIN_PIECES * piece {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--window {window} has no room for {MIN_PIECES} pieces of this torrent, of {piece} bytes each; \
         {} is the least",
        MIN_PIECES * piece
    )))
}
