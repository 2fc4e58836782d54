//! The redundancy grid: to whom a seed sent which block last, so that in a crowd each block goes
//! out once and is passed on by those who have it.
//!
//! Sia counts copies of each piece and brings the rarest to one, then two, first; BEP 16 hides
//! pieces to the same end. Here nothing is hidden: a second peer that asks for a block on its way
//! to another is told to ask again a little later, when somebody else has it.

use alloc::vec::Vec;

use crate::bitfield::Bitfield;
use crate::ids::PeerKey;
use crate::layout::PieceIndex;
use crate::ordered::{Map, Set};
use crate::time::{Duration, Instant};

/// So many peers are a crowd. Fewer are one if they are not what is left of a larger one: who is the
/// last to end is not put off.
const CROWD: usize = 4;
/// How long the first to be sent a block has for passing it on. Longer saves copies and costs time:
/// one seed and 40 viewers with a window of 16 pieces come to 0.82 of the bound with 1.9 copies; with
/// 3 s it would be 0.77 with 1.4. Where viewers only keep up with a film, the seed's share doubles
/// when it is 1 s.
const HOLD: Duration = Duration::from_millis(1500);
/// The same for a piece that can only be passed on whole (v1).
const HOLD_WHOLE: Duration = Duration::from_secs(3);
/// The same while the seed has more to send than it can: what is new goes first. Where the seed is
/// what a crowd waits for this is worth a tenth of the time.
const HOLD_BUSY: Duration = Duration::from_secs(10);
/// Of a piece that once more than one in so many peers had, and now fewer have, the others think no
/// more: who still wants it gets it of nobody else.
const COMMON: usize = 16;
/// For how long somebody counts as behind after asking for such a piece.
const BEHIND: Duration = Duration::from_secs(2);
/// Pieces below which nobody looks for those that are over.
const FEW: usize = 64;

/// Who wants something of a seed.
#[derive(Clone, Copy, Debug)]
pub struct Demand {
    /// How many peers.
    pub peers: usize,
    /// Of how many that are here.
    pub of: usize,
    /// Whether it is more than can be sent.
    pub is_busy: bool,
    /// How long one may be put off for every block it asks for: those who have them may be nobody
    /// it knows.
    pub longest_denial: Duration,
    /// Bytes that one peer may be promised at a time.
    pub hand: u64,
    /// Whether more could be sent than is asked for.
    pub can_spare: bool,
    /// Whether who is not behind has to wait for who is.
    pub waits: bool,
}

/// To whom something went, and when.
type Sent = Option<(PeerKey, Instant)>;

/// To whom a piece went, as a whole and by block.
#[derive(Debug, Default)]
struct Dealt {
    whole: Sent,
    blocks: Vec<Sent>,
}

/// To whom each block goes.
#[derive(Debug)]
pub struct Grid {
    pieces: Map<u32, Dealt>,
    /// With so many pieces those that are over are thrown out.
    full: usize,
    /// Pieces that were common once: at most all there are.
    common: Set<u32>,
    /// When somebody last asked for what was common and is rare.
    behind: Option<Instant>,
}

impl Demand {
    /// Whether there are enough to pass things on.
    pub const fn is_crowd(self) -> bool {
        self.peers >= CROWD || (self.peers > 1 && self.peers * 2 >= self.of)
    }

    /// How long what went to one peer is kept from others.
    const fn hold(self, whole: bool) -> Duration {
        match (self.is_busy, whole) {
            (true, _) => HOLD_BUSY,
            (false, true) => HOLD_WHOLE,
            (false, false) => HOLD,
        }
    }
}

impl Dealt {
    fn all(&mut self) -> impl Iterator<Item = &mut Sent> {
        self.blocks.iter_mut().chain([&mut self.whole])
    }

    fn forget(&mut self, peer: PeerKey) {
        for sent in self.all() {
            sent.take_if(|(owner, _)| *owner == peer);
        }
    }

    fn is_over(&mut self, now: Instant) -> bool {
        self.all()
            .flatten()
            .all(|(_, at)| now.since(*at) > HOLD_BUSY)
    }
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            pieces: Map::new(),
            full: FEW,
            common: Set::new(),
            behind: None,
        }
    }
}

