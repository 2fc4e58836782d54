//! Fetching what HTTP trackers answer: one task an announce, with limits of time, length and number.
//!
//! When to announce and what an answer means is for the client in the core. A redirect never leads
//! nearer than where we were: a tracker out in the world cannot have us ask our own network.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_core::tracker::http::{AnnounceKey, MAX_ANSWER, Reach};
use http_body_util::{BodyExt, Limited};
use hyper::Uri;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::chunks::TorrentNumber;
use crate::http::fetch::{ask, redirected};

/// A tracker that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long trackers may take to hear our farewell.
const FAREWELL: Duration = Duration::from_secs(1);

/// Redirects followed.
const MAX_REDIRECTS: usize = 3;

/// Announces under way at once.
const MAX_ANNOUNCES: usize = 32;

/// An announce's end: who answered and what, or why nobody did.
pub type Answered = (TorrentNumber, AnnounceKey, Result<(IpAddr, Bytes), String>);

/// All announces under way.
#[derive(Debug)]
pub struct Announces {
    tasks: JoinSet<()>,
    turns: Arc<Semaphore>,
    answered: mpsc::UnboundedSender<Answered>,
}

impl Announces {
    /// None yet; what comes of them comes out of the receiver.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Answered>) {
        let (answered, answers) = mpsc::unbounded_channel();
        let announces = Self {
            tasks: JoinSet::new(),
            turns: Arc::new(Semaphore::new(MAX_ANNOUNCES)),
            answered,
        };
        (announces, answers)
    }

    /// Begins one.
    pub fn begin(&mut self, torrent: TorrentNumber, key: AnnounceKey, url: String) {
        while self.tasks.try_join_next().is_some() {}
        let (turns, answered) = (Arc::clone(&self.turns), self.answered.clone());
        self.tasks.spawn(async move {
            let _turn = turns.acquire().await;
            let late = |_| Err("it did not answer in time".to_owned());
            let answer = timeout(PATIENCE, fetch(&url)).await.unwrap_or_else(late);
            // Nobody listens any more when the engine is gone.
            let _ = answered.send((torrent, key, answer));
        });
    }

    /// Waits, not for long, until all have been made.
    pub async fn finish(&mut self) {
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(FAREWELL, all).await;
    }
}

async fn fetch(url: &str) -> Result<(IpAddr, Bytes), String> {
    let mut at: Uri = url.parse().map_err(|_| "it has no address".to_owned())?;
    let mut nearest = None;
    for _ in 0..=MAX_REDIRECTS {
        let (from, response) = ask(&at, nearest).await?;
        nearest = Reach::of(from);
        let status = response.status();
        if status.is_redirection() {
            at = redirected(&at, &response)?;
            continue;
        }
        // Some say why not in the body of an error.
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        return if status.is_success() || body.first() == Some(&b'd') {
            Ok((from, body))
        } else {
            Err(format!("it answered HTTP {status}"))
        };
    }
    Err(format!("it redirects more than {MAX_REDIRECTS} times"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of a tracker that answers so.
    async fn told(answer: Vec<u8>) -> Result<(IpAddr, Bytes), String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let at = listener.local_addr().expect("its address");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 4096];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(&answer).await;
            }
        });
        let (mut announces, mut answers) = Announces::new();
        announces.begin(3, AnnounceKey(4), format!("http://{at}/announce?x=1"));
        let (torrent, key, answer) = answers.recv().await.expect("an end");
        assert_eq!((torrent, key), (3, AnnounceKey(4)));
        answer
    }

    #[tokio::test]
    async fn an_answer_comes_with_whom_it_came_from() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nde".to_vec();
        let (from, body) = told(answer).await.expect("an answer");
        assert!(from.is_loopback());
        assert_eq!(&body[..], b"de");
        let refusal =
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\nd14:failure reason1:xe";
        assert!(told(refusal.to_vec()).await.is_ok(), "it says why");
    }

    #[tokio::test]
    async fn a_tracker_that_redirects_for_ever_is_left() {
        let again = b"HTTP/1.1 302 Found\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n";
        let why = told(again.to_vec()).await.expect_err("no answer");
        assert!(why.contains("redirects more than 3 times"), "{why}");
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error_in_words() {
        let mut long = b"HTTP/1.1 200 OK\r\n\r\nd".to_vec();
        long.resize(MAX_ANSWER * 2, b'1');
        for (answer, words) in [
            (long, "length limit"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), "404"),
            (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), ""),
            (
                b"HTTP/1.1 302 Found\r\nlocation: file:///etc/passwd\r\n\r\n".to_vec(),
                "",
            ),
            (
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\n\r\n".to_vec(),
                "",
            ),
        ] {
            let why = told(answer).await.expect_err("no answer");
            assert!(why.contains(words), "{why}");
        }
    }
}
