//! The ports on which readers pull a torrent's bytes.
//!
//! A port gets a head, and then one answer to each pull: data, the end, or an error. Nothing is
//! sent that was not pulled.

use std::ops::Range;

use headwater_core::ids::ReaderId;
use headwater_core::layout::{FileIndex, Layout};
use headwater_core::ordered::Map;
use headwater_core::time::Instant;
use js_sys::{Array, Object, Reflect, Uint8Array};
use serde::Serialize;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Event, MessageEvent, MessagePort};

use crate::host::{Happened, Host, ReaderDid};
use crate::protocol::{Refusal, field, number, object, text, to_js};
use crate::{mime, range};

/// The most bytes one pull is answered with.
pub(crate) const PULL_BYTES: usize = 256 << 10;

/// Readers open at once, of one torrent. One more, and the one that has not pulled for longest
/// goes: a service worker that was stopped leaves readers behind that nobody will ever close.
const MAX_STREAMS: usize = 32;

/// Pulls a reader may have out at once.
const MAX_PULLS: u32 = 16;

/// A wish to read, as it came on a control port.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) torrent: u32,
    file: FileName,
    start: Option<u64>,
    end: Option<u64>,
    port: MessagePort,
}

/// How a wish names its file.
#[derive(Debug)]
enum FileName {
    Number(u32),
    /// Folders and name: what a playlist says of its segments.
    Path(Vec<String>),
}

impl FileName {
    fn read(message: &JsValue) -> Option<Self> {
        let path = field(message, "path");
        match path.dyn_ref::<Array>() {
            Some(path) => Some(Self::Path(
                path.iter().filter_map(|name| name.as_string()).collect(),
            )),
            None => number(message, "file").map(|file| Self::Number(file as u32)),
        }
    }

    fn find(&self, layout: &Layout) -> Option<FileIndex> {
        match self {
            Self::Number(number) => layout.file(*number),
            Self::Path(path) => layout
                .content_files()
                .find(|(_, entry)| entry.path == *path)
                .map(|(file, _)| file),
        }
    }
}

impl Wish {
    /// What a control port's message wants; `None` if it is none of ours.
    pub(crate) fn read(message: &JsValue) -> Option<Self> {
        if text(message, "kind")? != "open" {
            return None;
        }
        Some(Self {
            torrent: number(message, "torrent")? as u32,
            file: FileName::read(message)?,
            start: number(message, "start").map(|start| start as u64),
            end: number(message, "end").map(|end| end as u64),
            port: object(message, "port")?,
        })
    }

    /// Answers that it cannot be.
    pub(crate) fn refuse(&self, refusal: &Refusal) {
        fail(&self.port, refusal);
    }

    /// The file it means, if there is one.
    pub(crate) fn file(&self, layout: &Layout) -> Option<FileIndex> {
        self.file
            .find(layout)
            .filter(|file| !layout.entry(*file).pad)
    }

    fn range(&self, layout: &Layout) -> Result<(FileIndex, Range<u64>), Refusal> {
        let file = self
            .file(layout)
            .ok_or_else(|| Refusal::new("noFile", "The torrent has no such file."))?;
        let length = layout.entry(file).length;
        let range = range::within(length, self.start, self.end).ok_or_else(|| {
            Refusal::new(
                "badRange",
                format!("These bytes are not in the file, which has {length}."),
            )
        })?;
        Ok((file, range))
    }
}

/// What a reader is told before its bytes, or instead of them.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
enum ToReader<'a> {
    End,
    Error {
        code: &'a str,
        message: &'a str,
    },
    Head {
        length: u64,
        r#type: &'a str,
        name: &'a str,
        start: u64,
        end: u64,
    },
}

/// All readers of one torrent.
#[derive(Debug)]
pub(crate) struct Streams {
    torrent: u32,
    host: Host,
    open: Map<ReaderId, Stream>,
    next: u64,
}

#[derive(Debug)]
struct Stream {
    port: MessagePort,
    file: FileIndex,
    /// Pulls that have not been answered.
    owed: u32,
    is_over: bool,
    last_pull: Instant,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    on_close: Closure<dyn FnMut(Event)>,
}

impl Streams {
    pub(crate) fn new(torrent: u32, host: &Host) -> Self {
        Self {
            torrent,
            host: host.clone(),
            open: Map::new(),
            next: 1,
        }
    }

    /// Opens what `wish` asks for, or answers why not. What the swarm must be told is returned.
    pub(crate) fn open(
        &mut self,
        now: Instant,
        layout: &Layout,
        wish: Wish,
    ) -> Option<(ReaderId, FileIndex, Range<u64>)> {
        let (file, range) = wish
            .range(layout)
            .map_err(|refusal| wish.refuse(&refusal))
            .ok()?;
        let reader = ReaderId(self.next);
        self.next += 1;
        let entry = layout.entry(file);
        let name = entry.path.last().map_or("", String::as_str);
        let head = ToReader::Head {
            length: entry.length,
            r#type: mime::of(name),
            name,
            start: range.start,
            end: range.end,
        };
        tell(&wish.port, &head);
        let mut stream = Stream::new(self.torrent, reader, file, wish.port, now, &self.host);
        // Nothing for the swarm to do.
        stream.is_over = range.is_empty();
        let is_over = stream.is_over;
        self.open.insert(reader, stream);
        (!is_over).then_some((reader, file, range))
    }