impl Grid {
    /// Whether block `block` of `piece`, or with none any of it, may be sent to a peer now; if so,
    /// it is the one that it goes to.
    pub fn admit(
        &mut self,
        now: Instant,
        piece: PieceIndex,
        block: Option<u32>,
        peer: PeerKey,
        demand: Demand,
    ) -> bool {
        if !demand.is_crowd() {
            return true;
        }
        self.clean(now);
        let dealt = self.pieces.entry(piece.get()).or_default();
        let sent = match block.map(|block| block as usize) {
            None => &mut dealt.whole,
            Some(block) => {
                let count = dealt.blocks.len().max(block + 1);
                dealt.blocks.resize(count, None);
                &mut dealt.blocks[block]
            }
        };
        let hold = demand.hold(block.is_none());
        let is_kept = is_kept(sent, now, peer, hold);
        if !is_kept && sent.is_none_or(|(owner, _)| owner != peer) {
            *sent = Some((peer, now));
        }
        !is_kept
    }

    /// The blocks of a piece, `count` in all, that this peer would not be sent now.
    pub fn held(
        &self,
        now: Instant,
        piece: PieceIndex,
        count: u32,
        peer: PeerKey,
        demand: Demand,
    ) -> Bitfield {
        let mut held = Bitfield::none(count);
        let dealt = self.pieces.get(&piece.get());
        let blocks = dealt.map_or(&[][..], |dealt| &dealt.blocks);
        for (block, sent) in (0..count).zip(blocks) {
            if is_kept(sent, now, peer, demand.hold(false)) {
                held.set(block);
            }
        }
        held
    }

    /// Of `peers` peers `copies` have a piece now.
    pub fn spread(&mut self, piece: u32, copies: u32, peers: usize) {
        if copies as usize * COMMON >= peers {
            self.common.insert(piece);
        }
    }

    /// Whether who asks for a piece that `copies` of `peers` peers have is behind all others.
    pub fn is_behind(&mut self, now: Instant, piece: u32, copies: u32, peers: usize) -> bool {
        let is_rare = (copies as usize) * COMMON < peers;
        let is_behind = is_rare && self.common.contains(&piece);
        if is_behind {
            self.behind = Some(now);
        }
        is_behind
    }

    /// Whether somebody is behind all others.
    pub fn is_one_behind(&self, now: Instant) -> bool {
        self.behind.is_some_and(|at| now.since(at) < BEHIND)
    }

    /// Throws out what is over, whenever it has become twice as much.
    fn clean(&mut self, now: Instant) {
        if self.pieces.len() >= self.full {
            self.pieces.retain(|_, dealt| !dealt.is_over(now));
            self.full = FEW.max(self.pieces.len() * 2);
        }
    }

    /// Whether a piece as a whole went to this peer last.
    pub fn has_whole(&self, piece: u32, peer: PeerKey) -> bool {
        let dealt = self.pieces.get(&piece).and_then(|dealt| dealt.whole);
        dealt.is_some_and(|(owner, _)| owner == peer)
    }

    /// A peer let a piece go: it will not pass it on any more.
    pub fn let_go(&mut self, peer: PeerKey, piece: u32) {
        if let Some(dealt) = self.pieces.get_mut(&piece) {
            dealt.forget(peer);
        }
    }

    /// A peer is gone: what it was sent may go to others at once.
    pub fn forget(&mut self, peer: PeerKey) {
        for dealt in self.pieces.values_mut() {
            dealt.forget(peer);
        }
    }
}

