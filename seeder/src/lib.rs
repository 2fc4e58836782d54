//! Headwater natively: seeder, tracker and streaming peer.
//!
//! The binary parses ([`cli`]), decides ([`config`]), does ([`commands`]). What it does it with is
//! here too, for tests and tools: files on disk ([`source`], [`hashing`], [`storage`],
//! [`chunks`]), the network ([`announcing`], [`dht`], [`http`], [`sockets`], [`tcp`], [`tracker`], [`webrtc`]) and the core's driver ([`engine`]).

pub mod announcing;
pub mod chunks;
pub mod cli;
pub mod commands;
pub mod config;
pub mod dht;
pub mod engine;
pub mod error;
pub mod hashing;
pub mod http;
pub mod keep;
pub mod library;
pub mod making;
pub mod notify;
pub mod origin;
pub mod private;
pub mod remote;
pub mod report;
pub mod signals;
pub mod sockets;
pub mod source;
pub mod storage;
pub mod tcp;
pub mod torrent_file;
pub mod tracker;
pub mod webrtc;
