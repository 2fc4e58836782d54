//! A long way on one machine: a UDP relay that keeps each datagram for a while.
//!
//! `delay_relay --to ADDR:PORT --delay-ms N --rate R` prints `{"port"}`, and from then on carries
//! what comes there to ADDR:PORT and what comes back to whom it is for, N ms later each way and R
//! bytes a second. What the rate makes wait is kept up to a round trip's worth, and dropped beyond
//! it. Where the machine gave the relay no turn in time, what is late does not come all at once: no
//! link brings more than its rate. Every sender has a socket of its own towards ADDR:PORT.

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};
use serde_json::json;

/// What we ask the kernel to hold each way, in bytes; it allows less where it is not told otherwise.
const SOCKET_BUFFER: usize = 4 << 20;
const LONGEST: usize = 64 << 10;
/// What may come at once, and how many times its rate the link has until it is on time again.
const AT_ONCE: Duration = Duration::from_millis(1);
const CATCHING_UP: f64 = 1.25;
/// Senders carried at most.
const MAX_SENDERS: usize = 256;

/// A datagram on its way.
struct Held {
    due: Instant,
    by: Arc<Port>,
    to: SocketAddr,
    bytes: Box<[u8]>,
}

/// A socket whose datagrams may come many at once.
struct Port {
    io: UdpSocket,
    state: UdpSocketState,
}

fn main() -> io::Result<()> {
    let to: SocketAddr = parsed("--to")?;
    let delay = Duration::from_millis(parsed("--delay-ms")?);
    let rate: f64 = parsed("--rate")?;
    let front = Arc::new(Port::bind()?);
    println!("{}", json!({ "port": front.io.local_addr()?.port() }));

    let (up, down) = (Way::new(delay, rate), Way::new(delay, rate));
    let mut senders: HashMap<SocketAddr, Arc<Port>> = HashMap::new();
    front.receive(|from, bytes| {
        if !senders.contains_key(&from) && senders.len() < MAX_SENDERS {
            let back = Arc::new(Port::bind()?);
            senders.insert(from, Arc::clone(&back));
            let (down, front) = (down.clone(), Arc::clone(&front));
            thread::spawn(move || {
                back.receive(|_, bytes| {
                    down.hold(&front, from, bytes);
                    Ok(())
                })
            });
        }
        if let Some(back) = senders.get(&from) {
            up.hold(back, to, bytes);
        }
        Ok(())
    })
}

impl Port {
    fn bind() -> io::Result<Self> {
        let io = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        let _ = state.set_recv_buffer_size(UdpSockRef::from(&io), SOCKET_BUFFER);
        // The state made it asynchronous; a thread may wait.
        io.set_nonblocking(false)?;
        Ok(Self { io, state })
    }

    /// Has `each` take what comes, for ever.
    fn receive(&self, mut each: impl FnMut(SocketAddr, &[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0; LONGEST];
        let mut meta = [RecvMeta::default()];
        loop {
            let mut into = [IoSliceMut::new(&mut buffer)];
            // A port that nobody listens at any more is said to the next who reads; the others go on.
            let received = self
                .state
                .recv(UdpSockRef::from(&self.io), &mut into, &mut meta);
            if matches!(received, Ok(1..)) {
                let [
                    RecvMeta {
                        addr, len, stride, ..
                    },
                ] = meta;
                buffer[..len]
                    .chunks(stride.max(1))
                    .try_for_each(|datagram| each(addr, datagram))?;
            }
        }
    }
}

/// One direction of the link.
#[derive(Clone)]
struct Way {
    delay: Duration,
    /// Bytes a second.
    rate: f64,
    /// When the last datagram will have left.
    busy_until: Arc<Mutex<Instant>>,
    carrier: Sender<Held>,
}

impl Way {
    fn new(delay: Duration, rate: f64) -> Self {
        Self {
            delay,
            rate,
            busy_until: Arc::new(Mutex::new(Instant::now())),
            carrier: carrier(rate * CATCHING_UP),
        }
    }

    fn hold(&self, by: &Arc<Port>, to: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        let Ok(mut busy_until) = self.busy_until.lock() else {
            return;
        };
        let begin = (*busy_until).max(now);
        if begin - now > 2 * self.delay {
            return;
        }
        *busy_until = begin + Duration::from_secs_f64(bytes.len() as f64 / self.rate);
        let (due, by) = (*busy_until + self.delay, Arc::clone(by));
        let bytes = bytes.into();
        let _ = self.carrier.send(Held { due, by, to, bytes });
    }
}

/// A thread that sends each when it is due, but no more than `rate` bytes a second. The first in is
/// the first out.
fn carrier(rate: f64) -> Sender<Held> {
    let (sender, held): (Sender<Held>, Receiver<Held>) = mpsc::channel();
    thread::spawn(move || {
        let mut busy_until = Instant::now();
        for Held { due, by, to, bytes } in held {
            let due = due.max(busy_until - AT_ONCE);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let _ = by.io.send_to(&bytes, to);
            let takes = Duration::from_secs_f64(bytes.len() as f64 / rate);
            busy_until = busy_until.max(Instant::now()) + takes;
        }
    });
    sender
}

fn parsed<T: std::str::FromStr>(name: &str) -> io::Result<T> {
    let value = std::env::args().skip_while(|arg| arg != name).nth(1);
    let value = value.and_then(|value| value.parse().ok());
    value.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("{name} is missing")))
}
