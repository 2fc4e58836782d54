//! Headwater natively: seeder, tracker and streaming peer.
