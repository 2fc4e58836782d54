//! The engine's HTTP trackers: what is to be announced, and what came of it.

use headwater_core::tracker::http::{Input, Output};
use tokio::sync::mpsc;

use super::Engine;
use crate::announcing::{Announces, Answered};
use crate::chunks::TorrentNumber;

/// Announces to HTTP trackers that are under way.
#[derive(Debug)]
pub(super) struct HttpTrackers {
    pub(super) announces: Announces,
    answers: mpsc::UnboundedReceiver<Answered>,
}

impl HttpTrackers {
    pub(super) fn new() -> Self {
        let (announces, answers) = Announces::new();
        Self { announces, answers }
    }

    /// The next announce that has come to its end.
    pub(super) async fn answered(&mut self) -> Option<Answered> {
        self.answers.recv().await
    }
}

impl Engine {
    pub(super) fn on_answer(&mut self, (torrent, key, answer): Answered) {
        let now = self.now();
        let input = match &answer {
            Ok((from, body)) => Input::Answered(key, *from, body),
            Err(reason) => Input::Failed(key, reason),
        };
        // It may be gone.
        if let Some(torrent) = self.torrents.get_mut(torrent) {
            torrent.tell_http(now, input);
        }
    }

    /// Does what the torrent's client wants.
    pub(super) fn drain_announces(&mut self, torrent: TorrentNumber) {
        while let Some(output) = self.torrents.poll_http(torrent) {
            match output {
                Output::Announce(key, url) => self.http.announces.begin(torrent, key, url),
                Output::Event(event) => self.on_tracker_event(torrent, &event),
                Output::Heard(address) => self.heard_of(torrent, address),
            }
        }
    }
}
