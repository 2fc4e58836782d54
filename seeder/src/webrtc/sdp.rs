//! The few lines of a session description that one data channel needs.
//!
//! A stranger's text is read into a [`Description`] under limits. Nothing else a remote wrote gets
//! further than here.

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use super::Error;

/// Longest description read, in bytes.
pub(super) const MAX_SDP: usize = 16 << 10;
/// Most candidates a description may name, and of these the first so many are used.
pub(super) const MAX_CANDIDATES: usize = 32;
const MAX_USED_CANDIDATES: usize = 8;
/// RFC 8839 §5.4: 4 to 256 characters of user name fragment, 22 to 256 of password.
const UFRAG_LENGTH: std::ops::RangeInclusive<usize> = 4..=256;
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 22..=256;
/// RFC 9143 leaves it open; browsers use one or two characters.
const MAX_MID: usize = 32;
/// A SHA-256 digest as colon-separated hex.
const FINGERPRINT_LENGTH: usize = 32 * 3 - 1;
/// RFC 8841 §6.1: "If the SDP 'max-message-size' attribute is not present, the default is 64K".
const DEFAULT_MAX_MESSAGE_SIZE: u32 = 64 << 10;
pub(super) const DEFAULT_SCTP_PORT: u16 = 5000;

/// What a data channel's description says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) mid: String,
    pub(super) ufrag: String,
    pub(super) password: String,
    /// SHA-256 of the certificate, in hex with colons.
    pub(super) fingerprint: String,
    pub(super) setup: Setup,
    pub(super) ice_lite: bool,
    pub(super) sctp_port: u16,
    pub(super) max_message_size: u32,
    /// Bytes of one remote that the socket holds until they are read; 0 if unsaid, as by browsers.
    pub(super) room: u32,
    /// UDP candidates at literal addresses.
    pub(super) candidates: Vec<Candidate>,
}

/// The attribute by which we tell others of us what our socket holds; nobody else knows it.
const ROOM: &str = "x-headwater-room";

/// Who starts the DTLS handshake (RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setup {
    Active,
    ActPass,
    Passive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: SocketAddr,
    pub(super) priority: u32,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Host,
    PeerReflexive,
    Relay,
    ServerReflexive,
}

impl Description {
    /// Reads a complete offer or answer (RFC 8866, 8839, 8841).
    ///
    /// Candidates we could not use anyway (TCP, mDNS names, other address families than
    /// `reachable`'s) are left out; a remote can still be met as a peer-reflexive one.
    pub(super) fn parse(text: &str, reachable: IpAddr) -> Result<Self, Error> {
        if text.len() > MAX_SDP {
            return refused("longer than 16 KiB");
        }
        let mut read = Reader::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let Some((kind, value)) = line.split_once('=') else {
                return refused("a line without '='");
            };
            match kind {
                "m" => read.media(value)?,
                "a" => read.attribute(value, reachable)?,
                _ => {}
            }
        }
        read.finish()
    }

    /// Writes it for a remote.
    pub(super) fn to_sdp(&self) -> String {
        let mut sdp = String::with_capacity(1024);
        let lite = if self.ice_lite { "a=ice-lite\r\n" } else { "" };
        let setup = match self.setup {
            Setup::Active => "active",
            Setup::ActPass => "actpass",
            Setup::Passive => "passive",
        };
        // Writing to a String cannot fail.
        let _ = write!(
            sdp,
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n{lite}\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
             a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:{setup}\r\na=mid:{mid}\r\n\
             a=sctp-port:{port}\r\na=max-message-size:{max}\r\na={ROOM}:{room}\r\n",
            mid = self.mid,
            ufrag = self.ufrag,
            password = self.password,
            fingerprint = self.fingerprint,
            port = self.sctp_port,
            max = self.max_message_size,
            room = self.room,
        );
        for (n, candidate) in self.candidates.iter().enumerate() {
            let _ = write!(sdp, "a=candidate:{}\r\n", candidate.to_attribute(n));
        }
        sdp.push_str("a=end-of-candidates\r\n");
        sdp
    }
}

impl Candidate {
    /// Writes it as the value of its attribute (RFC 8839 §5.1).
    pub(super) fn to_attribute(self, foundation: usize) -> String {
        let (address, priority) = (self.address, self.priority);
        let (ip, port, kind) = (address.ip(), address.port(), self.kind.name());
        let related = if self.kind == Kind::Host {
            ""
        } else {
            " raddr 0.0.0.0 rport 0"
        };
        format!("{foundation} 1 udp {priority} {ip} {port} typ {kind}{related}")
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::PeerReflexive => "prflx",
            Self::Relay => "relay",
            Self::ServerReflexive => "srflx",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [
            Self::Host,
            Self::PeerReflexive,
            Self::Relay,
            Self::ServerReflexive,
        ]
        .into_iter()
        .find(|kind| kind.name() == name)
    }
}

#[derive(Default)]
struct Reader {
    has_media: bool,
    mid: Option<String>,
    ufrag: Option<String>,
    password: Option<String>,
    fingerprint: Option<String>,
    setup: Option<Setup>,
    ice_lite: bool,
    sctp_port: Option<u16>,
    max_message_size: Option<u32>,
    room: u32,
    candidates: Vec<Candidate>,
    candidates_seen: usize,
}

