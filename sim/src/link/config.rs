//! What a link is like: plain numbers, each of which can be off.

use super::aqm::Aqm;
use super::bottleneck::LineConfig;
use super::damage::DamageConfig;
use super::jitter::JitterShape;
use super::loss::{Blackouts, Bursts, LossConfig};
use super::marking::EcnConfig;
use super::policer::Policer;
use crate::chance::Chance;
use tripline_sansio::Duration;

/// The properties of a one-way link. Start from [`LinkConfig::perfect`] and turn knobs.
///
/// ```
/// use tripline_sim::{Chance, Duration, LinkConfig};
/// let mobile = LinkConfig::lossy(Chance::permille(20))
///     .delay(Duration::from_millis(40))
///     .jitter(Duration::from_millis(15))
///     .rate(1_250_000, 64_000);
/// assert_eq!(mobile.queue, 64_000);
/// ```
///
/// A worse one: losses in bursts, a managed queue that marks, and one datagram in a thousand with
/// bits flipped.
///
/// ```
/// use tripline_sim::{Aqm, Bursts, Chance, CoDel, DamageConfig, Duration, Ecn, Fate, Instant};
/// use tripline_sim::{JitterShape, Link, LinkConfig, Seed};
/// let bursts = Bursts::new(Chance::percent(1), Chance::percent(25), Chance::percent(80));
/// let wifi = LinkConfig::perfect()
///     .delay(Duration::from_millis(3))
///     .jitter(Duration::from_millis(30))
///     .jitter_shape(JitterShape::Pareto)
///     .bursts(bursts.longest(20))
///     .rate(3_000_000, 300_000)
///     .aqm(Aqm::CoDel(CoDel { ecn: true, ..CoDel::DEFAULT }))
///     .damage(DamageConfig { flip: Chance::permille(1), ..DamageConfig::NONE });
/// let mut link = Link::new(wifi, &Seed::from_number(1));
/// for step in 0..10_000 {
///     let now = Instant::from_nanos(step * 380_000);
///     if let Fate::Arrives(arrivals) = link.offer_marked(None, now, 1_200, Ecn::Ect0) {
///         assert!(arrivals.times()[0] > now + Duration::from_millis(3));
///     }
/// }
/// let counters = link.counters();
/// assert!(counters.burst > 100 && counters.congested > 0 && counters.flipped > 0);
/// assert_eq!(counters.offered, counters.passed + counters.dropped());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Time that every datagram takes.
    pub delay: Duration,
    /// Up to so much more.
    pub jitter: Duration,
    /// How that is spread.
    pub jitter_shape: JitterShape,
    /// How much of a datagram's jitter is that of the one before.
    pub jitter_correlation: Chance,
    /// Whether jitter (or a smaller delay from now on) leaves the order alone: who would overtake
    /// arrives together with its predecessor. Reordering and copies are exempt.
    pub keep_order: bool,
    /// How often a datagram is lost, behind the bottleneck.
    pub loss: Chance,
    /// Losses in bursts, besides.
    pub bursts: Option<Bursts>,
    /// The last of every so many datagrams is lost; 0: none.
    pub lose_every: u32,
    /// Times at which all is lost.
    pub blackouts: Option<Blackouts>,
    /// How datagrams are changed.
    pub damage: DamageConfig,
    /// What happens to congestion marks.
    pub ecn: EcnConfig,
    /// How often a datagram is copied.
    pub duplicate: Chance,
    /// The most extra copies of one datagram, drawn from 1 on; at most
    /// [`MAX_ARRIVALS`](super::MAX_ARRIVALS) − 1.
    pub duplicate_copies: u8,
    /// Each copy arrives up to so much later than the original, uniformly.
    pub duplicate_delay: Duration,
    /// How often a datagram is held up so that others overtake it.
    pub reorder: Chance,
    /// For up to how long, uniformly.
    pub reorder_delay: Duration,
    /// Bytes per second of the bottleneck, or no bottleneck. Lengths are those of the UDP payload.
    pub rate: Option<u64>,
    /// Bytes that the bottleneck holds, the datagram being sent included; without a rate unused.
    pub queue: usize,
    /// Datagrams that it holds, the one being sent included.
    pub queue_packets: usize,
    /// Who is dropped or marked although there is room.
    pub aqm: Aqm,
    /// A rate that nobody may exceed, before the bottleneck and without a queue.
    pub policer: Option<Policer>,
    /// Datagrams that find more than so many bytes in the queue arrive with the mark of congestion,
    /// if their sender takes marks; `usize::MAX`: none do.
    pub mark_above: usize,
    /// The longest datagram that fits, in bytes of UDP payload; longer ones vanish.
    pub mtu: usize,
}

/// The largest payload of a UDP datagram over IPv4.
pub(crate) const MAX_DATAGRAM: usize = 65_507;

