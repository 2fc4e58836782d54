//! Makes a torrent of the page's files.
//!
//! Reads ahead while it hashes, a piece at a time, so that the engine goes on with what else it has to do.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use headwater_core::layout::{FileIndex, PieceIndex};
use headwater_core::metainfo::Metainfo;
use headwater_core::metainfo::create::{Contents, Options, Plan, Source};
use js_sys::{Promise, Uint8Array};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::Blob;

use crate::host::{Happened, Host};
use crate::protocol::{Files, Page, Refusal, ToPage};

/// Pieces read ahead.
const AHEAD: usize = 8;

/// Bytes between two words on how far it is.
const NEWS_EVERY: u64 = 4 << 20;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Hashed {
    pub(crate) metainfo: Box<Metainfo>,
    /// By their numbers in the torrent; padding has none.
    pub(crate) files: Vec<Option<Blob>>,
    /// Which of the files given each of the torrent's is.
    pub(crate) sources: Vec<Option<u32>>,
}

/// Tells a hashing to stop, when it is dropped.
#[derive(Debug)]
pub(crate) struct Hashing(Rc<Cell<bool>>);

impl Drop for Hashing {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Begins to hash; the engine is told when it is done, or why it is not.
pub(crate) fn begin(
    torrent: u32,
    files: Files,
    trackers: Vec<String>,
    host: &Host,
    page: &Page,
) -> Hashing {
    let is_over = Rc::new(Cell::new(false));
    let hashing = Hashing(Rc::clone(&is_over));
    let (host, page) = (host.clone(), page.clone());
    spawn_local(async move {
        if let Some(hashed) = hash(torrent, files, trackers, &page, &is_over)
            .await
            .transpose()
        {
            host.happened(Happened::Hashed(torrent, hashed));
        }
    });
    hashing
}

async fn hash(
    torrent: u32,
    files: Files,
    trackers: Vec<String>,
    page: &Page,
    is_over: &Cell<bool>,
) -> Result<Option<Hashed>, Refusal> {
    let failed = |error: &dyn std::fmt::Display| {
        Refusal::new("hashFailed", format!("No torrent can be made: {error}."))
    };
    let (plan, blobs) = plan(files, trackers).map_err(|error| failed(&error))?;
    let layout = plan.layout();
    let total = layout.length();
    let read = |piece: PieceIndex| -> Vec<(usize, Option<Promise>)> {
        let spans = layout.spans(piece).map(|span| {
            let blob = blobs.get(span.file.as_usize()).and_then(Option::as_ref);
            let (start, length) = (span.offset as f64, f64::from(span.length));
            let part =
                blob.and_then(|blob| blob.slice_with_f64_and_f64(start, start + length).ok());
            (span.length as usize, part.map(|part| part.array_buffer()))
        });
        spans.collect()
    };
    let mut unread = layout.pieces();
    let mut reading: VecDeque<_> = unread
        .by_ref()
        .take(AHEAD)
        .map(|piece| (piece, read(piece)))
        .collect();
    let (mut hashes, mut bytes) = (Vec::new(), Vec::new());
    let (mut done, mut told) = (0, 0);
    while let Some((piece, parts)) = reading.pop_front() {
        reading.extend(unread.next().map(|piece| (piece, read(piece))));
        bytes.clear();
        for (length, part) in parts {
            match part {
                Some(part) => {
                    let part = JsFuture::from(part)
                        .await
                        .map_err(|_| failed(&"a file cannot be read"))?;
                    let start = bytes.len();
                    bytes.resize(start + length, 0);
                    let part = Uint8Array::new(&part);
                    if part.length() as usize != length {
                        return Err(failed(&"a file became shorter"));
                    }
                    part.copy_to(&mut bytes[start..]);
                }
                None => bytes.resize(bytes.len() + length, 0),
            }
        }
        if is_over.get() {
            return Ok(None);
        }
        hashes.push(plan.hash(piece, &bytes).map_err(|error| failed(&error))?);
        done += bytes.len() as u64;
        if done >= told + NEWS_EVERY || done == total {
            told = done;
            page.tell(&ToPage::Hashing {
                torrent,
                done,
                total,
            });
        }
    }
    let metainfo = Box::new(plan.finish(hashes).map_err(|error| failed(&error))?);
    let sources = (0..)
        .map_while(|index| layout.file(index))
        .map(|file| plan.source(file).map(|source| source as u32));
    let sources = sources.collect();
    Ok(Some(Hashed {
        metainfo,
        files: blobs,
        sources,
    }))
}

fn plan(
    files: Files,
    trackers: Vec<String>,
) -> Result<(Plan, Vec<Option<Blob>>), headwater_core::metainfo::create::CreateError> {
    let mut sources: Vec<Source> = Vec::new();
    for (path, blob) in &files.files {
        sources.push(Source {
            path: path.clone(),
            length: blob.size() as u64,
            ..Source::default()
        });
    }
    let is_single = matches!(&sources[..], [only] if only.path.len() == 1);
    let contents = match sources.pop() {
        Some(only) if is_single => Contents::File(only),
        last => {
            sources.extend(last);
            Contents::Folder(sources)
        }
    };
    let options = Options {
        piece_length: files.piece_length,
        trackers,
        created_by: Some("Headwater".to_owned()),
        ..Options::default()
    };
    let plan = Plan::new(&files.name, contents, options)?;
    let of = |file: FileIndex| {
        plan.source(file)
            .and_then(|source| files.files.get(source))
            .map(|(_, blob)| blob.clone())
    };
    let layout = plan.layout();
    let blobs = (0..)
        .map_while(|index| layout.file(index))
        .map(of)
        .collect();
    Ok((plan, blobs))
}
