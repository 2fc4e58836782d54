//! Serves what waits, by the batch: asks Redis who else has peers, tells the tracker, and hands
//! over what is for others' peers.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use headwater_core::ids::SwarmHash;
use headwater_core::tracker::message::Heard;
use headwater_core::tracker::server::{Abroad, ConnKey, Drawn, Input, NodeKey, Output, Shares};
use tracing::{info, warn};

use super::redis::{Commands, Redis, Reply};
use super::{Ask, Caller, Cluster, RETRY, addresses, ledger};
use crate::tracker::Shared;
use crate::tracker::mail::Mail;
use crate::tracker::plain::Question;
use crate::tracker::slots::thread_of;
use crate::tracker::web::Page;

/// Served at once.
const BATCH: usize = 128;

/// How often it is looked what has changed, if nobody asks.
const TICK: Duration = Duration::from_millis(50);

/// Swarms told of at once.
const TOLD: usize = 1000;

/// How often all is told again: somebody may have struck out one that was not gone.
const RETELL: Duration = Duration::from_secs(60);

/// What is served.
#[derive(Default)]
struct Batch {
    hears: VecDeque<(ConnKey, String)>,
    questions: VecDeque<(Caller, Question)>,
    relays: Vec<(NodeKey, SwarmHash, String)>,
}

/// What Redis said: of the swarms in question, and for each peer over TCP that announced.
struct Found {
    shares: Shares,
    drawn: VecDeque<Drawn>,
}

pub(super) struct Desk {
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
    redis: Option<Redis>,
    /// When it is tried again.
    retry: Instant,
    is_alone_told: bool,
    retold: Instant,
    outputs: VecDeque<Output>,
}

impl Desk {
    pub(super) fn new(cluster: Arc<Cluster>, shared: Arc<Shared>) -> Self {
        let now = Instant::now();
        Self {
            cluster,
            shared,
            redis: None,
            retry: now,
            is_alone_told: false,
            retold: now,
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn serve(mut self) {
        loop {
            let mut batch = Batch::default();
            for ask in self.cluster.next(BATCH, TICK) {
                match ask {
                    Ask::Hear(key, text) => batch.hears.push_back((key, text)),
                    Ask::Question(caller, question) => {
                        batch.questions.push_back((caller, *question));
                    }
                    Ask::Relay(to, swarm, text) => batch.relays.push((to, swarm, text)),
                }
            }
            self.reconnect();
            if let Some(mut redis) = self.redis.take() {
                match self.serve_among(&mut redis, &mut batch) {
                    Ok(()) => self.redis = Some(redis),
                    Err(e) => self.part(&e.to_string()),
                }
            }
            self.serve_alone(batch);
            if self.cluster.is_over() {
                return;
            }
        }
    }

    /// Join the cluster or leave it, as the connections are.
    fn reconnect(&mut self) {
        let deafness = self.cluster.deafness().clone();
        match (deafness, &self.redis) {
            (Some(reason), _) => {
                self.redis = None;
                self.part(&reason);
            }
            (None, None) if self.retry <= Instant::now() => {
                match Redis::connect(&self.cluster.address) {
                    Ok(redis) => self.join(redis),
                    Err(e) => self.part(&e.to_string()),
                }
            }
            _ => {}
        }
    }

    fn join(&mut self, redis: Redis) {
        self.redis = Some(redis);
        self.is_alone_told = false;
        self.retell();
        self.cluster.is_joined.store(true, Ordering::Relaxed);
        info!("sharing swarms through {}", self.cluster.address);
    }

    fn part(&mut self, reason: &str) {
        self.cluster.is_joined.store(false, Ordering::Relaxed);
        self.retry = Instant::now() + RETRY;
        if !self.is_alone_told && reason != "not yet" {
            self.is_alone_told = true;
            let address = &self.cluster.address;
            warn!("swarms cannot be shared through {address}, going on alone: {reason}");
        }
    }

    fn retell(&mut self) {
        self.retold = Instant::now();
        self.shared.tracker().change_all();
    }

    fn serve_among(&mut self, redis: &mut Redis, batch: &mut Batch) -> io::Result<()> {
        if self.retold.elapsed() >= RETELL {
            self.retell();
        }
        let Found { shares, mut drawn } = self.look(redis, batch)?;
        while let Some((key, text)) = batch.hears.pop_front() {
            let heard = Input::HeardAmong(key, Heard::read(&text), &shares);
            self.shared.tell(heard, &mut self.outputs);
        }
        while let Some((caller, question)) = batch.questions.pop_front() {
            let drawn = match question {
                Question::Announce(_) => drawn.pop_front().unwrap_or_default(),
                Question::Scrape(_) => Drawn::default(),
            };
            self.respond(caller, &question, &shares, &drawn);
        }
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Relay(to, swarm, text) => batch.relays.push((to, swarm, text)),
                other => self.outputs.push_back(other),
            }
        }
        self.shared.deliver(&mut self.outputs);
        self.hand_over(redis, batch)
    }

