//! How much may be done under one key (PROTOCOL.md §5.3; RFC 9001 §6.6).
//!
//! In go the counts of a zone, out comes what they call for. It counts nothing itself.
#![deny(clippy::arithmetic_side_effects)]

use tripline_sansio::{Duration, Random};

/// At the end of its data a key seals this many packets more, so that a renewal may still come to
/// an end.
const GRACE_PACKETS: u64 = 1_024;

/// When a connection renews its keys, and when it may not go on with old ones.
///
/// The defaults are the largest values that the protocol allows, one set for all ciphers; larger
/// ones count as those, and zeros as ones. Lower ones cost a few packets and four exchanges of
/// X25519 a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// After how many packets sent under one key a new one is asked for; at most 2^22.
    pub renew_packets: u64,
    /// After how many packets sent under one key no more data goes out until it is renewed; at
    /// most 2^23. 1,024 packets later the connection ends; a renewal may take three probe timeouts
    /// and more, so a limit that is low for the rate of packets ends connections.
    pub data_packets: u64,
    /// After how many packets that failed to open under one key a new one is asked for; at most
    /// 2^35.
    pub renew_failures: u64,
    /// After how many packets that failed to open under one key the connection ends; at most 2^36.
    pub end_failures: u64,
    /// After how long (10 % more or less, by chance) a key that carried data is renewed; at most
    /// two minutes.
    pub renew_after: Duration,
}

impl KeyLimits {
    /// The largest of each.
    pub const LARGEST: Self = Self {
        renew_packets: 1 << 22,
        data_packets: 1 << 23,
        renew_failures: 1 << 35,
        end_failures: 1 << 36,
        renew_after: Duration::from_secs(120),
    };
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self::LARGEST
    }
}

impl KeyLimits {
    /// The limits with every value moved into its range.
    pub(crate) fn in_range(self) -> Self {
        let most = Self::LARGEST;
        Self {
            renew_packets: self.renew_packets.clamp(1, most.renew_packets),
            data_packets: self.data_packets.clamp(1, most.data_packets),
            renew_failures: self.renew_failures.clamp(1, most.renew_failures),
            end_failures: self.end_failures.clamp(1, most.end_failures),
            renew_after: self.renew_after.clamp(Duration::from_millis(1), most.renew_after),
        }
    }

    /// Whether a key that sealed `sealed` packets, and whose counterpart refused `failed`, is to be
    /// renewed.
    pub(crate) fn is_worn(&self, sealed: u64, failed: u64) -> bool {
        sealed >= self.renew_packets.min(self.data_packets) || failed >= self.renew_failures
    }

    /// Whether such a key still seals data.
    pub(crate) fn allows_data(&self, sealed: u64) -> bool {
        sealed < self.data_packets
    }

    /// Whether such a key may not be used any longer.
    pub(crate) fn is_spent(&self, sealed: u64, failed: u64) -> bool {
        sealed >= self.data_packets.saturating_add(GRACE_PACKETS) || failed >= self.end_failures
    }

    /// How long a zone that begins now lives: so many of one age do not renew at one time.
    pub(crate) fn draw_age(&self, random: &mut Random) -> Duration {
        let nanos = u64::try_from(self.renew_after.as_nanos()).unwrap_or(u64::MAX);
        let least = nanos.saturating_sub(nanos / 10);
        let spread = (nanos / 5).saturating_add(1);
        Duration::from_nanos(least.saturating_add(random.below(spread)))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use tripline_sansio::Seed;

    /// PROTOCOL.md §5.3: limits can be lowered, not raised, and nothing is zero.
    #[test]
    fn r_zone_limits_are_lower_only() {
        let wild = KeyLimits {
            renew_packets: u64::MAX,
            data_packets: u64::MAX,
            renew_failures: u64::MAX,
            end_failures: u64::MAX,
            renew_after: Duration::MAX,
        };
        assert_eq!(wild.in_range(), KeyLimits::default());
        let none = KeyLimits {
            renew_packets: 0,
            data_packets: 0,
            renew_failures: 0,
            end_failures: 0,
            renew_after: Duration::ZERO,
        };
        let least = none.in_range();
        assert_eq!((least.renew_packets, least.data_packets), (1, 1));
        assert_eq!((least.renew_failures, least.end_failures), (1, 1));
        assert!(!least.renew_after.is_zero());
        let low = KeyLimits { renew_packets: 100, ..KeyLimits::default() };
        assert_eq!(low.in_range(), low);
    }

    /// PROTOCOL.md §5.3: the limits to the packet: 2^22, 2^23, 1,024 more, 2^35, 2^36.
    #[test]
    fn r_zone_limits_are_those_of_the_protocol() {
        let limits = KeyLimits::default();
        assert!(!limits.is_worn((1 << 22) - 1, (1 << 35) - 1));
        assert!(limits.is_worn(1 << 22, 0) && limits.is_worn(0, 1 << 35));
        assert!(limits.allows_data((1 << 23) - 1) && !limits.allows_data(1 << 23));
        assert!(!limits.is_spent((1 << 23) + 1_023, (1 << 36) - 1));
        assert!(limits.is_spent((1 << 23) + 1_024, 0) && limits.is_spent(0, 1 << 36));
        let early = KeyLimits { data_packets: 10, ..limits };
        assert!(early.is_worn(10, 0), "who may not go on asks, whatever else is configured");
    }

    /// PROTOCOL.md §5.3: two minutes, ten per cent more or less, spread over all of it.
    #[test]
    fn r_zone_ages_are_spread() {
        let mut random = Seed::from_number(1).random("ages");
        let ages: alloc::vec::Vec<_> =
            (0..1_000).map(|_| KeyLimits::default().draw_age(&mut random).as_millis()).collect();
        assert!(ages.iter().all(|age| (108_000..=132_000).contains(age)));
        assert!(ages.iter().any(|age| *age < 110_000) && ages.iter().any(|age| *age > 130_000));
    }
}
