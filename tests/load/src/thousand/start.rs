//! One viewer and one seeder: what it takes to begin, beside the same bytes over plain HTTP.

use std::io;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::time::timeout;

use super::programs::{Programs, ask};
use super::viewers::{START, Seen, view};
use super::{median, print};

/// Starts of each kind, one after the other in turn.
const STARTS: u64 = 21;

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Measures it.
pub(crate) fn measure(programs: &Programs) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let magnet = programs.magnet()?;
    let (at, path) = programs.file()?;
    let range = format!("Range: bytes=0-{}\r\n", START - 1);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for number in 0..STARTS {
        let begun = Instant::now();
        let bytes = ask(at, path, &range)?;
        assert_eq!(bytes.len() as u64, START, "what was asked for");
        theirs.push(begun.elapsed().as_secs_f64() * 1e3);
        let mut seen = Seen::default();
        let told = |one: Seen| seen = one;
        let viewing = view(&magnet, 1 << 40 | number, told, std::future::ready(()));
        runtime.block_on(async { timeout(PATIENCE, viewing).await })??;
        ours.push(seen.started.as_secs_f64() * 1e3);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    eprintln!("  {START} bytes: {ours:.0} ms by magnet link, {theirs:.1} ms over HTTP");
    let case = "one viewer, 256 KiB, beside HTTP";
    print(case, "until they are there", "ms", "ours", ours);
    print(case, "until they are there", "ms", "theirs", theirs);
    Ok(())
}
