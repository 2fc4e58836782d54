//! One connection: ICE, DTLS and SCTP without I/O, one upon the other, and one data channel.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use headwater_core::ids::PeerKey;

use super::cap::{MIN_ROOM, SendCap};
use super::datagram::{is_refusal, stun_type};
use super::dcep::{self, Dcep, PPID_BINARY, PPID_DCEP};
use super::dtls::{Dtls, Identity};
use super::ice::{Ice, IceEvent};
use super::sctp::{Association, Event, Message};
use super::sdp::{DEFAULT_SCTP_PORT, Description, Setup};
use super::{Error, MAX_MESSAGE};

/// A remote that opens more channels than this beside its first is dropped.
const MAX_EXTRA_CHANNELS: usize = 16;
/// From both descriptions to an open channel.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);
/// Datagrams that are no checks and come before there is a way back: a first DTLS flight.
const MAX_EARLY: usize = 4;
/// SCTP packets in bytes: with DTLS (37), UDP and IP they fit the 1,280 that every path of IPv6
/// has, and leave TURN its header.
const SCTP_MTU: usize = 1191;
/// The same on loopback: as a DTLS record they just fit Chromium's buffer of 2,048, and cost the
/// browser a third less CPU a byte.
const LOOPBACK_SCTP_MTU: usize = 2000;
const MID: &str = "0";
const LABEL: &str = "headwater";

/// What a connection told us.
#[derive(Debug)]
pub(super) enum PeerEvent {
    Closed(String),
    Opened,
    Received(Bytes),
}

pub(super) struct Peer {
    pub(super) key: PeerKey,
    pub(super) cap: SendCap,
    /// The room the application was last told of, less what it has sent since.
    pub(super) told_room: usize,
    /// Whether it knows that nothing is under way.
    pub(super) told_idle: bool,
    /// Waits in the endpoint's queue to be worked on.
    pub(super) is_queued: bool,
    /// When it wants to be woken, as the endpoint's timers have it.
    pub(super) timer: Option<Instant>,
    pub(super) wire_received: u64,
    pub(super) wire_sent: u64,
    identity: Identity,
    room: u32,
    mtu: usize,
    has_offered: bool,
    ice: Ice,
    /// Once both descriptions are known.
    remote: Option<Remote>,
    dtls: Option<Dtls>,
    /// Once DTLS is connected.
    association: Option<Association>,
    /// The stream of our channel.
    channel: Option<u16>,
    early: usize,
    is_open: bool,
    is_closed: bool,
    /// The remote broke the handshake off.
    is_refused: bool,
    extra_channels: usize,
    setup_deadline: Option<Instant>,
}

/// What of the remote's description is needed later.
struct Remote {
    sctp_port: u16,
    /// Longest message it takes; 0 is any (RFC 8841 §6).
    max_message: usize,
}

/// What all connections of an endpoint have in common.
pub(super) struct Shared {
    pub(super) identity: Identity,
    /// Where remotes reach us.
    pub(super) advertised: SocketAddr,
    /// Bytes of one remote that may wait in the socket.
    pub(super) room: u32,
    pub(super) lite: bool,
}

impl Peer {
    pub(super) fn new(key: PeerKey, shared: &Shared, now: Instant) -> Result<Self, Error> {
        let is_loopback = shared.advertised.ip().is_loopback();
        Ok(Self {
            key,
            cap: SendCap::new(),
            told_room: 0,
            told_idle: true,
            is_queued: false,
            timer: None,
            wire_received: 0,
            wire_sent: 0,
            identity: shared.identity.clone(),
            room: shared.room,
            mtu: if is_loopback {
                LOOPBACK_SCTP_MTU
            } else {
                SCTP_MTU
            },
            has_offered: false,
            ice: Ice::new(now, shared)?,
            remote: None,
            dtls: None,
            association: None,
            channel: None,
            early: 0,
            is_open: false,
            is_closed: false,
            is_refused: false,
            extra_channels: 0,
            setup_deadline: None,
        })
    }

