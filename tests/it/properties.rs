//! Whatever users do, whatever the network does: random scripts over random links, judged by a
//! model of what was promised.

use proptest::prelude::*;
use tripline_sim::script;

/// How many scripts are played.
const CASES: u32 = 1_000;

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(11),
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    }
}

/// A setting, and up to `most` operations; any bytes are a script.
fn any_script(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let setting = any::<[u8; script::Setting::LEN]>();
    let operations = prop::collection::vec(any::<[u8; 4]>(), 0..most);
    (setting, operations).prop_map(|(setting, operations)| {
        let mut script = setting.to_vec();
        script.extend(operations.into_iter().flatten());
        script
    })
}

proptest! {
    #![proptest_config(config())]

    /// T28 to T32, T44, M01 to M05: every reliable message arrives once, whole, in its order,
    /// whatever the schedule; every message has one fate, every event its place; and then it is
    /// quiet.
    #[test]
    fn promises_are_kept_whatever_happens(script in any_script(200)) {
        script::run(&script);
    }
}
