//! How a data channel is opened on a stream (RFC 8832). Formats only.

/// The payload protocol identifiers of RFC 8831 §8.
pub(super) const PPID_DCEP: u32 = 50;
pub(super) const PPID_BINARY: u32 = 53;

const ACK: u8 = 2;
const OPEN: u8 = 3;
/// Type, channel type, priority, reliability and two lengths.
const OPEN_HEADER: usize = 12;

/// What a remote says about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dcep {
    Ack,
    Open,
}

impl Dcep {
    /// Reads a message; neither the channel's label nor its protocol means anything to us.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        match *message.first()? {
            ACK => Some(Self::Ack),
            OPEN => {
                let header: &[u8; OPEN_HEADER] = message.first_chunk()?;
                let length =
                    |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
                (message.len() == OPEN_HEADER + length(8) + length(10)).then_some(Self::Open)
            }
            _ => None,
        }
    }
}

/// Opens a reliable, ordered channel with this label.
pub(super) fn open(label: &str) -> Vec<u8> {
    let mut message = vec![OPEN, 0, 0, 0, 0, 0, 0, 0];
    message.extend((label.len() as u16).to_be_bytes());
    message.extend([0, 0]);
    message.extend(label.as_bytes());
    message
}

pub(super) const fn ack() -> [u8; 1] {
    [ACK]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_opened_by_a_message_whose_lengths_are_right() {
        let opening = open("headwater");
        assert_eq!(Dcep::parse(&opening), Some(Dcep::Open));
        assert_eq!(Dcep::parse(&opening[..opening.len() - 1]), None);
        assert_eq!(Dcep::parse(&opening[..5]), None);
        assert_eq!(Dcep::parse(&ack()), Some(Dcep::Ack));
        assert_eq!(Dcep::parse(&[]), None);
        assert_eq!(Dcep::parse(&[9]), None);
    }
}
