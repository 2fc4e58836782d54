//! One random schedule: a small crowd to which everything happens that may, then calm.
//!
//! Links differ, connections close, peers leave, stall, lie and die at any byte, readers pause and
//! seek. Afterwards an honest source is within everybody's reach, and everybody must have the film.

use headwater_core::ids::ReaderId;
use headwater_core::metainfo::create::Version;
use headwater_core::rng::Rng;
use headwater_core::swarm::Event;
use headwater_core::time::{Duration, Instant};

use crate::{Film, Halt, Link, NodeId, Sim};

const PIECE: u32 = 32 * 1024;
/// When it calms down.
const CALM: u64 = 12_000_000;
/// Between two introductions.
const INTERVAL: Duration = Duration::from_secs(30);
/// By then everybody must have it.
const LIMIT: u64 = 400_000_000;

/// The films of all schedules, made once: one of each version.
#[derive(Debug)]
pub struct Chaos {
    films: [Film; 3],
}

struct Viewer {
    node: NodeId,
    reader: ReaderId,
    from: u64,
}

struct Schedule<'a> {
    film: &'a Film,
    sim: Sim,
    luck: Rng,
    honest: NodeId,
    others: Vec<NodeId>,
    viewers: Vec<Viewer>,
}

impl Default for Chaos {
    fn default() -> Self {
        let film = |version| Film::single(version, PIECE, 18 * PIECE as usize + 777);
        Self {
            films: [Version::V1, Version::V2, Version::Hybrid].map(film),
        }
    }
}

impl Chaos {
    /// Runs schedule `seed`: the time it took, in the simulation, or what went wrong.
    ///
    /// # Errors
    /// A sentence that names the viewer that has not got the film, or what it got instead.
    pub fn run(&self, seed: u64) -> Result<Instant, String> {
        let mut luck = Rng::seeded(seed.wrapping_mul(0x9e37) ^ 0x5eed);
        let film = &self.films[luck.below(3) as usize];
        let mut sim = Sim::seeded(seed);
        let line = random_link(&mut luck);
        let honest = sim.seeder(film, line);
        let mut schedule = Schedule {
            film,
            sim,
            luck,
            honest,
            others: Vec::new(),
            viewers: Vec::new(),
        };
        schedule.gather();
        while schedule.sim.now() < Instant::from_micros(CALM) {
            let next =
                schedule.sim.now() + Duration::from_micros(schedule.luck.below(900_000).into());
            schedule.sim.run_until(next);
            schedule.happen();
        }
        schedule.calm();
        schedule.finish()
    }
}

fn random_link(luck: &mut Rng) -> Link {
    let rate = |luck: &mut Rng| [40_000, 150_000, 600_000, 5_000_000][luck.below(4) as usize];
    Link {
        up: rate(luck),
        down: rate(luck) * 2,
        delay: Duration::from_micros(luck.below(120_000).into()),
        jitter: Duration::from_micros(luck.below(60_000).into()),
        loss: luck.below(20_000),
        buffer: 20_000 + luck.below(400_000) as usize,
        ..Link::HOME
    }
}

