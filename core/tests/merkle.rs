//! Hash trees against a naive oracle, and proofs that must fail when a bit is changed.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use headwater_core::hash::{Sha256Digest, sha256};
use headwater_core::merkle::{BLOCK, ProofError, Shape, Span, Tree, leaves, pad, parent, root_of};
use headwater_core::rng::Rng;

/// All nodes of a tree, leaves first, padding written out.
fn naive(leaves: &[Sha256Digest]) -> Vec<Vec<Sha256Digest>> {
    let mut row = leaves.to_vec();
    row.resize(leaves.len().next_power_of_two(), Sha256Digest([0; 32]));
    let mut rows = vec![row];
    while rows[rows.len() - 1].len() > 1 {
        let below = &rows[rows.len() - 1];
        rows.push(
            below
                .chunks(2)
                .map(|pair| parent(&pair[0], &pair[1]))
                .collect(),
        );
    }
    rows
}

fn some_leaves(rng: &mut Rng, count: usize) -> Vec<Sha256Digest> {
    let mut leaf = || {
        let mut bytes = [0; 32];
        rng.fill(&mut bytes);
        Sha256Digest(bytes)
    };
    (0..count).map(|_| leaf()).collect()
}

/// A number of leaves near the edge of a block, a piece or a power of two.
fn some_count(rng: &mut Rng) -> usize {
    let edge = 1 << rng.below(6);
    (edge + rng.below(3) as usize).saturating_sub(1).max(1)
}

fn shape_of(leaves: usize, piece_blocks: u32) -> Shape {
    Shape {
        length: (leaves * BLOCK) as u64,
        piece_length: piece_blocks * BLOCK as u32,
    }
}

#[test]
fn padding_is_what_the_specification_says() {
    assert_eq!(pad(0).0, [0; 32]);
    assert!(pad(1).to_hex().starts_with("f5a5fd42"));
    assert!(pad(2).to_hex().starts_with("db56114e"));
    assert!(pad(3).to_hex().starts_with("c78009fd"));
}

#[test]
fn the_last_leaf_is_over_its_real_length() {
    let bytes = vec![7; BLOCK + 1];
    assert_eq!(leaves(&bytes), [sha256(&bytes[..BLOCK]), sha256(&[7])]);
}

#[test]
fn a_small_file_pads_to_its_own_width_and_a_large_ones_last_piece_to_a_whole_piece() {
    let mut rng = Rng::seeded(5);
    let three = some_leaves(&mut rng, 3);
    let small = shape_of(3, 16);
    assert!(!small.has_piece_layer());
    assert_eq!(small.piece_root(&three), root_of(&three, 0, 2));
    let root = small.piece_root(&three).unwrap();
    assert_eq!(
        small.root(&[root]),
        Some(root),
        "its only piece is its root"
    );
    let large = shape_of(19, 16);
    assert!(large.has_piece_layer());
    assert_eq!(large.piece_root(&three), root_of(&three, 0, 4));
    assert_ne!(large.piece_root(&three), small.piece_root(&three));
}

#[test]
fn a_hundred_thousand_trees_prove_what_is_true_and_nothing_else() {
    let mut rng = Rng::seeded(6);
    let mut spans = 0;
    for _ in 0..100_000 {
        let leaves = {
            let count = some_count(&mut rng);
            some_leaves(&mut rng, count)
        };
        let rows = naive(&leaves);
        let height = rows.len() as u32 - 1;
        let tree = Tree::new(leaves.clone(), 0, height).unwrap();
        assert_eq!(tree.root(), rows[height as usize][0]);
        let shape = shape_of(leaves.len(), 1 << rng.below(4));
        assert_eq!(shape.height(), height);
        let pieces: Vec<_> = leaves
            .chunks(1 << shape.piece_root_layer())
            .map(|piece| shape.piece_root(piece).unwrap())
            .collect();
        assert_eq!(shape.root(&pieces), Some(tree.root()));
        if height == 0 {
            continue;
        }
        let span = some_span(&mut rng, height);
        assert!(shape.has(span), "{span:?} in a tree of {height} layers");
        let hashes = span.collect(|layer, at| tree.node(layer, at)).unwrap();
        assert_eq!(hashes.len() as u32, span.hash_count());
        let row = &rows[span.base as usize];
        assert_eq!(
            &hashes[..span.length as usize],
            &row[span.index as usize..][..span.length as usize]
        );
        let known = rows[span.top() as usize][(span.index >> (span.top() - span.base)) as usize];
        assert_eq!(span.verify(&known, &hashes), Ok(()));
        check_forgeries(&mut rng, span, &known, hashes);
        spans += 1;
    }
    assert!(spans > 50_000);
}

