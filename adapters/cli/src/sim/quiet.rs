//! Playing without noise: what panics inside a run is that run's failure, told with its scenario,
//! and not a line of this program in the middle of everything.

use std::cell::Cell;
use std::panic;
use tripline_sim::play::{self, Failure, Outcome};
use tripline_sim::scenario::Scenario;

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

/// Plays a scenario.
pub(super) fn play(scenario: &Scenario) -> Result<Outcome, Failure> {
    during(|| play::play(scenario))
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
