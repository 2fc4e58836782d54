//! What happens because time passes: races near the playhead, peers that let requests starve, silence.

use alloc::vec::Vec;

use super::Swarm;
use super::download::take_back;
use super::requests::request;
use crate::ids::PeerKey;
use crate::layout::{BLOCK_LENGTH, Block};
use crate::peer::{Fault, Peer};
use crate::selector;
use crate::time::{Duration, Instant, time_of};
use crate::wire::Message;

/// Between two looks while requests are out.
const BUSY_TICK: Duration = Duration::from_millis(100);
/// The same while a player has hardly anything left, where a seed is all there is.
const NEED_TICK: Duration = Duration::from_millis(50);
/// Between two looks while peers are connected.
const IDLE_TICK: Duration = Duration::from_secs(1);
/// A peer that delivers nothing for this long, or for four times what a block should take, is snubbed.
const SNUB_AFTER: Duration = Duration::from_secs(5);
/// However slow a peer always was, it is snubbed after this long without a block.
const SNUB_AT_LAST: Duration = Duration::from_secs(15);
/// A peer that delivers nothing of what was asked for this long is dropped.
const DROP_AFTER: Duration = Duration::from_secs(60);
/// A peer that says nothing at all for this long is dropped.
const SILENT_AFTER: Duration = Duration::from_secs(150);
/// A connection without a handshake for this long is dropped.
const GREET_WITHIN: Duration = Duration::from_secs(15);
/// Over WebRTC the called speaks first; if it does not for this long, as libtorrent, we do.
const SPEAK_AFTER: Duration = Duration::from_secs(2);
/// We say something at least this often (BEP 3: two minutes).
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// What a player needs now is asked of a second peer after so long, however long it should take.
const NEED_PATIENCE: Duration = Duration::from_millis(500);

impl Swarm {
    pub(super) fn set_tick(&mut self) {
        if self.peers.is_empty() && self.origins.is_empty() {
            self.next_tick = None;
            return;
        }
        let mut due = self.now
            + match self.is_asking {
                true if !self.crowded && self.needs().is_some() => NEED_TICK,
                true => BUSY_TICK,
                false => IDLE_TICK,
            };
        if let Some(wakes) = self.origins.wakes(self.now) {
            due = due.min(wakes);
        }
        if let Some(chokes) = self.chokes_due {
            due = due.min(chokes.max(self.now));
        }
        if self
            .next_tick
            .is_none_or(|next| next > due || next <= self.now)
        {
            self.next_tick = Some(due);
        }
    }

    pub(super) fn tick(&mut self) {
        self.next_tick = None;
        let passed = self.now.since(self.last_tick).min(IDLE_TICK);
        self.last_tick = self.now;
        self.look_ahead(passed);
        let asks = |peer: &Peer| peer.pipeline.outstanding() > 0;
        self.origins.look = true;
        self.is_asking = self.peers.values().any(asks) || !self.origins.fetches.is_empty();
        if self.calm_until.is_some_and(|until| until <= self.now) {
            self.calm_until = None;
            self.freed = true;
        }
        self.race();
        self.snub();
        self.drop_silent();
        self.make_places();
        self.give_overdue_offers_up();
        self.look_beyond();
        self.break_silence();
        self.ask_for_metadata();
        self.say_states();
        self.tell_news();
        // Who is in need gets what others would be refused.
        let is_in_need = self.needs().is_some();
        for peer in self.peers.values_mut() {
            let may_be_asked = if is_in_need {
                peer.wary.forgive()
            } else {
                peer.wary.wakes(self.now)
            };
            if may_be_asked {
                self.dirty.insert(peer.key);
            }
        }
        // Whoever was put off may be asked again.
        let put_off = self.peers.values().filter(|peer| peer.parts.has_refused());
        self.dirty.extend(put_off.map(|peer| peer.key));
    }

