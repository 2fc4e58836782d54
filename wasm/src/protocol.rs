//! The messages between the page and this worker.
//!
//! Types and their conversion only. Bytes, ports and channels are taken from a message and put
//! into it as they are; everything else goes by serde. Names are the contract of `web/src/protocol.ts`.

use headwater_core::ids::{PeerKey, Ticket};
use headwater_core::json;
use headwater_core::swarm::{Event, PeerStats, Stats};
use headwater_core::tracker::client;
use js_sys::{Array, ArrayBuffer, Function, JSON, Object, Reflect, Uint8Array};
use serde::Serialize;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, DedicatedWorkerGlobalScope, MessagePort, RtcDataChannel};

use crate::clock::scope;
use crate::giving::Limits;
use crate::origins::{FetchDid, Fetcher};
use crate::reports::{Driver, Metadata, Pieces};

/// What the worker is started with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Milliseconds between two reports of a torrent.
    pub(crate) stats_every_ms: u32,
    /// What all torrents together may give.
    pub(crate) limits: Limits,
    /// Opens what pieces are kept on.
    pub(crate) open_shelf: Option<Function>,
    /// Fetches from web servers.
    pub(crate) fetcher: Fetcher,
}

impl Config {
    pub(crate) fn read(config: &JsValue) -> Self {
        Self {
            stats_every_ms: number(config, "statsEveryMs")
                .map_or(500, |ms| ms as u32)
                .max(50),
            limits: limits(config),
            open_shelf: object(config, "openShelf"),
            fetcher: field(config, "fetcher").unchecked_into(),
        }
    }
}

/// Page → worker.
#[derive(Debug)]
pub(crate) enum FromPage {
    Add(Add),
    /// Film that a player has and has not played, in milliseconds.
    Ahead(u32, u32),
    AnswerMade(PeerKey, String),
    Buffered(PeerKey, usize),
    Channel(PeerKey, RtcDataChannel),
    ChannelClosed(PeerKey),
    ChannelForwarded(PeerKey),
    ChannelOpened(PeerKey),
    ConnectionFailed(PeerKey, String),
    /// Not the page: what fetches in this worker.
    Fetch(u32, Ticket, FetchDid),
    Limits(u32, Limits),
    OfferMade(PeerKey, String),
    Received(PeerKey, JsValue),
    /// A torrent, and whether what was kept of it goes, too.
    Remove(u32, bool),
    Select {
        torrent: u32,
        file: u32,
        selected: bool,
    },
    Share(u32, Share),
    Streams(MessagePort),
}

/// A torrent the page wants.
#[derive(Debug)]
pub(crate) struct Add {
    pub(crate) torrent: u32,
    pub(crate) source: AddSource,
    pub(crate) trackers: Vec<String>,
    /// Web servers that have its files, by the page's word.
    pub(crate) origins: Vec<String>,
    /// Whether those that the torrent names are asked, too.
    pub(crate) web_seeds: bool,
    /// Where its .torrent file is, if the page said so.
    pub(crate) home: String,
    pub(crate) window_bytes: u64,
    pub(crate) max_peers: usize,
    pub(crate) share: Share,
    pub(crate) limits: Limits,
    /// Files that are not to be read.
    pub(crate) deselected: Vec<u32>,
    /// How pieces are kept, for `openShelf`; undefined if they are not.
    pub(crate) keep: JsValue,
}

/// What a torrent gives and takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Share {
    /// Nobody is spoken to.
    Off,
    /// It takes and does not give.
    Download,
    /// It takes and gives.
    Full,
}

impl Share {
    fn read(message: &JsValue) -> Option<Self> {
        Some(match text(message, "share")?.as_str() {
            "off" => Self::Off,
            "download" => Self::Download,
            "share" => Self::Full,
            _ => return None,
        })
    }
}

/// Where the page says that a torrent comes from.
#[derive(Debug)]
pub(crate) enum AddSource {
    Magnet(String),
    Metainfo(Vec<u8>),
    /// With the answer to the request for it, if that is out.
    Url(String),
    /// A torrent of files of the page, and these by their numbers in it; padding has none.
    Seeded(Vec<u8>, Vec<Option<Blob>>),
}

