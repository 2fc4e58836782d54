//! The tracker on the network: WebSockets around the core's [`headwater_core::tracker::server::Tracker`].
//!
//! One lock around the logic, one task a socket. Who is introduced to whom is the core's; here
//! are sockets, how long they may be silent, how much may wait for them, and who may open them.

mod connection;
mod outbox;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, State};
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use headwater_core::time::Instant;
use headwater_core::tracker::message::MAX_MESSAGE;
use headwater_core::tracker::server::{ConnKey, Input, Output, ServerConfig, Stats, Tracker};
use outbox::{Inbox, Outbox};
use tracing::debug;

/// Bytes read from a socket at once. Most sockets are idle: this is what they cost.
const READ_BUFFER: usize = 4 << 10;

/// How the tracker treats its sockets.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// How the tracker itself behaves.
    pub server: ServerConfig,
    /// Pages that may connect, by origin (`https://example.org`); empty for all. Programs that
    /// are not browsers send no origin, and may.
    pub origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpAddr>,
    /// Sockets in all, about 15 KiB each while idle.
    pub max_connections: usize,
    /// Sockets from one address, this machine's own excepted.
    pub max_connections_per_address: usize,
    /// A socket that opened has this long to say something.
    pub first_message_timeout: Duration,
    /// Pause after which a silent socket is pinged.
    pub ping_after: Duration,
    /// How long a pinged socket may stay silent, or one that is sent to not take it.
    pub ping_timeout: Duration,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            origins: Vec::new(),
            proxies: Vec::new(),
            max_connections: 1 << 14,
            max_connections_per_address: 256,
            first_message_timeout: Duration::from_secs(15),
            ping_after: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
        }
    }
}

/// The tracker, to be shared.
#[derive(Clone, Debug)]
pub struct TrackerHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: TrackerConfig,
    started: std::time::Instant,
    state: Mutex<Sockets>,
}

#[derive(Debug)]
struct Sockets {
    tracker: Tracker,
    open: BTreeMap<ConnKey, Outbox>,
    by_address: HashMap<IpAddr, usize>,
    next_key: u64,
}

impl TrackerHandle {
    /// A tracker with no sockets. Its `server.seed` should be the platform's luck.
    pub fn new(config: TrackerConfig) -> Self {
        let state = Mutex::new(Sockets {
            tracker: Tracker::new(config.server.clone()),
            open: BTreeMap::new(),
            by_address: HashMap::new(),
            next_key: 0,
        });
        Self(Arc::new(Shared {
            config,
            started: std::time::Instant::now(),
            state,
        }))
    }

    /// What it has, and what it has done.
    pub fn stats(&self) -> Stats {
        self.state().tracker.stats()
    }

    /// Answer a request to open a WebSocket, or say why not.
    pub fn upgrade(
        &self,
        upgrade: WebSocketUpgrade,
        headers: &HeaderMap,
        address: Option<IpAddr>,
    ) -> Response {
        if !self.is_origin_welcome(headers) {
            return (
                StatusCode::FORBIDDEN,
                "this page may not use this tracker\n",
            )
                .into_response();
        }
        let address = address.map(|address| self.client_of(address, headers));
        let Some((key, inbox)) = self.admit(address) else {
            return (StatusCode::SERVICE_UNAVAILABLE, "too many connections\n").into_response();
        };
        // From here on it is counted, and given back when this is dropped, wherever that happens.
        let admitted = Admitted {
            handle: self.clone(),
            key,
            address,
        };
        upgrade
            .read_buffer_size(READ_BUFFER)
            // Written through at once: what waits for a slow reader waits in its outbox, counted.
            .write_buffer_size(0)
            .max_write_buffer_size(outbox::MAX_WAITING + MAX_MESSAGE)
            // Twice as long can be read, so that what is too long is refused with a reason.
            .max_message_size(2 * MAX_MESSAGE)
            .max_frame_size(2 * MAX_MESSAGE)
            .on_upgrade(move |socket| connection::run(socket, admitted, inbox))
    }

    fn is_origin_welcome(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return true;
        };
        let allowed = &self.0.config.origins;
        allowed.is_empty()
            || allowed
                .iter()
                .any(|one| one.as_bytes() == origin.as_bytes())
    }

    /// Whom a socket is for: behind a proxy of ours, the last address it did not add itself.
    fn client_of(&self, address: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.0.config.proxies.contains(&address) {
            return address;
        }
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
        let last = forwarded
            .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        last.unwrap_or(address)
    }

    fn admit(&self, address: Option<IpAddr>) -> Option<(ConnKey, Inbox)> {
        let config = &self.0.config;
        let mut state = self.state();
        if state.open.len() >= config.max_connections {
            return None;
        }
        if let Some(address) = address.filter(|address| !address.is_loopback()) {
            let count = state.by_address.entry(address).or_default();
            if *count >= config.max_connections_per_address {
                return None;
            }
            *count += 1;
        }
        let key = ConnKey(state.next_key);
        state.next_key += 1;
        let (outbox, inbox) = outbox::outbox();
        state.open.insert(key, outbox);
        state
            .tracker
            .handle_input(self.now(), Input::Connected(key));
        Some((key, inbox))
    }

    fn received(&self, key: ConnKey, text: &str) {
        let mut state = self.state();
        state
            .tracker
            .handle_input(self.now(), Input::Received(key, text));
        self.deliver(&mut state);
    }

    fn closed(&self, key: ConnKey, address: Option<IpAddr>) {
        let mut state = self.state();
        state.open.remove(&key);
        if let Some(address) = address
            && let Some(count) = state.by_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                state.by_address.remove(&address);
            }
        }
        state.tracker.handle_input(self.now(), Input::Closed(key));
        self.deliver(&mut state);
    }

    fn deliver(&self, state: &mut Sockets) {
        while let Some(output) = state.tracker.poll_output() {
            match output {
                Output::Close(key, reason) => state.hang_up(key, reason),
                Output::Send(key, text) => {
                    if state
                        .open
                        .get(&key)
                        .is_some_and(|outbox| !outbox.push(text))
                    {
                        state.hang_up(key, "does not read what it is sent");
                        state.tracker.handle_input(self.now(), Input::Closed(key));
                    }
                }
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::START + self.0.started.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, Sockets> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sockets {
    /// Without an outbox, the socket's task sends what it still has, and ends.
    fn hang_up(&mut self, key: ConnKey, reason: &str) {
        if self.open.remove(&key).is_some() {
            debug!(connection = key.0, "closed: {reason}");
        }
    }
}

/// A socket that counts, until it is dropped.
#[derive(Debug)]
struct Admitted {
    handle: TrackerHandle,
    key: ConnKey,
    address: Option<IpAddr>,
}

impl Admitted {
    fn config(&self) -> &TrackerConfig {
        &self.handle.0.config
    }

    fn received(&self, text: &str) {
        self.handle.received(self.key, text);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.handle.closed(self.key, self.address);
    }
}

/// `/announce`, for WebSockets. Wants [`ConnectInfo`] in the request to count by address.
pub fn router(handle: TrackerHandle) -> Router {
    Router::new()
        .route("/announce", any(announce))
        .with_state(handle)
}

async fn announce(
    State(handle): State<TrackerHandle>,
    headers: HeaderMap,
    extensions: Extensions,
    upgrade: WebSocketUpgrade,
) -> Response {
    let address = extensions.get::<ConnectInfo<SocketAddr>>();
    handle.upgrade(
        upgrade,
        &headers,
        address.map(|ConnectInfo(address)| address.ip().to_canonical()),
    )
}

#[cfg(test)]
mod tests;
