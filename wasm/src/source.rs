//! What a page names a torrent by, made into what the core knows one by.

use headwater_core::ids::InfoHashes;
use headwater_core::metainfo::{self, Limits, Magnet, Metainfo};
use headwater_core::swarm::Source;

use crate::protocol::{AddSource, Refusal};
use crate::storage::Storage;

/// What the core makes of a source: itself, its names, and the trackers that it names.
pub(crate) fn source(
    source: AddSource,
) -> Result<(Source, InfoHashes, Vec<String>, Option<Storage>), Refusal> {
    match source {
        AddSource::Magnet(uri) => {
            let magnet = Magnet::parse(&uri)
                .map_err(|error| Refusal::new("badMagnet", sentence(&error.to_string())))?;
            let (hashes, trackers) = (magnet.hashes, magnet.trackers.clone());
            Ok((Source::Magnet(Box::new(magnet)), hashes, trackers, None))
        }
        AddSource::Metainfo(bytes) => {
            let metainfo = Box::new(parse(&bytes)?);
            let (hashes, trackers) = (metainfo.info_hashes(), metainfo.trackers().to_vec());
            Ok((Source::Metainfo(metainfo), hashes, trackers, None))
        }
        AddSource::Seeded(bytes, files) => {
            let metainfo = Box::new(parse(&bytes)?);
            let (hashes, trackers) = (metainfo.info_hashes(), metainfo.trackers().to_vec());
            let storage = Storage::new(files).map_err(|_| {
                Refusal::new("hashFailed", "This browser's workers cannot read files.")
            })?;
            Ok((Source::Complete(metainfo), hashes, trackers, Some(storage)))
        }
        AddSource::Url(..) => Err(Refusal::new(
            "badTorrent",
            "The torrent has not been fetched.",
        )),
    }
}

/// The web servers that a torrent names.
pub(crate) fn web_seeds(source: &Source) -> &[String] {
    match source {
        // Its bytes are here.
        Source::Complete(_) => &[],
        Source::Magnet(magnet) => &magnet.web_seeds,
        Source::Metainfo(metainfo) => metainfo.web_seeds(),
    }
}

fn parse(bytes: &[u8]) -> Result<Metainfo, Refusal> {
    Metainfo::parse(bytes, &Limits::BROWSER).map_err(|error| {
        let code = match error {
            metainfo::Error::TooLong { .. } | metainfo::Error::TooMany { .. } => "tooLarge",
            metainfo::Error::PieceLength { length, .. }
                if length > Limits::BROWSER.piece_length.into() =>
            {
                "tooLarge"
            }
            _ => "badTorrent",
        };
        Refusal::new(code, sentence(&error.to_string()))
    })
}

/// Whether a browser can reach it: trackers of the other kinds are for other clients.
pub(crate) fn is_web_tracker(url: &str) -> bool {
    ["ws://", "wss://"].iter().any(|scheme| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// A reason as a sentence.
fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{}{}.", first.to_ascii_uppercase(), letters.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_sockets_lead_to_a_tracker() {
        assert!(is_web_tracker("wss://tracker.example/"));
        assert!(is_web_tracker("WS://127.0.0.1:8000/announce"));
        for url in [
            "udp://tracker.example:80",
            "https://tracker.example/announce",
            "ws:/x",
            "",
            "wé://",
        ] {
            assert!(!is_web_tracker(url), "{url}");
        }
    }

    #[test]
    fn a_reason_becomes_a_sentence() {
        assert_eq!(
            sentence("the torrent has no \"info\""),
            "The torrent has no \"info\"."
        );
        assert_eq!(sentence(""), "");
    }
}
