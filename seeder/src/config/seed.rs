//! `headwater seed`, checked: the flags, and the list that `--config` names.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::list::List;
use super::{Make, Tcp, address, checked_site, tellable};
use crate::cli::SeedArgs;
use crate::error::{Error, Result};

/// Where page, tracker and torrents are served, if nobody says.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// `headwater seed`, checked.
#[derive(Clone, Debug)]
pub struct Seed {
    /// What is seeded.
    pub entries: Vec<Entry>,
    /// Whether what is seeded may change while it runs.
    pub is_library: bool,
    /// Named by the person for all torrents.
    pub trackers: Vec<String>,
    /// Where to write the one torrent.
    pub out: Option<PathBuf>,
    /// Where hashes are remembered, if anywhere.
    pub state: Option<PathBuf>,
    /// HTTP.
    pub listen: SocketAddr,
    /// UDP, an address peers can be told: never the unspecified one.
    pub webrtc: SocketAddr,
    /// Where ordinary BitTorrent clients call, if they may.
    pub tcp: Option<Tcp>,
    /// Ordinary BitTorrent peers to be called.
    pub peers: Vec<SocketAddr>,
    /// Through whom the DHT is joined, if it is; the well-known nodes if nobody is named.
    pub dht: Option<Vec<String>>,
    /// Where viewers reach `listen`, without a slash at the end; from the bound address if `None`.
    pub url: Option<String>,
    /// Whether to run a tracker ourselves.
    pub own_tracker: bool,
    /// Whether the torrents made here name us as a web seed.
    pub web_seed: bool,
    /// Bytes a second, of all torrents together.
    pub upload_limit: Option<u64>,
    /// Whether the page may have us leave the swarms and hide the files.
    pub demo_controls: bool,
    /// JSON lines.
    pub json: bool,
    /// Nothing but links, warnings and errors.
    pub quiet: bool,
    /// As they were given, to be read again.
    args: SeedArgs,
}

/// Something to be seeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// A file or a folder, or the address of a file.
    pub path: PathBuf,
    /// Whether the folder is a library: everything in it is a torrent of its own.
    pub is_library: bool,
    /// An existing torrent for it.
    pub torrent: Option<PathBuf>,
    /// How it is made otherwise; its trackers are those the person named for it.
    pub make: Make,
    /// Bytes a second, of each torrent.
    pub upload_limit: Option<u64>,
    /// Whether nothing is to be seeded if this cannot be.
    pub is_needed: bool,
}

impl Seed {
    /// Checks the flags, and the list they name.
    pub fn new(args: SeedArgs) -> Result<Self> {
        let list = args.config.as_deref().map(List::read).transpose()?;
        let list = list.unwrap_or_default();
        let make = Make::new(args.make.clone(), args.trackers.clone())?;
        let mut entries: Vec<_> = args
            .paths
            .iter()
            .map(|path| named(path, &args, &make))
            .collect();
        entries.extend(list.entries);
        entries.iter_mut().try_for_each(address::check)?;
        check_flags_of_one(&args, &entries)?;
        let own_tracker = !args.no_tracker && list.tracker.unwrap_or(true);
        let trackers = [make.trackers, list.trackers].concat();
        if !args.dht.on && !own_tracker && trackers.is_empty() {
            check_trackers(&entries)?;
        }
        let url = args.url.as_deref().or(list.url.as_deref());
        let url = url.map(|url| checked_site(url, "--url")).transpose()?;
        let listen = args.listen.or(list.listen).unwrap_or(LISTEN);
        if args.demo_controls && !(listen.ip().is_loopback() && url.is_none()) {
            return Err(Error::Usage(
                "--demo-controls is for this machine alone; listen on 127.0.0.1 or leave it out"
                    .to_owned(),
            ));
        }
        let webrtc = args.webrtc.or(list.webrtc);
        let webrtc = webrtc.unwrap_or(SocketAddr::new(listen.ip(), 0));
        let tcp = args
            .tcp
            .at
            .or(list.tcp)
            .map_or(Tcp::Beside(webrtc.ip()), Tcp::At);
        let is_library = args.config.is_some() || entries.iter().any(|entry| entry.is_library);
        let state = args.state.clone().or(list.state);
        Ok(Self {
            entries,
            is_library,
            trackers,
            out: args.out.clone(),
            state: state.or_else(|| usual_state(is_library)),
            listen,
            webrtc: SocketAddr::new(tellable(webrtc.ip()), webrtc.port()),
            tcp: (!args.tcp.off).then_some(tcp),
            peers: args.tcp.peers.clone(),
            dht: args.dht.through(),
            url,
            own_tracker,
            web_seed: !args.no_web_seed && list.web_seed.unwrap_or(true),
            upload_limit: args.upload_limit.or(list.upload_limit),
            demo_controls: args.demo_controls,
            json: args.json,
            quiet: args.quiet,
            args,
        })
    }

