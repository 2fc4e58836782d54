//! Files of the page, read where they lie.
//!
//! Read at once, as workers may: a read takes a fraction of what sending its bytes takes. What was
//! read lately is kept, for peers ask for neighbouring blocks.

use bytes::Bytes;
use headwater_core::hash::Sha256Digest;
use headwater_core::layout::{Block, FileIndex, Layout, PieceIndex};
use headwater_core::merkle;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
use web_sys::{Blob, FileReaderSync};

/// Bytes read at once: sixteen blocks.
const CHUNK: u64 = 256 << 10;

/// Chunks kept, 8 MiB.
const MAX_CHUNKS: usize = 32;

/// What a torrent of this page's own files is read from.
#[derive(Debug)]
pub(crate) struct Storage {
    /// By their numbers in the torrent; padding has none.
    files: Vec<Option<Blob>>,
    reader: FileReaderSync,
    chunks: Vec<((u32, u64), Bytes)>,
}

impl Storage {
    /// # Errors
    /// Where files cannot be read.
    pub(crate) fn new(files: Vec<Option<Blob>>) -> Result<Self, JsValue> {
        Ok(Self {
            files,
            reader: FileReaderSync::new()?,
            chunks: Vec::new(),
        })
    }

    /// A block; `None` if it cannot be read.
    pub(crate) fn block(&mut self, layout: &Layout, block: Block) -> Option<Bytes> {
        let spans: Vec<_> = layout.block_spans(block).collect();
        let mut bytes = Vec::with_capacity(block.length as usize);
        for span in spans {
            if span.pad {
                bytes.resize(bytes.len() + span.length as usize, 0);
            } else {
                self.append(&mut bytes, span.file, span.offset, span.length.into())?;
            }
        }
        // A v2 piece ends with its file; on the wire zeros follow.
        bytes.resize(block.length as usize, 0);
        Some(bytes.into())
    }

    /// The leaves over a piece's bytes; none if it cannot be read.
    pub(crate) fn leaves(&mut self, layout: &Layout, piece: PieceIndex) -> Vec<Sha256Digest> {
        let Some(part) = layout.file_piece(piece) else {
            return Vec::new();
        };
        let start = u64::from(part.index) * u64::from(layout.standard_piece_length());
        let mut bytes = Vec::with_capacity(part.length as usize);
        let read = self.append(&mut bytes, part.file, start, part.length.into());
        read.map_or_else(Vec::new, |()| merkle::leaves(&bytes))
    }

    fn append(&mut self, to: &mut Vec<u8>, file: FileIndex, start: u64, length: u64) -> Option<()> {
        let (mut at, end) = (start, start + length);
        while at < end {
            let chunk = self.chunk(file, at / CHUNK)?;
            let from = (at % CHUNK) as usize;
            let until = ((end - at + from as u64) as usize).min(chunk.len());
            let part = chunk.get(from..until).filter(|part| !part.is_empty())?;
            to.extend_from_slice(part);
            at += part.len() as u64;
        }
        Some(())
    }

    fn chunk(&mut self, file: FileIndex, chunk: u64) -> Option<Bytes> {
        let key = (file.get(), chunk);
        if let Some((_, bytes)) = self.chunks.iter().find(|(known, _)| *known == key) {
            return Some(bytes.clone());
        }
        let blob = self.files.get(file.as_usize())?.as_ref()?;
        let start = (chunk * CHUNK) as f64;
        let part = blob
            .slice_with_f64_and_f64(start, start + CHUNK as f64)
            .ok()?;
        let buffer = self.reader.read_as_array_buffer(&part).ok()?;
        let bytes = Bytes::from(Uint8Array::new(&buffer).to_vec());
        if self.chunks.len() == MAX_CHUNKS {
            self.chunks.remove(0);
        }
        self.chunks.push((key, bytes.clone()));
        Some(bytes)
    }
}
