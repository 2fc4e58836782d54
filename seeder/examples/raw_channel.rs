//! What the data channel alone gives: no pieces, no hashes, bytes from here into a page's worker.
//!
//! `raw_channel --bytes N --port P` prints `{"url"}` when it serves, and one line per finished
//! transfer: `bytes`, `mb_per_s` (10^6, as the page's worker counted), `open_ms` (from the page's
//! first step to the open channel) with its parts, `first_byte_ms`, `cpu_s` of this process.
//! With `?answer` after the URL the page takes an offer made here instead of making one.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use bytes::Bytes;
use headwater::webrtc::{Endpoint, EndpointConfig, EndpointEvent, Error, MAX_MESSAGE};
use headwater_core::ids::PeerKey;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

const PAGE: &str = include_str!("raw_channel.html");
const WORKER: &str = include_str!("raw_channel_worker.js");

/// What a page wants, and where what it gets goes.
type Order = (Wish, oneshot::Sender<Result<String, String>>);

enum Wish {
    Answer { offer: String },
    Offer,
    Take { key: PeerKey, answer: String },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let total = argument("--bytes").unwrap_or(256 << 20);
    let port = argument("--port").unwrap_or(0) as u16;
    let (orders, ordered) = mpsc::channel(16);
    let (reports, finished) = mpsc::channel(16);
    let app = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/worker.js", get(|| async { script(WORKER) }))
        .route("/offer", get(offer).post(answer).with_state(orders.clone()))
        .route("/answer/{key}", post(take).with_state(orders))
        .route("/report", post(report).with_state(reports));
    let listener =
        tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    println!(
        "{}",
        json!({ "url": format!("http://{}/", listener.local_addr()?) })
    );
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut sender = Sender {
        endpoint: Endpoint::bind(EndpointConfig::default())?,
        message: message(total),
        left: BTreeMap::new(),
        total,
        next: 0,
        cpu: 0.0,
    };
    sender.run(ordered, finished).await;
    Ok(())
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}

fn script(text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript")], text)
}

async fn offer(State(orders): State<mpsc::Sender<Order>>) -> impl IntoResponse {
    order(orders, Wish::Offer).await
}

async fn answer(State(orders): State<mpsc::Sender<Order>>, offer: String) -> impl IntoResponse {
    order(orders, Wish::Answer { offer }).await
}

async fn take(
    State(orders): State<mpsc::Sender<Order>>,
    Path(key): Path<u64>,
    answer: String,
) -> impl IntoResponse {
    let key = PeerKey(key);
    order(orders, Wish::Take { key, answer }).await
}

async fn order(orders: mpsc::Sender<Order>, wish: Wish) -> (StatusCode, String) {
    let (to, got) = oneshot::channel();
    let _ = orders.send((wish, to)).await;
    match got.await {
        Ok(Ok(sdp)) => (StatusCode::OK, sdp),
        Ok(Err(why)) => (StatusCode::BAD_REQUEST, why),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
    }
}

async fn report(State(reports): State<mpsc::Sender<Value>>, report: String) {
    if let Ok(report) = serde_json::from_str(&report) {
        let _ = reports.send(report).await;
    }
}

/// Every message begins with how many bytes will come in all; the worker reads the first.
fn message(total: u64) -> Bytes {
    let mut message = vec![0x5a; MAX_MESSAGE];
    message[..8].copy_from_slice(&(total as f64).to_be_bytes());
    message.into()
}

struct Sender {
    endpoint: Endpoint,
    message: Bytes,
    /// Bytes each peer still gets.
    left: BTreeMap<PeerKey, u64>,
    total: u64,
    next: u64,
    /// CPU seconds when the last transfer began.
    cpu: f64,
}

impl Sender {
    async fn run(&mut self, mut orders: mpsc::Receiver<Order>, mut reports: mpsc::Receiver<Value>) {
        loop {
            tokio::select! {
                () = self.endpoint.drive() => {}
                Some((wish, to)) = orders.recv() => {
                    let got = self.grant(wish);
                    let _ = to.send(got.map_err(|error| error.to_string()));
                }
                Some(report) = reports.recv() => self.print(report),
            }
            while let Some(event) = self.endpoint.poll_event() {
                self.handle(event);
            }
        }
    }

    fn grant(&mut self, wish: Wish) -> Result<String, Error> {
        self.cpu = cpu_seconds();
        match wish {
            Wish::Answer { offer } => {
                self.next += 1;
                self.endpoint.accept_offer(PeerKey(self.next), &offer)
            }
            Wish::Offer => {
                self.next += 1;
                let sdp = self.endpoint.make_offer(PeerKey(self.next))?;
                Ok(json!({ "key": self.next, "sdp": sdp }).to_string())
            }
            Wish::Take { key, answer } => {
                self.endpoint.apply_answer(key, &answer)?;
                Ok(String::new())
            }
        }
    }

    fn handle(&mut self, event: EndpointEvent) {
        match event {
            EndpointEvent::Opened(key) => {
                self.left.insert(key, self.total);
                self.fill(key);
            }
            EndpointEvent::Writable(key, _) => self.fill(key),
            EndpointEvent::Closed(key, why) => {
                tracing::info!(why, stats = ?self.endpoint.stats(key), "closed");
                self.left.remove(&key);
            }
            EndpointEvent::Received(..) => {}
        }
    }

    fn fill(&mut self, key: PeerKey) {
        let Some(left) = self.left.get_mut(&key) else {
            return;
        };
        while *left > 0 && self.endpoint.room(key) > 0 {
            let room = self.endpoint.room(key).min(MAX_MESSAGE);
            let length = (room as u64).min(*left);
            self.endpoint
                .send(key, self.message.slice(..length as usize));
            *left -= length;
        }
        if *left == 0 {
            tracing::info!(stats = ?self.endpoint.stats(key), "sent");
        }
    }

    fn print(&self, mut report: Value) {
        if let Some(report) = report.as_object_mut() {
            let cpu = cpu_seconds() - self.cpu;
            report.insert("cpu_s".into(), json!((cpu * 100.0).round() / 100.0));
        }
        println!("{report}");
    }
}

/// User and system seconds of this process (proc_pid_stat(5); Linux counts 100 ticks a second).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |n| after_name.split_whitespace().nth(n)?.parse::<f64>().ok();
    // Fields 14 and 15; the name was the second.
    let (user, system) = (ticks(11).unwrap_or(0.0), ticks(12).unwrap_or(0.0));
    Duration::from_secs_f64((user + system) / 100.0).as_secs_f64()
}
