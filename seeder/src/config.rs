//! What the flags mean together: one checked value a command, so that nobody checks twice.

mod address;
mod get;
mod list;
mod seed;
mod track;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;

use crate::cli::{CreateArgs, MakeArgs};
use crate::error::{Error, Result};
pub use address::address_of;
pub use get::{Get, Given, To, webrtc_for};
pub use seed::{Entry, Seed};
pub use track::Track;

/// Shortest piece: a block.
const MIN_PIECE: u64 = 16 << 10;

/// Longest piece a browser accepts.
const MAX_PIECE: u64 = 16 << 20;

/// Most trackers of a torrent.
const MAX_TRACKERS: usize = 32;

/// Most web seeds of a torrent.
const MAX_WEB_SEEDS: usize = 16;

/// Which BitTorrent a torrent speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    /// v1 and v2 in one.
    Hybrid,
    /// v1 alone.
    V1,
    /// v2 alone.
    V2,
}

impl Version {
    /// Whether it has v1 piece hashes.
    pub const fn has_v1(self) -> bool {
        matches!(self, Self::Hybrid | Self::V1)
    }

    /// Whether it has v2 hash trees.
    pub const fn has_v2(self) -> bool {
        matches!(self, Self::Hybrid | Self::V2)
    }
}

/// How torrents are made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Make {
    /// Which BitTorrent.
    pub version: Version,
    /// Bytes a piece, where the person chose.
    pub piece_length: Option<u32>,
    /// The torrent's name, where the person chose.
    pub name: Option<String>,
    /// To be written into the torrent.
    pub trackers: Vec<String>,
    /// To be written into the torrent.
    pub web_seeds: Vec<String>,
    /// To be written into the torrent.
    pub comment: Option<String>,
    /// BEP 27.
    pub private: bool,
}

/// `headwater create`, checked.
#[derive(Clone, Debug)]
pub struct Create {
    /// What to hash.
    pub path: PathBuf,
    /// Where to write; in the working folder under the torrent's name if `None`.
    pub out: Option<PathBuf>,
    /// How.
    pub make: Make,
    /// One JSON object instead of words.
    pub json: bool,
}

/// Where ordinary BitTorrent clients call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tcp {
    /// There, or nowhere.
    At(SocketAddr),
    /// At this address, by preference under the port number of WebRTC.
    Beside(IpAddr),
}

impl Create {
    /// Checks the flags.
    pub fn new(args: CreateArgs) -> Result<Self> {
        let mut make = Make::new(args.make, args.trackers)?;
        for seed in &args.web_seeds {
            check_url(seed, &["http", "https"], "a web seed")?;
        }
        at_most(args.web_seeds.len(), MAX_WEB_SEEDS, "web seeds")?;
        make.web_seeds = args.web_seeds;
        make.comment = args.comment;
        make.private = args.private;
        Ok(Self {
            path: args.path,
            out: args.out,
            make,
            json: args.json,
        })
    }
}

impl Make {
    fn new(args: MakeArgs, trackers: Vec<String>) -> Result<Self> {
        let version = match (args.v1, args.v2) {
            (true, _) => Version::V1,
            (_, true) => Version::V2,
            _ => Version::Hybrid,
        };
        let piece_length = args.piece_length.map(checked_piece_length).transpose()?;
        trackers.iter().try_for_each(|url| check_tracker(url))?;
        at_most(trackers.len(), MAX_TRACKERS, "trackers")?;
        let name = args.name.map(checked_name).transpose()?;
        let (web_seeds, comment, private) = Default::default();
        Ok(Self {
            version,
            piece_length,
            name,
            trackers,
            web_seeds,
            comment,
            private,
        })
    }
}

/// Whether we can announce to this tracker: WebRTC peers meet over WebSockets alone.
pub fn is_websocket(tracker: &str) -> bool {
    scheme(tracker).is_some_and(|scheme| ["ws", "wss"].contains(&scheme.as_str()))
}

