//! The engine's origins: what they send goes to the swarms that asked.

use headwater_core::ids::Ticket;
use headwater_core::swarm::Input;

use super::Engine;
use crate::chunks::TorrentNumber;
use crate::origin::{Origin, Told};

impl Engine {
    /// Lets a torrent's swarm ask these web servers, too.
    #[must_use]
    pub fn with_origins(mut self, torrent: TorrentNumber, origins: Vec<Origin>) -> Self {
        let now = self.now();
        for origin in origins {
            let url = origin.url.clone();
            let origin = self.origins.add(torrent, origin);
            if let Some(torrent) = self.torrents.get_mut(torrent) {
                let added = Input::OriginAdded { origin, url };
                torrent.swarm.handle_input(now, added);
            }
        }
        self
    }

    pub(super) fn on_origin(&mut self, torrent: TorrentNumber, ticket: Ticket, told: Told) {
        let now = self.now();
        let Some(torrent) = self.torrents.get_mut(torrent) else {
            return;
        };
        let input = match &told {
            Told::Bytes(bytes) => Input::Fetched(ticket, bytes),
            Told::Ended => Input::FetchEnded(ticket),
            Told::Failed(reason) => Input::FetchFailed(ticket, reason.clone()),
        };
        torrent.swarm.handle_input(now, input);
    }
}
