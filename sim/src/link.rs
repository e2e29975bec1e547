//! A one-way datagram link, without I/O: lengths and times in, arrival times or a loss out.
//!
//! What happens to a datagram, in this order: longer than the MTU, it vanishes; the bottleneck (if
//! there is one) queues it or drops it from the tail; it may be lost behind the bottleneck, so a
//! lost datagram has used up its share of the rate; it takes the delay and a jitter, behind its
//! predecessors if the link keeps order; it may be held up (reordering) or copied.
//!
//! Each knob draws from a generator of its own, once for each datagram while it is switched on. So
//! turning one knob changes nothing that another decides: the same datagrams are lost with jitter
//! as without. The link never sees the bytes, and counts every fate.
//!
//! The bottleneck may be one that several links share ([`Link::offer_through`]): then rate and
//! queue are its own, and delay, loss and all else those of each link.
//!
//! Another queue discipline (CoDel, RED), bursts of loss and corruption belong here, each with its
//! own generator and counter; none is built yet.

mod bottleneck;
mod config;
mod counters;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use crate::chance::up_to;
use crate::drop_cause::DropCause;
pub use bottleneck::{Bottleneck, BottleneckCounters};
pub use config::LinkConfig;
pub(crate) use config::MAX_DATAGRAM;
pub use counters::LinkCounters;
use tripline_sansio::{Duration, Instant, Random, Seed};

/// The most copies of one datagram that a link delivers, the original included.
pub const MAX_ARRIVALS: usize = 6;

/// What a link does with one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing arrives.
    Dropped(DropCause),
    /// It arrives, perhaps several times.
    Arrives(Arrivals),
}

/// When a datagram and its copies arrive; at least one, the original first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrivals {
    times: [Instant; MAX_ARRIVALS],
    count: usize,
    congested: bool,
}

impl Arrivals {
    /// The times of arrival: of the original, then of the copies.
    pub fn times(&self) -> &[Instant] {
        &self.times[..self.count]
    }

    /// Whether the queue was longer than [`LinkConfig::mark_above`]: a datagram whose sender takes
    /// marks (ECT) arrives with the mark of congestion.
    pub const fn is_congested(&self) -> bool {
        self.congested
    }
}

/// A one-way link: configuration, generators, the bottleneck's state and counters.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    loss: Random,
    jitter: Random,
    reorder: Random,
    duplicate: Random,
    bottleneck: Bottleneck,
    /// The latest arrival that later datagrams must not overtake.
    in_order_until: Instant,
    counters: LinkCounters,
}

/// What the knobs decided for one datagram, before its queueing is known.
struct Draws {
    lost: bool,
    jitter: Duration,
    hold: Option<Duration>,
    /// How much later than the original each copy arrives; as many as there are copies.
    copies: [Duration; MAX_ARRIVALS - 1],
    copy_count: usize,
}

impl Link {
    /// A link whose every draw follows from `seed`, which is to be this link's own.
    pub fn new(config: LinkConfig, seed: &Seed) -> Self {
        Self {
            config,
            loss: seed.random("loss"),
            jitter: seed.random("jitter"),
            reorder: seed.random("reorder"),
            duplicate: seed.random("duplicate"),
            bottleneck: Bottleneck::new(config.rate, config.queue),
            in_order_until: Instant::ZERO,
            counters: LinkCounters::default(),
        }
    }

    /// The configuration in force.
    pub const fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Changes the configuration; what is on its way or queued stays, the generators go on.
    pub const fn configure(&mut self, config: LinkConfig) {
        self.config = config;
        self.bottleneck.configure(config.rate, config.queue);
    }

    /// Makes the link new, but for its generators and counters: nothing is queued, and nothing that
    /// is on its way holds up what comes later.
    pub(crate) const fn renew(&mut self, config: LinkConfig) {
        self.configure(config);
        self.bottleneck.clear();
        self.in_order_until = Instant::ZERO;
    }

