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

use crate::shards::{Post, ShardOptions, allowed_cores, keep_to_core, share};
use crate::{HubLoop, HubOptions, UdpLink, Waker, os_seed};
use std::sync::Arc;
use std::task::Wake;
use tripline::{Config, LinkHub};
use tripline_common::{Door, Site, link_hub};
use tripline_rpc::{Node, Scheme};
use tripline_udp::Socket;

pub use tripline_calls::*;

/// How to make a node for calls.
pub type CallsOptions = tripline_calls::CallsOptions<HubOptions>;

/// A node, and its thread.
///
/// # Errors
/// [`ConnectFailure::System`] if there is no thread, no entropy or no file descriptor to be had.
pub fn node(options: CallsOptions) -> Result<Calls, ConnectFailure> {
    begin(options, None)
}

/// One of several sockets on one port, the way to the others, and the core of its thread.
struct Shared {
    socket: Socket,
    post: Post,
    core: Option<usize>,
}

fn begin(options: CallsOptions, shared: Option<Shared>) -> Result<Calls, ConnectFailure> {
    let CallsOptions { config, node, hub, door } = options;
    let clock = hub.options.clock;
    let segments = shared.as_ref().map(|shared| shared.socket.max_gso_segments());
    let site = Site { segments, detect_aes: hub.options.detect_aes, now: clock.now() };
    let transport = link_hub(config.unwrap_or_else(Config::client), site)?;
    let mut node = Node::new(transport, node, &os_seed()?.child("node"));
    let local = shared.as_ref().map(|shared| shared.socket.local_addr()).transpose()?;
    if let Some(local) = local {
        node.adopt_udp(local);
    }
    let (calls, driven) = Calls::new(node, move || clock.now());
    let mut looper = HubLoop::new(driven, &hub)?;
    looper.hub().wake_by(&Arc::new(Bell(looper.waker())).into());
    let mut core = None;
    if let Some(Shared { socket, post, core: own }) = shared {
        post.bell().hang(looper.waker());
        let link = UdpLink::new(socket, hub.options.receive_buffers).with_post(Some(post));
        looper.add_udp(LinkHub::UDP, link);
        core = own;
    }
    let run = move || {
        core.into_iter().for_each(keep_to_core);
        drive(looper, door);
    };
    std::thread::Builder::new().name("tripline-calls".into()).spawn(run)?;
    Ok(calls)
}

/// Several workers on one port (row N37), each a node with a thread of its own: a client stays with
/// the worker that took it in, wherever it moves, and what that one's handlers do holds up no other
/// worker. Over `trip://` alone: an IP address or `*`, and a port. What `how` gives for each, from
/// number 0 on, counts but for the configuration's place among them; limits are for each.
///
/// A client that comes back after its connection broke may meet another worker, which does not know
/// it: its calls that may be made once only and were under way are gone then.
///
/// # Errors
/// See [`ConnectFailure`]. That the kernel does not steer is no error: then the workers carry
/// datagrams to each other.
///
/// ```
/// use tripline::{Config, SecretKey};
/// use tripline_std::ShardOptions;
/// use tripline_std::calls::{self, CallsOptions, Router, wait};
///
/// let how = |_| CallsOptions {
///     config: Some(Config::public_server(SecretKey::from_bytes([9; 32]))),
///     ..CallsOptions::default()
/// };
/// let options = ShardOptions { count: 2, ..ShardOptions::default() };
/// let (workers, address) = calls::workers("trip://127.0.0.1:0", options, how)?;
/// for worker in workers {
///     let router = Router::new().on_ask("half", |n: u32| Ok(n / 2));
///     std::thread::spawn(move || wait(router.serve(&worker)));
/// }
/// let caller = calls::connect(&address.to_string())?;
/// assert_eq!(caller.ask::<u32, u32>("half", &84).wait()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn workers(
    address: &str,
    options: ShardOptions,
    mut how: impl FnMut(u16) -> CallsOptions,
) -> Result<(Vec<Calls>, Address), ConnectFailure> {
    let mut address: Address = address.parse()?;
    let socket = address.socket().ok_or(ConnectFailure::Name)?;
    if address.scheme != Scheme::Trip {
        let text = "several workers share a port over trip:// alone";
        return Err(ConnectFailure::System(text.into()));
    }
    let mut hows: Vec<CallsOptions> = (0..options.count).map(&mut how).collect();
    let first = hows.first().map(|how| how.hub.options.socket).unwrap_or_default();
    let (group, office, shards) = share(socket, &first, options)?;
    let mut workers = Vec::with_capacity(shards.len());
    let cores = if options.pin { allowed_cores() } else { Vec::new() };
    for ((shard, socket), mut how) in shards.into_iter().zip(group.sockets).zip(hows.drain(..)) {
        let config = how.config.take().unwrap_or_else(Config::client);
        how.config = Some(Config { shard, ..config });
        let core = cores.get(usize::from(shard.index())).copied();
        let shared = Shared { socket, post: Post::new(&office, shard), core };
        let worker = begin(how, Some(shared))?;
        address = wait(worker.listen(&address.to_string()))?;
        workers.push(worker);
    }
    Ok((workers, address))
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
