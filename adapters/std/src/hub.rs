//! The loop of a hub: one thread, one wait over all its sockets.
//!
//! What [`Loop`](crate::Loop) is to a machine with one socket, [`HubLoop`] is to a
//! [`Hub`](tripline_sansio::Hub) with UDP sockets, listeners, TCP and TLS links: the same turn, the
//! same rules, the same wait. Around one TCP link or one listener it drives any stream machine, by
//! [`Solo`](tripline_sansio::Solo) and [`Crowd`](tripline_sansio::Crowd).

use crate::cycle::{Cycle, Driven};
use crate::link::Carried;
use crate::wait::{Fd, wait_all};
use crate::{Clock, Counts, HubOptions, Link, Options, Turn, UdpLink, Waker};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::time::Duration;
use tripline_sansio::{Hub, Instant, LinkKind};
use tripline_tcp::{Board, HubPump, Interest, Net, Place, StdNet};
use tripline_udp::{Socket, Tells, Turns};

/// One hub, its links, one thread.
///
/// ```
/// use std::net::TcpListener;
/// use tripline_sansio::{Instant, LinkKind, Solo, SoloEvent, StreamMachine};
/// use tripline_std::{HubLoop, HubOptions};
///
/// /// Says hello and counts the bytes of the answer.
/// #[derive(Default)]
/// struct Hello { said: bool, heard: usize, ended: bool }
///
/// impl StreamMachine for Hello {
///     type Event = usize;
///     fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) { self.heard += bytes.len(); }
///     fn handle_eof(&mut self, _: Instant) { self.ended = true; }
///     fn handle_timeout(&mut self, _: Instant) {}
///     fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
///         out.extend_from_slice(if self.said { b"" } else { b"hello" });
///         !std::mem::replace(&mut self.said, true)
///     }
///     fn poll_timeout(&self) -> Option<Instant> { None }
///     fn poll_event(&mut self) -> Option<usize> {
///         std::mem::take(&mut self.ended).then_some(self.heard)
///     }
/// }
///
/// let server = TcpListener::bind("127.0.0.1:0")?;
/// let address = server.local_addr()?;
/// std::thread::spawn(move || {
///     use std::io::{Read, Write};
///     let (mut stream, _) = server.accept().unwrap();
///     stream.read_exact(&mut [0; 5]).unwrap();
///     stream.write_all(b"good morning").unwrap();
/// });
/// // The link is closed on any event: there is only one.
/// let client = Solo::new(Hello::default(), LinkKind::Tcp, address, "", |_| true);
/// let mut looper = HubLoop::new(client, &HubOptions::default())?;
/// 'talk: loop {
///     looper.run_once(None)?;
///     while let Some(event) = looper.next_event() {
///         if let SoloEvent::Machine(heard) = event {
///             assert_eq!(heard, 12);
///             break 'talk;
///         }
///     }
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct HubLoop<H: Hub, N: Net = StdNet> {
    cycle: Cycle<Many<H, N>>,
}

/// A hub and its links.
struct Many<H: Hub, N: Net> {
    pump: HubPump<H, N, Carried<UdpLink>>,
    /// The wait: that of the system, but for tests.
    sleep: Sleep,
    options: Options,
}

impl<H: Hub, N: Net> fmt::Debug for HubLoop<H, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubLoop").field("pump", &self.cycle.driven.pump).finish_non_exhaustive()
    }
}

