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
//! A second queue discipline (CoDel, RED), ECN marks, bursts of loss and corruption belong here,
//! each with its own generator and counter; none is built yet.

mod config;
#[cfg(test)]
mod tests;

use crate::chance::up_to;
pub use config::LinkConfig;
pub(crate) use config::MAX_DATAGRAM;
use tripline_sansio::{Duration, Instant, Random, Seed};

/// The most copies of one datagram that a link delivers, the original included.
pub const MAX_ARRIVALS: usize = 6;

/// Why a datagram was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropCause {
    /// By the link's chance of loss.
    Lost,
    /// The bottleneck's queue had no room.
    QueueFull,
    /// Longer than the link's MTU; the sender is not told (a black hole).
    TooBig,
    /// A scripted rule said so.
    Scripted,
    /// Nobody has the address it was sent to.
    NoRoute,
    /// It was sent from an address that its host does not have.
    NoSource,
}

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
}

impl Arrivals {
    /// The times of arrival: of the original, then of the copies.
    pub fn times(&self) -> &[Instant] {
        &self.times[..self.count]
    }
}

/// What has become of the datagrams of one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// Datagrams handed to the link.
    pub offered: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Datagrams that arrive, without copies.
    pub passed: u64,
    /// Their bytes.
    pub passed_bytes: u64,
    /// Further copies that arrive.
    pub copies: u64,
    /// Datagrams held up by the reordering knob; they are among the passed ones.
    pub held_up: u64,
    /// Datagrams lost by chance.
    pub lost: u64,
    /// Datagrams that found the queue full.
    pub queue_full: u64,
    /// Datagrams longer than the MTU.
    pub too_big: u64,
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
            bottleneck: Bottleneck::default(),
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
    }

    /// What has become of the datagrams so far.
    pub const fn counters(&self) -> LinkCounters {
        self.counters
    }

    /// Decides about a datagram of `len` bytes sent at `now`. Times must not decrease.
    pub fn offer(&mut self, now: Instant, len: usize) -> Fate {
        self.counters.offered += 1;
        self.counters.offered_bytes += len as u64;
        let draws = self.draw();
        if len > self.config.mtu {
            self.counters.too_big += 1;
            return Fate::Dropped(DropCause::TooBig);
        }
        let Some(departure) = self.bottleneck.pass(&self.config, now, len) else {
            self.counters.queue_full += 1;
            return Fate::Dropped(DropCause::QueueFull);
        };
        if draws.lost {
            self.counters.lost += 1;
            return Fate::Dropped(DropCause::Lost);
        }
        self.counters.passed += 1;
        self.counters.passed_bytes += len as u64;
        Fate::Arrives(self.arrivals(departure, &draws))
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
        let mut arrivals = Arrivals { times: [at; MAX_ARRIVALS], count: 1 };
        for later in &draws.copies[..draws.copy_count] {
            arrivals.times[arrivals.count] = at + *later;
            arrivals.count += 1;
        }
        self.counters.copies += draws.copy_count as u64;
        arrivals
    }
}

/// A line of limited rate with a tail-drop queue before it, as a fluid: only the time at which
/// everything accepted will have been sent is kept.
#[derive(Clone, Debug, Default)]
struct Bottleneck {
    busy_until: Instant,
    /// What `busy_until` was rounded down by, in billionths of a byte; carried from datagram to
    /// datagram, so that the rate is exact in the long run.
    rest: u64,
}

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

impl Bottleneck {
    /// When a datagram of `len` bytes offered at `now` has been sent whole; `None`: no room.
    ///
    /// The queue counts every byte accepted and not yet sent, those of the datagram on the line
    /// too; an idle line takes any datagram.
    fn pass(&mut self, config: &LinkConfig, now: Instant, len: usize) -> Option<Instant> {
        let Some(rate) = config.rate else {
            return Some(now);
        };
        let rate = u128::from(rate.max(1));
        if self.busy_until < now {
            self.busy_until = now;
            self.rest = 0;
        } else if self.busy_until > now {
            let wait = (self.busy_until - now).as_nanos();
            let backlog = (wait * rate + u128::from(self.rest)).div_ceil(SECOND);
            if backlog + len as u128 > config.queue as u128 {
                return None;
            }
        }
        let work = len as u128 * SECOND + u128::from(self.rest);
        let nanos = u64::try_from(work / rate).unwrap_or(u64::MAX);
        // A remainder is less than the rate, which came from a u64.
        self.rest = u64::try_from(work % rate).unwrap_or(0);
        self.busy_until += Duration::from_nanos(nanos);
        Some(self.busy_until)
    }
}
