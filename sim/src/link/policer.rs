//! A policer: more than so many bytes a second are not let through, and nothing waits.

use tripline_sansio::Instant;

/// A token bucket: it fills at a rate up to its size, and a datagram passes if the bucket holds its
/// length. At first it is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policer {
    /// Bytes per second.
    pub rate: u64,
    /// What the bucket holds in bytes; datagrams longer than it never pass.
    pub burst: u32,
}

/// A billionth of a byte, so that a nanosecond at one byte a second is one.
const PARTS: u128 = 1_000_000_000;

/// What a policer remembers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PolicerState {
    /// What is missing in the bucket, in billionths of a byte.
    missing: u128,
    filled_at: Instant,
}

impl PolicerState {
    /// Whether a datagram of `len` bytes passes at `now`.
    pub(super) fn passes(&mut self, config: &Policer, now: Instant, len: usize) -> bool {
        let filled = (now - self.filled_at).as_nanos() * u128::from(config.rate);
        self.filled_at = now;
        let size = u128::from(config.burst) * PARTS;
        // The size may have become smaller.
        self.missing = self.missing.saturating_sub(filled).min(size);
        let wanted = len as u128 * PARTS;
        let passes = self.missing + wanted <= size;
        if passes {
            self.missing += wanted;
        }
        passes
    }
}
