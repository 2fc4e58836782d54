//! What went wrong, in words for the person who typed the command: what it is, and what to do.
//!
//! Not for the faults of peers and trackers: those are events, and the seeder goes on.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a command stopped.
#[derive(Debug)]
pub enum Error {
    /// Another program has the port.
    AddressInUse(SocketAddr),
    /// An address could not be bound for another reason.
    Bind(SocketAddr, io::Error),
    /// The source on disk is no longer what was hashed.
    Changed(PathBuf),
    /// Somebody told us to stop before it was done.
    Interrupted,
    /// The files on disk are not those of the torrent.
    Mismatch(String),
    /// A path with nothing to seed in it.
    Nothing(PathBuf),
    /// Bytes that are no torrent, or one beyond our limits.
    NotATorrent {
        /// Where they came from.
        from: String,
        /// What the parser says.
        reason: String,
    },
    /// A file could not be read or written.
    Path {
        /// What was being done to it: "read", "write", …
        doing: &'static str,
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Whoever read our output went away.
    ReaderGone,
    /// Nothing arrived for so long.
    Starved(Duration),
    /// Everything else that stops a command, already in words.
    Other(String),
    /// Flags that make no sense together.
    Usage(String),
}

/// What every command returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An I/O error with the path it happened at.
    pub fn path(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Path {
            doing,
            path: path.into(),
            source,
        }
    }

    /// An I/O error met while binding `address`.
    pub fn bind(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse(address),
            _ => Self::Bind(address, source),
        }
    }

    /// What the process ends with: 2 for flags that make no sense, 3 when nothing arrived, what a
    /// shell makes of SIGINT and SIGPIPE for those, 1 for everything else.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Starved(_) => 3,
            Self::Interrupted => 130,
            Self::ReaderGone => 141,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressInUse(address) => write!(
                f,
                "{address} is in use by another program; stop it, or choose another port \
                 (--listen {}:0 takes any free one)",
                address.ip()
            ),
            Self::Bind(address, source) => {
                let advice = match source.kind() {
                    io::ErrorKind::PermissionDenied => "choose a port above 1023",
                    _ => "choose an address of this machine",
                };
                write!(f, "cannot listen on {address}: {source}; {advice}")
            }
            Self::Changed(path) => write!(
                f,
                "{} changed while it was being hashed; run the command again when it is finished",
                path.display()
            ),
            Self::Interrupted => f.write_str("interrupted; run the same command again to go on"),
            Self::Mismatch(what) => write!(
                f,
                "{what}; seed the files this torrent was made from, or make a new torrent \
                 (leave out --torrent)"
            ),
            Self::Nothing(path) => {
                write!(
                    f,
                    "{} holds no file to seed; name a file, or a folder with files",
                    path.display()
                )
            }
            Self::NotATorrent { from, reason } => write!(
                f,
                "{from} is not a torrent we can use: {reason}; give a .torrent file or a magnet link"
            ),
            Self::Path {
                doing,
                path,
                source,
            } => {
                write!(
                    f,
                    "cannot {doing} {}: {source}{}",
                    path.display(),
                    advice(source)
                )
            }
            Self::ReaderGone => f.write_str("whoever read our output went away"),
            Self::Starved(patience) => write!(
                f,
                "nothing arrived for {} s: nobody who has it could be reached; \
                 check that it is being seeded, or name another tracker (--tracker)",
                patience.as_secs()
            ),
            Self::Other(what) | Self::Usage(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "; check the spelling",
        io::ErrorKind::PermissionDenied => "; check who may read and write it",
        io::ErrorKind::StorageFull => "; free some space and run the command again",
        _ => "",
    }
}
