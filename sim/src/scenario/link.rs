//! What a link is like, in words: `phone<>server delay=40ms loss=2% rate=5Mbit/s queue=64kB`.
//!
//! A link line names two hosts and turns knobs; those it does not name stay as they are, and at the
//! start of a scenario as they are in [`LinkConfig::perfect`]. The numbers are kept as they were
//! written, so that one knob can be dropped or made smaller alone.

use super::host::{by_name, name_of};
use super::units::{self, Percent, Rate, Size, Time};
use super::words::{LineError, Words, check_name};
use crate::chance::Chance;
use crate::link::{Aqm, Blackouts, Bursts, CoDel, JitterShape, LinkConfig, Policer, Red};
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
    /// `jitter-shape=pareto`: or `uniform`, or `normal`.
    JitterShape(JitterShape),
    /// `jitter-kept=50%`: how much of a datagram's jitter is that of the one before.
    JitterKept(Chance),
    /// `burst-start=1%`: how often a burst of losses begins. It ends at 25 % and loses all, unless
    /// the line says otherwise.
    BurstStart(Chance),
    /// `burst-end=25%`
    BurstEnd(Chance),
    /// `burst-loss=50%`
    BurstLoss(Chance),
    /// `burst-most=20`: so many losses in a row at most; 0 for no limit.
    BurstMost(u64),
    /// `lose-every=7`: the last of so many is lost; 0 for none.
    LoseEvery(u64),
    /// `flip=1%`: bits are flipped.
    Flip(Chance),
    /// `swap=1%`: bytes change places.
    Swap(Chance),
    /// `splice=1%`: the end is that of the datagram before.
    Splice(Chance),
    /// `truncate=1%`: the end is gone.
    Truncate(Chance),
    /// `extend=1%`: garbage follows.
    Extend(Chance),
    /// `bleach=5%`: congestion marks are taken off.
    Bleach(Chance),
    /// `remark=5%`: congestion marks are put on without congestion.
    Remark(Chance),
    /// `ect-lost=5%`: what may be marked does not arrive.
    EctLost(Chance),
    /// `queue-packets=50`: datagrams that the queue holds.
    QueuePackets(u64),
    /// `aqm=codel` or `aqm=codel-ecn`: with the figures of RFC 8289; `aqm=red` or `aqm=red-ecn`,
    /// between 15 and 45 kB of the average; or `aqm=tail-drop`.
    Aqm(Management),
    /// `police=1Mbit/s`: what comes faster is dropped, but for a burst of 20 kB unless the line
    /// says another.
    Police(u64),
    /// `police-burst=20kB`
    PoliceBurst(u64),
    /// `blackout=200ms`: for so long nothing comes through, again and again: every 5 s unless the
    /// line says another.
    Blackout(Duration),
    /// `blackout-every=10s`
    BlackoutEvery(Duration),
    /// `blackout-first=3s`: when the first begins, counted from the start of the run.
    BlackoutFirst(Duration),
    /// `red-least=20kB`: where RED begins; it drops all above three times as much unless the line
    /// says another. Without `aqm=red` it does nothing.
    RedLeast(u64),
    /// `red-most=60kB`
    RedMost(u64),
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
            "jitter-shape" => Self::JitterShape(by_name(&SHAPES, value)?),
            "jitter-kept" => Self::JitterKept(units::chance(value)?),
            "burst-start" => Self::BurstStart(units::chance(value)?),
            "burst-end" => Self::BurstEnd(units::chance(value)?),
            "burst-loss" => Self::BurstLoss(units::chance(value)?),
            "burst-most" => Self::BurstMost(units::number(value)?),
            "lose-every" => Self::LoseEvery(units::number(value)?),
            "flip" => Self::Flip(units::chance(value)?),
            "swap" => Self::Swap(units::chance(value)?),
            "splice" => Self::Splice(units::chance(value)?),
            "truncate" => Self::Truncate(units::chance(value)?),
            "extend" => Self::Extend(units::chance(value)?),
            "bleach" => Self::Bleach(units::chance(value)?),
            "remark" => Self::Remark(units::chance(value)?),
            "ect-lost" => Self::EctLost(units::chance(value)?),
            "queue-packets" => Self::QueuePackets(units::number(value)?),
            "aqm" => Self::Aqm(by_name(&MANAGEMENTS, value)?),
            "police" => Self::Police(units::rate(value)?),
            "police-burst" => Self::PoliceBurst(units::bytes(value)?),
            "blackout" => Self::Blackout(units::duration(value)?),
            "blackout-every" => Self::BlackoutEvery(units::duration(value)?),
            "blackout-first" => Self::BlackoutFirst(units::duration(value)?),
            "red-least" => Self::RedLeast(units::bytes(value)?),
            "red-most" => Self::RedMost(units::bytes(value)?),
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
            Self::JitterShape(value) => config.jitter_shape = value,
            Self::JitterKept(value) => config.jitter_correlation = value,
            Self::BurstStart(value) => {
                config.bursts = Some(Bursts { to_bad: value, ..bursts(&config) })
            }
            Self::BurstEnd(value) => {
                config.bursts = Some(Bursts { to_good: value, ..bursts(&config) })
            }
            Self::BurstLoss(value) => {
                config.bursts = Some(Bursts { loss_bad: value, ..bursts(&config) });
            }
            Self::BurstMost(value) => {
                config.bursts = Some(Bursts { longest: short(value), ..bursts(&config) });
            }
            Self::LoseEvery(value) => config.lose_every = short(value),
            Self::Flip(value) => config.damage.flip = value,
            Self::Swap(value) => config.damage.swap = value,
            Self::Splice(value) => config.damage.splice = value,
            Self::Truncate(value) => config.damage.truncate = value,
            Self::Extend(value) => config.damage.extend = value,
            Self::Bleach(value) => config.ecn.bleach = value,
            Self::Remark(value) => config.ecn.remark = value,
            Self::EctLost(value) => config.ecn.lose = value,
            Self::QueuePackets(value) => config.queue_packets = size(value),
            Self::Aqm(value) => config.aqm = value.aqm(config.aqm),
            Self::Police(rate) => config.policer = Some(Policer { rate, ..policer(&config) }),
            Self::PoliceBurst(value) => {
                config.policer = Some(Policer { burst: short(value), ..policer(&config) });
            }
            Self::Blackout(_) | Self::BlackoutEvery(_) | Self::BlackoutFirst(_) => {
                config.blackouts = Some(self.blackouts(&config));
            }
            Self::RedLeast(_) | Self::RedMost(_) => config.aqm = self.red(config.aqm),
        }
        config
    }

    /// The black-outs of a link with this knob turned.
    const fn blackouts(self, config: &LinkConfig) -> Blackouts {
        let mut blackouts = blackouts(config);
        match self {
            Self::Blackout(lasting) => blackouts.lasting = lasting,
            Self::BlackoutEvery(every) => blackouts.every = every,
            Self::BlackoutFirst(first) => blackouts.first = first,
            _ => {}
        }
        blackouts
    }

    /// The management of a queue with this knob turned: RED's thresholds, if it is RED.
    const fn red(self, aqm: Aqm) -> Aqm {
        let Aqm::Red(red) = aqm else { return aqm };
        Aqm::Red(match self {
            Self::RedLeast(least) => Red { ecn: red.ecn, ..Red::new(short(least)) },
            Self::RedMost(most) => Red { most: short(most), ..red },
            _ => red,
        })
    }
}

