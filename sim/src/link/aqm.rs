//! Queue management: who is dropped, or marked, although the queue still has room.
//!
//! In goes what a datagram meets (when it comes, when its turn on the line would come, how much
//! waits before it), out comes a verdict. The state is plain numbers; nothing here knows of lines
//! or datagrams.

use super::lazy::Lazy;
use crate::chance::Chance;
use tripline_sansio::{Duration, Instant, Seed};

/// How a queue is managed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Aqm {
    /// Not at all: it takes what there is room for.
    #[default]
    TailDrop,
    /// By how long datagrams wait.
    CoDel(CoDel),
    /// By how long the queue is on average.
    Red(Red),
}

/// CoDel (RFC 8289): once datagrams have waited longer than the target for a whole interval, one
/// is dropped, and then others at a quickening pace until they wait less.
///
/// The judgement is made when a datagram comes, for the time at which its turn would come: in a
/// queue of one order and one rate nothing that happens in between can change that. Two things
/// differ from a queue of real datagrams: a dropped one frees its room at once and not at its turn,
/// and the exception for a queue of hardly one datagram looks at what was there before it, as what
/// comes behind it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoDel {
    /// How long datagrams may wait, as a rule.
    pub target: Duration,
    /// How long they may wait longer: about the longest round trip.
    pub interval: Duration,
    /// Those whose sender takes marks are marked in place of being dropped.
    pub ecn: bool,
}

impl CoDel {
    /// The figures of the RFC: 5 ms and 100 ms; it drops.
    pub const DEFAULT: Self =
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100), ecn: false };
}

/// Random early detection (Floyd and Jacobson 1993): between two thresholds of the average length
/// datagrams are dropped at a chance that grows, above the second all are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Red {
    /// Below this average, in bytes, nothing is dropped.
    pub least: u32,
    /// Above this average, in bytes, everything is.
    pub most: u32,
    /// The chance just below the second threshold.
    pub chance: Chance,
    /// A datagram's part in the average is 1 ÷ 2 to this; at most 16.
    pub weight_shift: u8,
    /// Between the thresholds, those whose sender takes marks are marked in place of being dropped.
    pub ecn: bool,
}

impl Red {
    /// Between `least` and three times as many bytes up to a tenth is dropped, the average being
    /// over some five hundred datagrams.
    pub const fn new(least: u32) -> Self {
        let most = least.saturating_mul(3);
        Self { least, most, chance: Chance::percent(10), weight_shift: 9, ecn: false }
    }
}

/// What a datagram meets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    /// When it comes.
    pub(super) now: Instant,
    /// When its turn on the line comes.
    pub(super) turn: Instant,
    /// How many bytes wait before it.
    pub(super) backlog: u64,
    /// Bytes per second of the line.
    pub(super) rate: u64,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Pass,
    /// It is to be slowed down: by a drop, or by a mark if its sender takes marks and `mark`.
    Signal {
        mark: bool,
    },
}

/// A queue of hardly more than this is left alone by CoDel: one datagram, in bytes.
const CODEL_MAX_PACKET: u64 = 1_514;
/// A pause of so many intervals makes CoDel forget how hard it had to drop.
const CODEL_MEMORY: u32 = 16;

/// What CoDel remembers, by the names of the RFC.
#[derive(Clone, Debug, Default)]
pub(super) struct CoDelState {
    first_above_time: Option<Instant>,
    dropping: bool,
    drop_next: Instant,
    count: u32,
    last_count: u32,
    /// A drop whose successor has not been looked at, which decides when the next one is due.
    just_dropped: bool,
}

impl CoDelState {
    /// Judges a datagram that may be marked or not.
    pub(super) fn judge(&mut self, config: &CoDel, meeting: &Meeting, markable: bool) -> Judgement {
        let at = meeting.turn;
        let may_drop = self.may_drop(config, meeting);
        let marks = config.ecn && markable;
        if self.dropping {
            if !may_drop {
                self.dropping = false;
                return Judgement::Pass;
            }
            if std::mem::take(&mut self.just_dropped) {
                self.drop_next = next_drop(self.drop_next, config.interval, self.count);
            }
            if at < self.drop_next {
                return Judgement::Pass;
            }
            self.count = self.count.saturating_add(1);
            if marks {
                self.drop_next = next_drop(self.drop_next, config.interval, self.count);
            } else {
                self.just_dropped = true;
            }
            return Judgement::Signal { mark: config.ecn };
        }
        if !may_drop {
            return Judgement::Pass;
        }
        self.dropping = true;
        self.just_dropped = false;
        let more = self.count.saturating_sub(self.last_count);
        let is_recent = at - self.drop_next < config.interval.saturating_mul(CODEL_MEMORY);
        self.count = if more > 1 && is_recent { more } else { 1 };
        self.drop_next = next_drop(at, config.interval, self.count);
        self.last_count = self.count;
        Judgement::Signal { mark: config.ecn }
    }

