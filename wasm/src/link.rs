//! A peer's data channel: owned here, or left on the page, which then carries its messages.
//!
//! A byte pipe with room. What the bytes mean is the swarm's affair.

use headwater_core::ids::PeerKey;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{
    Event, MessageChannel, MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType,
};

use crate::host::{Happened, Host, PeerDid};
use crate::protocol::Page;

/// The most bytes left in a channel's send buffer: more would be stale by the time they leave.
const HIGH_BYTES: usize = 256 << 10;

/// When a channel's buffer falls this low it asks for more. Never 0: the wire would stand still meanwhile.
const LOW_BYTES: usize = 64 << 10;

/// The longest message we take: what browsers say they take themselves.
const MAX_MESSAGE: usize = 256 << 10;

/// Messages that were read are let go when they have so many bytes together.
const READ_BYTES: usize = 1 << 20;

/// A message of fewer bytes is left to the collector.
const SHORT_MESSAGE: usize = 4 << 10;

/// One peer's channel.
#[derive(Debug)]
pub(crate) struct Link {
    carrier: Carrier,
    pub(crate) is_open: bool,
    /// What the swarm believes there is: what it was told last, less what it sent since.
    believed_room: usize,
}

#[derive(Debug)]
enum Carrier {
    Channel(Channel),
    Page(Forwarded),
}

impl Link {
    /// A channel that was transferred to us. It may be open already.
    pub(crate) fn over_channel(peer: PeerKey, channel: RtcDataChannel, host: &Host) -> Self {
        Self {
            carrier: Carrier::Channel(Channel::new(peer, channel, host)),
            is_open: false,
            believed_room: 0,
        }
    }

    /// A channel that stays on the page.
    pub(crate) fn over_page(peer: PeerKey, page: &Page) -> Self {
        let forwarded = Forwarded {
            peer,
            page: page.clone(),
            buffered: 0,
            on_the_way: Vec::new(),
        };
        Self {
            carrier: Carrier::Page(forwarded),
            is_open: false,
            believed_room: 0,
        }
    }

    /// Whether the channel was open when it came, and so will never say that it opens.
    pub(crate) fn was_opened(&self) -> bool {
        match &self.carrier {
            Carrier::Channel(channel) => channel.channel.ready_state() == RtcDataChannelState::Open,
            Carrier::Page(_) => false,
        }
    }

    /// Bytes it can take now, and has taken; `None` if the swarm knows that already.
    pub(crate) fn news_of_room(&mut self) -> Option<(usize, usize)> {
        let queued = self.queued();
        let room = HIGH_BYTES.saturating_sub(queued);
        let is_news = room != self.believed_room;
        self.believed_room = room;
        // When less than this is left is not said.
        is_news.then_some((room, queued.saturating_sub(LOW_BYTES)))
    }

    /// The same, asked only where the swarm believes that more is left than that. (That the buffer is
    /// low is said only if it was high.)
    pub(crate) fn news_of_more_room(&mut self) -> Option<(usize, usize)> {
        if self.believed_room >= HIGH_BYTES - LOW_BYTES {
            None
        } else {
            self.news_of_room()
        }
    }

    fn queued(&self) -> usize {
        match &self.carrier {
            Carrier::Channel(channel) => channel.channel.buffered_amount() as usize,
            Carrier::Page(forwarded) => {
                forwarded.buffered + forwarded.on_the_way.iter().sum::<usize>()
            }
        }
    }

    /// Sends `bytes` as one message.
    ///
    /// # Errors
    /// If the channel takes no more: it is closed, or its buffer is full.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.believed_room = self.believed_room.saturating_sub(bytes.len());
        match &mut self.carrier {
            Carrier::Channel(channel) => channel.channel.send_with_u8_array(bytes),
            Carrier::Page(forwarded) => forwarded.send(bytes),
        }
    }

    /// The page says how much its channel has buffered, after having sent one of our messages.
    pub(crate) fn handle_buffered(&mut self, amount: usize) {
        if let Carrier::Page(forwarded) = &mut self.carrier {
            forwarded
                .on_the_way
                .drain(..1.min(forwarded.on_the_way.len()));
            forwarded.buffered = amount;
        }
    }
}