/// How a queue is managed, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Management {
    /// Not at all.
    TailDrop,
    /// By CoDel, which drops.
    CoDel,
    /// By CoDel, which marks those who take marks.
    CoDelEcn,
    /// By RED, which drops.
    Red,
    /// By RED, which marks those who take marks.
    RedEcn,
}

/// Where RED begins unless the line says another, in bytes.
const RED_LEAST: u32 = 15_000;

impl Management {
    /// The management; RED keeps its thresholds.
    const fn aqm(self, before: Aqm) -> Aqm {
        let red = match before {
            Aqm::Red(red) => red,
            _ => Red::new(RED_LEAST),
        };
        match self {
            Self::TailDrop => Aqm::TailDrop,
            Self::CoDel => Aqm::CoDel(CoDel::DEFAULT),
            Self::CoDelEcn => Aqm::CoDel(CoDel { ecn: true, ..CoDel::DEFAULT }),
            Self::Red => Aqm::Red(Red { ecn: false, ..red }),
            Self::RedEcn => Aqm::Red(Red { ecn: true, ..red }),
        }
    }
}

const MANAGEMENTS: [(Management, &str); 5] = [
    (Management::TailDrop, "tail-drop"),
    (Management::CoDel, "codel"),
    (Management::CoDelEcn, "codel-ecn"),
    (Management::Red, "red"),
    (Management::RedEcn, "red-ecn"),
];
const SHAPES: [(JitterShape, &str); 3] = [
    (JitterShape::Uniform, "uniform"),
    (JitterShape::Normal, "normal"),
    (JitterShape::Pareto, "pareto"),
];

