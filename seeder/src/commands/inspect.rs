//! `headwater inspect`: what a torrent or a magnet link says, for people and for scripts.

use std::fmt::Write;
use std::path::Path;

use headwater_core::ids::InfoHashes;
use headwater_core::metainfo::{Magnet, Metainfo};
use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;

use crate::cli::InspectArgs;
use crate::config::is_websocket;
use crate::error::{Error, Result};
use crate::report::{print_json, print_line};
use crate::torrent_file;

/// Longest piece of which a page's usual look-ahead (48 MiB) still holds 32.
const MAX_WINDOWED_PIECE: u32 = (48 << 20) / 32;

/// Files shown to a person; a script gets them all.
const FILES_SHOWN: usize = 50;

/// What is known, by the names the fields have in a torrent.
#[derive(Debug, Default, Serialize)]
struct Report {
    kind: &'static str,
    name: Option<String>,
    version: &'static str,
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    length: Option<u64>,
    piece_length: Option<u32>,
    pieces: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<Vec<FileReport>>,
    private: Option<bool>,
    comment: Option<String>,
    created_by: Option<String>,
    creation_date: Option<i64>,
    trackers: Vec<String>,
    web_seeds: Vec<String>,
    peers: Vec<String>,
    magnet: String,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct FileReport {
    path: String,
    length: u64,
    pieces_root: Option<String>,
}

/// Does it.
pub fn run(args: &InspectArgs) -> Result<()> {
    let report = if args
        .torrent
        .get(..7)
        .is_some_and(|head| head.eq_ignore_ascii_case("magnet:"))
    {
        of_magnet(&args.torrent)?
    } else {
        of_torrent(&torrent_file::read(Path::new(&args.torrent))?)
    };
    if args.json {
        print_json(&report);
    } else {
        print_line(&words(&report));
    }
    Ok(())
}

/// The link by which others find this torrent.
pub fn magnet_of(metainfo: &Metainfo) -> Magnet {
    let mut magnet = Magnet::new(metainfo.info_hashes());
    magnet.name = Some(metainfo.name().to_owned());
    magnet.trackers = metainfo.trackers().to_vec();
    magnet.web_seeds = metainfo.web_seeds().to_vec();
    magnet
}

fn of_magnet(link: &str) -> Result<Report> {
    let magnet = Magnet::parse(link).map_err(|e| Error::NotATorrent {
        from: "this magnet link".to_owned(),
        reason: e.to_string(),
    })?;
    let mut report = named(&magnet.hashes);
    report.kind = "magnet";
    report.magnet = magnet.to_string();
    report.name = magnet.name;
    report.length = magnet.length;
    report.trackers = magnet.trackers;
    report.web_seeds = magnet.web_seeds;
    report.peers = magnet.peers;
    report.warnings = warnings(&report);
    Ok(report)
}

fn of_torrent(metainfo: &Metainfo) -> Report {
    let layout = metainfo.layout();
    let mut report = named(&metainfo.info_hashes());
    let files = layout.content_files().map(|(file, entry)| FileReport {
        path: entry.path.join("/"),
        length: entry.length,
        pieces_root: metainfo.pieces_root(file).map(|root| root.to_hex()),
    });
    report.kind = "torrent";
    report.name = Some(metainfo.name().to_owned());
    report.files = Some(files.collect());
    report.length = Some(layout.content_length());
    report.piece_length = Some(layout.standard_piece_length());
    report.pieces = Some(layout.piece_count());
    report.private = Some(metainfo.is_private());
    report.comment = metainfo.comment().map(str::to_owned);
    report.created_by = metainfo.created_by().map(str::to_owned);
    report.creation_date = metainfo.creation_date();
    report.trackers = metainfo.trackers().to_vec();
    report.web_seeds = metainfo.web_seeds().to_vec();
    report.magnet = magnet_of(metainfo).to_string();
    report.warnings = warnings(&report);
    let missing = metainfo.missing_piece_layers().count();
    if missing > 0 {
        report.warnings.push(format!(
            "the piece layers of {missing} files are missing; peers will have to send them first"
        ));
    }
    report
}

fn named(hashes: &InfoHashes) -> Report {
    Report {
        version: match hashes {
            InfoHashes::Hybrid(..) => "hybrid",
            InfoHashes::V1(_) => "v1",
            InfoHashes::V2(_) => "v2",
        },
        info_hash_v1: hashes.v1().map(|hash| hash.to_hex()),
        info_hash_v2: hashes.v2().map(|hash| hash.to_hex()),
        ..Report::default()
    }
}

fn warnings(report: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    if report.trackers.is_empty() {
        warnings.push(
            "it names no tracker: nobody can find peers by it; add one (--tracker when making it, &tr= in a magnet link)"
                .to_owned(),
        );
    } else if !report.trackers.iter().any(|tracker| is_websocket(tracker)) {
        warnings.push(
            "it names no WebSocket tracker (ws:// or wss://): web pages cannot find peers by it"
                .to_owned(),
        );
    }
    if report.version == "v2" {
        warnings.push(
            "it is v2 alone: Headwater pages can play it, WebTorrent pages cannot".to_owned(),
        );
    }
    if report
        .piece_length
        .is_some_and(|length| length > MAX_WINDOWED_PIECE)
    {
        warnings.push(
            "its pieces are so long that a page's look-ahead of 48 MiB holds fewer than 32: viewers share less of it"
                .to_owned(),
        );
    }
    warnings
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    let mut say = |what: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "{what:<13} {}", clean(&value));
        }
    };
    let or_empty = |value: &Option<String>| value.clone().unwrap_or_default();
    say("name", or_empty(&report.name));
    say("kind", format!("{} ({})", report.kind, report.version));
    say("info hash v1", or_empty(&report.info_hash_v1));
    say("info hash v2", or_empty(&report.info_hash_v2));
    say("length", report.length.map_or(String::new(), bytes));
    if let (Some(pieces), Some(length)) = (report.pieces, report.piece_length) {
        say(
            "pieces",
            format!("{} of {}", HumanCount(pieces.into()), bytes(length.into())),
        );
    }
    if report.private == Some(true) {
        say("private", "yes".to_owned());
    }
    say("comment", or_empty(&report.comment));
    say("created by", or_empty(&report.created_by));
    for tracker in &report.trackers {
        say("tracker", tracker.clone());
    }
    for seed in &report.web_seeds {
        say("web seed", seed.clone());
    }
    for peer in &report.peers {
        say("peer", peer.clone());
    }
    let files = report.files.as_deref().unwrap_or_default();
    for file in files.iter().take(FILES_SHOWN) {
        say(
            "file",
            format!("{}  {}", file.path, BinaryBytes(file.length)),
        );
    }
    if files.len() > FILES_SHOWN {
        say(
            "file",
            format!("and {} more (--json shows all)", files.len() - FILES_SHOWN),
        );
    }
    say("magnet", report.magnet.clone());
    for warning in &report.warnings {
        say("warning", warning.clone());
    }
    text.trim_end().to_owned()
}

fn bytes(count: u64) -> String {
    format!("{} ({} bytes)", BinaryBytes(count), HumanCount(count))
}

/// A torrent's words are a stranger's: none of them may steer the terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\rc\n"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}");
    }

    #[test]
    fn a_magnet_without_a_tracker_is_warned_about() {
        let report = of_magnet("magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567")
            .expect("a magnet");
        assert!(
            report.warnings[0].contains("no tracker"),
            "{:?}",
            report.warnings
        );
    }
}
