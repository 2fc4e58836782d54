//! A Redis, trackers that share swarms through it, a line between them that can be cut, and a crowd
//! of peers that answer whatever they are offered.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use headwater_core::ids::{PeerId, SwarmHash};
use headwater_core::tracker::message::{
    Announce, Answer, ClientMessage, Offer, OfferId, ServerMessage,
};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::PATIENCE;

const SWARM: SwarmHash = SwarmHash([0xfe; 20]);
const OFFERS: usize = 5;

/// Nobody says anything for so long: that was all.
const QUIET: Duration = Duration::from_millis(150);

/// A process that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `redis-server` on a port of its own, which keeps nothing.
pub struct Redis {
    pub port: u16,
    process: Option<Running>,
}

impl Redis {
    pub fn start() -> Self {
        for _ in 0..10 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let port = free.local_addr().expect("its number").port();
            drop(free);
            if let Some(process) = Self::run(port) {
                let process = Some(process);
                return Self { port, process };
            }
        }
        panic!("no redis-server runs; `cargo xtask test setup` installs it");
    }

    /// None if somebody else got the port.
    fn run(port: u16) -> Option<Running> {
        let port_text = port.to_string();
        let flags = [
            "--port",
            &port_text,
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        let mut command = Command::new("redis-server");
        let command = command.args(flags).stdout(Stdio::null());
        let child = command
            .spawn()
            .expect("redis-server (Debian's package of that name)");
        let mut process = Running(child);
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if process.0.try_wait().ok()?.is_some() {
                return None;
            }
            assert!(begun.elapsed() < PATIENCE, "redis-server does not listen");
            std::thread::yield_now();
        }
        Some(process)
    }

    pub fn kill(&mut self) {
        self.process = None;
    }

    pub fn restart(&mut self) {
        self.process = Some(Self::run(self.port).expect("the same port again"));
    }

    /// One command, and what Redis says, as it says it.
    pub fn say(&self, words: &[&str]) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("Redis");
        let mut command = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            command.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
        }
        command.extend_from_slice(b"*1\r\n$4\r\nQUIT\r\n");
        stream.write_all(&command).expect("Redis listens");
        let mut said = String::new();
        stream.read_to_string(&mut said).expect("Redis answers");
        said
    }

    /// How many commands it has been given by others.
    pub fn commands(&self) -> i64 {
        let said = self.say(&["INFO", "commandstats"]);
        let count = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let is_theirs = ["auth", "command", "info", "ping", "quit", "subscribe"];
            let ours = !is_theirs.contains(&name.split('|').next()?);
            ours.then(|| rest.split(',').next()?.parse::<i64>().ok())?
        };
        said.lines().filter_map(count).sum()
    }
}

/// A line to a port that can be cut, as a network can.
pub struct Cut {
    pub port: u16,
    is_cut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cut {
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let own = listener.local_addr().expect("its number").port();
        let cut = Self {
            port: own,
            is_cut: Arc::default(),
            open: Arc::default(),
        };
        let (is_cut, open) = (Arc::clone(&cut.is_cut), Arc::clone(&cut.open));
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut to) = (copy_of(from), copy_of(to));
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
                open.lock().expect("nobody panicked").extend([near, far]);
            }
        });
        cut
    }

    pub fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().expect("nobody panicked").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn mend(&self) {
        self.is_cut.store(false, Ordering::SeqCst);
    }
}

fn copy_of(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("another handle")
}

/// `headwater track --cluster`.
pub struct TrackerOfThree {
    pub address: SocketAddr,
    process: Running,
}

impl TrackerOfThree {
    /// One that has found Redis at this port.
    pub fn start(redis: u16) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_headwater"))
            .args([
                "track",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--interval",
                "1000",
            ])
            .args(["--cluster", &format!("redis://127.0.0.1:{redis}")])
            .env("RUST_LOG", "headwater=info")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let mut ready = String::new();
        let out = child.stdout.take().expect("its output");
        BufReader::new(out).read_line(&mut ready).expect("a line");
        let address = ready
            .split("ws://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        let address = address
            .and_then(|address| address.parse().ok())
            .expect("an address");
        let mut log = BufReader::new(child.stderr.take().expect("its log"));
        let mut line = String::new();
        while !line.contains("sharing swarms") {
            line.clear();
            assert!(log.read_line(&mut line).expect("a line") > 0, "it ended");
        }
        // What it says later is nobody's concern, but must have somewhere to go.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            address,
            process: Running(child),
        }
    }

    /// kill -9.
    pub fn kill(self) {
        drop(self);
    }

    /// Bytes in memory.
    pub fn memory(&self) -> u64 {
        let file = format!("/proc/{}/statm", self.process.0.id());
        let text = fs::read_to_string(file).expect("its figures");
        let pages = text
            .split(' ')
            .nth(1)
            .and_then(|pages| pages.parse::<u64>().ok());
        pages.expect("a number") * 4096
    }
}

