//! One thread and its sockets: reads what came, asks the tracker, writes what is due, in batches.
//!
//! All that is read in one round is answered before anything is written, so that what goes to one
//! socket leaves in one write. A message for another thread's socket goes through its mailbox.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_core::tracker::message::Heard;
use headwater_core::tracker::server::{Input, Output};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use tracing::{debug, warn};

use super::config::TrackerConfig;
use super::frame::{self, Kind};
use super::mail::{Mail, Mailbox};
use super::slots::{Slots, slot_of, thread_of};
use super::socket::{Over, Said, Socket, State, Stream};
use super::{Shared, reply};
use crate::http::is_of_one_connection;

const LISTENER: Token = Token(usize::MAX);
const MAIL: Token = Token(usize::MAX - 1);

/// Bytes read at once, for all sockets of the thread in turn.
const READ_BUFFER: usize = 64 << 10;

/// Sockets served in one round: what waits for the last of them is what this takes.
const ROUND: usize = 256;

/// Connections accepted in one round.
const ACCEPTED: usize = 64;

/// How often all sockets are looked over, and how soon those that wait for their allowance.
const LOOK_OVER: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(20);

/// How often the certificate's files are looked at.
const RELOAD: Duration = Duration::from_secs(5);

/// One thread's end.
pub(super) struct Worker {
    number: usize,
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    poll: Poll,
    listener: Option<TcpListener>,
    is_accepting: bool,
    sockets: Slots,
    now: Instant,
    buffer: Vec<u8>,
    /// What the tracker wants done.
    outputs: VecDeque<Output>,
    /// Those with something to flush.
    dirty: Vec<usize>,
    /// Those that wait for their allowance.
    paused: Vec<usize>,
    looked_over: Instant,
    reloaded: Instant,
    draining: Option<Instant>,
}

