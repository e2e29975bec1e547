//! What a link is like: plain numbers, each of which can be off.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkConfig {
    /// Time that every datagram takes.
    pub delay: Duration,
    /// Up to so much more, uniformly.
    pub jitter: Duration,
    /// Whether jitter (or a smaller delay from now on) leaves the order alone: who would overtake
    /// arrives together with its predecessor. Reordering and copies are exempt.
    pub keep_order: bool,
    /// How often a datagram is lost, behind the bottleneck.
    pub loss: Chance,
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
            keep_order: true,
            loss: Chance::NEVER,
            duplicate: Chance::NEVER,
            duplicate_copies: 1,
            duplicate_delay: Duration::ZERO,
            reorder: Chance::NEVER,
            reorder_delay: Duration::ZERO,
            rate: None,
            queue: usize::MAX,
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
