//! The endpoint: peers by key, one socket, one loop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_core::ids::PeerKey;

use super::dtls::Identity;
use super::mux::Mux;
use super::peer::{Peer, PeerEvent, Shared};
use super::sdp::Description;
use super::socket::Socket;
use super::{EndpointConfig, Error};

/// Receive calls of one turn; then the peers have their say.
const RECEIVES_PER_TURN: usize = 4;
/// Sleep when no peer wants to be woken.
const IDLE: Duration = Duration::from_secs(60);

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndpointEvent {
    /// The data channel is open.
    Opened(PeerKey),
    /// One message.
    Received(PeerKey, Bytes),
    /// The channel takes this many more bytes now (replaces what was said before).
    Writable(PeerKey, usize),
    /// The connection is over, and why; the key is free again. Not said after
    /// [`Endpoint::close`].
    Closed(PeerKey, String),
}

/// One connection's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerStats {
    /// Bytes of UDP payload received.
    pub wire_received: u64,
    /// Bytes of UDP payload sent.
    pub wire_sent: u64,
    /// Bytes given to [`Endpoint::send`] and not yet acknowledged.
    pub unacknowledged: usize,
    /// Most bytes that may be unacknowledged, as it stands.
    pub send_cap: usize,
    /// Shortest recent round trip of a message in microseconds, 0 until known.
    pub rtt_micros: u64,
}

/// All connections of this process over one UDP port.
pub struct Endpoint {
    socket: Socket,
    local: SocketAddr,
    shared: Shared,
    max_peers: usize,
    peers: BTreeMap<PeerKey, Peer>,
    mux: Mux,
    timers: BTreeSet<(Instant, PeerKey)>,
    /// Peers whose stack has something to say.
    queued: VecDeque<PeerKey>,
    events: VecDeque<EndpointEvent>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("local", &self.local)
            .field("peers", &self.peers.len())
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Binds the port and makes this process's certificate; needs a tokio runtime with I/O and
    /// time.
    pub fn bind(config: EndpointConfig) -> io::Result<Self> {
        let socket = Socket::bind(SocketAddr::new(config.ip, config.port))?;
        let local = socket.local_addr()?;
        let ip = config.advertised.unwrap_or(config.ip);
        if ip.is_unspecified() {
            let what = "peers need an address to reach, not the unspecified one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let shared = Shared {
            identity: Identity::new().map_err(io::Error::other)?,
            advertised: SocketAddr::new(ip, local.port()),
            room: u32::try_from(socket.room()).unwrap_or(u32::MAX),
            lite: config.lite,
        };
        Ok(Self {
            socket,
            local,
            shared,
            max_peers: config.max_peers,
            peers: BTreeMap::new(),
            mux: Mux::default(),
            timers: BTreeSet::new(),
            queued: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// A new connection's offer: complete SDP, no trickle.
    pub fn make_offer(&mut self, key: PeerKey) -> Result<String, Error> {
        let (mut peer, _) = self.new_peer(key)?;
        let offer = peer.make_offer();
        Ok(self.admit(peer, &offer))
    }

    /// Answers a remote's offer with complete SDP.
    pub fn accept_offer(&mut self, key: PeerKey, sdp: &str) -> Result<String, Error> {
        let offer = Description::parse(sdp, self.shared.advertised.ip())?;
        let (mut peer, now) = self.new_peer(key)?;
        let answer = peer.accept_offer(now, &offer)?;
        Ok(self.admit(peer, &answer))
    }

    /// Takes the answer to an offer we made.
    pub fn apply_answer(&mut self, key: PeerKey, sdp: &str) -> Result<(), Error> {
        let answer = Description::parse(sdp, self.shared.advertised.ip())?;
        let peer = self.peers.get_mut(&key).ok_or(Error::UnknownPeer)?;
        peer.apply_answer(Instant::now(), &answer)?;
        self.queue(key);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn open_extra_channels(&mut self, key: PeerKey, count: usize) {
        let peer = self.peers.get_mut(&key).expect("a connected peer");
        peer.open_extra_channels(count);
        self.queue(key);
    }

    fn new_peer(&self, key: PeerKey) -> Result<(Peer, Instant), Error> {
        if self.peers.contains_key(&key) {
            return Err(Error::KeyInUse);
        }
        if self.peers.len() >= self.max_peers {
            return Err(Error::TooManyPeers);
        }
        let now = Instant::now();
        Ok((Peer::new(key, &self.shared, now)?, now))
    }

    fn admit(&mut self, peer: Peer, description: &Description) -> String {
        let key = peer.key;
        self.mux.add(key, &description.ufrag);
        self.peers.insert(key, peer);
        self.queue(key);
        description.to_sdp()
    }

    /// Sends one message of at most [`super::MAX_MESSAGE`] bytes; nothing if there is no such
    /// open channel.
    pub fn send(&mut self, key: PeerKey, message: Bytes) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.send(Instant::now(), message);
            self.queue(key);
        }
    }

    /// Bytes the channel takes now; 0 if there is no such open channel.
    pub fn room(&self, key: PeerKey) -> usize {
        self.line(key).0
    }

    /// The same, and how many bytes that it took are unacknowledged.
    pub fn line(&self, key: PeerKey) -> (usize, usize) {
        let peer = self.peers.get(&key);
        peer.map_or((0, 0), |peer| (peer.room(), peer.unacknowledged()))
    }

    /// Ends a connection, telling the remote at once; nothing if there is none.
    pub fn close(&mut self, key: PeerKey) {
        if let Some(mut peer) = self.peers.remove(&key) {
            peer.close(Instant::now());
            while let Some((to, datagram)) = peer.poll_datagram(Instant::now()) {
                self.socket.push(to, &datagram);
            }
            self.socket.flush();
            self.mux.remove(key);
            if let Some(at) = peer.timer {
                self.timers.remove(&(at, key));
            }
        }
    }

    /// What happened next, if anything did.
    pub fn poll_event(&mut self) -> Option<EndpointEvent> {
        self.events.pop_front()
    }

    /// One connection's figures.
    pub fn stats(&self, key: PeerKey) -> Option<PeerStats> {
        let peer = self.peers.get(&key)?;
        Some(PeerStats {
            wire_received: peer.wire_received,
            wire_sent: peer.wire_sent,
            unacknowledged: peer.cap.unacknowledged(),
            send_cap: peer.cap.bytes(),
            rtt_micros: peer.cap.round_trip().map_or(0, |t| t.as_micros() as u64),
        })
    }

    /// Waits for the socket or a timer and does what is due. Returns when there are events.
    ///
    /// Cancel-safe: what it has taken in stays in the endpoint. Call [`Self::poll_event`] until
    /// it is empty before calling this again.
    pub async fn drive(&mut self) {
        loop {
            self.work();
            if !self.events.is_empty() {
                return;
            }
            // The stacks are not Sync, so only the socket is borrowed while waiting.
            let next = self.next_work();
            wait(&self.socket, next).await;
            self.receive();
        }
    }

    fn next_work(&self) -> Instant {
        let now = Instant::now();
        if !self.queued.is_empty() && !self.socket.is_congested() {
            return now;
        }
        let next = self.timers.first().map(|(at, _)| *at);
        next.unwrap_or(now + IDLE)
    }

    fn receive(&mut self) {
        let now = Instant::now();
        for _ in 0..RECEIVES_PER_TURN {
            let (peers, mux, queued) = (&mut self.peers, &self.mux, &mut self.queued);
            let any = self.socket.receive(|from, datagram| {
                let peer = mux
                    .route(from, datagram)
                    .and_then(|key| peers.get_mut(&key));
                if let Some(peer) = peer {
                    peer.handle_datagram(now, from, datagram);
                    if !std::mem::replace(&mut peer.is_queued, true) {
                        queued.push_back(peer.key);
                    }
                }
            });
            if !any {
                break;
            }
        }
    }

    /// One turn: what timers and queued peers have to say, each once.
    fn work(&mut self) {
        let now = Instant::now();
        while let Some(&(at, key)) = self.timers.first()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.timer = None;
                peer.handle_timeout(now);
                self.queue(key);
            }
        }
        self.socket.flush();
        for _ in 0..self.queued.len() {
            if self.socket.is_congested() {
                return;
            }
            if let Some(key) = self.queued.pop_front() {
                self.pump(now, key);
            }
        }
        self.socket.flush();
    }

