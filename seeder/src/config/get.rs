//! `headwater get`, checked.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_core::metainfo::Magnet;

use super::{MAX_TRACKERS, MAX_WEB_SEEDS, Tcp, at_most, check_url, scheme, tellable};
use crate::cli::GetArgs;
use crate::error::{Error, Result};
use crate::keep::Out;
use crate::origin::Trust;

/// Least memory for a torrent: some pieces of the smallest kind.
const MIN_WINDOW: u64 = 1 << 20;

/// `headwater get`, checked.
#[derive(Clone, Debug)]
pub struct Get {
    /// What to get.
    pub given: Given,
    /// Where to.
    pub to: To,
    /// Whether to go on giving when all is there.
    pub seed: bool,
    /// Where players are served.
    pub serve: Option<SocketAddr>,
    /// The one file of a folder, by its path or the end of it.
    pub file: Option<String>,
    /// Bytes.
    pub window: u64,
    /// Besides those the torrent names.
    pub trackers: Vec<String>,
    /// Web servers the person named.
    pub origins: Vec<String>,
    /// Whether those that the torrent names are asked, and how far they are trusted.
    pub web_seeds: Option<Trust>,
    /// UDP, if the person chose.
    pub webrtc: Option<SocketAddr>,
    /// Whether ordinary BitTorrent is spoken, and where it listens, if the person chose.
    pub tcp: Option<Option<Tcp>>,
    /// Ordinary BitTorrent peers to be called.
    pub peers: Vec<SocketAddr>,
    /// Through whom the DHT is joined, if it is; the well-known nodes if nobody is named.
    pub dht: Option<Vec<String>>,
    /// Bytes a second.
    pub upload_limit: Option<u64>,
    /// How long to bear it that nothing arrives.
    pub patience: Option<Duration>,
    /// JSON lines.
    pub json: bool,
    /// Nothing but warnings and errors.
    pub quiet: bool,
}

/// What to get.
#[derive(Clone, Debug)]
pub enum Given {
    /// A .torrent file.
    File(PathBuf),
    /// A magnet link.
    Magnet(Box<Magnet>),
    /// The address of a .torrent file.
    Url(String),
}

/// Where the bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// To files.
    Disk(Out),
    /// To players alone, as they ask.
    Players,
    /// To whoever reads standard output, in order; no disk is touched.
    Stdout,
}

impl Get {
    /// Checks the flags.
    pub fn new(args: GetArgs) -> Result<Self> {
        for tracker in &args.trackers {
            check_url(tracker, &["ws", "wss", "http", "https"], "a tracker to ask")?;
        }
        at_most(args.trackers.len(), MAX_TRACKERS, "trackers")?;
        for origin in &args.origins {
            check_url(origin, &["http", "https"], "an origin")?;
        }
        at_most(args.origins.len(), MAX_WEB_SEEDS, "origins")?;
        if args.window < MIN_WINDOW {
            return Err(Error::Usage(format!(
                "--window {} is too little to hold pieces; {MIN_WINDOW} bytes are the least",
                args.window
            )));
        }
        let to = match args.out {
            None if args.serve.is_some() => To::Players,
            None => To::Disk(Out::Here),
            Some(out) if out == Path::new("-") => To::Stdout,
            Some(out) => To::Disk(Out::At(out)),
        };
        let clash = match &to {
            To::Disk(_) if args.serve.is_some() => {
                args.file.as_ref().map(|_| "--file with --serve and --out")
            }
            To::Stdout if args.serve.is_some() => Some("--serve with --out -"),
            To::Players | To::Stdout if args.seed => Some("--seed without files"),
            _ => None,
        };
        if let Some(clash) = clash {
            return Err(Error::Usage(format!(
                "{clash} makes no sense; leave one of them out"
            )));
        }
        let webrtc = args
            .webrtc
            .map(|address| SocketAddr::new(tellable(address.ip()), address.port()));
        Ok(Self {
            given: Given::new(&args.from)?,
            to,
            seed: args.seed,
            serve: args.serve,
            file: args.file,
            window: args.window,
            trackers: args.trackers,
            origins: args.origins,
            web_seeds: (!args.no_web_seeds).then_some(match args.private_web_seeds {
                true => Trust::Allowed,
                false => Trust::Torrent,
            }),
            webrtc,
            tcp: (!args.tcp.off).then_some(args.tcp.at.map(Tcp::At)),
            peers: args.tcp.peers,
            dht: args.dht.through(),
            upload_limit: args.upload_limit,
            patience: args.timeout.map(Duration::from_secs),
            json: args.json,
            quiet: args.quiet,
        })
    }
}

