//! Torrents and their bytes, made up on the spot.

use bytes::Bytes;
use headwater_core::layout::{Block, Layout, PieceIndex};
use headwater_core::metainfo::Metainfo;
use headwater_core::metainfo::create::{Contents, Options, PieceHashes, Plan, Source, Version};
use headwater_core::rng::Rng;

/// A torrent and its bytes.
#[derive(Clone, Debug)]
pub struct Film {
    /// The torrent.
    pub metainfo: Metainfo,
    /// The bytes of each file that is no padding, in the layout's order; empty for padding.
    pub files: Vec<Bytes>,
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

    /// One file of `pieces` pieces of zeros, whose pieces need not be hashed one by one.
    pub fn zeros(version: Version, piece_length: u32, pieces: u32) -> Self {
        let length = u64::from(piece_length) * u64::from(pieces);
        let source = Source {
            path: vec!["film.mp4".into()],
            length,
            ..Source::default()
        };
        let options = Options {
            version,
            piece_length: Some(piece_length),
            ..Options::default()
        };
        let plan = Plan::new("film", Contents::File(source), options).expect("a sound plan");
        let zeros = vec![0; piece_length as usize];
        let first = plan.layout().piece(0).expect("a piece");
        let hash = plan.hash(first, &zeros).expect("a whole piece");
        let hashes = plan.layout().pieces();
        let metainfo = plan.finish(hashes.map(|piece| PieceHashes { piece, ..hash }));
        Self {
            metainfo: metainfo.expect("a whole torrent"),
            // Nobody writes these pages, so they cost nothing.
            files: vec![Bytes::from(vec![0; length as usize])],
        }
    }

    fn new(version: Version, piece_length: u32, files: &[(&str, usize)], single: bool) -> Self {
        let mut rng = Rng::seeded(42);
        let contents: Vec<Bytes> = files
            .iter()
            .map(|(_, length)| {
                let mut bytes = vec![0; *length];
                rng.fill(&mut bytes);
                Bytes::from(bytes)
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
        let in_layout: Vec<Bytes> = (0..layout.files().len() as u32)
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

    /// A block as it goes over the wire; not copied where it lies within one file.
    pub fn block(&self, block: Block) -> Bytes {
        let (mut begin, length) = (block.begin, block.length);
        for span in self.metainfo.layout().spans(block.piece) {
            if begin + length <= span.length && !span.pad {
                let start = (span.offset + u64::from(begin)) as usize;
                return self.files[span.file.as_usize()].slice(start..start + length as usize);
            }
            if begin < span.length {
                break;
            }
            begin -= span.length;
        }
        let range = block.begin as usize..(block.begin + block.length) as usize;
        Bytes::from(self.piece(block.piece)).slice(range)
    }

    /// Bytes of all files together, without padding.
    pub fn length(&self) -> u64 {
        self.files.iter().map(|file| file.len() as u64).sum()
    }
}

fn piece_bytes(layout: &Layout, files: &[Bytes], piece: PieceIndex) -> Vec<u8> {
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