    /// Takes all that one peer's stack has to say.
    fn pump(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else {
            return;
        };
        peer.is_queued = false;
        let mut closed = None;
        while let Some(event) = peer.poll_event(now) {
            match event {
                PeerEvent::Closed(why) => closed = Some(why),
                PeerEvent::Opened => self.events.push_back(EndpointEvent::Opened(key)),
                PeerEvent::Received(message) => {
                    self.events.push_back(EndpointEvent::Received(key, message));
                }
            }
        }
        if let Some(why) = closed {
            self.close(key);
            self.events.push_back(EndpointEvent::Closed(key, why));
            return;
        }
        while let Some((to, datagram)) = peer.poll_datagram(now) {
            self.mux.sent(key, to, &datagram);
            self.socket.push(to, &datagram);
        }
        peer.observe(now);
        let room = peer.room();
        // With a cap that shrank there may be less room than was told, and still nothing under way.
        let is_idle = peer.unacknowledged() == 0;
        let was_idle = std::mem::replace(&mut peer.told_idle, is_idle);
        if room > peer.told_room || (is_idle && !was_idle) {
            peer.told_room = room;
            self.events.push_back(EndpointEvent::Writable(key, room));
        }
        let timer = peer.poll_timeout();
        if timer != peer.timer {
            if let Some(at) = std::mem::replace(&mut peer.timer, timer) {
                self.timers.remove(&(at, key));
            }
            if let Some(at) = timer {
                self.timers.insert((at, key));
            }
        }
    }

    fn queue(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(&key)
            && !std::mem::replace(&mut peer.is_queued, true)
        {
            self.queued.push_back(key);
        }
    }
}

async fn wait(socket: &Socket, until: Instant) {
    tokio::select! {
        biased;
        _ = socket.ready() => {}
        () = tokio::time::sleep_until(until.into()) => {}
    }
}