impl FromPage {
    /// What `message` says; `None` if it is none of ours.
    pub(crate) fn read(message: &JsValue) -> Option<Self> {
        let peer = || number(message, "peer").map(|peer| PeerKey(peer as u64));
        Some(match text(message, "kind")?.as_str() {
            "add" => Self::Add(Add::read(message)?),
            "ahead" => Self::Ahead(
                number(message, "torrent")? as u32,
                (field(message, "seconds").as_f64()? * 1000.0) as u32,
            ),
            "answerMade" => Self::AnswerMade(peer()?, text(message, "sdp")?),
            "buffered" => Self::Buffered(peer()?, number(message, "amount")? as usize),
            "channel" => Self::Channel(peer()?, object(message, "channel")?),
            "channelClosed" => Self::ChannelClosed(peer()?),
            "channelForwarded" => Self::ChannelForwarded(peer()?),
            "channelOpened" => Self::ChannelOpened(peer()?),
            "connectionFailed" => {
                Self::ConnectionFailed(peer()?, text(message, "reason").unwrap_or_default())
            }
            "fetched" => Self::Fetch(
                number(message, "torrent")? as u32,
                Ticket(number(message, "ticket")? as u64),
                match bytes(message, "bytes") {
                    Some(bytes) => FetchDid::Send(bytes),
                    None => FetchDid::End(text(message, "reason")),
                },
            ),
            "limits" => Self::Limits(number(message, "torrent")? as u32, limits(message)),
            "offerMade" => Self::OfferMade(peer()?, text(message, "sdp")?),
            "received" => Self::Received(peer()?, field(message, "bytes")),
            "remove" => Self::Remove(
                number(message, "torrent")? as u32,
                field(message, "forget").is_truthy(),
            ),
            "select" => Self::Select {
                torrent: number(message, "torrent")? as u32,
                file: number(message, "file")? as u32,
                selected: field(message, "selected").as_bool()?,
            },
            "share" => Self::Share(number(message, "torrent")? as u32, Share::read(message)?),
            "streams" => Self::Streams(object(message, "port")?),
            _ => return None,
        })
    }
}

impl Add {
    fn read(message: &JsValue) -> Option<Self> {
        Some(Self {
            torrent: number(message, "torrent")? as u32,
            source: AddSource::read(&field(message, "source"))?,
            trackers: texts(message, "trackers"),
            origins: texts(message, "origins"),
            web_seeds: field(message, "webSeeds").as_bool().unwrap_or(true),
            home: text(&field(message, "source"), "url").unwrap_or_default(),
            window_bytes: number(message, "windowBytes")? as u64,
            max_peers: number(message, "maxPeers")? as usize,
            share: Share::read(message)?,
            limits: limits(message),
            deselected: array(message, "deselected")
                .iter()
                .filter_map(|file| file.as_f64())
                .map(|file| file as u32)
                .collect(),
            keep: field(message, "keep"),
        })
    }
}

impl AddSource {
    fn read(source: &JsValue) -> Option<Self> {
        Some(match text(source, "kind")?.as_str() {
            "magnet" => Self::Magnet(text(source, "uri")?),
            "metainfo" => Self::Metainfo(bytes(source, "bytes")?),
            "url" => Self::Url(text(source, "url")?),
            "seeded" => Self::Seeded(
                bytes(source, "bytes")?,
                array(source, "files")
                    .iter()
                    .map(|file| file.dyn_into().ok())
                    .collect(),
            ),
            _ => return None,
        })
    }
}

/// Worker → page, all but the bytes.
///
/// One type for all: a generic one would be compiled, and downloaded, once for each thing it can hold.
#[derive(Debug, Serialize)]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum ToPage<'a> {
    AcceptOffer {
        torrent: u32,
        peer: u64,
        sdp: &'a str,
        /// Whether the channel must stay on the page: the peer may speak before the channel is here.
        forward: bool,
    },
    ApplyAnswer {
        peer: u64,
        sdp: &'a str,
    },
    Drop {
        peer: u64,
    },
    Error {
        #[serde(skip_serializing_if = "Option::is_none")]
        torrent: Option<u32>,
        code: &'a str,
        message: &'a str,
    },
    Events {
        torrent: u32,
        events: Vec<Event>,
    },
    MakeOffer {
        torrent: u32,
        peer: u64,
    },
    Metadata {
        torrent: u32,
        metadata: Metadata<'a>,
    },
    Ready,
    /// With each piece's state and source as `states` and `sources`.
    Stats {
        torrent: u32,
        stats: Stats,
        driver: Driver,
        peers: Vec<PeerStats>,
        pieces: Pieces,
    },
    Tracker {
        torrent: u32,
        tracker: client::Event,
    },
}

/// Why something was not done: a word for programs and a sentence for people.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

