//! WebSocket frames (RFC 6455), the server's side of them: masked ones in, plain ones out.
//!
//! No socket and no message: who joins fragments and answers pings is [`super::socket`]. Reads in
//! place, so that an idle socket needs no buffer of its own.

use std::ops::Range;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Binary,
    Close,
    Continuation,
    Ping,
    Pong,
    Text,
}

/// One frame of a client's, its payload unmasked in place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Whether its message ends with it.
    pub(super) is_last: bool,
    /// Where in what was read it is.
    pub(super) payload: Range<usize>,
}

/// Why a client is hung up on, as a close code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    NotText = 1007,
    Protocol = 1002,
    TooLong = 1009,
}

/// The longest head of a frame we send.
const MAX_HEAD: usize = 10;

/// Read the frame `bytes` begins with; `None` until it is whole.
pub(super) fn read(bytes: &mut [u8], most: usize) -> Result<Option<Frame>, Fault> {
    let [first, second, ..] = *bytes else {
        return Ok(None);
    };
    let (is_last, reserved, is_masked) = (first & 0x80 != 0, first & 0x70, second & 0x80 != 0);
    // RFC 6455, 5.1: "The server MUST close the connection upon receiving a frame that is not masked."
    if reserved != 0 || !is_masked {
        return Err(Fault::Protocol);
    }
    let kind = match first & 0x0f {
        0 => Kind::Continuation,
        1 => Kind::Text,
        2 => Kind::Binary,
        8 => Kind::Close,
        9 => Kind::Ping,
        10 => Kind::Pong,
        _ => return Err(Fault::Protocol),
    };
    let short = second & 0x7f;
    let is_control = first & 0x08 != 0;
    if is_control && (!is_last || short > 125) {
        return Err(Fault::Protocol);
    }
    let (length, at) = match (short, &bytes[2..]) {
        (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
        (127, [a, b, c, d, e, f, g, h, ..]) => {
            let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
            (usize::try_from(length).unwrap_or(usize::MAX), 10)
        }
        (126 | 127, _) => return Ok(None),
        (short, _) => (usize::from(short), 2),
    };
    if length > most {
        return Err(Fault::TooLong);
    }
    let payload = at + 4..at + 4 + length;
    if bytes.len() < payload.end {
        return Ok(None);
    }
    let mask = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    unmask(&mut bytes[payload.clone()], mask);
    Ok(Some(Frame {
        kind,
        is_last,
        payload,
    }))
}

/// How much of the frame `bytes` begins with there will be, as far as that can be told.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    let short = usize::from(bytes.get(1)? & 0x7f);
    Some(match short {
        126 => usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])) + 8,
        127 => return None,
        short => short + 6,
    })
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    if mask == [0; 4] {
        return;
    }
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let mut words = payload.chunks_exact_mut(8);
    for word in &mut words {
        let mut eight = [0; 8];
        eight.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_ne_bytes(eight) ^ wide).to_ne_bytes());
    }
    for (byte, mask) in words.into_remainder().iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Append a whole message of one frame to `out`.
pub(super) fn write(out: &mut Vec<u8>, kind: Kind, payload: &[u8]) {
    let code = match kind {
        Kind::Continuation => 0,
        Kind::Text => 1,
        Kind::Binary => 2,
        Kind::Close => 8,
        Kind::Ping => 9,
        Kind::Pong => 10,
    };
    out.reserve(MAX_HEAD + payload.len());
    out.push(0x80 | code);
    match payload.len() {
        short @ 0..=125 => out.push(short as u8),
        length @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a client writes it.
    fn masked(kind: Kind, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
        let mut frame = Vec::new();
        write(&mut frame, kind, payload);
        let at = frame.len() - payload.len();
        frame[1] |= 0x80;
        let mut masked = frame[..at].to_vec();
        masked.extend_from_slice(&mask);
        let bytes = payload.iter().zip(mask.iter().cycle());
        masked.extend(bytes.map(|(byte, mask)| byte ^ mask));
        masked
    }

    #[test]
    fn a_frame_reads_back_as_it_was_written_and_not_before_it_is_whole() {
        for length in [0, 1, 7, 125, 126, 1000, 0xffff, 0x1_0000] {
            let payload: Vec<u8> = (0..length).map(|n: usize| n as u8).collect();
            let whole = masked(Kind::Text, &payload, [1, 2, 0xf3, 4]);
            for cut in (0..whole.len()).step_by(1 + length / 50) {
                assert_eq!(read(&mut whole[..cut].to_vec(), 1 << 20), Ok(None));
            }
            let mut bytes = whole.clone();
            let frame = read(&mut bytes, 1 << 20).unwrap().unwrap();
            assert_eq!((frame.kind, frame.is_last), (Kind::Text, true));
            assert_eq!(frame.payload.end, whole.len());
            assert_eq!(bytes[frame.payload], payload);
        }
    }

    #[test]
    fn what_no_client_may_send_is_a_fault() {
        let whole = masked(Kind::Text, b"hello", [9; 4]);
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            read(&mut bytes, 100)
        };
        assert_eq!(with(1, 5), Err(Fault::Protocol), "not masked");
        assert_eq!(with(0, 0xc1), Err(Fault::Protocol), "a reserved bit");
        assert_eq!(with(0, 0x83), Err(Fault::Protocol), "a kind nobody knows");
        assert_eq!(with(0, 0x09), Err(Fault::Protocol), "a ping in parts");
        assert_eq!(with(1, 0x80 | 101), Err(Fault::TooLong));
        let mut huge = vec![0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(
            read(&mut huge, 100),
            Err(Fault::TooLong),
            "nothing is allocated"
        );
    }

    #[test]
    fn tungstenite_writes_what_we_read_and_reads_what_we_write() {
        use tokio_tungstenite::tungstenite::Message;
        use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
        let text = "x".repeat(70_000);
        let mut client =
            WebSocket::from_raw_socket(std::io::Cursor::new(Vec::new()), Role::Client, None);
        client.send(Message::text(text.as_str())).unwrap();
        let mut sent = client.get_ref().get_ref().clone();
        let frame = read(&mut sent, 1 << 20).unwrap().unwrap();
        assert_eq!(sent[frame.payload], *text.as_bytes());
        let mut out = Vec::new();
        write(&mut out, Kind::Text, text.as_bytes());
        let mut client = WebSocket::from_raw_socket(std::io::Cursor::new(out), Role::Client, None);
        assert_eq!(client.read().unwrap().into_text().unwrap().as_str(), text);
    }
}
