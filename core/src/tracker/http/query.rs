//! The address of an announce (BEP 3).

use alloc::string::String;
use core::fmt::Write;

use crate::ids::{PeerId, SwarmHash};
use crate::tracker::Progress;
use crate::tracker::message::AnnounceEvent;

/// What a magnet's owner says it lacks: something, it does not know how much.
const UNKNOWN_LEFT: u64 = 16 * 1024;

/// All that an announce says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    pub(super) tracker: &'a str,
    pub(super) swarm: SwarmHash,
    pub(super) peer_id: PeerId,
    pub(super) port: u16,
    pub(super) progress: Progress,
    pub(super) key: u32,
    pub(super) event: Option<AnnounceEvent>,
    pub(super) wanted: usize,
    /// What it told us to repeat.
    pub(super) tracker_id: Option<&'a [u8]>,
}

impl Query<'_> {
    /// The URL to fetch.
    pub(super) fn url(&self) -> String {
        let tracker = self.tracker.split('#').next().unwrap_or_default();
        let mut url = String::from(tracker);
        // A passkey may be in the query already.
        url.push(if tracker.contains('?') { '&' } else { '?' });
        url.push_str("info_hash=");
        escape(&mut url, &self.swarm.0);
        url.push_str("&peer_id=");
        escape(&mut url, &self.peer_id.0);
        let Progress {
            uploaded,
            downloaded,
            left,
            ..
        } = self.progress;
        let (port, left, key) = (self.port, left.unwrap_or(UNKNOWN_LEFT), self.key);
        // Nobody listens at a port 0, and some trackers refuse it; discard is as good.
        let port = port.max(1);
        let _ = write!(
            url,
            "&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}&compact=1&no_peer_id=1&key={key:08x}&numwant={}",
            self.wanted
        );
        if let Some(event) = self.event {
            url.push_str("&event=");
            url.push_str(match event {
                AnnounceEvent::Completed => "completed",
                AnnounceEvent::Started => "started",
                AnnounceEvent::Stopped => "stopped",
            });
        }
        if let Some(id) = self.tracker_id {
            url.push_str("&trackerid=");
            escape(&mut url, id);
        }
        url
    }
}

/// RFC 3986: unreserved characters as they are, everything else as two hex digits.
fn escape(url: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_announce_is_written_as_trackers_read_it() {
        let query = Query {
            tracker: "http://a.example/x?passkey=1#top",
            swarm: SwarmHash(*b"\x12\x34aZ~ &=?\xff__________"),
            peer_id: PeerId(*b"-HW0100-abcdefghijkl"),
            port: 6881,
            progress: Progress {
                uploaded: 1,
                downloaded: 2,
                ..Progress::default()
            },
            key: 0xa,
            event: Some(AnnounceEvent::Started),
            wanted: 50,
            tracker_id: Some(b"i d"),
        };
        assert_eq!(
            query.url(),
            "http://a.example/x?passkey=1&info_hash=%124aZ~%20%26%3D%3F%FF__________\
             &peer_id=-HW0100-abcdefghijkl&port=6881&uploaded=1&downloaded=2&left=16384\
             &compact=1&no_peer_id=1&key=0000000a&numwant=50&event=started&trackerid=i%20d"
        );
    }
}
