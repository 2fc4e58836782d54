//! The flags, as a person types them. What they mean together is for [`crate::config`].

mod get;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
pub use get::GetArgs;

use crate::tracker::RedisAddress;

/// BitTorrent for web pages: the viewers carry the film to each other.
#[derive(Debug, Parser)]
#[command(
    name = "headwater",
    version,
    about,
    propagate_version = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Say more in the log (repeat for even more; RUST_LOG works too)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// How the log is written: for people, or a JSON object a line for machines
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What `headwater` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Hash files, track them, seed them over WebRTC and serve the page that plays them
    Seed(SeedArgs),
    /// Get a torrent: to files, to standard output as it comes, or to players over HTTP
    Get(GetArgs),
    /// Run the tracker alone
    Track(TrackArgs),
    /// Make a .torrent file
    Create(CreateArgs),
    /// Show what a .torrent file or a magnet link says
    Inspect(InspectArgs),
}

/// Whether and where ordinary BitTorrent is spoken beside WebRTC.
#[derive(Clone, Debug, Args)]
pub struct TcpArgs {
    /// Where ordinary BitTorrent clients call (default: the address and the port number of
    /// --webrtc, or any free port if that is taken)
    #[arg(long = "tcp", value_name = "ADDR:PORT", conflicts_with = "off")]
    pub at: Option<SocketAddr>,

    /// No ordinary BitTorrent: nobody but web pages and WebRTC peers
    #[arg(long = "no-tcp")]
    pub off: bool,

    /// Call this ordinary BitTorrent peer, for every torrent (repeatable)
    #[arg(long = "peer", value_name = "ADDR:PORT", conflicts_with = "off")]
    pub peers: Vec<SocketAddr>,
}

/// Whether and where the DHT is joined.
#[derive(Clone, Debug, Args)]
pub struct DhtArgs {
    /// Look for peers in the DHT too, and be found there: over IPv4, private torrents excepted
    #[arg(long = "dht", conflicts_with = "off")]
    pub on: bool,

    /// Join the DHT through this node (repeatable; default: the well-known ones)
    #[arg(long = "dht-node", value_name = "HOST:PORT", requires = "on")]
    pub nodes: Vec<String>,
}

impl DhtArgs {
    /// The nodes named, if it is joined at all.
    pub fn through(&self) -> Option<Vec<String>> {
        self.on.then(|| self.nodes.clone())
    }
}

/// Which kind of torrent to make.
#[derive(Clone, Debug, Args)]
pub struct MakeArgs {
    /// Make a BitTorrent v1 torrent (default: hybrid, v1 and v2 in one)
    #[arg(long, conflicts_with = "v2")]
    pub v1: bool,

    /// Make a BitTorrent v2 torrent (WebTorrent pages cannot join)
    #[arg(long)]
    pub v2: bool,

    /// Bytes a piece, a power of two from 16KiB to 16MiB (default: chosen by the size)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub piece_length: Option<u64>,

    /// Name of the torrent (default: the name of the file or folder)
    #[arg(long)]
    pub name: Option<String>,
}

/// Flags of `headwater seed`.
#[derive(Clone, Debug, Args)]
pub struct SeedArgs {
    /// Files or folders; each becomes a torrent of its own. Of a folder that is named with a slash at
    /// its end (`library/`) everything in it does: films, folders, and .torrent files beside their data.
    /// Of a file on a web server (`https://films.example/film.mp4`) or in an object store
    /// (`s3://bucket/film.mp4`; AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …) nothing is stored: it is read
    /// once to be hashed, and then fetched as peers ask for it
    #[arg(required_unless_present = "config", value_name = "PATH|URL")]
    pub paths: Vec<PathBuf>,

