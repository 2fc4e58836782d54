//! What each command does with its checked value.

pub mod create;
pub mod get;
pub mod inspect;
pub mod seed;
pub mod track;
