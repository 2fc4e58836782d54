//! The knee: throughput of one seeder by the number of requests that are kept out to it.
//!
//! X = min(B, Q·L / (RTT + L/B)). The asking peer is a script, for the engine would choose Q itself.

use headwater_core::time::Duration;
use headwater_core::wire::{Features, Frame, Message};
use headwater_sim::{Evil, Film, Line, Link, Sim, secs};

use crate::crowd::film;
use crate::sheet::{Case, Figure};

const BLOCK: u32 = 16 * 1024;
const BLOCKS_A_PIECE: u32 = crate::crowd::PIECE / BLOCK;

pub(crate) fn cases() -> Vec<Case> {
    let case = Case::new(
        "knee",
        "one seeder, asked by a script that keeps Q requests out",
        |_| knees(),
    );
    vec![Case { seeds: 1, ..case }]
}

/// Keeps `out` requests out.
#[derive(Debug)]
struct Asker {
    film: Film,
    out: u32,
    next: u32,
}

impl Asker {
    fn ask(&mut self, line: &mut Line) {
        let piece = self.next / BLOCKS_A_PIECE % 400;
        let begin = self.next % BLOCKS_A_PIECE * BLOCK;
        self.next += 1;
        line.say(&Message::Request {
            piece,
            begin,
            length: BLOCK,
        });
    }
}

impl Evil for Asker {
    fn opened(&mut self, line: &mut Line) {
        line.greet(&self.film, Features::ALL, 1);
        line.say(&Message::HaveNone);
        line.say(&Message::Interested);
    }

    fn heard(&mut self, line: &mut Line, frame: &Frame<'_>) {
        match frame {
            // That it may ask is said twice.
            Frame::Message(Message::Unchoke) if self.next == 0 => {
                (0..self.out).for_each(|_| self.ask(line));
            }
            Frame::Message(Message::Piece { .. }) => self.ask(line),
            _ => {}
        }
    }
}

/// Bytes a second with so many requests out.
fn throughput(trip: u64, rate: u64, out: u32) -> f64 {
    let film = film(400);
    let mut sim = Sim::seeded(1).forgetful();
    let link = Link {
        up: rate,
        down: 10 * rate,
        delay: Duration::from_micros(trip * 250),
        buffer: 1 << 20,
        ..Link::FAST
    };
    let seeder = sim.seeder(film, link);
    let asker = Asker {
        film: film.clone(),
        out,
        next: 0,
    };
    let asker = sim.stranger(film, link, asker);
    sim.connect(asker, seeder);
    sim.run_until(secs(2));
    let before = sim.node(seeder).swarm.stats(sim.now()).sent;
    sim.run_until(secs(6));
    (sim.node(seeder).swarm.stats(sim.now()).sent - before) as f64 / 4.0
}

fn knees() -> Vec<Figure> {
    let (mut all, mut near, mut cells, mut right) = (0, 0, 0, 0);
    for (trip, megabits) in [
        (20, 10),
        (20, 100),
        (50, 10),
        (50, 30),
        (100, 10),
        (100, 30),
        (100, 100),
        (200, 10),
        (200, 30),
    ] {
        let rate = megabits * 125_000;
        let (bytes, block, secs) = (rate as f64, f64::from(BLOCK), trip as f64 / 1000.0);
        let expected = (bytes * secs / block).ceil() + 1.0;
        let mut knee = None;
        for tenths in [2, 4, 6, 7, 8, 9, 10, 11, 12, 13, 15, 20, 30] {
            let out = ((expected * f64::from(tenths) / 10.0).round() as u32).clamp(1, 256);
            let predicted = bytes.min(f64::from(out) * block / (secs + block / bytes));
            let measured = throughput(trip, rate, out);
            cells += 1;
            right += u32::from((measured / predicted - 1.0).abs() <= 0.10);
            if measured >= 0.95 * bytes && knee.is_none() {
                knee = Some(f64::from(out));
            }
        }
        all += 1;
        // The smallest pipes have no whole number of requests nearer than one.
        near += u32::from(knee.is_some_and(|knee| (knee / expected - 1.0).abs() <= 0.25));
    }
    let share = |part: u32, of: u32| 100.0 * f64::from(part) / f64::from(of);
    vec![
        Figure::new("knees within 25 % of Q*", "%", share(near, all)).aim("100"),
        Figure::new(
            "points within 10 % of the formula",
            "%",
            share(right, cells),
        )
        .aim(">= 90"),
    ]
}
