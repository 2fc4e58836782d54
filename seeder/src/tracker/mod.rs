//! The tracker on the network: WebSockets and HTTP around the core's [`Tracker`].
//!
//! One lock around the logic; a few threads, each with sockets of its own, that read and decode
//! before they take it. Who is introduced to whom is the core's; here are sockets, how long they
//! may be silent, how much may wait for them, and who may open them.

mod cluster;
mod config;
mod embedded;
mod frame;
mod mail;
mod metrics;
mod plain;
mod reply;
mod slots;
mod socket;
mod tls;
mod web;
mod worker;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster::Cluster;
pub use cluster::RedisAddress;
pub use config::{TlsFiles, TrackerConfig};
pub use embedded::router;
use headwater_core::ids::{PeerId, SwarmHash};
use headwater_core::time::Instant;
use headwater_core::tracker::message::Counts;
use headwater_core::tracker::server::{
    Abroad, Drawn, Input, Output, PlainAnnounce, PlainResponse, Shares, Stats, Tracker,
};
use mail::{Mail, Mailbox};
pub(crate) use plain::unescaped;
use slots::{MAX_THREADS, thread_of};
use tls::Tls;
use worker::Unbound;

/// Sockets over the limit that are told so; more are closed without a word.
const TOLD: usize = 64;

/// How often the leaving look whether all have gone.
const LOOK: Duration = Duration::from_millis(10);

/// The tracker, to be shared. It ends with the last of these.
#[derive(Clone, Debug)]
pub struct TrackerHandle(Arc<Running>);

#[derive(Debug)]
struct Running(Arc<Shared>);

/// What its threads share.
pub(super) struct Shared {
    config: Arc<TrackerConfig>,
    tls: Option<Tls>,
    cluster: Option<Arc<Cluster>>,
    started: std::time::Instant,
    tracker: Mutex<Tracker>,
    mailboxes: Vec<Arc<Mailbox>>,
    next: AtomicUsize,
    /// Sockets, whatever they are.
    open: AtomicUsize,
    /// WebSockets.
    admitted: Mutex<Admitted>,
    is_draining: AtomicBool,
}

#[derive(Debug, Default)]
struct Admitted {
    count: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl TrackerHandle {
    /// A tracker that gets its WebSockets from [`router`]. Its `server.seed` should be the
    /// platform's luck.
    ///
    /// # Errors
    /// If the system gives no threads or no way to wait for sockets.
    pub fn new(config: TrackerConfig) -> io::Result<Self> {
        Self::start(config, None)
    }

    /// A tracker with a port of its own.
    ///
    /// # Errors
    /// The same, or if the certificate cannot be read.
    pub fn listen(config: TrackerConfig, listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::start(config, Some(mio::net::TcpListener::from_std(listener)))
    }

    fn start(config: TrackerConfig, listener: Option<mio::net::TcpListener>) -> io::Result<Self> {
        let tls = config.tls.clone().map(Tls::new).transpose();
        let tls = tls.map_err(io::Error::other)?;
        let mut listener = listener;
        let threads = 0..config.threads.clamp(1, MAX_THREADS);
        let workers: Vec<_> = threads
            .map(|number| Unbound::new(number, listener.take()))
            .collect::<io::Result<_>>()?;
        let cluster = config.server.node.zip(config.cluster.clone());
        let shared = Arc::new(Shared {
            tls,
            cluster: cluster.map(|(node, address)| Arc::new(Cluster::new(node, address))),
            started: std::time::Instant::now(),
            tracker: Mutex::new(Tracker::new(config.server.clone())),
            config: Arc::new(config),
            mailboxes: workers.iter().map(|one| Arc::clone(&one.mailbox)).collect(),
            next: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            admitted: Mutex::default(),
            is_draining: AtomicBool::new(false),
        });
        let handle = Self(Arc::new(Running(Arc::clone(&shared))));
        if let Some(cluster) = &shared.cluster {
            cluster.start(&shared)?;
        }
        for worker in workers {
            let worker = worker.bind(Arc::clone(&shared))?;
            let thread = std::thread::Builder::new().name("tracker".to_owned());
            thread.spawn(move || worker.run())?;
        }
        Ok(handle)
    }

    /// What it has, and what it has done.
    pub fn stats(&self) -> Stats {
        self.shared().stats()
    }

    /// Sockets that are open, whatever they are.
    pub fn sockets(&self) -> usize {
        self.shared().sockets()
    }

    /// All its counters as Prometheus reads them.
    pub fn exposition(&self) -> String {
        metrics::exposition(&self.stats(), self.sockets())
    }

    /// Take nobody in any more, and send all away, a few at a time, within `during`. Blocks until
    /// they are gone or that has passed.
    pub fn drain(&self, during: Duration) {
        let shared = self.shared();
        shared.is_draining.store(true, Ordering::Relaxed);
        let until = std::time::Instant::now() + during;
        for thread in 0..shared.mailboxes.len() {
            shared.post(thread, [Mail::Drain(until)]);
        }
        while self.sockets() > 0 && std::time::Instant::now() < until {
            std::thread::sleep(LOOK);
        }
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.cluster.iter().for_each(|cluster| cluster.end());
        for thread in 0..self.0.mailboxes.len() {
            self.0.post(thread, [Mail::Stop]);
        }
    }
}

impl Shared {
    fn stats(&self) -> Stats {
        self.tracker().stats()
    }

