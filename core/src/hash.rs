//! SHA-1 and SHA-256, and the digests they leave.

use core::fmt;

use sha1::Digest as _;

use crate::ids::to_hex;

macro_rules! digest {
    ($(#[$doc:meta])* $digest:ident, $len:literal, $(#[$hasher_doc:meta])* $hasher:ident, $inner:ty, $function:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $digest(pub [u8; $len]);

        impl $digest {
            /// How many bytes it is.
            pub const LENGTH: usize = $len;

            /// From exactly that many bytes.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Lower-case hex.
            pub fn to_hex(&self) -> alloc::string::String {
                to_hex(&self.0)
            }
        }

        impl AsRef<[u8]> for $digest {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Debug for $digest {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
            }
        }

        $(#[$hasher_doc])*
        #[derive(Clone, Default)]
        pub struct $hasher($inner);

        impl $hasher {
            /// Nothing hashed yet.
            pub fn new() -> Self {
                Self::default()
            }

            /// Hashes the next bytes.
            pub fn update(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            /// The digest of all bytes since [`new`](Self::new).
            pub fn finish(self) -> $digest {
                $digest(self.0.finalize().into())
            }
        }

        impl fmt::Debug for $hasher {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($hasher))
            }
        }

        /// The digest of these bytes.
        pub fn $function(bytes: &[u8]) -> $digest {
            $digest(<$inner>::digest(bytes).into())
        }
    };
}

digest!(
    /// What SHA-1 leaves: the hash of a v1 piece.
    Sha1Digest, 20,
    /// SHA-1, fed bit by bit.
    Sha1, sha1::Sha1, sha1
);
digest!(
    /// What SHA-256 leaves: a node of a v2 hash tree (BEP 52).
    Sha256Digest, 32,
    /// SHA-256, fed bit by bit.
    Sha256, sha2::Sha256, sha256
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_examples_hash_to_the_standard_digests() {
        assert_eq!(
            sha1(b"abc").to_hex(),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            sha256(b"abc").to_hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn bytes_cut_anywhere_hash_the_same() {
        let mut cut = Sha256::new();
        cut.update(b"a");
        cut.update(b"");
        cut.update(b"bc");
        assert_eq!(cut.finish(), sha256(b"abc"));
    }
}
