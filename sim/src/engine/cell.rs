//! One transfer over one link: rate, round trip, loss and queue in, goodput and waste out.

use super::{Contender, Ends, Engine, Progress, Task};
use crate::link::{LinkConfig, LinkCounters};
use crate::{Chance, HostId, Stage, World, digest};
use std::cell;
use std::net::SocketAddr;
use std::rc::Rc;
use tripline_sansio::{Duration, Instant};

/// The smallest queue of a [`Cell`], in bytes: about twenty full datagrams.
const QUEUE_MIN: u64 = 30_000;

/// A link and a transfer over it; the same both ways. Sizes and rates count UDP payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The rate of the link in bytes per second.
    pub rate: u64,
    /// The round trip of an empty link.
    pub rtt: Duration,
    /// How often a datagram is lost, in each direction.
    pub loss: Chance,
    /// The queue before the link in bytes, in each direction.
    pub queue: usize,
    /// Payload in bytes.
    pub bytes: u64,
    /// Full datagrams in bytes.
    pub datagram: u16,
    /// How long the transfer may take in virtual time; what was not moved by then is not counted.
    pub limit: Duration,
}

impl Cell {
    /// A link of `bits_per_s` and `rtt`, with a queue of one bandwidth-delay product and at least
    /// 30 kB, over which `bytes` bytes go in datagrams of 1,200. The limit is two hundred times
    /// what the payload takes at full rate, and a minute.
    pub fn new(bits_per_s: u64, rtt: Duration, loss: Chance, bytes: u64) -> Self {
        let rate = (bits_per_s / 8).max(1);
        let queue = product(rate, rtt).max(QUEUE_MIN);
        let least = Duration::from_nanos(nanos(bytes, rate));
        Self {
            rate,
            rtt,
            loss,
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
            bytes,
            datagram: 1_200,
            limit: least.saturating_mul(200) + Duration::from_secs(60),
        }
    }

    /// The link, either direction.
    pub fn link(&self) -> LinkConfig {
        LinkConfig::lossy(self.loss).delay(self.rtt / 2).rate(self.rate, self.queue)
    }

    /// Runs the transfer.
    ///
    /// # Errors
    /// If the ends cannot be set up, or one of them gives up. Slowness is no error.
    pub fn run(&self, contender: &dyn Contender, seed: u64) -> Result<Outcome, String> {
        let [from, to] = addresses(1);
        let mut world = World::<Box<dyn Engine>>::new(seed);
        world.set_rerun(format!("{} with seed {seed} on {self:?}", contender.name()));
        let task = Task { bytes: self.bytes, receiver: to, datagram: self.datagram };
        let [sender, receiver] = hosts(&mut world, contender, &task, [from, to])?;
        world.set_links(sender, receiver, self.link());
        let shape = watch(&mut world);
        for host in [receiver, sender] {
            world.with(host, |engine, now| engine.begin(now));
        }
        let over = |progress: Progress| progress.finished_at.is_some() || progress.failed.is_some();
        let _in_time = world.run_while(self.limit, |world| {
            !over(world.machine(receiver).progress()) && !over(world.machine(sender).progress())
        });
        let [sent, taken] = [sender, receiver].map(|host| world.machine(host).progress());
        if let Some(why) = sent.failed.or(taken.failed) {
            return Err(format!("{}, seed {seed}: {why}", contender.name()));
        }
        let begun = sent.connected_at.unwrap_or(world.now());
        Ok(Outcome {
            is_finished: taken.finished_at.is_some(),
            payload: taken.payload,
            handshake: begun - Instant::ZERO,
            took: taken.finished_at.unwrap_or(world.now()).saturating_duration_since(begun),
            declared_lost: sent.declared_lost,
            forward: world.link_counters(sender, receiver),
            backward: world.link_counters(receiver, sender),
            trace: world.trace_hash(),
            shape: shape.get(),
        })
    }
}