/// Waits until one of them is ready, as [`wait_all`] does.
pub(crate) type Sleep = fn(&mut [Fd<'_>], Option<Duration>) -> io::Result<bool>;

/// Whose file descriptor it is.
enum Whose {
    Waker,
    Port(u64),
    Board(Place),
}

impl<H: Hub> HubLoop<H> {
    /// A loop without sockets; the hub wishes for them, or they are handed in.
    ///
    /// # Errors
    /// If no file descriptor is left for the waker.
    pub fn new(hub: H, how: &HubOptions) -> io::Result<Self> {
        Self::over(StdNet, wait_all, hub, how)
    }
}

impl<H: Hub, N: Net<Wire: AsFd, Door: AsFd>> HubLoop<H, N> {
    pub(crate) fn over(net: N, sleep: Sleep, hub: H, how: &HubOptions) -> io::Result<Self> {
        let board = Board::new(net, how.limits, how.secure.clone());
        let pump = HubPump::new(hub, board, Tells::Again);
        let many = Many { pump, sleep, options: how.options };
        Ok(Self { cycle: Cycle::new(many, how.options.clock)? })
    }

    /// Takes over a UDP socket, as if the hub had wished for it by this number.
    pub fn add_udp(&mut self, number: u64, link: UdpLink) {
        let local = link.local_addr().ok();
        self.cycle.driven.pump.add_udp(self.cycle.clock.now(), number, (Carried(link), local));
    }

    /// Takes over a listener, as if the hub had wished for it by this number. It must not block:
    /// see [`listener`].
    pub fn add_listener(&mut self, number: u64, kind: LinkKind, listener: N::Door) {
        self.cycle.driven.pump.add_listener(self.cycle.clock.now(), number, kind, listener);
    }

    /// Runs until there is an event, a wake, or `timeout` is over, as
    /// [`Loop::run_once`](crate::Loop::run_once) does.
    ///
    /// # Errors
    /// If a UDP socket or the wait itself is broken; what becomes of links is told to the hub.
    pub fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<Turn> {
        self.cycle.run_once(timeout)
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<H::Event> {
        self.cycle.driven.pump.next_event()
    }

    /// Uses the hub at the present time; what it has to say goes out with the next
    /// [`Self::run_once`].
    pub fn with<R>(&mut self, action: impl FnOnce(&mut H, Instant) -> R) -> R {
        let now = self.cycle.clock.now();
        action(self.cycle.driven.pump.hub_mut(), now)
    }

    /// The hub.
    pub fn hub(&self) -> &H {
        self.cycle.driven.pump.hub()
    }

    /// The clock of this loop.
    pub fn clock(&self) -> Clock {
        self.cycle.clock
    }

    /// A handle that ends this loop's waits from another thread.
    pub fn waker(&self) -> Waker {
        self.cycle.waker.clone()
    }

    /// What this loop has done so far.
    pub fn counts(&self) -> Counts {
        self.cycle.counts()
    }

    /// A UDP socket, by its number.
    pub fn udp(&self, number: u64) -> Option<&UdpLink> {
        let mut ports = self.cycle.driven.pump.ports();
        ports.find(|(one, ..)| *one == number).map(|(_, carried, _)| &carried.0)
    }

    /// What has become of TCP and TLS links.
    pub fn link_stats(&self) -> tripline_tcp::Stats {
        self.cycle.driven.pump.board().stats()
    }

    /// When [`Self::run_once`] wants to be called at the latest, as
    /// [`Loop::deadline`](crate::Loop::deadline) says it.
    pub fn deadline(&self) -> Option<Instant> {
        self.cycle.deadline()
    }
}

impl<H: Hub, N: Net<Wire: AsFd, Door: AsFd>> Driven for Many<H, N> {
    fn wait(&mut self, waker: &Waker, at_most: Option<Duration>) -> io::Result<bool> {
        let Self { pump, sleep, .. } = self;
        let mut whose = vec![Whose::Waker];
        let mut fds = vec![Fd::new(waker.as_fd(), true, false)];
        for (number, carried, wants_room) in pump.ports() {
            whose.push(Whose::Port(number));
            fds.push(Fd::new(carried.0.as_fd(), true, wants_room));
        }
        for (place, socket, want) in pump.board().sockets() {
            if !want.read && !want.write {
                continue;
            }
            let fd = match socket {
                tripline_tcp::Socket::Wire(wire) => wire.as_fd(),
                tripline_tcp::Socket::Door(door) => door.as_fd(),
            };
            whose.push(Whose::Board(place));
            fds.push(Fd::new(fd, want.read, want.write));
        }
        let mut woken = sleep(&mut fds, at_most)?;
        let ready: Vec<_> = fds.iter().map(|fd| (fd.readable, fd.writable)).collect();
        for (whose, (read, write)) in whose.into_iter().zip(ready) {
            match whose {
                _ if !read && !write => {}
                Whose::Waker => woken = true,
                Whose::Port(number) => pump.ready_udp(number, read, write),
                Whose::Board(place) => pump.ready(place, Interest { read, write }),
            }
        }
        Ok(woken)
    }

    fn receive_aside(&mut self, now: Instant) {
        let (hub, ports) = self.pump.hub_and_ports();
        for (number, carried, _) in ports {
            carried.0.recv_aside(&mut |path, ecn, datagram| {
                hub.handle_datagram(now, number, path, ecn, datagram);
            });
        }
    }

    fn turn(&mut self, now: Instant) -> io::Result<()> {
        let Self { pump, options, .. } = self;
        pump.turn(now, &mut |address| {
            let socket = Socket::bind(address, &options.socket)?;
            let local = socket.local_addr().ok();
            Ok((Carried(UdpLink::new(socket, options.receive_buffers)), local))
        })
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        self.pump.deadline(now)
    }

    fn has_event(&self) -> bool {
        self.pump.has_event()
    }

    fn turns(&self) -> Turns {
        self.pump.turns()
    }
}

/// A listener for [`HubLoop::add_listener`].
///
/// # Errors
/// If no such listener is to be had.
pub fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    StdNet.listen(address)
}
