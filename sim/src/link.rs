//! A one-way datagram link, without I/O: lengths and times in, arrival times or a loss out.
//!
//! What happens to a datagram, in this order: longer than the MTU, it vanishes; a policer may let
//! it through or not; the bottleneck (if there is one) queues it or drops it; it may be lost behind
//! the bottleneck, so a lost datagram has used up its share of the rate; it may be changed; it
//! takes the delay and a jitter, behind its predecessors if the link keeps order; it may be held up
//! (reordering) or copied.
//!
//! Each knob draws from a generator of its own, once for each datagram while it is switched on. So
//! turning one knob changes nothing that another decides: the same datagrams are lost with jitter
//! as without. The link never sees the bytes (what is to be done to them it says, [`Damage`]), and
//! counts every fate.
//!
//! The bottleneck may be one that several links share ([`Link::offer_through`]): then rate and
//! queue are its own, and delay, loss and all else those of each link.

mod aqm;
mod bottleneck;
mod config;
mod counters;
mod damage;
#[cfg(test)]
mod fault_tests;
mod jitter;
mod lazy;
mod loss;
mod marking;
mod policer;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod queue_tests;
#[cfg(test)]
mod tests;

use crate::chance::{Chance, up_to};
use crate::drop_cause::DropCause;
pub use aqm::{Aqm, CoDel, Red};
pub use bottleneck::{Bottleneck, BottleneckCounters, LineConfig};
pub use config::LinkConfig;
pub(crate) use config::MAX_DATAGRAM;
pub use counters::LinkCounters;
use damage::Damages;
pub use damage::{Damage, DamageConfig, GARBAGE_MAX};
use jitter::Jitter;
pub use jitter::JitterShape;
use lazy::Lazy;
use loss::Losses;
pub use loss::{Blackouts, Bursts};
pub use marking::EcnConfig;
use marking::{MarkDraws, Marking};
pub use policer::Policer;
use policer::PolicerState;
use tripline_sansio::{Duration, Ecn, Instant, Seed};

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
    ecn: Ecn,
    damage: Damage,
}

impl Arrivals {
    /// The times of arrival: of the original, then of the copies.
    pub fn times(&self) -> &[Instant] {
        &self.times[..self.count]
    }

    /// Whether the queue was longer than [`LinkConfig::mark_above`], or its management marks in
    /// place of a drop: a datagram whose sender takes marks (ECT) arrives with the mark of
    /// congestion.
    pub const fn is_congested(&self) -> bool {
        self.congested
    }

    /// The congestion mark that it arrives with.
    pub const fn ecn(&self) -> Ecn {
        self.ecn
    }

    /// How it is changed.
    pub const fn damage(&self) -> &Damage {
        &self.damage
    }
}

/// A one-way link: configuration, generators, the bottleneck's state and counters.
#[derive(Clone, Debug)]
pub struct Link {
    config: LinkConfig,
    /// What [`LinkConfig::draws_nothing`] says of it, which is asked for each datagram.
    draws_nothing: bool,
    seed: Seed,
    losses: Losses,
    jitter: Jitter,
    damages: Damages,
    marking: Marking,
    reorder: Lazy,
    duplicate: Lazy,
    policer: PolicerState,
    bottleneck: Bottleneck,
    /// The latest arrival that later datagrams must not overtake.
    in_order_until: Instant,
    counters: LinkCounters,
}

