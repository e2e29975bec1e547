//! Calls on smol: [`connect`] and [`listen`] are where most programs begin.

use crate::Smol;
use tripline::Config;

pub use tripline_futures::calls::*;

/// A node, driven by a task.
///
/// # Errors
/// [`ConnectFailure::System`] if there is no entropy, or nothing to run the task on.
pub fn node(options: CallsOptions) -> Result<Calls, ConnectFailure> {
    node_on(&Smol::new(), options)
}

/// Connects to a server, such as `trip://KEY@HOST:PORT` or `tcp://HOST:PORT`. From then on the
/// connection comes back by itself when it breaks.
///
/// Cancel-safe: who stops waiting ends the attempt.
///
/// # Errors
/// See [`ConnectFailure`]: also if the first attempt fails.
pub async fn connect(address: &str) -> Result<Caller, ConnectFailure> {
    connect_on(&Smol::new(), address).await
}

/// Listens as a server, at `trip://*:PORT` or any other scheme; the address that clients connect
/// to. Of the configuration it is the identity that counts, over TRiP.
///
/// Cancel-safe: the node ends with it.
///
/// # Errors
/// See [`ConnectFailure`].
pub async fn listen(address: &str, config: Config) -> Result<(Calls, Address), ConnectFailure> {
    listen_on(&Smol::new(), address, config).await
}