    /// Asks a second peer for urgent blocks that take too long.
    fn race(&mut self) {
        let best = self.best_expected();
        let Some(torrent) = &self.torrent else { return };
        let needs = self.needs();
        let mut late: Vec<Block> = Vec::new();
        let mut doubted: Vec<PeerKey> = Vec::new();
        for piece in torrent.urgent() {
            let (Some(partial), Some(index)) = (
                torrent.assembler.piece(piece),
                torrent.layout().piece(piece),
            ) else {
                continue;
            };
            for (number, asked) in partial.asked().filter(|(_, asked)| asked[1].is_none()) {
                let block = torrent.block(index, number);
                let Some(peer) = asked[0].and_then(|key| self.peers.get(&key)) else {
                    continue;
                };
                if self.is_silent(peer, block, best) {
                    doubted.push(peer.key);
                    late.push(block);
                } else if self.is_slow(peer, block, best, needs == Some(piece)) {
                    late.push(block);
                }
            }
        }
        for key in doubted {
            if let Some(peer) = self.peers.get_mut(&key) {
                peer.pipeline.doubt();
            }
        }
        for block in late {
            if !self.race_block(block, needs.is_some() && !self.crowded) {
                self.origins.late.push(block);
            }
        }
    }

    /// Whether a peer that owes a block has made no progress for too long.
    fn is_silent(&self, peer: &Peer, block: Block, best: Option<Duration>) -> bool {
        let now = self.now;
        let Some(out) = peer.pipeline.iter().find(|out| out.block == block) else {
            return false;
        };
        if peer.pipeline.is_doubted() {
            return true;
        }
        let expected = peer.expected(now);
        // In a crowd a peer that others load, too, is only silent now and then.
        let next = peer.pipeline.interval(now).filter(|_| !self.crowded);
        let expected = next.map_or(expected, |next| next.min(expected));
        let quiet = now.since(out.at.max(peer.pipeline.last_block().unwrap_or(out.at)));
        quiet > selector::patience(expected, best)
    }

    /// Whether what is in line before a block will take a peer longer than the fastest reasonably
    /// needs, or longer than who needs it waits.
    fn is_slow(&self, peer: &Peer, block: Block, best: Option<Duration>, is_needed: bool) -> bool {
        let mut ahead = 0;
        let found = peer.pipeline.iter().find(|out| {
            ahead += u64::from(out.block.length);
            out.block == block
        });
        let Some(out) = found else { return false };
        let waits = self.now.since(out.at);
        if is_needed && !self.crowded && waits > best.unwrap_or(NEED_PATIENCE).max(NEED_TICK) {
            return true;
        }
        let rate = peer.pipeline.rate(self.now);
        if rate == 0 {
            return false;
        }
        // In a crowd a peer that others load, too, is only slow now and then.
        let indulgence = if self.crowded { 2 } else { 1 };
        let line = time_of(ahead, rate);
        let is_long = |best| line > selector::reasonable(best) * indulgence;
        let is_overdue = is_needed && waits.min(line) > NEED_PATIENCE;
        is_overdue || best.is_some_and(is_long)
    }

    /// Asks the fastest of the others for a block; whether there is one. If it `makes_way`, all that it
    /// was asked for and that can be had later is taken back: a line of requests is as long as half a
    /// second where a peer turned out to be slower than it began.
    fn race_block(&mut self, block: Block, makes_way: bool) -> bool {
        let now = self.now;
        let Some(torrent) = &mut self.torrent else {
            return false;
        };
        let partial = torrent.assembler.piece(block.piece.get());
        if partial.is_none_or(|partial| partial.only.is_some()) {
            return false;
        }
        let able = self.peers.values().filter(|peer| {
            peer.answers_us()
                && peer.has_block(block.piece.get(), block.begin / BLOCK_LENGTH)
                && !peer.pipeline.has(block)
        });
        let Some(key) = selector::fastest(able.map(|peer| (peer.key, peer.expected(now)))) else {
            return false;
        };
        let Some(peer) = self.peers.get(&key).filter(|_| makes_way) else {
            return self.ask_second(key, block);
        };
        let urgent = torrent.urgent();
        let out = peer.pipeline.iter().map(|out| out.block);
        let far = out.filter(|block| !urgent.contains(&block.piece.get()));
        for block in far.collect::<Vec<_>>() {
            take_back(&mut self.peers, &mut self.dirty, key, block);
            self.free_block(key, block);
        }
        self.ask_second(key, block)
    }

