//! SCTP packets as bytes (RFC 9260 §3), as far as data channels need them. No state.

use bytes::Bytes;

/// The common header, and that of a chunk or a parameter.
pub(super) const HEADER: usize = 12;
pub(super) const TLV: usize = 4;
/// A DATA chunk before its payload, and a SACK before its gaps.
pub(super) const DATA_HEADER: usize = 16;
pub(super) const SACK_HEADER: usize = 16;
const INIT_LENGTH: usize = 16;

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
pub(super) const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
pub(super) const SHUTDOWN_ACK: u8 = 8;
pub(super) const COOKIE_ECHO: u8 = 10;
pub(super) const COOKIE_ACK: u8 = 11;
pub(super) const RECONFIG: u8 = 130;

const PARAMETER_COOKIE: u16 = 7;
/// RFC 6525 §4.1 and §4.4.
const PARAMETER_OUTGOING_RESET: u16 = 13;
const PARAMETER_RESPONSE: u16 = 16;
const PARAMETER_EXTENSIONS: u16 = 0x8008;
/// RFC 9653 §4: packets need no checksum, since DTLS has a better one.
const PARAMETER_ZERO_CHECKSUM: u16 = 0x8001;
const METHOD_DTLS: u32 = 1;

/// Where a fragment stands in its message, and whether its sender waits to hear of it (RFC 7053).
pub(super) const FLAG_END: u8 = 1;
pub(super) const FLAG_BEGIN: u8 = 2;
pub(super) const FLAG_IMMEDIATE: u8 = 8;

/// Streams either side may use; we keep nothing for one until it is used.
const STREAMS: u16 = u16::MAX;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Abort,
    CookieAck,
    CookieEcho(Bytes),
    Data(Data),
    Heartbeat(Bytes),
    Init(Init),
    InitAck(Init, Bytes),
    Reconfig(Vec<Parameter>),
    Sack(Sack),
    Shutdown,
    /// Nothing that concerns us.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Data {
    pub(super) flags: u8,
    pub(super) tsn: u32,
    pub(super) stream: u16,
    pub(super) ssn: u16,
    pub(super) ppid: u32,
    pub(super) payload: Bytes,
}

/// What one side says of itself in the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Init {
    pub(super) tag: u32,
    pub(super) window: u32,
    pub(super) tsn: u32,
    pub(super) takes_zero_checksum: bool,
    pub(super) resets_streams: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sack {
    pub(super) cumulative: u32,
    pub(super) window: u32,
    /// Pairs of offsets from `cumulative`, as they came.
    gaps: Bytes,
}

/// Of resetting streams (RFC 6525).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    OutgoingReset {
        request: u32,
        response: u32,
        last_tsn: u32,
        streams: Vec<u16>,
    },
    Response {
        request: u32,
        result: u32,
    },
    /// Another request, by its number.
    Other(u32),
}

impl Sack {
    /// First and last offset of what has arrived beyond the cumulative TSN.
    pub(super) fn gaps(&self) -> impl Iterator<Item = (u16, u16)> {
        let pairs = self.gaps.chunks_exact(4);
        pairs.map(|p| {
            (
                u16::from_be_bytes([p[0], p[1]]),
                u16::from_be_bytes([p[2], p[3]]),
            )
        })
    }
}

/// The verification tag of a packet between these ports whose checksum is right, or left out.
pub(super) fn tag(packet: &[u8], from: u16, to: u16) -> Option<u32> {
    let header: &[u8; HEADER] = packet.first_chunk()?;
    let is_ours = header[..2] == from.to_be_bytes() && header[2..4] == to.to_be_bytes();
    let said = u32_at(header, 8)?;
    let is_whole = said == 0 || said == checksum(packet);
    (is_ours && is_whole).then(|| u32_at(header, 4)).flatten()
}

/// The chunks of a packet up to the first that makes no sense.
pub(super) fn chunks(packet: &Bytes) -> impl Iterator<Item = Chunk> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let kind = *packet.get(at)?;
        let length = usize::from(u16_at(packet, at + 2)?);
        if length < TLV || at + length > packet.len() {
            return None;
        }
        let chunk = parse(kind, &packet.slice(at..at + length))?;
        at += length.next_multiple_of(4);
        // RFC 9260 §3.2: of an unknown one the highest bit says whether to go on after it.
        (chunk != Chunk::Unknown || !(16..0x80).contains(&kind)).then_some(chunk)
    })
}

