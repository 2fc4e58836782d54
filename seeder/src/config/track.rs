//! What the tracker's flags mean.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use headwater_core::ids::{InfoHashV2, SwarmHash};
use headwater_core::tracker::server::{Listing, ServerConfig};

use super::checked_site;
use crate::cli::TrackArgs;
use crate::error::{Error, Result};
use crate::tracker::{TlsFiles, TrackerConfig};

/// `headwater track`, checked.
#[derive(Clone, Debug)]
pub struct Track {
    /// HTTP.
    pub listen: SocketAddr,
    /// Everything else about it, but its luck.
    pub tracker: TrackerConfig,
    /// How long going away may take.
    pub drain: Duration,
    /// One JSON line instead of words.
    pub json: bool,
}

impl Track {
    /// Checks the flags, and reads the lists they name.
    pub fn new(args: TrackArgs) -> Result<Self> {
        let origins = args
            .origins
            .iter()
            .map(|origin| checked_site(origin, "an origin"));
        let listing = match (&args.allow, &args.deny) {
            (Some(file), _) => Listing::Only(hashes_in(file)?),
            (_, Some(file)) => Listing::AllBut(hashes_in(file)?),
            _ => Listing::All,
        };
        let limits = args.limits;
        let server = ServerConfig {
            interval: limits.interval.into(),
            plain_interval: Duration::from_secs(limits.http_interval).into(),
            max_plain: limits.max_http_peers,
            max_swarms: limits.max_swarms,
            max_newcomers: limits.max_newcomers,
            max_offers_received_from_one: limits.max_offers_from_one,
            listing,
            // Both are the platform's luck.
            node: None,
            seed: 0,
        };
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let tls = args.tls_cert.zip(args.tls_key);
        let tracker = TrackerConfig {
            server,
            origins: origins.collect::<Result<_>>()?,
            proxies: args.proxies,
            cluster: args.cluster,
            is_local: args.listen.ip().is_loopback(),
            tls: tls.map(|(certificate, key)| TlsFiles { certificate, key }),
            threads: args.threads.unwrap_or_else(cores),
            max_connections: limits.max_connections,
            max_connections_per_address: limits.max_connections_per_address,
            max_waiting: limits.max_waiting as usize,
            bytes_per_second: limits.bytes_per_second as usize,
            bytes_at_once: limits.bytes_at_once as usize,
            header_timeout: Duration::from_secs(limits.header_timeout),
            first_message_timeout: Duration::from_secs(limits.first_message_timeout),
            ping_after: Duration::from_secs(limits.ping_after),
            ping_timeout: Duration::from_secs(limits.ping_timeout),
        };
        Ok(Self {
            listen: args.listen,
            tracker,
            drain: Duration::from_secs(args.drain),
            json: args.json,
        })
    }
}

/// Info hashes, one a line in hex; of a v2 one the first 20 bytes count. `#` begins a remark.
fn hashes_in(file: &Path) -> Result<BTreeSet<SwarmHash>> {
    let text = std::fs::read_to_string(file)
        .map_err(|e| Error::Other(format!("{}: {e}", file.display())))?;
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let named = lines.filter(|line| !line.is_empty()).map(|line| {
        let v2 = || InfoHashV2::from_hex(line).map(SwarmHash::from);
        SwarmHash::from_hex(line).or_else(v2).ok_or_else(|| {
            Error::Usage(format!(
                "{}: `{line}` is no info hash, 40 or 64 hex digits",
                file.display()
            ))
        })
    });
    named.collect()
}
