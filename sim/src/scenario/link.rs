//! What a link is like, in words: `phone<>server delay=40ms loss=2% rate=5Mbit/s queue=64kB`.
//!
//! A link line names two hosts and turns knobs; those it does not name stay as they are, and at the
//! start of a scenario as they are in [`LinkConfig::perfect`]. The numbers are kept as they were
//! written, so that one knob can be dropped or made smaller alone.

use super::units::{self, Percent, Rate, Size, Time};
use super::words::{LineError, Words, check_name};
use crate::chance::Chance;
use crate::link::LinkConfig;
use std::fmt;
use tripline_sansio::Duration;

/// The queue of a bottleneck whose line names none, in bytes.
const QUEUE: usize = 64_000;

/// One property of a link. Each is one field of [`LinkConfig`], where it is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knob {
    /// `delay=20ms`
    Delay(Duration),
    /// `jitter=5ms`
    Jitter(Duration),
    /// `order=free` or `order=kept`: whether jitter may change the order.
    FreeOrder(bool),
    /// `loss=2%`
    Loss(Chance),
    /// `copies=1%`
    Copies(Chance),
    /// `copies-most=3`
    CopiesMost(u8),
    /// `copies-delay=30ms`
    CopiesDelay(Duration),
    /// `reorder=5%`
    Reorder(Chance),
    /// `reorder-delay=20ms`
    ReorderDelay(Duration),
    /// `rate=10Mbit/s`, in bytes per second; a queue of 64 kB unless the line says another.
    Rate(u64),
    /// `queue=64kB`
    Queue(u64),
    /// `mark-above=20kB`
    MarkAbove(u64),
    /// `mtu=1200`
    Mtu(u64),
}

impl Knob {
    fn parse(key: &str, value: &str) -> Result<Self, String> {
        Ok(match key {
            "delay" => Self::Delay(units::duration(value)?),
            "jitter" => Self::Jitter(units::duration(value)?),
            "order" => Self::FreeOrder(match value {
                "free" => true,
                "kept" => false,
                _ => return Err(format!("order is `free` or `kept`, not `{value}`")),
            }),
            "loss" => Self::Loss(units::chance(value)?),
            "copies" => Self::Copies(units::chance(value)?),
            "copies-most" => Self::CopiesMost(units::number(value)?),
            "copies-delay" => Self::CopiesDelay(units::duration(value)?),
            "reorder" => Self::Reorder(units::chance(value)?),
            "reorder-delay" => Self::ReorderDelay(units::duration(value)?),
            "rate" => Self::Rate(units::rate(value)?),
            "queue" => Self::Queue(units::bytes(value)?),
            "mark-above" => Self::MarkAbove(units::bytes(value)?),
            "mtu" => Self::Mtu(units::bytes(value)?),
            _ => return Err(format!("a link has no `{key}`")),
        })
    }

    /// Turns this knob of `config`.
    pub const fn apply(self, mut config: LinkConfig) -> LinkConfig {
        match self {
            Self::Delay(value) => config.delay = value,
            Self::Jitter(value) => config.jitter = value,
            Self::FreeOrder(free) => config.keep_order = !free,
            Self::Loss(value) => config.loss = value,
            Self::Copies(value) => config.duplicate = value,
            Self::CopiesMost(value) => config.duplicate_copies = value,
            Self::CopiesDelay(value) => config.duplicate_delay = value,
            Self::Reorder(value) => config.reorder = value,
            Self::ReorderDelay(value) => config.reorder_delay = value,
            Self::Rate(value) => {
                config.rate = Some(value);
                if config.queue == usize::MAX {
                    config.queue = QUEUE;
                }
            }
            Self::Queue(value) => config.queue = size(value),
            Self::MarkAbove(value) => config.mark_above = size(value),
            Self::Mtu(value) => config.mtu = size(value),
        }
        config
    }
}

/// A size as the link counts it; this crate runs where `usize` has 64 bits, or cuts.
const fn size(bytes: u64) -> usize {
    if bytes > usize::MAX as u64 { usize::MAX } else { bytes as usize }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Delay(value) => write!(f, "delay={}", Time(value)),
            Self::Jitter(value) => write!(f, "jitter={}", Time(value)),
            Self::FreeOrder(free) => f.write_str(if free { "order=free" } else { "order=kept" }),
            Self::Loss(value) => write!(f, "loss={}", Percent(value)),
            Self::Copies(value) => write!(f, "copies={}", Percent(value)),
            Self::CopiesMost(value) => write!(f, "copies-most={value}"),
            Self::CopiesDelay(value) => write!(f, "copies-delay={}", Time(value)),
            Self::Reorder(value) => write!(f, "reorder={}", Percent(value)),
            Self::ReorderDelay(value) => write!(f, "reorder-delay={}", Time(value)),
            Self::Rate(value) => write!(f, "rate={}", Rate(value)),
            Self::Queue(value) => write!(f, "queue={}", Size(value)),
            Self::MarkAbove(value) => write!(f, "mark-above={}", Size(value)),
            Self::Mtu(value) => write!(f, "mtu={}", Size(value)),
        }
    }
}

/// Two hosts and a direction: `a>b`, or both ways, `a<>b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Who sends.
    pub from: String,
    /// Who receives.
    pub to: String,
    /// Whether the way back is meant too.
    pub both: bool,
}

impl Way {
    pub(super) fn parse(word: &str) -> Result<Self, String> {
        let (from, to, both) = match (word.split_once("<>"), word.split_once('>')) {
            (Some((from, to)), _) => (from, to, true),
            (None, Some((from, to))) => (from, to, false),
            (None, None) => return Err(format!("`{word}` is no way: `a>b` one way, `a<>b` both")),
        };
        check_name(from)?;
        check_name(to)?;
        Ok(Self { from: from.to_owned(), to: to.to_owned(), both })
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.from, if self.both { "<>" } else { ">" }, self.to)
    }
}

/// A way and its knobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// Which link, or which two.
    pub way: Way,
    /// What it is like, in the order in which the knobs are turned.
    pub knobs: Vec<Knob>,
}

impl LinkSpec {
    /// The rest of a line behind whatever introduced it.
    pub(super) fn read(words: &mut Words<'_>) -> Result<Self, LineError> {
        let way = words.value("the way (`a<>b`)", Way::parse)?;
        let mut knobs = Vec::new();
        for (key, value) in words.take_options() {
            knobs.push(Knob::parse(key, value).map_err(|error| words.error(error))?);
        }
        Ok(Self { way, knobs })
    }

    /// The configuration that comes of `config` by these knobs.
    pub fn apply(&self, config: LinkConfig) -> LinkConfig {
        self.knobs.iter().fold(config, |config, knob| knob.apply(config))
    }
}

impl std::str::FromStr for LinkSpec {
    type Err = LineError;
    fn from_str(line: &str) -> Result<Self, LineError> {
        let mut words = Words::new(line);
        let spec = Self::read(&mut words)?;
        words.end()?;
        Ok(spec)
    }
}

impl fmt::Display for LinkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.way)?;
        self.knobs.iter().try_for_each(|knob| write!(f, " {knob}"))
    }
}
