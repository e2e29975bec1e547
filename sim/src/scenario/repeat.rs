//! Steps that happen again and again: `repeat=1000 each=7ms` at the end of a step's line.
//!
//! In names of such a step `#` stands for the number of the time, from 0, so that a thousand
//! streams are three lines:
//!
//! ```text
//! 0s phone open r# ordered two-way on c repeat=1000 each=7ms
//! 0s phone send r# 180 repeat=1000 each=7ms
//! 0s phone finish r# repeat=1000 each=7ms
//! ```
//!
//! In a step that happens once, `#` is 0. What happens at one time happens in the order of the
//! lines. A scenario is kept, printed and made smaller as it was written; only who plays it, plays
//! it [unrolled](Scenario::unrolled).

use super::step::{Action, Deed, Step};
use super::units::{self, Time};
use super::words::{LineError, Words};
use super::{LinkSpec, Scenario};
use std::borrow::Cow;
use std::fmt;
use tripline_sansio::Duration;

/// What stands for the number.
pub(super) const NUMBER: char = '#';
/// The most steps of a scenario, repetitions counted.
pub(super) const STEPS_MAX: u64 = 200_000;

/// How often a step happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    /// `repeat=1000`: how often in all; once at least.
    pub times: u64,
    /// `each=7ms`: how much later each time is than the one before.
    pub each: Duration,
}

impl Repeat {
    pub(super) fn read(words: &mut Words<'_>) -> Result<Option<Self>, LineError> {
        let times = words.option("repeat", units::number)?;
        let each = words.option("each", units::duration)?;
        match (times, each) {
            (None, Some(_)) => {
                Err(words.error("each: how often it happens is missing (`repeat=`)"))
            }
            (None, None) => Ok(None),
            (Some(times), each) => Ok(Some(Self { times, each: each.unwrap_or_default() })),
        }
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " repeat={}", self.times)?;
        if self.each.is_zero() { Ok(()) } else { write!(f, " each={}", Time(self.each)) }
    }
}

impl Step {
    /// How often it happens.
    pub fn times(&self) -> u64 {
        self.repeat.map_or(1, |repeat| repeat.times)
    }

    /// The step as it happens for the `number`-th time, from 0.
    fn numbered(&self, number: u64) -> Self {
        let mut action = self.action.clone();
        let digits = number.to_string();
        for name in names(&mut action).into_iter().filter(|name| name.contains(NUMBER)) {
            *name = name.replace(NUMBER, &digits);
        }
        let nanos = self.repeat.map_or(0, |repeat| repeat.each.as_nanos());
        let later = nanos.saturating_mul(number.into());
        let later = Duration::from_nanos(u64::try_from(later).unwrap_or(u64::MAX));
        Self { at: self.at.saturating_add(later), action, repeat: None }
    }

    /// Whether it is not what it says.
    fn rolls(&self) -> bool {
        self.repeat.is_some() || names(&mut self.action.clone()).iter().any(|n| n.contains(NUMBER))
    }
}

impl Scenario {
    /// The same with each step as often as it happens, up to the end of the first phase, every
    /// number written out.
    ///
    /// ```
    /// use tripline_sim::scenario::Scenario;
    /// let scenario: Scenario = r#"
    /// name = "twice"
    /// seed = 1
    /// lasts = "5s"
    /// hosts = ["server public 10.0.0.1:443", "phone client 10.0.1.1:1000"]
    /// steps = ["1s phone connect server as c# repeat=2 each=500ms", "1200ms phone kill c0"]
    /// "#.parse().unwrap();
    /// let lines: Vec<_> = scenario.unrolled().steps.iter().map(|step| step.to_string()).collect();
    /// let all = ["1s phone connect server as c0", "1200ms phone kill c0",
    ///     "1500ms phone connect server as c1"];
    /// assert_eq!(lines, all);
    /// ```
    pub fn unrolled(&self) -> Cow<'_, Self> {
        if !self.steps.iter().any(Step::rolls) {
            return Cow::Borrowed(self);
        }
        let mut steps = Vec::new();
        for step in &self.steps {
            let all = (0..step.times()).map(|number| step.numbered(number));
            steps.extend(all.take_while(|next| next.at <= self.lasts.max(step.at)));
        }
        steps.sort_by_key(|step: &Step| step.at);
        Cow::Owned(Self { steps, ..self.clone() })
    }

    /// How many steps there are, repetitions counted.
    pub(super) fn steps_in_all(&self) -> u64 {
        self.steps.iter().fold(0, |sum, step| sum.saturating_add(step.times()))
    }
}

/// All names in an action.
fn names(action: &mut Action) -> Vec<&mut String> {
    match action {
        Action::Host(host, deed) => {
            let mut all = vec![host];
            all.extend(deed_names(deed));
            all
        }
        Action::Link(LinkSpec { way, .. }) | Action::Cut(way) | Action::Heal(way) => {
            vec![&mut way.from, &mut way.to]
        }
        Action::Nat(name, _) => vec![name],
    }
}

fn deed_names(deed: &mut Deed) -> Vec<&mut String> {
    match deed {
        Deed::Connect { to, name, .. } => vec![to, name],
        Deed::Open { stream, on, .. } => vec![stream, on],
        Deed::Refer(name, to) => vec![name, to],
        Deed::Send { stream: name, .. }
        | Deed::Finish(name)
        | Deed::CloseStream(name, _)
        | Deed::Stop(name, _)
        | Deed::Priority(name, _)
        | Deed::Read(name, _)
        | Deed::Renew(name)
        | Deed::Close(name, _)
        | Deed::Kill(name) => vec![name],
        Deed::Reading(_)
        | Deed::NetworkChanged
        | Deed::ShutDown(_)
        | Deed::Move(_)
        | Deed::Crash
        | Deed::Restart
        | Deed::Pause(_)
        | Deed::Jump(_)
        | Deed::Clock(_)
        | Deed::Refuses(_)
        | Deed::Block(_)
        | Deed::Replay(..)
        | Deed::Garbage(..)
        | Deed::Flood(..) => Vec::new(),
    }
}