/// What came of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether all of it arrived within the limit.
    pub is_finished: bool,
    /// Bytes of payload that the receiver's application has taken.
    pub payload: u64,
    /// From the beginning until the sender could send data.
    pub handshake: Duration,
    /// From then until the receiver's application had the last byte.
    pub took: Duration,
    /// Packets that the sender declared lost.
    pub declared_lost: u64,
    /// The link from the sender to the receiver.
    pub forward: LinkCounters,
    /// The link back.
    pub backward: LinkCounters,
    /// A hash of every byte on the wire with its time: [`World::trace_hash`].
    pub trace: u64,
    /// A hash of when datagrams of what length went where, their bytes left out: what can repeat
    /// where an engine draws entropy of its own.
    pub shape: u64,
}

impl Outcome {
    /// Goodput: payload bytes per second, from the first that could be sent to the last taken.
    pub fn goodput(&self) -> f64 {
        self.payload as f64 / self.took.as_secs_f64().max(1e-9)
    }

    /// Packets that need not have been sent: dropped by the queue, or declared lost though no link
    /// dropped them, in which case their content was sent again though it arrived. As a share of
    /// all datagrams sent towards the receiver.
    ///
    /// The second part is a lower bound: probes are not declared lost, and what was dropped at the
    /// very end is not declared any more.
    pub fn waste(&self) -> f64 {
        waste(&self.forward, self.declared_lost)
    }
}

/// See [`Outcome::waste`].
pub(super) fn waste(link: &LinkCounters, declared_lost: u64) -> f64 {
    let resent = declared_lost.saturating_sub(link.dropped());
    (link.queue_full + resent) as f64 / link.offered.max(1) as f64
}

/// The addresses of a pair: its sender's and its receiver's.
pub(super) fn addresses(pair: u8) -> [SocketAddr; 2] {
    [1, 2].map(|end| SocketAddr::from(([10, 0, pair, end], 4_000)))
}

/// Adds the two ends of a transfer to a world; their seeds follow from the world's and the
/// sender's address.
pub(super) fn hosts(
    world: &mut World<Box<dyn Engine>>,
    contender: &dyn Contender,
    task: &Task,
    [from, to]: [SocketAddr; 2],
) -> Result<[HostId; 2], String> {
    let seed = world.seed_for(&from.to_string());
    let Ends { sender, receiver } = contender.ends(task, &seed)?;
    Ok([world.add_host(from, sender), world.add_host(to, receiver)])
}

/// Hashes times, directions and lengths of all datagrams from now on.
pub(super) fn watch(world: &mut World<Box<dyn Engine>>) -> Rc<cell::Cell<u64>> {
    let shape = Rc::new(cell::Cell::new(0_u64));
    let kept = Rc::clone(&shape);
    world.add_tap(move |packet| {
        let stage = match packet.stage {
            Stage::Offered => 0,
            Stage::Delivered => 1,
            Stage::Dropped(_) => return,
        };
        let mut line = [0_u8; 32];
        let (words, _) = line.as_chunks_mut::<8>();
        words[0] = kept.get().to_le_bytes();
        words[1] = packet.now.as_nanos().to_le_bytes();
        words[2] = (packet.bytes.len() as u64).to_le_bytes();
        let route =
            u64::from(packet.source.port()) ^ address_bits(packet.source) << 17 | stage << 63;
        words[3] = route.to_le_bytes();
        kept.set(digest(&line));
    });
    shape
}

/// Enough of an address to tell the hosts of a run apart.
fn address_bits(address: SocketAddr) -> u64 {
    match address {
        SocketAddr::V4(v4) => u64::from(u32::from(*v4.ip())),
        SocketAddr::V6(v6) => digest(&v6.ip().octets()) >> 32,
    }
}

/// What fits into a line of this rate and delay: the bandwidth-delay product, in bytes.
pub(super) fn product(rate: u64, rtt: Duration) -> u64 {
    let bytes = u128::from(rate) * rtt.as_nanos() / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// How long `bytes` take at `rate` bytes per second, in nanoseconds.
fn nanos(bytes: u64, rate: u64) -> u64 {
    let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
    u64::try_from(nanos).unwrap_or(u64::MAX)
}
