//! Calls, driven by a task of any runtime: `tripline_smol::calls` and `tripline_tokio::calls` are
//! where most programs begin.

use crate::hub::{HubLoop, HubOptions};
use crate::links::{RuntimeNet, Sockets};
use crate::runtime::{Runtime, Timer};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tripline::Config;
use tripline_common::{Door, Site, link_hub, os_seed};
use tripline_rpc::Node;

pub use tripline_calls::*;

/// Turns of one poll, at most.
const MAX_TURNS: usize = 4;

/// What drives a node on this runtime.
pub type DriverOn<R> = CallsDriver<RuntimeNet<R>, <R as Runtime>::Timer>;

/// How to make a node for calls.
pub type CallsOptions = tripline_calls::CallsOptions<HubOptions>;

/// A node, driven by a task of the runtime's until nobody holds it any more.
///
/// # Errors
/// [`ConnectFailure::System`] if there is no entropy, or nothing to run the task on.
pub fn node_on<R: Runtime>(runtime: &R, options: CallsOptions) -> Result<Calls, ConnectFailure> {
    let (calls, driver) = node_with_driver(runtime, options)?;
    runtime.spawn(driver)?;
    Ok(calls)
}

/// The same, with the task for the user to run.
///
/// # Errors
/// [`ConnectFailure::System`] if there is no entropy.
pub fn node_with_driver<R: Runtime>(
    runtime: &R,
    options: CallsOptions,
) -> Result<(Calls, DriverOn<R>), ConnectFailure> {
    let CallsOptions { config, node, hub, door } = options;
    let clock = runtime.clock();
    let site = Site { segments: None, detect_aes: hub.options.detect_aes, now: clock() };
    let transport = link_hub(config.unwrap_or_else(Config::client), site)?;
    let node = Node::new(transport, node, &os_seed()?.child("node"));
    let (calls, driven) = Calls::new(node, clock);
    Ok((calls, CallsDriver { looper: HubLoop::on(runtime, driven, &hub), door }))
}

/// Connects to a server, such as `trip://KEY@HOST:PORT` or `tcp://HOST:PORT`. From then on the
/// connection comes back by itself when it breaks.
///
/// Cancel-safe: who stops waiting ends the attempt.
///
/// # Errors
/// See [`ConnectFailure`]: also if the first attempt fails.
pub async fn connect_on<R: Runtime>(runtime: &R, address: &str) -> Result<Caller, ConnectFailure> {
    let calls = node_on(runtime, CallsOptions::default())?;
    calls.connected(address, ClientOptions::default()).await
}

/// Listens as a server, at `trip://*:PORT` or any other scheme; the address that clients connect
/// to. Of the configuration it is the identity that counts, over TRiP.
///
/// Cancel-safe: the node ends with it.
///
/// # Errors
/// See [`ConnectFailure`].
pub async fn listen_on<R: Runtime>(
    runtime: &R,
    address: &str,
    config: Config,
) -> Result<(Calls, Address), ConnectFailure> {
    let options = CallsOptions { config: Some(config), ..CallsOptions::default() };
    let calls = node_on(runtime, options)?;
    let address = calls.listen(address).await?;
    Ok((calls, address))
}

/// The future that drives a node, to be run to its end by whatever runs tasks. Should it be dropped
/// before, every call ends.
#[must_use = "nothing is sent or received while nobody polls it"]
pub struct CallsDriver<L: Sockets, T> {
    looper: HubLoop<Driven, L, T>,
    door: Door,
}

impl<L: Sockets, T> fmt::Debug for CallsDriver<L, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsDriver").finish_non_exhaustive()
    }
}

impl<L: Sockets, T> Unpin for CallsDriver<L, T> {}

impl<L: Sockets, T: Timer> Future for CallsDriver<L, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { looper, door } = self.get_mut();
        // Before anything is looked at: what changes from here on wakes us again.
        looper.hub().wake_by(cx.waker());
        for _ in 0..MAX_TURNS {
            match looper.poll_next(cx) {
                Poll::Ready(Ok(task)) => task.run(door),
                Poll::Ready(Err(error)) => {
                    looper.hub().end(&error.to_string());
                    return Poll::Ready(());
                }
                Poll::Pending if looper.hub().is_over() => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
