//! A file that lies on a server elsewhere and is shared from there: nothing of it is kept on disk.
//!
//! What is asked for is fetched by the piece, checked against what the piece hashed to when all of
//! the file was read, and kept for a while for those who ask next. How a server is asked is for a
//! [`Server`] to know.

#[cfg(feature = "s3")]
mod store;

use std::collections::VecDeque;
use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use headwater_core::layout::PieceIndex;
use headwater_core::metainfo::create::{PieceHashes, Plan};
use tokio::runtime::{Builder, Runtime};
use tracing::warn;

use crate::error::{Error, Result};
use crate::origin::WebFile;
use crate::storage::Backing;

/// Pieces fetched at a time of one file.
const LANES: usize = 4;

/// Bytes of pieces kept of one file; a single piece may be longer.
const MAX_KEPT: usize = 32 << 20;

/// How long a server that failed is left alone: every block that peers ask for would be a request.
const REST: Duration = Duration::from_secs(1);

/// How often a server is asked whether the file still is what was hashed, while nobody reads it.
const LOOK: Duration = Duration::from_secs(30);

/// A server that has one file.
///
/// Blocking, and asked by several threads at once; it gives up by itself on who does not answer.
pub trait Server: Debug + Send + Sync {
    /// What to call the file in words for people: its address, without what is secret in it.
    fn name(&self) -> &str;

    /// How the file is now.
    fn look(&self) -> Result<Version, Trouble>;

    /// Hands on these bytes of the file as they come, if it still is of this version.
    fn read(
        &self,
        version: &Version,
        range: Range<u64>,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<(), Trouble>;
}

/// The server behind an address that a person named.
pub fn server_of(address: &str) -> Result<Box<dyn Server>> {
    #[cfg(feature = "s3")]
    if address.starts_with("s3:") {
        return Ok(Box::new(store::StoredFile::new(address)?));
    }
    Ok(Box::new(WebFile::new(address)))
}

/// What tells one state of a file from another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// Bytes.
    pub length: u64,
    /// Its ETag, as the server writes it.
    pub tag: Option<String>,
    /// When it was last modified, as the server writes it.
    pub modified: Option<String>,
}

impl Version {
    /// Whether the file still is of this version, as far as both say.
    pub(crate) fn expect(&self, now: &Self) -> Result<(), Trouble> {
        self.difference(now)
            .map_or(Ok(()), |difference| Err(Trouble::Changed(difference)))
    }

    /// How `now` is another version; `None` if it is the same, as far as both say.
    pub fn difference(&self, now: &Self) -> Option<String> {
        let pairs = [
            ("ETag", &self.tag, &now.tag),
            ("Last-Modified", &self.modified, &now.modified),
        ];
        if self.length != now.length {
            return Some(format!(
                "it had {} bytes and has {}",
                self.length, now.length
            ));
        }
        pairs.into_iter().find_map(|(what, was, is)| {
            let (was, is) = (was.as_ref()?, is.as_ref()?);
            (was != is).then(|| format!("its {what} was {was} and is {is}"))
        })
    }
}

/// Why a server did not bring what it was asked for, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// The file is another one now, or gone.
    Changed(String),
    /// It may be better another time.
    Failed(String),
}

/// A file on a server, by the pieces of the torrent that was made of it.
#[derive(Debug)]
pub struct Remote(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    server: Box<dyn Server>,
    version: Version,
    plan: Plan,
    /// Of every piece, in order.
    hashes: Vec<PieceHashes>,
    /// Used least lately first.
    kept: Mutex<VecDeque<(PieceIndex, Bytes)>>,
    /// Whoever fetches a piece holds its lane, so that no two fetch the same.
    lanes: [Mutex<()>; LANES],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Whether it is another file now.
    is_changed: bool,
    /// The last thing that went wrong, and when; none since something went well.
    trouble: Option<(Instant, String)>,
    looked: Instant,
}

impl Remote {
    /// The one file of `plan`, every piece of which hashed to what is given.
    pub fn new(
        server: Box<dyn Server>,
        version: Version,
        plan: Plan,
        hashes: Vec<PieceHashes>,
    ) -> Self {
        let state = State {
            is_changed: false,
            trouble: None,
            looked: Instant::now(),
        };
        Self(Arc::new(Shared {
            server,
            version,
            plan,
            hashes,
            kept: Mutex::default(),
            lanes: Default::default(),
            state: Mutex::new(state),
        }))
    }
}

impl Backing for Remote {
    fn read(&self, _: usize, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let layout = self.0.plan.layout();
        let wanted = offset..offset + into.len() as u64;
        for piece in layout.pieces_in(wanted.clone()) {
            let start = layout.piece_start(piece);
            let bytes = self.0.piece(piece)?;
            let (from, to) = (
                start.max(wanted.start),
                wanted.end.min(start + bytes.len() as u64),
            );
            let part = (from - start) as usize..(to - start) as usize;
            let place = (from - offset) as usize..(to - offset) as usize;
            into[place].copy_from_slice(&bytes[part]);
        }
        Ok(())
    }

