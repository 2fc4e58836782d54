//! Two associations and a path of ours between them; time is ours, too.

use std::collections::VecDeque;

use headwater_core::rng::Rng;

use super::wire::{FLAG_BEGIN, FLAG_END, write_data};
use super::*;

const MTU: usize = 1191;
const BINARY: u32 = 53;
const MESSAGE: usize = super::super::MAX_MESSAGE;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn associations(now: Instant) -> [Association; 2] {
    // The second one's TSNs and request numbers wrap around at once.
    [[1, 2], [3, u32::MAX - 1]].map(|luck| Association::connect(now, (5000, 5000), MTU, luck))
}

/// A path of so many bytes a second, so long there and back, with a queue before it of one
/// product of the two.
struct Path {
    now: Instant,
    rate: f64,
    delay: Duration,
    ends: [Association; 2],
    /// When the slow part is free again, each way, and what arrives when.
    free_at: [Instant; 2],
    arriving: [VecDeque<(Instant, Bytes)>; 2],
    received: [Vec<Message>; 2],
    events: [Vec<Event>; 2],
    dropped: usize,
}

impl Path {
    fn new(rate: f64, delay: Duration) -> Self {
        let now = Instant::now();
        Self {
            now,
            rate,
            delay,
            ends: associations(now),
            free_at: [now; 2],
            arriving: Default::default(),
            received: Default::default(),
            events: Default::default(),
            dropped: 0,
        }
    }

    /// One both of whose ends are connected, and of no length.
    fn connected() -> Self {
        let mut path = Self::new(1e9, Duration::ZERO);
        path.run(|_| false, |path| path.is_connected());
        path
    }

    fn is_connected(&self) -> bool {
        self.events
            .iter()
            .all(|events| events.contains(&Event::Connected))
    }

    /// Goes on until `done`, without the packets that are `lost`; how long it took.
    fn run(
        &mut self,
        mut lost: impl FnMut(&[u8]) -> bool,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.now < start + ms(120_000), "it happens at all");
            for side in 0..2 {
                self.deliver(side);
                self.take_events(side);
            }
            for side in 0..2 {
                self.dispatch(side, &mut lost);
            }
            let timers = self.ends.iter().filter_map(Association::poll_timeout);
            let arrivals = self
                .arriving
                .iter()
                .filter_map(|queue| Some(queue.front()?.0));
            let next = timers.chain(arrivals).min();
            self.now = next
                .unwrap_or(self.now)
                .max(self.now + Duration::from_micros(10));
            self.ends
                .iter_mut()
                .for_each(|end| end.handle_timeout(self.now));
        }
        self.now - start
    }

    fn deliver(&mut self, side: usize) {
        while let Some((at, packet)) = self.arriving[side].pop_front() {
            if at > self.now {
                self.arriving[side].push_front((at, packet));
                return;
            }
            self.ends[side].handle_packet(self.now, &packet);
            if let Some(word) = self.ends[side].poll_urgent() {
                let word = Bytes::copy_from_slice(word);
                self.put(1 - side, word);
            }
        }
    }

    fn take_events(&mut self, side: usize) {
        while let Some(event) = self.ends[side].poll_event() {
            match event {
                Event::Received(message) => self.received[side].push(message),
                other => self.events[side].push(other),
            }
        }
    }

    fn dispatch(&mut self, side: usize, lost: &mut impl FnMut(&[u8]) -> bool) {
        while let Some(packet) = self.ends[side].poll_packet(self.now) {
            assert!(packet.len() <= MTU, "{} bytes", packet.len());
            if !lost(packet) {
                let packet = Bytes::copy_from_slice(packet);
                self.put(1 - side, packet);
            }
        }
    }

    /// Puts a packet on the way to one side.
    fn put(&mut self, to: usize, packet: Bytes) {
        let begins = self.free_at[to].max(self.now);
        if begins - self.now > self.delay.max(ms(10)) {
            self.dropped += 1;
            return;
        }
        self.free_at[to] = begins + Duration::from_secs_f64(packet.len() as f64 / self.rate);
        self.arriving[to].push_back((self.free_at[to] + self.delay / 2, packet));
    }

    fn received_bytes(&self) -> usize {
        self.received[1].iter().map(|m| m.payload.len()).sum()
    }
}

fn message(n: usize, length: usize) -> Bytes {
    (0..length).map(|at| (at ^ (at >> 8) ^ n) as u8).collect()
}

fn has_data(packet: &[u8]) -> bool {
    packet.len() > 500
}

#[test]
fn whatever_is_lost_on_the_way_all_arrives_in_order() {
    for seed in 0..20 {
        let mut rng = Rng::seeded(seed);
        let mut path = Path::new(5e6, ms(20));
        let sent: Vec<Bytes> = (0..40)
            .map(|n| message(n, 1 + rng.below(MESSAGE as u32) as usize))
            .collect();
        for (n, message) in sent.iter().enumerate() {
            path.ends[0].send(n as u16 % 3, BINARY, message.clone());
            path.ends[1].send(7, BINARY, message.clone());
        }
        let one_in = 2 + seed as u32;
        path.run(
            |_| rng.below(one_in) == 0,
            |path| path.received.iter().all(|received| received.len() == 40),
        );
        for received in &path.received {
            assert!(received.iter().map(|m| &m.payload).eq(sent.iter()));
        }
        path.run(
            |_| false,
            |path| path.ends.iter().all(|end| end.unacknowledged() == 0),
        );
    }
}

