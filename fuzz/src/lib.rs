//! Harness bodies for fuzzing, as plain functions over bytes, and the replay of their corpora as
//! tests.
//!
//! - [`script()`]: honest users on a hostile network: the input is read as a scenario of
//!   [`tripline_sim::scenario`], and played and judged as all of them are.
//! - [`endpoint`](endpoint()): a client and a server whose network is in an attacker's hands. The
//!   input says what is injected, changed, repeated, cut and held up.
//!
//! - [`packet`](packet()): datagrams as they come, to endpoints in several states.
//! - [`frames`](frames()), [`open`], [`challenge`], [`confirm`], [`parameters`]: what stands behind
//!   a tag, through a cipher that opens whatever carries a magic tag.
//!
//! All go through the public API only; the rules of the run loop are checked on every turn, and
//! everything replays. Whatever panics is a bug.
//!
//! `cargo test` replays the files of `corpus/`, one folder for each body, and some thousand drawn
//! inputs; the libFuzzer entries are in `fuzz_targets/`, and README.md says how to run them.
#![forbid(unsafe_code)]

mod cipher;
mod endpoint;
mod frames;
mod handshake;
mod packet;
mod script;
mod stage;
#[cfg(test)]
mod tests;

pub use endpoint::endpoint;
pub use frames::frames;
pub use handshake::{challenge, confirm, open, parameters};
pub use packet::packet;
pub use script::{decode, script};
