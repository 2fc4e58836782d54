//! What Headwater's tests share.