impl Given {
    fn new(text: &str) -> Result<Self> {
        // A page's link carries what it plays behind the #.
        let inner = match text.split_once('#') {
            Some((_, inner)) if is_magnet(inner) || is_web(inner) => inner,
            _ => text,
        };
        if is_magnet(inner) {
            let magnet = Magnet::parse(inner).map_err(|e| Error::NotATorrent {
                from: "this magnet link".to_owned(),
                reason: e.to_string(),
            })?;
            return Ok(Self::Magnet(Box::new(magnet)));
        }
        if is_web(inner) {
            check_url(inner, &["http", "https"], "the address of a torrent")?;
            return Ok(Self::Url(inner.to_owned()));
        }
        Ok(Self::File(PathBuf::from(inner)))
    }
}

/// Where to listen when the person did not say: on this machine alone if all trackers and peers
/// are on it, else at the address that leads out.
pub fn webrtc_for(trackers: &[String], peers: &[SocketAddr]) -> SocketAddr {
    let all_local = !(trackers.is_empty() && peers.is_empty())
        && trackers.iter().all(|url| is_on_this_machine(url))
        && peers.iter().all(|peer| peer.ip().is_loopback());
    let ip = if all_local {
        Ipv4Addr::LOCALHOST.into()
    } else {
        tellable(Ipv4Addr::UNSPECIFIED.into())
    };
    SocketAddr::new(ip, 0)
}

fn is_on_this_machine(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn is_magnet(text: &str) -> bool {
    text.get(..7)
        .is_some_and(|head| head.eq_ignore_ascii_case("magnet:"))
}

fn is_web(text: &str) -> bool {
    scheme(text).is_some_and(|scheme| scheme == "http" || scheme == "https")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGNET: &str = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_pages_link_leads_to_what_it_plays() {
        let read = |text: &str| Given::new(text).expect("readable");
        assert!(matches!(read(MAGNET), Given::Magnet(_)));
        assert!(matches!(
            read(&format!("http://site/#{MAGNET}")),
            Given::Magnet(_)
        ));
        let page = "http://127.0.0.1:8080/#http://127.0.0.1:8080/torrents/a.torrent";
        assert!(
            matches!(read(page), Given::Url(url) if url == "http://127.0.0.1:8080/torrents/a.torrent")
        );
        assert!(
            matches!(read("film #1.torrent"), Given::File(path) if path == Path::new("film #1.torrent"))
        );
        assert!(Given::new("magnet:?xt=nothing").is_err());
        assert!(Given::new("http://").is_err());
    }

    #[test]
    fn trackers_on_this_machine_keep_us_on_it() {
        let local = |urls: &[&str]| {
            let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
            webrtc_for(&urls, &[]).ip().is_loopback()
        };
        assert!(local(&["ws://127.0.0.1:8080/announce", "ws://localhost/a"]));
        assert!(local(&["ws://[::1]:8080/announce"]));
        assert!(is_on_this_machine("ws://127.9.9.9"));
        assert!(!is_on_this_machine("ws://127.0.0.1.evil.example/announce"));
        assert!(!is_on_this_machine("wss://tracker.example/announce"));
    }
}
