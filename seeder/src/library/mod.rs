//! What is to be seeded, torrent by torrent: found in folders, hashed once, remembered.
//!
//! It drives nothing; the command does, with what is made here.

mod address_book;
mod state;
mod wish;

use std::sync::Arc;

use tracing::warn;

use crate::config::address_of;
use crate::error::{Error, Result};
use crate::making::{self, Made};
use crate::remote;
use crate::storage::Storage;

pub use address_book::AddressBook;
pub use state::{Mark, State};
pub use wish::{Wish, wishes};

/// A wish, and what came of it.
#[derive(Debug)]
pub struct Stocked {
    /// What was asked for.
    pub wish: Wish,
    /// The torrent and its bytes.
    pub made: Made,
    /// The .torrent file as it was, if one was named.
    pub torrent: Option<Mark>,
}

/// Makes or recalls the torrent of a wish. Reads all its bytes, unless they are remembered.
pub fn stock(wish: Wish, state: Option<&State>, shown: bool) -> Result<Stocked> {
    if let Some(address) = address_of(&wish.path) {
        // What a server said of its file before we were away is not believed.
        let made = making::make_of_remote(remote::server_of(address)?, &wish.make, shown)?;
        return Ok(Stocked {
            wish,
            made,
            torrent: None,
        });
    }
    let torrent = wish.torrent.as_deref().map(Mark::of_path).transpose();
    let torrent =
        torrent.map_err(|e| Error::path("read", wish.torrent.clone().unwrap_or_default(), e))?;
    if let Some(made) = state.and_then(|state| state.recall(&wish, torrent.as_ref())) {
        return Ok(Stocked {
            wish,
            made,
            torrent,
        });
    }
    let made = match &wish.torrent {
        Some(torrent) => making::verify(torrent, &wish.path, shown),
        None => making::make(&wish.path, &wish.make, shown),
    }?;
    let remembered = state.map(|state| state.remember(&wish, torrent.as_ref(), &made));
    if let Some(Err(e)) = remembered {
        warn!(
            "the hashes of {} cannot be remembered: {e}",
            wish.path.display()
        );
    }
    Ok(Stocked {
        wish,
        made,
        torrent,
    })
}

/// Whether what was made of a wish is what would be made of it now.
pub fn is_current(wish: &Wish, storage: &Arc<Storage>, torrent: Option<&Mark>) -> bool {
    if address_of(&wish.path).is_some() {
        return storage.changed().is_empty();
    }
    match &wish.torrent {
        Some(path) => Mark::of_path(path).ok().as_ref() == torrent && storage.changed().is_empty(),
        None => making::listed(&wish.path, storage.layout())
            .is_some_and(|files| Mark::all(&files) == Mark::all(storage.files())),
    }
}
