//! Headwater's engine, without a socket, a clock or a thread of its own.
//!
//! It is told what happened ([`swarm::Input`], [`tracker`] messages), it answers what to do
//! ([`swarm::Output`]), and it says when it wants to be called again. The same code runs in a
//! browser worker, on tokio, and in a simulator where time jumps and one seed replays everything.
//!
//! The layers, each using only what stands above it:
//!
//! - words: [`time`], [`rng`], [`ids`], [`bitfield`]
//! - formats: [`bencode`], [`json`], [`hash`], [`merkle`], [`layout`], [`metainfo`], [`wire`]
//! - parts: [`peer`], [`window`], [`availability`], [`picker`], [`assembler`], [`cache`],
//!   [`choker`], [`grid`], [`selector`], [`pex`]
//! - wholes: [`swarm`], [`tracker`]
#![no_std]

extern crate alloc;

pub mod assembler;
pub mod availability;
pub mod bencode;
pub mod bitfield;
pub mod bucket;
pub mod cache;
pub mod choker;
pub mod grid;
pub mod hash;
pub mod ids;
pub mod json;
pub mod layout;
pub mod merkle;
pub mod metainfo;
pub mod ordered;
pub mod peer;
pub mod pex;
pub mod picker;
pub mod rng;
pub mod selector;
pub mod swarm;
pub mod time;
pub mod tracker;
pub mod window;
pub mod wire;
