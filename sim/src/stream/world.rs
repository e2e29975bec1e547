//! The world's calls about pipes, and the world of stream machines.

use super::config::StreamConfig;
use super::drive::Piped;
use super::link::StreamCounters;
use super::machine::{PipeMachine, Stream};
use super::pipes::{PipeId, Way};
use super::view::PipeView;
use crate::host::{Host, HostId};
use crate::world::World;
use std::net::SocketAddr;
use tripline_sansio::{DatagramMachine, Duration, StreamMachine};

/// A world of [`StreamMachine`]s, each with one pipe at a time.
///
/// ```
/// use tripline_sim::{Duration, Instant, Stream, StreamConfig, StreamMachine, StreamWorld};
///
/// /// Counts what it gets, and writes so many bytes.
/// struct Counter { got: usize, to_write: usize }
///
/// impl StreamMachine for Counter {
///     type Event = ();
///     fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) { self.got += bytes.len(); }
///     fn handle_eof(&mut self, _: Instant) {}
///     fn handle_timeout(&mut self, _: Instant) {}
///     fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
///         let len = std::mem::take(&mut self.to_write);
///         out.resize(out.len() + len, 0);
///         len > 0
///     }
///     fn poll_timeout(&self) -> Option<Instant> { None }
///     fn poll_event(&mut self) -> Option<()> { None }
/// }
///
/// let mut world = StreamWorld::new(7);
/// let slow = StreamConfig::perfect().delay(Duration::from_millis(20)).rate(1_000);
/// world.set_default_pipe(slow.buffer(100));
/// let counter = |to_write| Stream::new(Counter { got: 0, to_write });
/// let ([one, two], pipe) = world.add_pair([counter(1_000), counter(0)]);
/// let end = world.run_until_idle(Duration::from_secs(60)).unwrap();
/// // A hundred bytes at a time: 100 ms on the line, 20 ms on the way.
/// assert_eq!(end, Instant::ZERO + Duration::from_millis(1_200));
/// assert_eq!(world.machine(two).got, 1_000);
/// assert!(world.pipe_counters(pipe, one).full > 5, "back-pressure");
/// ```
pub type StreamWorld<M> = World<Stream<M>>;

/// The address of a host of a pair, by its number.
fn pair_address(number: usize) -> SocketAddr {
    let [.., a, b, c] = (number as u32).to_be_bytes();
    SocketAddr::from(([10, a, b, c], 1))
}

impl<M: StreamMachine> World<Stream<M>> {
    /// Adds two hosts with a pipe between them; what they have to say leaves at once. Their
    /// addresses are 10.x.x.x with port 1, by the number of the host.
    pub fn add_pair(&mut self, machines: [Stream<M>; 2]) -> ([HostId; 2], PipeId) {
        let hosts = machines.map(|machine| {
            let address = pair_address(self.hosts().len() + 1);
            self.place(address, machine)
        });
        let pipe = self.open_pipe(hosts);
        (hosts, pipe)
    }
}

/// Streams of bytes between hosts.
impl<M: PipeMachine> World<M> {
    /// Sets what pipes opened from now on are like, in both directions. At first they have a delay
    /// of 10 ms.
    pub fn set_default_pipe(&mut self, config: StreamConfig) {
        self.pipes.set_default(config);
    }

    /// Opens a pipe between two hosts, whose machines are told at once.
    ///
    /// # Panics
    /// If both are the same.
    pub fn open_pipe(&mut self, hosts: [HostId; 2]) -> PipeId {
        let ends = hosts.map(|host| (host, self.address(host)));
        let pipe = self.pipes.open(ends);
        let now = self.now();
        for id in hosts {
            let host = self.host(id);
            host.piped.get_or_insert_with(|| Box::new(Piped::new()));
            if !host.machine.handle_opened(now, pipe.number()) {
                self.shut(pipe, id);
            }
        }
        for host in hosts {
            self.attend(host, Host::turn);
        }
        self.attend_writable();
        pipe
    }

