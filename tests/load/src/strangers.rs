//! Clients that mean it badly, and what they may cost the tracker as a process: memory and time.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::hold;
use crate::process::Running;
use crate::words::SDP;

/// Swarms one connection may be in, and messages of it that may be refused.
const SWARMS: usize = 256;
const REFUSED: usize = 64;

/// Connections that fill the tracker to its 65,536 swarms, and those that come after them.
const FILLING: usize = 256;
const LATE: usize = 1310;

const MIB: f64 = 1024.0 * 1024.0;
const MEMORY: f64 = 64.0 * MIB;

/// What a second wave may take beyond the first: the allocator keeps what was given back to it.
const MEMORY_OF_THE_NEXT: f64 = 8.0 * MIB;
const PATIENCE: Duration = Duration::from_secs(30);

/// How long one client offers as fast as it can, and what that may cost and do.
const FLOOD: Duration = Duration::from_secs(4);
const SHARE_OF_A_CORE: f64 = 0.05;
const OFFERS_REACHING_ONE: usize = 20;

/// A stranger on a WebSocket.
struct Stranger(TcpStream);

impl Stranger {
    fn connect(address: SocketAddr) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET /announce HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )?;
        let mut head = [0; 1];
        stream.read_exact(&mut head)?;
        Ok(Self(stream))
    }

    /// Until so many messages have come, or it is hung up on.
    fn hear(&mut self, mut messages: usize) {
        let mut buffer = [0; 1 << 14];
        while messages > 0
            && let Ok(length @ 1..) = self.0.read(&mut buffer)
        {
            let starts = buffer[..length]
                .windows(10)
                .filter(|part| part == br#""action":""#);
            messages = messages.saturating_sub(starts.count());
        }
    }
}

fn frame(out: &mut Vec<u8>, text: &str) {
    out.extend([0x81, 0xfe]);
    out.extend((text.len() as u16).to_be_bytes());
    // A mask of zeros is a mask.
    out.extend([0; 4]);
    out.extend(text.as_bytes());
}

