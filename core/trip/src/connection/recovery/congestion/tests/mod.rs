//! What holds for every controller, and (in `link`) how they do on a path with a bottleneck.
#![allow(clippy::arithmetic_side_effects)]

mod link;
mod shares;

use super::{Controller, RestoreError};
use alloc::vec::Vec;

/// The bytes that a controller saves.
pub(super) fn saved(controller: &dyn Controller) -> Vec<u8> {
    let mut out = Vec::new();
    controller.save(&mut out);
    out
}

/// `state` is saved, and comes back in `other`; damage is refused and changes nothing.
pub(super) fn comes_back(state: &dyn Controller, mut other: impl Controller) {
    let mut bytes = saved(state);
    assert_ne!(saved(&other), bytes, "nothing to restore");
    let before = saved(&other);
    for cut in 0..bytes.len() {
        assert_eq!(other.restore(&bytes[..cut]), Err(RestoreError), "cut at {cut}");
    }
    let mark = bytes[0];
    bytes[0] ^= 0x80;
    assert_eq!(other.restore(&bytes), Err(RestoreError), "another kind");
    bytes[0] = mark;
    bytes.push(0);
    assert_eq!(other.restore(&bytes), Err(RestoreError), "too long");
    bytes.pop();
    assert_eq!(saved(&other), before, "unchanged");
    assert_eq!(other.restore(&bytes), Ok(()));
    assert_eq!(saved(&other), bytes);
    assert_eq!(other.window(), state.window());
}
