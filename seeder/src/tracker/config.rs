//! How the tracker treats its sockets: every limit with its default and its price.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use headwater_core::tracker::server::ServerConfig;

use super::cluster::RedisAddress;

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
    /// Whether it listens for this machine alone, and so knows no name of it but local ones.
    pub is_local: bool,
    /// Where it shares its swarms with other trackers, `server.node` being its name among them.
    pub cluster: Option<RedisAddress>,
    /// TLS for its own port.
    pub tls: Option<TlsFiles>,
    /// Threads that serve sockets.
    pub threads: usize,
    /// Sockets in all, about 1 KiB each while idle.
    pub max_connections: usize,
    /// Sockets from one address, this machine's own excepted.
    pub max_connections_per_address: usize,
    /// Bytes that may wait for a socket to read them; past that it is closed.
    pub max_waiting: usize,
    /// Bytes a second one socket is read at.
    pub bytes_per_second: usize,
    /// How many at once: a page that announces hundreds of torrents when it opens is served at
    /// once, one that never stops is slowed down.
    pub bytes_at_once: usize,
    /// A request has this long to say its head.
    pub header_timeout: Duration,
    /// A WebSocket that opened has this long to say something.
    pub first_message_timeout: Duration,
    /// Pause after which a silent WebSocket is pinged.
    pub ping_after: Duration,
    /// How long a pinged WebSocket may stay silent, or one that is sent to not take it.
    pub ping_timeout: Duration,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            server: ServerConfig::default(),
            origins: Vec::new(),
            proxies: Vec::new(),
            is_local: false,
            cluster: None,
            tls: None,
            threads: 1,
            max_connections: 1 << 16,
            max_connections_per_address: 256,
            max_waiting: 256 << 10,
            bytes_per_second: 64 << 10,
            bytes_at_once: 1 << 20,
            header_timeout: Duration::from_secs(10),
            first_message_timeout: Duration::from_secs(15),
            ping_after: Duration::from_secs(30),
            ping_timeout: Duration::from_secs(15),
        }
    }
}

/// Where certificate and key are, as PEM. They are looked at again now and then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}
