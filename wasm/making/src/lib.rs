//! Makes a torrent of a page's files: `headwater-core`'s plan, as `web/src/making.ts` drives it.
//!
//! A module of its own, for most pages never make one and need not download it. It reads no file: it
//! says which bytes make up a piece, hashes what it is given, and writes the .torrent file in the end.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "only a browser runs it")
)]

use headwater_core::layout::{FileIndex, Span};
use headwater_core::metainfo::create::{Contents, CreateError, Options, PieceHashes, Plan, Source};
use wasm_bindgen::prelude::*;

/// A torrent that is being made.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Making {
    plan: Plan,
    hashes: Vec<PieceHashes>,
}

#[wasm_bindgen]
impl Making {
    /// Plans a torrent of files: their paths below the torrent's folder, with slashes, and their bytes.
    ///
    /// # Errors
    /// Why none can be made of them.
    #[wasm_bindgen(constructor)]
    pub fn new(
        name: &str,
        paths: Vec<String>,
        lengths: &[f64],
        trackers: Vec<String>,
        piece_length: Option<u32>,
    ) -> Result<Self, String> {
        let files = paths.iter().zip(lengths).map(|(path, length)| Source {
            path: path.split('/').map(str::to_owned).collect(),
            length: *length as u64,
            ..Source::default()
        });
        let options = Options {
            piece_length,
            trackers,
            created_by: Some("Headwater".to_owned()),
            ..Options::default()
        };
        let plan = Plan::new(name, contents(files.collect()), options).map_err(why)?;
        Ok(Self {
            plan,
            hashes: Vec::new(),
        })
    }

    /// For each of the torrent's files, by its number there, which of those given it is; -1 for padding.
    pub fn sources(&self) -> Vec<i32> {
        let files = (0..self.plan.layout().files().len() as u32)
            .map_while(|index| self.plan.layout().file(index));
        files.map(|file| self.source(file)).collect()
    }

    /// Bytes of all pieces, padding among them.
    pub fn length(&self) -> f64 {
        self.plan.layout().length() as f64
    }

    /// What a piece is made of, three numbers a part: which file given (-1: zeros), from which byte on, how many.
    /// Nothing after the last piece.
    pub fn parts(&self, piece: u32) -> Vec<f64> {
        let layout = self.plan.layout();
        let spans = layout
            .piece(piece)
            .into_iter()
            .flat_map(|piece| layout.spans(piece));
        let part = |span: Span| {
            [
                f64::from(self.source(span.file)),
                span.offset as f64,
                f64::from(span.length),
            ]
        };
        spans.flat_map(part).collect()
    }

    /// Hashes a piece: all its bytes, zeros where it has padding.
    ///
    /// # Errors
    /// If they are not as many as planned.
    pub fn hash(&mut self, piece: u32, bytes: &[u8]) -> Result<(), String> {
        if let Some(piece) = self.plan.layout().piece(piece) {
            self.hashes.push(self.plan.hash(piece, bytes).map_err(why)?);
        }
        Ok(())
    }

    /// The .torrent file, once all pieces are hashed.
    ///
    /// # Errors
    /// If one is not, or a browser could not take what was made.
    pub fn finish(&self) -> Result<Vec<u8>, String> {
        let made = self.plan.finish(self.hashes.iter().copied()).map_err(why)?;
        Ok(made.to_torrent_bytes())
    }

    fn source(&self, file: FileIndex) -> i32 {
        self.plan.source(file).map_or(-1, |source| source as i32)
    }
}

fn contents(mut files: Vec<Source>) -> Contents {
    match files.pop() {
        Some(only) if files.is_empty() && only.path.len() == 1 => Contents::File(only),
        last => {
            files.extend(last);
            Contents::Folder(files)
        }
    }
}

fn why(error: CreateError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn making(paths: &[&str], lengths: &[f64]) -> Result<Making, String> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        Making::new("films", paths, lengths, Vec::new(), Some(16 << 10))
    }

    #[test]
    fn each_piece_says_where_its_bytes_are() {
        let making = making(&["b.mp4", "a/c.mp4"], &[20_000.0, 100.0]).expect("two files");
        // In the order of the v2 tree, each from a piece's start.
        assert_eq!(making.sources(), [1, -1, 0, -1]);
        assert_eq!(making.parts(0), [1.0, 0.0, 100.0, -1.0, 0.0, 16_284.0]);
        assert_eq!(making.parts(1), [0.0, 0.0, 16_384.0]);
        assert_eq!(
            making.parts(2),
            [0.0, 16_384.0, 3_616.0, -1.0, 0.0, 12_768.0]
        );
        assert!(making.parts(3).is_empty());
    }

    #[test]
    fn what_is_hashed_whole_is_a_torrent() {
        let mut making = making(&["a.mp4"], &[20_000.0]).expect("a file");
        making.hash(0, &[1; 16_384]).expect("a piece");
        assert!(making.finish().is_err(), "a piece is missing");
        assert!(making.hash(1, &[1; 16_384]).is_err(), "it is shorter");
        making.hash(1, &[1; 3_616]).expect("the last piece");
        assert!(
            making
                .finish()
                .is_ok_and(|torrent| torrent.starts_with(b"d"))
        );
    }

    #[test]
    fn nothing_makes_no_torrent() {
        let reason = making(&["a.mp4"], &[0.0]).expect_err("no byte");
        assert!(reason.contains("nothing to share"), "{reason}");
    }
}
