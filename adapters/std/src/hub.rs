//! The loop of a hub: one thread, one wait over all its sockets.
//!
//! What [`Loop`](crate::Loop) is to a machine with one socket, [`HubLoop`] is to a
//! [`Hub`](tripline_sansio::Hub) with UDP sockets, listeners, TCP and TLS links: the same turn, the
//! same rules, the same wait. Around one TCP link or one listener it drives any stream machine, by
//! [`Solo`](tripline_sansio::Solo) and [`Crowd`](tripline_sansio::Crowd).

use crate::wait::{Fd, wait_all};
use crate::{Clock, Counts, Link, Options, Turn, UdpLink, Waker};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tripline_sansio::{
    Answer, Hub, Instant, LinkError, LinkFailure, LinkKind, Secure, Transmit, Wish,
};
use tripline_tcp::{Board, Interest, Limits, Net, Place, StdNet};
use tripline_udp::{DropCause, SendOutcome, Socket};

/// Receive calls of one turn and socket, at most.
const MAX_BATCHES: usize = 16;
/// Datagrams after which a turn receives no more.
const ENOUGH_DATAGRAMS: usize = 512;
/// Send calls of one drain, at most.
const MAX_SENDS: usize = 256;
/// Rounds of wishes in one drain, at most: a wish that fails at once may be followed by another.
const MAX_ROUNDS: usize = 8;

/// How to make a [`HubLoop`].
#[derive(Clone, Default)]
pub struct HubOptions {
    /// For UDP sockets that the hub wishes for, and the clock.
    pub options: Options,
    /// How many links there may be, and how patient to be with them.
    pub limits: Limits,
    /// What secures TLS links; without it there are none.
    pub secure: Option<Arc<dyn Secure + Send + Sync>>,
}

impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("options", &self.options)
            .field("limits", &self.limits)
            .field("secure", &self.secure.is_some())
            .finish()
    }
}

/// One UDP socket.
#[derive(Debug)]
struct Port {
    link: UdpLink,
    /// A transmit that did not fit, and how much of `out` is done with.
    pending: Option<(Transmit, usize)>,
    out: Vec<u8>,
}

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
    hub: H,
    board: Board<N>,
    /// The wait: that of the system, but for tests.
    sleep: Sleep,
    ports: BTreeMap<u64, Port>,
    options: Options,
    clock: Clock,
    waker: Waker,
    /// An event that was taken to see whether there is one.
    event: Option<H::Event>,
    /// Whether the last drain stopped at its bound.
    busy: bool,
    counts: Counts,
    scratch: Vec<u8>,
}

impl<H: Hub, N: Net> fmt::Debug for HubLoop<H, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubLoop").field("board", &self.board).finish_non_exhaustive()
    }
}

