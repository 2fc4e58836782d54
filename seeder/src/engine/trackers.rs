//! The engine's trackers: their sockets, and the connections they bring about.

use headwater_core::ids::PeerKey;
use headwater_core::swarm;
use headwater_core::time::Instant;
use headwater_core::tracker::{Progress, client, http};
use tracing::{debug, warn};

use super::{Engine, Torrent};
use crate::chunks::TorrentNumber;
use crate::sockets::{SocketEvent, SocketKey};
use crate::webrtc;

impl Engine {
    pub(super) fn drain_tracker(&mut self, now: Instant, number: TorrentNumber) {
        while let Some(output) = self.torrents.poll_tracker(number) {
            match output {
                client::Output::OpenTracker(key, url) => self.sockets.open((number, key), url),
                client::Output::SendTracker(key, message) => {
                    self.sockets.send((number, key), message)
                }
                client::Output::CloseTracker(key) => self.sockets.close((number, key)),
                client::Output::MakeOffer(peer) => {
                    self.dialled.insert(peer);
                    let made = self.endpoint.make_offer(peer);
                    let input = made
                        .as_deref()
                        .map(|sdp| client::Input::OfferMade(peer, sdp));
                    self.answer(now, number, peer, input);
                }
                client::Output::AcceptOffer(peer, sdp) => {
                    let made = self.endpoint.accept_offer(peer, &sdp);
                    let input = made
                        .as_deref()
                        .map(|sdp| client::Input::AnswerMade(peer, sdp));
                    self.answer(now, number, peer, input);
                }
                client::Output::ApplyAnswer(peer, sdp) => {
                    if let Err(e) = self.endpoint.apply_answer(peer, &sdp) {
                        self.answer(now, number, peer, Err(&e));
                    }
                }
                client::Output::Drop(peer) => {
                    self.endpoint.close(peer);
                    self.dialled.remove(&peer);
                    if self.open.remove(&peer)
                        && let Some(torrent) = self.torrents.get_mut(number)
                    {
                        torrent.swarm.handle_input(now, swarm::Input::Closed(peer));
                    }
                }
                client::Output::Event(event) => self.on_tracker_event(number, &event),
                client::Output::Introduce(wish) => {
                    if let Some(torrent) = self.torrents.get_mut(number) {
                        let wished = swarm::Input::Wished(wish);
                        torrent.swarm.handle_input(now, wished);
                    }
                }
            }
        }
    }

    /// Gives the tracker client what it asked of the endpoint, or why there is none.
    fn answer(
        &mut self,
        now: Instant,
        number: TorrentNumber,
        peer: PeerKey,
        made: Result<client::Input<'_>, &webrtc::Error>,
    ) {
        let Some(Torrent { tracker, .. }) = self.torrents.get_mut(number) else {
            return;
        };
        match made {
            Ok(input) => tracker.handle_input(now, input),
            Err(e) => {
                debug!(peer = peer.0, "no connection: {e}");
                self.endpoint.close(peer);
                self.dialled.remove(&peer);
                tracker.handle_input(now, client::Input::ConnectionFailed(peer, &e.to_string()));
            }
        }
    }

    /// A tracker in trouble is told of once, and once more when it is well.
    pub(super) fn on_tracker_event(&mut self, number: TorrentNumber, event: &client::Event) {
        match event {
            client::Event::Lost { url, message } => {
                if self.troubled.insert((number, url.clone())) {
                    warn!("tracker {url} is down ({message}); trying again until it is back");
                }
            }
            client::Event::Connected { url } => {
                if self.troubled.remove(&(number, url.clone())) {
                    warn!("tracker {url} is back");
                }
            }
            client::Event::Warning { url, message } => warn!("tracker {url} says: {message}"),
            client::Event::Announced {
                url,
                complete,
                incomplete,
            } => {
                debug!(url, complete, incomplete, "announced");
            }
        }
    }

    pub(super) fn on_socket(&mut self, key: SocketKey, event: SocketEvent) {
        let now = self.now();
        let (number, tracker) = key;
        if matches!(event, SocketEvent::Closed(_)) {
            self.sockets.forget(key);
        }
        let Some(Torrent {
            tracker: client, ..
        }) = self.torrents.get_mut(number)
        else {
            return;
        };
        match event {
            SocketEvent::Opened => client.handle_input(now, client::Input::TrackerOpened(tracker)),
            SocketEvent::Received(text) => {
                client.handle_input(now, client::Input::TrackerReceived(tracker, &text))
            }
            SocketEvent::Closed(reason) => {
                client.handle_input(now, client::Input::TrackerClosed(tracker, &reason));
            }
        }
    }

    pub(super) fn tell_progress(&mut self) {
        let now = self.now();
        for number in self.torrents.numbers() {
            let Some(torrent) = self.torrents.get_mut(number) else {
                continue;
            };
            let stats = torrent.swarm.stats(now);
            let progress = Progress {
                uploaded: stats.sent,
                downloaded: stats.received,
                left: torrent.storage.is_some().then_some(stats.kept_left),
                played_percent: torrent.swarm.played_percent(),
            };
            let told = client::Input::Progress(progress);
            torrent.tracker.handle_input(now, told);
            torrent.tell_http(now, http::Input::Progress(progress));
        }
    }
}
