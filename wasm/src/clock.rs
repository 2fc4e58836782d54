//! The worker's clock and its luck, as the core wants to be told them.

use headwater_core::time::Instant;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, Performance};

/// The worker's own global scope.
pub(crate) fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// `performance.now()`: monotonic, from the worker's start.
#[derive(Debug)]
pub(crate) struct Clock(Performance);

impl Clock {
    /// The clock of `scope`.
    ///
    /// # Errors
    /// If it has none.
    pub(crate) fn of(scope: &DedicatedWorkerGlobalScope) -> Result<Self, JsValue> {
        scope
            .performance()
            .map(Self)
            .ok_or_else(|| JsValue::from_str("there is no performance.now() here"))
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis_f64(self.0.now())
    }
}

/// `N` bytes from the platform's generator.
///
/// # Errors
/// If there is none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], JsValue> {
    let mut bytes = [0; N];
    scope()
        .crypto()?
        .get_random_values_with_u8_array(&mut bytes)?;
    Ok(bytes)
}