impl Worker {
    /// Serve until told to stop.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(ROUND);
        loop {
            let patience = match (self.is_accepting, self.paused.is_empty()) {
                (true, _) => Duration::ZERO,
                (_, false) => PAUSE,
                _ => LOOK_OVER,
            };
            if let Err(e) = self.poll.poll(&mut events, Some(patience))
                && e.kind() != io::ErrorKind::Interrupted
            {
                return warn!("the tracker's sockets cannot be waited for: {e}");
            }
            self.now = Instant::now();
            for event in &events {
                match event.token() {
                    LISTENER => self.is_accepting = true,
                    MAIL => {}
                    Token(slot) => {
                        if event.is_readable() || event.is_error() {
                            self.read(slot, event.is_read_closed());
                        }
                        if event.is_writable()
                            && self
                                .sockets
                                .get(slot)
                                .is_some_and(|one| one.waiting() > 0 || !one.stream.is_plain())
                        {
                            self.soil(slot);
                        }
                    }
                }
            }
            if self.is_accepting {
                self.accept();
            }
            for mail in self.mailbox.take() {
                if matches!(mail, Mail::Stop) {
                    return;
                }
                self.open_mail(mail);
            }
            self.resume();
            if self.now.duration_since(self.looked_over) >= LOOK_OVER {
                self.look_over();
            }
            self.flush();
        }
    }

    fn config(&self) -> Arc<TrackerConfig> {
        Arc::clone(&self.shared.config)
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTED {
            let Some(listener) = &self.listener else {
                self.is_accepting = false;
                return;
            };
            match listener.accept() {
                Ok((stream, address)) => {
                    if !self.shared.open_one() {
                        continue;
                    }
                    let _ = stream.set_nodelay(true);
                    let thread = self.shared.next_thread();
                    let seen = address.ip().to_canonical();
                    match thread == self.number {
                        true => self.add(stream, seen, &[], None),
                        false => self.shared.post(thread, [Mail::Accepted(stream, seen)]),
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.is_accepting = false;
                    return;
                }
                Err(e) if is_of_one_connection(&e) => {}
                Err(e) => {
                    // Out of files, most likely: tried again when sockets are looked over.
                    warn!("cannot accept connections for now: {e}");
                    self.is_accepting = false;
                    return;
                }
            }
        }
    }

    /// A connection of ours, already counted; with `client`, a WebSocket already.
    fn add(&mut self, stream: TcpStream, seen: IpAddr, said: &[u8], client: Option<IpAddr>) {
        let (slot, key) = self.sockets.vacancy(self.number);
        let stream = match (client, &self.shared.tls) {
            (None, Some(tls)) => match tls.session() {
                Some(session) => Stream::Tls(Box::new((stream, session))),
                None => return self.abandon(slot),
            },
            _ => Stream::Plain(stream),
        };
        let config = self.config();
        let mut socket = Box::new(Socket::new(stream, key, seen, self.now));
        socket.await_head(self.now, &config);
        let both = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(socket.stream.tcp(), Token(slot), both);
        if registered.is_err() {
            return self.abandon(slot);
        }
        if let Some(client) = client {
            socket.counted = Some(client);
            socket.opened(self.now, &config);
            self.shared.tell(Input::Connected(key), &mut self.outputs);
        }
        self.sockets.fill(slot, socket);
        if !said.is_empty() {
            self.take(slot, &mut said.to_vec());
        }
    }

    fn abandon(&mut self, slot: usize) {
        self.sockets.vacate(slot);
        self.shared.close_one();
    }

    fn open_mail(&mut self, mail: Mail) {
        match mail {
            Mail::Accepted(stream, seen) => self.add(stream, seen, &[], None),
            Mail::Upgraded(stream, said, client) => self.add(stream, client, &said, Some(client)),
            Mail::Close(key, reason) => self.obey(Output::Close(key, reason)),
            Mail::Page(caller, page) => {
                let (now, slot) = (self.now, slot_of(caller.key));
                let socket = self.sockets.named(caller.key);
                if socket.is_some_and(|one| reply::send(&self.shared, one, now, caller, &page)) {
                    self.soil(slot);
                    // What it said while it waited.
                    self.take(slot, &mut []);
                }
            }
            Mail::Send(key, text) => self.obey(Output::Send(key, text)),
            Mail::Drain(until) => {
                self.listener = None;
                self.draining = Some(until);
            }
            Mail::Stop => {}
        }
    }

    fn read(&mut self, slot: usize, is_closed: bool) {
        let config = self.config();
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(socket) = self.sockets.get(slot) {
            if socket.is_over_allowance(self.now, &config) {
                if !socket.is_paused {
                    socket.is_paused = true;
                    self.paused.push(slot);
                }
                break;
            }
            match socket.stream.read(&mut buffer) {
                Ok(0) => {
                    self.remove(slot);
                    break;
                }
                Ok(length) => {
                    let is_drained = length < buffer.len() && socket.stream.is_plain();
                    self.take(slot, &mut buffer[..length]);
                    if is_drained && !is_closed {
                        break;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // What TLS has to say of its own.
                    if !socket.stream.is_plain() {
                        self.soil(slot);
                    }
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.remove(slot);
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Hear what a socket said, and do what follows from it.
    fn take(&mut self, slot: usize, bytes: &mut [u8]) {
        let config = self.config();
        let (now, shared, outputs) = (self.now, &self.shared, &mut self.outputs);
        let Some(socket) = self.sockets.get(slot) else {
            return;
        };
        socket.take(now, bytes, &config, |socket, said| match said {
            Said::Text(text) => {
                let heard = Heard::read(text);
                let cluster = shared.cluster.as_deref();
                if !cluster.is_some_and(|cluster| cluster.takes(socket.key, &heard, text)) {
                    shared.tell(Input::Heard(socket.key, heard), outputs);
                }
            }
            Said::Request(request) => {
                if reply::reply(shared, socket, now, &request) {
                    shared.tell(Input::Connected(socket.key), outputs);
                }
            }
        });
        let is_quiet = socket.waiting() == 0 && !matches!(socket.state, State::Closing);
        if !is_quiet {
            self.soil(slot);
        }
        while let Some(output) = self.outputs.pop_front() {
            self.obey(output);
        }
    }

    fn obey(&mut self, output: Output) {
        let key = match &output {
            Output::Close(key, _) | Output::Send(key, _) if thread_of(*key) == self.number => *key,
            _ => return self.shared.deliver(&mut [output].into()),
        };
        let most = self.shared.config.max_waiting;
        let Some(socket) = self.sockets.named(key) else {
            return;
        };
        match output {
            Output::Relay(..) => {}
            Output::Close(_, reason) => {
                debug!(connection = key.0, "closed: {reason}");
                socket.hang_up(1008);
            }
            Output::Send(_, text) if socket.waiting() + text.len() <= most => {
                if socket.state == State::Open {
                    frame::write(socket.outbox(), Kind::Text, text.as_bytes());
                }
            }
            Output::Send(..) => {
                debug!(
                    connection = key.0,
                    "closed: it does not read what it is sent"
                );
                return self.remove(slot_of(key));
            }
        }
        self.soil(slot_of(key));
    }

    /// There is something to flush.
    fn soil(&mut self, slot: usize) {
        if let Some(socket) = self.sockets.get(slot)
            && !socket.is_dirty
        {
            socket.is_dirty = true;
            self.dirty.push(slot);
        }
    }

    fn flush(&mut self) {
        for slot in std::mem::take(&mut self.dirty) {
            let now = self.now;
            if let Some(socket) = self.sockets.get(slot) {
                socket.is_dirty = false;
                if socket.flush(now).is_err() {
                    self.remove(slot);
                }
            }
        }
    }

    /// Read on where an allowance has come back.
    fn resume(&mut self) {
        let (config, now) = (self.config(), self.now);
        let paused = std::mem::take(&mut self.paused);
        for slot in paused {
            let Some(socket) = self.sockets.get(slot).filter(|socket| socket.is_paused) else {
                continue;
            };
            if socket.is_over_allowance(now, &config) {
                self.paused.push(slot);
                continue;
            }
            socket.is_paused = false;
            self.read(slot, true);
        }
    }

    /// Time has passed, for all of them.
    fn look_over(&mut self) {
        let config = self.config();
        self.looked_over = self.now;
        self.is_accepting |= self.listener.is_some();
        let now = self.now;
        for slot in 0..self.sockets.len() {
            match self
                .sockets
                .get(slot)
                .map(|socket| socket.tick(now, &config))
            {
                Some(Ok(true)) => self.soil(slot),
                Some(Err(Over)) => self.remove(slot),
                _ => {}
            }
        }
        if let Some(until) = self.draining {
            self.drain(until);
        }
        if self.number == 0 {
            self.shared.tell_time(&mut self.outputs);
            if now.duration_since(self.reloaded) >= RELOAD {
                self.reloaded = now;
                self.shared.tls.iter().for_each(super::tls::Tls::reload);
            }
        }
    }

    /// Close some of them, so that all are closed by then and their owners do not return at once.
    fn drain(&mut self, until: Instant) {
        let open: Vec<usize> = (0..self.sockets.len())
            .filter(|slot| {
                let socket = self.sockets.get(*slot);
                socket.is_some_and(|one| {
                    matches!(one.state, State::Asked | State::Head | State::Open)
                })
            })
            .collect();
        let left = until.saturating_duration_since(self.now);
        let rounds = (left.as_millis() / LOOK_OVER.as_millis()).max(1) as usize;
        for slot in open.iter().take(open.len().div_ceil(rounds)) {
            if let Some(socket) = self.sockets.get(*slot) {
                // RFC 6455, 7.4.1: "1001 indicates that an endpoint is going away".
                socket.hang_up(1001);
                self.soil(*slot);
            }
        }
    }

    fn remove(&mut self, slot: usize) {
        let Some(mut socket) = self.sockets.take(slot) else {
            return;
        };
        let _ = self.poll.registry().deregister(socket.stream.tcp());
        self.shared.close_one();
        if let Some(client) = socket.counted {
            self.shared.dismiss(client);
            self.shared
                .tell(Input::Closed(socket.key), &mut self.outputs);
        }
    }
}

/// A thread's end before it knows the others.
pub(super) struct Unbound {
    number: usize,
    listener: Option<TcpListener>,
    poll: Poll,
    pub(super) mailbox: Arc<Mailbox>,
}

impl Unbound {
    pub(super) fn new(number: usize, listener: Option<TcpListener>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let mailbox = Arc::new(Mailbox::new(Waker::new(poll.registry(), MAIL)?));
        Ok(Self {
            number,
            listener,
            poll,
            mailbox,
        })
    }

    pub(super) fn bind(mut self, shared: Arc<Shared>) -> io::Result<Worker> {
        if let Some(listener) = &mut self.listener {
            let registry = self.poll.registry();
            registry.register(listener, LISTENER, Interest::READABLE)?;
        }
        let now = Instant::now();
        Ok(Worker {
            number: self.number,
            shared,
            mailbox: self.mailbox,
            poll: self.poll,
            is_accepting: self.listener.is_some(),
            listener: self.listener,
            sockets: Slots::default(),
            now,
            buffer: vec![0; READ_BUFFER],
            outputs: VecDeque::new(),
            dirty: Vec::new(),
            paused: Vec::new(),
            looked_over: now,
            reloaded: now,
            draining: None,
        })
    }
}