/// What the knobs decided for one datagram, before its queueing is known.
#[derive(Default)]
struct Draws {
    lost: Option<DropCause>,
    jitter: Duration,
    damage: Damage,
    marks: MarkDraws,
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
            draws_nothing: config.draws_nothing(),
            seed: seed.clone(),
            losses: Losses::new(),
            jitter: Jitter::new(),
            damages: Damages::new(),
            marking: Marking::new(),
            reorder: Lazy::new("reorder"),
            duplicate: Lazy::new("duplicate"),
            policer: PolicerState::default(),
            bottleneck: Bottleneck::with(config.line(), seed),
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
        self.draws_nothing = config.draws_nothing();
        self.bottleneck.configure(config.line());
    }

    /// Makes the link new, but for its generators and counters: nothing is queued, and nothing that
    /// is on its way holds up what comes later.
    pub(crate) fn renew(&mut self, config: LinkConfig) {
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
        self.offer_marked(None, now, len, Ecn::NotEct)
    }

    /// The same through a bottleneck that other links use too, in place of this link's own.
    pub fn offer_through(&mut self, shared: &mut Bottleneck, now: Instant, len: usize) -> Fate {
        self.offer_marked(Some(shared), now, len, Ecn::NotEct)
    }

    /// The same, through another's bottleneck or its own, with a congestion mark.
    ///
    /// The MTU, the policer, the bottleneck and chance decide, in this order.
    pub fn offer_marked(
        &mut self,
        shared: Option<&mut Bottleneck>,
        now: Instant,
        len: usize,
        ecn: Ecn,
    ) -> Fate {
        self.counters.offered += 1;
        self.counters.offered_bytes += len as u64;
        let draws = self.draw(now);
        if len > self.config.mtu {
            return self.lose(DropCause::TooBig, len);
        }
        if let Some(policer) = &self.config.policer
            && !self.policer.passes(policer, now, len)
        {
            return self.lose(DropCause::Policed, len);
        }
        let markable = ecn != Ecn::NotEct;
        let passage = match shared.unwrap_or(&mut self.bottleneck).pass(now, len, markable) {
            Ok(passage) => passage,
            Err(cause) => return self.lose(cause, len),
        };
        let congested = passage.marked || passage.backlog > self.config.mark_above as u64;
        self.counters.congested += u64::from(congested);
        let lost = draws.lost.or((draws.marks.lose && markable).then_some(DropCause::Marked));
        if let Some(cause) = lost {
            return self.lose(cause, len);
        }
        self.counters.passed += 1;
        self.counters.passed_bytes += len as u64;
        self.counters.note_damage(&draws.damage);
        let ecn = draws.marks.arrive(ecn, congested, &mut self.counters);
        let arrivals = self.arrivals(passage.departure, &draws);
        Fate::Arrives(Arrivals { congested, ecn, damage: draws.damage, ..arrivals })
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
    fn draw(&mut self, now: Instant) -> Draws {
        if self.draws_nothing {
            return Draws::default();
        }
        let Self { config, seed, .. } = self;
        let mut draws = Draws {
            lost: self.losses.next(seed, &config.losses(), now),
            jitter: self.jitter.next(
                seed,
                config.jitter,
                config.jitter_shape,
                config.jitter_correlation,
            ),
            damage: self.damages.next(seed, &config.damage),
            marks: self.marking.next(seed, &config.ecn),
            hold: None,
            copies: [Duration::ZERO; MAX_ARRIVALS - 1],
            copy_count: 0,
        };
        if config.reorder != Chance::NEVER {
            let random = self.reorder.get(seed);
            draws.hold = config.reorder.draw(random).then(|| up_to(random, config.reorder_delay));
        }
        if config.duplicate != Chance::NEVER {
            let random = self.duplicate.get(seed);
            if config.duplicate.draw(random) {
                // One copy to `duplicate_copies`, and never more than there is room for.
                let most = usize::from(config.duplicate_copies).clamp(1, draws.copies.len());
                draws.copy_count = 1 + random.below(most as u64) as usize;
                for copy in &mut draws.copies[..draws.copy_count] {
                    *copy = up_to(random, config.duplicate_delay);
                }
            }
        }
        draws
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
        let mut arrivals = Arrivals {
            times: [at; MAX_ARRIVALS],
            count: 1,
            congested: false,
            ecn: Ecn::NotEct,
            damage: Damage::default(),
        };
        for later in &draws.copies[..draws.copy_count] {
            arrivals.times[arrivals.count] = at + *later;
            arrivals.count += 1;
        }
        self.counters.copies += draws.copy_count as u64;
        arrivals
    }
}
