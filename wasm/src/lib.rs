//! Headwater in a browser worker.
