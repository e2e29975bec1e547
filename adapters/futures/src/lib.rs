//! The async front end: an [`Endpoint`] whose calls are futures, on any runtime.
//!
//! This crate knows no runtime. `tripline-smol` and `tripline-tokio` supply sockets, a timer and a
//! place to run a task ([`Runtime`]) and name everything here again; users take it from there.
//!
//! *In*: a [`Runtime`], or a [`Socket`] and a [`Timer`]. *Out*: handles whose calls are futures,
//! and one [`Driver`], the future that does all the work: it receives, tells the engine the time,
//! sends, and sleeps until the engine's deadline. [`Loop`] is the same for any datagram machine,
//! without an endpoint on top, and [`HubLoop`] for any hub with its TCP and TLS links.
//!
//! - The engine lives behind one lock, which is held for moments and never across a call of the
//!   system, of the user's code or of a waker. A call that has to wait leaves its waker beside it.
//! - Every future is cancel-safe: a future that is dropped has taken nothing, or has given out what
//!   it took. Each method says what that means for it.
//! - A message is handed to the engine when `send` is done: there is no queue in between, so what
//!   holds up a sender is the peer, the path and the engine's own buffer (row T44).
//! - One clock read a turn; a turn does a bounded amount of work and then lets others have theirs;
//!   an idle endpoint is not polled (row T18).
#![forbid(unsafe_code)]

pub mod calls;
mod connection;
mod driver;
mod endpoint;
mod front;
mod hub;
mod links;
mod options;
mod run;
mod runtime;
mod shared;
mod sockets;
mod stream;
mod udp;
mod waits;

#[cfg(test)]
mod tests;

pub use connection::Connection;
pub use driver::Driver;
pub use endpoint::{Endpoint, Stats};
pub use hub::{HubLoop, HubOptions};
pub use links::{Gate, Never, NoLinks, RuntimeNet, Sockets};
pub use options::{ListenOptions, Options};
pub use run::Loop;
pub use runtime::{Accept, Readiness, Runtime, Socket, Timer, Watched};
pub use stream::{RecvStream, SendStream, Stream};
pub use tripline::{Carrier, LinkRoute, Over};
pub use tripline_common::{
    Address, ChoosePsk, Door, Error, Screen, Settled, hardware_aes, os_seed, resolve,
};
pub use tripline_tcp::Limits;
pub use tripline_udp::{DropCause, Received, SendOutcome, Turns};
pub use udp::Udp;

use tripline::{Config, ConnectOptions};

/// Connects to the server at `address` (`KEY@HOST:PORT`), without an identity of our own (row T78):
/// by datagrams, or over TCP at the same port where those do not get through (row N49).
///
/// Cancel-safe: who stops waiting ends the attempt.
///
/// # Errors
/// [`Error::Address`], [`Error::Start`], [`Error::Connect`], [`Error::Io`].
pub async fn connect<R: Runtime>(runtime: &R, address: &str) -> Result<Connection, Error> {
    let address: Address = address.parse()?;
    let client = Endpoint::client(runtime, Config::client())?;
    client.connect_over(address.target(), ConnectOptions::to(address.key), Over::auto()).await
}

/// Listens on `address`, such as `0.0.0.0:4444`, or `127.0.0.1:0` for a port of the system's choice
/// (row T78).
///
/// # Errors
/// [`Error::Address`] if it is no address; [`Error::Io`] if there is no such socket to be had.
pub fn listen<R: Runtime>(runtime: &R, address: &str, config: Config) -> Result<Endpoint, Error> {
    let bad = |_| Error::Address(format!("{address:?}; IP:PORT is wanted"));
    Endpoint::listen(runtime, address.parse().map_err(bad)?, config, ListenOptions::default())
}
