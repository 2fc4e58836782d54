//! WebSocket connections to trackers: one task each, joined to the engine by two short queues.
//!
//! When to connect, what to say and when to try again is for the tracker client of the core.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use headwater_core::tracker::client::TrackerKey;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use crate::chunks::TorrentNumber;

/// A tracker that has not answered our handshake by then is down.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest message a tracker may send: one offer fits many times.
const MAX_MESSAGE: usize = 64 * 1024;

/// Bytes that may wait for a tracker that does not read; past that it is dropped.
const MAX_UNSENT: usize = 1024 * 1024;

/// Bytes read at once. Hundreds of connections keep such a buffer each, and are mostly silent.
const READ: usize = 4 * 1024;

/// Connections made at once: what a handshake needs is needed again by the next.
const MAX_CONNECTING: usize = 16;

/// How long one of them may keep others waiting.
const TURN: Duration = Duration::from_millis(250);

/// Messages in either queue: a tracker that sends faster than we listen must wait.
const QUEUE: usize = 64;

/// How long a tracker may take to hear our farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// Which connection.
pub type SocketKey = (TorrentNumber, TrackerKey);

/// What happened to a connection.
#[derive(Debug)]
pub enum SocketEvent {
    /// It stands.
    Opened,
    /// A message came.
    Received(Utf8Bytes),
    /// It is over, or never was, and why.
    Closed(String),
}

/// All connections to trackers.
#[derive(Debug)]
pub struct Sockets {
    open: BTreeMap<SocketKey, Socket>,
    turns: Arc<Semaphore>,
    events: mpsc::Sender<(SocketKey, SocketEvent)>,
}

#[derive(Debug)]
struct Socket {
    outbox: mpsc::Sender<String>,
    task: JoinHandle<()>,
}

impl Sockets {
    /// None yet; what happens to them comes out of the receiver.
    pub fn new() -> (Self, mpsc::Receiver<(SocketKey, SocketEvent)>) {
        let (events, happened) = mpsc::channel(QUEUE);
        (
            Self {
                open: BTreeMap::new(),
                turns: Arc::new(Semaphore::new(MAX_CONNECTING)),
                events,
            },
            happened,
        )
    }

    /// Connects.
    pub fn open(&mut self, key: SocketKey, url: String) {
        let (outbox, messages) = mpsc::channel(QUEUE);
        let (turns, events) = (Arc::clone(&self.turns), self.events.clone());
        let task = tokio::spawn(async move {
            let reason = talk(key, &url, &turns, messages, &events)
                .await
                .err()
                .unwrap_or_else(|| "closed".to_owned());
            // Nobody listens any more when the engine is gone.
            let _ = events.send((key, SocketEvent::Closed(reason))).await;
        });
        self.open.insert(key, Socket { outbox, task });
    }

    /// Sends, unless the tracker has stopped reading: then it is dropped, and that comes as an event.
    pub fn send(&mut self, key: SocketKey, message: String) {
        if let Some(socket) = self.open.get(&key)
            && socket.outbox.try_send(message).is_err()
        {
            // The task sees its queue end, and ends.
            self.open.remove(&key);
        }
    }

    /// Closes after what has been sent is out.
    pub fn close(&mut self, key: SocketKey) {
        self.open.remove(&key);
    }

    /// To be called on [`SocketEvent::Closed`].
    pub fn forget(&mut self, key: SocketKey) {
        self.open.remove(&key);
    }

    /// Waits, not for long, until every tracker has what was sent to it.
    pub async fn finish(&mut self) {
        let tasks = std::mem::take(&mut self.open)
            .into_values()
            .map(|socket| socket.task);
        let _ = timeout(
            FAREWELL,
            futures_util::future::join_all(tasks.collect::<Vec<_>>()),
        )
        .await;
    }
}

async fn talk(
    key: SocketKey,
    url: &str,
    turns: &Semaphore,
    mut messages: mpsc::Receiver<String>,
    events: &mpsc::Sender<(SocketKey, SocketEvent)>,
) -> Result<(), String> {
    let mut config = WebSocketConfig::default();
    config.max_message_size = Some(MAX_MESSAGE);
    config.max_frame_size = Some(MAX_MESSAGE);
    config.max_write_buffer_size = MAX_UNSENT;
    config.read_buffer_size = READ;
    config.write_buffer_size = 0;
    let mut socket = {
        let turn = turns.acquire().await;
        let connecting = tokio_tungstenite::connect_async_with_config(url, Some(config), true);
        // In a box, or its many kilobytes would be part of this task for as long as the connection stands.
        let mut connecting = Box::pin(timeout(CONNECT_TIMEOUT, connecting));
        let connected = match timeout(TURN, &mut connecting).await {
            Ok(connected) => connected,
            // A tracker that does not answer must not hold up those that do.
            Err(_) => {
                drop(turn);
                connecting.await
            }
        };
        let connected = connected.map_err(|_| "it did not answer in time".to_owned())?;
        connected.map_err(|e| words(&e))?.0
    };
    let gone = |_| "the engine is gone".to_owned();
    events
        .send((key, SocketEvent::Opened))
        .await
        .map_err(gone)?;
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(message) => socket.send(Message::text(message)).await.map_err(|e| words(&e))?,
                None => return socket.close(None).await.map_err(|e| words(&e)),
            },
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    events.send((key, SocketEvent::Received(text))).await.map_err(gone)?;
                }
                Some(Ok(Message::Close(_))) | None => return Err("it closed the connection".to_owned()),
                // JSON is text; pings are answered by the library.
                Some(Ok(_)) => {}
                Some(Err(e)) => return Err(words(&e)),
            },
        }
    }
}

fn words(error: &WsError) -> String {
    match error {
        WsError::Http(response) => format!(
            "it answered HTTP {} instead of a WebSocket",
            response.status()
        ),
        WsError::Io(e) => e.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// RFC 6455, 4.1: a client might follow a redirect. Ours does not, and pages cannot.
    #[tokio::test]
    async fn a_tracker_that_redirects_is_left_after_one_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        let (mut sockets, mut happened) = Sockets::new();
        sockets.open((3, TrackerKey(4)), format!("ws://{at}/announce"));
        let (mut stream, _) = listener.accept().await.expect("a call");
        let _ = stream.read(&mut [0; 4096]).await;
        let again = format!("HTTP/1.1 302 Found\r\nLocation: ws://{at}/again\r\n\r\n");
        stream.write_all(again.as_bytes()).await.expect("heard");
        let (key, event) = happened.recv().await.expect("an end");
        assert_eq!(key, (3, TrackerKey(4)));
        assert!(matches!(event, SocketEvent::Closed(why) if why.contains("302")));
        let next = timeout(Duration::ZERO, listener.accept()).await;
        assert!(next.is_err(), "it comes again when the client wants it to");
    }
}