    /// Describes a connection whose channel we open.
    pub(super) fn make_offer(&mut self) -> Description {
        self.has_offered = true;
        self.describe(MID, Setup::ActPass)
    }

    /// Answers a remote's offer.
    pub(super) fn accept_offer(
        &mut self,
        now: Instant,
        offer: &Description,
    ) -> Result<Description, Error> {
        // RFC 8842 §5.3: who may choose calls, and is heard a round trip earlier.
        let setup = match offer.setup {
            Setup::Active => Setup::Passive,
            Setup::ActPass | Setup::Passive => Setup::Active,
        };
        self.meet(now, offer, setup == Setup::Active)?;
        Ok(self.describe(&offer.mid, setup))
    }

    /// Takes the answer to our offer.
    pub(super) fn apply_answer(&mut self, now: Instant, answer: &Description) -> Result<(), Error> {
        if self.remote.is_some() || !self.has_offered {
            return Err(Error::UnknownPeer);
        }
        self.meet(now, answer, answer.setup == Setup::Passive)
    }

    fn meet(&mut self, now: Instant, remote: &Description, is_client: bool) -> Result<(), Error> {
        self.ice.start(now, remote, self.has_offered)?;
        let expected = remote.fingerprint.clone();
        self.dtls = Some(Dtls::new(&self.identity, is_client, expected)?);
        self.remote = Some(Remote {
            sctp_port: remote.sctp_port,
            max_message: remote.max_message_size as usize,
        });
        self.cap.handle_room(remote.room as usize);
        self.setup_deadline = Some(now + SETUP_TIMEOUT);
        Ok(())
    }

    fn describe(&self, mid: &str, setup: Setup) -> Description {
        let (ufrag, password) = self.ice.credentials();
        Description {
            mid: mid.to_owned(),
            ufrag: ufrag.to_owned(),
            password: password.to_owned(),
            fingerprint: self.identity.fingerprint.clone(),
            setup,
            ice_lite: self.ice.is_lite(),
            sctp_port: DEFAULT_SCTP_PORT,
            max_message_size: MAX_MESSAGE as u32,
            room: self.room,
            candidates: vec![self.ice.candidate()],
        }
    }

