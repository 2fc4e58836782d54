//! One socket: reads as fast as its allowance lets it, writes what its outbox holds, and goes
//! when it is silent for too long.

use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use tokio::time::{Instant, sleep_until, timeout};

use super::outbox::Inbox;
use super::{Admitted, TrackerConfig};

/// Bytes a second one socket is read at, and how many at once: a page that announces hundreds of
/// torrents when it opens is served at once, one that never stops is slowed down.
const BYTES_PER_SECOND: u32 = 64 << 10;
const BYTES_AT_ONCE: u32 = 1 << 20;

/// What the shortest message counts for.
const LEAST_COST: usize = 1 << 10;

/// Serve one socket until it ends.
pub(super) async fn run(mut socket: WebSocket, admitted: Admitted, mut inbox: Inbox) {
    let mut patience = Patience::new(admitted.config());
    let mut allowance = Allowance::new();
    loop {
        let happened = tokio::select! {
            // What is to be sent leaves before more is read.
            biased;
            message = inbox.next() => Happened::ToSend(message),
            () = sleep_until(patience.until) => Happened::Silence,
            message = allowed(&mut socket, &allowance) => Happened::Received(message),
        };
        let is_over = match happened {
            Happened::ToSend(Some(text)) => {
                inbox.sent(text.len());
                send(&mut socket, Message::Text(text), &patience)
                    .await
                    .is_err()
            }
            Happened::ToSend(None) => break,
            Happened::Silence if patience.is_over() => break,
            Happened::Silence => {
                patience.pinged();
                send(&mut socket, Message::Ping(Default::default()), &patience)
                    .await
                    .is_err()
            }
            Happened::Received(Some(Ok(message))) => {
                let is_said = heard(&admitted, &message);
                patience.heard(is_said);
                allowance.spend(length_of(&message));
                false
            }
            Happened::Received(_) => true,
        };
        if is_over {
            return;
        }
    }
    let frame = CloseFrame {
        code: close_code::POLICY,
        reason: "".into(),
    };
    let _ = send(&mut socket, Message::Close(Some(frame)), &patience).await;
}

enum Happened {
    Received(Option<Result<Message, Error>>),
    Silence,
    /// `None`: the tracker has hung up.
    ToSend(Option<axum::extract::ws::Utf8Bytes>),
}

/// The next message, not before there is an allowance for it.
async fn allowed(socket: &mut WebSocket, allowance: &Allowance) -> Option<Result<Message, Error>> {
    sleep_until(allowance.ready()).await;
    socket.recv().await
}

/// Whether it said something a tracker listens to.
fn heard(admitted: &Admitted, message: &Message) -> bool {
    let text = match message {
        Message::Text(text) => Some(text.as_str()),
        Message::Binary(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    };
    if let Some(text) = text {
        admitted.received(text);
    }
    text.is_some()
}

fn length_of(message: &Message) -> usize {
    match message {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}

/// A socket that does not take what it is sent is given up.
async fn send(socket: &mut WebSocket, message: Message, patience: &Patience) -> Result<(), ()> {
    match timeout(patience.ping_timeout, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}

/// How long a socket may stay silent yet.
struct Patience {
    ping_after: Duration,
    ping_timeout: Duration,
    until: Instant,
    is_pinged: bool,
    has_spoken: bool,
}

impl Patience {
    /// Until it has said something, no ping is sent and no pong helps it.
    fn new(config: &TrackerConfig) -> Self {
        let (ping_after, ping_timeout) = (config.ping_after, config.ping_timeout);
        let until = Instant::now() + config.first_message_timeout;
        Self {
            ping_after,
            ping_timeout,
            until,
            is_pinged: false,
            has_spoken: false,
        }
    }

    fn heard(&mut self, is_said: bool) {
        self.has_spoken |= is_said;
        if self.has_spoken {
            self.until = Instant::now() + self.ping_after;
            self.is_pinged = false;
        }
    }

    fn pinged(&mut self) {
        self.until = Instant::now() + self.ping_timeout;
        self.is_pinged = true;
    }

    fn is_over(&self) -> bool {
        self.is_pinged || !self.has_spoken
    }
}

/// How much of a socket may be read.
struct Allowance {
    /// Until then, all is used up.
    used_until: Instant,
}

impl Allowance {
    fn new() -> Self {
        Self {
            used_until: Instant::now(),
        }
    }

    fn spend(&mut self, bytes: usize) {
        let cost = Duration::from_secs(1)
            .mul_f64(bytes.max(LEAST_COST) as f64 / f64::from(BYTES_PER_SECOND));
        self.used_until = self.used_until.max(Instant::now()) + cost;
    }

    /// When the next message may be read.
    fn ready(&self) -> Instant {
        let at_once = Duration::from_secs(u64::from(BYTES_AT_ONCE / BYTES_PER_SECOND));
        self.used_until
            .checked_sub(at_once)
            .unwrap_or_else(Instant::now)
    }
}
