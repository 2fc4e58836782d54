//! One connection: the WebRTC stack without I/O, narrowed to one data channel.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use headwater_core::ids::PeerKey;
use rtc::data_channel::{RTCDataChannelId, RTCDataChannelState};
use rtc::peer_connection::certificate::RTCCertificate;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::setting_engine::{
    SctpMaxMessageSize, SettingEngine, SettingEngineBuilder,
};
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::RTCMessage;
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::state::RTCIceConnectionState;
use rtc::peer_connection::transport::RTCIceCandidateInit;
use rtc::peer_connection::{RTCPeerConnection, RTCPeerConnectionBuilder};
use rtc::sansio::Protocol;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};

use super::cap::{MIN_ROOM, SendCap};
use super::datagram::{BINDING_REQUEST, BINDING_SUCCESS, is_nominating, is_refusal, stun_type};
use super::sdp::Description;
use super::silence::{Silence, patience};
use super::{Error, MAX_MESSAGE};

/// Bytes of messages SCTP may hold for us before the sender must wait: 160 MB/s at 50 ms.
const RECEIVE_WINDOW: u32 = 8 << 20;
/// A remote that opens more channels than this beside its first is dropped.
const MAX_EXTRA_CHANNELS: usize = 16;
/// From both descriptions to an open channel.
const SETUP_TIMEOUT: Duration = Duration::from_secs(20);
/// Silence until a connection is doubted, and from there until it is given up.
const DISCONNECTED_AFTER: Duration = Duration::from_secs(8);
const FAILED_AFTER: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(2);
/// Time between connectivity checks while connecting.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// Checks per candidate pair before it counts as failed.
///
/// A description may name anybody's address. With eight candidates it moves us to send 20 KB.
const MAX_CHECKS: u16 = 25;
/// Datagrams kept until ICE has found its way: a first DTLS flight.
const MAX_EARLY: usize = 4;
const MAX_EARLY_LENGTH: usize = 1500;
/// Longest connectivity check kept to be seen again, in bytes.
const MAX_CHECK: usize = 512;
/// SCTP packets on loopback, in bytes: as a DTLS record, with 37 more, they just fit Chromium's
/// buffer of 2,048. Elsewhere the stack's 1,191 pass any path; these cost the browser a third
/// less CPU a byte.
const LOOPBACK_SCTP_MTU: u32 = 2000;

/// What a connection's stack told us.
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
    /// Waits in the endpoint's queue to be worked on.
    pub(super) is_queued: bool,
    /// When it wants to be woken, as the endpoint's timers have it.
    pub(super) timer: Option<Instant>,
    pub(super) wire_received: u64,
    pub(super) wire_sent: u64,
    connection: Box<RTCPeerConnection>,
    local: SocketAddr,
    room: u32,
    channel: Option<RTCDataChannelId>,
    /// ICE has found its way.
    is_connected: bool,
    /// The remote's latest nominating check, until ICE has found its way.
    nomination: Option<Datagram>,
    /// What came before ICE had found its way, and was not a check.
    early: Vec<Datagram>,
    /// What the stack said while it was fed.
    news: VecDeque<RTCPeerConnectionEvent>,
    is_open: bool,
    is_closed: bool,
    /// The remote broke the handshake off.
    is_refused: bool,
    extra_channels: usize,
    setup_deadline: Option<Instant>,
    silence: Silence,
    handshake: Handshake,
}

/// What is said between the checks of ICE and the open channel, all of which is answered at once.
#[derive(Debug, Default)]
struct Handshake {
    /// Bytes heard.
    heard: u64,
    /// When we said what is not answered yet.
    said: Option<Instant>,
    /// The least that an answer took: about the way there and back.
    round_trip: Option<Duration>,
}

type Datagram = (SocketAddr, Box<[u8]>);

/// What all connections of an endpoint have in common.
pub(super) struct Shared {
    pub(super) certificate: RTCCertificate,
    /// Where remotes reach us.
    pub(super) advertised: SocketAddr,
    /// Bytes of one remote that may wait in the socket.
    pub(super) room: u32,
    pub(super) lite: bool,
}