/// Whether what was sent to another is kept from this peer.
fn is_kept(sent: &Sent, now: Instant, peer: PeerKey, hold: Duration) -> bool {
    sent.is_some_and(|(owner, at)| owner != peer && now.since(at) <= hold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{Arrangement, FileEntry, Layout};

    fn piece(index: u32) -> PieceIndex {
        let film = FileEntry {
            path: alloc::vec!["film".into()],
            length: 1 << 30,
            pad: false,
            start: 0,
        };
        let layout = Layout::new(Arrangement::Contiguous, 1 << 18, alloc::vec![film]).unwrap();
        layout.piece(index).unwrap()
    }

    const IDLE: Demand = Demand {
        peers: 9,
        of: 9,
        is_busy: false,
        longest_denial: HOLD,
        hand: u64::MAX,
        can_spare: false,
        waits: false,
    };
    const BUSY: Demand = Demand {
        is_busy: true,
        ..IDLE
    };

    fn at(millis: u64) -> Instant {
        Instant::from_micros(millis * 1000)
    }

    #[test]
    fn in_a_crowd_a_block_goes_to_one_at_a_time() {
        let mut grid = Grid::default();
        let (first, second) = (PeerKey(1), PeerKey(2));
        let (piece, this, that) = (piece(7), Some(3), Some(4));
        assert!(grid.admit(at(0), piece, this, first, IDLE));
        assert!(!grid.admit(at(10), piece, this, second, IDLE));
        assert!(grid.admit(at(20), piece, this, first, IDLE));
        assert!(grid.admit(at(30), piece, that, second, IDLE));
        assert!(grid.admit(at(1600), piece, this, second, IDLE));
        assert!(!grid.admit(at(1700), piece, this, first, IDLE));
        grid.forget(second);
        assert!(grid.admit(at(1800), piece, this, first, IDLE));
        assert!(!grid.admit(at(1900), piece, this, second, IDLE));
        grid.let_go(first, 7);
        assert!(grid.admit(at(1900), piece, this, second, IDLE));
    }

    #[test]
    fn while_there_is_more_to_send_than_can_be_what_is_new_goes_first() {
        let mut grid = Grid::default();
        let (first, second) = (PeerKey(1), PeerKey(2));
        for block in [0, 2] {
            assert!(grid.admit(at(0), piece(7), Some(block), first, BUSY));
        }
        assert!(!grid.admit(at(2000), piece(7), Some(0), second, BUSY));
        assert!(grid.admit(at(2000), piece(7), Some(1), second, BUSY));
        let held = |at, peer, demand| {
            let held = grid.held(at, piece(7), 16, peer, demand);
            held.iter().collect::<alloc::vec::Vec<_>>()
        };
        assert_eq!(held(at(2000), second, BUSY), [0, 2]);
        assert_eq!(held(at(2000), first, BUSY), [1]);
        assert_eq!(held(at(2000), PeerKey(3), IDLE), [1]);
        assert!(grid.admit(at(2001), piece(7), Some(0), second, IDLE));
    }

    #[test]
    fn what_is_passed_on_whole_is_dealt_whole() {
        let mut grid = Grid::default();
        assert!(grid.admit(at(0), piece(7), None, PeerKey(1), IDLE));
        assert!(!grid.admit(at(2000), piece(7), None, PeerKey(2), IDLE));
        assert!(grid.admit(at(2000), piece(8), None, PeerKey(2), IDLE));
        assert!(grid.admit(at(3001), piece(7), None, PeerKey(2), IDLE));
    }

    #[test]
    fn who_is_alone_or_among_the_last_gets_what_it_asks_for() {
        let mut grid = Grid::default();
        let mut may = |at, peer, peers, of| {
            let demand = Demand { peers, of, ..BUSY };
            grid.admit(at, piece(7), Some(0), PeerKey(peer), demand)
        };
        assert!(may(at(0), 0, 1, 1) && may(at(1), 1, 1, 2));
        assert!(may(at(2), 0, 2, 4) && !may(at(3), 1, 2, 4));
        assert!(may(at(4), 1, 3, 7));
    }

    #[test]
    fn behind_is_who_wants_what_was_common_and_is_rare() {
        let mut grid = Grid::default();
        let peers = 160;
        assert!(!grid.is_behind(at(0), 7, 0, peers));
        grid.spread(7, 9, peers);
        assert!(!grid.is_behind(at(0), 7, 0, peers));
        grid.spread(7, 10, peers);
        assert!(!grid.is_behind(at(0), 7, 10, peers));
        assert!(!grid.is_one_behind(at(0)));
        assert!(grid.is_behind(at(10), 7, 9, peers));
        assert!(!grid.is_behind(at(10), 8, 0, peers));
        assert!(grid.is_one_behind(at(2000)));
        assert!(!grid.is_one_behind(at(2010)));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut grid = Grid::default();
        for round in 0..4000u64 {
            grid.admit(
                at(round * 10),
                piece(round as u32),
                Some(0),
                PeerKey(1),
                IDLE,
            );
        }
        assert!(grid.pieces.len() <= 2 * 1001, "{}", grid.pieces.len());
    }
}
