//! Two endpoints of the transport, driven through bad weather by a random script, and a model that
//! judges them.
//!
//! A script is bytes, any bytes: six that say what the world is like, then four for each thing that
//! a user does. So a property test can draw and shrink it, a fuzzer can mutate it, and a corpus can
//! keep it. [`run`] plays it, heals the network, lets everything settle, and panics if a promise of
//! the transport was not kept: what is reliable arrives once, whole and in order; every message has
//! one fate; every event comes when it may, as often as it may; nobody is accused of anything; and
//! in the end both sides fall quiet. What was promised is known from the calls alone; nothing here
//! looks inside an endpoint.

mod half;
mod judge;
mod operation;
mod player;

pub use operation::Setting;

use player::Player;

/// The most operations that are played; what follows is ignored.
pub const OPERATIONS_MAX: usize = 400;

/// What a script came to, if nothing was wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The hash of every datagram: equal for equal scripts.
    pub trace_hash: u64,
    /// Messages that were handed in.
    pub sent: u64,
    /// Messages and chunks that were read.
    pub received: u64,
    /// Datagrams that the network did not deliver.
    pub dropped: u64,
    /// Streams that were opened.
    pub streams: u64,
}

/// Plays a script.
///
/// # Panics
/// If an endpoint breaks a promise or a rule of the run loop.
pub fn run(script: &[u8]) -> Outcome {
    let (setting, operations) = Setting::decode(script);
    let mut player = Player::new(&setting);
    for bytes in operations.chunks_exact(4).take(OPERATIONS_MAX) {
        let [kind, stream, a, b] = *bytes else { continue };
        player.play(operation::decode(kind, stream, a, b));
    }
    player.finish(&setting)
}
