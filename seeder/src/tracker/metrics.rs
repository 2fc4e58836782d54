//! The tracker's counters as Prometheus reads them (text format 0.0.4).

use std::fmt::Write as _;

use headwater_core::tracker::server::Stats;

/// All of them, `sockets` being those that are open, whatever they are.
pub(super) fn exposition(stats: &Stats, sockets: usize) -> String {
    let mut text = String::new();
    for (name, kind, help, value) in [
        (
            "sockets",
            "gauge",
            "Open sockets, WebSockets among them.",
            sockets as u64,
        ),
        (
            "connections",
            "gauge",
            "Open WebSockets.",
            stats.connections as u64,
        ),
        (
            "swarms",
            "gauge",
            "Swarms with a peer.",
            stats.swarms as u64,
        ),
        (
            "peers",
            "gauge",
            "Peers, once for each of their swarms.",
            stats.peers,
        ),
        (
            "plain_peers",
            "gauge",
            "Peers over TCP among them.",
            stats.plain_peers,
        ),
        (
            "announces_total",
            "counter",
            "Announces heard.",
            stats.announces,
        ),
        ("offers_total", "counter", "Offers passed on.", stats.offers),
        (
            "relayed_offers_total",
            "counter",
            "Offers handed to other trackers.",
            stats.relayed_offers,
        ),
        (
            "answers_total",
            "counter",
            "Answers passed on.",
            stats.answers,
        ),
        (
            "stray_answers_total",
            "counter",
            "Answers nobody waited for.",
            stats.stray_answers,
        ),
        (
            "scrapes_total",
            "counter",
            "Scrapes answered.",
            stats.scrapes,
        ),
        (
            "refused_total",
            "counter",
            "Messages refused with a reason.",
            stats.refused,
        ),
    ] {
        let name = format!("headwater_tracker_{name}");
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    }
    text
}
