//! The map between files, pieces and blocks, against one that goes byte by byte.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use headwater_core::layout::{Arrangement, BLOCK_LENGTH, FileEntry, Layout, LayoutError};
use headwater_core::rng::Rng;

const PIECE: u32 = 2 * BLOCK_LENGTH;

fn file(length: u64) -> FileEntry {
    FileEntry {
        path: vec![length.to_string()],
        length,
        pad: false,
        start: 0,
    }
}

fn pad(length: u64) -> FileEntry {
    FileEntry {
        pad: true,
        ..file(length)
    }
}

fn layout(arrangement: Arrangement, files: impl Into<Vec<FileEntry>>) -> Layout {
    Layout::new(arrangement, PIECE, files.into()).unwrap()
}

#[test]
fn v1_files_lie_end_to_end_and_share_pieces() {
    let layout = layout(
        Arrangement::Contiguous,
        [file(10), file(0), file(40_000), file(5)],
    );
    assert_eq!((layout.piece_count(), layout.length()), (2, 40_015));
    let first = layout.piece(0).unwrap();
    let spans: Vec<_> = layout
        .spans(first)
        .map(|s| (s.file.get(), s.offset, s.length))
        .collect();
    assert_eq!(spans, [(0, 0, 10), (2, 0, PIECE - 10)]);
    let last = layout.piece(1).unwrap();
    assert_eq!(layout.piece_length(last), 40_015 - PIECE);
    assert_eq!(layout.file_piece(last), None);
    assert_eq!(
        layout.file_span(layout.file(3).unwrap(), 1..5),
        Some(40_011..40_015)
    );
    assert_eq!(layout.file_span(layout.file(3).unwrap(), 1..6), None);
    assert!(layout.piece(2).is_none() && layout.file(4).is_none());
}

#[test]
fn v2_files_each_start_a_piece_and_the_gap_is_nobodys() {
    let layout = layout(
        Arrangement::Aligned,
        [file(1), file(0), file(40_000), file(5)],
    );
    let lengths: Vec<_> = layout.pieces().map(|p| layout.piece_length(p)).collect();
    assert_eq!(lengths, [1, PIECE, 40_000 - PIECE, 5]);
    assert_eq!(layout.piece_at(1), None);
    assert_eq!(
        layout.piece_at(u64::from(PIECE)),
        layout.piece(1).map(|p| (p, 0))
    );
    let part = layout.file_piece(layout.piece(2).unwrap()).unwrap();
    assert_eq!(
        (part.file.get(), part.index, part.length),
        (2, 1, 40_000 - PIECE)
    );
    assert_eq!(layout.content_length(), 40_006);
    assert_eq!(
        layout.run(0, 0, 2),
        None,
        "a request ends where its file does"
    );
}

#[test]
fn a_hybrids_padding_is_on_the_wire_but_in_no_file() {
    let tail = u64::from(2 * PIECE) - 40_000;
    let layout = layout(
        Arrangement::Padded,
        [
            file(1),
            pad(u64::from(PIECE) - 1),
            file(40_000),
            pad(tail),
            file(0),
        ],
    );
    let first = layout.piece(0).unwrap();
    assert_eq!(layout.piece_length(first), PIECE);
    assert_eq!(layout.file_piece(first).unwrap().length, 1);
    let spans: Vec<_> = layout.spans(first).map(|s| (s.length, s.pad)).collect();
    assert_eq!(spans, [(1, false), (PIECE - 1, true)]);
    let last = layout.piece(2).unwrap();
    let part = layout.file_piece(last).unwrap();
    assert_eq!(
        (part.file.get(), part.index, part.length),
        (2, 1, 40_000 - PIECE)
    );
    assert_eq!(layout.content_files().count(), 3);
}

#[test]
fn padding_that_leaves_a_file_unaligned_is_refused() {
    let new = |files: &[FileEntry]| Layout::new(Arrangement::Padded, PIECE, files.to_vec());
    let whole = u64::from(PIECE);
    assert_eq!(new(&[file(1), file(1)]), Err(LayoutError::Unaligned(1)));
    assert_eq!(
        new(&[file(1), pad(7), file(1)]),
        Err(LayoutError::Unaligned(1))
    );
    assert_eq!(
        new(&[file(1), pad(2 * whole - 1)]),
        Err(LayoutError::Unaligned(1))
    );
    assert_eq!(new(&[pad(whole), file(1)]), Err(LayoutError::Unaligned(0)));
    assert_eq!(new(&[file(whole), pad(0)]), Err(LayoutError::Unaligned(1)));
    assert!(
        new(&[file(1), pad(whole - 1), file(1)]).is_ok(),
        "the tail pad is optional"
    );
}