/// A peer, as its tracker knows it.
#[derive(Default)]
pub struct Peer {
    socket: Option<WebSocket<TcpStream>>,
    /// How large its tracker last said the swarm is.
    pub counted: u64,
    is_awaiting: bool,
    announces: u8,
}

/// What a tracker told a peer over TCP.
#[derive(PartialEq, Eq, Debug)]
pub struct Told {
    pub complete: u64,
    pub incomplete: u64,
    /// Ports of the peers it named, in order.
    pub ports: Vec<u16>,
}

/// A peer over TCP announces from this port.
pub fn announce_tcp(tracker: SocketAddr, port: u16, left: u64, more: &str) -> Told {
    let path = format!(
        "/announce?info_hash={}&peer_id=-XX0000-{port:012}&port={port}&left={left}&numwant=80{more}",
        "%fe".repeat(20)
    );
    let body = super::request(tracker, "GET", &path, &[]).body;
    let number = |name: &str| number_in(&body, name);
    let at = find(&body, b"5:peers").expect("peers") + b"5:peers".len();
    let colon = at + find(&body[at..], b":").expect("a length");
    let length = std::str::from_utf8(&body[at..colon]).expect("text");
    let length: usize = length.parse().expect("a number");
    let compact = body[colon + 1..][..length].chunks(6);
    let mut ports: Vec<u16> = compact
        .map(|peer| u16::from_be_bytes([peer[4], peer[5]]))
        .collect();
    ports.sort_unstable();
    Told {
        complete: number("complete"),
        incomplete: number("incomplete"),
        ports,
    }
}

/// How often a scrape over HTTP says that the swarm was completed.
pub fn completed(tracker: SocketAddr) -> u64 {
    let path = format!("/scrape?info_hash={}", "%fe".repeat(20));
    let body = super::request(tracker, "GET", &path, &[]).body;
    number_in(&body, "downloaded")
}

fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    whole.windows(part.len()).position(|window| window == part)
}

/// The number a bencoded dictionary has under this name.
fn number_in(body: &[u8], name: &str) -> u64 {
    let key = format!("{}:{name}i", name.len());
    let from = find(body, key.as_bytes()).expect("its name") + key.len();
    let to = from + find(&body[from..], b"e").expect("its end");
    let digits = std::str::from_utf8(&body[from..to]).expect("text");
    digits.parse().expect("a number")
}

/// Peers that answer every offer.
#[derive(Default)]
pub struct Crowd {
    pub peers: Vec<Peer>,
    /// Who offered to whom, and got an answer.
    pub met: BTreeSet<(usize, usize)>,
    /// Messages of trackers.
    pub heard: u64,
}

fn id(peer: usize) -> PeerId {
    let mut id = [b'.'; 20];
    id[..8].copy_from_slice(&(peer as u64).to_be_bytes());
    PeerId(id)
}

fn number(id: PeerId) -> usize {
    let mut number = [0; 8];
    number.copy_from_slice(&id.0[..8]);
    u64::from_be_bytes(number) as usize
}

impl Crowd {
    /// One more comes to this tracker, and announces with offers.
    pub fn join(&mut self, tracker: SocketAddr, left: u64) {
        self.peers.push(Peer::default());
        self.rejoin(self.peers.len() - 1, tracker, left);
    }

    /// One that lost its tracker comes to this one.
    pub fn rejoin(&mut self, peer: usize, tracker: SocketAddr, left: u64) {
        let stream = TcpStream::connect(tracker).expect("the tracker");
        let url = format!("ws://{tracker}/announce");
        let (socket, _) = tungstenite::client(url, stream).expect("a WebSocket");
        socket
            .get_ref()
            .set_nonblocking(true)
            .expect("a socket that does not wait");
        self.peers[peer].socket = Some(socket);
        self.announce(peer, left, OFFERS);
        self.until(|crowd| !crowd.peers[peer].is_awaiting, "a response");
    }

    /// Its tracker is gone.
    pub fn lose(&mut self, peer: usize) {
        self.until(
            |crowd| crowd.peers[peer].socket.is_none(),
            "its socket to close",
        );
    }

