//! The trackers that are compared, each as a process on cores of its own.

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a tracker may take to listen.
const STARTING: Duration = Duration::from_secs(20);

/// Linux counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE: f64 = 4096.0;

/// Where a process may run.
#[derive(Clone, Copy)]
pub(crate) enum Cores {
    All,
    First,
    Second,
}

/// One that can be started.
pub(crate) struct Tracker {
    pub(crate) name: &'static str,
    cores: Cores,
    command: fn(SocketAddr) -> Command,
}

/// One that runs, until dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    process: Child,
}

/// Ours first; aquatic_ws where it has been built.
pub(crate) fn trackers() -> Vec<Tracker> {
    let mut trackers = vec![
        Tracker {
            name: "headwater",
            cores: Cores::First,
            command: headwater,
        },
        Tracker {
            name: "bittorrent-tracker",
            cores: Cores::First,
            command: |address| {
                let mut command = Command::new("node");
                command.args([
                    "tests/bench/webtorrent/tracker.mjs",
                    &address.port().to_string(),
                ]);
                command
            },
        },
    ];
    if Path::new(&aquatic_binary()).exists() {
        trackers.push(Tracker {
            name: "aquatic_ws",
            cores: Cores::First,
            command: aquatic,
        });
    }
    trackers
}

/// One thread, as the others have.
fn headwater(address: SocketAddr) -> Command {
    let mut command = unlimited(address);
    command.args(["--threads", "1"]);
    command
}

/// Its limits would end such a load from one address: they are raised, and the interval in which
/// offers are counted is made short.
fn unlimited(address: SocketAddr) -> Command {
    let mut command = plainly(address);
    command.args(["--interval", "0.01"]);
    command.args(["--bytes-per-second", "1GiB", "--bytes-at-once", "1GiB"]);
    command
}

/// Ours with two threads and with one, on whichever cores the system has for them.
pub(crate) fn ours_by_threads() -> [Tracker; 2] {
    let on_all = |name, command| Tracker {
        name,
        cores: Cores::All,
        command,
    };
    let two = |address| {
        let mut command = unlimited(address);
        command.args(["--threads", "2"]);
        command
    };
    [on_all("2 threads", two), on_all("1 thread", headwater)]
}

/// Ours with the limits it has when nobody says anything.
pub(crate) fn ours_by_default() -> Tracker {
    Tracker {
        name: "headwater",
        cores: Cores::First,
        command: plainly,
    }
}

fn plainly(address: SocketAddr) -> Command {
    let binary = env::var("HEADWATER").unwrap_or_else(|_| "target/release/headwater".to_owned());
    let mut command = Command::new(binary);
    command.args(["track", "--json", "--listen", &address.to_string()]);
    command
}

fn aquatic_binary() -> String {
    env::var("AQUATIC_WS").unwrap_or_else(|_| "target/rivals/bin/aquatic_ws".to_owned())
}

fn aquatic(address: SocketAddr) -> Command {
    let file = env::temp_dir().join(format!("aquatic-{}.toml", address.port()));
    // One socket worker and one swarm worker is the least it can have.
    let text = format!("log_level = \"off\"\n[network]\naddress = \"{address}\"\n");
    let _ = fs::write(&file, text);
    let mut command = Command::new(aquatic_binary());
    command.arg("-c").arg(file);
    command
}

impl Cores {
    /// As `taskset` takes them.
    fn list(self) -> String {
        match self {
            // What this process may use itself changes.
            Self::All => fs::read_to_string("/sys/devices/system/cpu/online")
                .map_or_else(|_| "0,1".to_owned(), |list| list.trim().to_owned()),
            Self::First => "0".to_owned(),
            Self::Second => "1".to_owned(),
        }
    }
}

/// Run on these from now on.
pub(crate) fn keep_to(cores: Cores) -> io::Result<()> {
    let mut command = Command::new("taskset");
    command.args(["-pc", &cores.list(), &std::process::id().to_string()]);
    let status = command.stdout(Stdio::null()).status()?;
    match status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            "the tracker and the crowd want a core each",
        )),
    }
}

impl Tracker {
    pub(crate) fn start(&self) -> io::Result<Running> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let inner = (self.command)(free);
        let mut command = Command::new("taskset");
        command.args(["-c", &self.cores.list()]);
        command.arg(inner.get_program());
        command.args(inner.get_args());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn()?;
        let running = Running {
            address: free,
            process,
        };
        let begun = Instant::now();
        while TcpStream::connect(free).is_err() {
            if begun.elapsed() > STARTING {
                return Err(io::Error::other(format!("{} does not listen", self.name)));
            }
            sleep(Duration::from_millis(20));
        }
        sleep(Duration::from_millis(300));
        Ok(running)
    }
}

impl Running {
    /// Time it spent, its system calls included.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(&self.process.id().to_string())
    }

    /// The same for each of its threads that serve sockets.
    pub(crate) fn cpu_by_thread(&self) -> Vec<Duration> {
        let process = self.process.id();
        let tasks = fs::read_dir(format!("/proc/{process}/task"));
        let names = tasks.into_iter().flatten().flatten();
        let mut names: Vec<_> = names.map(|task| task.file_name()).collect();
        names.sort();
        let paths = names
            .iter()
            .map(|name| format!("{process}/task/{}", name.display()));
        let serves = |path: &String| {
            let name = fs::read_to_string(format!("/proc/{path}/comm"));
            name.is_ok_and(|name| name.trim() == "tracker")
        };
        paths.filter(serves).map(|path| cpu_of(&path)).collect()
    }

    /// Bytes in memory.
    pub(crate) fn memory(&self) -> f64 {
        memory_of(&self.process.id().to_string())
    }
}

/// Bytes a process has in memory.
pub(crate) fn memory_of(process: &str) -> f64 {
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let resident = statm.split_whitespace().nth(1);
    resident.and_then(|pages| pages.parse().ok()).unwrap_or(0.0) * PAGE
}

/// Time this process has spent.
pub(crate) fn own_cpu() -> Duration {
    cpu_of("self")
}

/// Time a process has spent.
pub(crate) fn cpu_of(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    // After the name in brackets: the 12th and 13th are utime and stime.
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    Duration::from_secs_f64(ticks / TICKS_PER_SECOND)
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
