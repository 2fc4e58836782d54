//! Trackers that share their swarms through Redis or Valkey, each with sockets of its own.
//!
//! An announce waits at the [`desk`] until that has asked what the other trackers have of its swarm
//! ([`ledger`]); what is for their peers is published to them, and what they publish is heard by
//! the [`ear`]. Two looks and at most k messages each way, however large the swarm. Whoever goes,
//! Redis too, is missed by nobody for longer than [`redis::PATIENCE`]: without it each tracker goes
//! on alone. Which offers go where is the core's.

mod addresses;
mod desk;
mod ear;
mod ledger;
mod redis;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use headwater_core::ids::SwarmHash;
use headwater_core::tracker::message::{Heard, Malformed};
use headwater_core::tracker::server::{ConnKey, NodeKey};
pub use redis::RedisAddress;

use super::Shared;
use super::plain::Question;

/// How soon it is tried again after it went wrong.
const RETRY: Duration = Duration::from_secs(1);

/// What may wait at the desk; after that clients are served as if there were no others.
const MAX_WAITING: usize = 1 << 13;

/// One tracker's end of the cluster.
pub(super) struct Cluster {
    node: NodeKey,
    address: RedisAddress,
    waiting: Mutex<VecDeque<Ask>>,
    came: Condvar,
    /// Why the ear hears nothing, if so.
    deafness: Mutex<Option<String>>,
    is_joined: AtomicBool,
    is_over: AtomicBool,
}

/// What the desk is asked.
enum Ask {
    /// This was said by a client, and concerns swarms that others may have.
    Hear(ConnKey, String),
    /// This was asked over HTTP.
    Question(Caller, Box<Question>),
    /// Hand this to another tracker.
    Relay(NodeKey, SwarmHash, String),
}

/// Who waits for a page.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    pub(super) key: ConnKey,
    /// Whether no other request is to come on its connection.
    pub(super) is_last: bool,
}

impl Cluster {
    pub(super) fn new(node: NodeKey, address: RedisAddress) -> Self {
        Self {
            node,
            address,
            waiting: Mutex::default(),
            came: Condvar::new(),
            deafness: Mutex::new(Some("not yet".to_owned())),
            is_joined: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// Have its threads run, until it is over.
    pub(super) fn start(self: &Arc<Self>, shared: &Arc<Shared>) -> io::Result<()> {
        let (cluster, all) = (Arc::clone(self), Arc::clone(shared));
        let ear = thread::Builder::new().name("tracker-ear".to_owned());
        ear.spawn(move || ear::listen(&cluster, &all))?;
        let (cluster, all) = (Arc::clone(self), Arc::clone(shared));
        let desk = thread::Builder::new().name("tracker-desk".to_owned());
        desk.spawn(move || desk::Desk::new(cluster, all).serve())?;
        Ok(())
    }

    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.came.notify_all();
    }

    /// Whether it shares swarms at this moment.
    pub(super) fn is_joined(&self) -> bool {
        self.is_joined.load(Ordering::Relaxed)
    }

    /// Whether it takes what a client said; else it is to be served at once, among its own.
    pub(super) fn takes(
        &self,
        key: ConnKey,
        heard: &Result<Heard<'_>, Malformed>,
        text: &str,
    ) -> bool {
        let concerns_others = matches!(heard, Ok(Heard::Announce(_) | Heard::Scrape(_)));
        concerns_others && self.is_joined() && self.ask(Ask::Hear(key, text.to_owned())).is_ok()
    }

    /// Take what was asked over HTTP; else it is given back, to be answered at once.
    pub(super) fn take(&self, caller: Caller, question: Question) -> Result<(), Question> {
        if !self.is_joined() {
            return Err(question);
        }
        match self.ask(Ask::Question(caller, Box::new(question))) {
            Err(Ask::Question(_, question)) => Err(*question),
            _ => Ok(()),
        }
    }

    /// Hand this to another tracker. It is lost if too much waits.
    pub(super) fn relay(&self, to: NodeKey, swarm: SwarmHash, text: String) {
        let _ = self.ask(Ask::Relay(to, swarm, text));
    }

    /// It is given back if too much waits.
    fn ask(&self, ask: Ask) -> Result<(), Ask> {
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_WAITING {
            return Err(ask);
        }
        waiting.push_back(ask);
        self.came.notify_one();
        Ok(())
    }

    /// What waits, or what comes within `patience`; at most so much.
    fn next(&self, most: usize, patience: Duration) -> Vec<Ask> {
        let mut waiting = self.waiting();
        if waiting.is_empty() && !self.is_over() {
            let waited = self.came.wait_timeout(waiting, patience);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Ask>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn deafness(&self) -> MutexGuard<'_, Option<String>> {
        self.deafness.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
