//! A web server that has one file, and behaves as it is told.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Honest,
    /// It answers the whole file, whatever is asked for.
    IgnoresRange,
    /// It says 206 and the right range, and sends the bytes from the start of the file.
    SendsElsewhere,
    /// It says that its file is longer by one.
    LiesAboutLength,
    /// It sends fewer bytes than it says, and hangs up.
    EndsEarly,
    /// It hangs up after this many bytes of each answer.
    EndsAfter(usize),
    /// After this many bytes of each answer it says nothing more, and does not hang up.
    StallsAfter(usize),
    /// It sends the client to an address of a private network.
    RedirectsInside,
    /// It sends the client round and round.
    RedirectsForEver,
    /// It compresses.
    Compresses,
    /// One bit of each answer is wrong.
    FlipsABit,
    /// It has nothing.
    NotFound,
}

/// The server.
pub struct Origin {
    pub at: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// With its ETag.
    file: Mutex<(Arc<Vec<u8>>, &'static str)>,
    mood: Mutex<Mood>,
    /// The head of the last request.
    asked: Mutex<String>,
    sent: AtomicU64,
    requests: AtomicU64,
    /// Bytes a second of all answers together, and when the next may go.
    rate: Option<u64>,
    free: Mutex<Instant>,
}

impl Origin {
    /// A server of this file, in this mood.
    pub fn start(file: Vec<u8>, mood: Mood) -> Self {
        Self::start_at(file, mood, None)
    }

    /// The same, with so many bytes a second for all.
    pub fn start_at(file: Vec<u8>, mood: Mood, rate: Option<u64>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            file: Mutex::new((Arc::new(file), "first")),
            mood: Mutex::new(mood),
            asked: Mutex::default(),
            sent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            rate,
            free: Mutex::new(Instant::now()),
        });
        let answers = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&answers);
                // A client that hangs up ends it.
                std::thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Self { at, shared }
    }

    /// Its address as a web seed of one file.
    pub fn url(&self) -> String {
        format!("http://{}/film.mp4", self.at)
    }

    /// Bytes of bodies that it sent.
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// The head of the last request that reached it.
    pub fn asked(&self) -> String {
        self.shared.asked.lock().expect("no thread died").clone()
    }

    /// Requests that reached it.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// It has another file from now on, with this ETag.
    pub fn replace(&self, file: Vec<u8>, tag: &'static str) {
        *self.shared.file.lock().expect("no thread died") = (Arc::new(file), tag);
    }

    /// It behaves otherwise from now on.
    pub fn set_mood(&self, mood: Mood) {
        *self.shared.mood.lock().expect("no thread died") = mood;
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut range = None;
        let (mut head, mut line) = (String::new(), String::new());
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        while line.trim_end() != "" {
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("range: bytes=") {
                let (start, end) = value.trim().split_once('-').expect("a range");
                let number = |text: &str| text.parse::<usize>().expect("a number");
                range = Some(number(start)..number(end) + 1);
            }
            head.push_str(&line);
            line.clear();
            reader.read_line(&mut line)?;
        }
        *shared.asked.lock().expect("no thread died") = head;
        shared.requests.fetch_add(1, Ordering::SeqCst);
        let range = range.unwrap_or(0..shared.file().0.len());
        answer(stream, shared, range)?;
    }
}

fn answer(
    stream: &TcpStream,
    shared: &Shared,
    range: std::ops::Range<usize>,
) -> std::io::Result<()> {
    let mood = *shared.mood.lock().expect("no thread died");
    let (file, tag) = shared.file();
    let all = file.len();
    let claimed = if mood == Mood::LiesAboutLength {
        all + 1
    } else {
        all
    };
    let mut head = String::new();
    let mut body = file[range.clone()].to_vec();
    let mut ask = |status: &str, extra: &str, length: usize| {
        let _ = write!(
            head,
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\netag: \"{tag}\"\r\n{extra}\r\n"
        );
    };
    let content_range = format!(
        "content-range: bytes {}-{}/{claimed}\r\n",
        range.start,
        range.end - 1
    );
    let location = |to: &str| format!("location: {to}\r\n");
    match mood {
        Mood::IgnoresRange => {
            body = file.to_vec();
            ask("200 OK", "", all);
        }
        Mood::NotFound => {
            body = Vec::new();
            ask("404 Not Found", "", 0);
        }
        Mood::RedirectsInside | Mood::RedirectsForEver => {
            body = Vec::new();
            let to = match mood {
                Mood::RedirectsInside => "http://10.1.2.3/film.mp4",
                _ => "/film.mp4",
            };
            ask("302 Found", &location(to), 0);
        }
        Mood::Compresses => ask(
            "206 Partial Content",
            &(content_range + "content-encoding: gzip\r\n"),
            body.len(),
        ),
        _ => ask("206 Partial Content", &content_range, body.len()),
    }
    match mood {
        Mood::SendsElsewhere => body = file[..body.len()].to_vec(),
        Mood::EndsEarly => body.truncate(body.len() / 2),
        Mood::FlipsABit => {
            let middle = body.len() / 2;
            body[middle] ^= 4;
        }
        Mood::StallsAfter(bytes) | Mood::EndsAfter(bytes) => body.truncate(bytes),
        _ => {}
    }
    (&*stream).write_all(head.as_bytes())?;
    for chunk in body.chunks(16 * 1024) {
        shared.wait_for(chunk.len());
        // Who has them may look at once how many there were.
        shared.sent.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        (&*stream).write_all(chunk)?;
    }
    match mood {
        Mood::EndsEarly | Mood::EndsAfter(_) => stream.shutdown(std::net::Shutdown::Both),
        Mood::StallsAfter(_) => {
            // Until the client loses patience.
            let mut rest = BufReader::new(stream);
            rest.fill_buf().map(drop)
        }
        _ => Ok(()),
    }
}

impl Shared {
    fn file(&self) -> (Arc<Vec<u8>>, &'static str) {
        self.file.lock().expect("no thread died").clone()
    }

    /// Until it is these bytes' turn on the server's uplink.
    fn wait_for(&self, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let turn = {
            let mut free = self.free.lock().expect("no thread died");
            let turn = (*free).max(Instant::now());
            *free = turn + Duration::from_secs_f64(bytes as f64 / rate as f64);
            turn
        };
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}