#[test]
fn forty_packets_lost_at_once_are_all_sent_again_within_a_round_trip_or_two() {
    let mut path = Path::new(25e6, ms(100));
    path.run(|_| false, |path| path.is_connected());
    let count = 64;
    for n in 0..count {
        path.ends[0].send(0, BINARY, message(n, MESSAGE));
    }
    path.run(|_| false, |path| path.received[1].len() == count);
    let without = {
        for n in 0..count {
            path.ends[0].send(0, BINARY, message(n, MESSAGE));
        }
        path.run(|_| false, |path| path.received[1].len() == 2 * count)
    };
    for n in 0..count {
        path.ends[0].send(0, BINARY, message(n, MESSAGE));
    }
    let mut seen = 0;
    let with = path.run(
        |packet| {
            seen += usize::from(has_data(packet));
            has_data(packet) && (200..240).contains(&seen)
        },
        |path| path.received[1].len() == 3 * count,
    );
    assert!(with < without + ms(250), "{with:?} instead of {without:?}");
}

#[test]
fn a_long_fast_path_is_filled_though_one_packet_in_a_thousand_is_lost() {
    let mut path = Path::new(25e6, ms(100));
    let mut rng = Rng::seeded(1);
    let mut n = 0;
    // As the endpoint does, give it no more than some two products at a time.
    path.run(
        |_| rng.below(1000) == 0,
        |path| {
            while path.ends[0].unacknowledged() < 4_000_000 {
                path.ends[0].send(0, BINARY, message(n, MESSAGE));
                n += 1;
            }
            path.received_bytes() > 64 << 20
        },
    );
    path.received[1].clear();
    let took = path.run(
        |_| rng.below(1000) == 0,
        |path| {
            while path.ends[0].unacknowledged() < 4_000_000 {
                path.ends[0].send(0, BINARY, message(n, MESSAGE));
                n += 1;
            }
            path.received_bytes() > 128 << 20
        },
    );
    let rate = (128 << 20) as f64 / took.as_secs_f64();
    assert!(rate > 0.9 * 25e6, "{rate}, {} dropped", path.dropped);
}

#[test]
fn a_remotes_cookie_is_no_answer_to_ours() {
    let mut path = Path::new(25e6, ms(100));
    path.run(|_| false, |path| path.is_connected());
    path.ends[0].send(0, BINARY, message(0, 100));
    path.run(|_| false, |path| path.ends[0].unacknowledged() == 0);
    assert!(path.ends[0].outgoing.round_trip.least >= ms(100));
}

#[test]
fn the_first_piece_takes_four_round_trips() {
    let mut path = Path::new(25e6, ms(100));
    path.run(|_| false, |path| path.is_connected());
    for n in 0..4 {
        path.ends[0].send(0, BINARY, message(n, MESSAGE));
    }
    let took = path.run(|_| false, |path| path.received[1].len() == 4);
    assert!(took < ms(420), "{took:?}");
}

#[test]
fn the_last_packet_is_sent_again_soon_after_it_should_have_been_answered() {
    let mut path = Path::connected();
    path.ends[0].send(0, BINARY, message(0, MESSAGE));
    path.run(|_| false, |path| path.received[1].len() == 1);
    path.ends[0].send(0, BINARY, message(1, 1000));
    let mut is_first = true;
    let took = path.run(
        |packet| has_data(packet) && std::mem::take(&mut is_first),
        |path| path.received[1].len() == 2,
    );
    assert!(took < ms(50), "{took:?}");
}

#[test]
fn a_remote_that_is_silent_for_long_gets_everything_when_it_is_back() {
    let mut path = Path::connected();
    for n in 0..4 {
        path.ends[0].send(0, BINARY, message(n, MESSAGE));
    }
    let silent_until = path.now + ms(12_000);
    path.run(|_| true, |path| path.now >= silent_until);
    let took = path.run(|_| false, |path| path.received[1].len() == 4);
    assert!(took < ms(2500), "{took:?}");
    assert!(path.events[0].contains(&Event::TimedOut));
}

#[test]
fn a_stream_that_is_ended_is_known_to_be_over_once_all_of_it_has_arrived() {
    let mut path = Path::connected();
    path.ends[1].send(5, BINARY, message(0, MESSAGE));
    path.ends[1].reset_stream(5);
    path.ends[1].reset_stream(9);
    let mut rng = Rng::seeded(3);
    path.run(
        |_| rng.below(3) == 0,
        |path| path.events[0].contains(&Event::Reset(vec![5, 9])),
    );
    assert_eq!(path.received[0].len(), 1);
    path.ends[1].reset_stream(5);
    path.run(
        |_| false,
        |path| path.events[0].contains(&Event::Reset(vec![5])),
    );
}

