//! What a datagram is, as far as it says so to anybody: STUN and DTLS before there are keys.

pub(super) const BINDING_REQUEST: u16 = 0x0001;
pub(super) const BINDING_SUCCESS: u16 = 0x0101;
pub(super) const BINDING_ERROR: u16 = 0x0111;
const MAGIC_COOKIE: [u8; 4] = 0x2112_a442_u32.to_be_bytes();
const ATTRIBUTE_USERNAME: u16 = 0x0006;
const ATTRIBUTE_USE_CANDIDATE: u16 = 0x0025;
const STUN_HEADER: usize = 20;

/// A DTLS record with an alert, its epoch (0 before there are keys) and the alert's level.
const ALERT: u8 = 21;
const ALERT_RECORD: usize = 15;
const FATAL: u8 = 2;

/// The STUN message type, if this is STUN (RFC 8489 §5, RFC 7983 for the first byte).
pub(super) fn stun_type(datagram: &[u8]) -> Option<u16> {
    let header = datagram.get(..STUN_HEADER)?;
    (header[0] < 4 && header[4..8] == MAGIC_COOKIE)
        .then(|| u16::from_be_bytes([header[0], header[1]]))
}

/// The receiver's half of a check's USERNAME, "receiver:sender" (RFC 8445 §7.2.2).
pub(super) fn local_user_name(datagram: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(attribute(datagram, ATTRIBUTE_USERNAME)?).ok()?;
    name.split_once(':').map(|(local, _)| local)
}

/// Whether a check nominates its pair (RFC 8445 §7.1.2).
pub(super) fn is_nominating(check: &[u8]) -> bool {
    attribute(check, ATTRIBUTE_USE_CANDIDATE).is_some()
}

/// The value of a STUN message's first attribute of this kind.
fn attribute(datagram: &[u8], kind: u16) -> Option<&[u8]> {
    let mut rest = datagram.get(STUN_HEADER..)?;
    while let [t0, t1, l0, l1, body @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes([*t0, *t1]) == kind {
            return body.get(..length);
        }
        rest = body.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// Whether the remote breaks a DTLS handshake off (RFC 5246 §7.2). Nobody vouches for it: who can
/// forge an address can say so, too.
pub(super) fn is_refusal(datagram: &[u8]) -> bool {
    datagram.len() == ALERT_RECORD
        && datagram[0] == ALERT
        && datagram[3..5] == [0, 0]
        && datagram[13] == FATAL
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn stun(kind: u16, user_name: &str) -> Vec<u8> {
        let mut datagram = kind.to_be_bytes().to_vec();
        datagram.extend([0, 0]);
        datagram.extend(MAGIC_COOKIE);
        datagram.extend([7; 12]);
        // An attribute before it, of odd length.
        datagram.extend([0x80, 0x22, 0, 3, b'a', b'b', b'c', 0]);
        datagram.extend(ATTRIBUTE_USERNAME.to_be_bytes());
        datagram.extend((user_name.len() as u16).to_be_bytes());
        datagram.extend(user_name.as_bytes());
        datagram
    }

    #[test]
    fn a_check_nominates_only_with_the_attribute_that_says_so() {
        let mut check = stun(BINDING_REQUEST, "one:x");
        assert!(!is_nominating(&check));
        check.resize(check.len().next_multiple_of(4), 0);
        check.extend(ATTRIBUTE_USE_CANDIDATE.to_be_bytes());
        check.extend([0, 0]);
        assert!(is_nominating(&check));
        assert!(!is_nominating(&check[..check.len() - 1]));
    }

    #[test]
    fn a_fatal_alert_before_there_are_keys_refuses_and_no_other_record_does() {
        let unknown_ca = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 5, 0, 2, 2, 48];
        assert!(is_refusal(&unknown_ca));
        for (at, byte) in [(0, 22), (4, 1), (13, 1)] {
            let mut other = unknown_ca;
            other[at] = byte;
            assert!(!is_refusal(&other));
        }
        assert!(!is_refusal(&unknown_ca[..14]));
        assert!(!is_refusal(&[]));
    }
}
