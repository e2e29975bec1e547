//! Two transfers at once through one bottleneck: who gets how much of it.

use super::cell::{addresses, hosts, product, waste, watch};
use super::{Contender, Engine, Task};
use crate::chance::up_to;
use crate::link::LinkConfig;
use crate::{HostId, World};
use tripline_sansio::Duration;

/// A bottleneck that two flows share, the same both ways. Sizes and rates count UDP payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// The rate of the bottleneck in bytes per second.
    pub rate: u64,
    /// The round trip of each flow when the queue is empty.
    pub rtts: [Duration; 2],
    /// The queue before the bottleneck in bytes, in each direction.
    pub queue: usize,
    /// Full datagrams in bytes.
    pub datagram: u16,
    /// The second flow begins up to so much after the first, drawn from the seed.
    pub stagger: Duration,
    /// How long both run before anything counts.
    pub warm_up: Duration,
    /// How long is measured then.
    pub measure: Duration,
}

impl Race {
    /// A bottleneck of `bits_per_s` with a queue of one bandwidth-delay product, for two flows of
    /// `rtt` that begin within a second; ten seconds to settle, and a minute measured.
    pub fn new(bits_per_s: u64, rtt: Duration) -> Self {
        let rate = (bits_per_s / 8).max(1);
        Self {
            rate,
            rtts: [rtt; 2],
            queue: usize::try_from(product(rate, rtt).max(30_000)).unwrap_or(usize::MAX),
            datagram: 1_200,
            stagger: Duration::from_secs(1),
            warm_up: Duration::from_secs(10),
            measure: Duration::from_secs(60),
        }
    }

    /// Runs both flows, which never run out of data.
    ///
    /// # Errors
    /// If ends cannot be set up, or one of them gives up.
    pub fn run(&self, flows: [&dyn Contender; 2], seed: u64) -> Result<RaceOutcome, String> {
        let mut world = World::<Box<dyn Engine>>::new(seed);
        let names = flows.map(Contender::name);
        world.set_rerun(format!("{names:?} with seed {seed} on {self:?}"));
        let queues = [(); 2].map(|()| world.add_bottleneck(self.rate, self.queue));
        let mut pairs = Vec::new();
        for ((contender, rtt), number) in flows.iter().zip(self.rtts).zip(1..) {
            let [from, to] = addresses(number);
            let bytes = product(self.rate, self.warm_up + self.measure + self.stagger) * 2;
            let task = Task { bytes, receiver: to, datagram: self.datagram };
            let [sender, receiver] = hosts(&mut world, *contender, &task, [from, to])?;
            let link = LinkConfig::perfect().delay(rtt / 2);
            world.set_links(sender, receiver, link);
            world.share_bottleneck(sender, receiver, queues[0]);
            world.share_bottleneck(receiver, sender, queues[1]);
            pairs.push([sender, receiver]);
        }
        let shape = watch(&mut world);
        let begin = |world: &mut World<Box<dyn Engine>>, pair: &[HostId; 2]| {
            for host in [pair[1], pair[0]] {
                world.with(host, |engine, now| engine.begin(now));
            }
        };
        begin(&mut world, &pairs[0]);
        let wait = up_to(&mut world.random("stagger"), self.stagger);
        world.run_for(wait);
        begin(&mut world, &pairs[1]);
        world.run_for(self.warm_up);
        let taken = |world: &World<Box<dyn Engine>>| {
            [0, 1].map(|flow| world.machine(pairs[flow][1]).progress().payload)
        };
        let before = taken(&world);
        world.run_for(self.measure);
        let after = taken(&world);
        for (pair, name) in pairs.iter().zip(names) {
            let ends = pair.map(|host| world.machine(host).progress().failed);
            if let Some(why) = ends.into_iter().flatten().next() {
                return Err(format!("{name}, seed {seed}: {why}"));
            }
        }
        let waste = [0, 1].map(|flow| {
            let [sender, receiver]: [HostId; 2] = pairs[flow];
            let declared = world.machine(sender).progress().declared_lost;
            waste(&world.link_counters(sender, receiver), declared)
        });
        Ok(RaceOutcome {
            payload: [after[0] - before[0], after[1] - before[1]],
            waste,
            capacity: product(self.rate, self.measure),
            backlog_max: world.bottleneck_counters(queues[0]).backlog_max,
            shape: shape.get(),
        })
    }
}

/// What came of two flows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RaceOutcome {
    /// Bytes of payload that each receiver took while it was measured.
    pub payload: [u64; 2],
    /// Each flow's waste over the whole run, as with [`Outcome::waste`](super::Outcome::waste).
    pub waste: [f64; 2],
    /// Bytes that the bottleneck could carry in that time.
    pub capacity: u64,
    /// The most bytes that waited before the bottleneck on the way to the receivers.
    pub backlog_max: u64,
    /// A hash of when datagrams of what length went where.
    pub shape: u64,
}

impl RaceOutcome {
    /// The first flow's part of what both got, 0 to 1.
    pub fn first_share(&self) -> f64 {
        self.payload[0] as f64 / (self.payload[0] + self.payload[1]).max(1) as f64
    }

    /// Jain's index of fairness: 1 if both got the same, 1/2 if one got everything.
    pub fn fairness(&self) -> f64 {
        let [one, other] = self.payload.map(|bytes| bytes as f64);
        let squares = one * one + other * other;
        if squares == 0.0 { 1.0 } else { (one + other) * (one + other) / (2.0 * squares) }
    }

    /// How much of the bottleneck both used together for payload, 0 to 1.
    pub fn use_of_link(&self) -> f64 {
        (self.payload[0] + self.payload[1]) as f64 / self.capacity.max(1) as f64
    }
}
