//! A .torrent file from its URL.

use headwater_core::metainfo::Limits;
use js_sys::{Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast as _, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortSignal, ReadableStreamDefaultReader, RequestCredentials, RequestInit, Response,
};

use crate::clock::scope;
use crate::host::{Happened, Host};
use crate::protocol::{Refusal, field};

/// The longest a server may take, from the request to the last byte.
const PATIENCE_MS: u32 = 30_000;

/// The longest .torrent file we take.
const MAX_TORRENT_BYTES: usize = Limits::BROWSER.torrent_bytes;

/// Begins to fetch `url`; the engine is told when it is there, or why it is not.
pub(crate) fn begin(torrent: u32, url: String, host: &Host) {
    let host = host.clone();
    spawn_local(async move {
        let fetched = fetch(&url).await;
        host.happened(Happened::Fetched(torrent, fetched));
    });
}

fn ask(url: &str) -> Promise {
    let init = RequestInit::new();
    init.set_credentials(RequestCredentials::Omit);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(PATIENCE_MS)));
    scope().fetch_with_str_and_init(url, &init)
}

async fn fetch(url: &str) -> Result<Vec<u8>, Refusal> {
    let failed =
        |reason: String| Refusal::new("fetchFailed", format!("Could not fetch {url}: {reason}."));
    let response: Response = wait(ask(url)).await.map_err(failed)?.unchecked_into();
    if !response.ok() {
        return Err(failed(format!(
            "the server answered {} {}",
            response.status(),
            response.status_text()
        )));
    }
    let Some(body) = response.body() else {
        return Ok(Vec::new());
    };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let chunk = wait(reader.read()).await.map_err(failed)?;
        let Ok(chunk) = field(&chunk, "value").dyn_into::<Uint8Array>() else {
            return Ok(bytes);
        };
        if bytes.len() + chunk.length() as usize > MAX_TORRENT_BYTES {
            let _ = reader.cancel();
            let limit = MAX_TORRENT_BYTES >> 20;
            return Err(Refusal::new(
                "tooLarge",
                format!("{url} is longer than {limit} MiB: too long for a torrent, if it is one."),
            ));
        }
        let start = bytes.len();
        bytes.resize(start + chunk.length() as usize, 0);
        chunk.copy_to(&mut bytes[start..]);
    }
}

/// What a promise comes to, or what its error says.
async fn wait(promise: Promise) -> Result<JsValue, String> {
    JsFuture::from(promise).await.map_err(|error| {
        let message = Reflect::get(&error, &"message".into())
            .ok()
            .and_then(|message| message.as_string());
        message.unwrap_or_else(|| "the network failed".to_owned())
    })
}
