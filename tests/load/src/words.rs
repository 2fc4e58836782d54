//! What a peer says to a tracker, written once: only the numbers in it change.
//!
//! Frames as a browser masks them, so that every tracker has to take the mask off.

/// Offers an announce brings.
pub(crate) const OFFERS: usize = 5;

/// About what Chrome writes for one data channel.
pub(crate) const SDP: &str = r"v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\nm=application 50000 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 192.0.2.1\r\na=candidate:1 1 udp 2113937151 8f1d2f0e-5a3c-4a10-9b6e-0a0b0c0d0e0f.local 50000 typ host generation 0 network-cost 999\r\na=candidate:2 1 udp 1677729535 192.0.2.1 50000 typ srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\na=ice-ufrag:aBcD\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=ice-options:trickle\r\na=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\na=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

const MASK: [u8; 4] = [0x9b, 0x21, 0xf4, 0x5e];

/// A name of twenty bytes that is still to be filled in.
const BLANK: &str = "____________________";

/// The three messages there are.
pub(crate) struct Words {
    hello: Template,
    announce: Template,
    answer: Template,
}

impl Words {
    pub(crate) fn new() -> Self {
        let head = format!(r#""action":"announce","info_hash":"{BLANK}","peer_id":"{BLANK}""#);
        let told = r#""uploaded":0,"downloaded":0,"left":100"#;
        let sdp = |kind| format!(r#"{{"type":"{kind}","sdp":"{SDP}"}}"#);
        let offer = format!(r#"{{"offer":{},"offer_id":"{BLANK}"}}"#, sdp("offer"));
        let offers = [offer.as_str(); OFFERS].join(",");
        let answer = format!(
            r#""to_peer_id":"{BLANK}","answer":{},"offer_id":"{BLANK}""#,
            sdp("answer")
        );
        Self {
            hello: Template::new(&format!(
                r#"{{"numwant":0,{told},"event":"started",{head},"offers":[]}}"#
            )),
            announce: Template::new(&format!(
                r#"{{"numwant":{OFFERS},{told},{head},"offers":[{offers}]}}"#
            )),
            answer: Template::new(&format!("{{{head},{answer}}}")),
        }
    }

    /// A peer comes and offers nothing yet.
    pub(crate) fn hello(&mut self, swarm: usize, peer: usize) -> &[u8] {
        self.hello.filled([swarm as u64, peer as u64])
    }

    /// A peer announces itself with its offers of this round.
    pub(crate) fn announce(&mut self, swarm: usize, peer: usize, round: u64) -> &[u8] {
        let offers = (0..OFFERS as u64).map(|n| OfferId::new(peer, round, n).0);
        let whose = [swarm as u64, peer as u64];
        self.announce.filled(whose.into_iter().chain(offers))
    }

    /// A peer answers an offer.
    pub(crate) fn answer(&mut self, swarm: usize, peer: usize, offer: OfferId) -> &[u8] {
        let offerer = offer.offerer() as u64;
        self.answer
            .filled([swarm as u64, peer as u64, offerer, offer.0])
    }
}

/// An offer's name as a number, which says whose it is.
#[derive(Clone, Copy)]
pub(crate) struct OfferId(u64);

const OFFERS_OF_ONE: u64 = 10_000_000_000;
const ROUNDS: u64 = OFFERS_OF_ONE / 10;

impl OfferId {
    const fn new(peer: usize, round: u64, n: u64) -> Self {
        Self(peer as u64 * OFFERS_OF_ONE + round % ROUNDS * 10 + n)
    }

    /// The one that a message is about, if it is about one.
    pub(crate) fn of(message: &[u8]) -> Option<Self> {
        const FIELD: &[u8] = br#""offer_id":"#;
        let after = memchr::memmem::find(message, FIELD)? + FIELD.len();
        let quote = memchr::memchr(b'"', message.get(after..)?)?;
        let digits = message.get(after + quote + 1..)?.get(..BLANK.len())?;
        std::str::from_utf8(digits).ok()?.parse().ok().map(Self)
    }

    pub(crate) const fn offerer(self) -> usize {
        (self.0 / OFFERS_OF_ONE) as usize
    }
}

/// A masked frame with blanks.
struct Template {
    frame: Vec<u8>,
    /// Where the payload begins, and with it the mask.
    begin: usize,
    blanks: Vec<usize>,
}

impl Template {
    fn new(text: &str) -> Self {
        let mut frame = vec![0x81];
        match text.len() {
            short @ 0..=125 => frame.push(0x80 | short as u8),
            length => {
                frame.push(0xfe);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        frame.extend_from_slice(&MASK);
        let begin = frame.len();
        let masked = text.bytes().zip(MASK.into_iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        Self {
            frame,
            begin,
            blanks: text.match_indices(BLANK).map(|(at, _)| at).collect(),
        }
    }

    /// The frame with these numbers in its blanks, in order.
    fn filled(&mut self, numbers: impl IntoIterator<Item = u64>) -> &[u8] {
        for (blank, mut number) in self.blanks.iter().zip(numbers) {
            for at in (*blank..*blank + BLANK.len()).rev() {
                self.frame[self.begin + at] = (b'0' + (number % 10) as u8) ^ MASK[at % 4];
                number /= 10;
            }
        }
        &self.frame
    }
}
