//! Torrents and their bytes, made up on the spot.

use headwater_core::layout::{Layout, PieceIndex};
use headwater_core::metainfo::Metainfo;
use headwater_core::metainfo::create::{Contents, Options, Plan, Source, Version};
use headwater_core::rng::Rng;

/// A torrent and its bytes.
#[derive(Clone, Debug)]
pub struct Film {
    /// The torrent.
    pub metainfo: Metainfo,
    /// The bytes of each file that is no padding, in the layout's order; empty for padding.
    pub files: Vec<Vec<u8>>,
}

impl Film {
    /// One file of `length` bytes of noise.
    pub fn single(version: Version, piece_length: u32, length: usize) -> Self {
        Self::new(version, piece_length, &[("film.mp4", length)], true)
    }

    /// A folder of files of noise.
    pub fn folder(version: Version, piece_length: u32, files: &[(&str, usize)]) -> Self {
        Self::new(version, piece_length, files, false)
    }

    fn new(version: Version, piece_length: u32, files: &[(&str, usize)], single: bool) -> Self {
        let mut rng = Rng::seeded(42);
        let contents: Vec<Vec<u8>> = files
            .iter()
            .map(|(_, length)| {
                let mut bytes = vec![0; *length];
                rng.fill(&mut bytes);
                bytes
            })
            .collect();
        let source = |(name, length): &(&str, usize)| Source {
            path: vec![(*name).to_string()],
            length: *length as u64,
            ..Source::default()
        };
        let sources: Vec<Source> = files.iter().map(source).collect();
        let contents_of = if single {
            Contents::File(sources[0].clone())
        } else {
            Contents::Folder(sources)
        };
        let options = Options {
            version,
            piece_length: Some(piece_length),
            ..Options::default()
        };
        let plan = Plan::new("film", contents_of, options).expect("a sound plan");
        let layout = plan.layout().clone();
        let in_layout: Vec<Vec<u8>> = (0..layout.files().len() as u32)
            .filter_map(|file| layout.file(file))
            .map(|file| {
                plan.source(file)
                    .map(|at| contents[at].clone())
                    .unwrap_or_default()
            })
            .collect();
        let hashes = layout.pieces().map(|piece| {
            plan.hash(piece, &piece_bytes(&layout, &in_layout, piece))
                .expect("a whole piece")
        });
        let metainfo = plan.finish(hashes).expect("a whole torrent");
        Self {
            metainfo,
            files: in_layout,
        }
    }

    /// A piece as it goes over the wire, padding included.
    pub fn piece(&self, piece: PieceIndex) -> Vec<u8> {
        piece_bytes(self.metainfo.layout(), &self.files, piece)
    }
}

fn piece_bytes(layout: &Layout, files: &[Vec<u8>], piece: PieceIndex) -> Vec<u8> {
    let mut bytes = Vec::new();
    for span in layout.spans(piece) {
        if span.pad {
            bytes.resize(bytes.len() + span.length as usize, 0);
        } else {
            let start = span.offset as usize;
            let end = start + span.length as usize;
            bytes.extend_from_slice(&files[span.file.as_usize()][start..end]);
        }
    }
    bytes
}
