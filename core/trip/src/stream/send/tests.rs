//! Tests of the sending half, against the real receiving half as its peer and an independent model
//! of what was promised (PROTOCOL.md §4).
//!
//! Every frame that the half writes is read back and held against the rules of R-MSG-2 and
//! R-SKIP-1 before the peer may see it; the accounts (buffered bytes, credit) are reckoned a second
//! time, from the frames alone.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "a model's overflow fails its test, and its numbers are small"
)]

mod bench;
mod properties;
mod regressions;