    /// What others have of the swarms in question; they hear first what we have, so that of two
    /// that look at once at least one sees the other.
    fn look(&mut self, redis: &mut Redis, batch: &Batch) -> io::Result<Found> {
        let mut shares = self.arrive(&batch.hears);
        let mut commands = Commands::default();
        let announces = batch.questions.iter().filter_map(|(_, one)| one.announce());
        for announce in announces.clone() {
            // What is wrong with it is said when it is answered.
            if let Ok(replaced) = self.shared.arrive_plain(announce) {
                let life = self.shared.tracker().plain_life();
                addresses::tell(&mut commands, announce, replaced, life.into());
            }
        }
        for (swarm, change) in self.shared.tracker().take_changed(TOLD) {
            ledger::tell(&mut commands, swarm, &change);
        }
        let told = commands.len();
        let asked = batch.questions.iter().flat_map(|(_, one)| one.swarms());
        shares.extend(asked.map(|swarm| (*swarm, Abroad::default())));
        for swarm in shares.keys() {
            ledger::look(&mut commands, *swarm);
        }
        let looked = commands.len();
        announces.for_each(|announce| addresses::draw(&mut commands, announce));
        let replies = redis.ask(&commands)?;
        let looks = replies[told..looked].chunks(ledger::REPLIES);
        for (found, replies) in shares.values_mut().zip(looks) {
            *found = ledger::abroad(replies, self.cluster.node);
        }
        let draws = replies[looked..].chunks(addresses::REPLIES);
        let drawn = draws.map(addresses::drawn).collect();
        Ok(Found { shares, drawn })
    }

    /// Peers over WebRTC count from here on; which swarms they ask about.
    fn arrive(&mut self, hears: &VecDeque<(ConnKey, String)>) -> Shares {
        let mut shares = Shares::new();
        for (key, text) in hears {
            match Heard::read(text) {
                Ok(Heard::Announce(announce)) => {
                    let arrived = Input::Arrived(*key, &announce);
                    self.shared.tell(arrived, &mut self.outputs);
                    shares.insert(announce.info_hash, Abroad::default());
                }
                Ok(Heard::Scrape(hashes)) => {
                    shares.extend(hashes.into_iter().map(|hash| (hash, Abroad::default())));
                }
                _ => {}
            }
        }
        shares
    }

    /// What was asked over HTTP is answered.
    fn respond(&self, caller: Caller, question: &Question, shares: &Shares, drawn: &Drawn) {
        let page = Page::answer(question.answer(&self.shared, shares, drawn));
        let thread = thread_of(caller.key);
        self.shared.post(thread, [Mail::Page(caller, page)]);
    }

    /// What nobody takes is ours again, and who does not take it is struck out.
    fn hand_over(&mut self, redis: &mut Redis, batch: &mut Batch) -> io::Result<()> {
        let mut commands = Commands::default();
        for (to, _, text) in &batch.relays {
            let channel = ledger::channel_of(*to);
            commands.push(&[b"PUBLISH", channel.as_bytes(), text.as_bytes()]);
        }
        let replies = redis.ask(&commands)?;
        let mut striking = Commands::default();
        for ((to, swarm, text), reply) in batch.relays.drain(..).zip(replies) {
            if reply == Reply::Integer(0) {
                ledger::strike(&mut striking, swarm, to);
                self.take_back(&text);
            }
        }
        redis.ask(&striking).map(drop)
    }

    /// As if nobody else were there.
    fn serve_alone(&mut self, batch: Batch) {
        let nobody = Shares::new();
        for (key, text) in batch.hears {
            let heard = Input::HeardAmong(key, Heard::read(&text), &nobody);
            self.shared.tell(heard, &mut self.outputs);
        }
        self.shared.deliver(&mut self.outputs);
        for (caller, question) in batch.questions {
            self.respond(caller, &question, &nobody, &Drawn::default());
        }
        for (_, _, text) in batch.relays {
            self.take_back(&text);
        }
    }

    fn take_back(&mut self, text: &str) {
        self.shared.tell(Input::Relayed(text), &mut self.outputs);
        self.shared.deliver(&mut self.outputs);
    }
}
