//! How much memory strangers can make an endpoint hold: a number that is known beforehand.

use crate::config::GuardConfig;
use crate::endpoint::bounds;

impl GuardConfig {
    /// The most memory, in bytes, that all strangers together can make an endpoint hold for as long
    /// as they are strangers: half-opens with all that hangs on them and the index by which they
    /// are known, answers that wait to be sent, and the buckets. It depends on no traffic, nor on
    /// how many strangers there are (PROTOCOL.md §11).
    pub const fn memory_max() -> usize {
        // No sum or product here comes near 2^31: they are constants of a few megabytes.
        bounds::HALF_OPEN_BYTES_MAX
            .saturating_add(bounds::HALF_OPENS_MAX.saturating_mul(bounds::INDEX_ENTRY_BYTES))
            .saturating_add(bounds::ANSWERS_MAX.saturating_mul(bounds::ANSWER_BYTES_MAX))
            .saturating_add(bounds::PREFIX_BUCKETS.saturating_mul(bounds::BUCKET_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D2: a few megabytes, whatever comes.
    #[test]
    fn d2_strangers_cost_a_few_megabytes() {
        let most = GuardConfig::memory_max();
        assert!((2 << 20..4 << 20).contains(&most), "{most} bytes");
    }
}
