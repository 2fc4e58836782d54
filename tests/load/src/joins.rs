//! What a join costs in a swarm of ten and of a hundred thousand, without sockets: messages, bytes
//! and time at the tracker, five offers being relayed and answered.

use headwater_core::time::{Duration, Instant};
use headwater_core::tracker::server::{ConnKey, Input, Output, ServerConfig, Tracker};

use crate::process;
use crate::words::SDP;

const SIZES: [u64; 5] = [10, 100, 1000, 10_000, 100_000];
const OFFERS: usize = 5;
const JOINS: u64 = 20_000;
const INTERVAL: Duration = Duration::from_secs(120);

/// Messages and bytes both ways, and microseconds, of one join.
#[derive(Clone, Copy, Default)]
struct Cost {
    messages: f64,
    bytes: f64,
    micros: f64,
}

/// Print a line for each size, the smallest being what the others are compared with.
pub(crate) fn measure() {
    let costs: Vec<Cost> = SIZES.iter().map(|size| cost(*size)).collect();
    for (size, cost) in SIZES.iter().zip(&costs) {
        for (metric, unit, of) in [
            (
                "messages a join",
                "",
                (|cost| cost.messages) as fn(&Cost) -> f64,
            ),
            ("bytes a join", "B", |cost| cost.bytes),
            ("CPU a join", "us", |cost| cost.micros),
        ] {
            for (side, value) in [("ours", of(cost)), ("theirs", of(&costs[0]))] {
                println!(
                    r#"{{"case":"join at {size}, against join at 10","metric":"{metric}","unit":"{unit}","side":"{side}","value":{value}}}"#
                );
            }
        }
    }
}

fn cost(size: u64) -> Cost {
    let config = ServerConfig {
        seed: size,
        interval: INTERVAL,
        ..ServerConfig::default()
    };
    let mut world = World {
        tracker: Tracker::new(config),
        now: Instant::from_micros(1),
        cost: Cost::default(),
    };
    for peer in 0..size {
        world.join(peer);
        world.now += INTERVAL / size as u32;
    }
    world.cost = Cost::default();
    let before = process::cpu_of("self");
    for round in 0..JOINS {
        // One comes and the oldest goes, at the pace of a swarm that is renewed in an interval.
        world
            .tracker
            .handle_input(world.now, Input::Closed(ConnKey(round)));
        world.now += INTERVAL / size as u32;
        world.join(size + round);
    }
    let spent = process::cpu_of("self").saturating_sub(before);
    let joins = JOINS as f64;
    Cost {
        messages: world.cost.messages / joins,
        bytes: world.cost.bytes / joins,
        micros: spent.as_secs_f64() * 1e6 / joins,
    }
}

struct World {
    tracker: Tracker,
    now: Instant,
    cost: Cost,
}

impl World {
    fn join(&mut self, peer: u64) {
        self.tracker
            .handle_input(self.now, Input::Connected(ConnKey(peer)));
        let offers: Vec<String> = (0..OFFERS)
            .map(|n| {
                format!(
                    r#"{{"offer":{{"type":"offer","sdp":"{SDP}"}},"offer_id":"{peer:014}{n:06}"}}"#
                )
            })
            .collect();
        let text = format!(
            r#"{{"numwant":5,"uploaded":0,"downloaded":0,"left":100,"event":"started","action":"announce","info_hash":"{:020}","peer_id":"{peer:020}","offers":[{}]}}"#,
            0,
            offers.join(",")
        );
        for (to, text) in self.tell(peer, &text) {
            let value = |name: &str| text.split_once(name).and_then(|(_, rest)| rest.get(..20));
            if let Some(offer_id) = value(r#""offer_id":""#) {
                let answer = format!(
                    r#"{{"action":"announce","info_hash":"{:020}","peer_id":"{to:020}","to_peer_id":"{peer:020}","answer":{{"type":"answer","sdp":"{SDP}"}},"offer_id":"{offer_id}"}}"#,
                    0
                );
                self.tell(to, &answer);
            }
        }
    }

    /// Say it, and take what the tracker says to whom.
    fn tell(&mut self, from: u64, text: &str) -> Vec<(u64, String)> {
        self.count(text);
        self.tracker
            .handle_input(self.now, Input::Received(ConnKey(from), text));
        let mut said = Vec::new();
        while let Some(output) = self.tracker.poll_output() {
            if let Output::Send(ConnKey(to), text) = output {
                self.count(&text);
                said.push((to, text));
            }
        }
        said
    }

    fn count(&mut self, text: &str) {
        self.cost.messages += 1.0;
        self.cost.bytes += text.len() as f64;
    }
}