fn some_span(rng: &mut Rng, height: u32) -> Span {
    let base = rng.below(height);
    let log = 1 + rng.below(height - base);
    let proof_layers = rng.below(height - base);
    Span {
        base,
        index: rng.below(1 << (height - base - log)) << log,
        length: 1 << log,
        proof_layers,
    }
}

fn check_forgeries(rng: &mut Rng, span: Span, known: &Sha256Digest, hashes: Vec<Sha256Digest>) {
    let mut forged = hashes.clone();
    let at = rng.below(forged.len() as u32) as usize;
    forged[at].0[rng.below(32) as usize] ^= 1 << rng.below(8);
    assert_eq!(span.verify(known, &forged), Err(ProofError::Mismatch));
    let mut other = *known;
    other.0[rng.below(32) as usize] ^= 1 << rng.below(8);
    assert_eq!(span.verify(&other, &hashes), Err(ProofError::Mismatch));
    let short = &hashes[..hashes.len() - 1];
    assert_eq!(span.verify(known, short), Err(ProofError::Shape));
    // Two halves that are all padding may well change places.
    let (base, uncles) = hashes.split_at(span.length as usize);
    if uncles.first().copied() != root_of(base, span.base, span.subtree()) && !uncles.is_empty() {
        let elsewhere = Span {
            index: span.index ^ span.length,
            ..span
        };
        assert_eq!(elsewhere.verify(known, &hashes), Err(ProofError::Mismatch));
    }
}

#[test]
fn a_span_that_breaks_the_rules_is_no_part_of_any_tree() {
    let shape = shape_of(10, 4);
    let good = Span {
        base: 0,
        index: 4,
        length: 4,
        proof_layers: 3,
    };
    assert!(shape.has(good));
    for bad in [
        Span { length: 1, ..good },
        Span { length: 0, ..good },
        Span { length: 3, ..good },
        Span {
            length: 32,
            index: 0,
            ..good
        },
        Span {
            length: 16_384,
            index: 0,
            ..good
        },
        Span { index: 2, ..good },
        Span { index: 16, ..good },
        Span {
            index: u32::MAX - 3,
            ..good
        },
        Span {
            base: 3,
            index: 0,
            ..good
        },
        Span {
            base: 4,
            index: 0,
            ..good
        },
        Span {
            base: u32::MAX,
            index: 0,
            ..good
        },
        Span {
            proof_layers: 4,
            ..good
        },
        Span {
            proof_layers: u32::MAX,
            ..good
        },
    ] {
        assert!(!shape.has(bad), "{bad:?}");
    }
    let tiny = Shape {
        length: 1,
        piece_length: BLOCK as u32,
    };
    assert!(!tiny.has(Span {
        base: 0,
        index: 0,
        length: 2,
        proof_layers: 0
    }));
}

#[test]
fn a_piece_layer_and_a_pieces_leaves_answer_together_for_the_whole_tree() {
    let mut rng = Rng::seeded(9);
    let all = some_leaves(&mut rng, 53);
    let shape = shape_of(53, 8);
    let rows = naive(&all);
    let layer: Vec<_> = all
        .chunks(8)
        .map(|piece| shape.piece_root(piece).unwrap())
        .collect();
    let upper = Tree::new(layer, shape.piece_layer(), shape.height()).unwrap();
    let piece = 3;
    let lower = Tree::new(all[piece * 8..][..8].to_vec(), 0, shape.piece_layer()).unwrap();
    let span = Span {
        base: 0,
        index: 24,
        length: 4,
        proof_layers: 5,
    };
    assert!(shape.has(span));
    let hashes = span.collect(|level, at| {
        if level >= shape.piece_layer() {
            upper.node(level, at)
        } else {
            lower.node(level, at.checked_sub((piece as u32 * 8) >> level)?)
        }
    });
    assert_eq!(span.verify(&rows[6][0], &hashes.unwrap()), Ok(()));
    assert_eq!(upper.node(3, 7), Some(pad(3)), "padding needs no room");
    assert_eq!(upper.node(3, 8), None);
}