    /// What has become of the datagrams so far.
    pub const fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// A datagram of `len` bytes was handed to its receiver.
    pub(crate) const fn note_delivered(&mut self, len: usize) {
        self.counters.delivered += 1;
        self.counters.delivered_bytes += len as u64;
    }

    /// Decides about a datagram of `len` bytes sent at `now`. Times must not decrease.
    pub fn offer(&mut self, now: Instant, len: usize) -> Fate {
        self.decide(None, now, len)
    }

    /// The same through a bottleneck that other links use too, in place of this link's own.
    pub fn offer_through(&mut self, shared: &mut Bottleneck, now: Instant, len: usize) -> Fate {
        self.decide(Some(shared), now, len)
    }

    /// Decides by the MTU, the bottleneck and chance, in this order, and counts.
    fn decide(&mut self, shared: Option<&mut Bottleneck>, now: Instant, len: usize) -> Fate {
        let bytes = len as u64;
        self.counters.offered += 1;
        self.counters.offered_bytes += bytes;
        let draws = self.draw();
        if len > self.config.mtu {
            return self.lose(DropCause::TooBig, len);
        }
        let Some(passage) = shared.unwrap_or(&mut self.bottleneck).pass(now, len) else {
            return self.lose(DropCause::QueueFull, len);
        };
        let congested = passage.backlog > self.config.mark_above as u64;
        self.counters.congested += u64::from(congested);
        if draws.lost {
            return self.lose(DropCause::Lost, len);
        }
        self.counters.passed += 1;
        self.counters.passed_bytes += bytes;
        Fate::Arrives(Arrivals { congested, ..self.arrivals(passage.departure, &draws) })
    }

    /// Counts a datagram that does not arrive.
    const fn lose(&mut self, cause: DropCause, len: usize) -> Fate {
        if let Some((datagrams, bytes)) = self.counters.of_mut(cause) {
            *datagrams += 1;
            *bytes += len as u64;
        }
        Fate::Dropped(cause)
    }

    /// Draws once from each generator whose knob is on, whatever becomes of the datagram, so that
    /// the n-th draw always belongs to the n-th datagram.
    fn draw(&mut self) -> Draws {
        let config = &self.config;
        let hold = config
            .reorder
            .draw(&mut self.reorder)
            .then(|| up_to(&mut self.reorder, config.reorder_delay));
        let mut copies = [Duration::ZERO; MAX_ARRIVALS - 1];
        let mut copy_count = 0;
        if config.duplicate.draw(&mut self.duplicate) {
            // One copy to `duplicate_copies`, and never more than there is room for.
            let most = usize::from(config.duplicate_copies).clamp(1, copies.len());
            copy_count = 1 + self.duplicate.below(most as u64) as usize;
            for copy in &mut copies[..copy_count] {
                *copy = up_to(&mut self.duplicate, config.duplicate_delay);
            }
        }
        Draws {
            lost: config.loss.draw(&mut self.loss),
            jitter: up_to(&mut self.jitter, config.jitter),
            hold,
            copies,
            copy_count,
        }
    }

    /// When the datagram that left the bottleneck at `departure` arrives, and its copies.
    fn arrivals(&mut self, departure: Instant, draws: &Draws) -> Arrivals {
        let mut at = departure + self.config.delay + draws.jitter;
        if self.config.keep_order {
            at = at.max(self.in_order_until);
            // Before it is held up: whom the reordering knob delays, the others shall overtake.
            self.in_order_until = at;
        }
        if let Some(hold) = draws.hold {
            self.counters.held_up += 1;
            at += hold;
        }
        let mut arrivals = Arrivals { times: [at; MAX_ARRIVALS], count: 1, congested: false };
        for later in &draws.copies[..draws.copy_count] {
            arrivals.times[arrivals.count] = at + *later;
            arrivals.count += 1;
        }
        self.counters.copies += draws.copy_count as u64;
        arrivals
    }
}
