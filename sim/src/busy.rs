//! A machine on a virtual CPU: each call costs its host time, and datagrams wait in a socket buffer
//! while the host is at work.
//!
//! In goes any machine and what its calls cost; out comes a machine that behaves like the first one
//! behind a slow loop. So overload shows as what it is: work that comes late, and datagrams for
//! which the buffer had no room. It draws nothing and reads no clock: the costs are the caller's.

use std::collections::VecDeque;
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Transmit};

/// What the calls of a machine cost its host.
#[derive(Clone, Copy, Debug)]
pub struct Costs<M> {
    /// Handing in a datagram, whatever it is.
    pub datagram: Duration,
    /// How often the machine has done its dearest work so far: a counter that only grows.
    pub dear_so_far: fn(&M) -> u64,
    /// What that costs each time, on top.
    pub dear: Duration,
    /// Taking out a train.
    pub transmit: Duration,
    /// A due timeout.
    pub timeout: Duration,
}

/// The most datagrams that are handed in before the host looks at what there is to send.
const BATCH: usize = 64;

/// A machine whose host has one CPU of finite speed.
#[derive(Debug)]
pub struct Busy<M> {
    /// The machine itself. Commands to it cost nothing.
    pub machine: M,
    costs: Costs<M>,
    /// What the socket's buffer takes, in bytes.
    buffer: usize,
    waiting: VecDeque<(Path, Ecn, Vec<u8>)>,
    waiting_bytes: usize,
    /// The CPU is at work until then.
    free_at: Instant,
    /// Something was handed in since the machine was last asked for packets in vain.
    undrained: bool,
    dropped: u64,
    worked: Duration,
}

impl<M: DatagramMachine> Busy<M> {
    /// A machine whose calls cost this much, behind a socket buffer of so many bytes.
    pub fn new(machine: M, costs: Costs<M>, buffer: usize) -> Self {
        Self {
            machine,
            costs,
            buffer,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            free_at: Instant::ZERO,
            undrained: false,
            dropped: 0,
            worked: Duration::ZERO,
        }
    }

    /// Datagrams for which the socket's buffer had no room.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How long the CPU was at work, in all.
    pub fn worked(&self) -> Duration {
        self.worked
    }

    fn charge(&mut self, now: Instant, cost: Duration) {
        self.free_at = self.free_at.max(now) + cost;
        self.worked += cost;
    }

    /// Hands in what waits in the buffer, up to a batch.
    fn receive(&mut self, now: Instant) {
        for _ in 0..BATCH {
            let Some((path, ecn, mut datagram)) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= datagram.len();
            let before = (self.costs.dear_so_far)(&self.machine);
            self.machine.handle_datagram(now, path, ecn, &mut datagram);
            let dear = (self.costs.dear_so_far)(&self.machine).saturating_sub(before);
            let dear = u32::try_from(dear).unwrap_or(u32::MAX);
            self.charge(now, self.costs.datagram + self.costs.dear * dear);
            self.undrained = true;
        }
    }
}

impl<M: DatagramMachine> DatagramMachine for Busy<M> {
    type Event = M::Event;

    fn handle_datagram(&mut self, _: Instant, path: Path, ecn: Ecn, datagram: &mut [u8]) {
        if self.waiting_bytes + datagram.len() > self.buffer {
            self.dropped += 1;
            return;
        }
        self.waiting_bytes += datagram.len();
        self.waiting.push_back((path, ecn, datagram.to_vec()));
    }

    fn handle_timeout(&mut self, now: Instant) {
        if now >= self.free_at && self.machine.poll_timeout().is_some_and(|at| at <= now) {
            self.charge(now, self.costs.timeout);
            self.machine.handle_timeout(now);
            self.undrained = true;
        }
    }

    fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        while now >= self.free_at {
            if let Some(transmit) = self.machine.poll_transmit(now, out) {
                self.charge(now, self.costs.transmit);
                self.undrained = true;
                return Some(transmit);
            }
            self.undrained = false;
            if self.waiting.is_empty() {
                return None;
            }
            self.receive(now);
        }
        None
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.undrained || !self.waiting.is_empty() {
            return Some(self.free_at);
        }
        self.machine.poll_timeout().map(|at| at.max(self.free_at))
    }

    fn poll_event(&mut self) -> Option<M::Event> {
        self.machine.poll_event()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinkConfig, World};
    use std::net::SocketAddr;

    /// Counts what it is given, and answers each datagram.
    #[derive(Default)]
    struct Echo(VecDeque<Path>);

    impl DatagramMachine for Echo {
        type Event = ();
        fn handle_datagram(&mut self, _: Instant, path: Path, _: Ecn, _: &mut [u8]) {
            self.0.push_back(path);
        }
        fn handle_timeout(&mut self, _: Instant) {}
        fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
            let path = self.0.pop_front()?;
            out.push(1);
            Some(Transmit { path, ecn: Ecn::NotEct, len: 1, segment_size: 1 })
        }
        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
        fn poll_event(&mut self) -> Option<()> {
            None
        }
    }

    /// Twice as much comes as the CPU can do: half of it is answered in time, the buffer fills, and
    /// the rest is dropped; in the end all that was taken is answered.
    #[test]
    fn overload_fills_the_buffer_and_drops_the_rest() {
        let micros = Duration::from_micros;
        let costs = Costs {
            datagram: micros(15),
            dear_so_far: |_: &Echo| 0,
            dear: micros(0),
            transmit: micros(5),
            timeout: micros(1),
        };
        let mut world = World::new(1);
        world.set_default_link(LinkConfig::perfect());
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        let host = world.add_host(address, Busy::new(Echo::default(), costs, 1_000));
        for n in 0..10_000 {
            let from = SocketAddr::from(([10, 0, 0, 2], 2));
            world.inject(micros(10 * n), from, host, Ecn::NotEct, &[7; 10]);
        }
        world.run_for(Duration::from_millis(100));
        let sent = world.totals().offered;
        assert!((4_800..5_100).contains(&sent), "{sent} answers in 100 ms of 20 µs each");
        world.run_for(Duration::from_secs(1));
        let busy = world.machine(host);
        assert_eq!(world.totals().offered + busy.dropped(), 10_000);
        assert!(busy.dropped() > 4_500 && busy.waiting_bytes == 0);
        assert_eq!(busy.worked(), micros(20) * world.totals().offered as u32);
    }
}
