//! One TCP connection: what waits to be written, and what of it the system takes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::ready::{Bell, pinned};

/// Bytes that may wait here for a peer, besides what the system holds for it.
const MAX_UNSENT: usize = 512 * 1024;

/// Messages written by one call.
const SLICES: usize = 16;

/// One connection that stands.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    bell: Arc<Bell>,
    outbox: VecDeque<Bytes>,
    unsent: usize,
    pub(super) ip: IpAddr,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, ip: IpAddr, bell: Arc<Bell>) -> Self {
        Self {
            stream,
            bell,
            outbox: VecDeque::new(),
            unsent: 0,
            ip,
        }
    }

    /// How many more bytes it takes.
    pub(super) const fn room(&self) -> usize {
        MAX_UNSENT.saturating_sub(self.unsent)
    }

    /// How many bytes it took and has not written yet.
    pub(super) const fn unsent(&self) -> usize {
        self.unsent
    }

    /// Puts a message in line.
    pub(super) fn push(&mut self, message: Bytes) {
        self.unsent += message.len();
        self.outbox.push_back(message);
    }

    /// Writes what can be written now; how many bytes that were.
    pub(super) fn flush(&mut self) -> io::Result<usize> {
        let mut written = 0;
        while !self.outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            for (slice, message) in slices.iter_mut().zip(&self.outbox) {
                *slice = IoSlice::new(message);
            }
            let used = self.outbox.len().min(SLICES);
            let stream = &mut self.stream;
            let poll = self
                .bell
                .poll(|cx| pinned(stream).poll_write_vectored(cx, &slices[..used]));
            match poll {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(taken) => {
                    let taken = taken?;
                    self.taken(taken);
                    written += taken;
                }
            }
        }
        Ok(written)
    }

    /// The system has taken so many bytes.
    fn taken(&mut self, mut bytes: usize) {
        self.unsent -= bytes;
        while let Some(first) = self.outbox.front_mut() {
            if first.len() > bytes {
                first.advance(bytes);
                return;
            }
            bytes -= first.len();
            self.outbox.pop_front();
        }
    }

    /// Reads what there is: `None` if nothing is there yet, then the bell rings; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        let stream = &mut self.stream;
        let poll = self
            .bell
            .poll(|cx| pinned(stream).poll_read(cx, &mut buffer));
        match poll {
            Poll::Pending => Ok(None),
            Poll::Ready(read) => read.map(|()| Some(buffer.filled().len())),
        }
    }

    /// Has it looked at again.
    pub(super) fn ring(&self) {
        std::task::Wake::wake(Arc::clone(&self.bell));
    }
}
