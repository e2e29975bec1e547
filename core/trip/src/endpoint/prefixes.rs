//! How many handshakes each neighbourhood of the network may begin: buckets by address prefix, /32
//! of IPv4 and /64 of IPv6, in one fixed table (R-HAND-3).
//!
//! In goes an address that a token has proven, out comes yes or no. A prefix finds its bucket by a
//! keyed hash, so nobody outside can tell whose bucket it shares; two prefixes that meet in one
//! share its rate. Nothing is ever inserted or removed.
#![deny(clippy::arithmetic_side_effects)]

use crate::bucket::{Bucket, Rate};
use crate::crypto::keyed_hash64;
use alloc::vec::Vec;
use core::net::IpAddr;
use tripline_sansio::Instant;

/// Buckets in the table (PROTOCOL.md §11); 8 bytes each.
pub(crate) const PREFIX_BUCKETS: usize = 1 << 14;

/// The table.
#[derive(Debug)]
pub(super) struct Prefixes {
    key: [u8; 16],
    rate: Rate,
    /// Empty until it is used for the first time: most endpoints are never flooded.
    buckets: Vec<Bucket>,
}

impl Prefixes {
    pub(super) fn new(key: [u8; 16], rate: Rate) -> Self {
        Self { key, rate, buckets: Vec::new() }
    }

    /// Takes one from the bucket of the address's prefix, if there is one.
    #[must_use]
    pub(super) fn take(&mut self, now: Instant, address: IpAddr) -> bool {
        if self.buckets.is_empty() {
            self.buckets.resize(PREFIX_BUCKETS, Bucket::default());
        }
        let hash = match address.to_canonical() {
            IpAddr::V4(address) => keyed_hash64(&self.key, &address.octets()),
            IpAddr::V6(address) => {
                let [network @ .., _, _, _, _, _, _, _, _] = address.octets();
                keyed_hash64(&self.key, &network)
            }
        };
        let place = usize::try_from(hash).unwrap_or_default() & PREFIX_BUCKETS.saturating_sub(1);
        self.buckets.get_mut(place).is_some_and(|bucket| bucket.take(now, self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use core::net::Ipv6Addr;
    use tripline_sansio::Duration;

    fn table() -> Prefixes {
        Prefixes::new([7; 16], Rate::new(20, 5))
    }

    fn v6(network: u64, host: u64) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from_bits(u128::from(network) << 64 | u128::from(host)))
    }

    /// R-HAND-3: one address of IPv4, one /64 of IPv6, share a bucket; an address of IPv4 in the
    /// clothes of IPv6 is itself.
    #[test]
    fn r_hand_3_a_prefix_has_one_bucket() {
        let now = Instant::ZERO;
        let mut table = table();
        let taken = |table: &mut Prefixes, addresses: &mut dyn Iterator<Item = IpAddr>| {
            addresses.filter(|address| table.take(now, *address)).count()
        };
        let network = 0x2001_0db8_0000_0001;
        assert_eq!(taken(&mut table, &mut (0..1_000).map(|host| v6(network, host))), 5);
        assert!(table.take(now, v6(network ^ 1, 0)), "the next network has its own");
        let four = IpAddr::from([192, 0, 2, 1]);
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(taken(&mut table, &mut [four, mapped].into_iter().cycle().take(20)), 5);
        assert!(table.take(now, IpAddr::from([192, 0, 2, 2])));
        assert!(table.take(now + Duration::from_millis(50), four), "and it fills again");
        assert_eq!(table.buckets.len(), PREFIX_BUCKETS);
    }

    /// D3: who cannot see the key spreads over the table, however addresses are chosen.
    #[test]
    fn d3_chosen_prefixes_spread() {
        let mut places = BTreeSet::new();
        for n in 0..1_u32 << 14 {
            let hash = keyed_hash64(&[7; 16], &(n << 14).to_be_bytes());
            places.insert(hash % PREFIX_BUCKETS as u64);
        }
        // Thrown at random, 1 − 1/e of the places are hit.
        assert!((10_000..10_700).contains(&places.len()), "{}", places.len());
    }
}
