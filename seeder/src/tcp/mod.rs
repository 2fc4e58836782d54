//! Ordinary BitTorrent connections: one listener for all torrents, and the calls we make.
//!
//! An adapter, not a policy: it moves bytes and says what happened. It knows nothing of torrents;
//! of a caller it reads no more than the 48 bytes that name one, and asks.
//!
//! Nothing here has a task or a queue of its own once a connection stands: bytes are read when
//! the engine reads them and written as the system takes them, so that back pressure is the
//! system's own.

mod candidates;
mod connection;
mod ready;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::ids::{PeerKey, SwarmHash};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use candidates::{Candidates, Ending, MAX_NEIGHBOURS};
use connection::Connection;
use ready::Ready;

/// Bytes of a handshake up to the torrent's name, which chooses whom it is for.
pub const GREETING: usize = 48;

/// A caller has this long to name a torrent.
const GREET_WITHIN: Duration = Duration::from_secs(10);

/// A call is answered by then, or was in vain.
const DIAL_WITHIN: Duration = Duration::from_secs(10);

/// Callers that have not named a torrent yet, at a time.
const MAX_GREETING: usize = 64;

/// Calls under way at a time: some routers choke on more half-open connections.
const MAX_DIALLING: usize = 32;

/// A listener that cannot accept, for want of files, rests this long.
const REST: Duration = Duration::from_millis(200);

/// How to listen, and what to allow.
#[derive(Clone, Copy, Debug)]
pub struct TcpConfig {
    /// The address to listen at; `None` only calls.
    pub listen: Option<SocketAddr>,
    /// Most connections at a time, whoever called. Each costs the system's buffers.
    pub max_connections: usize,
    /// Most of them with one address.
    pub max_per_ip: usize,
}

impl Default for TcpConfig {
    /// No listener, 512 connections, 32 an address.
    fn default() -> Self {
        Self {
            listen: None,
            max_connections: 512,
            max_per_ip: 32,
        }
    }
}

/// What happened.
#[derive(Debug)]
pub enum TcpEvent {
    /// Somebody called and named a torrent; wants [`Tcp::admit`], or is hung up on when dropped.
    Arrived(Arrival),
    /// A connection ended, or a call failed, for this reason.
    Closed(PeerKey, String),
    /// Somebody took our call.
    Opened(PeerKey),
    /// There may be bytes to [`Tcp::read`].
    Readable(PeerKey),
    /// There is more [`Tcp::room`] than there was.
    Writable(PeerKey),
}

/// A caller who named a torrent.
#[derive(Debug)]
pub struct Arrival {
    /// Where it called from.
    pub from: SocketAddr,
    /// What it said so far: the beginning of a handshake.
    pub greeting: [u8; GREETING],
    stream: TcpStream,
}

impl Arrival {
    /// The torrent it named.
    pub fn swarm(&self) -> SwarmHash {
        let mut hash = [0; 20];
        hash.copy_from_slice(&self.greeting[GREETING - 20..]);
        SwarmHash(hash)
    }
}

/// All TCP connections to peers.
#[derive(Debug)]
pub struct Tcp {
    config: TcpConfig,
    listener: Option<TcpListener>,
    ready: Arc<Ready>,
    connections: BTreeMap<PeerKey, Connection>,
    /// Those that have something to be written.
    full: BTreeSet<PeerKey>,
    greeting: JoinSet<Option<Arrival>>,
    dialling: JoinSet<(PeerKey, SocketAddr, io::Result<TcpStream>)>,
    /// Calls under way that are still wanted.
    called: BTreeSet<PeerKey>,
    events: VecDeque<TcpEvent>,
}

