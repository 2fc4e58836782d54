//! The processes of a crowd: a tracker, a seeder with a film, and viewers by the hundred.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use headwater_core::rng::Rng;
use serde_json::Value;

use crate::process::{cpu_of, memory_of};

/// One that runs, until dropped.
struct Program {
    process: Child,
    /// What it said when it was ready.
    ready: Value,
    /// What it said last.
    latest: Arc<Mutex<Value>>,
}

impl Program {
    /// Starts our binary and waits until it is ready.
    fn start(args: &[&str]) -> io::Result<Self> {
        let binary =
            env::var("HEADWATER").unwrap_or_else(|_| "target/release/headwater".to_owned());
        let mut command = Command::new(binary);
        let mut process = command.args(args).stdout(Stdio::piped()).spawn()?;
        let stdout = process.stdout.take().ok_or_else(silent)?;
        let mut lines = BufReader::new(stdout).lines();
        let first = lines.next().ok_or_else(silent)??;
        let ready = serde_json::from_str(&first)?;
        let latest = Arc::new(Mutex::new(Value::Null));
        let said = Arc::clone(&latest);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let (Ok(value), Ok(mut said)) = (serde_json::from_str(&line), said.lock()) {
                    *said = value;
                }
            }
        });
        Ok(Self {
            process,
            ready,
            latest,
        })
    }

    fn said(&self, key: &str) -> io::Result<String> {
        let word = self.ready[key].as_str().map(str::to_owned);
        word.ok_or_else(|| io::Error::other(format!("no {key} in {}", self.ready)))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn silent() -> io::Error {
    io::Error::other("it ended without a word")
}

/// The tracker and the seeder.
pub(crate) struct Programs {
    // It goes first, so that it need not complain that the tracker is gone.
    seeder: Program,
    tracker: Program,
    folder: PathBuf,
}

/// What a tracker counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) announces: f64,
    offers: f64,
    answers: f64,
}

impl Told {
    pub(crate) fn since(self, before: &Self) -> Self {
        Self {
            announces: self.announces - before.announces,
            offers: self.offers - before.offers,
            answers: self.answers - before.answers,
        }
    }

    /// An announce and its response, each offer at its other end, each answer coming and going.
    pub(crate) fn messages(&self) -> f64 {
        2.0 * self.announces + self.offers + 2.0 * self.answers
    }
}

impl Programs {
    /// Both, with a film of so many bytes.
    pub(crate) fn start(film: u64) -> io::Result<Self> {
        let folder = env::temp_dir().join(format!("headwater-thousand-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let path = folder.join("film.mp4");
        let mut bytes = vec![0; film as usize];
        Rng::seeded(7).fill(&mut bytes);
        fs::write(&path, bytes)?;
        let tracker = Program::start(&["track", "--json", "--listen", "127.0.0.1:0"])?;
        let address = tracker.said("tracker")?;
        let path = path.to_string_lossy();
        let seeder = Program::start(&[
            "seed",
            &path,
            "--json",
            "--listen",
            "127.0.0.1:0",
            "--no-web-seed",
            "--no-tracker",
            "--tracker",
            &address,
        ])?;
        Ok(Self {
            seeder,
            tracker,
            folder,
        })
    }

    pub(crate) fn magnet(&self) -> io::Result<String> {
        self.seeder.said("magnet")
    }

    /// Where the film is over plain HTTP, and where that is on its server.
    pub(crate) fn file(&self) -> io::Result<(SocketAddr, &'static str)> {
        Ok((
            address_in(&self.seeder.said("torrent")?)?,
            "/files/film.mp4",
        ))
    }

    /// Time that the tracker and the seeder spent.
    pub(crate) fn cpu(&self) -> [Duration; 2] {
        [&self.tracker, &self.seeder].map(|one| cpu_of(&one.process.id().to_string()))
    }

    /// Bytes the seeder has sent, protocol included, as of the last second.
    pub(crate) fn seed_sent(&self) -> io::Result<u64> {
        let latest = self.seeder.latest.lock();
        let latest = latest.map_err(|_| io::Error::other("nobody reads the seeder"))?;
        Ok(latest["sent"]["webrtc"].as_u64().unwrap_or(0))
    }

    pub(crate) fn tracker_told(&self) -> io::Result<Told> {
        let address = address_in(&self.tracker.said("tracker")?)?;
        let metrics = ask(address, "/metrics", "")?;
        let metrics = String::from_utf8_lossy(&metrics).into_owned();
        let count = |name: &str| {
            let wanted = format!("headwater_tracker_{name}_total ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&wanted));
            line.and_then(|count| count.parse().ok())
                .unwrap_or(f64::NAN)
        };
        Ok(Told {
            announces: count("announces"),
            offers: count("offers"),
            answers: count("answers"),
        })
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `http://ADDRESS/…`, `ws://ADDRESS/…`: the address.
fn address_in(url: &str) -> io::Result<SocketAddr> {
    let address = url.split('/').nth(2).and_then(|text| text.parse().ok());
    address.ok_or_else(|| io::Error::other(format!("no address in {url}")))
}

/// What an HTTP server answers, without its head.
pub(crate) fn ask(at: SocketAddr, path: &str, more: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(at)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n{more}Connection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("no HTTP"))?;
    Ok(answer.split_off(end + 4))
}

/// Processes of viewers.
pub(crate) struct Viewers {
    processes: Vec<Child>,
    done: Receiver<[f64; 2]>,
}

impl Viewers {
    /// So many in all, who come within `over`.
    pub(crate) fn start(
        programs: &Programs,
        count: usize,
        processes: usize,
        over: Duration,
    ) -> io::Result<Self> {
        let (tell, done) = mpsc::channel();
        let mut viewers = Self {
            processes: Vec::new(),
            done,
        };
        for process in 0..processes {
            let share = count / processes + usize::from(process < count % processes);
            let mut command = Command::new(env::current_exe()?);
            command.args(["viewers", &programs.magnet()?, &share.to_string()]);
            command.args([process.to_string(), over.as_secs_f64().to_string()]);
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let lines = BufReader::new(child.stdout.take().ok_or_else(silent)?).lines();
            viewers.processes.push(child);
            let tell = tell.clone();
            thread::spawn(move || {
                for line in lines.map_while(Result::ok) {
                    let mut words = line.split(' ').filter_map(|word| word.parse().ok());
                    if let (Some(first), Some(all)) = (words.next(), words.next()) {
                        let _ = tell.send([first, all]);
                    }
                }
            });
        }
        Ok(viewers)
    }

    /// The next that has it all: seconds from its joining to the first byte, and to the last.
    pub(crate) fn next(&mut self, patience: Duration) -> io::Result<Option<[f64; 2]>> {
        match self.done.recv_timeout(patience) {
            Ok(wait) => Ok(Some(wait)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the viewers ended")),
        }
    }

    pub(crate) fn cpu(&self) -> Duration {
        let all = self.processes.iter();
        all.map(|one| cpu_of(&one.id().to_string())).sum()
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> f64 {
        let all = self.processes.iter();
        all.map(|one| memory_of(&one.id().to_string())).sum()
    }
}

impl Drop for Viewers {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}
