//! The 68 bytes both sides send first (BEP 3), and what their reserved bits say.

use super::Error;
use crate::ids::{PeerId, SwarmHash};
use alloc::vec::Vec;

/// Bytes of a handshake.
pub const HANDSHAKE_LEN: usize = 68;

/// How every handshake begins.
pub(super) const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// What a peer says it can do, in the handshake's reserved bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Features {
    /// BEP 10: the extension protocol.
    pub extended: bool,
    /// BEP 6: the Fast extension.
    pub fast: bool,
    /// BEP 52: it knows v2. Says nothing of the torrent at hand.
    pub v2: bool,
}

impl Features {
    /// All that this crate speaks.
    pub const ALL: Self = Self {
        extended: true,
        fast: true,
        v2: true,
    };

    const fn from_reserved(reserved: [u8; 8]) -> Self {
        Self {
            extended: reserved[5] & 0x10 != 0,
            fast: reserved[7] & 0x04 != 0,
            v2: reserved[7] & 0x10 != 0,
        }
    }

    const fn to_reserved(self) -> [u8; 8] {
        let fifth = if self.extended { 0x10 } else { 0 };
        let seventh = if self.fast { 0x04 } else { 0 } | if self.v2 { 0x10 } else { 0 };
        [0, 0, 0, 0, 0, fifth, 0, seventh]
    }
}

/// What a peer says before all else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// What it can do.
    pub features: Features,
    /// Which torrent it means.
    pub swarm: SwarmHash,
    /// How it calls itself; need not be the name the tracker knows.
    pub peer_id: PeerId,
}

impl Handshake {
    /// Append it to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(PROTOCOL);
        out.extend_from_slice(&self.features.to_reserved());
        out.extend_from_slice(&self.swarm.0);
        out.extend_from_slice(&self.peer_id.0);
    }

    pub(super) fn parse(bytes: &[u8; HANDSHAKE_LEN]) -> Result<Self, Error> {
        let (protocol, rest) = bytes.split_at(PROTOCOL.len());
        let (reserved, rest) = rest.split_at(8);
        let (swarm, peer_id) = rest.split_at(20);
        if protocol != PROTOCOL {
            return Err(Error::NotBitTorrent);
        }
        Ok(Self {
            features: Features::from_reserved(array(reserved)),
            swarm: SwarmHash(array(swarm)),
            peer_id: PeerId(array(peer_id)),
        })
    }
}

/// `bytes` as an array of the length it is known to have.
pub(super) fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    debug_assert_eq!(bytes.len(), N);
    let mut out = [0; N];
    out.copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webtorrents_reserved_bytes_mean_extensions_and_fast() {
        let features = Features::from_reserved([0, 0, 0, 0, 0, 0x10, 0, 4]);
        assert_eq!(
            features,
            Features {
                extended: true,
                fast: true,
                v2: false
            }
        );
        assert_eq!(features.to_reserved(), [0, 0, 0, 0, 0, 0x10, 0, 4]);
    }

    #[test]
    fn a_handshake_reads_back_as_it_was_written() {
        let hello = Handshake {
            features: Features::ALL,
            swarm: SwarmHash([7; 20]),
            peer_id: PeerId(*b"-HW0100-abcdefghijkl"),
        };
        let mut bytes = Vec::new();
        hello.encode(&mut bytes);
        assert_eq!(Handshake::parse(&array(&bytes)), Ok(hello));
    }
}