/// The page that made this worker.
#[derive(Clone, Debug)]
pub(crate) struct Page(DedicatedWorkerGlobalScope);

impl Page {
    pub(crate) fn new() -> Self {
        Self(scope())
    }

    /// Posts `message`.
    pub(crate) fn tell(&self, message: &ToPage<'_>) {
        let posted = self.0.post_message(&to_js(message));
        debug_assert!(posted.is_ok(), "every message is made of plain values");
    }

    /// Posts `message` with bytes by name, which are not for JSON.
    pub(crate) fn tell_with(&self, message: &ToPage<'_>, all: &[(&str, &[u8])]) {
        let (message, buffers) = (to_js(message), Array::new());
        for (name, bytes) in all {
            let bytes = Uint8Array::from(*bytes);
            buffers.push(&bytes.buffer());
            let set = Reflect::set(&message, &JsValue::from_str(name), &bytes);
            debug_assert!(set.is_ok(), "a message is an object");
        }
        let posted = self.0.post_message_with_transfer(&message, &buffers);
        debug_assert!(posted.is_ok(), "a fresh buffer can be transferred");
    }

    /// Posts why something about `torrent` was not done.
    pub(crate) fn refuse(&self, torrent: Option<u32>, refusal: &Refusal) {
        let Refusal { code, message } = refusal;
        self.tell(&ToPage::Error {
            torrent,
            code,
            message,
        });
    }

    /// Has the page send `bytes` on a channel of its own.
    pub(crate) fn send(&self, peer: PeerKey, bytes: &[u8]) -> Result<(), JsValue> {
        let message = Object::new();
        let buffer = Uint8Array::from(bytes).buffer();
        Reflect::set(&message, &"kind".into(), &"send".into())?;
        Reflect::set(&message, &"peer".into(), &(peer.0 as f64).into())?;
        Reflect::set(&message, &"bytes".into(), &buffer)?;
        self.0
            .post_message_with_transfer(&message, &Array::of1(&buffer))
    }
}

/// `value` as plain JavaScript: objects, arrays, numbers, strings.
///
/// By way of JSON, which the browser reads faster than an object is put together from here.
pub(crate) fn to_js<T: Serialize + ?Sized>(value: &T) -> JsValue {
    let read = JSON::parse(&json::to_string(value));
    debug_assert!(read.is_ok(), "what is written as JSON is JSON");
    read.unwrap_or_default()
}

/// A field as it is; undefined if there is none.
pub(crate) fn field(message: &JsValue, name: &str) -> JsValue {
    Reflect::get(message, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

pub(crate) fn text(message: &JsValue, name: &str) -> Option<String> {
    field(message, name).as_string()
}

/// A number that counts something: whole, not negative, exact.
pub(crate) fn number(message: &JsValue, name: &str) -> Option<f64> {
    field(message, name)
        .as_f64()
        .filter(|number| is_count(*number))
}

pub(crate) fn object<T: JsCast>(message: &JsValue, name: &str) -> Option<T> {
    field(message, name).dyn_into().ok()
}

/// What an array of strings holds; nothing if it is none.
fn texts(message: &JsValue, name: &str) -> Vec<String> {
    let all = array(message, name);
    all.iter().filter_map(|text| text.as_string()).collect()
}

fn array(message: &JsValue, name: &str) -> Array {
    object(message, name).unwrap_or_default()
}

fn limits(message: &JsValue) -> Limits {
    let limits = field(message, "limits");
    Limits {
        rate: number(&limits, "uploadRate").map_or(0, |rate| rate as u64),
        bytes: number(&limits, "uploadBytes").map(|bytes| bytes as u64),
    }
}

fn bytes(message: &JsValue, name: &str) -> Option<Vec<u8>> {
    let value = field(message, name);
    match value.dyn_ref::<Uint8Array>() {
        Some(bytes) => Some(bytes.to_vec()),
        None => value
            .dyn_ref::<ArrayBuffer>()
            .map(|buffer| Uint8Array::new(buffer).to_vec()),
    }
}

/// Whether a JavaScript number is a whole number that it holds exactly.
fn is_count(number: f64) -> bool {
    (0.0..=9_007_199_254_740_991.0).contains(&number) && number.fract() == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_whole_and_exact() {
        assert!(
            [0.0, 1.0, 65_536.0, 9_007_199_254_740_991.0]
                .into_iter()
                .all(is_count)
        );
        assert!(
            ![-1.0, 0.5, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0]
                .into_iter()
                .any(is_count)
        );
    }
}
