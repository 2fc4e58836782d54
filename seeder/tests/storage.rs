//! A seeded torrent's bytes: right, or none.

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use headwater::chunks::{Chunks, Loaded, Read};
use headwater::cli::{Cli, Command};
use headwater::config::Create;
use headwater::making::{self, Made};
use headwater_core::layout::Block;
use headwater_core::merkle;
use support::{Folder, bytes};
use tokio::sync::mpsc;

/// A torrent of what is at `path`, made with these flags.
fn make(path: &Path, flags: &[&str]) -> Made {
    use clap::Parser;
    let args = [&["headwater", "create", support::text(path)][..], flags].concat();
    let Command::Create(args) = Cli::parse_from(args).command else {
        unreachable!("the command is given")
    };
    let create = Create::new(args).expect("sound flags");
    making::make(path, &create.make, false).expect("a torrent")
}

fn set(folder: &Folder) -> std::path::PathBuf {
    for (name, length) in [("a", 16_385), ("b", 0), ("c", 1), ("d/e", 200_000)] {
        folder.file(&format!("set/{name}"), length);
    }
    folder.path("set")
}

#[test]
fn every_piece_reads_as_it_was_hashed_in_each_version() {
    let folder = Folder::new();
    let path = set(&folder);
    for version in [&["--v1"][..], &["--v2"], &[]] {
        let Made { metainfo, storage } = make(&path, version);
        let layout = metainfo.layout();
        for piece in layout.pieces() {
            let start = layout.piece_start(piece);
            let read = storage
                .read(start..start + u64::from(layout.piece_length(piece)))
                .expect("bytes");
            if let Some(hash) = metainfo.v1_piece_hash(piece) {
                assert_eq!(
                    headwater_core::hash::sha1(&read),
                    hash,
                    "{version:?} {piece}"
                );
            }
            if let Some(part) = layout.file_piece(piece) {
                let leaves = merkle::leaves(&read[..part.length as usize]);
                assert_eq!(storage.leaves_in_memory(piece), Some(&leaves[..]));
                assert_eq!(storage.leaves(piece).expect("leaves"), leaves);
                assert_eq!(
                    metainfo
                        .shape(part.file)
                        .and_then(|shape| shape.piece_root(&leaves)),
                    metainfo.v2_piece_root(piece)
                );
            }
        }
    }
}

#[test]
fn a_file_that_is_truncated_overwritten_replaced_or_deleted_is_not_read() {
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 4] = [
        ("truncated", |path| {
            fs::OpenOptions::new()
                .write(true)
                .open(path)
                .and_then(|file| file.set_len(100_000))
                .expect("truncate")
        }),
        ("overwritten", |path| {
            fs::write(path, vec![1; 300_000]).expect("write")
        }),
        ("replaced", |path| {
            let other = path.with_extension("new");
            fs::write(&other, vec![1; 300_000]).expect("write");
            fs::rename(&other, path).expect("rename");
        }),
        ("deleted", |path| fs::remove_file(path).expect("remove")),
    ];
    for (what, spoil) in spoil {
        let folder = Folder::new();
        let path = folder.file("film.mp4", 300_000);
        let storage = make(&path, &[]).storage;
        assert!(storage.read(0..300_000).expect("bytes") == bytes(300_000));
        assert_eq!(storage.changed(), []);
        spoil(&path);
        for range in [0..16_384, 50_000..60_000, 299_999..300_000] {
            assert!(storage.read(range).is_err(), "{what}");
        }
        assert_eq!(storage.changed().len(), 1, "{what}");
    }
}

#[tokio::test]
async fn a_chunk_is_read_once_and_cut_for_all() {
    let folder = Folder::new();
    let made = make(
        &folder.file("film.mp4", 1_000_000),
        &["--piece-length", "32KiB"],
    );
    let layout = made.metainfo.layout();
    let (mut chunks, mut reads) = Chunks::new();
    let block = |piece: u32, begin, length| layout.run(piece, begin, length).expect("a block");
    let bytes_of = |block: Block| {
        let start = (layout.piece_start(block.piece) + u64::from(block.begin)) as usize;
        bytes(1_000_000)[start..start + block.length as usize].to_vec()
    };
    // Two blocks of one chunk, asked for before it is read: one read answers both.
    let (first, second) = (block(0, 0, 16_384), block(3, 16_384, 16_384));
    assert!(chunks.block(0, &made.storage, first).is_none());
    assert!(chunks.block(0, &made.storage, second).is_none());
    let answers = chunks.finish(reads.recv().await.expect("a read"));
    assert_eq!(
        answers
            .iter()
            .map(|loaded| loaded.block)
            .collect::<Vec<_>>(),
        [first, second]
    );
    for loaded in answers {
        assert!(loaded.bytes.expect("bytes")[..] == bytes_of(loaded.block));
    }
    // From then on at once, even when the file is gone: it was right when it was read.
    fs::remove_file(folder.path("film.mp4")).expect("remove");
    let third = block(7, 100, 2_000);
    assert!(chunks.block(0, &made.storage, third).expect("at once")[..] == bytes_of(third));
    let beyond = block(20, 0, 16_384);
    assert!(
        chunks
            .block(0, &Arc::clone(&made.storage), beyond)
            .is_none()
    );
    let answers = answers_to(&mut chunks, &mut reads).await;
    assert!(answers[0].bytes.is_err(), "{answers:?}");
}

#[tokio::test]
async fn a_file_that_is_gone_takes_none_of_its_neighbours_along() {
    let folder = Folder::new();
    folder.file("set/a", 40_000);
    folder.file("set/b", 50_000);
    let made = make(&folder.path("set"), &["--v1", "--piece-length", "16KiB"]);
    let layout = made.metainfo.layout();
    let (mut chunks, mut reads) = Chunks::new();
    fs::remove_file(folder.path("set/a")).expect("remove");
    let of_a = layout.run(1, 0, 16_384).expect("a block");
    let of_b = layout.run(3, 0, 16_384).expect("a block");
    for _ in 0..2 {
        assert!(chunks.block(0, &made.storage, of_a).is_none());
        let answers = answers_to(&mut chunks, &mut reads).await;
        assert!(answers[0].bytes.is_err(), "{answers:?}");
    }
    assert!(chunks.block(0, &made.storage, of_b).is_none());
    let mut answers = answers_to(&mut chunks, &mut reads).await;
    let start = 3 * 16_384 - 40_000;
    assert!(answers.remove(0).bytes.expect("bytes")[..] == bytes(50_000)[start..start + 16_384]);
}

/// The next answers, after however many reads that takes.
async fn answers_to(chunks: &mut Chunks, reads: &mut mpsc::UnboundedReceiver<Read>) -> Vec<Loaded> {
    loop {
        let answers = chunks.finish(reads.recv().await.expect("a read"));
        if !answers.is_empty() {
            return answers;
        }
    }
}