    fn sockets(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Tell the tracker, and take what it wants done.
    fn tell(&self, input: Input<'_>, outputs: &mut VecDeque<Output>) {
        let now = self.now();
        let mut tracker = self.tracker();
        tracker.handle_input(now, input);
        while let Some(output) = tracker.poll_output() {
            outputs.push_back(output);
        }
    }

    /// Have done what the tracker wants done.
    fn deliver(&self, outputs: &mut VecDeque<Output>) {
        for output in outputs.drain(..) {
            match output {
                Output::Close(key, reason) => self.post(thread_of(key), [Mail::Close(key, reason)]),
                Output::Relay(to, swarm, text) => {
                    if let Some(cluster) = &self.cluster {
                        cluster.relay(to, swarm, text);
                    }
                }
                Output::Send(key, text) => self.post(thread_of(key), [Mail::Send(key, text)]),
            }
        }
    }

    fn tell_time(&self, outputs: &mut VecDeque<Output>) {
        let timeout = self.tracker().poll_timeout();
        if timeout.is_some_and(|timeout| timeout <= self.now()) {
            self.tell(Input::TimedOut, outputs);
        }
    }

    fn arrive_plain(&self, announce: &PlainAnnounce) -> Result<Option<PeerId>, &'static str> {
        let now = self.now();
        self.tracker().arrive_plain(now, announce)
    }

    fn announce_plain(
        &self,
        announce: &PlainAnnounce,
        shares: &Shares,
        drawn: &Drawn,
    ) -> Result<PlainResponse, &'static str> {
        let (now, nobody) = (self.now(), Abroad::default());
        let abroad = shares.get(&announce.info_hash).unwrap_or(&nobody);
        let mut tracker = self.tracker();
        tracker.announce_plain_among(now, announce, abroad, drawn)
    }

    fn scrape(&self, hashes: &[SwarmHash], shares: &Shares) -> Vec<Counts> {
        self.tracker().scrape(hashes, shares)
    }

    /// Whether one more socket is taken at all.
    fn open_one(&self) -> bool {
        let most = self.config.max_connections + TOLD;
        let is_room = self.open.fetch_add(1, Ordering::Relaxed) < most;
        if !is_room {
            self.close_one();
        }
        is_room
    }

    fn close_one(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether one more WebSocket is taken, for this client.
    fn admit(&self, client: IpAddr) -> bool {
        let mut admitted = self.admitted();
        if admitted.count >= self.config.max_connections {
            return false;
        }
        if !client.is_loopback() {
            let count = admitted.by_address.entry(client).or_default();
            if *count >= self.config.max_connections_per_address {
                return false;
            }
            *count += 1;
        }
        admitted.count += 1;
        true
    }

    fn dismiss(&self, client: IpAddr) {
        let mut admitted = self.admitted();
        admitted.count -= 1;
        if let Some(count) = admitted.by_address.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                admitted.by_address.remove(&client);
            }
        }
    }

    fn next_thread(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed) % self.mailboxes.len()
    }

    fn post(&self, thread: usize, mail: impl IntoIterator<Item = Mail>) {
        if let Some(mailbox) = self.mailboxes.get(thread) {
            mailbox.post(mail);
        }
    }

    fn now(&self) -> Instant {
        Instant::START + self.started.elapsed()
    }

    fn tracker(&self) -> MutexGuard<'_, Tracker> {
        self.tracker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admitted(&self) -> MutexGuard<'_, Admitted> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
