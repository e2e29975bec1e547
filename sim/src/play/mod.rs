//! Plays scenarios.
//!
//! In goes a [`Scenario`], out comes what it came to ([`Outcome`]) or
//! what was wrong ([`Failure`]). A [`Watcher`] may look on: for traces, pictures and captures.
//!
//! A run has two phases. In the first everything happens that the scenario says, for as long as it
//! says. Then all is healed, and what was promised has to come true within bounds of virtual time.
//! What was promised is known to a model of every stream that is told of the calls alone; no engine
//! is asked.
//!
//! ```
//! use tripline_sim::{play, scenario::Scenario};
//! let scenario: Scenario = r#"
//! name = "hello"
//! seed = 1
//! lasts = "5s"
//! hosts = ["server public 10.0.0.1:443 echo=on", "phone client 10.0.1.1:1000"]
//! links = ["phone<>server delay=40ms loss=10%"]
//! steps = [
//!     "0s phone connect server as c",
//!     "0s phone open ask ordered two-way on c",
//!     "1s phone send ask 200 times=20 every=100ms",
//! ]
//! "#.parse().unwrap();
//! let outcome = play::play(&scenario).unwrap();
//! assert_eq!(outcome.deeds.received, 20 + 20 + 1); // asked, answered, and one more in the end
//! assert_eq!(play::play(&scenario).unwrap(), outcome);
//! ```

mod app;
mod attack;
mod audit;
mod caller;
mod calm;
mod content;
mod deeds;
mod fault;
mod half;
mod heap;
mod hearing;
mod narrow;
mod nats;
#[cfg(test)]
mod oracles;
mod outcome;
mod pact;
mod player;
mod referring;
mod spill;
mod stage;
#[cfg(test)]
mod system_tests;
mod systems;
#[cfg(test)]
mod tests;
mod watcher;

pub use heap::{HeapProbe, KEPT_EACH, KEPT_MAX};
pub use outcome::{Deeds, Failure, Outcome};
pub use watcher::{End, Watcher};

use crate::scenario::Scenario;
use player::{Onlooker, Player};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use tripline_sansio::Instant;

/// Plays a scenario.
///
/// # Errors
/// [`Failure`] if anything was wrong; whatever panics inside is caught and is one too.
pub fn play(scenario: &Scenario) -> Result<Outcome, Failure> {
    caught(scenario, None, None)
}

/// The same, and weighs: what the run has made on the heap is gone when it is over (`T80`), what
/// connections took is given back (`I13`).
///
/// # Errors
/// As [`play`].
pub fn play_weighed(scenario: &Scenario, probe: &dyn HeapProbe) -> Result<Outcome, Failure> {
    content::prepare();
    let before = probe.held();
    let outcome = caught(scenario, None, Some(probe))?;
    let left = probe.held() - before;
    if left != 0 {
        let what = format!("{left} bytes are left on the heap");
        return Err(Failure { oracle: "T80".into(), at: Instant::ZERO + outcome.simulated, what });
    }
    Ok(outcome)
}

/// The same while somebody looks on.
///
/// # Errors
/// As [`play`].
pub fn play_with<W: Watcher + 'static>(
    scenario: &Scenario,
    watcher: &Rc<RefCell<W>>,
) -> Result<Outcome, Failure> {
    let onlooker: Onlooker = watcher.clone();
    caught(scenario, Some(onlooker), None)
}

fn caught(
    scenario: &Scenario,
    onlooker: Option<Onlooker>,
    probe: Option<&dyn HeapProbe>,
) -> Result<Outcome, Failure> {
    let unrolled = scenario.unrolled();
    let mut player = None;
    let run = || player.insert(Player::new(&unrolled, onlooker, probe)).play();
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let at = player.map_or(Instant::ZERO, |player| player.now());
        let what = panic.downcast_ref::<String>().cloned();
        let what = what.or_else(|| panic.downcast_ref::<&str>().map(|what| (*what).to_owned()));
        let what = what.unwrap_or_else(|| "something panicked without a word".into());
        let contract = what.starts_with("run-loop contract broken");
        let oracle = if contract { "contract" } else { "panic" };
        Err(Failure { oracle: oracle.into(), at, what })
    })
}