impl LinkConfig {
    /// Everything arrives, at once and in order, whatever its length.
    pub const fn perfect() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_shape: JitterShape::Uniform,
            jitter_correlation: Chance::NEVER,
            keep_order: true,
            loss: Chance::NEVER,
            bursts: None,
            lose_every: 0,
            blackouts: None,
            damage: DamageConfig::NONE,
            ecn: EcnConfig::NONE,
            duplicate: Chance::NEVER,
            duplicate_copies: 1,
            duplicate_delay: Duration::ZERO,
            reorder: Chance::NEVER,
            reorder_delay: Duration::ZERO,
            rate: None,
            queue: usize::MAX,
            queue_packets: usize::MAX,
            aqm: Aqm::TailDrop,
            policer: None,
            mark_above: usize::MAX,
            mtu: MAX_DATAGRAM,
        }
    }

    /// A perfect link but for independent losses.
    pub const fn lossy(loss: Chance) -> Self {
        Self::perfect().loss(loss)
    }

    /// A link through which nothing comes: one direction of a partition.
    pub const fn down() -> Self {
        Self::lossy(Chance::ALWAYS)
    }

    /// With this delay.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// With this much jitter, order kept.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// With jitter that may change the order.
    #[must_use]
    pub const fn free_order(mut self) -> Self {
        self.keep_order = false;
        self
    }

    /// With this chance of loss.
    #[must_use]
    pub const fn loss(mut self, loss: Chance) -> Self {
        self.loss = loss;
        self
    }

    /// With losses in bursts besides.
    #[must_use]
    pub const fn bursts(mut self, bursts: Bursts) -> Self {
        self.bursts = Some(bursts);
        self
    }

    /// With the last of every `datagrams` lost; 0: none.
    #[must_use]
    pub const fn lose_every(mut self, datagrams: u32) -> Self {
        self.lose_every = datagrams;
        self
    }

    /// With nothing coming through for `lasting` at each multiple of `every`.
    #[must_use]
    pub const fn blackouts(mut self, every: Duration, lasting: Duration) -> Self {
        self.blackouts = Some(Blackouts::new(every, lasting));
        self
    }

    /// With jitter spread like this.
    #[must_use]
    pub const fn jitter_shape(mut self, shape: JitterShape) -> Self {
        self.jitter_shape = shape;
        self
    }

    /// With so much of a datagram's jitter being that of the one before.
    #[must_use]
    pub const fn jitter_correlation(mut self, part: Chance) -> Self {
        self.jitter_correlation = part;
        self
    }

    /// With datagrams changed like this.
    #[must_use]
    pub const fn damage(mut self, damage: DamageConfig) -> Self {
        self.damage = damage;
        self
    }

    /// With congestion marks treated like this.
    #[must_use]
    pub const fn ecn(mut self, ecn: EcnConfig) -> Self {
        self.ecn = ecn;
        self
    }

    /// With one extra copy at this chance, up to `delay` later.
    #[must_use]
    pub const fn duplicate(mut self, chance: Chance, delay: Duration) -> Self {
        self.duplicate = chance;
        self.duplicate_delay = delay;
        self
    }

    /// With up to `copies` extra copies where there is one.
    #[must_use]
    pub const fn duplicate_copies(mut self, copies: u8) -> Self {
        self.duplicate_copies = copies;
        self
    }

    /// With datagrams held up at this chance, for up to `delay`.
    #[must_use]
    pub const fn reorder(mut self, chance: Chance, delay: Duration) -> Self {
        self.reorder = chance;
        self.reorder_delay = delay;
        self
    }

    /// With a bottleneck of `bytes_per_s` (at least 1) and a tail-drop queue of `queue` bytes.
    #[must_use]
    pub const fn rate(mut self, bytes_per_s: u64, queue: usize) -> Self {
        self.rate = Some(bytes_per_s);
        self.queue = queue;
        self
    }

    /// With room for so many datagrams before the bottleneck.
    #[must_use]
    pub const fn queue_packets(mut self, datagrams: usize) -> Self {
        self.queue_packets = datagrams;
        self
    }

    /// With this management of the bottleneck's queue.
    #[must_use]
    pub const fn aqm(mut self, aqm: Aqm) -> Self {
        self.aqm = aqm;
        self
    }

    /// With nothing let through beyond `bytes_per_s`, but for `burst` bytes at once.
    #[must_use]
    pub const fn policer(mut self, bytes_per_s: u64, burst: u32) -> Self {
        self.policer = Some(Policer { rate: bytes_per_s, burst });
        self
    }

    /// The bottleneck.
    pub const fn line(&self) -> LineConfig {
        let Self { rate, queue, queue_packets, aqm, .. } = *self;
        LineConfig { rate, queue, queue_packets, aqm }
    }

    /// Whether all knobs are off that decide about each datagram by chance, number or time.
    pub(super) const fn draws_nothing(&self) -> bool {
        let Self { damage, ecn, .. } = self;
        let chances = [
            self.loss,
            self.duplicate,
            self.reorder,
            damage.flip,
            damage.swap,
            damage.splice,
            damage.truncate,
            damage.extend,
            ecn.bleach,
            ecn.remark,
            ecn.lose,
        ];
        let mut sum = 0_u32;
        let mut at = 0;
        while at < chances.len() {
            sum += chances[at].as_ppm();
            at += 1;
        }
        let losses = self.bursts.is_some() || self.blackouts.is_some() || self.lose_every > 0;
        sum == 0 && !losses && self.jitter.is_zero()
    }

    /// The knobs of loss.
    pub(super) const fn losses(&self) -> LossConfig {
        let Self { loss, bursts, lose_every, blackouts, .. } = *self;
        LossConfig { loss, bursts, every: lose_every, blackouts }
    }

    /// With the mark of congestion on what finds more than `bytes` in the queue.
    #[must_use]
    pub const fn mark_above(mut self, bytes: usize) -> Self {
        self.mark_above = bytes;
        self
    }

    /// With this MTU, in bytes of UDP payload.
    #[must_use]
    pub const fn mtu(mut self, mtu: usize) -> Self {
        self.mtu = mtu;
        self
    }
}
