//! One `setTimeout` for the earliest moment at which anything wants to be called.
//!
//! A hidden tab throttles it. Nothing on the data path hangs on it: due timeouts are also
//! handled with every other event.

use headwater_core::time::Instant;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};

use crate::clock::scope;
use crate::host::{Happened, Host};

/// The least wait, so that a moment already past cannot keep the worker spinning.
const LEAST_MS: i32 = 1;

#[derive(Debug)]
pub(crate) struct Timer {
    rings: Closure<dyn FnMut()>,
    armed: Option<(i32, Instant)>,
}

impl Timer {
    pub(crate) fn new(host: &Host) -> Self {
        let host = host.clone();
        Self {
            rings: Closure::new(move || host.happened(Happened::TimedOut)),
            armed: None,
        }
    }

    /// Has the worker called at `due`, or sooner if it was to be called sooner anyway.
    pub(crate) fn arm(&mut self, now: Instant, due: Instant) -> Result<(), JsValue> {
        match self.armed {
            // Too early costs nothing: it is armed anew then.
            Some((_, armed)) if armed <= due => return Ok(()),
            Some((id, _)) => scope().clear_timeout_with_handle(id),
            None => {}
        }
        let millis = i32::try_from(due.since(now).as_micros().div_ceil(1000))
            .unwrap_or(i32::MAX)
            .max(LEAST_MS);
        let callback = self.rings.as_ref().unchecked_ref();
        let id = scope().set_timeout_with_callback_and_timeout_and_arguments_0(callback, millis)?;
        self.armed = Some((id, due));
        Ok(())
    }

    /// It has rung.
    pub(crate) fn disarm(&mut self) {
        self.armed = None;
    }
}
