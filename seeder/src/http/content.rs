//! Where the bytes of a served torrent come from: a disk that has them all, or a swarm that
//! brings them as they are read.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use headwater_core::layout::{FileIndex, Layout};
use tokio::sync::Semaphore;

use crate::chunks::TorrentNumber;
use crate::engine::Handle;
use crate::storage::Storage;

/// Bytes read and sent at a time.
const STEP: u64 = 256 * 1024;

/// Most who read from a swarm at once, however wide its window.
const MAX_READERS: u64 = 64;

/// Where bytes come from.
#[derive(Clone, Debug)]
pub enum Content {
    /// From files.
    Disk(Arc<Storage>),
    /// From peers, as they are read.
    Swarm(Arc<Swarmed>),
}

/// A torrent that an engine fetches.
#[derive(Debug)]
pub struct Swarmed {
    handle: Handle,
    torrent: TorrentNumber,
    layout: Layout,
    places: Arc<Semaphore>,
}

impl Swarmed {
    /// The engine's torrent of this number and layout, through a window of so many bytes.
    pub fn new(handle: Handle, torrent: TorrentNumber, layout: Layout, window: u64) -> Self {
        // Each reader holds a piece or two, and those that pause give none back.
        let pieces = window / u64::from(layout.standard_piece_length());
        let places = (pieces / 2).clamp(1, MAX_READERS);
        Self {
            handle,
            torrent,
            layout,
            places: Arc::new(Semaphore::new(places as usize)),
        }
    }
}

impl Content {
    /// How the files lie.
    pub fn layout(&self) -> &Layout {
        match self {
            Self::Disk(storage) => storage.layout(),
            Self::Swarm(swarmed) => &swarmed.layout,
        }
    }

    /// These bytes of a file, as fast as the client takes them.
    pub(super) async fn body(&self, file: FileIndex, part: Range<u64>) -> io::Result<Body> {
        match self {
            Self::Disk(storage) => from_disk(Arc::clone(storage), file, part).await,
            Self::Swarm(swarmed) => from_swarm(swarmed, file, part),
        }
    }
}

/// One step ahead at most; the first step now, while an error can still be said.
async fn from_disk(storage: Arc<Storage>, file: FileIndex, part: Range<u64>) -> io::Result<Body> {
    let first = step(&storage, file, part.clone()).await?;
    let at = part.start + first.len() as u64;
    let rest = stream::try_unfold((storage, at), move |(storage, at)| async move {
        if at >= part.end {
            return Ok(None);
        }
        let bytes = step(&storage, file, at..part.end).await?;
        let next = at + bytes.len() as u64;
        Ok::<_, io::Error>(Some((bytes, (storage, next))))
    });
    Ok(Body::from_stream(
        stream::once(std::future::ready(Ok(first))).chain(rest),
    ))
}

async fn step(storage: &Arc<Storage>, file: FileIndex, part: Range<u64>) -> io::Result<Bytes> {
    let storage = Arc::clone(storage);
    let end = part.end.min(part.start + STEP);
    let read = tokio::task::spawn_blocking(move || storage.read_file(file, part.start..end));
    Ok(Bytes::from(read.await.map_err(io::Error::other)??))
}

/// What is not taken is not fetched; who hangs up is forgotten at once.
fn from_swarm(swarmed: &Swarmed, file: FileIndex, part: Range<u64>) -> io::Result<Body> {
    let place = Arc::clone(&swarmed.places).try_acquire_owned();
    let place = place.map_err(|_| io::Error::other("too many read at once for its window"))?;
    let left = part.end - part.start;
    let reader = swarmed.handle.read(swarmed.torrent, file, part);
    let bytes = stream::try_unfold(
        (reader, left, place),
        |(mut reader, left, place)| async move {
            if left == 0 {
                return Ok(None);
            }
            // An answer that ends too soon must not look whole.
            let bytes = reader.next(STEP as usize).await;
            let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
            let left = left - bytes.len() as u64;
            Ok::<_, io::Error>(Some((bytes, (reader, left, place))))
        },
    );
    Ok(Body::from_stream(bytes))
}
