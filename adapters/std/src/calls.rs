//! Calls, driven by a thread: [`connect`] and [`listen`] are where most programs begin.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tripline_std::calls::{self, Router, wait};
//!
//! let key = tripline::SecretKey::from_bytes([9; 32]); // or from a file
//! let server = tripline::Config::public_server(key);
//! let (service, address) = calls::listen("trip://127.0.0.1:0", server)?;
//! std::thread::spawn(move || {
//!     let echo = Router::new().on("echo", |request| {
//!         let payload = request.payload().clone();
//!         let _ = request.reply(payload);
//!     });
//!     wait(echo.serve(&service));
//! });
//!
//! let caller = calls::connect(&address.to_string())?;
//! assert_eq!(caller.call("echo", "hello").wait()?, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! The same program runs over `trip://`, `trip+tcp://`, `tcp://`, `tls://` and `udp://`. There is
//! one thread, which does nothing but run a [`HubLoop`] (and one for each name that is being
//! resolved); it ends with the last handle.

use crate::{HubLoop, HubOptions, Waker, os_seed};
use std::fmt;
use std::sync::Arc;
use std::task::Wake;
use tripline::Config;
use tripline_common::{Door, Site, link_hub};
use tripline_rpc::Node;

pub use tripline_calls::*;

/// How to make a node for calls.
#[derive(Default)]
pub struct CallsOptions {
    /// Who we are over TRiP, and how it behaves; `None`: a client without an identity.
    pub config: Option<Config>,
    /// How conversations behave.
    pub node: NodeConfig,
    /// For sockets, links and TLS.
    pub hub: HubOptions,
    /// Who may come in over TRiP, where the configuration says to ask.
    pub door: Door,
}

impl fmt::Debug for CallsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallsOptions")
            .field("node", &self.node)
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

/// A node, and its thread.
///
/// # Errors
/// [`ConnectFailure::System`] if there is no thread, no entropy or no file descriptor to be had.
pub fn node(options: CallsOptions) -> Result<Calls, ConnectFailure> {
    let CallsOptions { config, node, hub, door } = options;
    let clock = hub.options.clock;
    let site = Site { segments: None, detect_aes: hub.options.detect_aes, now: clock.now() };
    let transport = link_hub(config.unwrap_or_else(Config::client), site)?;
    let node = Node::new(transport, node, &os_seed()?.child("node"));
    let (calls, driven) = Calls::new(node, move || clock.now());
    let looper = HubLoop::new(driven, &hub)?;
    looper.hub().wake_by(&Arc::new(Bell(looper.waker())).into());
    let run = move || drive(looper, door);
    std::thread::Builder::new().name("tripline-calls".into()).spawn(run)?;
    Ok(calls)
}

/// Connects to a server, such as `trip://KEY@HOST:PORT` or `tcp://HOST:PORT`, and waits until that
/// is done. From then on the connection comes back by itself when it breaks.
///
/// # Errors
/// See [`ConnectFailure`]: also if the first attempt fails.
pub fn connect(address: &str) -> Result<Caller, ConnectFailure> {
    wait(node(CallsOptions::default())?.connected(address, ClientOptions::default()))
}

/// Listens as a server, at `trip://*:PORT` or any other scheme; the address that clients connect
/// to. Of the configuration it is the identity that counts, over TRiP.
///
/// # Errors
/// See [`ConnectFailure`].
pub fn listen(address: &str, config: Config) -> Result<(Calls, Address), ConnectFailure> {
    let calls = node(CallsOptions { config: Some(config), ..CallsOptions::default() })?;
    let address = wait(calls.listen(address))?;
    Ok((calls, address))
}

struct Bell(Waker);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

fn drive(mut looper: HubLoop<Driven>, mut door: Door) {
    loop {
        while let Some(task) = looper.next_event() {
            task.run(&mut door);
        }
        if looper.hub().is_over() {
            return;
        }
        if let Err(error) = looper.run_once(None) {
            return looper.hub().end(&error.to_string());
        }
    }
}
