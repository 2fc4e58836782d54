//! A tracker's WebSocket: text in, text out.

use headwater_core::tracker::client::TrackerKey;
use js_sys::JsString;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{CloseEvent, Event, MessageEvent, WebSocket};

use crate::host::{Happened, Host, TrackerDid};

/// The longest message a tracker may send, in UTF-16 units.
const MAX_MESSAGE: u32 = 64 << 10;

/// Dropped, it is closed, and says nothing more.
#[derive(Debug)]
pub(crate) struct TrackerSocket {
    socket: WebSocket,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_open: Closure<dyn FnMut(Event)>,
}

impl TrackerSocket {
    /// Begins to connect.
    ///
    /// # Errors
    /// If the browser refuses: no such URL, or an unsafe one from a safe page.
    pub(crate) fn open(
        torrent: u32,
        tracker: TrackerKey,
        url: &str,
        host: &Host,
    ) -> Result<Self, JsValue> {
        let socket = WebSocket::new(url)?;
        let did = move |what| Happened::Tracker(torrent, tracker, what);
        let on_open = host.callback(move |_: Event| did(TrackerDid::Open));
        let on_message = host.callback(move |event: MessageEvent| did(read(&event.data())));
        let on_close =
            host.callback(move |event: CloseEvent| did(TrackerDid::Close(reason(&event))));
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));
        Ok(Self {
            socket,
            _on_close: on_close,
            _on_message: on_message,
            _on_open: on_open,
        })
    }

    /// Sends one message; one that the socket does not take is lost with the socket.
    pub(crate) fn send(&self, message: &str) {
        let _ = self.socket.send_with_str(message);
    }
}

impl Drop for TrackerSocket {
    fn drop(&mut self) {
        self.socket.set_onopen(None);
        self.socket.set_onmessage(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

fn read(message: &JsValue) -> TrackerDid {
    match message.dyn_ref::<JsString>() {
        Some(text) if text.length() <= MAX_MESSAGE => TrackerDid::Send(text.into()),
        Some(_) => TrackerDid::Close("it sent a message that is too long".to_owned()),
        None => TrackerDid::Close("it sent a message that is no text".to_owned()),
    }
}

fn reason(event: &CloseEvent) -> String {
    match (event.code(), event.reason()) {
        // RFC 6455, 7.4.1: no close frame came; browsers do not tell pages more.
        (1006, _) => "it cannot be reached".to_owned(),
        (code, reason) if reason.is_empty() => format!("it closed the connection ({code})"),
        (code, reason) => format!("it closed the connection ({code}: {reason})"),
    }
}