/// The bursts of a link, or those of a line that names one of their knobs for the first time: they
/// never begin.
const fn bursts(config: &LinkConfig) -> Bursts {
    match config.bursts {
        Some(bursts) => bursts,
        None => Bursts::new(Chance::NEVER, Chance::percent(25), Chance::ALWAYS),
    }
}

/// The same for black-outs: they last no time.
const fn blackouts(config: &LinkConfig) -> Blackouts {
    match config.blackouts {
        Some(blackouts) => blackouts,
        None => Blackouts::new(Duration::from_secs(5), Duration::ZERO),
    }
}

/// The same for the policer: it lets everything pass.
const fn policer(config: &LinkConfig) -> Policer {
    match config.policer {
        Some(policer) => policer,
        None => Policer { rate: u64::MAX / 8, burst: 20_000 },
    }
}

/// A number as it is counted in 32 bits, or the largest of them.
const fn short(number: u64) -> u32 {
    if number > u32::MAX as u64 { u32::MAX } else { number as u32 }
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
            Self::JitterShape(value) => write!(f, "jitter-shape={}", name_of(&SHAPES, value)),
            Self::JitterKept(value) => write!(f, "jitter-kept={}", Percent(value)),
            Self::BurstStart(value) => write!(f, "burst-start={}", Percent(value)),
            Self::BurstEnd(value) => write!(f, "burst-end={}", Percent(value)),
            Self::BurstLoss(value) => write!(f, "burst-loss={}", Percent(value)),
            Self::BurstMost(value) => write!(f, "burst-most={value}"),
            Self::LoseEvery(value) => write!(f, "lose-every={value}"),
            Self::Flip(value) => write!(f, "flip={}", Percent(value)),
            Self::Swap(value) => write!(f, "swap={}", Percent(value)),
            Self::Splice(value) => write!(f, "splice={}", Percent(value)),
            Self::Truncate(value) => write!(f, "truncate={}", Percent(value)),
            Self::Extend(value) => write!(f, "extend={}", Percent(value)),
            Self::Bleach(value) => write!(f, "bleach={}", Percent(value)),
            Self::Remark(value) => write!(f, "remark={}", Percent(value)),
            Self::EctLost(value) => write!(f, "ect-lost={}", Percent(value)),
            Self::QueuePackets(value) => write!(f, "queue-packets={value}"),
            Self::Aqm(value) => write!(f, "aqm={}", name_of(&MANAGEMENTS, value)),
            Self::Police(value) => write!(f, "police={}", Rate(value)),
            Self::PoliceBurst(value) => write!(f, "police-burst={}", Size(value)),
            Self::Blackout(value) => write!(f, "blackout={}", Time(value)),
            Self::BlackoutEvery(value) => write!(f, "blackout-every={}", Time(value)),
            Self::BlackoutFirst(value) => write!(f, "blackout-first={}", Time(value)),
            Self::RedLeast(value) => write!(f, "red-least={}", Size(value)),
            Self::RedMost(value) => write!(f, "red-most={}", Size(value)),
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
