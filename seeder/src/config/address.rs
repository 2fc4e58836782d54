//! An address that stands where a path might: a file on a server.

use std::path::Path;

use super::seed::Entry;
use super::{check_url, checked_name, is_http};
use crate::error::{Error, Result};
use crate::tracker::unescaped;

/// The address, if it is one. A folder that is called `https:` can still be named as `./https:`.
pub fn address_of(path: &Path) -> Option<&str> {
    path.to_str()
        .filter(|text| is_http(text) || is_stored(text))
}

fn is_stored(address: &str) -> bool {
    address.starts_with("s3://")
}

/// Whether what is asked for can be had of a server; and if nobody named it, it is called as its
/// address ends.
pub(super) fn check(entry: &mut Entry) -> Result<()> {
    let Some(address) = address_of(&entry.path) else {
        return Ok(());
    };
    if is_stored(address) && cfg!(not(feature = "s3")) {
        let words = "this headwater was built without object stores (the feature s3)";
        return Err(Error::Usage(words.to_owned()));
    }
    check_url(address, &["http", "https", "s3"], "the address of a film")?;
    if entry.torrent.is_some() {
        let words =
            "--torrent is for files of this machine; of a film elsewhere a new torrent is made";
        return Err(Error::Usage(words.to_owned()));
    }
    if entry.make.name.is_none() {
        entry.make.name = Some(name_of(address)?);
    }
    Ok(())
}

fn name_of(address: &str) -> Result<String> {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    let (_, path) = path.split_once("://").unwrap_or_default();
    let last = path
        .split_once('/')
        .and_then(|(_, path)| path.rsplit('/').next());
    let name = last.map(|last| unescaped(last.as_bytes()).into_owned());
    let name = name.and_then(|name| checked_name(String::from_utf8(name).ok()?).ok());
    name.ok_or_else(|| {
        let words = format!("{address} does not end in the name of a file; give one with --name");
        Error::Usage(words)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_is_called_as_its_address_ends() {
        let name = |address| name_of(address).ok();
        assert_eq!(
            name("https://a/b/film.mp4?x=/y#z").as_deref(),
            Some("film.mp4")
        );
        assert_eq!(
            name("http://a/my%20film.mp4").as_deref(),
            Some("my film.mp4")
        );
        for none in [
            "http://a",
            "http://a/",
            "http://a/b/",
            "http://a/%2e%2e",
            "http://a/x%2fy",
            "http://a/%ff",
        ] {
            assert_eq!(name(none), None, "{none}");
        }
    }

    #[test]
    fn what_looks_like_an_address_is_one() {
        assert_eq!(address_of(Path::new("HTTPS://a/b")), Some("HTTPS://a/b"));
        for path in ["film.mp4", "./https://a/b", "https:", "ftp://a/b"] {
            assert_eq!(address_of(Path::new(path)), None, "{path}");
        }
    }
}