    fn ask_second(&mut self, key: PeerKey, block: Block) -> bool {
        let (Some(torrent), Some(peer)) = (&mut self.torrent, self.peers.get_mut(&key)) else {
            return false;
        };
        if let Some(partial) = torrent.assembler.piece_mut(block.piece.get()) {
            partial.ask(block.begin / BLOCK_LENGTH, key);
        }
        peer.pipeline.ask(self.now, block);
        peer.say(&request(block));
        self.dirty.insert(key);
        true
    }

    /// Frees the blocks of peers that do not deliver.
    fn snub(&mut self) {
        let now = self.now;
        let mut freed: Vec<(PeerKey, Vec<Block>)> = Vec::new();
        let mut dropped: Vec<PeerKey> = Vec::new();
        let gives = |peer: &&Peer| !self.crowded && peer.answers_us() && peer.has_delivered();
        let gives = self.peers.values().filter(gives);
        let best = gives.filter_map(|peer| peer.pipeline.round_trip()).min();
        for peer in self.peers.values_mut() {
            peer.pipeline.look(now, self.crowded);
            let Some(oldest) = peer.pipeline.iter().next() else {
                continue;
            };
            let since = now.since(
                peer.pipeline
                    .last_block()
                    .map_or(oldest.at, |at| at.max(oldest.at)),
            );
            // Where another has answered in half the time, who has shown nothing yet is not waited for.
            let patience = match best.filter(|_| !peer.has_delivered()) {
                Some(best) => best * 2,
                None => (peer.pipeline.expected(now) * 4).clamp(SNUB_AFTER, SNUB_AT_LAST),
            };
            if since > DROP_AFTER {
                dropped.push(peer.key);
            } else if since > patience && !peer.snubbed {
                peer.snubbed = true;
                freed.push((peer.key, peer.pipeline.snub().collect()));
            }
        }
        for (key, blocks) in freed {
            self.share_pieces_of(key);
            for block in blocks {
                self.free_block(key, block);
            }
        }
        for key in dropped {
            self.close(key, Some(Fault::Silent), true);
        }
    }

    /// Greets those who wait for us to.
    fn break_silence(&mut self) {
        let now = self.now;
        let waits =
            |peer: &&Peer| peer.dialled && !peer.greeted && now.since(peer.opened) >= SPEAK_AFTER;
        let waiting: Vec<PeerKey> = self
            .peers
            .values()
            .filter(waits)
            .map(|peer| peer.key)
            .collect();
        for key in waiting {
            self.speak_first(key);
        }
    }

    /// Greets a peer, unless that has been done.
    pub(super) fn speak_first(&mut self, key: PeerKey) {
        if self.peers.get(&key).is_none_or(|peer| peer.greeted) {
            return;
        }
        let Some(mut peer) = self.peers.remove(&key) else {
            return;
        };
        self.greet(&mut peer, self.hashes.announced());
        self.speak_up(&mut peer);
        self.peers.insert(key, peer);
        self.dirty.insert(key);
    }

    fn drop_silent(&mut self) {
        let now = self.now;
        let mut silent: Vec<PeerKey> = Vec::new();
        for peer in self.peers.values_mut() {
            let patience = if peer.id.is_none() {
                GREET_WITHIN
            } else {
                SILENT_AFTER
            };
            let since: Instant = if peer.id.is_none() {
                peer.opened
            } else {
                peer.heard
            };
            if now.since(since) > patience {
                silent.push(peer.key);
            } else if now.since(peer.spoke) > KEEP_ALIVE && peer.id.is_some() && peer.waiting() == 0
            {
                peer.say(&Message::KeepAlive);
                peer.spoke = now;
                self.dirty.insert(peer.key);
            }
        }
        for key in silent {
            self.close(key, Some(Fault::Silent), true);
        }
    }
}