#[test]
fn a_message_longer_than_allowed_ends_the_association() {
    let mut path = Path::connected();
    path.ends[0].send(0, BINARY, message(0, MESSAGE + 1));
    let too_long = Event::Closed("sent a longer message than it may");
    path.run(|_| false, |path| path.events[1].contains(&too_long));
    assert!(path.received[1].is_empty());
}

/// A packet to the second end of [`Path::connected`], with one chunk of data.
fn chunk(tsn: u32, flags: u8, payload: Bytes) -> Bytes {
    let mut packet = Vec::new();
    write_header(&mut packet, 5000, 5000, 3);
    let data = Data {
        flags,
        tsn,
        stream: 0,
        ssn: 0,
        ppid: BINARY,
        payload,
    };
    write_data(&mut packet, &data);
    packet.into()
}

#[test]
fn what_has_a_gap_before_it_is_kept_up_to_the_receive_window_and_no_further() {
    let mut path = Path::connected();
    let end = &mut path.ends[1];
    // TSN 2 is never sent.
    for tsn in 3..30_000 {
        let whole = FLAG_BEGIN | FLAG_END;
        end.handle_packet(path.now, &chunk(tsn, whole, message(0, 1000)));
    }
    assert!(end.incoming.buffered() <= RECEIVE_WINDOW);
    assert!(end.incoming.buffered() > RECEIVE_WINDOW - 2000);
    // Nor is one far ahead, for a SACK could not tell of it.
    let before = end.incoming.buffered();
    end.handle_packet(path.now, &chunk(100_000, 3, message(0, 10)));
    assert_eq!(end.incoming.buffered(), before);
    end.handle_packet(path.now, &chunk(2, 3, message(0, 10)));
    assert_eq!(end.incoming.buffered(), 0);
}

#[test]
fn an_end_that_begins_nothing_and_a_piece_of_another_stream_are_dropped() {
    let mut path = Path::connected();
    path.ends[1].handle_packet(path.now, &chunk(2, FLAG_END, message(0, 10)));
    path.ends[1].handle_packet(path.now, &chunk(3, FLAG_BEGIN, message(0, 10)));
    path.ends[1].handle_packet(path.now, &chunk(4, FLAG_BEGIN | FLAG_END, message(1, 10)));
    path.take_events(1);
    let payloads: Vec<_> = path.received[1].iter().map(|m| m.payload.clone()).collect();
    assert_eq!(payloads, [message(1, 10)]);
}

#[test]
fn no_packet_however_it_is_made_up_does_more_than_end_the_association() {
    let mut rng = Rng::seeded(5);
    for _ in 0..300 {
        let mut path = Path::connected();
        for n in 0..8 {
            path.ends[1].send(0, BINARY, message(n, 5000));
        }
        let mut packets = Vec::new();
        while let Some(packet) = path.ends[1].poll_packet(path.now) {
            packets.push(packet.to_vec());
        }
        for _ in 0..200 {
            let mut packet = vec![0; 12 + rng.below(80) as usize * 4];
            rng.fill(&mut packet);
            write_header_over(&mut packet, 3);
            // Chunks of kinds that mean something, with lengths that may be right.
            let mut at = 12;
            while at + 4 <= packet.len() {
                let length = 4 + rng.below(60) as usize;
                packet[at] = [0, 1, 2, 3, 4, 7, 10, 11, 130][rng.below(9) as usize];
                packet[at + 2..at + 4].copy_from_slice(&(length as u16).to_be_bytes());
                // Numbers near those in use.
                if at + 8 <= packet.len() && rng.below(2) == 0 {
                    let near = u32::MAX.wrapping_add(rng.below(40));
                    packet[at + 4..at + 8].copy_from_slice(&near.to_be_bytes());
                }
                at += length.next_multiple_of(4);
            }
            path.ends[1].handle_packet(path.now, &packet.into());
            while let Some(packet) = path.ends[1].poll_packet(path.now) {
                assert!(packet.len() <= MTU);
            }
            path.now += ms(rng.below(100).into());
            path.ends[1].handle_timeout(path.now);
            assert!(path.ends[1].incoming.buffered() <= RECEIVE_WINDOW);
        }
    }
}

fn write_header_over(packet: &mut [u8], tag: u32) {
    let mut header = Vec::new();
    write_header(&mut header, 5000, 5000, tag);
    packet[..header.len()].copy_from_slice(&header);
}

#[test]
fn a_checksum_is_right_or_left_out() {
    let mut packet = chunk(2, FLAG_BEGIN | FLAG_END, message(0, 100)).to_vec();
    assert_eq!(tag(&packet, 5000, 5000), Some(3));
    write_checksum(&mut packet);
    assert_eq!(tag(&packet, 5000, 5000), Some(3));
    packet[20] ^= 1;
    assert_eq!(tag(&packet, 5000, 5000), None);
    assert_eq!(tag(&packet, 5000, 5001), None);
    assert_eq!(tag(&packet[..11], 5000, 5000), None);
}