/// Waits until one of them is ready, as [`wait_all`] does.
pub(crate) type Sleep = fn(&mut [Fd<'_>], Option<Duration>) -> io::Result<bool>;

/// Whose file descriptor it is.
#[derive(Clone, Copy)]
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
        Ok(Self {
            hub,
            board: Board::new(net, how.limits, how.secure.clone()),
            sleep,
            ports: BTreeMap::new(),
            options: how.options,
            clock: how.options.clock,
            waker: Waker::new()?,
            event: None,
            busy: false,
            counts: Counts::default(),
            scratch: Vec::new(),
        })
    }

    /// Takes over a UDP socket, as if the hub had wished for it by this number.
    pub fn add_udp(&mut self, number: u64, link: UdpLink) {
        let local = link.local_addr().ok();
        self.ports.insert(number, Port { link, pending: None, out: Vec::new() });
        let now = self.clock.now();
        self.hub.handle_answer(now, number, Answer::Opened { local });
    }

    /// Takes over a listener, as if the hub had wished for it by this number. It must not block:
    /// see [`listener`].
    pub fn add_listener(&mut self, number: u64, kind: LinkKind, listener: N::Door) {
        let now = self.clock.now();
        self.board.adopt(now, &mut self.hub, (number, kind), listener);
    }

    /// Runs until there is an event, a wake, or `timeout` is over, as
    /// [`Loop::run_once`](crate::Loop::run_once) does.
    ///
    /// # Errors
    /// If a UDP socket or the wait itself is broken; what becomes of links is told to the hub.
    pub fn run_once(&mut self, timeout: Option<Duration>) -> io::Result<Turn> {
        let mut now = self.clock.now();
        let limit = timeout.map(|timeout| now + timeout);
        self.tell_time(now);
        self.drain(now);
        self.look_for_event();
        loop {
            let at_most = self.time_to_wait(now, limit);
            self.counts.waits += 1;
            let (ready, woken) = self.wait(at_most)?;
            self.busy = false;
            now = self.clock.now();
            if woken {
                self.waker.reset();
                self.receive_aside(now);
            }
            for (whose, interest) in ready {
                match whose {
                    Whose::Waker => {}
                    Whose::Port(number) => self.on_port(now, number, interest)?,
                    Whose::Board(place) => {
                        self.board.on_ready(now, &mut self.hub, place, interest);
                    }
                }
            }
            self.tell_time(now);
            self.drain(now);
            self.look_for_event();
            if self.event.is_some() {
                return Ok(Turn::Event);
            }
            if woken {
                return Ok(Turn::Woken);
            }
            if limit.is_some_and(|limit| limit <= now) {
                return Ok(Turn::TimedOut);
            }
        }
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<H::Event> {
        self.event.take().or_else(|| self.hub.poll_event())
    }

    /// Uses the hub at the present time; what it has to say goes out with the next
    /// [`Self::run_once`].
    pub fn with<R>(&mut self, action: impl FnOnce(&mut H, Instant) -> R) -> R {
        let now = self.clock.now();
        action(&mut self.hub, now)
    }

    /// The hub.
    pub fn hub(&self) -> &H {
        &self.hub
    }

    /// The clock of this loop.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// A handle that ends this loop's waits from another thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// What this loop has done so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// A UDP socket, by its number.
    pub fn udp(&self, number: u64) -> Option<&UdpLink> {
        self.ports.get(&number).map(|port| &port.link)
    }

    /// What has become of TCP and TLS links.
    pub fn link_stats(&self) -> tripline_tcp::Stats {
        self.board.stats()
    }

    /// Takes in what sockets got from elsewhere.
    fn receive_aside(&mut self, now: Instant) {
        let Self { hub, ports, .. } = self;
        for (number, port) in ports {
            port.link.recv_aside(&mut |path, ecn, datagram| {
                hub.handle_datagram(now, *number, path, ecn, datagram);
            });
        }
    }

    /// When [`Self::run_once`] wants to be called at the latest, as
    /// [`Loop::deadline`](crate::Loop::deadline) says it.
    pub fn deadline(&self) -> Option<Instant> {
        if self.busy || self.event.is_some() || self.board.is_busy() {
            return Some(Instant::ZERO);
        }
        self.future_deadline(self.clock.now())
    }

    fn is_full(&self) -> bool {
        self.ports.values().any(|port| port.pending.is_some())
    }

    fn time_to_wait(&self, now: Instant, limit: Option<Instant>) -> Option<Duration> {
        if self.busy || self.event.is_some() || self.board.is_busy() {
            return Some(Duration::ZERO);
        }
        let first = [self.future_deadline(now), limit].into_iter().flatten().min()?;
        Some(first.saturating_duration_since(now))
    }

    /// As in [`Loop`](crate::Loop): a deadline that is still past needs room on a socket first.
    fn future_deadline(&self, now: Instant) -> Option<Instant> {
        let full = self.is_full();
        let hub = self.hub.poll_timeout().filter(|deadline| !full || *deadline > now);
        [hub, self.board.deadline()].into_iter().flatten().min()
    }

    fn tell_time(&mut self, now: Instant) {
        self.board.on_time(now, &mut self.hub);
        if self.hub.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.counts.timeouts += 1;
            self.hub.handle_timeout(now);
        }
    }

    /// Waits for anything at all; what is ready, and whether the waker rang or a signal came.
    fn wait(&self, at_most: Option<Duration>) -> io::Result<(Vec<(Whose, Interest)>, bool)> {
        let read = Interest { read: true, write: false };
        let mut all = vec![(Whose::Waker, Fd::new(self.waker.as_fd(), read.read, read.write))];
        for (number, port) in &self.ports {
            let fd = Fd::new(port.link.as_fd(), true, port.pending.is_some());
            all.push((Whose::Port(*number), fd));
        }
        for (place, socket, want) in self.board.sockets() {
            if !want.read && !want.write {
                continue;
            }
            let fd = match socket {
                tripline_tcp::Socket::Wire(wire) => wire.as_fd(),
                tripline_tcp::Socket::Door(door) => door.as_fd(),
            };
            all.push((Whose::Board(place), Fd::new(fd, want.read, want.write)));
        }
        let mut fds: Vec<Fd<'_>> = all.iter().map(|(_, fd)| *fd).collect();
        let signal = (self.sleep)(&mut fds, at_most)?;
        let mut woken = signal;
        let mut ready = Vec::new();
        for ((whose, _), fd) in all.iter().zip(&fds) {
            let interest = Interest { read: fd.readable, write: fd.writable };
            if !fd.readable && !fd.writable {
                continue;
            }
            match whose {
                Whose::Waker => woken = true,
                whose => ready.push((*whose, interest)),
            }
        }
        Ok((ready, woken))
    }

    fn on_port(&mut self, now: Instant, number: u64, ready: Interest) -> io::Result<()> {
        let Self { hub, ports, .. } = self;
        let Some(port) = ports.get_mut(&number).filter(|_| ready.read) else { return Ok(()) };
        let mut datagrams = 0;
        for _ in 0..MAX_BATCHES {
            let mut hand_on = |path, ecn, datagram: &mut [u8]| {
                hub.handle_datagram(now, number, path, ecn, datagram);
            };
            match port.link.recv(&mut hand_on) {
                Ok(received) => {
                    datagrams += received.datagrams;
                    if !received.maybe_more || datagrams >= ENOUGH_DATAGRAMS {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Datagrams, bytes of links, wishes; until there are no more, or the bounds are reached.
    fn drain(&mut self, now: Instant) {
        for _ in 0..MAX_ROUNDS {
            self.send(now);
            let others = self.board.drain(now, &mut self.hub);
            if others.is_empty() {
                return;
            }
            for wish in others {
                self.obey(now, wish);
            }
        }
        self.busy = true;
    }

    fn send(&mut self, now: Instant) {
        for _ in 0..MAX_SENDS {
            let waiting = self.ports.iter().find(|(_, port)| port.pending.is_some());
            let number = match waiting {
                Some((number, _)) => *number,
                None => {
                    self.scratch.clear();
                    let Some((number, transmit)) = self.hub.poll_transmit(now, &mut self.scratch)
                    else {
                        return;
                    };
                    // Without a socket it is lost, as datagrams are.
                    let Some(port) = self.ports.get_mut(&number) else { continue };
                    std::mem::swap(&mut port.out, &mut self.scratch);
                    port.pending = Some((transmit, 0));
                    number
                }
            };
            if !self.send_pending(now, number) {
                return;
            }
        }
        self.busy = true;
    }

    /// Sends what waits at a socket; `false` if that is full.
    fn send_pending(&mut self, now: Instant, number: u64) -> bool {
        let Some(port) = self.ports.get_mut(&number) else { return true };
        let Some((transmit, done)) = port.pending.take() else { return true };
        let rest = port.out.get(done..).unwrap_or_default();
        match port.link.send(&Transmit { len: rest.len(), ..transmit }, rest) {
            SendOutcome::Full { sent } => {
                port.pending = Some((transmit, done + sent));
                self.counts.full += 1;
                return false;
            }
            SendOutcome::Dropped(DropCause::TooBig) => {
                self.hub.handle_too_big(now, number, &transmit);
            }
            SendOutcome::Sent | SendOutcome::Dropped(_) => {}
        }
        true
    }

    /// Wishes for UDP.
    fn obey(&mut self, now: Instant, wish: Wish) {
        match wish {
            Wish::Open { link, address, .. } => match self.bind(address) {
                Ok(udp) => self.add_udp(link, udp),
                Err(error) => self.fail(now, link, &error.to_string()),
            },
            Wish::Listen { link, .. } => self.fail(now, link, "UDP is opened, not listened for"),
            Wish::Close { link } => {
                self.ports.remove(&link);
            }
        }
    }

    fn bind(&self, address: SocketAddr) -> io::Result<UdpLink> {
        let socket = Socket::bind(address, &self.options.socket)?;
        Ok(UdpLink::new(socket, self.options.receive_buffers))
    }

    fn fail(&mut self, now: Instant, link: u64, text: &str) {
        let error = LinkError { failure: LinkFailure::Unavailable, text: text.to_owned() };
        self.hub.handle_answer(now, link, Answer::Failed(error));
    }

    fn look_for_event(&mut self) {
        if self.event.is_none() {
            self.event = self.hub.poll_event();
        }
    }
}

/// A listener for [`HubLoop::add_listener`].
///
/// # Errors
/// If no such listener is to be had.
pub fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    StdNet.listen(address)
}
