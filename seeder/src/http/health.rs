//! How the seeder fares: `/healthz` for whoever restarts it, `/metrics` for Prometheus (text format 0.0.4).
//!
//! The engine is asked when somebody asks us: figures that nobody reads cost nothing.

use std::fmt::Write as _;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::time::timeout;

use crate::engine::{Fare, Handle};
use crate::report::Tick;
use crate::tracker::TrackerHandle;

/// An engine that takes longer to answer is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose health it is.
#[derive(Clone, Debug)]
pub struct Health {
    engine: Handle,
    tracker: Option<TrackerHandle>,
}

impl Health {
    /// That of an engine, and of the tracker beside it.
    pub const fn new(engine: Handle, tracker: Option<TrackerHandle>) -> Self {
        Self { engine, tracker }
    }

    /// `/healthz` and `/metrics`.
    pub fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics))
            .with_state(self)
    }

    async fn ask(&self) -> Option<(Tick, Vec<Fare>)> {
        timeout(PATIENCE, self.engine.fares()).await.ok().flatten()
    }
}

async fn healthz(State(health): State<Health>) -> Response {
    match health.ask().await {
        Some(_) => answer(StatusCode::OK, "ok\n".to_owned()),
        None => stuck(),
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    let Some((tick, fares)) = health.ask().await else {
        return stuck();
    };
    let mut text = exposition(&tick, &fares);
    if let Some(tracker) = &health.tracker {
        text.push_str(&tracker.exposition());
    }
    answer(StatusCode::OK, text)
}

fn stuck() -> Response {
    let words = "the engine does not answer\n".to_owned();
    answer(StatusCode::SERVICE_UNAVAILABLE, words)
}

fn answer(status: StatusCode, text: String) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, text).into_response()
}

fn exposition(tick: &Tick, fares: &[Fare]) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, values: &[(String, String)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP headwater_{name} {help}\n# TYPE headwater_{name} {kind}"
        );
        for (labels, value) in values {
            let _ = writeln!(text, "headwater_{name}{labels} {value}");
        }
    };
    let one = |value: String| [(String::new(), value)];
    family(
        "uptime_seconds",
        "gauge",
        "Seconds since the start.",
        &one(tick.uptime.to_string()),
    );
    family(
        "torrents",
        "gauge",
        "Torrents seeded.",
        &one(fares.len().to_string()),
    );
    family(
        "peers",
        "gauge",
        "Connections that stand.",
        &one(tick.peers.to_string()),
    );
    family(
        "blocks_read_total",
        "counter",
        "Blocks read for peers.",
        &one(tick.requests.to_string()),
    );
    for (name, help, bytes) in [
        (
            "sent_bytes_total",
            "Bytes sent to peers, protocol and all.",
            tick.sent,
        ),
        (
            "received_bytes_total",
            "Bytes received from peers.",
            tick.received,
        ),
    ] {
        let by = |name: &str, bytes: u64| (format!("{{transport=\"{name}\"}}"), bytes.to_string());
        family(
            name,
            "counter",
            help,
            &[by("tcp", bytes.tcp), by("webrtc", bytes.webrtc)],
        );
    }
    type Figure = fn(&Fare) -> u64;
    let figures: [(&str, &str, &str, Figure); 5] = [
        ("torrent_peers", "gauge", "Peers of the torrent.", |fare| {
            fare.peers.into()
        }),
        (
            "torrent_seeds",
            "gauge",
            "Peers that have all of it.",
            |fare| fare.seeds.into(),
        ),
        (
            "torrent_sent_bytes_total",
            "counter",
            "Bytes of the torrent sent.",
            |fare| fare.sent,
        ),
        (
            "torrent_pieces",
            "gauge",
            "Pieces of it that are here.",
            |fare| fare.pieces.into(),
        ),
        (
            "torrent_pieces_withdrawn",
            "gauge",
            "Pieces withdrawn because their file changed.",
            |fare| fare.withdrawn.into(),
        ),
    ];
    for (name, kind, help, figure) in figures {
        let of = |fare: &Fare| (labels(fare), figure(fare).to_string());
        let values: Vec<_> = fares.iter().map(of).collect();
        family(name, kind, help, &values);
    }
    text
}

/// Two torrents may have one name; their hashes differ.
fn labels(fare: &Fare) -> String {
    let name = fare
        .name
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{{torrent=\"{name}\",info_hash=\"{}\"}}", fare.info_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_out_of_its_line() {
        let fare = Fare {
            name: "a\"} 1\nb\\".to_owned(),
            ..Fare::default()
        };
        let text = exposition(&Tick::default(), &[fare]);
        assert!(text.contains(r#"headwater_torrent_peers{torrent="a\"} 1\nb\\",info_hash=""} 0"#));
        let is_sound = |line: &str| line.starts_with("# ") || line.starts_with("headwater_");
        assert!(text.lines().all(is_sound), "{text}");
    }
}
