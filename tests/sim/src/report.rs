//! What a simulated crowd did, in numbers.

use headwater_core::ids::ReaderId;
use headwater_core::time::Duration;

use crate::{NodeId, Sim};

/// The least seconds in which a crowd can have `length` bytes (Kumar and Ross 2006): the seeds'
/// uplink, the slowest downlink, all uplinks together.
pub fn bound(length: u64, seeds: &[u64], viewers: &[(u64, u64)]) -> f64 {
    let length = length as f64;
    let seeds: f64 = seeds.iter().map(|up| *up as f64).sum();
    let ups: f64 = viewers.iter().map(|(up, _)| *up as f64).sum();
    let slowest = viewers
        .iter()
        .map(|(_, down)| *down as f64)
        .fold(f64::INFINITY, f64::min);
    (length / seeds)
        .max(length / slowest)
        .max(viewers.len() as f64 * length / (seeds + ups))
}

/// The middle of these.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

/// What a crowd did. Times in seconds, shares of one.
#[derive(Clone, Debug)]
pub struct Report {
    /// Viewers that had not had everything when it was drawn up.
    pub unfinished: usize,
    /// When the last of the others had.
    pub last: f64,
    /// When the middle one had.
    pub middle: f64,
    /// The Kumar-Ross bound over the time of the last.
    pub efficiency: f64,
    /// From opening to the first byte, of the middle viewer.
    pub first_byte: f64,
    /// The delay with which reading at the steady rate never stands, of the middle viewer.
    pub steady_after: f64,
    /// Players: from opening to the first picture, of the middle viewer.
    pub startup: f64,
    /// Players: stalls a viewer.
    pub stalls: f64,
    /// Players: seconds stalled a viewer.
    pub stalled: f64,
    /// Share of the viewers' bytes that did not come from seeds.
    pub offload: f64,
    /// Share of the payload that came twice or too late.
    pub duplicates: f64,
    /// Bytes sent that are no payload, as share of all.
    pub control: f64,
    /// The same of what seeds sent.
    pub seed_control: f64,
    /// Films' worth of payload that the seeds sent.
    pub seed_copies: f64,
    /// Until every piece had been with one viewer.
    pub one_copy: Option<Spread>,
    /// Until every piece had been with two.
    pub two_copies: Option<Spread>,
}

/// A moment in the spreading of a film.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// When.
    pub secs: f64,
    /// Films' worth of payload that the seeds had sent by then.
    pub seed_copies: f64,
}

impl Report {
    /// What these viewers, reading these, got of a film.
    pub fn of(sim: &Sim, length: u64, viewers: &[(NodeId, ReaderId)]) -> Self {
        let watches: Vec<_> = viewers
            .iter()
            .filter_map(|(node, reader)| sim.node(*node).watches.get(reader))
            .collect();
        let ended: Vec<f64> = watches
            .iter()
            .filter_map(|watch| Some(secs(watch.ended?.since(sim.started()))))
            .collect();
        let last = ended.iter().copied().fold(0.0, f64::max);
        let (mut seeds, mut links) = (Vec::new(), Vec::new());
        let (mut sent, mut by_seeds, mut received, mut wasted) = (0, 0, 0, 0);
        let mut all_by_seeds = 0;
        for id in sim.ids() {
            let (node, link) = (sim.node(id), sim.link(id));
            let stats = node.swarm.stats(sim.now());
            sent += stats.sent;
            received += stats.received;
            wasted += stats.wasted;
            if node.is_seeder() {
                seeds.push(sim.uplink(id));
                by_seeds += stats.sent;
                all_by_seeds += sim.bytes_sent_by(id);
            } else {
                links.push((link.up, link.down));
            }
        }
        let mid = |of: fn(&crate::Watch) -> Option<Duration>| {
            median(
                watches
                    .iter()
                    .filter_map(|watch| of(watch))
                    .map(secs)
                    .collect(),
            )
        };
        let players = watches.iter().filter_map(|watch| watch.playing.as_ref());
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let films = |bytes: u64| share(bytes, length);
        let spread = |at: Option<(headwater_core::time::Instant, u64)>| {
            at.map(|(at, sent)| Spread {
                secs: secs(at.since(sim.started())),
                seed_copies: films(sent),
            })
        };
        Self {
            unfinished: viewers.len() - ended.len(),
            last,
            middle: median(ended),
            efficiency: bound(length, &seeds, &links) / last,
            first_byte: mid(|watch| Some(watch.first_byte?.since(watch.opened))),
            steady_after: mid(|watch| Some(watch.steady_after)),
            startup: mid(|watch| watch.playing.as_ref()?.startup),
            stalls: players
                .clone()
                .map(|playing| f64::from(playing.stalls))
                .sum::<f64>()
                / watches.len() as f64,
            stalled: players.map(|playing| secs(playing.stalled)).sum::<f64>()
                / watches.len() as f64,
            offload: 1.0 - share(by_seeds, received),
            duplicates: share(wasted, received),
            control: share(sim.bytes_sent().saturating_sub(sent), sim.bytes_sent()),
            seed_control: share(all_by_seeds.saturating_sub(by_seeds), all_by_seeds),
            seed_copies: films(by_seeds),
            one_copy: spread(sim.copies()[0]),
            two_copies: spread(sim.copies()[1]),
        }
    }
}

const fn secs(span: Duration) -> f64 {
    span.as_micros() as f64 / 1e6
}
