//! What one direction of a stream of bytes is like: plain numbers, each of which can be off.

use crate::chance::Chance;
use tripline_sansio::Duration;

/// How the bytes that have arrived are handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All that are there at once.
    Whole,
    /// One by one.
    Bytes,
    /// So many at a time as is drawn, from 1 up to this number.
    UpTo(usize),
}

/// The properties of one direction of a stream. Start from [`StreamConfig::perfect`] and turn
/// knobs.
///
/// ```
/// use tripline_sim::{Cut, Duration, StreamConfig};
/// let slow = StreamConfig::perfect()
///     .delay(Duration::from_millis(40))
///     .rate(100_000)
///     .buffer(8_192)
///     .cut(Cut::Bytes);
/// assert_eq!(slow.buffer, 8_192);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// Time that every byte takes.
    pub delay: Duration,
    /// Up to so much more for each segment, uniformly; the order is kept.
    pub jitter: Duration,
    /// Bytes per second, or no limit.
    pub rate: Option<u64>,
    /// The most bytes on their way, those included that have arrived and were not read. While so
    /// many are, no more are taken.
    pub buffer: usize,
    /// How the receiver gets them.
    pub cut: Cut,
    /// How often a segment, and all behind it, is held up.
    pub stall: Chance,
    /// For up to how long, uniformly.
    pub stall_for: Duration,
    /// How often a reset comes in place of a segment.
    pub reset: Chance,
}

impl StreamConfig {
    /// No delay and no limit but a buffer of 64 KiB; all that is there is handed in at once.
    pub const fn perfect() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            rate: None,
            buffer: 64 << 10,
            cut: Cut::Whole,
            stall: Chance::NEVER,
            stall_for: Duration::ZERO,
            reset: Chance::NEVER,
        }
    }

    /// With this delay.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// With this much jitter.
    #[must_use]
    pub const fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// With so many bytes per second (at least 1).
    #[must_use]
    pub const fn rate(mut self, bytes_per_s: u64) -> Self {
        self.rate = Some(bytes_per_s);
        self
    }

    /// With room for so many bytes; 0: none is ever taken.
    #[must_use]
    pub const fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes;
        self
    }

    /// With this way to hand bytes in.
    #[must_use]
    pub const fn cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// With segments held up at this chance, for up to `stall_for`.
    #[must_use]
    pub const fn stall(mut self, chance: Chance, stall_for: Duration) -> Self {
        self.stall = chance;
        self.stall_for = stall_for;
        self
    }

    /// With resets at this chance a segment.
    #[must_use]
    pub const fn reset(mut self, chance: Chance) -> Self {
        self.reset = chance;
        self
    }
}
