//! A seeder and a getter, each a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::{Folder, PATIENCE};

/// `headwater seed`.
pub struct Seeder {
    pub child: Child,
    pub ready: Value,
}

impl Seeder {
    pub fn start(folder: &Folder, args: &[&str]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", args)
    }

    pub fn start_at(folder: &Folder, listen: &str, args: &[&str]) -> Self {
        let mut child = command(folder, &["seed", "--json", "--listen", listen])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let ready = lines.next().expect("a line").expect("UTF-8");
        // It goes on to say how it goes, and must not wait for us.
        std::thread::spawn(move || lines.for_each(drop));
        let ready = serde_json::from_str(&ready).expect("JSON");
        Self { child, ready }
    }

    pub fn says(&self, key: &str) -> &str {
        self.ready[key].as_str().expect("text")
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
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("/proc");
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|n| n.parse().ok()).expect("a number")
    }

    pub fn interrupt(&self) {
        let kill = Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(kill.expect("kill").success());
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

fn command(folder: &Folder, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    command
        .args(args)
        .current_dir(&folder.0)
        .env_remove("RUST_LOG");
    command
}
