//! TCP links under every stream loop.
//!
//! [`Board`] carries the bytes between a [`Hub`](tripline_sansio::Hub) and its TCP and TLS links,
//! and obeys its wishes. In go what the loop's wait says about each socket, and the time; out come
//! what to wait for, and calls of the hub. It never waits, has no thread, and knows no system call
//! but those of [`Wire`] and [`Door`]: a loop brings its own sockets by [`Net`] (the standard
//! library's are [`StdNet`]). [`HubPump`] is the turn of every loop around a hub: around a board
//! and the hub's UDP sockets.
//!
//! With it stands what such loops share: [`EdgeNet`] for those that hear of readiness once and have
//! nobody to ask again, [`One`] to drive a machine with one socket in the same way, and the
//! [`Options`] of loops that have a clock of their own.
//!
//! What it bounds, and how:
//!
//! - links at once ([`Limits::links`]): who comes too many is hung up on;
//! - bytes of one link and turn (256 KiB read, and what the hub has written);
//! - the time to connect, to secure a link, and to say goodbye;
//! - memory: a link that does not take its bytes holds those of one `poll_write`, and nothing more
//!   is asked of the hub for it.
#![forbid(unsafe_code)]

mod board;
mod edge;
mod line;
mod listen;
mod net;
mod one;
mod options;
mod pump;
#[cfg(test)]
mod tests;

pub use board::{Board, Interest, Limits, Place, Socket, Stats};
pub use edge::{Edge, EdgeNet};
pub use listen::{Listeners, ToListen};
pub use net::{Door, Net, StdNet, Wire, finish, is_connected};
pub use one::One;
pub use options::{HubOptions, ListenOptions, Options};
pub use pump::{Bound, HubPump};
