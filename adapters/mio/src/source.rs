//! A machine and its UDP socket as an event source of mio.

use crate::udp::Udp;
use crate::{Clock, HubOptions, HubSource, Options};
use mio::event::{self, Event};
use mio::{Interest, Registry, Token};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tripline_sansio::{DatagramMachine, Instant};
use tripline_tcp::One;
use tripline_udp::{Socket, Stats, Turns};

/// One machine and one UDP socket, for the user's own [`Poll`](mio::Poll): a [`HubSource`] with
/// nothing but that.
///
/// The [crate's page](crate) shows it at work. Register it like any other source; it asks for the
/// readiness that it needs by itself, whatever interests are named. It has no thread, and waits
/// nowhere.
pub struct Source<M: DatagramMachine> {
    hub: HubSource<One<M>>,
}

impl<M: DatagramMachine> fmt::Debug for Source<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("hub", &self.hub).finish()
    }
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
        let how = HubOptions { options: *options, ..HubOptions::default() };
        let mut hub = HubSource::new(One(machine), &how);
        hub.add_udp(One::<M>::LINK, socket)?;
        Ok(Self { hub })
    }

    /// Notes what an event of this source's token says. The rest is for [`Self::run`].
    pub fn ready(&mut self, event: &Event) {
        self.hub.ready(event);
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
        self.hub.run()
    }

    /// As [`Self::run`], at a time that the caller has read already from [`Self::clock`].
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_at(&mut self, now: Instant) -> io::Result<()> {
        self.hub.run_at(now)
    }

    /// The next event, in the order in which things happened.
    pub fn next_event(&mut self) -> Option<M::Event> {
        self.hub.next_event()
    }

    /// For how long mio may wait, as [`Poll::poll`](mio::Poll::poll) takes it: until the machine's
    /// deadline; zero if there is more to do at once. Of several sources the shortest counts. To be
    /// asked after [`Self::run`].
    ///
    /// Mio waits in steps of a millisecond and never too short, so a machine may hear of its
    /// deadline up to a millisecond late.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.hub.poll_timeout()
    }

    /// When the next [`Self::run`] is due though nothing is ready; a time in the past is at once.
    pub fn deadline(&self) -> Option<Instant> {
        self.hub.deadline()
    }

    /// Uses the machine at the present time; what it has to send goes out with the next
    /// [`Self::run`].
    pub fn with<R>(&mut self, action: impl FnOnce(&mut M, Instant) -> R) -> R {
        self.hub.with(|one, now| action(&mut one.0, now))
    }

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.hub.hub().0
    }

    /// The clock of this source.
    pub fn clock(&self) -> Clock {
        self.hub.clock()
    }

    /// The address the socket is bound to.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let none = || Err(io::ErrorKind::NotConnected.into());
        self.udp().map_or_else(none, |udp| udp.socket.local_addr())
    }

    /// The counters of the socket (T68).
    pub fn stats(&self) -> Stats {
        self.udp().map(|udp| udp.batcher.stats()).unwrap_or_default()
    }

    fn udp(&self) -> Option<&Udp> {
        self.hub.udp(One::<M>::LINK)
    }

    /// What this source has done so far.
    pub fn turns(&self) -> Turns {
        self.hub.turns()
    }
}

/// The interests that the caller names are not looked at: the source knows what it needs.
impl<M: DatagramMachine> event::Source for Source<M> {
    fn register(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        self.hub.register_at(registry, (token.0, 1))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, _: Interest) -> io::Result<()> {
        self.hub.deregister()?;
        self.hub.register_at(registry, (token.0, 1))
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        self.hub.deregister()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::{Events, Poll};
    use std::io::IoSliceMut;
    use std::os::fd::BorrowedFd;
    use tripline_sansio::{Ecn, Path, Transmit};
    use tripline_udp::{Calls, Destination, Kernel, Message};

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

    /// A socket that has no room once. Loopback has no such: it takes what it is given, and drops
    /// it later.
    #[derive(Debug)]
    struct FullOnce(Kernel, bool);

    impl Calls for FullOnce {
        fn send(
            &mut self,
            socket: BorrowedFd<'_>,
            to: Destination,
            bytes: &[u8],
            segment: usize,
        ) -> io::Result<()> {
            if !std::mem::replace(&mut self.1, true) {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0.send(socket, to, bytes, segment)
        }

        fn send_many(
            &mut self,
            socket: BorrowedFd<'_>,
            to: Destination,
            bytes: &[u8],
            segment: usize,
        ) -> io::Result<usize> {
            self.0.send_many(socket, to, bytes, segment)
        }

        fn recv(
            &mut self,
            socket: BorrowedFd<'_>,
            buffers: &mut [IoSliceMut<'_>],
            messages: &mut [Message],
        ) -> io::Result<usize> {
            self.0.recv(socket, buffers, messages)
        }

        fn cuts(&self) -> bool {
            self.0.cuts()
        }

        fn merges(&self) -> bool {
            self.0.merges()
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
        let socket = std::net::UdpSocket::bind(any).expect("a socket");
        let calls = FullOnce(Kernel::new(&socket).expect("a socket"), false);
        let socket = Socket::with_calls(socket, Box::new(calls)).expect("a socket");
        let mut source = Source::new(socket, &Options::default(), machine).expect("a source");
        let (mut poll, mut events) = (Poll::new().expect("a poll"), Events::with_capacity(4));
        poll.registry()
            .register(&mut source, Token(usize::MAX - 1), Interest::READABLE)
            .expect("registered");
        source.run().expect("a turn");
        assert_eq!((source.poll_timeout(), source.turns().full), (None, 1));
        // Without being told nothing is tried.
        source.run().expect("a turn");
        assert_eq!((source.stats().send_calls, source.turns().turns), (1, 2));
        poll.poll(&mut events, Some(Duration::from_secs(20))).expect("polled");
        let told: Vec<_> =
            events.iter().map(|event| (event.token(), event.is_writable())).collect();
        assert_eq!(told, [(Token(usize::MAX - 1), true)]);
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
