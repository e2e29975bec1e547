//! A server with several threads on one port: one socket, one engine and one thread for each core
//! that is to work (rows T69, N37).
//!
//! A connection lives on the endpoint that took it in, whatever address its peer has later: its ID
//! says so (R-ID-4), and the kernel reads it there by a small program. Where the kernel
//! takes no such program, or something reaches the wrong socket all the same, the loops carry it
//! over. The endpoints share nothing but their key and the port.

mod post;
#[cfg(test)]
mod tests;

pub use post::ShardStats;
pub(crate) use post::{Office, Post};

use crate::blocking::Sockets;
use crate::{Error, ListenOptions, Listener};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tripline::{Code, Config, Shard};
use tripline_udp::{Group, Steering, bind_group};

/// The rule by which a packet finds its endpoint, for the kernel (R-ID-4a).
const STEERING: Steering<'static> =
    Steering { first: &Shard::NAMES_AN_ID, at: Shard::SLOT_AT, shift: Shard::SLOT_SHIFT };

/// How several endpoints share a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardOptions {
    /// How many; as many as there are cores to work on, at most [`Shard::MAX`].
    pub count: u16,
    /// Whether to ask the kernel to bring each packet to its owner. Without it, or if the kernel
    /// refuses ([`Shards::steered`]), peers are spread by their addresses, and what reaches the
    /// wrong endpoint is carried to the right one: at the price of a copy and a wake.
    pub steering: bool,
    /// Whether each thread keeps to a core of its own, as far as there are enough.
    pub pin: bool,
}

impl Default for ShardOptions {
    /// One for each core that this process may use, steered, not pinned.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = u16::try_from(cores).unwrap_or(Shard::MAX).min(Shard::MAX);
        Self { count, steering: true, pin: false }
    }
}

/// Several listeners on one port, each with its own thread, connections and limits: what the
/// configuration says of numbers, such as [`Config::connections_max`], is said for each of them.
///
/// ```no_run
/// # fn serve(_: tripline_std::Connection) {}
/// # fn main() -> Result<(), tripline_std::Error> {
/// use tripline_std::{ListenOptions, ShardOptions, Shards};
///
/// let config = tripline::Config::public_server(tripline::SecretKey::from_bytes([9; 32]));
/// let address = "0.0.0.0:4444".parse().unwrap();
/// let options = ShardOptions::default();
/// let shards = Shards::bind(address, config, options, |_| ListenOptions::default())?;
/// println!("listening on {}", shards.address());
/// std::thread::scope(|scope| {
///     for listener in shards.listeners() {
///         scope.spawn(move || {
///             while let Ok(connection) = listener.accept() {
///                 serve(connection);
///             }
///         });
///     }
/// });
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Shards {
    listeners: Vec<Listener>,
    office: Arc<Office>,
    steered: io::Result<()>,
}

impl Shards {
    /// Listens on `address`; with port 0 all share one port of the system's choice. `how` is asked
    /// once for each, from number 0 on; that sockets are shared is seen to.
    ///
    /// # Errors
    /// [`Error::Io`] if there are no such sockets to be had, or if the count is 0 or above
    /// [`Shard::MAX`]. That the kernel does not steer is no error.
    pub fn bind(
        address: SocketAddr,
        config: Config,
        options: ShardOptions,
        mut how: impl FnMut(u16) -> ListenOptions,
    ) -> Result<Self, Error> {
        let mut hows: Vec<ListenOptions> = (0..options.count).map(&mut how).collect();
        if hows.iter().any(|how| how.no_udp || !how.links.is_empty()) {
            let text = "several endpoints on one port listen on UDP alone, links have one each";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text).into());
        }
        let socket = hows.first().map(|how| how.options.socket).unwrap_or_default();
        let (group, office, all) = share(address, &socket, options)?;
        let cores = if options.pin { allowed_cores() } else { Vec::new() };
        let mut listeners = Vec::with_capacity(all.len());
        for ((shard, socket), how) in all.into_iter().zip(group.sockets).zip(hows.drain(..)) {
            let config = Config { shard, ..config.clone() };
            let core = cores.get(usize::from(shard.index())).copied();
            let sockets = Sockets::shared(socket, Post::new(&office, shard), core);
            listeners.push(Listener::at(sockets, config, how)?);
        }
        Ok(Self { listeners, office, steered: group.steered })
    }

    /// The listeners, by their numbers. A thread for each keeps its clients where they are.
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// The listeners, to be handed to threads; the counters of what is carried are lost.
    pub fn into_listeners(self) -> Vec<Listener> {
        self.listeners
    }

    /// Whether the kernel brings each packet to its owner; if not, why.
    ///
    /// # Errors
    /// What the kernel said; [`io::ErrorKind::Unsupported`] if it was not asked.
    pub fn steered(&self) -> Result<(), &io::Error> {
        match &self.steered {
            Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What was carried from and to the listener of this number; zeros if there is none.
    pub fn stats(&self, index: u16) -> ShardStats {
        self.office.stats(index)
    }

    /// The address that all share.
    pub fn local_addr(&self) -> SocketAddr {
        let first = self.listeners.first().map(Listener::local_addr);
        // There is always one.
        first.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// What [`connect`](crate::connect) takes; see [`Listener::address`].
    pub fn address(&self) -> String {
        self.listeners.first().map(Listener::address).unwrap_or_default()
    }

    /// Ends all of them in order, at the same time; see [`Listener::shut_down`].
    ///
    /// # Errors
    /// The first, if an endpoint is broken; the others are shut down all the same.
    pub fn shut_down(&self, grace: Duration, code: Code, reason: &str) -> Result<(), Error> {
        let ends: Vec<Result<(), Error>> = std::thread::scope(|scope| {
            let shut = |listener: &'_ Listener| listener.shut_down(grace, code, reason);
            let ending: Vec<_> =
                self.listeners.iter().map(|listener| scope.spawn(move || shut(listener))).collect();
            // A thread that panicked has told so itself.
            ending.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        ends.into_iter().collect()
    }
}

/// As many sockets on one port as there are to be endpoints, the post between them, and who is who.
pub(crate) fn share(
    address: SocketAddr,
    socket: &tripline_udp::Options,
    options: ShardOptions,
) -> io::Result<(Group, Arc<Office>, Vec<Shard>)> {
    let all: Option<Vec<Shard>> =
        (0..options.count).map(|index| Shard::new(index, options.count)).collect();
    let Some(all) = all.filter(|all| !all.is_empty()) else {
        let text = format!("{} endpoints on one port", options.count);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    let steering = options.steering.then_some(&STEERING);
    let group = bind_group(address, socket, options.count, steering)?;
    Ok((group, Office::new(options.count), all))
}

/// The cores that this process may use; none where the system does not tell.
pub(crate) fn allowed_cores() -> Vec<usize> {
    #[cfg(target_os = "linux")]
    if let Ok(set) = rustix::thread::sched_getaffinity(None) {
        return (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect();
    }
    Vec::new()
}

/// Keeps this thread to one core, where the system lets it: a wish, nothing depends on it.
pub(crate) fn keep_to_core(core: usize) {
    #[cfg(target_os = "linux")]
    {
        let mut set = rustix::thread::CpuSet::new();
        set.set(core);
        let _ = rustix::thread::sched_setaffinity(None, &set);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
}
