//! Plays scenarios.
//!
//! In goes a [`Scenario`](crate::scenario::Scenario), out comes what it came to ([`Outcome`]) or
//! what was wrong ([`Failure`]). A [`Watcher`] may look on: for traces, pictures and captures.

mod outcome;
mod watcher;

pub use outcome::{Deeds, Failure, Outcome};
pub use watcher::{End, Watcher};
