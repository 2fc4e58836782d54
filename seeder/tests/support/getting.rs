//! A seeder and a getter, each a process of its own.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value;

use super::{Folder, PATIENCE, headwater};

/// Makes the torrent of a file in the folder, with pieces of 64 KiB.
pub fn create(folder: &Folder, file: &str, torrent: &str) {
    let args = ["create", file, "-o", torrent, "--piece-length", "64KiB"];
    assert!(headwater(folder, &args).status.success());
}

/// `headwater seed`.
pub struct Seeder {
    pub child: Child,
    pub ready: Value,
    /// What it prints after that.
    lines: Receiver<String>,
    /// What it complains of.
    log: Receiver<String>,
}

impl Seeder {
    pub fn start(folder: &Folder, args: &[&str]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", args)
    }

    pub fn start_at(folder: &Folder, listen: &str, args: &[&str]) -> Self {
        let mut command = command(folder, &["seed", "--json", "--listen", listen]);
        command.args(args);
        Self::of(command)
    }

    /// The command, once it is ready.
    pub fn of(mut command: Command) -> Self {
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("the command runs");
        let lines = lines_of(child.stdout.take().expect("its output"), |_| {});
        let log = lines_of(child.stderr.take().expect("its log"), |line| {
            eprintln!("{line}");
        });
        let ready = lines.recv().expect("a line");
        let ready = serde_json::from_str(&ready).expect("JSON");
        Self {
            child,
            ready,
            lines,
            log,
        }
    }

    pub fn says(&self, key: &str) -> &str {
        self.ready[key].as_str().expect("text")
    }

    /// The flags of a `headwater get` from it, of what peers bring alone, to the output.
    pub fn to_peers(&self) -> [&str; 7] {
        let (magnet, tcp) = (self.says("magnet"), self.says("tcp"));
        [
            "-o",
            "-",
            "--quiet",
            "--no-web-seeds",
            magnet,
            "--peer",
            tcp,
        ]
    }

    /// The first line of figures of which `test` holds.
    pub fn figures(&self, test: impl Fn(&Value) -> bool) -> Value {
        let since = Instant::now();
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("figures");
            let figures = serde_json::from_str(&line).expect("JSON");
            if test(&figures) {
                return figures;
            }
            assert!(since.elapsed() < PATIENCE, "never such figures: {figures}");
        }
    }

    /// Waits until it complains of something with these words in it, and says how.
    pub fn complains(&self, words: &str) -> String {
        let mut complains = std::iter::from_fn(|| self.log.recv_timeout(PATIENCE).ok());
        let said = complains.find(|line| line.contains(words));
        said.unwrap_or_else(|| panic!("not a word of {words:?}"))
    }

    /// A number of `/proc`.
    pub fn number(&self, file: &str, key: &str) -> u64 {
        number(&self.child, file, key)
    }

    /// Where page and torrents are.
    pub fn site(&self) -> SocketAddr {
        let page = self.says("page").trim_start_matches("http://");
        let site = page.split('/').next().expect("a site");
        site.parse().expect("an address")
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Has it end, as Ctrl-C does.
    pub fn interrupt(&mut self) -> ExitStatus {
        self.signal("INT");
        self.child.wait().expect("its end")
    }
}

impl Drop for Seeder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `headwater get`.
pub struct Getter {
    pub child: Child,
}

impl Getter {
    pub fn start(folder: &Folder, args: &[&str]) -> Self {
        let child = command(folder, &["get"])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command runs");
        Self { child }
    }

    /// The first JSON line of this event; those before it are passed over, those after it dropped.
    pub fn says(&mut self, event: &str) -> Value {
        let out = self.child.stdout.take().expect("its output");
        let mut lines = BufReader::new(out)
            .lines()
            .map(|line| serde_json::from_str::<Value>(&line.expect("UTF-8")).expect("JSON"));
        let found = lines.find(|line| line["event"] == event);
        std::thread::spawn(move || lines.for_each(drop));
        found.expect("such a line")
    }

    /// All that it prints, to its end.
    pub fn everything(mut self) -> Vec<u8> {
        let mut out = self.child.stdout.take().expect("its output");
        let mut all = Vec::new();
        out.read_to_end(&mut all).expect("its output");
        all
    }

    /// Bytes it had the system write to a disk.
    pub fn written_to_disk(&self) -> u64 {
        self.number("io", "write_bytes:")
    }

    /// The most memory it ever had, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.number("status", "VmHWM:") * 1024
    }

    /// A number of `/proc`.
    pub fn number(&self, file: &str, key: &str) -> u64 {
        number(&self.child, file, key)
    }

    pub fn interrupt(&self) {
        signal(&self.child, "INT");
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// How it ended; it must, before we lose patience.
    pub fn ends(&mut self) -> ExitStatus {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("its state") {
                return status;
            }
            assert!(since.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Getter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come. Whoever prints them must not wait for us.
fn lines_of(from: impl Read + Send + 'static, seen: fn(&str)) -> Receiver<String> {
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            seen(&line);
            // The test may be over.
            let _ = tell.send(line);
        }
    });
    told
}

fn number(child: &Child, file: &str, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/{file}", child.id())).expect("/proc");
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).expect("a number")
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill")
        .args([&format!("-{name}"), &child.id().to_string()])
        .status();
    assert!(kill.expect("kill").success());
}

pub fn command(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command
        .args(args)
        .current_dir(&folder.0)
        .env_remove("RUST_LOG");
    command
}
