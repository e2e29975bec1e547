//! How links change what they carry: flipped bits, cut ends, garbage, splices, swapped bytes.
//!
//! The link decides by length and chance and says what is to be done ([`Damage`]); whoever has the
//! bytes does it. A datagram may be damaged in several ways at once, in the order of the fields of
//! [`DamageConfig`]; copies of it are damaged alike. Real networks drop nearly all such datagrams
//! for their checksum; what is left is what a hostile or broken box does.

use super::counters::LinkCounters;
use super::lazy::Lazy;
use crate::chance::Chance;
use tripline_sansio::{Random, Seed};

/// How often a link damages datagrams, each way on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct DamageConfig {
    /// One to eight bits are flipped, anywhere.
    pub flip: Chance,
    /// Two bytes change places, anywhere.
    pub swap: Chance,
    /// From some byte on it is what its predecessor on this link had there.
    pub splice: Chance,
    /// Only so many bytes are left: none up to all but one.
    pub truncate: Chance,
    /// 1 to [`GARBAGE_MAX`] bytes of garbage follow.
    pub extend: Chance,
}

/// The most bytes of garbage that a link puts behind a datagram.
pub const GARBAGE_MAX: usize = 64;

/// The longest datagram that comes out of damage.
const LENGTH_MAX: usize = super::MAX_DATAGRAM;

impl DamageConfig {
    /// No damage.
    pub const NONE: Self = Self {
        flip: Chance::NEVER,
        swap: Chance::NEVER,
        splice: Chance::NEVER,
        truncate: Chance::NEVER,
        extend: Chance::NEVER,
    };

    /// Each kind at this chance.
    pub const fn every(chance: Chance) -> Self {
        Self { flip: chance, swap: chance, splice: chance, truncate: chance, extend: chance }
    }

    /// Whether it does nothing at all.
    pub fn is_off(&self) -> bool {
        *self == Self::NONE
    }
}

/// What is to be done to one datagram: for each kind a number from which all else about it
/// follows, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Damage {
    flip: Option<u64>,
    swap: Option<u64>,
    splice: Option<u64>,
    truncate: Option<u64>,
    extend: Option<u64>,
}

impl Damage {
    /// Whether nothing is to be done.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Does it; `previous` is the datagram before on the same link. An empty datagram can only be
    /// spliced or extended; a datagram may come out as it was (a bit flipped twice, equal bytes
    /// swapped).
    pub fn apply(&self, bytes: &mut Vec<u8>, previous: &[u8]) {
        if let Some(mut number) = self.flip {
            for _ in 0..1 + take(&mut number, 8) {
                if !bytes.is_empty() {
                    let bit = take(&mut number, bytes.len() * 8);
                    bytes[bit / 8] ^= 1 << (bit % 8);
                }
            }
        }
        if let Some(mut number) = self.swap
            && bytes.len() > 1
        {
            let one = take(&mut number, bytes.len());
            let other = take(&mut number, bytes.len());
            bytes.swap(one, other);
        }
        if let Some(mut number) = self.splice
            && !previous.is_empty()
        {
            let at = take(&mut number, previous.len()).min(bytes.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&previous[at..]);
        }
        if let Some(mut number) = self.truncate
            && !bytes.is_empty()
        {
            let len = take(&mut number, bytes.len());
            bytes.truncate(len);
        }
        if let Some(mut number) = self.extend {
            let more = 1 + take(&mut number, GARBAGE_MAX);
            for _ in 0..more.min(LENGTH_MAX.saturating_sub(bytes.len())) {
                bytes.push(take(&mut number, 256) as u8);
            }
        }
    }
}

/// A number below `bound` from a state that moves on (SplitMix64); the least bias does not matter
/// here. 0 if `bound` is 0.
fn take(state: &mut u64, bound: usize) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    let wide = u128::from(word ^ word >> 31) * bound as u128;
    (wide >> 64) as usize
}

/// The generators of the kinds of damage.
#[derive(Clone, Debug)]
pub(super) struct Damages {
    flip: Lazy,
    swap: Lazy,
    splice: Lazy,
    truncate: Lazy,
    extend: Lazy,
}

impl Damages {
    pub(super) const fn new() -> Self {
        Self {
            flip: Lazy::new("flip"),
            swap: Lazy::new("swap"),
            splice: Lazy::new("splice"),
            truncate: Lazy::new("truncate"),
            extend: Lazy::new("extend"),
        }
    }

    /// What is to be done to the next datagram.
    pub(super) fn next(&mut self, seed: &Seed, config: &DamageConfig) -> Damage {
        if config.is_off() {
            return Damage::default();
        }
        let draw = |chance: Chance, random: &mut Lazy| {
            if chance == Chance::NEVER {
                return None;
            }
            let random: &mut Random = random.get(seed);
            chance.draw(random).then(|| random.bits64())
        };
        Damage {
            flip: draw(config.flip, &mut self.flip),
            swap: draw(config.swap, &mut self.swap),
            splice: draw(config.splice, &mut self.splice),
            truncate: draw(config.truncate, &mut self.truncate),
            extend: draw(config.extend, &mut self.extend),
        }
    }
}

impl LinkCounters {
    /// Counts a datagram that passes and is damaged.
    pub(super) fn note_damage(&mut self, damage: &Damage) {
        self.flipped += u64::from(damage.flip.is_some());
        self.swapped += u64::from(damage.swap.is_some());
        self.spliced += u64::from(damage.splice.is_some());
        self.truncated += u64::from(damage.truncate.is_some());
        self.extended += u64::from(damage.extend.is_some());
    }
}