    /// Whether datagrams have waited too long for an interval.
    fn may_drop(&mut self, config: &CoDel, meeting: &Meeting) -> bool {
        let Meeting { now, turn, backlog, .. } = *meeting;
        if turn - now < config.target || backlog <= CODEL_MAX_PACKET {
            self.first_above_time = None;
            return false;
        }
        turn >= *self.first_above_time.get_or_insert(turn + config.interval)
    }
}

/// The control law: drops come closer together by the square root of their number.
fn next_drop(after: Instant, interval: Duration, count: u32) -> Instant {
    let nanos = u128::from(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
    let step = (nanos * nanos / u128::from(count.max(1))).isqrt();
    after + Duration::from_nanos(u64::try_from(step).unwrap_or(u64::MAX))
}

/// How finely RED's average is kept: 2^16 parts of a byte.
const RED_PARTS: u32 = 16;
/// While the line is idle, the average sinks as if datagrams of so many bytes came to an empty
/// queue.
const RED_PACKET: u128 = 1_000;
/// One, for chances.
const WHOLE: u64 = 1_000_000;
/// One, for the average's decay.
const UNIT: u128 = 1 << 32;

/// What RED remembers.
#[derive(Clone, Debug)]
pub(super) struct RedState {
    random: Lazy,
    /// The average in parts of a byte.
    average: u64,
    /// When the line became, or becomes, idle.
    idle_from: Instant,
    /// Datagrams since the last drop, while the average is between the thresholds.
    since: u64,
}

impl RedState {
    pub(super) const fn new() -> Self {
        Self { random: Lazy::new("red"), average: 0, idle_from: Instant::ZERO, since: 0 }
    }

    /// Judges a datagram.
    pub(super) fn judge(&mut self, seed: &Seed, config: &Red, meeting: &Meeting) -> Judgement {
        let drawn = self.random.get(seed).below(WHOLE);
        self.follow(config, meeting);
        let average = self.average >> RED_PARTS;
        let [least, most] = [config.least, config.most.max(config.least)].map(u64::from);
        if average < least {
            self.since = 0;
            return Judgement::Pass;
        }
        if average >= most {
            self.since = 0;
            return Judgement::Signal { mark: false };
        }
        // Between the thresholds, so they differ. Drops are spread evenly: the chance grows with
        // the number of datagrams since the last.
        let base = u64::from(config.chance.as_ppm()) * (average - least) / (most - least);
        let spent = base.saturating_mul(self.since);
        let is_due = spent >= WHOLE || drawn * (WHOLE - spent) < base * WHOLE;
        self.since = if is_due { 0 } else { self.since + 1 };
        if is_due { Judgement::Signal { mark: config.ecn } } else { Judgement::Pass }
    }

    /// Notes that the line is busy until `until`.
    pub(super) const fn busy(&mut self, until: Instant) {
        self.idle_from = until;
    }

    /// Moves the average on.
    fn follow(&mut self, config: &Red, meeting: &Meeting) {
        let shift = u32::from(config.weight_shift.min(16));
        if meeting.backlog > 0 {
            let length = meeting.backlog.min(u64::from(u32::MAX)) << RED_PARTS;
            self.average = self.average - (self.average >> shift) + (length >> shift);
            return;
        }
        let idle = (meeting.now - self.idle_from).as_nanos();
        let packets = idle * u128::from(meeting.rate) / 1_000_000_000 / RED_PACKET;
        let kept = power(UNIT - (UNIT >> shift), u64::try_from(packets).unwrap_or(u64::MAX));
        let average = u128::from(self.average) * kept / UNIT;
        self.average = u64::try_from(average).unwrap_or(u64::MAX);
    }
}

/// `base` to the power of `exponent`, both `base` and the answer in parts of [`UNIT`], at most one.
fn power(mut base: u128, mut exponent: u64) -> u128 {
    let mut product = UNIT;
    while exponent > 0 {
        if exponent & 1 == 1 {
            product = product * base / UNIT;
        }
        base = base * base / UNIT;
        exponent >>= 1;
    }
    product
}
