//! Where a thread keeps its sockets, and how their keys say where that is.

use headwater_core::tracker::server::ConnKey;

use super::socket::Socket;

/// Bits of a key: the thread, the number of the socket, which of those that had the number.
const SLOT_BITS: u32 = 24;
const THREAD_BITS: u32 = 8;

/// Most threads, for their keys to have room.
pub(super) const MAX_THREADS: usize = 1 << THREAD_BITS;

/// Sockets by number; a number is used again, a key never.
#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Box<Socket>>>,
    free: Vec<usize>,
    made: u64,
}

/// The thread that serves this socket.
pub(super) const fn thread_of(key: ConnKey) -> usize {
    (key.0 & (MAX_THREADS as u64 - 1)) as usize
}

/// The number of this socket in its thread.
pub(super) const fn slot_of(key: ConnKey) -> usize {
    (key.0 >> THREAD_BITS) as usize & ((1 << SLOT_BITS) - 1)
}

impl Slots {
    pub(super) fn get(&mut self, slot: usize) -> Option<&mut Socket> {
        self.slots.get_mut(slot)?.as_deref_mut()
    }

    /// The socket of this key, if it is still there.
    pub(super) fn named(&mut self, key: ConnKey) -> Option<&mut Socket> {
        self.get(slot_of(key)).filter(|socket| socket.key == key)
    }

    /// Where the next one of `thread` goes, and its key. It is filled or vacated.
    pub(super) fn vacancy(&mut self, thread: usize) -> (usize, ConnKey) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.made += 1;
        let key = self.made << (SLOT_BITS + THREAD_BITS) | (slot as u64) << THREAD_BITS;
        (slot, ConnKey(key | thread as u64))
    }

    pub(super) fn fill(&mut self, slot: usize, socket: Box<Socket>) {
        if let Some(empty) = self.slots.get_mut(slot) {
            *empty = Some(socket);
        }
    }

    /// Nothing came of a vacancy.
    pub(super) fn vacate(&mut self, slot: usize) {
        self.free.push(slot);
    }

    /// The socket that was there, if one was.
    pub(super) fn take(&mut self, slot: usize) -> Option<Box<Socket>> {
        let socket = self.slots.get_mut(slot)?.take()?;
        self.free.push(slot);
        Some(socket)
    }

    /// One more than the highest number there is.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}
