//! Origins in a browser: web servers that have a torrent's files.
//!
//! What to ask of them is the core's affair, and `web/src/origins.ts` asks, and judges answers by their
//! heads. Here is what lies between: which of them a torrent may lead us to.

use headwater_core::ids::OriginId;
use headwater_core::swarm::{Input, Swarm};
use headwater_core::time::Instant;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// What fetches in the worker.
    #[derive(Clone, Debug)]
    pub(crate) type Fetcher;

    /// Fetches a range of a file of `length` bytes. What comes of it comes as messages.
    #[wasm_bindgen(method)]
    pub(crate) fn begin(
        this: &Fetcher,
        torrent: u32,
        ticket: f64,
        url: &str,
        start: f64,
        end: f64,
        length: f64,
    );
    /// Nobody needs it any more.
    #[wasm_bindgen(method)]
    pub(crate) fn end(this: &Fetcher, torrent: u32, ticket: f64);
    /// Whether a torrent, which came from `home` if that is an address, may lead us there.
    #[wasm_bindgen(method)]
    fn may(this: &Fetcher, url: &str, home: &str) -> bool;
}

/// What a fetch did.
#[derive(Debug)]
pub(crate) enum FetchDid {
    /// It is over, with a reason if not all came.
    End(Option<String>),
    Send(Vec<u8>),
}

impl Fetcher {
    /// Those of the web seeds that a torrent names that may be asked.
    pub(crate) fn allowed(&self, seeds: &[String], home: &str) -> Vec<String> {
        let may = seeds.iter().filter(|url| self.may(url, home));
        may.cloned().collect()
    }
}

/// Tells a swarm of its origins.
pub(crate) fn tell(now: Instant, swarm: &mut Swarm, origins: Vec<String>) {
    for (origin, url) in (0..).map(OriginId).zip(origins) {
        swarm.handle_input(now, Input::OriginAdded { origin, url });
    }
}