    fn changed(&self) -> Vec<usize> {
        let mut state = locked(&self.0.state);
        if !state.is_changed && state.looked.elapsed() >= LOOK {
            state.looked = Instant::now();
            let shared = Arc::clone(&self.0);
            // A server that takes its time must not keep anybody from looking at other files.
            std::thread::spawn(move || shared.look());
        }
        if state.is_changed {
            vec![0]
        } else {
            Vec::new()
        }
    }
}

impl Shared {
    /// All bytes of a piece, as they were hashed.
    fn piece(&self, piece: PieceIndex) -> io::Result<Bytes> {
        if let Some(bytes) = self.kept(piece) {
            return Ok(bytes);
        }
        let _lane = locked(&self.lanes[piece.as_usize() % LANES]);
        // Whoever held the lane may have brought it.
        if let Some(bytes) = self.kept(piece) {
            return Ok(bytes);
        }
        self.check_state()?;
        let bytes = Bytes::from(self.fetch(piece).map_err(|trouble| self.failed(trouble))?);
        locked(&self.state).trouble = None;
        self.keep(piece, bytes.clone());
        Ok(bytes)
    }

    fn fetch(&self, piece: PieceIndex) -> Result<Vec<u8>, Trouble> {
        let start = self.plan.layout().piece_start(piece);
        let length = self.plan.layout().piece_length(piece);
        // Once more: something between us and the server may have garbled it.
        for _ in 0..2 {
            let mut bytes = Vec::with_capacity(length as usize);
            let range = start..start + u64::from(length);
            let mut take = |more: &[u8]| bytes.extend_from_slice(more);
            self.server.read(&self.version, range, &mut take)?;
            if self.plan.hash(piece, &bytes).ok().as_ref() == self.hashes.get(piece.as_usize()) {
                return Ok(bytes);
            }
        }
        let words = format!("the bytes of piece {piece} are not those that were hashed");
        Err(Trouble::Changed(words))
    }

    fn kept(&self, piece: PieceIndex) -> Option<Bytes> {
        let mut kept = locked(&self.kept);
        let at = kept.iter().rposition(|(other, _)| *other == piece)?;
        let found = kept.remove(at)?;
        let bytes = found.1.clone();
        kept.push_back(found);
        Some(bytes)
    }

    fn keep(&self, piece: PieceIndex, bytes: Bytes) {
        let mut kept = locked(&self.kept);
        kept.push_back((piece, bytes));
        let all = |kept: &VecDeque<(PieceIndex, Bytes)>| -> usize {
            kept.iter().map(|(_, bytes)| bytes.len()).sum()
        };
        while kept.len() > 1 && all(&kept) > MAX_KEPT {
            kept.pop_front();
        }
    }

    /// An error if there is no use in asking.
    fn check_state(&self) -> io::Result<()> {
        let state = locked(&self.state);
        if state.is_changed {
            return Err(io::Error::other("the file has changed since it was hashed"));
        }
        match &state.trouble {
            Some((at, why)) if at.elapsed() < REST => Err(passing(why)),
            _ => Ok(()),
        }
    }

    fn look(&self) {
        let trouble = match self.server.look() {
            Ok(now) => self.version.difference(&now).map(Trouble::Changed),
            Err(trouble) => Some(trouble),
        };
        if let Some(trouble) = trouble {
            self.failed(trouble);
        }
    }

    /// Remembers it, and warns of what is new.
    fn failed(&self, trouble: Trouble) -> io::Error {
        let name = self.server.name();
        let mut state = locked(&self.state);
        match trouble {
            Trouble::Changed(why) => {
                if !state.is_changed {
                    warn!("{name} is no longer what was hashed: {why}");
                }
                state.is_changed = true;
                locked(&self.kept).clear();
                io::Error::other(format!("{name}: {why}"))
            }
            Trouble::Failed(why) => {
                if state.trouble.is_none() {
                    warn!("{name} cannot be fetched for now: {why}");
                }
                let error = passing(&why);
                state.trouble = Some((Instant::now(), why));
                error
            }
        }
    }
}

/// An error after which it may be tried again.
fn passing(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::WouldBlock, why.to_owned())
}

/// Waits for what a server is asked.
pub(crate) fn wait<T>(asked: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    let runtime = runtime().map_err(|e| Trouble::Failed(e.to_string()))?;
    runtime.block_on(asked)
}

/// Where servers are talked to: apart from swarms and pages, which must not wait for them, and for
/// as long as the process lives.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<io::Result<Runtime>> = OnceLock::new();
    let begun = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(1).thread_name("remote");
        builder.enable_all().build()
    });
    begun
        .as_ref()
        .map_err(|e| Error::Other(format!("cannot start: {e}")))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
