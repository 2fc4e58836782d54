//! The way to the remote: an ICE agent (RFC 8445) with one address of its own.
//!
//! It finds the way and says when it is lost. What goes that way is not its business.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_ice::candidate::CandidateConfig;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::{Candidate as AgentCandidate, CandidateType, unmarshal_candidate};
use rtc_ice::mdns::MulticastDnsMode;
use rtc_ice::state::ConnectionState;
use rtc_ice::{Agent, AgentConfig, Event};
use rtc_shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use sansio::Protocol;

use super::datagram::{BINDING_REQUEST, BINDING_SUCCESS, is_nominating, stun_type};
use super::peer::{Shared, stack};
use super::sdp::{Candidate, Description, Kind};
use super::{Error, dtls};

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
/// Longest connectivity check kept to be seen again, in bytes.
const MAX_CHECK: usize = 512;
/// RFC 8445 §5.1.2.1, for the only candidate there is.
const PRIORITY: u32 = 2_130_706_431;

/// What became of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IceEvent {
    Connected,
    Failed,
}

pub(super) struct Ice {
    agent: Agent,
    local: SocketAddr,
    lite: bool,
    is_connected: bool,
    /// The remote's latest nominating check, until there is a way.
    nomination: Option<(SocketAddr, Box<[u8]>)>,
}

impl Ice {
    pub(super) fn new(now: Instant, shared: &Shared) -> Result<Self, Error> {
        let local = shared.advertised;
        let config = AgentConfig {
            multicast_dns_mode: MulticastDnsMode::Disabled,
            disconnected_timeout: Some(DISCONNECTED_AFTER),
            failed_timeout: Some(FAILED_AFTER),
            keepalive_interval: Some(KEEPALIVE),
            check_interval: CHECK_INTERVAL,
            max_binding_requests: Some(MAX_CHECKS),
            candidate_types: vec![CandidateType::Host],
            lite: shared.lite,
            host_acceptance_min_wait: Some(Duration::ZERO),
            srflx_acceptance_min_wait: Some(Duration::ZERO),
            prflx_acceptance_min_wait: Some(Duration::ZERO),
            relay_acceptance_min_wait: Some(Duration::ZERO),
            ..AgentConfig::default()
        };
        let mut agent = Agent::new(now, Arc::new(config), dtls::provider()?).map_err(stack)?;
        let candidate = CandidateHostConfig {
            base_config: CandidateConfig {
                network: "udp".to_owned(),
                address: local.ip().to_string(),
                port: local.port(),
                component: 1,
                priority: PRIORITY,
                ..CandidateConfig::default()
            },
            ..CandidateHostConfig::default()
        };
        let candidate = candidate.new_candidate_host().map_err(stack)?;
        agent.add_local_candidate(candidate).map_err(stack)?;
        Ok(Self {
            agent,
            local,
            lite: shared.lite,
            is_connected: false,
            nomination: None,
        })
    }

    /// Our user name fragment and password.
    pub(super) fn credentials(&self) -> (&str, &str) {
        let ours = self.agent.get_local_credentials();
        (&ours.ufrag, &ours.pwd)
    }

    /// Whether there is a way, as far as [`Self::poll_event`] has said.
    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    pub(super) fn is_lite(&self) -> bool {
        self.lite
    }

    /// Where we are reached.
    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            address: self.local,
            priority: PRIORITY,
            kind: Kind::Host,
        }
    }

    /// Looks for the way to who described itself so.
    pub(super) fn start(
        &mut self,
        now: Instant,
        remote: &Description,
        has_offered: bool,
    ) -> Result<(), Error> {
        for candidate in &remote.candidates {
            let candidate = agents(candidate)?;
            self.agent.add_remote_candidate(candidate).map_err(stack)?;
        }
        // RFC 8445 §6.1.1: the full agent controls; of two of a kind it is the one that offers.
        let is_controlling = if remote.ice_lite == self.lite {
            has_offered
        } else {
            remote.ice_lite
        };
        let (ufrag, password) = (remote.ufrag.clone(), remote.password.clone());
        self.agent
            .start_connectivity_checks(now, is_controlling, ufrag, password)
            .map_err(stack)
    }

    /// Takes a STUN message.
    pub(super) fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.feed(now, from, datagram);
        if !self.is_connected {
            self.repeat_nomination(now, from, datagram);
        }
    }

    /// Lets the agent see a remote's nominating check again once its own check has succeeded.
    ///
    /// RFC 8445 §7.3.1.5 nominates a pair when the check triggered by the nominating request
    /// succeeds. The agent forgets that request and waits for the next, a round of the remote's
    /// pacing later: 50 ms with Chromium.
    ///
    /// Any other check is left alone, for the agent answers twice what it sees twice: libjuice,
    /// libtorrent's ICE, takes a second answer that comes as it is about to nominate for the
    /// answer to its nomination, and never nominates.
    fn repeat_nomination(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        match stun_type(datagram) {
            Some(BINDING_REQUEST) if datagram.len() <= MAX_CHECK && is_nominating(datagram) => {
                self.nomination = Some((from, datagram.into()));
            }
            Some(BINDING_SUCCESS) => {
                if let Some((from, check)) = self.nomination.take() {
                    self.feed(now, from, &check);
                }
                // As the controlling side, nominate now and not at the next interval.
                self.handle_timeout(now + CHECK_INTERVAL);
            }
            _ => {}
        }
    }

    fn feed(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        // The agent reports what it makes of a stranger's bytes; it is no fault of ours.
        let _ = self.agent.handle_read(TaggedBytesMut {
            now,
            transport: TransportContext {
                local_addr: self.local,
                peer_addr: from,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(datagram),
        });
    }

    pub(super) fn poll_datagram(&mut self) -> Option<(SocketAddr, BytesMut)> {
        let check = self.agent.poll_write()?;
        Some((check.transport.peer_addr, check.message))
    }

    pub(super) fn poll_event(&mut self) -> Option<IceEvent> {
        while let Some(event) = self.agent.poll_event() {
            match event.event {
                Event::SelectedCandidatePairChange(..) if !self.is_connected => {
                    self.is_connected = true;
                    self.nomination = None;
                    return Some(IceEvent::Connected);
                }
                Event::ConnectionStateChange(ConnectionState::Failed | ConnectionState::Closed) => {
                    return Some(IceEvent::Failed);
                }
                _ => {}
            }
        }
        None
    }

    /// Where the remote is reached, if there is a way.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        let (_, remote) = self.agent.get_selected_candidate_pair()?;
        Some(remote.addr())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        let _ = self.agent.handle_timeout(now);
    }

    pub(super) fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }
}

/// A remote's candidate as the agent has it.
fn agents(candidate: &Candidate) -> Result<AgentCandidate, Error> {
    unmarshal_candidate(&candidate.to_attribute(0)).map_err(stack)
}
