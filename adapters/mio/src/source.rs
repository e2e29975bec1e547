//! A machine and its UDP socket as an event source of mio.

use crate::{Clock, Options};
use mio::event::{self, Event};
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Transmit};
use tripline_udp::{
    Batcher, Carrier, Pump, Received, RecvBuffers, SendOutcome, Socket, Stats, Tells, Turns,
};

/// One machine and one UDP socket, for the user's own [`Poll`](mio::Poll).
///
/// The [crate's page](crate) shows it at work. Register it like any other source; it asks for the
/// readiness that it needs by itself, whatever interests are named. It has no thread, and waits
/// nowhere.
pub struct Source<M: DatagramMachine> {
    pump: Pump<M>,
    udp: Udp,
    clock: Clock,
    /// Where it is registered, and as what.
    place: Option<Place>,
}

impl<M: DatagramMachine> fmt::Debug for Source<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pump, udp, place, .. } = self;
        let mut shown = f.debug_struct("Source");
        shown.field("udp", udp).field("place", place).field("counts", &pump.turns());
        shown.finish_non_exhaustive()
    }
}

/// A registration.
#[derive(Debug)]
struct Place {
    registry: Registry,
    token: Token,
    /// Whether room is asked for as well. Only a full socket is: each datagram that leaves makes
    /// room, and each would be told.
    room: bool,
}

impl<M: DatagramMachine> Source<M> {
    /// A source over a new UDP socket at `address`.
    ///
    /// # Errors
    /// As [`Socket::bind`].
    pub fn bind(address: SocketAddr, options: &Options, machine: M) -> io::Result<Self> {
        Self::new(Socket::bind(address, &options.socket)?, options, machine)
    }

    /// A source over a socket that is there already.
    ///
    /// # Errors
    /// As [`Socket::new`].
    pub fn new(
        socket: Socket<std::net::UdpSocket>,
        options: &Options,
        machine: M,
    ) -> io::Result<Self> {
        let udp = Udp::new(socket, options)?;
        Ok(Self { pump: Pump::new(machine, Tells::Once), udp, clock: options.clock, place: None })
    }

    /// Notes what an event of this source's token says. The rest is for [`Self::run`].
    pub fn ready(&mut self, event: &Event) {
        // Errors are told by the receive call.
        let readable = event.is_readable() || event.is_error() || event.is_read_closed();
        self.pump.ready(readable, event.is_writable());
    }

    /// Runs one turn: receives what has come in, tells the machine the time if its deadline has
    /// come, sends what it has to send, and looks for an event. It does not wait.
    ///
    /// Due after each poll, and after each use of the machine; once too often does no harm. A turn
    /// is bounded: one that stops early makes [`Self::poll_timeout`] zero and goes on with the next
    /// call, though mio does not tell of the socket again.
    ///
    /// # Errors
    /// If the socket itself is broken; what the network does to datagrams is no error.
    pub fn run(&mut self) -> io::Result<()> {
        self.run_at(self.clock.now())
    }

    /// As [`Self::run`], at a time that the caller has read already from [`Self::clock`].
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_at(&mut self, now: Instant) -> io::Result<()> {
        self.pump.turn(now, &mut self.udp)?;
        self.ask_for_room()
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.pump.next_event()
    }

    /// For how long mio may wait, as [`Poll::poll`](mio::Poll::poll) takes it: until the machine's
    /// deadline; zero if there is more to do at once. Of several sources the shortest counts. To be
    /// asked after [`Self::run`].
    ///
    /// Mio waits in steps of a millisecond and never too short, so a machine may hear of its
    /// deadline up to a millisecond late.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let now = self.clock.now();
        Some(self.pump.deadline(now)?.saturating_duration_since(now))
    }

    /// When the next [`Self::run`] is due though nothing is ready; a time in the past is at once.
    pub fn deadline(&self) -> Option<Instant> {
        self.pump.deadline(self.clock.now())
    }

    /// Uses the machine at the present time; what it has to send goes out with the next
    /// [`Self::run`].
    pub fn with<R>(&mut self, action: impl FnOnce(&mut M, Instant) -> R) -> R {
        let now = self.clock.now();
        action(self.pump.machine_mut(), now)
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        self.pump.machine()
    }

    /// The clock of this source.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// The address the socket is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.socket.local_addr()
    }

    /// The counters of the socket (T68).
    pub fn stats(&self) -> Stats {
        self.udp.batcher.stats()
    }

    /// What this source has done so far.
    pub fn turns(&self) -> Turns {
        self.pump.turns()
    }

    fn place_at(&self, registry: &Registry, token: Token) -> io::Result<Place> {
        Ok(Place { registry: registry.try_clone()?, token, room: self.pump.wants_room() })
    }

    /// Asks mio for room while a datagram waits for it, and only then.
    fn ask_for_room(&mut self) -> io::Result<()> {
        let room = self.pump.wants_room();
        let Some(place) = self.place.as_mut().filter(|place| place.room != room) else {
            return Ok(());
        };
        place.room = room;
        place.registry.reregister(&mut self.udp.socket, place.token, interests(room))
    }
}

