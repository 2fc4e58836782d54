//! What a stranger's session description must look like before a WebRTC stack may read it.
//!
//! Not a parser of SDP: it counts and looks at addresses. An SDP that passes may still be nonsense,
//! but it is short nonsense about one data channel.

use alloc::string::String;
use core::fmt;
use core::net::IpAddr;
use serde::Serialize;

pub use crate::wire::introduction::MAX_SDP;

/// Most addresses to try in one.
pub const MAX_CANDIDATES: usize = 16;

/// Longest `.local` name (Chrome's are 36 hex digits and dashes).
const MAX_NAME: usize = 64;

/// What a session description offers.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Addresses to try.
    pub candidates: usize,
    /// How many of them are `.local` names, which browsers write in place of an address.
    pub local_names: usize,
}

/// Why a session description is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Refusal {
    /// A candidate whose address is a name that would have to be looked up.
    AddressNotLiteral,
    /// A candidate that is no candidate.
    MalformedCandidate,
    /// It does not begin with `v=0`.
    NotSdp,
    /// Not exactly one media section, and that one `m=application`.
    NotOneApplication,
    /// Over [`MAX_SDP`] bytes.
    TooLong,
    /// Over [`MAX_CANDIDATES`] candidates.
    TooManyCandidates,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressNotLiteral => "SDP with a candidate that is no address",
            Self::MalformedCandidate => "SDP with a malformed candidate",
            Self::NotSdp => "not an SDP",
            Self::NotOneApplication => "SDP without exactly one media section, a data channel's",
            Self::TooLong => "SDP over 16 KiB",
            Self::TooManyCandidates => "SDP with more than 16 candidates",
        })
    }
}

impl core::error::Error for Refusal {}

/// Look `sdp` over.
///
/// # Errors
/// The first [`Refusal`] there is reason for.
pub fn check(sdp: &str) -> Result<Summary, Refusal> {
    if sdp.len() > MAX_SDP {
        return Err(Refusal::TooLong);
    }
    if sdp.lines().next() != Some("v=0") {
        return Err(Refusal::NotSdp);
    }
    let (mut summary, mut media) = (Summary::default(), 0);
    for line in sdp.lines() {
        if let Some(section) = line.strip_prefix("m=") {
            media += 1;
            if media > 1 || !section.starts_with("application ") {
                return Err(Refusal::NotOneApplication);
            }
        } else if let Some(candidate) = candidate_in(line) {
            summary.candidates += 1;
            summary.local_names += usize::from(is_local_name(address_of(candidate)?)?);
        } else if let Some(connection) = line.strip_prefix("c=") {
            literal(
                connection
                    .split(' ')
                    .nth(2)
                    .ok_or(Refusal::MalformedCandidate)?,
            )?;
        }
    }
    match summary.candidates {
        _ if media != 1 => Err(Refusal::NotOneApplication),
        0..=MAX_CANDIDATES => Ok(summary),
        _ => Err(Refusal::TooManyCandidates),
    }
}

/// `sdp` without the candidates that leave this machine.
pub fn keep_loopback_only(sdp: &str) -> String {
    let is_kept = |line: &&str| {
        let candidate = candidate_in(line.trim_end());
        let address = candidate.map(|candidate| address_of(candidate).and_then(literal));
        address.is_none_or(|address| address.is_ok_and(|address| address.is_loopback()))
    };
    sdp.split_inclusive('\n').filter(is_kept).collect()
}

/// `sdp` with its first [`MAX_CANDIDATES`] candidates, which is all that others will read.
pub fn limit_candidates(sdp: &str) -> String {
    let mut candidates = 0;
    let is_kept = |line: &&str| {
        candidates += usize::from(candidate_in(line).is_some());
        candidate_in(line).is_none() || candidates <= MAX_CANDIDATES
    };
    sdp.split_inclusive('\n').filter(is_kept).collect()
}

fn candidate_in(line: &str) -> Option<&str> {
    line.strip_prefix("a=candidate:")
}

