//! What links do to congestion marks: take them off, put them on, lose what bears one.
//!
//! In goes the mark that a datagram has, out the one that it arrives with.

use super::counters::LinkCounters;
use super::lazy::Lazy;
use crate::chance::Chance;
use tripline_sansio::{Ecn, Seed};

/// How often a link tampers with congestion marks (the two ECN bits of the IP header).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EcnConfig {
    /// A datagram with ECT or CE arrives as one without (bleaching).
    pub bleach: Chance,
    /// A datagram with ECT arrives with CE although no queue was long.
    pub remark: Chance,
    /// A datagram with ECT or CE does not arrive at all.
    pub lose: Chance,
}

impl EcnConfig {
    /// Marks pass.
    pub const NONE: Self =
        Self { bleach: Chance::NEVER, remark: Chance::NEVER, lose: Chance::NEVER };
}

/// The generators.
#[derive(Clone, Debug)]
pub(super) struct Marking {
    bleach: Lazy,
    remark: Lazy,
    lose: Lazy,
}

/// What was decided for one datagram.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MarkDraws {
    pub(super) bleach: bool,
    pub(super) remark: bool,
    pub(super) lose: bool,
}

impl Marking {
    pub(super) const fn new() -> Self {
        Self { bleach: Lazy::new("bleach"), remark: Lazy::new("remark"), lose: Lazy::new("marked") }
    }

    /// Draws for the next datagram, whatever its mark.
    pub(super) fn next(&mut self, seed: &Seed, config: &EcnConfig) -> MarkDraws {
        let draw = |chance: Chance, random: &mut Lazy| {
            chance != Chance::NEVER && chance.draw(random.get(seed))
        };
        MarkDraws {
            bleach: draw(config.bleach, &mut self.bleach),
            remark: draw(config.remark, &mut self.remark),
            lose: draw(config.lose, &mut self.lose),
        }
    }
}

impl MarkDraws {
    /// The mark that a datagram arrives with which was sent with `ecn`, if the queue `congested`
    /// it or not; and counts what chance has done to it. A bleached one arrives without, whatever
    /// else.
    pub(super) fn arrive(self, ecn: Ecn, congested: bool, counters: &mut LinkCounters) -> Ecn {
        let ecn = match ecn {
            Ecn::Ect0 | Ecn::Ect1 if congested => Ecn::Ce,
            Ecn::Ect0 | Ecn::Ect1 if self.remark => {
                counters.remarked += 1;
                Ecn::Ce
            }
            other => other,
        };
        if self.bleach && ecn != Ecn::NotEct {
            counters.bleached += 1;
            return Ecn::NotEct;
        }
        ecn
    }
}
