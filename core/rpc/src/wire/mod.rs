//! Frames as bytes: how each is written and read. No state, nothing kept.
//!
//! A message of a pipe is one frame, or a bundle of them. A frame's first byte holds the kind in
//! the low three bits and flags in the others; PROTOCOL.md §2 beside this crate has the tables.
#![deny(clippy::arithmetic_side_effects)]

mod bundle;
mod frame;
mod hello;

pub(crate) use bundle::{Frames, bundle, is_bundle};
pub(crate) use frame::{Control, Deadline, Frame, Serial, read, write_head};
pub use hello::SessionId;
pub(crate) use hello::{Hello, VERSION};

/// Why a frame could not be read. The pipe it came by is of no use any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It ends too early, or a number is not in its shortest form.
    Cut,
    /// An unknown kind or flag.
    Unknown,
    /// A number that is out of its bounds, or a name that is none.
    Range,
}

impl From<tripline_sansio::codec::ReadError> for Malformed {
    fn from(_: tripline_sansio::codec::ReadError) -> Self {
        Self::Cut
    }
}
