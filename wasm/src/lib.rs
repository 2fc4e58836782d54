//! Headwater's engine in a dedicated worker: the core's driver on web-sys.

use wasm_bindgen::prelude::*;

/// Takes over the worker.
#[wasm_bindgen]
pub fn start(config: JsValue) {
    let _ = config;
}
