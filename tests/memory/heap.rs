//! Whole runs of the simulator, weighed: the built-in scenarios and some that the swarm draws.
//!
//! `TRIPLINE_HEAP_SEEDS=2000 cargo test --release -p tripline-tests --test memory` weighs as many
//! as the swarm of the checks plays; without the variable there are a few. One after the other, as
//! the allocator counts for all threads together.

use super::ALLOCATOR;
use tripline_sim::play::{self, Failure};
use tripline_sim::scenario::Scenario;
use tripline_sim::{scenarios, swarm};

/// How many drawn scenarios are weighed if nobody asks for more.
const SEEDS: u64 = 40;
/// Built-in scenarios that take seconds in a debug build.
const LONG: [&str; 2] = ["iot-day", "thousand-streams"];
/// What was found to keep too much once.
const FOUND: &str = include_str!("../regressions/burst-of-fates.toml");

/// How many drawn scenarios to weigh.
fn seeds() -> u64 {
    let Some(wanted) = std::env::var_os("TRIPLINE_HEAP_SEEDS") else { return SEEDS };
    let number = wanted.to_str().and_then(|text| text.parse().ok());
    number.unwrap_or_else(|| panic!("TRIPLINE_HEAP_SEEDS={wanted:?} is no number of seeds"))
}

/// What is on the heap now.
fn held() -> i64 {
    let stats = ALLOCATOR.stats();
    let given = i64::try_from(stats.bytes_allocated).expect("bytes");
    given - i64::try_from(stats.bytes_deallocated).expect("bytes")
}

fn weigh(scenario: &Scenario) -> Result<(), Failure> {
    play::play_weighed(scenario, &held).map(|_| ())
}

/// T80, I13: whatever was played, machines are back at what they began with when their last
/// connection is gone, those with a budget kept to it, and nothing of a run is left behind.
pub(crate) fn t80_every_run_gives_all_memory_back() {
    let named = scenarios::ALL.iter().filter(|(name, _)| !LONG.contains(name));
    let named = named.map(|(name, text)| text.parse().unwrap_or_else(|_| panic!("{name}")));
    let drawn = (0..seeds()).map(swarm::draw);
    let mut count = 0;
    let found = std::iter::once(FOUND.parse().expect("a scenario"));
    for scenario in named.chain(found).chain(drawn) {
        if let Err(failure) = weigh(&scenario) {
            panic!("{}: {failure}", scenario.name);
        }
        count += 1;
    }
    assert!(count >= scenarios::ALL.len(), "{count} runs");
    println!("{count} runs left nothing on the heap");
    // A run that leaves something is told from one that does not.
    let leaks = || {
        std::hint::black_box(Box::leak(Box::new(0_u8)));
        held()
    };
    let quiet = scenarios::find("subway").and_then(|text| text.parse().ok()).expect("a scenario");
    let found = play::play_weighed(&quiet, &leaks).expect_err("it leaks");
    assert_eq!(found.oracle, "T80", "{found}");
}