    /// Takes one datagram from the wire.
    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.wire_received += datagram.len() as u64;
        if stun_type(datagram).is_some() {
            self.ice.handle_datagram(now, from, datagram);
            return;
        }
        // libdatachannel says so where our first flight overtakes its own notice of what our
        // description says; DTLS itself goes on and on.
        self.is_refused |= is_refusal(datagram);
        // A remote that has nominated a way says the next thing before we know of it, and says it
        // again only after a while. What we say to that waits until we do.
        if !self.ice.is_connected() {
            self.early += 1;
            if self.early > MAX_EARLY {
                return;
            }
        }
        self.handle_dtls(now, datagram);
    }

    fn handle_dtls(&mut self, now: Instant, datagram: &[u8]) {
        let Some(dtls) = &mut self.dtls else { return };
        let mut packets = Vec::new();
        dtls.handle_datagram(now, datagram, |packet| packets.push(packet));
        if dtls.is_connected() && self.association.is_none() {
            self.connect(now);
        }
        let (Some(dtls), Some(association)) = (&mut self.dtls, &mut self.association) else {
            return;
        };
        for packet in packets {
            association.handle_packet(now, &packet);
            if let Some(word) = association.poll_urgent() {
                dtls.send(now, word);
            }
        }
    }

    fn connect(&mut self, now: Instant) {
        let Some(remote) = &self.remote else { return };
        let mut luck = [0; 8];
        if getrandom::fill(&mut luck).is_err() {
            return;
        }
        let ports = (DEFAULT_SCTP_PORT, remote.sctp_port);
        let [a, b, c, d, e, f, g, h] = luck;
        let luck = [[a, b, c, d], [e, f, g, h]].map(u32::from_be_bytes);
        self.association = Some(Association::connect(now, ports, self.mtu, luck));
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.ice.poll_timeout().is_some_and(|at| at <= now) {
            self.ice.handle_timeout(now);
        }
        if let Some(dtls) = &mut self.dtls {
            dtls.handle_timeout(now);
        }
        if let Some(association) = &mut self.association {
            association.handle_timeout(now);
        }
    }

    /// The next datagram for the wire.
    pub(super) fn poll_datagram(&mut self, now: Instant) -> Option<(SocketAddr, BytesMut)> {
        let (to, datagram) = match self.ice.poll_datagram() {
            Some(check) => check,
            None => (self.ice.remote()?, self.poll_dtls(now)?),
        };
        self.wire_sent += datagram.len() as u64;
        Some((to, datagram))
    }

    fn poll_dtls(&mut self, now: Instant) -> Option<BytesMut> {
        let dtls = self.dtls.as_mut()?;
        if let Some(datagram) = dtls.poll_datagram() {
            return Some(datagram);
        }
        if dtls.is_closed() {
            return None;
        }
        let packet = self.association.as_mut()?.poll_packet(now)?;
        dtls.send(now, packet);
        dtls.poll_datagram()
    }

    /// What happened next, if anything did. Nothing happens after a `Closed`.
    pub(super) fn poll_event(&mut self, now: Instant) -> Option<PeerEvent> {
        while !self.is_closed
            && let Some(event) = self.ice.poll_event()
        {
            match event {
                IceEvent::Connected => {
                    if let Some(dtls) = &mut self.dtls {
                        dtls.start(now);
                    }
                }
                IceEvent::Failed => return self.closed("the remote cannot be reached any more"),
            }
        }
        while !self.is_closed
            && let Some(event) = self.association.as_mut().and_then(Association::poll_event)
        {
            if let Some(event) = self.translate(event) {
                return Some(event);
            }
        }
        if self.is_closed {
            return None;
        }
        if self.dtls.as_ref().is_some_and(Dtls::is_closed) {
            return self.closed("closed by the remote");
        }
        if self.is_open {
            return None;
        }
        if self.is_refused {
            return self.closed("it refused the handshake");
        }
        if self.setup_deadline.is_some_and(|deadline| deadline <= now) {
            return self.closed("no connection within 20 seconds");
        }
        None
    }

    fn translate(&mut self, event: Event) -> Option<PeerEvent> {
        match event {
            Event::Closed(why) => self.closed(why),
            Event::Connected if self.has_offered => {
                // RFC 8832 §6: who called has the even streams. What is sent after this arrives
                // after it, so there is no need to wait until it is acknowledged.
                let is_client = self.dtls.as_ref().is_some_and(Dtls::is_client);
                let stream = u16::from(!is_client);
                self.tell(stream, dcep::open(LABEL).into());
                self.opened(stream)
            }
            Event::Connected => None,
            Event::Received(message) => self.handle_message(message),
            Event::Reset(streams) => {
                let is_ours = |ours| streams.is_empty() || streams.contains(&ours);
                let is_over = self.channel.is_some_and(is_ours);
                is_over
                    .then(|| self.closed("closed by the remote"))
                    .flatten()
            }
            Event::TimedOut => {
                // Of a remote of unknown distance it may only be that.
                if self.cap.round_trip().is_some() {
                    self.cap.handle_loss();
                }
                None
            }
        }
    }

    fn handle_message(&mut self, message: Message) -> Option<PeerEvent> {
        if message.ppid == PPID_DCEP {
            return match Dcep::parse(&message.payload)? {
                Dcep::Ack => None,
                Dcep::Open => self.handle_channel(message.stream),
            };
        }
        let is_ours = Some(message.stream) == self.channel && message.ppid == PPID_BINARY;
        is_ours.then_some(PeerEvent::Received(message.payload))
    }

    fn handle_channel(&mut self, stream: u16) -> Option<PeerEvent> {
        if self.channel.is_none() && !self.has_offered {
            self.tell(stream, dcep::ack().to_vec().into());
            return self.opened(stream);
        }
        self.extra_channels += 1;
        if self.extra_channels > MAX_EXTRA_CHANNELS {
            return self.closed("opened too many channels");
        }
        if let Some(association) = &mut self.association
            && Some(stream) != self.channel
        {
            association.reset_stream(stream);
        }
        None
    }

    fn tell(&mut self, stream: u16, message: Bytes) {
        if let Some(association) = &mut self.association {
            association.send(stream, PPID_DCEP, message);
        }
    }

    fn opened(&mut self, stream: u16) -> Option<PeerEvent> {
        self.channel = Some(stream);
        self.is_open = true;
        Some(PeerEvent::Opened)
    }

    fn closed(&mut self, why: &str) -> Option<PeerEvent> {
        self.is_closed = true;
        Some(PeerEvent::Closed(why.to_owned()))
    }

    /// When to call [`Self::handle_timeout`] next.
    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        let timers = [
            self.ice.poll_timeout(),
            self.dtls.as_ref().and_then(Dtls::poll_timeout),
            self.association
                .as_ref()
                .and_then(Association::poll_timeout),
            self.setup_deadline.filter(|_| !self.is_open),
        ];
        timers.into_iter().flatten().min()
    }

    /// Bytes the channel takes now: none, or at least [`MIN_ROOM`], lest the cap cut
    /// messages into crumbs.
    pub(super) fn room(&self) -> usize {
        let free = self.cap.bytes().saturating_sub(self.cap.unacknowledged());
        let is_open = self.is_open && !self.is_closed;
        if is_open && free >= MIN_ROOM { free } else { 0 }
    }

    /// Bytes that the channel took and that are not acknowledged yet.
    pub(super) fn unacknowledged(&self) -> usize {
        self.cap.unacknowledged()
    }

    pub(super) fn send(&mut self, now: Instant, message: Bytes) {
        let length = message.len();
        if !self.is_open || length == 0 || length > MAX_MESSAGE {
            debug_assert!(length <= MAX_MESSAGE, "message too long");
            return;
        }
        let most = self.remote.as_ref().map_or(0, |remote| remote.max_message);
        let (Some(channel), Some(association)) = (self.channel, &mut self.association) else {
            return;
        };
        if most == 0 || length <= most {
            association.send(channel, PPID_BINARY, message);
            self.cap.handle_sent(now, length);
            self.told_room = self.told_room.saturating_sub(length);
        }
    }

    /// Learns what was acknowledged. Call after [`Self::poll_event`] has run dry.
    pub(super) fn observe(&mut self, now: Instant) {
        if let Some(association) = &self.association {
            let unacknowledged = association.unacknowledged();
            self.cap.handle_unacknowledged(now, unacknowledged);
        }
    }

    /// Opens channels nobody asked for.
    #[cfg(test)]
    pub(super) fn open_extra_channels(&mut self, count: usize) {
        let ours = u16::from(!self.dtls.as_ref().is_some_and(Dtls::is_client));
        for n in 1..=count as u16 {
            self.tell(ours + 2 * n, dcep::open("extra").into());
        }
    }

    /// Tells the remote that it is over; the datagrams for that wait in
    /// [`Self::poll_datagram`].
    pub(super) fn close(&mut self, now: Instant) {
        self.is_closed = true;
        if let Some(dtls) = &mut self.dtls {
            dtls.close(now);
        }
    }
}

pub(super) fn stack(error: rtc_shared::error::Error) -> Error {
    Error::Stack(error.to_string())
}

#[cfg(test)]
mod tests;
