//! The flags of `headwater get`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{DhtArgs, TcpArgs, parse_size};

/// What the exit codes of `headwater get` mean.
const EXIT_CODES: &str = "\
Exit codes:
  0    everything asked for arrived, and every byte of it was verified; or --serve was stopped
  1    it could not be done; the last line says why
  2    flags that make no sense
  3    nobody sent anything for as long as --timeout says
  130  interrupted (Ctrl-C, SIGTERM)
  141  whoever read standard output went away";

/// Flags of `headwater get`.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct GetArgs {
    /// A .torrent file, a magnet link, the address of a .torrent, or a page's link to one
    #[arg(value_name = "TORRENT|MAGNET|URL")]
    pub from: String,

    /// Where to: a file, a folder, or - for standard output, in order and through memory alone
    /// (default: the working folder, under the torrent's name)
    #[arg(short, long, value_name = "PATH")]
    pub out: Option<PathBuf>,

    /// Serve it to players at this address, over HTTP with Range (port 0: any free one); without
    /// --out nothing is kept on disk
    #[arg(long, value_name = "ADDR:PORT")]
    pub serve: Option<SocketAddr>,

    /// Go on seeding when all of it is there, until stopped
    #[arg(long)]
    pub seed: bool,

    /// Get this file of a folder alone: its path in the torrent, or the end of it
    #[arg(long, value_name = "NAME")]
    pub file: Option<String>,

    /// Hold at most this many bytes of the torrent in memory
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "64MiB")]
    pub window: u64,

    /// Ask this tracker too (ws://, wss://, http:// or https://; repeatable)
    #[arg(long = "tracker", value_name = "URL")]
    pub trackers: Vec<String>,

    /// Get bytes from this web server too, as from a web seed (BEP 19); it may be on a private
    /// network (repeatable)
    #[arg(long = "origin", value_name = "URL")]
    pub origins: Vec<String>,

    /// Ask none of the web seeds that the torrent names
    #[arg(long, conflicts_with = "private_web_seeds")]
    pub no_web_seeds: bool,

    /// Ask the torrent's web seeds even where they are on this machine or a private network
    #[arg(long)]
    pub private_web_seeds: bool,

    /// The UDP port for WebRTC (default: any free one)
    #[arg(long, value_name = "ADDR:PORT")]
    pub webrtc: Option<SocketAddr>,

    /// Ordinary BitTorrent.
    #[command(flatten)]
    pub tcp: TcpArgs,

    /// The DHT.
    #[command(flatten)]
    pub dht: DhtArgs,

    /// Send at most this many bytes a second to all peers together, e.g. 2MB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub upload_limit: Option<u64>,

    /// Give up when nothing arrives for this many seconds (default: never)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub timeout: Option<u64>,

    /// Print JSON lines, on standard error if the bytes go to standard output
    #[arg(long)]
    pub json: bool,

    /// Print nothing but warnings and errors
    #[arg(short, long)]
    pub quiet: bool,
}
