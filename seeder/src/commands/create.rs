//! `headwater create`: a .torrent file, whole or not at all.

use std::path::PathBuf;

use serde::Serialize;

use super::inspect::magnet_of;
use crate::config::Create;
use crate::error::Result;
use crate::making;
use crate::report::{print_json, print_line};
use crate::torrent_file;

#[derive(Debug, Serialize)]
struct Created {
    torrent: String,
    info_hash_v1: Option<String>,
    info_hash_v2: Option<String>,
    magnet: String,
    piece_length: u32,
    pieces: u32,
    length: u64,
}

/// Does it.
pub fn run(create: &Create) -> Result<()> {
    let made = making::make(&create.path, &create.make, !create.json)?;
    let metainfo = made.metainfo;
    let out = create
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.torrent", metainfo.name())));
    torrent_file::write(&out, &metainfo.to_torrent_bytes())?;
    let (hashes, layout) = (metainfo.info_hashes(), metainfo.layout());
    let created = Created {
        torrent: out.display().to_string(),
        info_hash_v1: hashes.v1().map(|hash| hash.to_hex()),
        info_hash_v2: hashes.v2().map(|hash| hash.to_hex()),
        magnet: magnet_of(&metainfo).to_string(),
        piece_length: layout.standard_piece_length(),
        pieces: layout.piece_count(),
        length: layout.content_length(),
    };
    if create.json {
        print_json(&created);
    } else {
        print_line(&words(&created, metainfo.trackers().is_empty()));
    }
    Ok(())
}

fn words(created: &Created, nobody_tracks: bool) -> String {
    let hash = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "none".to_owned());
    let mut text = format!(
        "wrote         {}\ninfo hash v1  {}\ninfo hash v2  {}\npieces        {} of {} bytes\nmagnet        {}",
        created.torrent,
        hash(&created.info_hash_v1),
        hash(&created.info_hash_v2),
        created.pieces,
        created.piece_length,
        created.magnet
    );
    if nobody_tracks {
        text.push_str("\nwarning       it names no tracker: nobody can find peers by it; add one with --tracker");
    }
    text
}
