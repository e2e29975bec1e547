//! A host's clock and its system, in words: what both are like at the start (settings of the host's
//! line) and from a moment on (steps).
//!
//! ```text
//! phone client 10.0.1.1:1000 skew=5% wander=1% wander-every=10s
//! 5s  phone clock skew=-2%
//! 9s  phone refuses longer=1300 memory=5%
//! 12s phone refuses all=on
//! 15s phone refuses
//! ```
//!
//! A word that a step does not say is as if it had never been said: `clock` alone sets a clock
//! going at the right pace (it does not put it right), and `refuses` alone lets everything out.

use super::host::switch;
use super::units::{self, Percent, Size, Skew, Time};
use super::words::{LineError, Words};
use crate::chance::Chance;
use crate::host::{ClockConfig, SendFaults};
use std::fmt;
use tripline_sansio::Duration;

/// How often a clock that wanders does so if nobody says.
const WANDER_EVERY: Duration = Duration::from_secs(1);

/// The pace of a host's clock: fields of [`ClockConfig`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// `skew=5%`, `skew=-0.1%`: how much too fast, in millionths.
    pub skew: i32,
    /// `wander=1%`: by up to how much the pace changes.
    pub wander: Option<Chance>,
    /// `wander-every=10s`: how often; each second unless said.
    pub every: Option<Duration>,
}

impl Pace {
    pub(super) fn read(words: &mut Words<'_>) -> Result<Self, LineError> {
        let skew = words.option("skew", units::skew)?.unwrap_or(0);
        let wander = words.option("wander", units::chance)?;
        let every = words.option("wander-every", units::duration)?;
        Ok(Self { skew, wander, every })
    }

    /// The configuration.
    pub fn config(self) -> ClockConfig {
        let every = self.every.unwrap_or(WANDER_EVERY);
        ClockConfig::skew(self.skew).drift(self.wander.unwrap_or(Chance::NEVER), every)
    }

    /// Whether the clock is right.
    pub fn is_true(self) -> bool {
        self.skew == 0 && self.wander.unwrap_or(Chance::NEVER) == Chance::NEVER
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { skew, wander, every } = *self;
        if skew != 0 {
            write!(f, " skew={}", Skew(skew))?;
        }
        wander.map_or(Ok(()), |wander| write!(f, " wander={}", Percent(wander)))?;
        every.map_or(Ok(()), |every| write!(f, " wander-every={}", Time(every)))
    }
}

/// What a host's system refuses to send: fields of [`SendFaults`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// `longer=1300`: datagrams longer than this (`EMSGSIZE`).
    pub longer: Option<u64>,
    /// `memory=5%`: how often it has no memory (`ENOBUFS`).
    pub memory: Option<Chance>,
    /// `all=on`: there is no network (`ENETUNREACH`).
    pub all: bool,
}

impl Refusal {
    pub(super) fn read(words: &mut Words<'_>) -> Result<Self, LineError> {
        let longer = words.option("longer", units::bytes)?;
        let memory = words.option("memory", units::chance)?;
        let all = words.option("all", switch)?.unwrap_or(false);
        Ok(Self { longer, memory, all })
    }

    /// The configuration.
    pub fn faults(self) -> SendFaults {
        SendFaults {
            longest: self
                .longer
                .map_or(usize::MAX, |longest| usize::try_from(longest).unwrap_or(usize::MAX)),
            unreachable: self.all,
            no_buffers: self.memory.unwrap_or(Chance::NEVER),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { longer, memory, all } = *self;
        longer.map_or(Ok(()), |longer| write!(f, " longer={}", Size(longer)))?;
        memory.map_or(Ok(()), |memory| write!(f, " memory={}", Percent(memory)))?;
        f.write_str(if all { " all=on" } else { "" })
    }
}
