//! A torrent's trackers: their sockets, and what the trackers' client wants done.

use headwater_core::swarm;
use headwater_core::time::Instant;
use headwater_core::tracker::client::{self, TrackerKey};

use super::Torrent;
use crate::host::TrackerDid;
use crate::protocol::ToPage;
use crate::tracker_socket::TrackerSocket;

impl Torrent {
    pub(crate) fn handle_tracker(&mut self, now: Instant, tracker: TrackerKey, did: TrackerDid) {
        match did {
            TrackerDid::Close(reason) => {
                self.sockets.remove(&tracker);
                self.tell_client(now, client::Input::TrackerClosed(tracker, &reason));
            }
            TrackerDid::Open => self.tell_client(now, client::Input::TrackerOpened(tracker)),
            TrackerDid::Send(text) => {
                self.tell_client(now, client::Input::TrackerReceived(tracker, &text))
            }
        }
    }

    pub(super) fn do_client(&mut self, now: Instant, output: client::Output) {
        use client::Output;
        match output {
            Output::AcceptOffer(peer, sdp) => {
                self.dialled.insert(peer, false);
                self.page.tell(&ToPage::AcceptOffer {
                    torrent: self.number,
                    peer: peer.0,
                    sdp: &sdp,
                    forward: !self.is_headwater(peer),
                });
            }
            Output::ApplyAnswer(peer, sdp) => self.page.tell(&ToPage::ApplyAnswer {
                peer: peer.0,
                sdp: &sdp,
            }),
            Output::CloseTracker(tracker) => drop(self.sockets.remove(&tracker)),
            Output::Drop(peer) => {
                self.dialled.remove(&peer);
                self.page.tell(&ToPage::Drop { peer: peer.0 });
                if self.links.remove(&peer).is_some_and(|link| link.is_open) {
                    self.swarm.handle_input(now, swarm::Input::Closed(peer));
                }
            }
            Output::Event(tracker) => self.page.tell(&ToPage::Tracker {
                torrent: self.number,
                tracker,
            }),
            Output::Introduce(wish) => self.swarm.handle_input(now, swarm::Input::Wished(wish)),
            Output::MakeOffer(peer) => {
                self.dialled.insert(peer, true);
                self.page.tell(&ToPage::MakeOffer {
                    torrent: self.number,
                    peer: peer.0,
                });
            }
            Output::OpenTracker(tracker, url) => self.open_tracker(now, tracker, &url),
            Output::SendTracker(tracker, text) => {
                if let Some(socket) = self.sockets.get(&tracker) {
                    socket.send(&text);
                }
            }
        }
    }

    fn open_tracker(&mut self, now: Instant, tracker: TrackerKey, url: &str) {
        match TrackerSocket::open(self.number, tracker, url, &self.host) {
            Ok(socket) => drop(self.sockets.insert(tracker, socket)),
            Err(_) => {
                let reason = "the browser refuses to connect to it";
                self.tell_client(now, client::Input::TrackerClosed(tracker, reason));
            }
        }
    }
}
