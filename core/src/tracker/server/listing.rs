//! Which torrents a tracker tracks: all, those on a list, or all but those on a list.

use crate::ids::SwarmHash;
use alloc::collections::BTreeSet;

/// Which torrents are tracked.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum Listing {
    /// Whatever is announced.
    #[default]
    All,
    /// All but these.
    AllBut(BTreeSet<SwarmHash>),
    /// These alone.
    Only(BTreeSet<SwarmHash>),
}

impl Listing {
    /// # Errors
    /// The reason to be told if `hash` is not tracked.
    pub(super) fn check(&self, hash: SwarmHash) -> Result<(), &'static str> {
        let is_tracked = match self {
            Self::All => true,
            Self::AllBut(denied) => !denied.contains(&hash),
            Self::Only(allowed) => allowed.contains(&hash),
        };
        is_tracked
            .then_some(())
            .ok_or("this torrent is not tracked here")
    }
}
