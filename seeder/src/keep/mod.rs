//! Keeping a torrent on disk: where its files go, what of it is there already, and writing the rest.
//!
//! Files are written by position, as sparse as they come; a piece is claimed in the state file
//! only after the system said that it is on the disk. So what is claimed is there, whenever and
//! however we end; what is not is checked again.

mod check;
mod place;
mod state;
mod writer;

use std::net::SocketAddr;
use std::sync::Arc;

use headwater_core::bitfield::Bitfield;
use headwater_core::layout::FileIndex;
use headwater_core::metainfo::Metainfo;
use indicatif::ProgressBar;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::storage::Storage;
pub use place::{Out, Place};
use state::State;
pub use writer::{Keeper, Told};

use writer::Writer;

/// A place made ready, and what is there.
#[derive(Debug)]
pub struct Keep {
    /// To read from.
    pub storage: Arc<Storage>,
    /// Pieces that are to be there.
    pub wanted: Bitfield,
    /// Pieces that are.
    pub have: Bitfield,
    /// Peers that were there the last time, and can be called.
    pub neighbours: Vec<SocketAddr>,
    /// Why nothing is written just now, in words; `None` while all is well.
    pub trouble: watch::Receiver<Option<String>>,
    pub(crate) writer: Writer,
}

/// Makes these files of the torrent ready to be written at `place`, and looks what is there already.
pub fn prepare(
    place: Place,
    metainfo: &Metainfo,
    files: &[FileIndex],
    bar: &ProgressBar,
) -> Result<Keep> {
    let lock = place.lock()?;
    let layout = metainfo.layout();
    let mut wanted = Bitfield::none(layout.piece_count());
    for piece in files.iter().flat_map(|file| layout.file_pieces(*file)) {
        wanted.set(piece);
    }
    let known = State::read(&place.state, metainfo);
    let (mut have, all_known) = match &known {
        Some(state) => state.believed(&place, layout),
        None => (Bitfield::none(layout.piece_count()), false),
    };
    if !all_known {
        let unsure = wanted.iter().filter(|piece| !have.has(*piece));
        for piece in check::right(metainfo, &place, unsure.collect(), bar) {
            have.set(piece);
        }
    }
    if known.is_none() && have.count() == 0 {
        refuse_strangers(&place)?;
    }
    let sources = place.make(layout, &wanted)?;
    // What was not there could not be locked.
    let lock = lock.map_or_else(|| place.lock(), |lock| Ok(Some(lock)))?;
    let neighbours = known.map_or_else(Vec::new, |state| state.neighbours().to_vec());
    let mut state = State::new(metainfo, have.clone());
    state.remember(neighbours.clone());
    let (tell, trouble) = watch::channel(None);
    let writer = Writer::new(layout.clone(), place, lock, &sources, state, tell);
    Ok(Keep {
        storage: Arc::new(Storage::growing(layout.clone(), sources)),
        wanted,
        have,
        neighbours,
        trouble,
        writer,
    })
}

/// A file that is there, and has nothing of the torrent in it, is somebody's own.
fn refuse_strangers(place: &Place) -> Result<()> {
    let is_full = |path: &&std::path::PathBuf| {
        std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file() || meta.len() > 0)
    };
    match place.paths.iter().find(is_full) {
        Some(path) => Err(Error::Other(format!(
            "{} is there already and holds nothing of this torrent; move it away, or choose another place with -o",
            path.display()
        ))),
        None => Ok(()),
    }
}
