//! The events of the suite's machines.

/// An event: its number, from 0, in the order in which they happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Told(pub u64);