impl Reader {
    fn media(&mut self, value: &str) -> Result<(), Error> {
        if std::mem::replace(&mut self.has_media, true) {
            return refused("more than one media section");
        }
        let mut words = value.split(' ');
        let (media, port) = (words.next(), words.next());
        let (protocol, format) = (words.next(), words.next());
        if media != Some("application") || port.is_none_or(|port| port.parse::<u16>().is_err()) {
            return refused("not an application media section");
        }
        match (protocol, format, words.next()) {
            (Some("UDP/DTLS/SCTP" | "DTLS/SCTP"), Some("webrtc-datachannel"), None) => Ok(()),
            _ => refused("not a WebRTC data channel section"),
        }
    }

    fn attribute(&mut self, attribute: &str, reachable: IpAddr) -> Result<(), Error> {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "candidate" => self.candidate(value, reachable)?,
            "fingerprint" => self.fingerprint(value)?,
            "ice-lite" => self.ice_lite = true,
            "ice-pwd" => {
                let password = token("ice-pwd", value, PASSWORD_LENGTH)?;
                once("ice-pwd", &mut self.password, password)?;
            }
            "ice-ufrag" => {
                let ufrag = token("ice-ufrag", value, UFRAG_LENGTH)?;
                once("ice-ufrag", &mut self.ufrag, ufrag)?;
            }
            "max-message-size" => self.max_message_size = Some(number(value)?),
            "mid" => once("mid", &mut self.mid, token("mid", value, 1..=MAX_MID)?)?,
            ROOM => self.room = number(value)?,
            "sctp-port" => self.sctp_port = Some(number(value)?),
            "setup" => self.setup = Some(setup(value)?),
            _ => {}
        }
        Ok(())
    }

    fn fingerprint(&mut self, value: &str) -> Result<(), Error> {
        let Some(("sha-256", digest)) = value.split_once(' ') else {
            return refused("a certificate fingerprint that is not SHA-256");
        };
        let is_hex = |pair: &str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        if digest.len() != FINGERPRINT_LENGTH || !digest.split(':').all(is_hex) {
            return refused("a malformed certificate fingerprint");
        }
        once("fingerprint", &mut self.fingerprint, digest.to_owned())
    }

    fn candidate(&mut self, value: &str, reachable: IpAddr) -> Result<(), Error> {
        self.candidates_seen += 1;
        if self.candidates_seen > MAX_CANDIDATES {
            return refused("more than 32 candidates");
        }
        let words: Vec<&str> = value.split(' ').collect();
        let [
            _,
            component,
            transport,
            priority,
            host,
            port,
            "typ",
            kind,
            ..,
        ] = words[..]
        else {
            return refused("a malformed candidate");
        };
        let (Ok(priority), Ok(port)) = (priority.parse(), port.parse()) else {
            return refused("a malformed candidate");
        };
        if component != "1" || !transport.eq_ignore_ascii_case("udp") || is_mdns(host) {
            return Ok(());
        }
        let Ok(ip) = host.parse::<IpAddr>() else {
            return refused("a candidate at a name instead of an address");
        };
        let Some(kind) = Kind::parse(kind) else {
            return refused("a candidate of unknown type");
        };
        let is_room = self.candidates.len() < MAX_USED_CANDIDATES;
        if is_room && port != 0 && is_sendable(ip) && ip.is_ipv4() == reachable.is_ipv4() {
            self.candidates.push(Candidate {
                address: SocketAddr::new(ip, port),
                priority,
                kind,
            });
        }
        Ok(())
    }

    fn finish(self) -> Result<Description, Error> {
        if !self.has_media {
            return refused("no media section");
        }
        Ok(Description {
            mid: present("mid", self.mid)?,
            ufrag: present("ice-ufrag", self.ufrag)?,
            password: present("ice-pwd", self.password)?,
            fingerprint: present("fingerprint", self.fingerprint)?,
            setup: present("setup", self.setup)?,
            ice_lite: self.ice_lite,
            sctp_port: self.sctp_port.unwrap_or(DEFAULT_SCTP_PORT),
            max_message_size: self.max_message_size.unwrap_or(DEFAULT_MAX_MESSAGE_SIZE),
            room: self.room,
            candidates: self.candidates,
        })
    }
}

fn refused<T>(what: impl Into<String>) -> Result<T, Error> {
    Err(Error::Refused(what.into()))
}

fn present<T>(name: &str, value: Option<T>) -> Result<T, Error> {
    value.map_or_else(|| refused(format!("no {name}")), Ok)
}