#[test]
fn lengths_that_overflow_or_make_too_many_pieces_are_refused() {
    let new =
        |piece, files: &[FileEntry]| Layout::new(Arrangement::Contiguous, piece, files.to_vec());
    assert_eq!(new(0, &[file(1)]), Err(LayoutError::PieceLength));
    assert_eq!(
        new(1 << 20, &[file(u64::MAX), file(1)]),
        Err(LayoutError::Overflow)
    );
    assert_eq!(
        new(1 << 20, &[file(u64::MAX)]),
        Err(LayoutError::TooManyPieces)
    );
    assert_eq!(
        new(1, &[file((1 << 21) + 1)]),
        Err(LayoutError::TooManyPieces)
    );
    assert!(new(1, &[file(1 << 21)]).is_ok());
    let aligned = Layout::new(
        Arrangement::Aligned,
        PIECE,
        vec![file(u64::MAX - 1), file(1)],
    );
    assert_eq!(aligned, Err(LayoutError::Overflow));
}

#[test]
fn a_run_asked_for_lies_within_one_piece() {
    let layout = layout(Arrangement::Contiguous, [file(40_000)]);
    assert!(layout.run(0, 0, PIECE).is_some() && layout.run(0, 5, 7).is_some());
    for (piece, begin, length) in [
        (0, 0, 0),
        (0, 1, PIECE),
        (0, u32::MAX, 2),
        (1, 0, 40_001 - PIECE),
        (2, 0, 1),
    ] {
        assert_eq!(layout.run(piece, begin, length), None);
    }
}

#[test]
fn every_map_agrees_with_one_that_goes_byte_by_byte() {
    let mut rng = Rng::seeded(3);
    for _ in 0..3_000 {
        // Tiny pieces: the arithmetic is the same and the oracle is quick.
        let step = 1 + rng.below(8);
        let arrangement = [
            Arrangement::Contiguous,
            Arrangement::Aligned,
            Arrangement::Padded,
        ][rng.below(3) as usize];
        let mut files = Vec::new();
        let mut owners: Vec<Option<(usize, u64)>> = Vec::new();
        for _ in 0..=rng.below(6) {
            let length = u64::from(rng.below(20));
            let over = owners.len() as u64 % u64::from(step);
            if arrangement != Arrangement::Contiguous && length > 0 && over > 0 {
                let gap = u64::from(step) - over;
                let number = files.len();
                let padded = arrangement == Arrangement::Padded;
                owners.extend((0..gap).map(|at| padded.then_some((number, at))));
                if padded {
                    files.push(pad(gap));
                }
            }
            let number = files.len();
            owners.extend((0..length).map(|at| Some((number, at))));
            files.push(file(length));
        }
        let layout = Layout::new(arrangement, step, files).unwrap();
        assert_eq!(layout.length(), owners.len() as u64);
        let pieces: Vec<_> = owners.chunks(step as usize).collect();
        assert_eq!(layout.piece_count() as usize, pieces.len());
        for (piece, bytes) in layout.pieces().zip(pieces) {
            let real: Vec<_> = bytes.iter().flatten().copied().collect();
            assert_eq!(layout.piece_length(piece) as usize, real.len());
            let spanned: Vec<_> = layout
                .spans(piece)
                .flat_map(|s| {
                    (s.offset..s.offset + u64::from(s.length))
                        .map(move |at| (s.file.as_usize(), at))
                })
                .collect();
            assert_eq!(spanned, real);
            assert!(
                layout
                    .spans(piece)
                    .all(|s| s.pad == layout.entry(s.file).pad)
            );
            if let Some(part) = layout.file_piece(piece) {
                let own = real
                    .iter()
                    .filter(|(file, _)| *file == part.file.as_usize())
                    .count();
                assert_eq!(
                    (part.length as usize, real[0]),
                    (own, (part.file.as_usize(), u64::from(part.index * step)))
                );
            }
        }
        for (offset, owner) in owners.iter().enumerate() {
            let found = layout.piece_at(offset as u64);
            assert_eq!(found.is_some(), owner.is_some());
            if let Some((piece, begin)) = found {
                assert_eq!(layout.piece_start(piece) + u64::from(begin), offset as u64);
            }
        }
        assert_eq!(layout.piece_at(owners.len() as u64), None);
        for (index, entry) in layout.files().iter().enumerate() {
            let index = layout.file(index as u32).unwrap();
            let span = layout.file_span(index, 0..entry.length).unwrap();
            let touched: Vec<_> = layout.pieces_in(span).map(|p| p.get()).collect();
            assert_eq!(touched, layout.file_pieces(index).collect::<Vec<_>>());
        }
    }
}

#[test]
fn blocks_cut_a_piece_into_16_kib_and_a_rest() {
    let layout = Layout::new(Arrangement::Contiguous, 40_000, vec![file(81_000)]).unwrap();
    for piece in layout.pieces() {
        let blocks: Vec<_> = layout.blocks(piece).collect();
        assert_eq!(blocks.len() as u32, layout.block_count(piece));
        for (index, block) in (0..).zip(&blocks) {
            assert_eq!(layout.block(piece, index), Some(*block));
            assert_eq!(block.begin, index * BLOCK_LENGTH);
        }
        assert_eq!(layout.block(piece, blocks.len() as u32), None);
        assert_eq!(
            blocks.iter().map(|b| b.length).sum::<u32>(),
            layout.piece_length(piece)
        );
    }
}
