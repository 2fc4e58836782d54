//! What the tracker's threads leave for each other.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use headwater_core::tracker::server::ConnKey;
use mio::Waker;
use mio::net::TcpStream;

use super::cluster::Caller;
use super::web::Page;

/// What others want of a thread.
pub(super) enum Mail {
    /// Serve a new connection.
    Accepted(TcpStream, IpAddr),
    /// Close a socket, for this reason.
    Close(ConnKey, &'static str),
    /// Close all, by then.
    Drain(Instant),
    /// Send the page that this one waits for.
    Page(Caller, Page),
    /// Send a message.
    Send(ConnKey, String),
    /// End.
    Stop,
    /// Serve a connection on which this was said and read already, for so and so.
    Upgraded(TcpStream, Vec<u8>, IpAddr),
}

/// Where it is left.
pub(super) struct Mailbox {
    mail: Mutex<Vec<Mail>>,
    waker: Waker,
}

impl Mailbox {
    pub(super) fn new(waker: Waker) -> Self {
        Self {
            mail: Mutex::new(Vec::new()),
            waker,
        }
    }

    pub(super) fn post(&self, mail: impl IntoIterator<Item = Mail>) {
        let mut waiting = self.mail.lock().unwrap_or_else(PoisonError::into_inner);
        let was_empty = waiting.is_empty();
        waiting.extend(mail);
        if was_empty && !waiting.is_empty() {
            drop(waiting);
            // A thread that cannot be woken looks by itself soon.
            let _ = self.waker.wake();
        }
    }

    /// All of it, oldest first.
    pub(super) fn take(&self) -> Vec<Mail> {
        std::mem::take(&mut *self.mail.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