fn parse(kind: u8, chunk: &Bytes) -> Option<Chunk> {
    Some(match kind {
        DATA => {
            let payload = chunk.get(DATA_HEADER..).filter(|p| !p.is_empty())?;
            Chunk::Data(Data {
                flags: chunk[1],
                tsn: u32_at(chunk, 4)?,
                stream: u16_at(chunk, 8)?,
                ssn: u16_at(chunk, 10)?,
                ppid: u32_at(chunk, 12)?,
                payload: chunk.slice_ref(payload),
            })
        }
        INIT => Chunk::Init(parse_init(chunk)?.0),
        INIT_ACK => {
            let (init, cookie) = parse_init(chunk)?;
            Chunk::InitAck(init, cookie?)
        }
        SACK => {
            let count = usize::from(u16_at(chunk, 12)?);
            let gaps = chunk.get(SACK_HEADER..SACK_HEADER + count * 4)?;
            Chunk::Sack(Sack {
                cumulative: u32_at(chunk, 4)?,
                window: u32_at(chunk, 8)?,
                gaps: chunk.slice_ref(gaps),
            })
        }
        HEARTBEAT => Chunk::Heartbeat(chunk.slice(TLV..)),
        ABORT => Chunk::Abort,
        SHUTDOWN => Chunk::Shutdown,
        COOKIE_ECHO => Chunk::CookieEcho(chunk.slice(TLV..)),
        COOKIE_ACK => Chunk::CookieAck,
        RECONFIG => Chunk::Reconfig(parameters(chunk, TLV).filter_map(reconfiguration).collect()),
        _ => Chunk::Unknown,
    })
}

fn parse_init(chunk: &Bytes) -> Option<(Init, Option<Bytes>)> {
    let mut init = Init {
        tag: u32_at(chunk, 4).filter(|tag| *tag != 0)?,
        window: u32_at(chunk, 8)?,
        tsn: u32_at(chunk, 16)?,
        takes_zero_checksum: false,
        resets_streams: false,
    };
    let mut cookie = None;
    for (kind, value) in parameters(chunk, TLV + INIT_LENGTH) {
        match kind {
            PARAMETER_COOKIE => cookie = Some(value),
            PARAMETER_EXTENSIONS => init.resets_streams = value.contains(&RECONFIG),
            PARAMETER_ZERO_CHECKSUM => {
                init.takes_zero_checksum = u32_at(&value, 0) == Some(METHOD_DTLS);
            }
            _ => {}
        }
    }
    Some((init, cookie))
}

/// The parameters of a chunk from there on, up to the first that makes no sense.
fn parameters(chunk: &Bytes, mut at: usize) -> impl Iterator<Item = (u16, Bytes)> {
    std::iter::from_fn(move || {
        let kind = u16_at(chunk, at)?;
        let length = usize::from(u16_at(chunk, at + 2)?);
        if length < TLV || at + length > chunk.len() {
            return None;
        }
        let value = chunk.slice(at + TLV..at + length);
        at += length.next_multiple_of(4);
        Some((kind, value))
    })
}

