//! The engine's HTTP trackers: what is to be announced, and what came of it.

use headwater_core::time::Instant;
use headwater_core::tracker::http::{HttpClient, Input, Output};
use tokio::sync::mpsc;

use super::Engine;
use crate::announcing::{Announces, Answered};

/// HTTP trackers, one client a torrent.
#[derive(Debug)]
pub(super) struct HttpTrackers {
    clients: Vec<HttpClient>,
    pub(super) announces: Announces,
    answers: mpsc::UnboundedReceiver<Answered>,
}

impl HttpTrackers {
    pub(super) fn new() -> Self {
        let (announces, answers) = Announces::new();
        Self {
            clients: Vec::new(),
            announces,
            answers,
        }
    }

    /// The next announce that has come to its end.
    pub(super) async fn answered(&mut self) -> Option<Answered> {
        self.answers.recv().await
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let all = self.clients.iter();
        all.filter_map(HttpClient::poll_timeout).min()
    }

    pub(super) fn time_out(&mut self, now: Instant) {
        for client in &mut self.clients {
            if client.poll_timeout().is_some_and(|at| at <= now) {
                client.handle_input(now, Input::TimedOut);
            }
        }
    }

    /// Tells one torrent's client.
    pub(super) fn tell(&mut self, now: Instant, torrent: usize, input: Input<'_>) {
        if let Some(client) = self.clients.get_mut(torrent) {
            client.handle_input(now, input);
        }
    }

    pub(super) fn stop(&mut self, now: Instant) {
        for client in &mut self.clients {
            client.handle_input(now, Input::Stopped);
        }
    }
}

impl Engine {
    /// Announces to HTTP trackers too: one client for each torrent, in their order.
    #[must_use]
    pub fn with_http_trackers(mut self, clients: Vec<HttpClient>) -> Self {
        debug_assert_eq!(clients.len(), self.torrents.len());
        self.http.clients = clients;
        self
    }

    pub(super) fn on_answer(&mut self, (torrent, key, answer): Answered) {
        let now = self.now();
        let input = match &answer {
            Ok((from, body)) => Input::Answered(key, *from, body),
            Err(reason) => Input::Failed(key, reason),
        };
        self.http.tell(now, torrent, input);
    }

    /// Does what the clients want; whether that was anything.
    pub(super) fn drain_announces(&mut self) -> bool {
        let mut busy = false;
        for torrent in 0..self.http.clients.len() {
            while let Some(output) = self.http.clients[torrent].poll_output() {
                busy = true;
                match output {
                    Output::Announce(key, url) => self.http.announces.begin(torrent, key, url),
                    Output::Event(event) => self.on_tracker_event(torrent, &event),
                    Output::Heard(address) => self.heard_of(torrent, address),
                }
            }
        }
        busy
    }
}