/// Browsers repeat an attribute with the same value when they bundle; two values are a lie.
fn once(name: &str, slot: &mut Option<String>, value: String) -> Result<(), Error> {
    match slot {
        Some(known) if *known != value => refused(format!("two values of {name}")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

/// RFC 8839 `ice-char`, and what browsers put in a mid.
fn token(
    name: &str,
    value: &str,
    length: std::ops::RangeInclusive<usize>,
) -> Result<String, Error> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+/-_.".contains(&b);
    if length.contains(&value.len()) && value.bytes().all(plain) {
        Ok(value.to_owned())
    } else {
        refused(format!("a malformed {name}"))
    }
}

fn number<N: std::str::FromStr>(value: &str) -> Result<N, Error> {
    value
        .parse()
        .or_else(|_| refused("a number that is none, or too large"))
}

fn setup(value: &str) -> Result<Setup, Error> {
    match value {
        "active" => Ok(Setup::Active),
        "actpass" => Ok(Setup::ActPass),
        "passive" => Ok(Setup::Passive),
        _ => refused("an unknown DTLS role"),
    }
}

fn is_mdns(host: &str) -> bool {
    host.ends_with(".local")
}

fn is_sendable(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// What Chromium offers, shortened.
    const CHROMIUM: &str = "v=0\r\no=- 5421 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n\
        a=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n\
        m=application 49877 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.0.2.2\r\n\
        a=candidate:1407321843 1 udp 2113937151 192.0.2.2 49877 typ host generation 0 \
        network-cost 999\r\n\
        a=candidate:2558838547 1 udp 2113942271 fd00::2 35289 typ host generation 0\r\n\
        a=candidate:3 1 tcp 1518280447 192.0.2.2 9 typ host tcptype active\r\n\
        a=candidate:4 1 udp 2113937151 4a5c-11.local 50000 typ host\r\n\
        a=ice-ufrag:E+2x\r\na=ice-pwd:q1w2e3r4t5y6u7i8o9p0asdf\r\na=ice-options:trickle\r\n\
        a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
        00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
        a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

    fn refusal(sdp: &str) -> String {
        match Description::parse(sdp, LOOPBACK) {
            Err(Error::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_browsers_offer_is_read_and_written_anew() {
        let read = Description::parse(CHROMIUM, LOOPBACK).expect("it is fine");
        assert_eq!((read.ufrag.as_str(), read.mid.as_str()), ("E+2x", "0"));
        assert_eq!(read.setup, Setup::ActPass);
        assert_eq!(read.max_message_size, 262_144);
        // IPv6, TCP and mDNS are of no use to a socket on IPv4.
        let usable: Vec<_> = read.candidates.iter().map(|c| c.address).collect();
        assert_eq!(usable, [SocketAddr::from(([192, 0, 2, 2], 49877))]);
        assert_eq!(Description::parse(&read.to_sdp(), LOOPBACK), Ok(read));
    }

    #[test]
    fn each_refusal_says_why() {
        let changed = |from: &str, to: &str| refusal(&CHROMIUM.replacen(from, to, 1));
        assert_eq!(refusal(&"a=x\r\n".repeat(4000)), "longer than 16 KiB");
        assert_eq!(refusal(""), "no media section");
        assert_eq!(refusal("hello"), "a line without '='");
        assert_eq!(changed("a=ice-ufrag:E+2x\r\n", ""), "no ice-ufrag");
        assert_eq!(changed("E+2x", "E\u{e9}2x"), "a malformed ice-ufrag");
        assert_eq!(
            changed("q1w2e3r4t5y6u7i8o9p0asdf", "x"),
            "a malformed ice-pwd"
        );
        assert_eq!(changed("a=mid:0", "a=mid:0 1"), "a malformed mid");
        assert_eq!(changed("actpass", "holdconn"), "an unknown DTLS role");
        assert_eq!(
            changed("00:11", "0x:11"),
            "a malformed certificate fingerprint"
        );
        assert_eq!(
            changed("sha-256", "md5"),
            "a certificate fingerprint that is not SHA-256"
        );
        assert_eq!(
            changed("m=application", "m=video"),
            "not an application media section"
        );
        assert_eq!(
            changed("UDP/DTLS/SCTP", "RTP/SAVPF"),
            "not a WebRTC data channel section"
        );
        assert_eq!(
            changed(
                "a=setup",
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=setup"
            ),
            "more than one media section"
        );
        assert_eq!(
            changed("a=setup", "a=ice-ufrag:other\r\na=setup"),
            "two values of ice-ufrag"
        );
        assert_eq!(
            changed("192.0.2.2 49877 typ", "evil.example 49877 typ"),
            "a candidate at a name instead of an address"
        );
        assert_eq!(changed("2113937151", "-1"), "a malformed candidate");
        assert_eq!(
            changed("typ host", "typ warp"),
            "a candidate of unknown type"
        );
        assert_eq!(
            changed("262144", "99999999999"),
            "a number that is none, or too large"
        );
        let many = "a=candidate:1 1 udp 1 192.0.2.2 5 typ host\r\n".repeat(33);
        assert_eq!(refusal(&many), "more than 32 candidates");
    }

    #[test]
    fn nothing_is_sent_to_everybody_or_nobody() {
        for address in ["0.0.0.0", "255.255.255.255", "224.0.0.251"] {
            let sdp = CHROMIUM.replacen("192.0.2.2 49877 typ", &format!("{address} 5 typ"), 1);
            let read = Description::parse(&sdp, LOOPBACK).expect("it is fine");
            assert_eq!(read.candidates, []);
        }
    }
}
