//! The names of things: every id is a type of its own.

use alloc::string::String;
use core::fmt;

/// Writes bytes as lower-case hex.
pub fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write;
    let mut hex = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// Reads `N` bytes of hex in either case; `None` if it is not exactly that.
pub fn from_hex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let hex = hex.as_bytes();
    if hex.len() != N * 2 {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).map(|d| d as u8);
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Lower-case hex.
            pub fn to_hex(&self) -> String {
                to_hex(&self.0)
            }

            /// From hex in either case; `None` if it is not exactly this many bytes.
            pub fn from_hex(hex: &str) -> Option<Self> {
                from_hex(hex).map(Self)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }
    };
}

bytes_id!(
    /// SHA-1 of a v1 info dictionary (BEP 3).
    InfoHashV1, 20
);
bytes_id!(
    /// SHA-256 of a v2 info dictionary (BEP 52).
    InfoHashV2, 32
);
bytes_id!(
    /// What 20 bytes on the wire say of a swarm: a v1 info hash, or the first 20 bytes of a v2 one.
    SwarmHash, 20
);
bytes_id!(
    /// The name a peer gives itself (BEP 20: the first bytes name the client).
    PeerId, 20
);

bytes_id!(
    /// The name of one WebRTC offer, chosen by the offerer. Says nothing of who made it.
    OfferId, 20
);

impl From<InfoHashV1> for SwarmHash {
    fn from(hash: InfoHashV1) -> Self {
        Self(hash.0)
    }
}

impl From<InfoHashV2> for SwarmHash {
    /// BEP 52: "the info hash is truncated to 20 bytes" in trackers, handshakes and the DHT.
    fn from(hash: InfoHashV2) -> Self {
        let mut short = [0; 20];
        short.copy_from_slice(&hash.0[..20]);
        Self(short)
    }
}

/// The names of one torrent: v1, v2, or (hybrid) both. Never neither.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InfoHashes {
    /// One swarm under two names.
    Hybrid(InfoHashV1, InfoHashV2),
    /// BitTorrent v1 only.
    V1(InfoHashV1),
    /// BitTorrent v2 only.
    V2(InfoHashV2),
}

impl InfoHashes {
    /// The v1 name, if it has one.
    pub const fn v1(&self) -> Option<InfoHashV1> {
        match *self {
            Self::Hybrid(v1, _) | Self::V1(v1) => Some(v1),
            Self::V2(_) => None,
        }
    }

    /// The v2 name, if it has one.
    pub const fn v2(&self) -> Option<InfoHashV2> {
        match *self {
            Self::Hybrid(_, v2) | Self::V2(v2) => Some(v2),
            Self::V1(_) => None,
        }
    }

    /// The name to announce: the v1 hash where there is one, for that is where the others are.
    pub fn announced(&self) -> SwarmHash {
        match *self {
            Self::Hybrid(v1, _) | Self::V1(v1) => v1.into(),
            Self::V2(v2) => v2.into(),
        }
    }

    /// Whether these are names of the torrent that has `found`, which may have one more.
    pub fn are_of(&self, found: &Self) -> bool {
        self.v1().is_none_or(|v1| found.v1() == Some(v1))
            && self.v2().is_none_or(|v2| found.v2() == Some(v2))
    }

    /// Whether 20 bytes on the wire name this torrent.
    pub fn is_named(&self, hash: SwarmHash) -> bool {
        self.v1().is_some_and(|v1| SwarmHash::from(v1) == hash)
            || self.v2().is_some_and(|v2| SwarmHash::from(v2) == hash)
    }
}

/// One connection to a peer, as its driver numbers them. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerKey(pub u64);

/// One reader of a torrent's bytes (a Range request, a pipe), as its driver numbers them. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReaderId(pub u64);

/// One origin of a torrent (a web server that has its files), as its driver numbers them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OriginId(pub u32);

/// One request to an origin. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);
