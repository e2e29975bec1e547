//! What commands have in common that write down a run: which one, and what it came to.

use super::{quiet, source};
use crate::fail::{Fail, Result, print};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use tripline_sim::play::{self, Failure, Outcome, Watcher};
use tripline_sim::scenario::Scenario;
use tripline_sim::swarm;

/// Which run.
#[derive(Debug, clap::Args)]
pub(super) struct Subject {
    /// A seed, whose scenario is drawn; a file; or the name of a built-in scenario.
    #[arg(value_name = "SEED|FILE|NAME")]
    scenario: String,
    /// Play a file or built-in scenario with another seed than its own.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Subject {
    /// The scenario, and the command that plays it again.
    pub(super) fn load(&self) -> Result<(Scenario, String)> {
        let name = Path::new(&self.scenario);
        if let (Ok(seed), false) = (self.scenario.parse(), name.exists()) {
            if self.seed.is_some() {
                return Err(Fail::usage("--seed is for files and built-in scenarios"));
            }
            return Ok((swarm::draw(seed), format!("tripline sim seed {seed}")));
        }
        let mut scenario = source::load(&self.scenario)?;
        let mut replay = format!("tripline sim play {}", source::quoted(name));
        if let Some(seed) = self.seed {
            scenario.seed = seed;
            replay.push_str(&format!(" --seed {seed}"));
        }
        Ok((scenario, replay))
    }
}

/// Plays while `watcher` looks on.
pub(super) fn play<W: Watcher + 'static>(
    scenario: &Scenario,
    watcher: &Rc<RefCell<W>>,
) -> std::result::Result<Outcome, Failure> {
    quiet::during(|| play::play_with(scenario, watcher))
}

/// Says where the run was written to, and fails if it failed.
pub(super) fn tell(
    file: &Path,
    name: &str,
    result: std::result::Result<Outcome, Failure>,
    json: bool,
) -> Result {
    let file = file.display().to_string();
    if json {
        print(serde_json::json!({"event": "written", "scenario": name, "file": file}))?;
    } else {
        print(format_args!("{name} is in {file}"))?;
    }
    result.map(drop).map_err(|failure| Fail::local(format_args!("{name} fails: {failure}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(scenario: &str, seed: Option<u64>) -> Result<(Scenario, String)> {
        Subject { scenario: scenario.into(), seed }.load()
    }

    #[test]
    fn a_run_is_a_seed_or_a_name() {
        let (drawn, replay) = load("7", None).expect("drawn");
        assert_eq!((drawn, replay.as_str()), (swarm::draw(7), "tripline sim seed 7"));
        let (built_in, replay) = load("subway", Some(9)).expect("built in");
        assert_eq!((built_in.name.as_str(), built_in.seed), ("subway", 9));
        assert_eq!(replay, "tripline sim play subway --seed 9");
        assert!(load("7", Some(9)).is_err());
        assert!(load("no-such-scenario", None).is_err());
    }
}
