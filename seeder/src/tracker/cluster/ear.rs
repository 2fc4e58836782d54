//! Hears what other trackers hand over, on a connection and a thread of its own.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::thread;

use headwater_core::tracker::server::Input;

use super::redis::{Commands, Redis, Reply};
use super::{Cluster, RETRY, ledger};
use crate::tracker::Shared;

/// Listen until it is over, whatever happens to the connection.
pub(super) fn listen(cluster: &Cluster, shared: &Shared) {
    while !cluster.is_over() {
        if let Err(e) = hear(cluster, shared) {
            *cluster.deafness() = Some(e.to_string());
            thread::sleep(RETRY);
        }
    }
}

fn hear(cluster: &Cluster, shared: &Shared) -> io::Result<()> {
    let mut redis = Redis::connect(&cluster.address)?;
    let mut subscribing = Commands::default();
    subscribing.push(&[b"SUBSCRIBE", ledger::channel_of(cluster.node).as_bytes()]);
    if let [Reply::Error(reason)] = &redis.ask(&subscribing)?[..] {
        return Err(io::Error::other(reason.clone()));
    }
    *cluster.deafness() = None;
    let (mut outputs, mut is_pinged) = (VecDeque::new(), false);
    while !cluster.is_over() {
        if !redis.await_reply()? {
            if is_pinged {
                return Err(ErrorKind::TimedOut.into());
            }
            let mut ping = Commands::default();
            ping.push(&[b"PING"]);
            redis.send(&ping)?;
            is_pinged = true;
            continue;
        }
        is_pinged = false;
        let reply = redis.read()?;
        if let Some(text) = message_in(&reply) {
            shared.tell(Input::Relayed(text), &mut outputs);
            shared.deliver(&mut outputs);
        }
    }
    Ok(())
}

/// What was published, if that is what it is.
fn message_in(reply: &Reply) -> Option<&str> {
    match reply.values() {
        [kind, _, text] if kind.bytes() == Some(b"message") => {
            std::str::from_utf8(text.bytes()?).ok()
        }
        _ => None,
    }
}
