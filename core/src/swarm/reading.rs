//! Readers: verified bytes, in order, when they are pulled.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::torrent::Reader;
use super::{Output, Swarm};
use crate::ids::ReaderId;
use crate::layout::FileIndex;
use crate::peer::Rate;
use crate::time::Duration;

/// Most bytes handed out at a time, whatever was pulled.
const MAX_CHUNK: usize = 1 << 20;

/// Who has this much of a film ahead can wait for the next block.
const ENOUGH: Duration = Duration::from_secs(3);
/// And who has no more than this is in need: a little more than a player begins with.
const NEED: Duration = Duration::from_millis(1500);

impl Swarm {
    pub(super) fn reader_opened(&mut self, reader: ReaderId, file: FileIndex, range: Range<u64>) {
        let Some(torrent) = &mut self.torrent else {
            debug_assert!(false, "a reader before the torrent is known");
            return;
        };
        let Some(span) = torrent.layout().file_span(file, range.clone()) else {
            debug_assert!(false, "a reader of bytes that the file has not");
            self.outputs.push_back(Output::Ended(reader));
            return;
        };
        // It may have nothing of what it wants now.
        self.calm_until = None;
        self.dry_at = self.dry_at.map(|_| self.now);
        let file_start = span.start - range.start;
        torrent.readers.insert(
            reader,
            Reader {
                file_start,
                head: span.start,
                end: span.end,
                pulled: None,
                loading: None,
                pace: Rate::default(),
            },
        );
        if torrent.fetches() {
            let moved = torrent.window.open(reader, span);
            self.window_moved(&moved);
        }
    }

    /// Whether whoever watches has enough for now.
    pub(super) fn is_calm(&self) -> bool {
        self.calm_until.is_some_and(|until| until > self.now)
    }

    /// For how long whoever watches need not be in a hurry.
    pub(super) fn calm_for(&self) -> Duration {
        self.calm_until
            .map_or(Duration::ZERO, |until| until.since(self.now))
    }

    /// Whoever watches need not be in a hurry as long as they have more than this.
    pub(super) fn has_ahead(&mut self, ahead: Duration) {
        self.calm_until = Some(self.now + (ahead - ENOUGH));
        self.dry_at = Some(self.now + ahead);
    }

    /// The piece for which somebody waits who watches and has hardly anything left to play. Who reads
    /// as fast as it comes always waits, and is never in need.
    pub(super) fn needs(&self) -> Option<u32> {
        self.dry_at.filter(|dry| self.now + NEED > *dry)?;
        let torrent = self.torrent.as_ref()?;
        let waiting = self.waiting.iter();
        let heads = waiting.filter_map(|reader| Some(torrent.readers.get(reader)?.head));
        let (piece, _) = torrent.layout().piece_at(heads.min()?)?;
        Some(piece.get())
    }

    pub(super) fn reader_closed(&mut self, reader: ReaderId) {
        self.waiting.remove(&reader);
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.readers.remove(&reader).is_some() && torrent.fetches() {
            let moved = torrent.window.close(reader);
            self.window_moved(&moved);
        }
    }

    pub(super) fn pulled(&mut self, reader: ReaderId, bytes: usize) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(state) = torrent.readers.get_mut(&reader) else {
            return;
        };
        if state.head >= state.end {
            self.outputs.push_back(Output::Ended(reader));
            return;
        }
        state.pulled = Some(bytes.clamp(1, MAX_CHUNK));
        self.waiting.insert(reader);
        self.serve(reader);
    }

    /// Serves all who wait.
    pub(super) fn serve_waiting(&mut self) {
        for reader in self.waiting.iter().copied().collect::<Vec<_>>() {
            self.serve(reader);
        }
    }

    fn serve(&mut self, reader: ReaderId) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(state) = torrent.readers.get(&reader) else {
            return;
        };
        let (start, end, offset) = (state.head, state.end, state.head - state.file_start);
        let Some(wanted) = state.pulled else { return };
        let end = end.min(start + wanted as u64);
        let first = torrent.readable(start, end);
        if first.is_empty() {
            self.origins.look = true;
            return self.load_for(reader);
        }
        let mut chunk = Vec::with_capacity((end - start) as usize);
        chunk.extend_from_slice(first);
        loop {
            let head = start + chunk.len() as u64;
            let more = if head < end {
                torrent.readable(head, end)
            } else {
                &[]
            };
            if more.is_empty() {
                break;
            }
            chunk.extend_from_slice(more);
        }
        let head = start + chunk.len() as u64;
        if let Some(state) = torrent.readers.get_mut(&reader) {
            state.pulled = None;
            state.pace.add(self.now, chunk.len() as u64);
        }
        torrent.look_ahead.read(chunk.len());
        self.waiting.remove(&reader);
        self.outputs.push_back(Output::Data {
            reader,
            offset,
            bytes: Bytes::from(chunk),
        });
        if let Some(moved) = torrent.advance(reader, head) {
            self.window_moved(&moved);
        }
    }
}