/// Whether ordinary BitTorrent clients are met at this tracker.
pub fn is_http(tracker: &str) -> bool {
    scheme(tracker).is_some_and(|scheme| ["http", "https"].contains(&scheme.as_str()))
}

/// The site at an address we are bound to.
pub fn site_of(bound: SocketAddr) -> String {
    format!(
        "http://{}",
        SocketAddr::new(tellable(bound.ip()), bound.port())
    )
}

/// `http://…` of the site as the same address of its tracker.
pub fn tracker_of(site: &str) -> String {
    // http becomes ws, https becomes wss.
    format!("ws{}/announce", site.trim_start_matches("http"))
}

/// An address others can be told: for "all addresses" the one that leads out of this machine.
fn tellable(ip: IpAddr) -> IpAddr {
    if !ip.is_unspecified() {
        return ip;
    }
    // Connecting a UDP socket sends nothing; it only asks the system which way it would go.
    let probe = UdpSocket::bind((ip, 0)).and_then(|socket| {
        let towards: IpAddr = match ip {
            IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 1).into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        };
        socket.connect((towards, 9))?;
        socket.local_addr()
    });
    probe.map_or(Ipv4Addr::LOCALHOST.into(), |address| address.ip())
}

fn checked_piece_length(length: u64) -> Result<u32> {
    let sound = length.is_power_of_two() && (MIN_PIECE..=MAX_PIECE).contains(&length);
    sound.then_some(length as u32).ok_or_else(|| {
        Error::Usage(format!(
            "a piece of {length} bytes is not possible; choose a power of two from 16KiB to 16MiB"
        ))
    })
}

fn checked_name(name: String) -> Result<String> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
        return Err(Error::Usage(format!(
            "`{name}` cannot be the name of a torrent; choose one without slashes"
        )));
    }
    Ok(name)
}

fn check_tracker(url: &str) -> Result<()> {
    check_url(url, &["ws", "wss", "http", "https", "udp"], "a tracker")
}

fn checked_site(url: &str, what: &str) -> Result<String> {
    check_url(url, &["http", "https"], what)?;
    Ok(url.trim_end_matches('/').to_owned())
}

fn check_url(url: &str, schemes: &[&str], what: &str) -> Result<()> {
    let host = url.split_once("://").map_or("", |(_, rest)| rest);
    let sound = scheme(url).is_some_and(|scheme| schemes.contains(&scheme.as_str()))
        && !host.is_empty()
        && !host.starts_with(['/', ':'])
        && !url.contains(|c: char| c.is_whitespace() || c.is_control());
    if sound {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "`{url}` cannot be {what}; it should begin with {}://",
        schemes.join(":// or ")
    )))
}

fn scheme(url: &str) -> Option<String> {
    url.split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase())
}

fn at_most(count: usize, limit: usize, what: &str) -> Result<()> {
    if count <= limit {
        Ok(())
    } else {
        Err(Error::Usage(format!(
            "{count} {what} are too many; {limit} is the most"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tracker_of_a_site_keeps_its_security() {
        assert_eq!(
            tracker_of("http://127.0.0.1:8080"),
            "ws://127.0.0.1:8080/announce"
        );
        assert_eq!(
            tracker_of("https://films.example"),
            "wss://films.example/announce"
        );
    }

    #[test]
    fn urls_are_of_the_schemes_they_must_be() {
        for url in ["ws://a", "WSS://a/b?c", "udp://a:1"] {
            assert!(check_url(url, &["ws", "wss", "udp"], "x").is_ok(), "{url}");
        }
        for url in ["", "a", "ftp://a", "ws://", "ws:///a", "ws://a b", "ws:a"] {
            assert!(check_url(url, &["ws", "wss", "udp"], "x").is_err(), "{url}");
        }
    }

    #[test]
    fn piece_lengths_are_powers_of_two_within_bounds() {
        for length in [16 << 10, 256 << 10, 16 << 20] {
            assert!(checked_piece_length(length).is_ok());
        }
        for length in [0, 1, 8 << 10, (16 << 10) + 1, 32 << 20, u64::MAX] {
            assert!(checked_piece_length(length).is_err());
        }
    }
}
