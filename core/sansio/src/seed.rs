//! Randomness that replays: one 32-byte seed, labelled children, ChaCha20.

use blake2::Blake2sMac256;
use blake2::digest::{KeyInit, Mac};
use core::convert::Infallible;
use core::fmt;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 bytes from which all randomness of a machine follows.
///
/// An adapter fills it from the operating system, a simulator from its run's number. Whoever knows
/// the seed of a live endpoint knows its ephemeral keys.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The seed made of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed for a simulation or a test, numbered. Never for real traffic: it is easily guessed.
    pub fn from_number(number: u64) -> Self {
        Self([0; 32]).child("number").mix(&number.to_be_bytes())
    }

    /// The seed of the component called `label`: BLAKE2s keyed with this seed, of the label.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        self.mix(label.as_bytes())
    }

    /// The generator of the component called `label`.
    pub fn random(&self, label: &str) -> Random {
        Random(ChaCha20Rng::from_seed(self.child(label).0))
    }

    fn mix(&self, data: &[u8]) -> Self {
        let key = self.0.into();
        let mut mac = <Blake2sMac256 as KeyInit>::new(&key);
        mac.update(data);
        Self(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// A reproducible generator: ChaCha20 over a labelled child of a [`Seed`].
///
/// It implements rand_core's `Rng` and `CryptoRng`, and offers the draws that machines need.
#[derive(Clone, PartialEq)]
pub struct Random(ChaCha20Rng);

impl Random {
    /// 64 uniformly random bits.
    pub fn bits64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 32 uniformly random bits.
    pub fn bits32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// `N` random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// A uniform number below `bound`; 0 if `bound` is 0.
    ///
    /// Unbiased by rejection (Lemire, "Fast Random Integer Generation in an Interval", 2019).
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let reject = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.bits64()) * u128::from(bound);
            // The low half decides whether this draw falls into the biased rest.
            let [high, low] = split(wide);
            if low >= reject {
                return high;
            }
        }
    }

    /// True with probability `numerator / denominator` (never if the denominator is 0).
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        denominator != 0 && self.below(denominator) < numerator
    }
}

/// The high and the low half of a 128-bit number.
fn split(wide: u128) -> [u64; 2] {
    let bytes = wide.to_be_bytes();
    let (high, low) = bytes.split_at(8);
    [high, low].map(|half| half.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
}

impl TryRng for Random {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_depends_on_seed_and_label_only() {
        let seed = Seed::from_number(1);
        let mut first = seed.random("ids");
        first.bits64();
        assert_eq!(seed.random("keys").bits64(), seed.random("keys").bits64());
        assert_ne!(seed.random("keys").bits64(), seed.random("ids").bits64());
        assert_ne!(seed.random("ids").bits64(), Seed::from_number(2).random("ids").bits64());
    }

    #[test]
    fn the_stream_of_a_seed_is_fixed_for_ever() {
        // A changed value here means that no recorded seed replays any more.
        let mut random = Seed::from_number(7).random("golden");
        assert_eq!(random.bits64(), GOLDEN[0]);
        assert_eq!(random.bits64(), GOLDEN[1]);
    }
    /// Reckoned by another implementation of BLAKE2s and ChaCha20.
    const GOLDEN: [u64; 2] = [9_740_617_965_199_723_223, 17_189_919_926_017_387_921];

    #[test]
    fn draws_stay_below_their_bound() {
        let mut random = Seed::from_number(3).random("below");
        assert_eq!(random.below(0), 0);
        assert_eq!(random.below(1), 0);
        for bound in [2, 3, 10, u64::MAX] {
            assert!((0..1000).all(|_| random.below(bound) < bound));
        }
        assert!(!random.chance(0, 10) && random.chance(10, 10) && !random.chance(1, 0));
    }
}