/// RFC 8839: foundation, component, transport, priority, address, port, `typ`, …
fn address_of(candidate: &str) -> Result<&str, Refusal> {
    let mut words = candidate.split(' ');
    let address = words.nth(4).ok_or(Refusal::MalformedCandidate)?;
    let port = words.next().and_then(|port| port.parse::<u16>().ok());
    match (port, words.next()) {
        (Some(_), Some("typ")) => Ok(address),
        _ => Err(Refusal::MalformedCandidate),
    }
}

fn is_local_name(address: &str) -> Result<bool, Refusal> {
    if let Some(name) = address.strip_suffix(".local") {
        let is_plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        return if is_plain && (1..=MAX_NAME).contains(&name.len()) {
            Ok(true)
        } else {
            Err(Refusal::AddressNotLiteral)
        };
    }
    literal(address).map(|_| false)
}

/// One machine's address: what is sent to many is no peer.
fn literal(address: &str) -> Result<IpAddr, Refusal> {
    let is_single =
        |address: &IpAddr| !address.is_multicast() && *address != IpAddr::from([255; 4]);
    address
        .parse()
        .ok()
        .filter(is_single)
        .ok_or(Refusal::AddressNotLiteral)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    const CHROME: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
        m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
        a=candidate:1 1 udp 2113937151 8f1d2f0e-5a3c-4a10-9b6e-0a0b0c0d0e0f.local 50000 typ host generation 0\r\n\
        a=candidate:2 1 udp 2113937151 127.0.0.1 50001 typ host generation 0\r\n\
        a=candidate:3 1 tcp 1518280447 ::1 9 typ host tcptype active\r\n\
        a=ice-ufrag:abcd\r\na=mid:0\r\na=sctp-port:5000\r\n";

    #[test]
    fn a_browsers_offer_passes() {
        assert_eq!(
            check(CHROME),
            Ok(Summary {
                candidates: 3,
                local_names: 1
            })
        );
    }

    #[test]
    fn a_name_in_place_of_an_address_is_refused() {
        for name in [
            "example.com",
            "evil.example.local",
            ".local",
            "169.254.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let sdp = CHROME.replace("127.0.0.1 50001", &format!("{name} 50001"));
            assert_eq!(check(&sdp), Err(Refusal::AddressNotLiteral), "{name}");
            let sdp = CHROME.replace("c=IN IP4 0.0.0.0", &format!("c=IN IP4 {name}"));
            assert_eq!(check(&sdp), Err(Refusal::AddressNotLiteral), "{name}");
        }
    }

    #[test]
    fn anything_but_one_data_channel_section_is_refused() {
        let audio = CHROME.replace("m=application", "m=audio");
        let none = CHROME.replace("m=application", "x=application");
        let two = format!("{CHROME}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
        for sdp in [audio, none, two] {
            assert_eq!(check(&sdp), Err(Refusal::NotOneApplication));
        }
        assert_eq!(check(""), Err(Refusal::NotSdp));
    }

    #[test]
    fn size_and_candidates_have_a_limit() {
        let candidate = "a=candidate:2 1 udp 1 10.0.0.1 50001 typ host\r\n";
        let with = |candidates| format!("{CHROME}{}", candidate.repeat(candidates));
        assert_eq!(check(&with(13)).map(|summary| summary.candidates), Ok(16));
        assert_eq!(check(&with(14)), Err(Refusal::TooManyCandidates));
        assert_eq!(
            check(&format!("{CHROME}a=x:{}", "x".repeat(MAX_SDP))),
            Err(Refusal::TooLong)
        );
        for bad in [
            "a=candidate:",
            "a=candidate:1 1 udp 1 10.0.0.1 99999 typ host",
            "a=candidate:1 1 udp 1 10.0.0.1 1",
        ] {
            assert_eq!(
                check(&format!("{CHROME}{bad}\r\n")),
                Err(Refusal::MalformedCandidate)
            );
        }
    }

    #[test]
    fn only_loopback_can_be_kept() {
        let sdp = CHROME.replace("::1", "192.168.0.7");
        assert_eq!(
            check(&keep_loopback_only(&sdp)),
            Ok(Summary {
                candidates: 1,
                local_names: 0
            })
        );
        assert!(keep_loopback_only(&sdp).ends_with("a=sctp-port:5000\r\n"));
    }
}