    /// The reader to close before one more is opened, if there are too many.
    pub(crate) fn surplus(&self) -> Option<ReaderId> {
        if self.open.len() < MAX_STREAMS {
            return None;
        }
        self.open
            .iter()
            .min_by_key(|(_, stream)| stream.last_pull)
            .map(|(reader, _)| *reader)
    }

    /// A reader pulled. True if the swarm is to be asked.
    pub(crate) fn pull(&mut self, now: Instant, reader: ReaderId) -> bool {
        let Some(stream) = self.open.get_mut(&reader) else {
            return false;
        };
        stream.last_pull = now;
        if stream.is_over {
            self.end(reader);
            return false;
        }
        // The swarm is asked for one at a time.
        let is_first = stream.owed == 0;
        stream.owed = MAX_PULLS.min(stream.owed + 1);
        is_first
    }

    /// Answers a pull with `bytes`. True if the swarm is to be asked for the next.
    pub(crate) fn answer(&mut self, reader: ReaderId, bytes: &[u8]) -> bool {
        let Some(stream) = self.open.get_mut(&reader) else {
            return false;
        };
        stream.owed = stream.owed.saturating_sub(1);
        let posted = stream.post(bytes);
        debug_assert!(posted.is_ok(), "a fresh buffer can be transferred");
        stream.owed > 0
    }

    /// No more bytes will come. The next pull, if none waits, is answered with the end.
    pub(crate) fn finish(&mut self, reader: ReaderId) {
        let Some(stream) = self.open.get_mut(&reader) else {
            return;
        };
        stream.is_over = true;
        if stream.owed > 0 {
            self.end(reader);
        }
    }

    /// The far end is gone. True if the swarm knows the reader.
    pub(crate) fn close(&mut self, reader: ReaderId) -> bool {
        self.open.remove(&reader).is_some()
    }

    /// Ends one reader with an error.
    pub(crate) fn fail(&mut self, reader: ReaderId, refusal: &Refusal) {
        if let Some(stream) = self.open.remove(&reader) {
            fail(&stream.port, refusal);
        }
    }

    /// Those that read this file.
    pub(crate) fn of(&self, file: FileIndex) -> Vec<ReaderId> {
        let of = self.open.iter().filter(|(_, stream)| stream.file == file);
        of.map(|(reader, _)| *reader).collect()
    }

    /// Ends all readers with an error.
    pub(crate) fn fail_all(&mut self, refusal: &Refusal) {
        for stream in std::mem::take(&mut self.open).into_values() {
            fail(&stream.port, refusal);
        }
    }

    fn end(&mut self, reader: ReaderId) {
        if let Some(stream) = self.open.remove(&reader) {
            tell(&stream.port, &ToReader::End);
        }
    }
}

impl Stream {
    fn new(
        torrent: u32,
        reader: ReaderId,
        file: FileIndex,
        port: MessagePort,
        now: Instant,
        host: &Host,
    ) -> Self {
        let did = move |what| Happened::Reader(torrent, reader, what);
        let on_message = host.callback(move |event: MessageEvent| {
            let is_pull = text(&event.data(), "kind").is_some_and(|kind| kind == "pull");
            did(if is_pull {
                ReaderDid::Pull
            } else {
                ReaderDid::Cancel
            })
        });
        let on_close = host.callback(move |_: Event| did(ReaderDid::Cancel));
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        // Where browsers have this event, it tells of a service worker that was stopped.
        let _ = port.add_event_listener_with_callback("close", on_close.as_ref().unchecked_ref());
        Self {
            port,
            file,
            owed: 0,
            is_over: false,
            last_pull: now,
            _on_message: on_message,
            on_close,
        }
    }

    fn post(&self, bytes: &[u8]) -> Result<(), JsValue> {
        let message = Object::new();
        let buffer = Uint8Array::from(bytes).buffer();
        Reflect::set(&message, &"kind".into(), &"data".into())?;
        Reflect::set(&message, &"bytes".into(), &buffer)?;
        self.port
            .post_message_with_transferable(&message, &Array::of1(&buffer))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.port.set_onmessage(None);
        let on_close = self.on_close.as_ref().unchecked_ref();
        let _ = self
            .port
            .remove_event_listener_with_callback("close", on_close);
        // What was posted before still arrives.
        self.port.close();
    }
}

fn fail(port: &MessagePort, Refusal { code, message }: &Refusal) {
    tell(port, &ToReader::Error { code, message });
}

fn tell(port: &MessagePort, message: &ToReader<'_>) {
    let posted = port.post_message(&to_js(message));
    debug_assert!(posted.is_ok(), "every message is made of plain values");
}
