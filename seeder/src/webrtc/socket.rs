//! The UDP socket: datagrams in and out by the batch.
//!
//! Equal-sized datagrams to one address leave as one segmented send (GSO) and arrive as one
//! buffer (GRO) where the kernel can; elsewhere one by one. It knows nothing of what they say.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;

use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tracing::{debug, warn};

/// What we ask the kernel to hold each way, in bytes.
const SOCKET_BUFFER: usize = 4 << 20;
/// Of what it then holds (it says twice as much, for its own books), the part one remote may fill.
const REMOTES: usize = 16;
/// Buffers filled by one receive call.
const RECEIVE_BUFFERS: usize = 8;
/// Longest thing a receive buffer holds: a full GRO list.
const RECEIVE_BUFFER: usize = 64 << 10;
/// Longest segmented send, in bytes; the IP length field allows little more.
const MAX_BATCH: usize = 62 << 10;
/// Bytes waiting for the kernel before the stacks are asked for no more.
const OUTGOING_LIMIT: usize = 1 << 20;
/// Empty batch buffers kept for reuse.
const SPARE_BATCHES: usize = 32;

pub(super) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    room: usize,
    received: Vec<u8>,
    outgoing: VecDeque<Batch>,
    outgoing_bytes: usize,
    spare: Vec<Vec<u8>>,
}

/// Datagrams to one address, all of `segment` bytes but the last.
struct Batch {
    to: SocketAddr,
    segment: usize,
    bytes: Vec<u8>,
    /// How much of it the kernel has taken.
    sent: usize,
}

impl Socket {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let room = enlarge(&state, &socket) / REMOTES;
        Ok(Self {
            io: UdpSocket::from_std(socket)?,
            state,
            room,
            received: vec![0; RECEIVE_BUFFERS * RECEIVE_BUFFER],
            outgoing: VecDeque::new(),
            outgoing_bytes: 0,
            spare: Vec::new(),
        })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Bytes of one remote that may wait here to be read.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Waits until there is something to receive, or room for what waits to be sent.
    pub(super) async fn ready(&self) -> io::Result<()> {
        let mut interest = Interest::READABLE;
        if !self.outgoing.is_empty() {
            interest |= Interest::WRITABLE;
        }
        self.io.ready(interest).await.map(|_| ())
    }

    /// Hands over one batch of datagrams; `false` when there was none.
    pub(super) fn receive(&mut self, mut each: impl FnMut(SocketAddr, &[u8])) -> bool {
        let mut buffers = self.received.chunks_exact_mut(RECEIVE_BUFFER);
        let mut slices: [IoSliceMut<'_>; RECEIVE_BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(buffers.next().unwrap_or_default()));
        let mut metas = [RecvMeta::default(); RECEIVE_BUFFERS];
        let (io, state) = (&self.io, &self.state);
        let count = match io.try_io(Interest::READABLE, || {
            state.recv(UdpSockRef::from(io), &mut slices, &mut metas)
        }) {
            Ok(count) => count,
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    debug!(%error, "receiving");
                }
                return false;
            }
        };
        for (meta, buffer) in metas.iter().zip(&slices).take(count) {
            for datagram in buffer[..meta.len].chunks(meta.stride.max(1)) {
                each(meta.addr, datagram);
            }
        }
        count > 0
    }

    /// Queues one datagram.
    pub(super) fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.outgoing_bytes += datagram.len();
        let most = self.state.max_gso_segments() * datagram.len();
        if let Some(last) = self.outgoing.back_mut()
            && last.takes(to, datagram.len(), most)
        {
            last.bytes.extend_from_slice(datagram);
            return;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.extend_from_slice(datagram);
        self.outgoing.push_back(Batch {
            to,
            segment: datagram.len(),
            bytes,
            sent: 0,
        });
    }

    /// Whether so much waits for the kernel that producing more would only cost memory.
    pub(super) fn is_congested(&self) -> bool {
        self.outgoing_bytes >= OUTGOING_LIMIT
    }

    /// Gives the kernel what it takes of the queue.
    pub(super) fn flush(&mut self) {
        while let Some(batch) = self.outgoing.front_mut() {
            let step = if self.state.max_gso_segments() > 1 {
                batch.bytes.len() - batch.sent
            } else {
                batch.segment.min(batch.bytes.len() - batch.sent)
            };
            let transmit = Transmit {
                destination: batch.to,
                ecn: None,
                contents: &batch.bytes[batch.sent..batch.sent + step],
                segment_size: (step > batch.segment).then_some(batch.segment),
                src_ip: None,
            };
            let (io, state) = (&self.io, &self.state);
            match io.try_io(Interest::WRITABLE, || {
                state.try_send(UdpSockRef::from(io), &transmit)
            }) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // Lost like any datagram: the protocols above send again.
                Err(error) => debug!(%error, to = %batch.to, "sending"),
            }
            batch.sent += step;
            if batch.sent == batch.bytes.len() {
                self.retire();
            }
        }
    }

    fn retire(&mut self) {
        if let Some(mut batch) = self.outgoing.pop_front() {
            self.outgoing_bytes -= batch.bytes.len();
            if self.spare.len() < SPARE_BATCHES {
                batch.bytes.clear();
                self.spare.push(batch.bytes);
            }
        }
    }
}

impl Batch {
    fn takes(&self, to: SocketAddr, len: usize, most: usize) -> bool {
        // A shorter datagram ends a batch: only the last may be short.
        let even = self.bytes.len().is_multiple_of(self.segment);
        to == self.to
            && self.sent == 0
            && even
            && len <= self.segment
            && self.bytes.len() + len <= MAX_BATCH.min(most.max(self.segment))
    }
}

/// Asks for larger buffers; what the kernel says it holds for us to read.
fn enlarge(state: &UdpSocketState, socket: &std::net::UdpSocket) -> usize {
    let _ = state.set_recv_buffer_size(UdpSockRef::from(socket), SOCKET_BUFFER);
    let _ = state.set_send_buffer_size(UdpSockRef::from(socket), SOCKET_BUFFER);
    let granted = |size: io::Result<usize>| size.unwrap_or(0);
    let receive = granted(state.recv_buffer_size(UdpSockRef::from(socket)));
    let send = granted(state.send_buffer_size(UdpSockRef::from(socket)));
    if receive < SOCKET_BUFFER || send < SOCKET_BUFFER {
        warn!(
            receive,
            send,
            wanted = SOCKET_BUFFER,
            "the host allows smaller UDP buffers than fast transfers want \
             (net.core.rmem_max, net.core.wmem_max)"
        );
    }
    receive
}
