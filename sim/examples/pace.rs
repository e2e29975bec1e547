//! How many datagrams a second go through the world itself: two machines that do next to nothing,
//! a link, and a stopwatch.
//!
//! `cargo run --release -p tripline-sim --example pace [DATAGRAMS]` prints one line for each
//! setting: nanoseconds and datagrams per second of real time. The machines' own work (filling a
//! buffer with zeros, counting) is in the figure.

use std::net::SocketAddr;
use tripline_sim::{Chance, DatagramMachine, Duration, Ecn, Instant, LinkConfig, Path, Transmit};
use tripline_sim::{HostId, World};

/// Datagrams in each train.
const TRAIN: usize = 10;
/// How long a sender waits between two trains.
const PAUSE: Duration = Duration::from_micros(100);

/// Sends trains to a peer at a steady pace, or counts what comes.
struct Drip {
    peer: SocketAddr,
    len: usize,
    left: u64,
    next: Option<Instant>,
    is_due: bool,
    received: u64,
}

impl DatagramMachine for Drip {
    type Event = ();

    fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, datagram: &mut [u8]) {
        self.received += u64::from(datagram.len() == self.len);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            self.is_due = true;
            self.next = (self.left > 0).then(|| now + PAUSE);
        }
    }

    fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        if !std::mem::take(&mut self.is_due) || self.left == 0 {
            return None;
        }
        self.left = self.left.saturating_sub(TRAIN as u64);
        let len = self.len * TRAIN;
        out.resize(out.len() + len, 0);
        let path = Path::to(self.peer);
        Some(Transmit { path, ecn: Ecn::Ect0, len, segment_size: self.len })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    fn poll_event(&mut self) -> Option<()> {
        None
    }
}

fn address(host: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, (host >> 8) as u8, host as u8], 4_000))
}

/// Runs `pairs` senders and receivers until all is sent; prints what it took.
fn run(name: &str, pairs: u16, len: usize, datagrams: u64, link: LinkConfig) {
    let mut world = World::new(1);
    world.set_default_link(link);
    let receivers: Vec<HostId> = (0..pairs)
        .map(|pair| {
            let idle =
                Drip { peer: address(0), len, left: 0, next: None, is_due: false, received: 0 };
            let left = datagrams / u64::from(pairs);
            let next = Some(Instant::ZERO + PAUSE);
            let sender = Drip { peer: address(2 * pair), left, next, ..idle };
            let receiver = world.add_host(address(2 * pair), idle);
            world.add_host(address(2 * pair + 1), sender);
            receiver
        })
        .collect();
    let clock = std::time::Instant::now();
    world.run_until_idle(Duration::from_secs(1_000_000)).expect("everything is sent in time");
    let took = clock.elapsed();
    let received: u64 = receivers.iter().map(|host| world.machine(*host).received).sum();
    let sent = world.totals().offered;
    let nanos = took.as_nanos() as f64 / sent as f64;
    println!(
        "{name:<30} {sent:>9} sent {received:>9} came {nanos:>6.0} ns each {:>5.2} M/s {:016x}",
        1e3 / nanos,
        world.trace_hash(),
    );
}

fn main() {
    let datagrams = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2_000_000);
    let clean = LinkConfig::perfect().delay(Duration::from_millis(5));
    let rough = clean
        .loss(Chance::percent(2))
        .jitter(Duration::from_millis(1))
        .free_order()
        .duplicate(Chance::percent(1), Duration::from_millis(1))
        .rate(1 << 30, 1 << 20);
    run("two hosts, 1,200 bytes", 1, 1_200, datagrams, clean);
    run("two hosts, 100 bytes", 1, 100, datagrams, clean);
    run("two hosts, 1,200 bytes, rough", 1, 1_200, datagrams, rough);
    run("1,000 hosts, 100 bytes", 500, 100, datagrams, clean);
}