fn announce(swarm: u64, peer: usize, offers: usize, round: usize) -> String {
    let offers: Vec<String> = (0..offers)
        .map(|n| {
            let sdp = format!(r#"{{"type":"offer","sdp":"{SDP}"}}"#);
            format!(r#"{{"offer":{sdp},"offer_id":"{round:014}{n:06}"}}"#)
        })
        .collect();
    format!(
        r#"{{"action":"announce","left":1,"info_hash":"{swarm:020}","peer_id":"{peer:020}","offers":[{}]}}"#,
        offers.join(",")
    )
}

/// Messages that mean nothing, of every kind, each on a connection of its own, over and over until it
/// is enough. How many there were.
pub(crate) fn nonsense(address: SocketAddr, is_enough: &AtomicBool) -> io::Result<usize> {
    let texts = malformed();
    let mut count = 0;
    for text in texts.iter().cycle() {
        if is_enough.load(Ordering::Relaxed) {
            break;
        }
        let mut stranger = Stranger::connect(address)?;
        let mut said = Vec::new();
        frame(&mut said, text);
        stranger.0.write_all(&said)?;
        stranger.0.shutdown(Shutdown::Write)?;
        // Whatever the tracker says to that, until it hangs up.
        let _ = io::copy(&mut stranger.0, &mut io::sink());
        count += 1;
    }
    Ok(count)
}

/// No JSON, no message, and an announce with each of its fields replaced by what it cannot be.
fn malformed() -> Vec<String> {
    let whole = announce(1, 8_000_000, 1, 1);
    let mut texts = ["", "{", "[]", "null", "7", "{}", r#"{"action":7}"#]
        .map(str::to_owned)
        .to_vec();
    texts.push("[".repeat(60_000));
    for field in ["info_hash", "peer_id", "offers", "offer_id", "offer", "sdp"] {
        let name = format!("\"{field}\":");
        let (before, after) = whole.split_once(&name).expect("a field of an announce");
        for value in ["null", "7", "[]", "{}", "\"\\ud800\"", "1e999"] {
            texts.push(format!("{before}{name}{value},\"x\":{after}"));
        }
    }
    texts
}

/// A million swarms that nobody heard of, in two waves: what they take is bounded, and the second
/// finds what the first has given back.
pub(crate) fn swarms_nobody_heard_of(tracker: &Running) -> io::Result<String> {
    let before = tracker.memory();
    wave(tracker)?;
    let first = tracker.memory() - before;
    wave(tracker)?;
    let second = tracker.memory() - before - first;
    let what = format!(
        "{:.1} MiB, and {:.1} MiB when others come",
        first / MIB,
        second / MIB
    );
    hold(first <= MEMORY && second <= MEMORY_OF_THE_NEXT, &what)?;
    Ok(what)
}

fn wave(tracker: &Running) -> io::Result<()> {
    let mut staying = Vec::new();
    for connection in 0..FILLING + LATE {
        let mut stranger = Stranger::connect(tracker.address)?;
        let mut said = Vec::new();
        for swarm in 0..SWARMS + REFUSED - 1 {
            // Spread as hashes are: the tracker keeps its swarms in order.
            let number = (connection * 1000 + swarm) as u64;
            let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            frame(&mut said, &announce(hash, 9_000_000 + connection, 0, 0));
        }
        // Hung up on, when the tracker is full, before it has said all.
        let _ = stranger.0.write_all(&said);
        stranger.hear(SWARMS + REFUSED - 1);
        if connection < FILLING {
            staying.push(stranger);
        }
    }
    drop(staying);
    let begun = Instant::now();
    while swarms_in(tracker.address)? > 0 {
        hold(begun.elapsed() < PATIENCE, "swarms are not let go")?;
    }
    Ok(())
}

/// One client that offers without end, at a tracker with the limits it has by default.
pub(crate) fn offers_without_end(tracker: &Running) -> io::Result<String> {
    let mut victim = Stranger::connect(tracker.address)?;
    let mut said = Vec::new();
    frame(&mut said, &announce(1, 1, 0, 0));
    victim.0.write_all(&said)?;
    victim.hear(1);
    let mut evil = Stranger::connect(tracker.address)?;
    evil.0.set_write_timeout(Some(Duration::from_millis(50)))?;
    let (begun, spent) = (Instant::now(), tracker.cpu());
    let mut round = 0;
    while begun.elapsed() < FLOOD {
        round += 1;
        let mut said = Vec::new();
        frame(&mut said, &announce(1, 2, 10, round));
        let mut rest = said.as_slice();
        while !rest.is_empty() && begun.elapsed() < FLOOD {
            match evil.0.write(rest) {
                Ok(sent) => rest = &rest[sent..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e),
            }
        }
    }
    let share = (tracker.cpu() - spent).as_secs_f64() / FLOOD.as_secs_f64();
    let (mut heard, mut buffer) = (0, vec![0; 1 << 16]);
    victim
        .0
        .set_read_timeout(Some(Duration::from_millis(200)))?;
    while let Ok(length @ 1..) = victim.0.read(&mut buffer) {
        heard += buffer[..length]
            .windows(11)
            .filter(|part| part == br#""offer_id":"#)
            .count();
    }
    let what = format!(
        "{heard} offers reach one peer, {:.1} % of a core",
        share * 100.0
    );
    hold(
        heard <= OFFERS_REACHING_ONE && share <= SHARE_OF_A_CORE,
        &what,
    )?;
    Ok(what)
}

fn swarms_in(address: SocketAddr) -> io::Result<u64> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET /stats HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    let count = said
        .split_once(r#""swarms":"#)
        .and_then(|(_, rest)| rest.split(',').next());
    count
        .and_then(|count| count.parse().ok())
        .ok_or_else(|| io::Error::other("no figures"))
}
