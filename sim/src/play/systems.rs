//! Clocks and systems of hosts: as their lines say at the start, and right in the end.

use super::player::Player;
use crate::host::{ClockConfig, SendFaults};
use crate::scenario::{Action, Deed, HostSpec, Pace, Refusal, Scenario, Step};
use tripline_sansio::Duration;

impl Player<'_> {
    /// Sets clocks and systems as the hosts' lines say.
    pub(super) fn set_systems(&mut self) {
        for actor in &self.actors {
            let (pace, refusal) = (actor.spec.pace(), actor.spec.refusal());
            // One that is not touched draws nothing and costs nothing.
            if !pace.is_true() {
                self.world.set_clock(actor.id, pace.config());
            }
            if refusal != Refusal::default() {
                self.world.set_send_faults(actor.id, refusal.faults());
            }
        }
    }

    /// From now on clocks go at the right pace, and everything is sent, at once. What a clock shows
    /// it goes on showing: nobody puts it right.
    pub(super) fn heal_systems(&mut self) {
        let (clocks, refusals) = (clocks_are_true(self.scenario), refusals(self.scenario));
        for actor in &self.actors {
            if !clocks {
                self.world.set_clock(actor.id, ClockConfig::skew(0));
            }
            if refusals {
                self.world.set_send_faults(actor.id, SendFaults::NONE);
            }
            self.world.unblock_sending(actor.id);
        }
    }
}

/// Whether any host's system ever refuses anything.
fn refusals(scenario: &Scenario) -> bool {
    let step = |action: &Action| matches!(action, Action::Host(_, Deed::Refuses(_)));
    scenario.hosts.iter().any(|host| host.refusal() != Refusal::default())
        || scenario.steps.iter().any(|one| step(&one.action))
}

/// All paces that a scenario names.
fn paces(scenario: &Scenario) -> impl Iterator<Item = Pace> + '_ {
    let later = scenario.steps.iter().filter_map(|step| match &step.action {
        Action::Host(_, Deed::Clock(pace)) => Some(*pace),
        _ => None,
    });
    scenario.hosts.iter().map(HostSpec::pace).chain(later)
}

/// Whether all clocks go at the right pace, all the time.
pub(super) fn clocks_are_true(scenario: &Scenario) -> bool {
    paces(scenario).all(Pace::is_true)
}

/// How many times longer than it thinks the slowest host may take, in hundredths.
fn slowness(scenario: &Scenario) -> u32 {
    let slowest = paces(scenario).map(|pace| {
        let wander = i64::from(pace.wander.map_or(0, crate::Chance::as_ppm));
        (1_000_000 + i64::from(pace.skew) - wander).clamp(100_000, 1_000_000)
    });
    let slowest = slowest.min().unwrap_or(1_000_000);
    u32::try_from(100_000_000 / slowest).unwrap_or(100)
}

/// The pace of the fastest clock, in hundredths of the true one, rounded up.
pub(super) fn fastest(scenario: &Scenario) -> u32 {
    let fastest = paces(scenario).map(|pace| {
        let wander = i64::from(pace.wander.map_or(0, crate::Chance::as_ppm));
        (1_000_000 + i64::from(pace.skew) + wander).clamp(1_000_000, 1_900_000)
    });
    let fastest = fastest.max().unwrap_or(1_000_000);
    u32::try_from(fastest.unsigned_abs().div_ceil(10_000)).unwrap_or(100)
}

/// By how much clocks leap ahead, all leaps together.
pub(super) fn leaps(scenario: &Scenario) -> Duration {
    let leap = |step: &Step| match &step.action {
        Action::Host(_, Deed::Jump(time)) => Some(*time),
        _ => None,
    };
    scenario.steps.iter().filter_map(leap).fold(Duration::ZERO, Duration::saturating_add)
}

/// How much longer than `time` by its own clock a host of the scenario may take.
pub(super) fn lateness(scenario: &Scenario, time: Duration) -> Duration {
    time * slowness(scenario).saturating_sub(100) / 100
}