fn reconfiguration((kind, value): (u16, Bytes)) -> Option<Parameter> {
    let request = u32_at(&value, 0)?;
    Some(match kind {
        PARAMETER_OUTGOING_RESET => {
            let streams = value.get(12..)?.chunks_exact(2);
            Parameter::OutgoingReset {
                request,
                response: u32_at(&value, 4)?,
                last_tsn: u32_at(&value, 8)?,
                streams: streams.map(|s| u16::from_be_bytes([s[0], s[1]])).collect(),
            }
        }
        PARAMETER_RESPONSE => Parameter::Response {
            request,
            result: u32_at(&value, 4)?,
        },
        _ => Parameter::Other(request),
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    bytes.try_into().ok().map(u16::from_be_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_be_bytes)
}

/// RFC 9260 appendix A, with the checksum's own field as zero.
fn checksum(packet: &[u8]) -> u32 {
    let before = crc32c::crc32c(&packet[..8]);
    let zero = crc32c::crc32c_append(before, &[0; 4]);
    crc32c::crc32c_append(zero, &packet[HEADER..]).swap_bytes()
}

/// Begins a packet.
pub(super) fn write_header(packet: &mut Vec<u8>, from: u16, to: u16, tag: u32) {
    packet.clear();
    packet.extend(from.to_be_bytes());
    packet.extend(to.to_be_bytes());
    packet.extend(tag.to_be_bytes());
    packet.extend([0; 4]);
}

/// Ends a packet that needs a checksum.
pub(super) fn write_checksum(packet: &mut [u8]) {
    let checksum = checksum(packet).to_be_bytes();
    packet[8..HEADER].copy_from_slice(&checksum);
}

/// A chunk of a header and whatever follows.
pub(super) fn write_chunk(packet: &mut Vec<u8>, kind: u8, body: &[u8]) {
    packet.extend([kind, 0]);
    packet.extend(((TLV + body.len()) as u16).to_be_bytes());
    packet.extend(body);
    pad(packet);
}

pub(super) fn write_data(packet: &mut Vec<u8>, data: &Data) {
    packet.extend([DATA, data.flags]);
    packet.extend(((DATA_HEADER + data.payload.len()) as u16).to_be_bytes());
    packet.extend(data.tsn.to_be_bytes());
    packet.extend(data.stream.to_be_bytes());
    packet.extend(data.ssn.to_be_bytes());
    packet.extend(data.ppid.to_be_bytes());
    packet.extend_from_slice(&data.payload);
    pad(packet);
}

pub(super) fn write_sack(
    packet: &mut Vec<u8>,
    cumulative: u32,
    window: u32,
    gaps: impl ExactSizeIterator<Item = (u16, u16)>,
) {
    packet.extend([SACK, 0]);
    packet.extend(((SACK_HEADER + gaps.len() * 4) as u16).to_be_bytes());
    packet.extend(cumulative.to_be_bytes());
    packet.extend(window.to_be_bytes());
    packet.extend((gaps.len() as u16).to_be_bytes());
    packet.extend([0; 2]);
    for (first, last) in gaps {
        packet.extend(first.to_be_bytes());
        packet.extend(last.to_be_bytes());
    }
}

/// An INIT, or with a cookie the answer to one.
pub(super) fn write_init(packet: &mut Vec<u8>, init: &Init, cookie: Option<&[u8]>) {
    let mut body = Vec::with_capacity(64);
    body.extend(init.tag.to_be_bytes());
    body.extend(init.window.to_be_bytes());
    body.extend(STREAMS.to_be_bytes());
    body.extend(STREAMS.to_be_bytes());
    body.extend(init.tsn.to_be_bytes());
    if let Some(cookie) = cookie {
        write_parameter(&mut body, PARAMETER_COOKIE, cookie);
    }
    write_parameter(&mut body, PARAMETER_EXTENSIONS, &[RECONFIG]);
    write_parameter(
        &mut body,
        PARAMETER_ZERO_CHECKSUM,
        &METHOD_DTLS.to_be_bytes(),
    );
    let kind = if cookie.is_some() { INIT_ACK } else { INIT };
    write_chunk(packet, kind, &body);
}

pub(super) fn write_reset(
    packet: &mut Vec<u8>,
    (request, response, last_tsn): (u32, u32, u32),
    streams: &[u16],
) {
    let numbers = [request, response, last_tsn];
    let mut value: Vec<u8> = numbers.into_iter().flat_map(u32::to_be_bytes).collect();
    value.extend(streams.iter().copied().flat_map(u16::to_be_bytes));
    let mut body = Vec::new();
    write_parameter(&mut body, PARAMETER_OUTGOING_RESET, &value);
    write_chunk(packet, RECONFIG, &body);
}

/// The body of a RECONFIG chunk that answers a request.
pub(super) fn response(request: u32, result: u32) -> Vec<u8> {
    let mut body = Vec::new();
    let value = [request.to_be_bytes(), result.to_be_bytes()].concat();
    write_parameter(&mut body, PARAMETER_RESPONSE, &value);
    body
}

fn write_parameter(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(kind.to_be_bytes());
    body.extend(((TLV + value.len()) as u16).to_be_bytes());
    body.extend(value);
    pad(body);
}

/// Chunks and parameters begin at multiples of four; so does the first of a packet or body.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}