impl Peer {
    pub(super) fn new(key: PeerKey, shared: &Shared, now: Instant) -> Result<Self, Error> {
        let configuration = RTCConfigurationBuilder::new()
            .with_certificates(vec![shared.certificate.clone()])
            .build();
        let mut connection = RTCPeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_setting_engine(settings(shared))
            .build(now)
            .map_err(stack)?;
        let candidate = RTCIceCandidateInit {
            candidate: format!(
                "candidate:1 1 udp 2130706431 {} {} typ host",
                shared.advertised.ip(),
                shared.advertised.port(),
            ),
            ..Default::default()
        };
        connection.add_local_candidate(candidate).map_err(stack)?;
        connection
            .add_local_candidate(RTCIceCandidateInit::default())
            .map_err(stack)?;
        Ok(Self {
            key,
            cap: SendCap::new(),
            told_room: 0,
            is_queued: false,
            timer: None,
            wire_received: 0,
            wire_sent: 0,
            connection: Box::new(connection),
            local: shared.advertised,
            room: shared.room,
            channel: None,
            is_connected: false,
            nomination: None,
            early: Vec::new(),
            news: VecDeque::new(),
            is_open: false,
            is_closed: false,
            is_refused: false,
            extra_channels: 0,
            setup_deadline: None,
            silence: Silence::default(),
            handshake: Handshake::default(),
        })
    }

    /// Opens our channel and describes it.
    pub(super) fn make_offer(&mut self, now: Instant) -> Result<Description, Error> {
        let channel = self
            .connection
            .create_data_channel("headwater", None)
            .map_err(stack)?;
        self.channel = Some(channel.id());
        let offer = self.connection.create_offer(None).map_err(stack)?;
        self.connection
            .set_local_description(now, offer)
            .map_err(stack)?;
        self.local_description()
    }

    /// Answers a remote's offer.
    pub(super) fn accept_offer(
        &mut self,
        now: Instant,
        offer: &Description,
    ) -> Result<Description, Error> {
        self.setup_deadline = Some(now + SETUP_TIMEOUT);
        self.cap.handle_room(offer.room as usize);
        let offer = RTCSessionDescription::offer(offer.to_sdp()).map_err(stack)?;
        self.connection
            .set_remote_description(now, offer)
            .map_err(stack)?;
        let answer = self.connection.create_answer(None).map_err(stack)?;
        self.connection
            .set_local_description(now, answer)
            .map_err(stack)?;
        self.local_description()
    }

    /// Takes the answer to our offer.
    pub(super) fn apply_answer(&mut self, now: Instant, answer: &Description) -> Result<(), Error> {
        if self.setup_deadline.is_some() || self.channel.is_none() {
            return Err(Error::UnknownPeer);
        }
        self.setup_deadline = Some(now + SETUP_TIMEOUT);
        self.cap.handle_room(answer.room as usize);
        let answer = RTCSessionDescription::answer(answer.to_sdp()).map_err(stack)?;
        self.connection
            .set_remote_description(now, answer)
            .map_err(stack)
    }

    fn local_description(&self) -> Result<Description, Error> {
        let description = self.connection.local_description();
        let sdp = description.map(|d| d.sdp).unwrap_or_default();
        let mut description = Description::parse(&sdp, self.local.ip())?;
        description.room = self.room;
        Ok(description)
    }