impl Tcp {
    /// Listens. Within a tokio runtime.
    pub fn bind(config: TcpConfig) -> io::Result<Self> {
        let listener = config.listen.map(listen).transpose()?;
        Ok(Self {
            config,
            listener,
            ready: Arc::default(),
            connections: BTreeMap::new(),
            full: BTreeSet::new(),
            greeting: JoinSet::new(),
            dialling: JoinSet::new(),
            called: BTreeSet::new(),
            events: VecDeque::new(),
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }

    /// Whether there is room for one more call.
    pub fn has_room(&self) -> bool {
        self.called.len() < MAX_DIALLING
            && self.connections.len() + self.called.len() < self.config.max_connections
    }

    /// Calls somebody; [`TcpEvent::Opened`] or [`TcpEvent::Closed`] follows.
    pub fn dial(&mut self, key: PeerKey, to: SocketAddr) {
        self.called.insert(key);
        self.dialling.spawn(async move {
            let connecting = timeout(DIAL_WITHIN, TcpStream::connect(to)).await;
            let late = |_| Err(io::ErrorKind::TimedOut.into());
            (key, to, connecting.unwrap_or_else(late))
        });
    }

    /// Takes somebody's call; the swarm is to be told of [`Arrival::greeting`] first.
    pub fn admit(&mut self, key: PeerKey, arrival: Arrival) {
        self.stand(key, arrival.stream, arrival.from);
    }

    /// Puts a message in line; it is written by the next [`drive`](Self::drive).
    pub fn send(&mut self, key: PeerKey, message: Bytes) {
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.push(message);
            self.full.insert(key);
        }
    }

    /// How many more bytes a peer's line takes now.
    pub fn room(&self, key: PeerKey) -> usize {
        self.line(key).0
    }

    /// The same, and how many bytes it has of before.
    pub fn line(&self, key: PeerKey) -> (usize, usize) {
        let line = self.connections.get(&key);
        line.map_or((0, 0), |line| (line.room(), line.unsent()))
    }

    /// Reads what a peer sent, at most what the buffer holds; 0 if there is nothing more for now.
    pub fn read(&mut self, key: PeerKey, buffer: &mut [u8]) -> usize {
        let Some(connection) = self.connections.get_mut(&key) else {
            return 0;
        };
        match connection.read(buffer) {
            Ok(None) => 0,
            Ok(Some(0)) => self.lose(key, "it hung up".to_owned()),
            Ok(Some(read)) => read,
            Err(e) => self.lose(key, e.to_string()),
        }
    }

    /// Has [`TcpEvent::Readable`] said once more: somebody else's turn first.
    pub fn read_later(&self, key: PeerKey) {
        if let Some(connection) = self.connections.get(&key) {
            connection.ring();
        }
    }

    /// Hangs up, or gives a call up; what was sent last is still tried.
    pub fn close(&mut self, key: PeerKey) {
        self.called.remove(&key);
        self.full.remove(&key);
        if let Some(mut connection) = self.connections.remove(&key) {
            // Whether it still hears us is its affair.
            let _ = connection.flush();
        }
    }

    /// What happened, until there is nothing more to tell.
    pub fn poll_event(&mut self) -> Option<TcpEvent> {
        self.events.pop_front()
    }

    /// Writes what was sent, then waits until there is something for [`poll_event`](Self::poll_event).
    /// May be dropped at any time.
    pub async fn drive(&mut self) {
        self.flush();
        while self.events.is_empty() {
            let accepts = self.greeting.len() < MAX_GREETING;
            tokio::select! {
                rung = self.ready.rung() => self.look_at(rung),
                Some(done) = self.greeting.join_next() => {
                    // A task of ours that failed is a caller that is gone.
                    if let Ok(Some(arrival)) = done {
                        self.events.push_back(TcpEvent::Arrived(arrival));
                    }
                }
                Some(done) = self.dialling.join_next() => {
                    if let Ok((key, to, stream)) = done {
                        self.dialled(key, to, stream);
                    }
                }
                (stream, from) = accept(self.listener.as_ref()), if accepts => {
                    if self.is_welcome(from.ip()) {
                        self.greeting.spawn(greet(stream, from));
                    }
                }
            }
        }
    }

    fn flush(&mut self) {
        for key in std::mem::take(&mut self.full) {
            self.flush_one(key);
        }
    }

    fn flush_one(&mut self, key: PeerKey) {
        let Some(connection) = self.connections.get_mut(&key) else {
            return;
        };
        match connection.flush() {
            Ok(0) => {}
            Ok(_) => self.events.push_back(TcpEvent::Writable(key)),
            Err(e) => {
                self.lose(key, e.to_string());
            }
        }
    }

    /// Something is new at these: bytes, or room.
    fn look_at(&mut self, rung: Vec<PeerKey>) {
        for key in rung {
            self.flush_one(key);
            if self.connections.contains_key(&key) {
                self.events.push_back(TcpEvent::Readable(key));
            }
        }
    }

    fn dialled(&mut self, key: PeerKey, to: SocketAddr, stream: io::Result<TcpStream>) {
        if !self.called.remove(&key) {
            return;
        }
        match stream {
            Ok(stream) => {
                self.stand(key, stream, to);
                self.events.push_back(TcpEvent::Opened(key));
            }
            Err(e) => {
                let closed = TcpEvent::Closed(key, e.to_string());
                self.events.push_back(closed);
            }
        }
    }

    fn stand(&mut self, key: PeerKey, stream: TcpStream, peer: SocketAddr) {
        // Small requests should not wait for more of them; where that cannot be set they do.
        let _ = stream.set_nodelay(true);
        let connection = Connection::new(stream, peer.ip(), self.ready.bell(key));
        connection.ring();
        self.connections.insert(key, connection);
    }

    fn is_welcome(&self, ip: IpAddr) -> bool {
        let all = self.connections.len() + self.called.len() + self.greeting.len();
        let same = self.connections.values().filter(|other| other.ip == ip);
        all < self.config.max_connections && same.count() < self.config.max_per_ip
    }

    /// Forgets a connection that ended; nothing was read.
    fn lose(&mut self, key: PeerKey, reason: String) -> usize {
        self.connections.remove(&key);
        self.full.remove(&key);
        self.events.push_back(TcpEvent::Closed(key, reason));
        0
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(at)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// The next caller; waits for ever without a listener.
async fn accept(listener: Option<&TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // It hung up already, or the process has no file left.
            Err(_) => sleep(REST).await,
        }
    }
}

/// Reads which torrent a caller means; `None` if it does not say.
async fn greet(mut stream: TcpStream, from: SocketAddr) -> Option<Arrival> {
    let mut greeting = [0; GREETING];
    let read = timeout(GREET_WITHIN, stream.read_exact(&mut greeting)).await;
    read.ok()?.ok()?;
    Some(Arrival {
        from,
        greeting,
        stream,
    })
}