/// The handlers of a channel that lives in this worker; dropped, they are taken off it.
#[derive(Debug)]
struct Channel {
    channel: RtcDataChannel,
    _on_event: Closure<dyn FnMut(Event)>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
}

impl Channel {
    fn new(peer: PeerKey, channel: RtcDataChannel, host: &Host) -> Self {
        let on_event = host.callback(move |event: Event| {
            Happened::Peer(
                peer,
                match event.type_().as_str() {
                    "open" => PeerDid::Open,
                    "bufferedamountlow" => PeerDid::Drain,
                    _ => PeerDid::Close,
                },
            )
        });
        let on_message = host
            .callback(move |event: MessageEvent| Happened::Peer(peer, PeerDid::Send(event.data())));
        channel.set_binary_type(RtcDataChannelType::Arraybuffer);
        channel.set_buffered_amount_low_threshold(LOW_BYTES as u32);
        let handler = Some(on_event.as_ref().unchecked_ref());
        channel.set_onopen(handler);
        channel.set_onclose(handler);
        channel.set_onerror(handler);
        channel.set_onbufferedamountlow(handler);
        channel.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        Self {
            channel,
            _on_event: on_event,
            _on_message: on_message,
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.channel.set_onopen(None);
        self.channel.set_onclose(None);
        self.channel.set_onerror(None);
        self.channel.set_onbufferedamountlow(None);
        self.channel.set_onmessage(None);
        self.channel.close();
    }
}

/// What is known of a channel on the page.
#[derive(Debug)]
struct Forwarded {
    peer: PeerKey,
    page: Page,
    /// What the page last said that the channel had buffered.
    buffered: usize,
    /// Messages posted to the page of which it has not said yet that it sent them.
    on_the_way: Vec<usize>,
}

impl Forwarded {
    fn send(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.on_the_way.push(bytes.len());
        self.page.send(self.peer, bytes)
    }
}

/// Where the bytes of one message are copied to, before the swarm reads them; and the messages that
/// were read.
///
/// A browser frees a message's memory when it collects its own objects, which it does seldom while
/// there are few: tens of MiB of film lay there. What is transferred to a port that closes is freed at
/// once. (`ArrayBuffer.prototype.transfer` frees nothing in Chromium: it has a second reference.)
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    copy: Vec<u8>,
    read: Array,
    read_bytes: usize,
}

impl Scratch {
    /// The bytes of a message; `None` if it is text, or longer than any browser sends.
    pub(crate) fn read(&mut self, message: &JsValue) -> Option<&[u8]> {
        let bytes = Uint8Array::new(message.dyn_ref::<ArrayBuffer>()?);
        let length = bytes.length() as usize;
        if length > MAX_MESSAGE {
            return None;
        }
        if self.copy.len() < length {
            self.copy.resize(length.next_power_of_two(), 0);
        }
        bytes.copy_to(&mut self.copy[..length]);
        if length >= SHORT_MESSAGE {
            self.read.push(message);
            self.read_bytes += length;
        }
        if self.read_bytes >= READ_BYTES {
            self.let_go();
        }
        Some(&self.copy[..length])
    }

    /// Has the browser free the memory of what was read.
    fn let_go(&mut self) {
        self.read_bytes = 0;
        let read = std::mem::take(&mut self.read);
        if let Ok(nowhere) = MessageChannel::new() {
            let sent = nowhere
                .port1()
                .post_message_with_transferable(&JsValue::NULL, &read);
            debug_assert!(sent.is_ok(), "nobody else has a message's buffer");
            nowhere.port1().close();
            nowhere.port2().close();
        }
    }
}