    /// Takes one datagram from the wire.
    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.wire_received += datagram.len() as u64;
        if !self.is_open && stun_type(datagram).is_none() {
            self.handshake.hear(now, datagram.len());
        }
        self.feed(now, from, datagram);
        // The stack goes on and on; libdatachannel says so where our first flight overtakes its
        // own notice of what our description says.
        self.is_refused |= is_refusal(datagram);
        if !self.is_connected {
            self.repeat_nomination(now, from, datagram);
        }
    }

    /// Lets the stack see a remote's nominating check again once its own check has succeeded.
    ///
    /// RFC 8445 §7.3.1.5 nominates a pair when the check triggered by the nominating request
    /// succeeds. The stack forgets that request and waits for the next, a round of the remote's
    /// pacing later: 50 ms with Chromium.
    ///
    /// Any other check is left alone, for the stack answers twice what it sees twice: libjuice,
    /// libtorrent's ICE, takes a second answer that comes as it is about to nominate for the
    /// answer to its nomination, and never nominates.
    fn repeat_nomination(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        match stun_type(datagram) {
            Some(BINDING_REQUEST) if datagram.len() <= MAX_CHECK && is_nominating(datagram) => {
                self.nomination = Some((from, datagram.into()));
            }
            Some(BINDING_REQUEST) => {}
            Some(BINDING_SUCCESS) => {
                if let Some((from, check)) = self.nomination.take() {
                    self.feed(now, from, &check);
                }
                // As the controlling side, nominate now and not at the next interval.
                self.handle_timeout(now + CHECK_INTERVAL);
            }
            None if self.early.len() < MAX_EARLY && datagram.len() <= MAX_EARLY_LENGTH => {
                self.early.push((from, datagram.into()));
            }
            _ => {}
        }
    }

    /// The stack drops what comes before a pair is nominated, and a remote that thinks it is
    /// sends its first DTLS flight again only after a while: 50 ms with Chromium.
    fn feed_early(&mut self, now: Instant) {
        for (from, datagram) in std::mem::take(&mut self.early) {
            self.feed(now, from, &datagram);
        }
    }

    fn feed(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        // The stack reports what it makes of a stranger's bytes; it is no fault of ours.
        let _ = self.connection.handle_read(TaggedBytesMut {
            now,
            transport: TransportContext {
                local_addr: self.local,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        });
        // The stack hands its own news from DTLS to SCTP only when it is asked for events. The
        // remote's first SCTP packet follows its last DTLS one at once; unasked, the stack would
        // drop it, and the remote waits a second before it says so again.
        if !self.is_open {
            while let Some(event) = self.connection.poll_event() {
                self.news.push_back(event);
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(later) = self.silence.leap(now, self.patience()) {
            // Of a remote of unknown distance it may only be that.
            if self.cap.round_trip().is_some() {
                self.cap.handle_loss();
            }
            let _ = self.connection.handle_timeout(later);
        }
        let _ = self.connection.handle_timeout(now);
    }

    fn patience(&self) -> Duration {
        let known = self.cap.round_trip().or(self.handshake.round_trip);
        patience(known, self.is_open)
    }

    /// The next datagram for the wire.
    pub(super) fn poll_datagram(&mut self, now: Instant) -> Option<(SocketAddr, BytesMut)> {
        let transmit = self.connection.poll_write()?;
        self.wire_sent += transmit.message.len() as u64;
        if !self.is_open && stun_type(&transmit.message).is_none() {
            self.handshake.said.get_or_insert(now);
        }
        Some((transmit.transport.peer_addr, transmit.message))
    }

    /// What happened next, if anything did. Nothing happens after a `Closed`.
    pub(super) fn poll_event(&mut self, now: Instant) -> Option<PeerEvent> {
        while !self.is_closed {
            let next = self.news.pop_front();
            let Some(event) = next.or_else(|| self.connection.poll_event()) else {
                break;
            };
            if let Some(event) = self.translate(now, event) {
                return Some(event);
            }
        }
        while !self.is_closed {
            let Some(read) = self.connection.poll_read() else {
                break;
            };
            if let RTCMessage::DataChannelMessage(channel, message) = read.message
                && Some(channel) == self.channel
                && !message.is_string
            {
                return Some(PeerEvent::Received(message.data.freeze()));
            }
        }
        if self.is_open || self.is_closed {
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

    fn translate(&mut self, now: Instant, event: RTCPeerConnectionEvent) -> Option<PeerEvent> {
        match event {
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(channel)) => {
                self.handle_channel(channel)
            }
            RTCPeerConnectionEvent::OnDataChannel(
                RTCDataChannelEvent::OnClose(channel) | RTCDataChannelEvent::OnError(channel),
            ) if Some(channel) == self.channel => self.closed("closed by the remote"),
            RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(
                RTCIceConnectionState::Connected,
            ) => {
                self.is_connected = true;
                self.nomination = None;
                self.feed_early(now);
                // The stack sends its first DTLS flight when it is next woken, so wake it.
                self.handle_timeout(now);
                None
            }
            RTCPeerConnectionEvent::OnIceConnectionStateChangeEvent(
                RTCIceConnectionState::Failed | RTCIceConnectionState::Closed,
            ) => self.closed("the remote cannot be reached any more"),
            _ => None,
        }
    }

    fn handle_channel(&mut self, channel: RTCDataChannelId) -> Option<PeerEvent> {
        if self.channel.is_none_or(|ours| ours == channel) && !self.is_open {
            self.channel = Some(channel);
            self.is_open = true;
            return Some(PeerEvent::Opened);
        }
        self.extra_channels += 1;
        if self.extra_channels > MAX_EXTRA_CHANNELS {
            return self.closed("opened too many channels");
        }
        if let Some(mut extra) = self.connection.data_channel(channel) {
            let _ = extra.close();
        }
        None
    }

    fn closed(&mut self, why: &str) -> Option<PeerEvent> {
        self.is_closed = true;
        Some(PeerEvent::Closed(why.to_owned()))
    }

    /// When to call [`Self::handle_timeout`] next.
    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        let stack = self.connection.poll_timeout();
        let setup = self.setup_deadline.filter(|_| !self.is_open);
        let silence = self.silence.deadline(self.patience());
        [stack, setup, silence].into_iter().flatten().min()
    }

    /// Bytes the channel takes now: none, or at least [`MIN_ROOM`], lest the cap cut
    /// messages into crumbs.
    pub(super) fn room(&self) -> usize {
        let free = self.cap.bytes().saturating_sub(self.cap.unacknowledged());
        let is_open = self.is_open && !self.is_closed;
        if is_open && free >= MIN_ROOM { free } else { 0 }
    }

    pub(super) fn send(&mut self, now: Instant, message: Bytes) {
        if !self.is_open || message.is_empty() || message.len() > MAX_MESSAGE {
            debug_assert!(message.len() <= MAX_MESSAGE, "message too long");
            return;
        }
        let length = message.len();
        let message = message
            .try_into_mut()
            .unwrap_or_else(|m| BytesMut::from(&m[..]));
        let Some(channel) = self.channel else { return };
        let Some(mut channel) = self.connection.data_channel(channel) else {
            return;
        };
        if channel.ready_state() == RTCDataChannelState::Open && channel.send(now, message).is_ok()
        {
            self.cap.handle_sent(now, length);
            self.told_room = self.told_room.saturating_sub(length);
        }
    }

    /// Learns what was acknowledged. Call after [`Self::poll_event`] has run dry.
    pub(super) fn observe(&mut self, now: Instant) {
        if let Some(channel) = self.channel
            && let Some(channel) = self.connection.data_channel(channel)
        {
            let unacknowledged = channel.outstanding_bytes();
            self.cap.handle_unacknowledged(now, unacknowledged);
        }
        let (heard, sent) = if self.is_open {
            let heard = self.cap.acknowledged();
            let unacknowledged = self.cap.unacknowledged() as u64;
            (
                heard,
                (unacknowledged > 0).then_some(heard + unacknowledged),
            )
        } else {
            // All but a check is an answer.
            (self.handshake.heard, self.is_connected.then_some(0))
        };
        self.silence.observe(now, heard, sent);
    }

    /// Opens a channel nobody asked for.
    #[cfg(test)]
    pub(super) fn open_extra_channel(&mut self) {
        let channel = self.connection.create_data_channel("extra", None);
        channel.expect("channels are free");
    }

    /// Tells the remote that it is over; the datagrams for that wait in
    /// [`Self::poll_datagram`].
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        let _ = self.connection.close();
    }
}

impl Handshake {
    fn hear(&mut self, now: Instant, bytes: usize) {
        self.heard += bytes as u64;
        if let Some(said) = self.said.take() {
            let took = now.saturating_duration_since(said);
            self.round_trip = Some(self.round_trip.map_or(took, |least| least.min(took)));
        }
    }
}

fn settings(shared: &Shared) -> SettingEngine {
    let mut settings = SettingEngineBuilder::new()
        .with_lite(shared.lite)
        .with_ice_timeouts(
            Some(DISCONNECTED_AFTER),
            Some(FAILED_AFTER),
            Some(KEEPALIVE),
        )
        .with_ice_connection_attempts(Some(CHECK_INTERVAL), Some(MAX_CHECKS))
        .with_host_acceptance_min_wait(Some(Duration::ZERO))
        .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
        .with_relay_acceptance_min_wait(Some(Duration::ZERO))
        .with_include_loopback_candidate(shared.advertised.ip().is_loopback())
        .with_multicast_dns_mode(rtc::ice::mdns::MulticastDnsMode::Disabled)
        .with_sctp_max_message_size(SctpMaxMessageSize::Bounded(MAX_MESSAGE as u32))
        .with_sctp_max_receive_buffer_size(RECEIVE_WINDOW);
    if shared.advertised.ip().is_loopback() {
        settings = settings.with_sctp_mtu(LOOPBACK_SCTP_MTU);
    }
    settings.build()
}

fn stack(error: rtc::shared::error::Error) -> Error {
    Error::Stack(error.to_string())
}

#[cfg(test)]
mod tests;
