//! Headwater's engine in a dedicated worker: the core's driver on web-sys.
//!
//! It owns the data channels, the trackers' sockets, the timer and the streams' ports; the core
//! decides everything. The page only makes connections. Nothing here knows what a piece is for.

#![cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "only a browser runs it")
)]

mod clock;
mod engine;
mod fetch;
mod giving;
mod host;
mod keep;
mod link;
mod mime;
mod origins;
mod protocol;
mod range;
mod reports;
mod source;
mod storage;
mod streams;
mod timer;
mod torrent;
mod tracker_socket;

use wasm_bindgen::prelude::*;

use crate::engine::Engine;
use crate::host::Host;
use crate::protocol::Config;
#[cfg(debug_assertions)]
use crate::protocol::{Page, Refusal};

/// Takes over the worker: from here on its messages come to the engine.
///
/// `config` is `{statsEveryMs, limits, openShelf}`.
///
/// # Errors
/// If this is no worker that can run it.
#[wasm_bindgen]
pub fn start(config: &JsValue) -> Result<(), JsValue> {
    // As pages download it, the engine has no words for a fault of its own: it traps, and the page is told.
    #[cfg(debug_assertions)]
    std::panic::set_hook(Box::new(|panic| give_up(&panic.to_string())));
    let host = Host::default();
    host.house(Engine::new(Config::read(config), &host)?);
    Ok(())
}

/// The engine has a fault of its own. It is of no use any more, and must not go on taking messages.
#[cfg(debug_assertions)]
fn give_up(panic: &str) {
    Page::new().refuse(
        None,
        &Refusal::new("engineFailed", format!("The engine failed: {panic}")),
    );
    clock::scope().close();
}
