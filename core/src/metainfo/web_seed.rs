//! Where a web server keeps a torrent's files (BEP 19).
//!
//! Addresses only: whether to go there is for whoever goes.

use alloc::string::{String, ToString};

use super::Metainfo;
use crate::layout::FileIndex;

impl Metainfo {
    /// The address of one file at a web seed.
    ///
    /// BEP 19: of a torrent of a single file the seed's address is the file's own, unless it ends in
    /// a slash; else the names of torrent, folders and file follow, apart by slashes.
    pub fn file_url(&self, seed: &str, file: FileIndex) -> String {
        if self.is_single_file() && !seed.ends_with('/') {
            return seed.to_string();
        }
        let mut url = seed.trim_end_matches('/').to_string();
        push(&mut url, self.name());
        if !self.is_single_file() {
            let path = &self.layout().entry(file).path;
            path.iter().for_each(|part| push(&mut url, part));
        }
        url
    }
}

/// Adds a slash and a name; what is not unreserved (RFC 3986) is escaped.
fn push(url: &mut String, name: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    url.push('/');
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            url.push(char::from(HEX[usize::from(byte >> 4)]));
            url.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}
