//! A torrent of a file that lies elsewhere: read once from its beginning to its end, hashed as it
//! comes, and not kept.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use headwater_core::hash::{Sha256Digest, sha1};
use headwater_core::layout::PieceIndex;
use headwater_core::merkle;
use headwater_core::metainfo::create::{self, Contents, CreateError, Plan};
use indicatif::ProgressBar;
use tracing::warn;

use super::{Made, options, refused};
use crate::config::Make;
use crate::error::{Error, Result};
use crate::hashing::progress;
use crate::remote::{Remote, Server, Trouble, Version};
use crate::storage::Storage;

/// How often a server may break off in the middle; the next request goes on there.
const MAX_BREAKS: u32 = 100;

/// The same without a byte in between.
const MAX_BREAKS_IN_A_ROW: u32 = 3;

/// Time between two requests after one that brought nothing.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the file on `server` into a new torrent.
pub fn make(server: Box<dyn Server>, make: &Make, show_progress: bool) -> Result<Made> {
    let name = make.name.as_deref().unwrap_or(server.name());
    let version = server
        .look()
        .map_err(|trouble| in_words(&*server, trouble))?;
    let file = create::Source {
        length: version.length,
        ..create::Source::default()
    };
    let refused = |e: CreateError| refused(Path::new(server.name()), &e);
    let plan = Plan::new(name, Contents::File(file), options(make)).map_err(refused)?;
    let bar = progress(name, version.length, show_progress);
    let hashed = read(&*server, &version, &plan, &bar);
    bar.finish_and_clear();
    let Hashed { pieces, leaves, .. } = hashed?;
    let metainfo = plan.finish(pieces.iter().copied()).map_err(refused)?;
    let layout = plan.layout().clone();
    let remote = Remote::new(server, version, plan, pieces);
    Ok(Made {
        metainfo,
        storage: Arc::new(Storage::backed(layout, Box::new(remote), leaves)),
    })
}

/// All of it, in order. A server that breaks off is asked for the rest, if it still has the same file.
fn read<'a>(
    server: &dyn Server,
    version: &Version,
    plan: &'a Plan,
    bar: &ProgressBar,
) -> Result<Hashed<'a>> {
    let mut hashed = Hashed::new(plan);
    let (mut breaks, mut in_a_row) = (0, 0);
    while hashed.taken < version.length {
        let before = hashed.taken;
        let mut take = |bytes: &[u8]| {
            hashed.take(bytes);
            bar.inc(bytes.len() as u64);
        };
        let came = server.read(version, before..version.length, &mut take);
        let Err(trouble) = came else { continue };
        breaks += 1;
        in_a_row = if hashed.taken > before {
            1
        } else {
            in_a_row + 1
        };
        let why = match trouble {
            Trouble::Failed(why) if breaks < MAX_BREAKS && in_a_row < MAX_BREAKS_IN_A_ROW => why,
            trouble => return Err(in_words(server, trouble)),
        };
        warn!(
            "{}: {why}; going on at byte {}",
            server.name(),
            hashed.taken
        );
        if hashed.taken == before {
            thread::sleep(PAUSE);
        }
    }
    Ok(hashed)
}

fn in_words(server: &dyn Server, trouble: Trouble) -> Error {
    let name = server.name();
    Error::Other(match trouble {
        Trouble::Changed(why) => format!("{name} changed, or is gone: {why}"),
        Trouble::Failed(why) => format!("cannot read {name}: {why}"),
    })
}

/// What has come so far, piece by piece.
struct Hashed<'a> {
    plan: &'a Plan,
    /// The piece that is coming.
    bytes: Vec<u8>,
    taken: u64,
    pieces: Vec<create::PieceHashes>,
    leaves: Vec<Vec<Sha256Digest>>,
}

impl<'a> Hashed<'a> {
    const fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            bytes: Vec::new(),
            taken: 0,
            pieces: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// The next bytes; what is more than the file is let go.
    fn take(&mut self, mut bytes: &[u8]) {
        let layout = self.plan.layout();
        while let Some(piece) = layout.piece(self.pieces.len() as u32) {
            let lacking = layout.piece_length(piece) as usize - self.bytes.len();
            let (now, later) = bytes.split_at(lacking.min(bytes.len()));
            self.bytes.extend_from_slice(now);
            self.taken += now.len() as u64;
            if now.len() < lacking {
                return;
            }
            self.finish(piece);
            bytes = later;
        }
    }

    fn finish(&mut self, piece: PieceIndex) {
        let has_tree = self.plan.layout().file_piece(piece).is_some();
        let leaves = if has_tree {
            merkle::leaves(&self.bytes)
        } else {
            Vec::new()
        };
        let hashes = self.plan.hashes(piece, Some(sha1(&self.bytes)), &leaves);
        debug_assert!(hashes.is_ok(), "a whole piece has a hash");
        self.pieces.extend(hashes);
        self.leaves.push(leaves);
        self.bytes.clear();
    }
}