/// What is asked of mio.
pub(crate) fn interests(room: bool) -> Interest {
    if room { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
}

/// The interests that the caller names are not looked at: the source knows what it needs.
impl<M: DatagramMachine> event::Source for Source<M> {
    fn register(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        let place = self.place_at(registry, token)?;
        registry.register(&mut self.udp.socket, token, interests(place.room))?;
        self.place = Some(place);
        Ok(())
    }

    fn reregister(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        let place = self.place_at(registry, token)?;
        registry.reregister(&mut self.udp.socket, token, interests(place.room))?;
        self.place = Some(place);
        Ok(())
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.place = None;
        registry.deregister(&mut self.udp.socket)
    }
}

/// The socket with its receive buffers.
#[derive(Debug)]
pub(crate) struct Udp {
    pub(crate) socket: UdpSocket,
    pub(crate) batcher: Batcher,
    buffers: RecvBuffers,
}

impl Udp {
    pub(crate) fn new(socket: Socket, options: &Options) -> io::Result<Self> {
        let socket = UdpSocket::from_std(socket.into_inner());
        let batcher = Batcher::new(&socket)?;
        Ok(Self { socket, batcher, buffers: RecvBuffers::new(options.receive_buffers) })
    }
}

impl Carrier for Udp {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let Self { socket, batcher, buffers } = self;
        // Where mio emulates edges, it has to see that a call would have blocked.
        socket.try_io(|| batcher.recv_batch(socket, buffers, on_datagram))
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        let Self { socket, batcher, .. } = self;
        let mut outcome = SendOutcome::Sent;
        let _ = socket.try_io(|| {
            outcome = batcher.send(socket, transmit, bytes);
            match outcome {
                SendOutcome::Full { .. } => Err(io::ErrorKind::WouldBlock.into()),
                SendOutcome::Sent | SendOutcome::Dropped(_) => Ok(()),
            }
        });
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};

    /// Sends numbers, if it may.
    struct Counter {
        to: SocketAddr,
        left: u32,
    }

    impl DatagramMachine for Counter {
        type Event = ();

        fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, _: &mut [u8]) {}

        fn handle_timeout(&mut self, _: Instant) {}

        fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
            self.left = self.left.checked_sub(1)?;
            out.extend(self.left.to_be_bytes());
            Some(Transmit { path: Path::to(self.to), ecn: Ecn::NotEct, len: 4, segment_size: 4 })
        }

        fn poll_timeout(&self) -> Option<Instant> {
            None
        }

        fn poll_event(&mut self) -> Option<()> {
            None
        }
    }

    /// A socket without room. Loopback has none: it takes what it is given, and drops it later.
    struct Full;

    impl Carrier for Full {
        fn recv(&mut self, _: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn send(&mut self, _: &Transmit, _: &[u8]) -> SendOutcome {
            SendOutcome::Full { sent: 0 }
        }
    }

    /// T64: what a full socket does not take is kept; room is asked for then, told, and asked for
    /// no longer.
    #[test]
    fn t64_a_full_socket_is_waited_for() {
        let soon = Some(Duration::from_millis(20));
        let sink = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let machine = Counter { to: sink.local_addr().expect("an address"), left: 3 };
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut source = Source::bind(any, &Options::default(), machine).expect("a source");
        let (mut poll, mut events) = (Poll::new().expect("a poll"), Events::with_capacity(4));
        poll.registry().register(&mut source, Token(7), Interest::READABLE).expect("registered");
        let now = source.clock.now();
        source.pump.turn(now, &mut Full).expect("a turn");
        source.ask_for_room().expect("asked");
        assert_eq!((source.poll_timeout(), source.turns().full), (None, 1));
        // Without being told nothing is tried.
        source.run().expect("a turn");
        assert!(source.pump.wants_room());
        poll.poll(&mut events, Some(Duration::from_secs(20))).expect("polled");
        let told: Vec<_> =
            events.iter().map(|event| (event.token(), event.is_writable())).collect();
        assert_eq!(told, [(Token(7), true)]);
        events.iter().for_each(|event| source.ready(event));
        source.run().expect("a turn");
        let mut buffer = [0; 8];
        for number in [2_u32, 1, 0] {
            let len = sink.recv(&mut buffer).expect("a datagram");
            assert_eq!(buffer[..len], number.to_be_bytes());
        }
        // Nothing is told any more.
        poll.poll(&mut events, soon).expect("polled");
        assert!(events.is_empty() && source.poll_timeout().is_none());
    }
}