impl Schedule<'_> {
    fn gather(&mut self) {
        for _ in 0..self.luck.below(3) {
            let link = random_link(&mut self.luck);
            let other = self.sim.seeder(self.film, link);
            match self.luck.below(4) {
                0 => self.sim.node_mut(other).lies = true,
                1 => {
                    let halt = if self.luck.chance(1, 2) {
                        Halt::Dies
                    } else {
                        Halt::Stalls
                    };
                    let bytes = self.luck.below(600_000).into();
                    self.sim.halt_after(other, bytes, halt);
                }
                _ => {}
            }
            self.others.push(other);
        }
        for _ in 0..1 + self.luck.below(3) {
            self.add_viewer();
        }
    }

    fn add_viewer(&mut self) {
        let link = random_link(&mut self.luck);
        let pieces = 2 + self.luck.below(20);
        let node = self.sim.viewer_with(self.film, link, |config| {
            config.window_bytes = u64::from(pieces * PIECE);
        });
        let mut peers = self.others.clone();
        peers.push(self.honest);
        peers.extend(self.viewers.iter().map(|viewer| viewer.node));
        for peer in peers {
            if self.luck.chance(2, 3) && !self.sim.is_gone(peer) {
                let (a, b) = if self.luck.chance(1, 2) {
                    (node, peer)
                } else {
                    (peer, node)
                };
                self.sim.connect(a, b);
            }
        }
        let reader = self.sim.watch_all(node);
        self.viewers.push(Viewer {
            node,
            reader,
            from: 0,
        });
    }

    fn happen(&mut self) {
        let at = self.luck.below(self.viewers.len() as u32) as usize;
        let (node, reader) = (self.viewers[at].node, self.viewers[at].reader);
        match self.luck.below(12) {
            0 | 1 => self.sim.pause(node, reader, true),
            2 | 3 => self.sim.pause(node, reader, false),
            4 | 5 => self.seek(at),
            6 => self.sim.hang_up(node, &mut self.luck),
            7 if !self.others.is_empty() => {
                let other = self.others[self.luck.below(self.others.len() as u32) as usize];
                if self.luck.chance(1, 3) {
                    self.sim.leave(other);
                } else if !self.sim.is_gone(other) {
                    self.sim.connect(node, other);
                }
            }
            8 => {
                let link = random_link(&mut self.luck);
                let buffer = self.sim.link(node).buffer;
                self.sim.relink(node, Link { buffer, ..link });
            }
            9 if self.viewers.len() < 5 => self.add_viewer(),
            10 if self.viewers.len() > 1 => {
                self.sim.leave(node);
                self.viewers.remove(at);
            }
            11 => {
                if let Some(other) = self.others.first() {
                    let node = self.sim.node_mut(*other);
                    node.lies = !node.lies;
                }
            }
            _ => {}
        }
    }

    fn seek(&mut self, at: usize) {
        self.check(at);
        let viewer = &mut self.viewers[at];
        self.sim.stop(viewer.node, viewer.reader);
        let length = self.film.length();
        viewer.from = u64::from(self.luck.below(length as u32));
        viewer.reader = self.sim.watch(viewer.node, 0, viewer.from..length);
    }

    /// Everybody reaches the honest source, and reads on.
    fn calm(&mut self) {
        let honest = self.honest;
        self.sim.relink(
            honest,
            Link {
                up: 600_000,
                ..self.sim.link(honest)
            },
        );
        for viewer in &self.viewers {
            self.sim.pause(viewer.node, viewer.reader, false);
            let link = self.sim.link(viewer.node);
            self.sim.relink(
                viewer.node,
                Link {
                    down: link.down.max(300_000),
                    ..link
                },
            );
        }
        self.introduce();
    }

    /// As a tracker does: whoever lost the honest source meets it again.
    fn introduce(&mut self) {
        for viewer in &self.viewers {
            if !self.sim.are_connected(viewer.node, self.honest) {
                self.sim.connect(viewer.node, self.honest);
            }
        }
    }

    fn finish(mut self) -> Result<Instant, String> {
        let limit = Instant::from_micros(LIMIT);
        while self.sim.now() < limit && !self.sim.run_until_ended(self.sim.now() + INTERVAL) {
            self.introduce();
        }
        for at in 0..self.viewers.len() {
            let viewer = &self.viewers[at];
            let node = self.sim.node(viewer.node);
            let stats = node.swarm.stats(self.sim.now());
            if node.watches[&viewer.reader].ended.is_none() {
                let had = node.watches[&viewer.reader].had();
                let peers = node.swarm.peers(self.sim.now());
                let closed = |event: &&Event| matches!(event, Event::PeerClosed { .. });
                let closed: Vec<_> = node.events.iter().filter(closed).collect();
                return Err(format!(
                    "{:?} stands at {had} of {} bytes after {:?}: {stats:?} {peers:?} {:?} {closed:?}",
                    viewer.node,
                    self.film.length() - viewer.from,
                    self.sim.now(),
                    node.swarm.pieces(),
                ));
            }
            if stats.window_peak > stats.window_cap {
                let (peak, cap) = (stats.window_peak, stats.window_cap);
                return Err(format!("{:?} reserved {peak} of {cap} bytes", viewer.node));
            }
            self.check(at);
        }
        Ok(self.sim.now())
    }

    /// What a viewer read is the film.
    fn check(&self, at: usize) {
        let viewer = &self.viewers[at];
        let read = self.sim.node(viewer.node).read(viewer.reader);
        let from = viewer.from as usize;
        assert!(
            read == &self.film.files[0][from..from + read.len()],
            "{:?} read what is not the film",
            viewer.node
        );
    }
}
