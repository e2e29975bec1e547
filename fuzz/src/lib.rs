//! Harness bodies for fuzzing, as plain functions over bytes, and the replay of their corpora as
//! tests.
//!
//! - [`script`]: two honest endpoints, driven by operations decoded from the input; the judge of
//!   [`tripline_sim::script`] says whether every promise was kept.
//! - [`endpoint`](endpoint()): a client and a server whose network is in an attacker's hands. The
//!   input says what is injected, changed, repeated, cut and held up.
//!
//! Both go through the public API only, in the simulator, so the rules of the run loop are checked
//! on every turn and everything replays. Whatever panics is a bug.
//!
//! There is no fuzzing engine here yet: no libFuzzer targets, no coverage feedback. What there is
//! runs under `cargo test`: the files of `corpus/`, one folder for each body, and some thousand
//! drawn inputs. A file is added by copying it there.
#![forbid(unsafe_code)]

mod endpoint;
#[cfg(test)]
mod tests;

pub use endpoint::endpoint;

/// Two honest endpoints play a script; see [`tripline_sim::script`].
///
/// # Panics
/// If a promise of the transport or a rule of the run loop is broken.
pub fn script(data: &[u8]) {
    tripline_sim::script::run(data);
}