    /// Changes what one direction of a pipe is like.
    pub fn configure_pipe(&mut self, pipe: PipeId, from: HostId, config: StreamConfig) {
        let (way, now) = (self.way(pipe, from), self.now());
        self.pipes.configure(now, way, config);
        self.attend_writable();
    }

    /// Lets nothing that `from` writes arrive for so long; [`Duration::MAX`]: until another stall
    /// is set. [`Duration::ZERO`] ends a stall.
    pub fn stall(&mut self, pipe: PipeId, from: HostId, duration: Duration) {
        let (way, until) = (self.way(pipe, from), self.now() + duration);
        self.pipes.stall_until(way, until);
    }

    /// Breaks a pipe on the way: what is in it is lost, and each end learns of it after the delay.
    pub fn reset(&mut self, pipe: PipeId) {
        let now = self.now();
        let way = self.pipes.any_way(pipe);
        self.pipes.reset(now, way);
        self.pipes.reset(now, way.back());
        self.attend_writable();
    }

    /// Breaks a pipe for one end, at once: its machine is told, and what comes its way is lost. The
    /// other end is not told, and gets what was already on its way to it.
    pub fn break_end(&mut self, pipe: PipeId, host: HostId) {
        let (way, now) = (self.way(pipe, host), self.now());
        if self.pipes.cut_off(way) {
            self.host(host).machine.handle_broken(now, pipe.number());
        }
        self.attend(host, Host::turn);
        self.attend_writable();
    }

    /// Ends what a host writes behind the last byte that its machine has to write now; the other
    /// side learns of it when it has read that. What the machine writes later is thrown away and
    /// counted.
    pub fn half_close(&mut self, pipe: PipeId, from: HostId) {
        let way = self.way(pipe, from);
        self.pipes.finish(way);
        self.ask(from, way);
        self.attend(from, Host::turn);
    }

    /// The same, and the host reads no more: what comes is thrown away.
    pub fn close_pipe(&mut self, pipe: PipeId, host: HostId) {
        self.shut(pipe, host);
        self.attend(host, Host::turn);
        self.attend_writable();
    }

    /// What has become of the bytes that a host wrote to a pipe.
    pub fn pipe_counters(&self, pipe: PipeId, from: HostId) -> StreamCounters {
        self.pipes.counters(self.way(pipe, from))
    }

    /// Adds a function that is shown all bytes of pipes, when written and when handed in.
    pub fn add_pipe_tap(&mut self, tap: impl FnMut(&PipeView<'_>) + 'static) {
        self.pipes.taps.push(Box::new(tap));
    }

    /// Closes a host's end without a turn.
    fn shut(&mut self, pipe: PipeId, host: HostId) {
        let (way, now) = (self.way(pipe, host), self.now());
        self.pipes.close(now, way);
        self.ask(host, way);
    }

    /// The host's machine is to be asked what it has for this direction.
    fn ask(&mut self, host: HostId, way: Way) {
        if let Some(piped) = &mut self.host(host).piped {
            piped.ask(way);
        }
    }

    /// The direction in which a host writes.
    ///
    /// # Panics
    /// If the host has no end of the pipe.
    fn way(&self, pipe: PipeId, from: HostId) -> Way {
        let way = self.pipes.way(pipe.number(), from);
        way.unwrap_or_else(|| panic!("{from} has no end of {pipe:?}"))
    }
}

impl<M: DatagramMachine> World<M> {
    /// Gives a turn to those whose pipe takes more again.
    pub(crate) fn attend_writable(&mut self) {
        while let Some((host, way)) = self.pipes.next_writable() {
            if let Some(piped) = &mut self.host(host).piped {
                piped.ask(way);
            }
            self.attend(host, Host::turn);
        }
    }

    /// Bytes in pipes, or waiting for room in one.
    pub fn in_pipes(&self) -> usize {
        self.pipes.busy_bytes()
    }
}
