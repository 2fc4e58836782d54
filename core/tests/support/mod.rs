//! Torrents for tests: made by the crate itself, then taken apart and put together wrongly.
#![allow(dead_code, reason = "each test file uses its own part of it")]

use std::collections::BTreeMap;

use headwater_core::bencode::{Limits, Value, decode};
use headwater_core::metainfo::Metainfo;
use headwater_core::metainfo::create::{Contents, Options, Plan, Source, Version};

/// A file's bytes: the same for the same length, and never a run of equal blocks.
pub fn content(length: u64) -> Vec<u8> {
    (0..length)
        .map(|at| ((at * 131 + (at >> 8) * 17 + length) % 251) as u8)
        .collect()
}

pub fn source(path: &str, length: u64) -> Source {
    Source {
        path: path.split('/').map(String::from).collect(),
        length,
        ..Source::default()
    }
}

/// A folder with a file at every edge.
pub fn folder() -> Contents {
    let mut one = source("one", 1);
    one.executable = true;
    Contents::Folder(vec![
        source("empty", 0),
        one,
        source("sub/16383", 16_383),
        source("sub/16384", 16_384),
        source("sub/deep/16385", 16_385),
        source("zeta", 65_537),
    ])
}

pub fn options(version: Version, piece_length: u32) -> Options {
    Options {
        version,
        piece_length: Some(piece_length),
        trackers: vec!["ws://127.0.0.1:1/announce".into()],
        ..Options::default()
    }
}

pub fn make(name: &str, contents: Contents, options: Options) -> Metainfo {
    let plan = Plan::new(name, contents, options).unwrap();
    let hashes = plan.layout().pieces().rev().map(|piece| {
        let mut bytes = Vec::new();
        for span in plan.layout().spans(piece) {
            let entry = plan.layout().entry(span.file);
            let range = span.offset as usize..span.offset as usize + span.length as usize;
            match plan.source(span.file) {
                Some(_) => bytes.extend(&content(entry.length)[range]),
                None => bytes.extend(range.map(|_| 0)),
            }
        }
        plan.hash(piece, &bytes).unwrap()
    });
    plan.finish(hashes).unwrap()
}

pub fn make_folder(version: Version, piece_length: u32) -> Metainfo {
    make("folder", folder(), options(version, piece_length))
}

/// A bencoded value that can be changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Node>),
    Dict(BTreeMap<Vec<u8>, Node>),
}

impl Node {
    pub fn read(bytes: &[u8]) -> Self {
        Self::of(decode(bytes, Limits::default()).unwrap().root())
    }

    fn of(value: Value<'_, '_>) -> Self {
        if let Some(items) = value.list() {
            return Self::List(items.map(Self::of).collect());
        }
        match (value.dict(), value.int(), value.bytes()) {
            (Some(entries), ..) => Self::Dict(
                entries
                    .map(|(key, value)| (key.to_vec(), Self::of(value)))
                    .collect(),
            ),
            (_, Some(number), _) => Self::Int(number),
            (.., bytes) => Self::Bytes(bytes.unwrap().to_vec()),
        }
    }

    pub fn text(text: &str) -> Self {
        Self::Bytes(text.into())
    }

    pub fn dict<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Dict(
            entries
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }

    /// What a path of keys leads to; numbers lead into lists.
    pub fn at(&mut self, path: &[&str]) -> &mut Self {
        path.iter().fold(self, |node, key| match node {
            Self::Dict(entries) => entries.get_mut(key.as_bytes()).unwrap(),
            Self::List(items) => &mut items[key.parse::<usize>().unwrap()],
            other => panic!("{key} in {other:?}"),
        })
    }

    pub fn set(&mut self, key: &str, value: Self) -> &mut Self {
        if let Self::Dict(entries) = self {
            entries.insert(key.into(), value);
        }
        self
    }

    pub fn put(&mut self, key: &str, value: Self) {
        self.set(key, value);
    }

    pub fn remove(&mut self, key: &str) -> Option<Self> {
        match self {
            Self::Dict(entries) => entries.remove(key.as_bytes()),
            _ => None,
        }
    }

    pub fn items(&mut self) -> &mut Vec<Self> {
        match self {
            Self::List(items) => items,
            other => panic!("{other:?} is no list"),
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Int(number) => format!("i{number}e").into_bytes(),
            Self::Bytes(bytes) => [format!("{}:", bytes.len()).as_bytes(), bytes].concat(),
            Self::List(items) => {
                let inside: Vec<_> = items.iter().flat_map(Self::encode).collect();
                [b"l", &inside[..], b"e"].concat()
            }
            Self::Dict(entries) => {
                let pair = |(key, value): (&Vec<u8>, &Self)| {
                    [Self::Bytes(key.clone()).encode(), value.encode()].concat()
                };
                let inside: Vec<_> = entries.iter().flat_map(pair).collect();
                [b"d", &inside[..], b"e"].concat()
            }
        }
    }
}

/// A v1 torrent with these files, and pieces enough for them.
pub fn v1_list(files: Vec<Node>, total: usize) -> Node {
    let mut node = Node::read(&make_folder(Version::V1, 16_384).to_torrent_bytes());
    let info = node.at(&["info"]);
    info.set("files", Node::List(files));
    info.set("pieces", Node::Bytes(vec![0; total.div_ceil(16_384) * 20]));
    node
}

pub fn v1_file(path: &[&[u8]], length: i64) -> Node {
    let path = path.iter().map(|name| Node::Bytes(name.to_vec())).collect();
    Node::dict([("length", Node::Int(length)), ("path", Node::List(path))])
}

pub fn paths(torrent: &Metainfo) -> Vec<String> {
    let files = torrent.layout().content_files();
    files.map(|(_, file)| file.path.join("/")).collect()
}
