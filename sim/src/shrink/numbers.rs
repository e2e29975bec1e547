//! Making numbers smaller: times, sizes, counts, chances, and how long it all lasts.

use super::Shrinker;
use crate::chance::Chance;
use crate::play::{Failure, Outcome};
use crate::scenario::{Action, Deed, Knob, NatDeed, NatKnob, Reading, Scenario, Setting};
use tripline::Reliability;
use tripline_sansio::Duration;

/// How often one number is halved towards what still fails.
const HALVINGS: u32 = 8;

/// A number of a scenario, as a whole number of its finest unit.
enum Number<'a> {
    Time(&'a mut Duration),
    Count(&'a mut u64),
    Small(&'a mut u8),
    Port(&'a mut u16),
    Skew(&'a mut i32),
    Chance(&'a mut Chance),
}

impl Number<'_> {
    fn get(&self) -> u64 {
        match self {
            Self::Time(time) => u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            Self::Count(count) => **count,
            Self::Small(small) => u64::from(**small),
            Self::Port(port) => u64::from(**port),
            Self::Skew(skew) => u64::from(skew.unsigned_abs()),
            Self::Chance(chance) => u64::from(chance.as_ppm()),
        }
    }

    fn set(&mut self, number: u64) {
        match self {
            Self::Time(time) => **time = Duration::from_nanos(number),
            Self::Count(count) => **count = number,
            Self::Skew(skew) => {
                let size = i32::try_from(number).unwrap_or(i32::MAX);
                **skew = if **skew < 0 { -size } else { size };
            }
            Self::Port(port) => **port = u16::try_from(number).unwrap_or(u16::MAX),
            Self::Small(small) => **small = u8::try_from(number).unwrap_or(u8::MAX),
            Self::Chance(chance) => {
                **chance = Chance::ppm(u32::try_from(number).unwrap_or(u32::MAX));
            }
        }
    }
}

impl<P: FnMut(&Scenario) -> Result<Outcome, Failure>> Shrinker<P> {
    /// All numbers, one after the other.
    pub(super) fn shrink_numbers(&mut self) {
        for at in 0..count(&mut self.best.clone()) {
            self.shrink_number(|scenario, number| set(scenario, at, number));
        }
        for at in 0..self.best.steps.len() {
            self.shrink_number(|scenario, number| gap(scenario, at, number));
        }
    }

    /// One number: nothing at all if that fails too, else about the smallest that does. `set`
    /// writes it, if it is told one, and says what it was.
    fn shrink_number(&mut self, set: impl Fn(&mut Scenario, Option<u64>) -> Option<u64>) {
        let Some(mut good) = set(&mut self.best.clone(), None) else { return };
        let attempt = |this: &mut Self, number: u64| {
            this.attempt_with(|scenario| {
                set(scenario, Some(number));
            })
        };
        if good == 0 || attempt(self, 0) || good == 1 || attempt(self, 1) {
            return;
        }
        // Between what is too small and what fails.
        let mut small = 1_u64;
        for _ in 0..HALVINGS {
            let middle = readable(small, good);
            if middle <= small || middle >= good {
                return;
            }
            if attempt(self, middle) {
                good = middle;
            } else {
                small = middle;
            }
        }
    }
}

/// A number between two, in the middle of their lengths rather than of their values, with one digit
/// that is not zero if there is such a one.
fn readable(small: u64, large: u64) -> u64 {
    let middle = if large / small.max(1) > 4 {
        small.max(1).saturating_mul((large / small.max(1)).isqrt())
    } else {
        small + (large - small) / 2
    };
    let unit = 10_u64.pow(middle.checked_ilog10().unwrap_or(0));
    let round = middle / unit * unit;
    if round > small { round } else { middle }
}

/// How many numbers a scenario has, its steps' times aside.
fn count(scenario: &mut Scenario) -> usize {
    let mut count = 0;
    visit(scenario, &mut |_| count += 1);
    count
}

/// Number `at` of a scenario: reads it, and writes it if a new value is given.
fn set(scenario: &mut Scenario, at: usize, new: Option<u64>) -> Option<u64> {
    let (mut place, mut old) = (0, None);
    visit(scenario, &mut |mut number| {
        if place == at {
            old = Some(number.get());
            new.into_iter().for_each(|new| number.set(new));
        }
        place += 1;
    });
    old
}

/// The time between step `at` and the one before; a new one moves all behind it.
fn gap(scenario: &mut Scenario, at: usize, new: Option<u64>) -> Option<u64> {
    let before = at.checked_sub(1).and_then(|before| scenario.steps.get(before));
    let before = before.map_or(Duration::ZERO, |step| step.at);
    let old = scenario.steps.get(at)?.at.saturating_sub(before);
    if let Some(new) = new {
        let less = old.saturating_sub(Duration::from_nanos(new));
        scenario.steps.iter_mut().skip(at).for_each(|step| step.at = step.at.saturating_sub(less));
    }
    u64::try_from(old.as_nanos()).ok()
}

/// Shows every number but the steps' times, always in the same order.
fn visit(scenario: &mut Scenario, see: &mut dyn FnMut(Number<'_>)) {
    see(Number::Time(&mut scenario.lasts));
    for host in &mut scenario.hosts {
        host.settings.iter_mut().for_each(|setting| in_setting(setting, see));
    }
    for nat in &mut scenario.nats {
        nat.knobs.iter_mut().for_each(|knob| in_nat(knob, see));
    }
    for link in &mut scenario.links {
        link.knobs.iter_mut().for_each(|knob| in_knob(knob, see));
    }
    for step in &mut scenario.steps {
        if let Some(repeat) = &mut step.repeat {
            see(Number::Count(&mut repeat.times));
            see(Number::Time(&mut repeat.each));
        }
        match &mut step.action {
            Action::Link(link) => link.knobs.iter_mut().for_each(|knob| in_knob(knob, see)),
            Action::Host(_, deed) => in_deed(deed, see),
            Action::Nat(_, NatDeed::Turn(knobs)) => {
                knobs.iter_mut().for_each(|knob| in_nat(knob, see));
            }
            Action::Nat(..) | Action::Cut(_) | Action::Heal(_) => {}
        }
    }
}

fn in_setting(setting: &mut Setting, see: &mut dyn FnMut(Number<'_>)) {
    match setting {
        Setting::Idle(time)
        | Setting::KeepAlive(time)
        | Setting::AckDelay(time)
        | Setting::RenewAfter(time)
        | Setting::WanderEvery(time) => see(Number::Time(time)),
        Setting::MessageMax(count)
        | Setting::StreamCredit(count)
        | Setting::ConnectionCredit(count)
        | Setting::CreditMax(count)
        | Setting::TwoWay(count)
        | Setting::OneWay(count)
        | Setting::SendBuffer(count)
        | Setting::Datagram(count)
        | Setting::Ceiling(count)
        | Setting::RenewPackets(count)
        | Setting::Segments(count)
        | Setting::Connections(count)
        | Setting::Memory(count)
        | Setting::Window(count)
        | Setting::KeyPackets(count)
        | Setting::Quiet(count)
        | Setting::Answers(count)
        | Setting::RetryAbove(count)
        | Setting::RefuseLonger(count) => see(Number::Count(count)),
        Setting::Sloppy(chance) | Setting::Wander(chance) | Setting::RefuseMemory(chance) => {
            see(Number::Chance(chance));
        }
        Setting::Skew(skew) => see(Number::Skew(skew)),
        Setting::Profile(_)
        | Setting::Congestion(_)
        | Setting::Ecn(_)
        | Setting::Probe(_)
        | Setting::Aes(_)
        | Setting::Asks(_)
        | Setting::Front(_)
        | Setting::Echo(_)
        | Setting::Lies(_) => {}
    }
}

fn in_nat(knob: &mut NatKnob, see: &mut dyn FnMut(Number<'_>)) {
    match knob {
        NatKnob::Timeout(time) => see(Number::Time(time)),
        NatKnob::FirstPort(port) | NatKnob::Ports(port) => see(Number::Port(port)),
        NatKnob::Mapping(_)
        | NatKnob::Filtering(_)
        | NatKnob::RefreshInbound(_)
        | NatKnob::Choice(_)
        | NatKnob::Hairpin(_) => {}
    }
}

fn in_knob(knob: &mut Knob, see: &mut dyn FnMut(Number<'_>)) {
    match knob {
        Knob::Delay(time)
        | Knob::Jitter(time)
        | Knob::CopiesDelay(time)
        | Knob::ReorderDelay(time)
        | Knob::Blackout(time)
        | Knob::BlackoutEvery(time)
        | Knob::BlackoutFirst(time) => see(Number::Time(time)),
        Knob::Loss(chance)
        | Knob::Copies(chance)
        | Knob::Reorder(chance)
        | Knob::JitterKept(chance)
        | Knob::BurstStart(chance)
        | Knob::BurstEnd(chance)
        | Knob::BurstLoss(chance)
        | Knob::Flip(chance)
        | Knob::Swap(chance)
        | Knob::Splice(chance)
        | Knob::Truncate(chance)
        | Knob::Extend(chance)
        | Knob::Bleach(chance)
        | Knob::Remark(chance)
        | Knob::EctLost(chance) => see(Number::Chance(chance)),
        Knob::CopiesMost(most) => see(Number::Small(most)),
        Knob::Rate(count)
        | Knob::Queue(count)
        | Knob::MarkAbove(count)
        | Knob::Mtu(count)
        | Knob::BurstMost(count)
        | Knob::LoseEvery(count)
        | Knob::QueuePackets(count)
        | Knob::Police(count)
        | Knob::PoliceBurst(count)
        | Knob::RedLeast(count)
        | Knob::RedMost(count) => see(Number::Count(count)),
        Knob::FreeOrder(_) | Knob::JitterShape(_) | Knob::Aqm(_) => {}
    }
}

fn in_deed(deed: &mut Deed, see: &mut dyn FnMut(Number<'_>)) {
    match deed {
        Deed::Connect { deadline: time, .. } => {
            time.iter_mut().for_each(|time| see(Number::Time(time)));
        }
        Deed::Open { priority, .. } => priority.iter_mut().for_each(|one| see(Number::Small(one))),
        Deed::Send { bytes, times, every, reliability, expires, .. } => {
            see(Number::Count(times));
            see(Number::Count(bytes));
            if let Reliability::Transmissions(tries) = reliability {
                see(Number::Small(tries));
            }
            every.iter_mut().chain(expires).for_each(|time| see(Number::Time(time)));
        }
        Deed::CloseStream(_, count) | Deed::Stop(_, count) | Deed::Read(_, count) => {
            see(Number::Count(count));
        }
        Deed::Priority(_, priority) => see(Number::Small(priority)),
        Deed::Reading(Reading::Rate(rate)) => see(Number::Count(rate)),
        Deed::Close(_, time) | Deed::ShutDown(time) => see(Number::Time(time)),
        Deed::Pause(time) | Deed::Jump(time) | Deed::Block(time) => see(Number::Time(time)),
        Deed::Replay(count, over) | Deed::Garbage(count, over) | Deed::Flood(count, over) => {
            see(Number::Count(count));
            see(Number::Time(over));
        }
        Deed::Finish(_)
        | Deed::Reading(_)
        | Deed::Renew(_)
        | Deed::Refer(..)
        | Deed::Kill(_)
        | Deed::NetworkChanged
        | Deed::Move(_)
        | Deed::Crash
        | Deed::Restart => {}
        Deed::Clock(pace) => {
            see(Number::Skew(&mut pace.skew));
            pace.wander.iter_mut().for_each(|wander| see(Number::Chance(wander)));
            pace.every.iter_mut().for_each(|every| see(Number::Time(every)));
        }
        Deed::Refuses(refusal) => {
            refusal.longer.iter_mut().for_each(|longer| see(Number::Count(longer)));
            refusal.memory.iter_mut().for_each(|memory| see(Number::Chance(memory)));
        }
    }
}
