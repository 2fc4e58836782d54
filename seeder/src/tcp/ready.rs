//! Which connections have something to be done: each rings a bell of its own.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use headwater_core::ids::PeerKey;

/// The connections that rang.
#[derive(Debug, Default)]
pub(super) struct Ready {
    rung: Mutex<Vec<Arc<Bell>>>,
    waker: AtomicWaker,
}

/// One connection's bell.
#[derive(Debug)]
pub(super) struct Bell {
    key: PeerKey,
    /// Whether it is in the list, where each is once.
    is_rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Ready {
    /// A bell for a connection.
    pub(super) fn bell(self: &Arc<Self>, key: PeerKey) -> Arc<Bell> {
        Arc::new(Bell {
            key,
            is_rung: AtomicBool::new(false),
            ready: Arc::clone(self),
        })
    }

    /// Those that rang since it was last asked; waits until there are any.
    pub(super) async fn rung(&self) -> Vec<PeerKey> {
        std::future::poll_fn(|cx| self.poll_rung(cx)).await
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<Vec<PeerKey>> {
        self.waker.register(cx.waker());
        let rung = std::mem::take(&mut *self.list());
        if rung.is_empty() {
            return Poll::Pending;
        }
        let stop = |bell: &Arc<Bell>| {
            bell.is_rung.store(false, Ordering::SeqCst);
            bell.key
        };
        Poll::Ready(rung.iter().map(stop).collect())
    }

    fn list(&self) -> MutexGuard<'_, Vec<Arc<Bell>>> {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bell {
    /// Calls `poll` so that this rings when what it waits for has come.
    pub(super) fn poll<T>(
        self: &Arc<Self>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let waker = Waker::from(Arc::clone(self));
        let mut cx = Context::from_waker(&waker);
        poll(&mut cx)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if self.is_rung.swap(true, Ordering::SeqCst) {
            return;
        }
        let ready = Arc::clone(&self.ready);
        ready.list().push(self);
        ready.waker.wake();
    }
}

/// The stream as tokio's traits want it.
pub(super) fn pinned<T: Unpin>(stream: &mut T) -> Pin<&mut T> {
    Pin::new(stream)
}
