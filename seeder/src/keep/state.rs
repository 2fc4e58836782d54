//! The state file: which pieces are on the disk for certain, and whom to call for the others.
//!
//! For its owner alone, and replaced as a whole: whoever reads it finds the old one or the new one.

use std::fs::{self, File, Metadata};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::UNIX_EPOCH;

use headwater_core::bitfield::Bitfield;
use headwater_core::layout::Layout;
use headwater_core::metainfo::Metainfo;
use serde::{Deserialize, Serialize};

use super::Place;
use crate::private;
use crate::tcp::MAX_NEIGHBOURS;

/// Longest state file we read: that of a torrent with the most pieces and files.
const MAX_LENGTH: u64 = 64 << 20;

/// What is known of a torrent's files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    /// Whether nothing was written after this: what is not claimed is not there.
    clean: bool,
    /// The pieces claimed, as a `bitfield` message has them, in hex.
    have: String,
    /// The files as they were, in the torrent's order; `None` where there was none.
    files: Vec<Option<FileState>>,
    /// Peers that can be called, should no tracker say who is there.
    #[serde(default)]
    neighbours: Vec<SocketAddr>,
    #[serde(skip)]
    pieces: Option<Bitfield>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct FileState {
    device: u64,
    inode: u64,
    length: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

impl State {
    /// Of a torrent of which these pieces are there.
    pub fn new(metainfo: &Metainfo, have: Bitfield) -> Self {
        let hashes = metainfo.info_hashes();
        Self {
            info_hash_v1: hashes.v1().map(|hash| hash.to_hex()),
            info_hash_v2: hashes.v2().map(|hash| hash.to_hex()),
            clean: false,
            have: String::new(),
            files: Vec::new(),
            neighbours: Vec::new(),
            pieces: Some(have),
        }
    }

    /// The one at `path`, if it is there, whole, and of this torrent.
    pub fn read(path: &Path, metainfo: &Metainfo) -> Option<Self> {
        let file = File::open(path).ok()?;
        if file.metadata().ok()?.len() > MAX_LENGTH {
            return None;
        }
        let mut state: Self = serde_json::from_reader(io::BufReader::new(file)).ok()?;
        let ours = Self::new(metainfo, Bitfield::none(0));
        let names = |state: &Self| (state.info_hash_v1.clone(), state.info_hash_v2.clone());
        if names(&state) != names(&ours) {
            return None;
        }
        let bytes = from_hex(&state.have)?;
        state.neighbours.truncate(MAX_NEIGHBOURS);
        state.pieces = Bitfield::from_bytes(&bytes, metainfo.layout().piece_count());
        state.pieces.is_some().then_some(state)
    }

    /// The pieces that can be believed to be there, and whether all others can be believed not to be.
    pub fn believed(&self, place: &Place, layout: &Layout) -> (Bitfield, bool) {
        let now: Vec<Option<FileState>> = place.paths.iter().map(|path| look(path)).collect();
        let is_same = |at: usize| match (self.files.get(at), now.get(at)) {
            (Some(then), Some(now)) if self.clean => then == now,
            // Written after it was said, by us: only who it is and how long can be compared.
            (Some(Some(then)), Some(Some(now))) => {
                (then.device, then.inode, then.length) == (now.device, now.inode, now.length)
            }
            _ => false,
        };
        let mut have = Bitfield::none(layout.piece_count());
        if let Some(claimed) = &self.pieces {
            claimed.iter().for_each(|piece| {
                have.set(piece);
            });
        }
        let mut all_same = true;
        for (at, (file, entry)) in layout.content_files().enumerate() {
            if entry.length > 0 && !is_same(at) {
                all_same = false;
                for piece in layout.file_pieces(file) {
                    have.clear(piece);
                }
            }
        }
        (have, all_same && self.clean)
    }

    /// This piece is on the disk.
    pub fn claim(&mut self, piece: u32) {
        if let Some(pieces) = &mut self.pieces {
            pieces.set(piece);
        }
    }

    /// Who may be called.
    pub fn neighbours(&self) -> &[SocketAddr] {
        &self.neighbours
    }

    /// These may be called from now on; whether that is news.
    pub fn remember(&mut self, neighbours: Vec<SocketAddr>) -> bool {
        let is_news = self.neighbours != neighbours;
        self.neighbours = neighbours;
        is_news
    }

    /// Writes it; `clean` says that nothing else will be written after it.
    pub fn write(&mut self, place: &Place, clean: bool) -> io::Result<()> {
        self.clean = clean;
        self.files = place.paths.iter().map(|path| look(path)).collect();
        self.have = to_hex(self.pieces.as_ref().map_or(&[], Bitfield::as_bytes));
        let bytes = serde_json::to_vec(self)?;
        private::replace(&place.state, &bytes)
    }
}

fn look(path: &Path) -> Option<FileState> {
    let meta = fs::symlink_metadata(path).ok().filter(Metadata::is_file)?;
    let (device, inode) = crate::source::identity(&meta);
    let modified = meta.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(FileState {
        device,
        inode,
        length: meta.len(),
        modified: u64::try_from(modified.as_nanos()).ok()?,
    })
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    let bytes = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8);
    Some(bytes.collect())
}
