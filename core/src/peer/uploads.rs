//! What one peer asked of us and has not got yet.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::layout::Block;

/// Most requests we queue for one peer: the `reqq` of our handshake.
pub const MAX_QUEUED: usize = 512;
/// Blocks fetched from storage ahead of being sent, per peer: 1 MiB of the send buffer.
const MAX_LOADING: usize = 64;
/// Requests over [`MAX_QUEUED`] that a peer may send before it is a flood.
const MAX_EXCESS: u32 = 4096;

/// One peer's requests, in the order they came.
#[derive(Debug, Default)]
pub struct Uploads {
    queue: Vec<Wanted>,
    excess: u32,
}

#[derive(Debug)]
struct Wanted {
    block: Block,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Loading,
    Loaded(Bytes),
}

/// What became of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// It was there already.
    Already,
    /// Too many of these: drop the peer.
    Flood,
    /// There is no room for it: refuse it.
    Full,
    /// It waits its turn.
    Yes,
}

impl Uploads {
    /// The peer asks for `block`.
    pub fn push(&mut self, block: Block) -> Queued {
        if self.queue.len() >= MAX_QUEUED {
            self.excess += 1;
            return if self.excess > MAX_EXCESS {
                Queued::Flood
            } else {
                Queued::Full
            };
        }
        if self.queue.iter().any(|wanted| wanted.block == block) {
            return Queued::Already;
        }
        self.queue.push(Wanted {
            block,
            state: State::Waiting,
        });
        Queued::Yes
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The peer no longer wants `block`. Whether it was queued.
    pub fn cancel(&mut self, block: Block) -> bool {
        let before = self.queue.len();
        self.queue.retain(|wanted| wanted.block != block);
        self.queue.len() < before
    }

    /// All that wait, as when we choke the peer.
    pub fn clear(&mut self) -> impl Iterator<Item = Block> + use<> {
        core::mem::take(&mut self.queue)
            .into_iter()
            .map(|wanted| wanted.block)
    }

    /// The next block to be had from storage, if its turn is near; it counts as being loaded from now.
    pub fn next_load(&mut self) -> Option<Block> {
        let next = self
            .queue
            .iter_mut()
            .take(MAX_LOADING)
            .find(|wanted| matches!(wanted.state, State::Waiting))?;
        next.state = State::Loading;
        Some(next.block)
    }

    /// Storage answered. Whether somebody waited for it.
    pub fn loaded(&mut self, block: Block, data: &Bytes) -> bool {
        let Some(wanted) = self.queue.iter_mut().find(|wanted| wanted.block == block) else {
            return false;
        };
        wanted.state = State::Loaded(data.clone());
        true
    }

    /// The first in the queue.
    pub fn front(&self) -> Option<Block> {
        self.queue.first().map(|wanted| wanted.block)
    }

    /// The first in the queue leaves it.
    pub fn pop_front(&mut self) -> Option<Block> {
        (!self.queue.is_empty()).then(|| self.queue.remove(0).block)
    }

    /// The first in the queue, if its bytes are there.
    pub fn pop_loaded(&mut self) -> Option<(Block, Bytes)> {
        let next = self.queue.first_mut()?;
        let State::Loaded(data) = &mut next.state else {
            return None;
        };
        let loaded = (next.block, core::mem::take(data));
        self.queue.remove(0);
        Some(loaded)
    }
}