    pub fn announce(&mut self, peer: usize, left: u64, offers: usize) {
        let one = &mut self.peers[peer];
        one.announces += 1;
        one.is_awaiting = true;
        let announces = one.announces;
        let offer = |at| {
            let mut id = [at as u8; 20];
            id[0] = announces;
            id[1..9].copy_from_slice(&(peer as u64).to_be_bytes());
            let (id, sdp) = (OfferId(id), "v=0".into());
            Offer { id, sdp }
        };
        let announce = Announce {
            info_hash: SWARM,
            peer_id: id(peer),
            event: None,
            uploaded: 0,
            downloaded: 0,
            left: Some(left),
            played_percent: None,
            offers: (0..offers).map(offer).collect(),
        };
        self.say(peer, &ClientMessage::Announce(announce));
    }

    fn say(&mut self, peer: usize, message: &ClientMessage) {
        if let Some(socket) = &mut self.peers[peer].socket {
            let _ = socket.send(Message::text(message.encode()));
        }
    }

    /// Everybody hears what there is to hear, and answers; whether there was anything.
    fn turn(&mut self) -> bool {
        let before = self.heard;
        for peer in 0..self.peers.len() {
            while let Some(socket) = &mut self.peers[peer].socket {
                match socket.read() {
                    Ok(Message::Text(text)) => {
                        let said = ServerMessage::decode(&text).expect("a message");
                        self.hear(peer, said);
                    }
                    Ok(_) => {}
                    Err(tungstenite::Error::Io(e))
                        if e.kind() == std::io::ErrorKind::WouldBlock =>
                    {
                        break;
                    }
                    Err(_) => self.peers[peer].socket = None,
                }
            }
        }
        self.heard > before
    }

    fn hear(&mut self, peer: usize, said: ServerMessage) {
        self.heard += 1;
        match said {
            ServerMessage::Response {
                incomplete,
                complete,
                ..
            } => {
                self.peers[peer].is_awaiting = false;
                self.peers[peer].counted = incomplete.unwrap_or(0) + complete.unwrap_or(0);
            }
            ServerMessage::Offer {
                peer_id, offer_id, ..
            } => {
                let answer = Answer {
                    info_hash: SWARM,
                    peer_id: id(peer),
                    to_peer_id: peer_id,
                    offer_id,
                    sdp: "v=0".into(),
                };
                self.say(peer, &ClientMessage::Answer(answer));
            }
            ServerMessage::Answer { peer_id, .. } => drop(self.met.insert((peer, number(peer_id)))),
            other => panic!("{other:?}"),
        }
    }

    pub fn until(&mut self, is_so: impl Fn(&Self) -> bool, what: &str) {
        let begun = Instant::now();
        while !is_so(self) {
            assert!(begun.elapsed() < PATIENCE, "not in time: {what}");
            if !self.turn() {
                std::thread::yield_now();
            }
        }
    }

    /// Until all announces are responded to, and nobody hears anything any more.
    pub fn settle(&mut self) {
        let is_served = |crowd: &Self| crowd.peers.iter().all(|peer| !peer.is_awaiting);
        self.until(is_served, "responses");
        let mut quiet = Instant::now();
        while quiet.elapsed() < QUIET {
            match self.turn() {
                true => quiet = Instant::now(),
                false => std::thread::yield_now(),
            }
        }
    }

    /// Until the peer's tracker says the swarm is so large.
    pub fn until_counted(&mut self, peer: usize, count: u64, what: &str) {
        let begun = Instant::now();
        while self.peers[peer].counted != count {
            let counted = self.peers[peer].counted;
            assert!(begun.elapsed() < PATIENCE, "{counted}, not {count}: {what}");
            self.announce(peer, 1, 0);
            self.settle();
        }
    }

    /// Whom this peer met.
    pub fn met_by(&self, peer: usize) -> Vec<usize> {
        let met = self.met.iter();
        met.filter_map(|(one, other)| match (*one == peer, *other == peer) {
            (true, _) => Some(*other),
            (_, true) => Some(*one),
            _ => None,
        })
        .collect()
    }

    /// All that the first can reach through those that met.
    pub fn together(&self) -> BTreeSet<usize> {
        let mut near: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (one, other) in &self.met {
            near.entry(*one).or_default().push(*other);
            near.entry(*other).or_default().push(*one);
        }
        let (mut seen, mut todo) = (BTreeSet::from([0]), vec![0]);
        while let Some(peer) = todo.pop() {
            for other in near.get(&peer).into_iter().flatten() {
                if seen.insert(*other) {
                    todo.push(*other);
                }
            }
        }
        seen
    }
}
