//! Playing without noise: what panics inside a run is that run's failure, told with its scenario,
//! and not a line of this program in the middle of everything.

use std::cell::Cell;
use std::panic;
use tripline_sim::Instant;
use tripline_sim::play::{self, Failure, Outcome};
use tripline_sim::scenario::{Scenario, Step};

thread_local! {
    /// Whether this thread is playing.
    static PLAYING: Cell<bool> = const { Cell::new(false) };
}

/// From now on panics of threads that play say nothing; all others do as before.
pub(super) fn install() {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !PLAYING.get() {
            loud(info);
        }
    }));
}

/// Plays scenarios, and judges them.
#[derive(Clone, Debug, Default)]
pub(super) struct Judge {
    /// A verb that no step may have: an oracle that is wrong on purpose, to prove that failures are
    /// found, made small and played again. Never set but by tests.
    pub(super) canary: Option<String>,
}

impl Judge {
    /// Plays a scenario.
    pub(super) fn play(&self, scenario: &Scenario) -> Result<Outcome, Failure> {
        let outcome = during(|| play::play(scenario))?;
        self.sing(scenario).map(|()| outcome)
    }

    /// What a command needs behind it to judge alike.
    pub(super) fn words(&self) -> String {
        self.canary.as_ref().map_or_else(String::new, |verb| format!(" --canary {verb}"))
    }

    /// What the canary says of a scenario whose run went well.
    pub(super) fn sing(&self, scenario: &Scenario) -> Result<(), Failure> {
        let Some(verb) = &self.canary else { return Ok(()) };
        let says = |step: &&Step| step.to_string().split(' ').any(|word| word == verb);
        match scenario.steps.iter().find(says) {
            Some(step) => Err(Failure {
                oracle: "canary".to_owned(),
                at: Instant::ZERO + step.at,
                what: format!("there is a step that says `{verb}`"),
            }),
            None => Ok(()),
        }
    }
}

/// Does something that plays.
pub(super) fn during<T>(work: impl FnOnce() -> T) -> T {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            PLAYING.set(false);
        }
    }
    PLAYING.set(true);
    let _loud = Loud;
    work()
}