    /// Seed what this file says, too (TOML). It and folders with a slash are read again on SIGHUP
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Remember hashes in this folder, so that the next start need not read the files (default:
    /// $STATE_DIRECTORY, and for libraries and --config the user's own, e.g. ~/.local/state/headwater)
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub make: MakeArgs,

    /// Seed this existing torrent: PATH is checked against it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["v1", "v2", "piece_length", "name"])]
    pub torrent: Option<PathBuf>,

    /// Also write the .torrent file here
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Where page, tracker and torrents are served over HTTP (port 0: any free one; default:
    /// 127.0.0.1:8080)
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<SocketAddr>,

    /// The one UDP port for WebRTC (default: the address of --listen, any free port)
    #[arg(long, value_name = "ADDR:PORT")]
    pub webrtc: Option<SocketAddr>,

    /// Ordinary BitTorrent.
    #[command(flatten)]
    pub tcp: TcpArgs,

    /// The DHT.
    #[command(flatten)]
    pub dht: DhtArgs,

    /// Address at which viewers reach --listen, e.g. behind a proxy
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// Announce to this tracker too (ws:// or wss://; repeatable)
    #[arg(long = "tracker", value_name = "URL")]
    pub trackers: Vec<String>,

    /// Do not name this site as a web seed (BEP 19) in the torrents made here: then nobody fetches over
    /// HTTP what peers would bring too late. It is not named where an upload limit is set, for HTTP
    /// knows none, nor in the torrents of others
    #[arg(long)]
    pub no_web_seed: bool,

    /// Do not run the embedded tracker
    #[arg(long)]
    pub no_tracker: bool,

    /// Send at most this many bytes a second to all peers together, e.g. 2MB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub upload_limit: Option<u64>,

    /// Let the demo page kill the seeder and hide the files, to show what follows (only on loopback)
    #[arg(long, conflicts_with = "url")]
    pub demo_controls: bool,

    /// Print JSON lines: one when ready, then one a second
    #[arg(long)]
    pub json: bool,

    /// Print nothing but links, warnings and errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// Flags of `headwater create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// A file or a folder
    #[arg(value_name = "PATH")]
    pub path: PathBuf,

    /// Where to write the torrent (default: NAME.torrent here)
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub make: MakeArgs,

    /// Tracker to write into the torrent (repeatable)
    #[arg(long = "tracker", value_name = "URL")]
    pub trackers: Vec<String>,

    /// HTTP server that has the files (repeatable; BEP 19)
    #[arg(long = "web-seed", value_name = "URL")]
    pub web_seeds: Vec<String>,

    /// Peers come from the trackers only (BEP 27)
    #[arg(long)]
    pub private: bool,

    /// A line for whoever reads the torrent
    #[arg(long)]
    pub comment: Option<String>,

    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Flags of `headwater inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A .torrent file or a magnet link
    #[arg(value_name = "FILE|MAGNET")]
    pub torrent: String,

    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Flags of `headwater track`.
#[derive(Debug, Args)]
pub struct TrackArgs {
    /// Where to listen; the tracker is at ws://ADDR:PORT/announce, and http:// for peers over TCP
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Let only pages of this origin connect, e.g. `https://films.example` (repeatable; default: all)
    #[arg(long = "origin", value_name = "URL")]
    pub origins: Vec<String>,

    /// Believe what this proxy says of addresses (X-Forwarded-For; repeatable)
    #[arg(long = "proxy", value_name = "IP")]
    pub proxies: Vec<IpAddr>,

    /// Serve wss:// and https:// with this certificate chain (PEM; read again when it changes)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// Share swarms with other trackers through this Redis or Valkey:
    /// `redis://[[user]:password@]host[:port][/database]`. They believe each other and whoever
    /// else can write there
    #[arg(long, value_name = "URL")]
    pub cluster: Option<RedisAddress>,

    /// Track only the torrents in this file: an info hash in hex a line
    #[arg(long, value_name = "FILE", conflicts_with = "deny")]
    pub allow: Option<PathBuf>,

    /// Track all torrents but those in this file
    #[arg(long, value_name = "FILE")]
    pub deny: Option<PathBuf>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub limits: TrackLimits,

    /// Threads that serve sockets (default: one a core)
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,

    /// Seconds in which all sockets are closed when told to stop
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub drain: u64,

    /// Print one JSON line when ready
    #[arg(long)]
    pub json: bool,
}

/// What strangers may cost a tracker.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub struct TrackLimits {
    /// Seconds between a page's announces
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = parse_pause)]
    pub interval: Duration,

    /// Seconds between the announces of a peer over TCP
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = seconds())]
    pub http_interval: u64,

    /// Sockets in all, about 1 KiB each while idle
    #[arg(long, value_name = "N", default_value_t = 65536)]
    pub max_connections: usize,

    /// WebSockets from one address, this machine's own excepted
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub max_connections_per_address: usize,

    /// Swarms in all, about half a KiB each
    #[arg(long, value_name = "N", default_value_t = 65536)]
    pub max_swarms: usize,

    /// Peers over TCP in all, about 200 bytes each
    #[arg(long, value_name = "N", default_value_t = 262_144)]
    pub max_http_peers: usize,

    /// Offers one peer gets from one other in an interval
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub max_offers_from_one: u32,

    /// Offers a seed gets in an interval, from viewers without a source where it is the last that
    /// has room (all others: four times what one announce brings)
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub max_newcomers: u32,

    /// Bytes that may wait for a socket to read them
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = parse_size)]
    pub max_waiting: u64,

    /// Bytes a second one socket is read at
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = parse_size)]
    pub bytes_per_second: u64,

    /// Bytes of one socket that are read at once
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = parse_size)]
    pub bytes_at_once: u64,

    /// Seconds a request's head may take
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = seconds())]
    pub header_timeout: u64,

    /// Seconds until a WebSocket must have said something
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = seconds())]
    pub first_message_timeout: u64,

    /// Seconds of silence after which a WebSocket is pinged
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    pub ping_after: u64,

    /// Seconds a ping's answer may take, or a socket to take what it is sent
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = seconds())]
    pub ping_timeout: u64,
}

/// Seconds with a fraction, as load tests want them.
fn parse_pause(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().filter(|s| (0.01..=86_400.0).contains(s));
    let wrong = || format!("`{text}` is not a number of seconds from 0.01 to 86400");
    seconds.map(Duration::from_secs_f64).ok_or_else(wrong)
}

/// A time that is some time and no more than a day.
fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=86_400)
}

/// Bytes from `262144`, `256KiB`, `256k`, `2MB`: K, M, G are powers of 1024 unless they end in `B`
/// alone (`KB`, `MB`, `GB`), which are powers of 1000.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong_size(text))?;
    let unit: u64 = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return Err(wrong_size(text)),
    };
    number
        .checked_mul(unit)
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| wrong_size(text))
}

fn wrong_size(text: &str) -> String {
    format!("`{text}` is not a size; write e.g. 262144, 256KiB or 2MB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("1", 1),
            ("16KiB", 16384),
            ("256k", 262_144),
            ("2MB", 2_000_000),
            ("1 GiB", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "0",
            "x",
            "-1",
            "1.5M",
            "1TB",
            "99999999999999999999",
            "99999999999G",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
