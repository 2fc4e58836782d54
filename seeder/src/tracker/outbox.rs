//! What waits to be sent to one socket: so much, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::mpsc;

/// Bytes that may wait for one socket.
pub(super) const MAX_WAITING: usize = 256 << 10;

/// The tracker's end.
#[derive(Debug)]
pub(super) struct Outbox {
    messages: mpsc::UnboundedSender<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// The socket's end.
#[derive(Debug)]
pub(super) struct Inbox {
    messages: mpsc::UnboundedReceiver<Utf8Bytes>,
    waiting: Arc<AtomicUsize>,
}

/// Both ends of one.
pub(super) fn outbox() -> (Outbox, Inbox) {
    // Unbounded in messages, for they are counted in bytes.
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let outbox = Outbox {
        messages: sender,
        waiting: Arc::clone(&waiting),
    };
    (
        outbox,
        Inbox {
            messages: receiver,
            waiting,
        },
    )
}

impl Outbox {
    /// False if that is too much, and the socket is to be given up.
    pub(super) fn push(&self, text: String) -> bool {
        let length = text.len();
        if self.waiting.fetch_add(length, Ordering::Relaxed) + length > MAX_WAITING {
            return false;
        }
        // A socket whose task is gone is on its way out already.
        let _ = self.messages.send(text.into());
        true
    }
}

impl Inbox {
    /// The next message; `None` once the tracker has hung up and all is sent.
    pub(super) async fn next(&mut self) -> Option<Utf8Bytes> {
        self.messages.recv().await
    }

    /// A message of so many bytes is on its way.
    pub(super) fn sent(&self, length: usize) {
        self.waiting.fetch_sub(length, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_room_comes_back() {
        let (outbox, mut inbox) = outbox();
        for _ in 0..4 {
            assert!(outbox.push("x".repeat(MAX_WAITING / 4)));
        }
        let length = inbox.next().await.unwrap().len();
        inbox.sent(length);
        assert!(outbox.push("x".repeat(MAX_WAITING / 4)));
        assert!(!outbox.push("x".into()));
    }
}
