//! The way from JavaScript's callbacks into the engine.
//!
//! Whatever happens becomes a value and is handled alone: what happens meanwhile waits in line.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use headwater_core::ids::{PeerKey, ReaderId};
use headwater_core::tracker::client::TrackerKey;
use js_sys::Object;
use wasm_bindgen::JsValue;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::convert::FromWasmAbi;
use web_sys::MessageEvent;

use crate::engine::Engine;
use crate::protocol::Refusal;

/// What has happened.
#[derive(Debug)]
pub(crate) enum Happened {
    /// A stream port wants a file.
    Asked(MessageEvent),
    Fetched(u32, Result<Vec<u8>, Refusal>),
    /// The page said something.
    Told(MessageEvent),
    Peer(PeerKey, PeerDid),
    Reader(u32, ReaderId, ReaderDid),
    /// Where a torrent's pieces are kept is open; `None` while it is not to be had.
    Shelf(u32, Option<Object>),
    TimedOut,
    Tracker(u32, TrackerKey, TrackerDid),
}

/// What a peer's channel did.
#[derive(Debug)]
pub(crate) enum PeerDid {
    Close,
    Drain,
    Open,
    /// An `ArrayBuffer`, if it is binary.
    Send(JsValue),
}

/// What the far end of a stream's port did.
#[derive(Debug)]
pub(crate) enum ReaderDid {
    Cancel,
    Pull,
}

/// What a tracker's socket did.
#[derive(Debug)]
pub(crate) enum TrackerDid {
    Close(String),
    Open,
    Send(String),
}

/// Where callbacks leave what happened. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host(Rc<Place>);

#[derive(Debug, Default)]
struct Place {
    engine: RefCell<Option<Engine>>,
    line: RefCell<VecDeque<Happened>>,
}

impl Host {
    /// Moves the engine in.
    pub(crate) fn house(&self, engine: Engine) {
        *self.0.engine.borrow_mut() = Some(engine);
    }

    /// Has the engine handle `what`, now, or after what it is at.
    pub(crate) fn happened(&self, what: Happened) {
        self.0.line.borrow_mut().push_back(what);
        let Ok(mut engine) = self.0.engine.try_borrow_mut() else {
            return;
        };
        let Some(engine) = engine.as_mut() else {
            return;
        };
        loop {
            // The borrow of the line must end before the engine is called.
            let Some(next) = self.0.line.borrow_mut().pop_front() else {
                return;
            };
            engine.handle(next);
        }
    }

    /// A callback that tells the engine what `read` makes of its argument.
    pub(crate) fn callback<T: FromWasmAbi + 'static>(
        &self,
        mut read: impl FnMut(T) -> Happened + 'static,
    ) -> Closure<dyn FnMut(T)> {
        let host = self.clone();
        Closure::new(move |argument| host.happened(read(argument)))
    }
}
