//! What keeps the way private: DTLS 1.2 (RFC 6347), for one remote whose certificate is known.
//!
//! Datagrams in, packets out, and the other way round. Where they go is not its business.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto::Certificate;
use rtc_dtls::crypto_provider::{HashAlgorithm, RTCCryptoProvider, default_provider};
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc_shared::TransportProtocol;
use rustls::pki_types::CertificateDer;

use super::Error;
use super::peer::stack;

/// The stack keeps connections by address and has one here, wherever the way leads.
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);
/// When a flight that is not answered is sent again; then after twice that, and so on. The stack
/// sends seven times at the most, so for 13 s.
const FIRST_RESEND: Duration = Duration::from_millis(100);
const MAX_DOUBLED: u32 = 6;
/// Bytes taken before the handshake is over: some twenty times what it needs.
const MAX_HANDSHAKE: usize = 256 << 10;

/// What all connections of a process show: a certificate they made themselves.
#[derive(Clone)]
pub(super) struct Identity {
    certificate: Certificate,
    provider: Arc<dyn RTCCryptoProvider>,
    /// SHA-256 of it, in hex with colons.
    pub(super) fingerprint: String,
}

impl Identity {
    pub(super) fn new() -> Result<Self, Error> {
        let provider = provider()?;
        let names = ["headwater".to_owned()];
        let certificate =
            Certificate::generate_self_signed(names, provider.crypto()).map_err(stack)?;
        let der = certificate.certificate.first();
        let fingerprint = der.and_then(|der| fingerprint(&*provider, der));
        Ok(Self {
            certificate,
            fingerprint: fingerprint.ok_or_else(|| Error::Stack("no SHA-256".to_owned()))?,
            provider,
        })
    }
}

pub(super) fn provider() -> Result<Arc<dyn RTCCryptoProvider>, Error> {
    default_provider().map_err(|error| Error::Stack(error.to_string()))
}

fn fingerprint(provider: &dyn RTCCryptoProvider, certificate: &[u8]) -> Option<String> {
    let digest = provider.crypto().hash(HashAlgorithm::Sha256, certificate);
    let pairs: Vec<String> = digest.ok()?.iter().map(|b| format!("{b:02X}")).collect();
    Some(pairs.join(":"))
}

pub(super) struct Dtls {
    endpoint: Endpoint,
    /// What to call with, until that has happened.
    call: Option<Arc<HandshakeConfig>>,
    is_client: bool,
    is_connected: bool,
    is_closed: bool,
    /// Bytes heard before it was connected.
    heard: usize,
    /// The stack's own timer for the flight that is not answered, when we send it again, and how
    /// often we did.
    waiting: Option<Instant>,
    resend_at: Option<Instant>,
    resent: u32,
}

impl Dtls {
    /// For a remote whose certificate has this fingerprint.
    pub(super) fn new(
        identity: &Identity,
        is_client: bool,
        expected: String,
    ) -> Result<Self, Error> {
        let provider = identity.provider.clone();
        let verify = move |chain: &[Vec<u8>], _: &[CertificateDer<'static>]| {
            let shown = chain.first().and_then(|der| fingerprint(&*provider, der));
            if shown.is_some_and(|shown| shown.eq_ignore_ascii_case(&expected)) {
                Ok(())
            } else {
                Err(rtc_shared::error::Error::ErrNoMatchingCertificateFingerprint)
            }
        };
        let config = ConfigBuilder::default()
            .with_crypto_provider(identity.provider.clone())
            .with_certificates(vec![identity.certificate.clone()])
            // Browsers ask for SRTP whether there is media or not, and mind if nobody answers.
            .with_srtp_protection_profiles(vec![
                SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
                SrtpProtectionProfile::Srtp_Aead_Aes_256_Gcm,
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
                SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_32,
            ])
            .with_client_auth(ClientAuthType::RequireAnyClientCert)
            // No authority signs these; the fingerprint is what counts.
            .with_insecure_skip_verify(true)
            .with_verify_peer_certificate(Some(Arc::new(verify)))
            .with_extended_master_secret(ExtendedMasterSecretType::Require)
            .build(is_client, None)
            .map(Arc::new)
            .map_err(stack)?;
        let (call, answer) = if is_client {
            (Some(config), None)
        } else {
            (None, Some(config))
        };
        Ok(Self {
            endpoint: Endpoint::new(REMOTE, TransportProtocol::UDP, answer),
            call,
            is_client,
            is_connected: false,
            is_closed: false,
            heard: 0,
            waiting: None,
            resend_at: None,
            resent: 0,
        })
    }

    pub(super) fn is_client(&self) -> bool {
        self.is_client
    }

    pub(super) fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// The remote has said that it is over, or we have.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// There is a way: who calls, calls.
    pub(super) fn start(&mut self, now: Instant) {
        if let Some(config) = self.call.take() {
            let _ = self.endpoint.connect(now, REMOTE, config, None);
            self.watch(now);
        }
    }

    /// Takes a datagram; hands on the packets that were in it.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        datagram: &[u8],
        mut each: impl FnMut(Bytes),
    ) {
        if self.is_closed || (!self.is_connected && self.heard > MAX_HANDSHAKE) {
            return;
        }
        if !self.is_connected {
            self.heard += datagram.len();
        }
        // The stack reports what it makes of a stranger's bytes; it is no fault of ours.
        let events = self
            .endpoint
            .read(now, REMOTE, None, BytesMut::from(datagram));
        for event in events.unwrap_or_default() {
            match event {
                EndpointEvent::HandshakeComplete => self.is_connected = true,
                EndpointEvent::ApplicationData(packet) => each(packet.freeze()),
                EndpointEvent::PeerClosed => self.is_closed = true,
                _ => {}
            }
        }
        self.watch(now);
    }

    /// Encrypts a packet; the datagram waits in [`Self::poll_datagram`].
    pub(super) fn send(&mut self, now: Instant, packet: &[u8]) {
        let _ = self.endpoint.write(now, REMOTE, packet);
    }

    pub(super) fn poll_datagram(&mut self) -> Option<BytesMut> {
        self.endpoint.poll_transmit().map(|t| t.message)
    }

    /// The stack sends again a second after it has sent, whatever was said to it; it is told
    /// that the second is over when it is time by our clock.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.resend_at.is_some_and(|at| at <= now)
            && let Some(waiting) = self.waiting
        {
            let _ = self.endpoint.handle_timeout(REMOTE, waiting);
            self.resent += 1;
            self.waiting = self.endpoint.poll_timeout(&REMOTE);
            let wait = FIRST_RESEND * (1 << self.resent.min(MAX_DOUBLED));
            self.resend_at = self.waiting.map(|_| now + wait);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.resend_at
    }

    /// Tells the remote that it is over.
    pub(super) fn close(&mut self, now: Instant) {
        self.is_closed = true;
        self.resend_at = None;
        let _ = self.endpoint.close(now);
    }

    /// Begins the wait anew if the stack has said something new.
    fn watch(&mut self, now: Instant) {
        let waiting = self.endpoint.poll_timeout(&REMOTE);
        if waiting != self.waiting {
            self.waiting = waiting;
            self.resent = 0;
            self.resend_at = waiting.map(|_| now + FIRST_RESEND);
        }
    }
}
