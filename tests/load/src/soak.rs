//! Ten thousand sockets that mostly listen, a hundred announces a second, five thousand strangers
//! who never finish their first line, and one who talks nonsense.
//!
//! Not a measurement: it fails where the tracker does not hold what it promises.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::hold;
use crate::process::Running;
use crate::strangers;

const SOCKETS: usize = 10_000;
const ANNOUNCES_PER_SECOND: f64 = 100.0;
const DURING: Duration = Duration::from_secs(5);
/// Tried so often, while it is slower.
const ROUNDS: usize = 3;
const SLOWEST: Duration = Duration::from_millis(100);
const MEMORY_PER_SOCKET: f64 = 20.0 * 1024.0;
const HALF_OPEN: usize = 5000;
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

pub(crate) fn run(tracker: &Running) -> io::Result<()> {
    let before = tracker.memory();
    let mut crowd = Crowd::connect(tracker.address, SOCKETS, 100)?;
    let memory = (tracker.memory() - before) / SOCKETS as f64;
    hold(
        memory <= MEMORY_PER_SOCKET,
        &format!("{memory:.0} bytes a socket"),
    )?;
    let half_open = half_open(tracker.address)?;
    let begun = Instant::now();
    let is_enough = AtomicBool::new(false);
    let (what, nonsense) = thread::scope(|scope| {
        let nonsense = scope.spawn(|| strangers::nonsense(tracker.address, &is_enough));
        // On a machine that others use, too, a moment of theirs is no fault of the tracker's.
        let mut what = quickness(&mut crowd);
        for _ in 1..ROUNDS {
            what = what.or_else(|_| quickness(&mut crowd));
        }
        is_enough.store(true, Ordering::Relaxed);
        (what, nonsense.join().expect("it does not panic"))
    });
    let (what, nonsense) = (what?, nonsense?);
    for mut stranger in half_open {
        let left = CLOSED_WITHIN.saturating_sub(begun.elapsed());
        stranger.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let heard = stranger.read(&mut [0; 64]);
        let is_closed = !heard.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock);
        hold(is_closed, "a stranger is still there")?;
    }
    println!(
        "{SOCKETS} sockets: {memory:.0} bytes each, {what} beside {nonsense} malformed messages; {HALF_OPEN} strangers gone after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// What was seen of announces being served as promised.
fn quickness(crowd: &mut Crowd) -> io::Result<String> {
    let mut outcome = crowd.load(DURING, SOCKETS, Some(ANNOUNCES_PER_SECOND))?;
    outcome.relays.sort_unstable();
    let slow = outcome.relays[outcome.relays.len() * 99 / 100];
    let what = format!("{} announces answered, p99 {slow:?}", outcome.answered);
    let expected = DURING.as_secs_f64() * ANNOUNCES_PER_SECOND;
    let is_all = outcome.answered as f64 > expected * 0.9;
    hold(slow < SLOWEST && is_all, &what)?;
    Ok(what)
}

fn half_open(address: SocketAddr) -> io::Result<Vec<TcpStream>> {
    let stranger = |_| {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /announce HT")?;
        Ok(stream)
    };
    (0..HALF_OPEN).map(stranger).collect()
}