    /// The same flags, and what the list says by now; and what of that cannot be had while it runs,
    /// and stays as it was.
    pub fn again(&self) -> Result<(Self, Vec<&'static str>)> {
        let new = Self::new(self.args.clone())?;
        let parts = [
            ("listen", self.listen == new.listen),
            ("webrtc", self.webrtc == new.webrtc),
            ("tcp", self.tcp == new.tcp),
            ("url", self.url == new.url),
            ("tracker", self.own_tracker == new.own_tracker),
            ("web-seed", self.web_seed == new.web_seed),
            ("state", self.state == new.state),
        ];
        let different = parts.into_iter().filter(|(_, same)| !same);
        let kept = Self {
            entries: new.entries,
            trackers: new.trackers,
            upload_limit: new.upload_limit,
            ..self.clone()
        };
        Ok((kept, different.map(|(name, _)| name).collect()))
    }

    /// Where viewers reach us, once bound.
    pub fn site(&self, bound: SocketAddr) -> String {
        let address = SocketAddr::new(tellable(bound.ip()), bound.port());
        self.url
            .clone()
            .unwrap_or_else(|| format!("http://{address}"))
    }
}

/// Some flags make sense for one torrent alone.
fn check_flags_of_one(args: &SeedArgs, entries: &[Entry]) -> Result<()> {
    let is_one = entries.len() == 1 && !entries[0].is_library;
    let of_one = [
        (args.torrent.is_some(), "--torrent"),
        (args.out.is_some(), "--out"),
        (args.make.name.is_some(), "--name"),
    ];
    match of_one.iter().find(|(given, _)| *given && !is_one) {
        Some((_, flag)) => Err(Error::Usage(format!(
            "{flag} is for one PATH; run the command once for each"
        ))),
        None => Ok(()),
    }
}

/// Without a tracker for all, each must have one of its own.
fn check_trackers(entries: &[Entry]) -> Result<()> {
    let has_own = |entry: &Entry| entry.torrent.is_some() || !entry.make.trackers.is_empty();
    if entries.iter().all(has_own) {
        return Ok(());
    }
    Err(Error::Usage(
        "with --no-tracker and no --tracker nobody can find this torrent; name a tracker, or leave out --no-tracker"
            .to_owned(),
    ))
}

/// A path of the command line.
fn named(path: &Path, args: &SeedArgs, make: &Make) -> Entry {
    let mut make = make.clone();
    // These are for all torrents, whoever names them.
    make.trackers.clear();
    Entry {
        path: path.to_owned(),
        is_library: is_library(path),
        torrent: args.torrent.clone(),
        make,
        upload_limit: None,
        is_needed: true,
    }
}

/// As with rsync, a slash at the end means what is in the folder.
pub(super) fn is_library(path: &Path) -> bool {
    path.to_string_lossy().ends_with(std::path::is_separator) && path.is_dir()
}

/// systemd's, or that of the user who seeds a library.
fn usual_state(is_library: bool) -> Option<PathBuf> {
    let path = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let users = || {
        let home = || path("HOME").map(|home| home.join(".local/state"));
        let folder = path("XDG_STATE_HOME").or_else(home)?;
        Some(folder.join("headwater"))
    };
    path("STATE_DIRECTORY").or_else(|| users().filter(|_| is_library))
}
