//! Headwater natively: seeder, tracker and streaming peer.

pub mod webrtc;
