use super::*;
use crate::Mark;
use std::cell::Cell;

fn scenario(text: &str) -> Scenario {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// Every kind of step on a bad network.
const MIXED: &str = r#"
name = "mixed"
seed = 5
lasts = "30s"
hosts = [
    "server public 10.0.0.1:443 echo=on renew-packets=60",
    "phone client 10.0.1.1:1000 sloppy=5%",
    "desk known 10.0.2.1:1000 congestion=bbr connection-credit=60kB message-max=20kB",
]
links = [
    "phone<>server delay=40ms jitter=20ms order=free loss=5% copies=2% copies-delay=50ms",
    "desk>server delay=5ms rate=2Mbit/s queue=20kB",
]
steps = [
    "0s phone connect server as c",
    "0s desk connect server as d",
    "100ms phone open ask ordered two-way on c",
    "100ms phone open now latest one-way on c priority=7",
    "100ms desk open up bytes one-way on d",
    "100ms desk open any unordered two-way on d",
    "1s phone send ask 3kB times=100 every=50ms",
    "1s phone send now 200 times=300 every=16ms tries=1",
    "1s desk send up 60kB times=40",
    "1s desk send any 500 times=200 every=10ms expires=30ms",
    "1s desk send any 2 times=20",
    "2s phone renew c",
    "3s desk finish up",
    "3s cut phone>server",
    "5s heal phone>server",
    "6s phone move 10.0.7.7:2000",
    "7s server stop any 3",
    "8s phone network-changed",
    "9s server reading 20kB/s",
    "10s server renew d",
    "12s phone close c grace=3s",
    "13s phone connect server as e deadline=5s",
    "13s phone open more ordered two-way on e",
    "13s phone send more 20kB times=10",
    "14s server reading none",
    "15s server crash",
    "16s server restart",
    "17s desk connect server as f",
    "17s server replay 50 over=5s",
    "18s phone garbage 50 over=2s",
    "19s server flood 200 over=2s",
    "20s desk kill f",
]
"#;

#[test]
fn everything_at_once_keeps_its_promises_and_repeats_itself() {
    let scenario = scenario(MIXED);
    let outcome = play(&scenario).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(play(&scenario).as_ref(), Ok(&outcome));
    println!("{outcome:#?}");
    assert!(outcome.deeds.received > 500, "{outcome:?}");
    assert_eq!(outcome.deeds.connections, 4 + 2, "four by steps, and one more for each pair");
}

/// A client that sends for a while, with these settings, to a server with those; and who is wrong.
fn fault_of(client: &str, server: &str, probe: &dyn HeapProbe) -> Result<Outcome, String> {
    let text = format!(
        r#"
name = "settings"
seed = 3
lasts = "5s"
hosts = ["server public 10.0.0.1:443 {server}", "phone client 10.0.1.1:1000 {client}"]
links = ["phone<>server delay=20ms loss=5%"]
steps = [
    "0s phone connect server as c",
    "1s phone open up ordered one-way on c",
    "1s phone send up 900 times=200",
    "1s phone open more bytes two-way on c",
    "2s phone send more 20kB times=5",
    "3s server crash",
    "4s server restart",
]
"#
    );
    play_weighed(&scenario(&text), probe).map_err(|failure| failure.oracle)
}

/// Nobody counts.
fn nothing() -> i64 {
    0
}

/// I9: whoever's window is less than two datagrams is found out, in a whole run.
#[test]
fn i9_a_controller_with_too_small_a_window_is_found() {
    assert!(fault_of("", "", &nothing).is_ok(), "honest");
    assert!(fault_of("window=2", "window=2", &nothing).is_ok(), "the least there may be");
    assert_eq!(fault_of("window=1", "", &nothing), Err("I9".into()));
}

/// T80: what is left on the heap is found, however little.
#[test]
fn t80_a_leak_is_found() {
    let calls = Cell::new(0);
    let leaking = || {
        calls.set(calls.get() + 1);
        calls.get()
    };
    let found = fault_of("", "", &leaking);
    assert_eq!(found, Err("T80".into()), "a byte at each look");
}

/// I13: a machine that keeps what its connections took is found when all is over, and one that
/// holds more than its budget when its host crashes.
#[test]
fn i13_memory_that_is_kept_is_found() {
    // Each weighing asks twice: before a machine is dropped, and after.
    let scales = |weights: &'static [i64]| {
        let asked = Cell::new(0_usize);
        move || {
            // The first is before the run.
            let at = asked.replace(asked.get() + 1);
            let (weighing, is_before) = (at.wrapping_sub(1) / 2, at % 2 == 1);
            if is_before { weights.get(weighing).copied().unwrap_or_default() } else { 0 }
        }
    };
    assert!(fault_of("", "", &scales(&[9_000_000, 60_000])).is_ok(), "without a budget");
    assert_eq!(fault_of("", "", &scales(&[0, 1 << 20])), Err("I13".into()), "kept in the end");
    let budget = "memory=1MB";
    assert!(fault_of("", budget, &scales(&[3_000_000])).is_ok(), "strangers come on top");
    assert_eq!(fault_of("", budget, &scales(&[9_000_000])), Err("I13".into()));
}

/// Budgets, one packet in flight, keys that wear out at once, few answers: all is refused in order,
/// and what was accepted arrives.
#[test]
fn settings_at_their_limits_lose_nothing() {
    for settings in [
        "memory=64kB",
        "memory=300kB window=2",
        "key-packets=4 window=3",
        "quiet=1 answers=20 memory=1MB",
        "quiet=0 key-packets=30",
    ] {
        let played = fault_of(settings, settings, &nothing);
        let outcome = played.unwrap_or_else(|oracle| panic!("{settings}: {oracle}"));
        assert!(outcome.deeds.received > 20, "{settings}: {outcome:?}");
    }
}

/// I6: who repeats packets finds the far edge of the replay window, and a step beyond.
#[test]
fn i6_replays_reach_the_edge_of_the_window() {
    let scenario = crate::scenarios::find("old-numbers").and_then(|text| text.parse().ok());
    let outcome = play(&scenario.expect("it is built in")).expect("it runs clean");
    assert!(outcome.marks.count(Mark::ReplayAtEdge) > 0, "{:?}", outcome.marks);
    assert!(outcome.marks.count(Mark::PacketBeyondWindow) > 0, "{:?}", outcome.marks);
}

/// A run that somebody inside breaks off says when that was, in the world's time.
#[test]
fn a_panic_is_told_with_its_time() {
    struct Breaks;
    impl Watcher for Breaks {
        fn on_step(&mut self, _: Instant, _: &crate::scenario::Step, _: bool) {
            panic!("this is no engine");
        }
    }
    let mut scenario = scenario(crate::scenarios::find("subway").unwrap());
    scenario.steps.retain(|step| step.at > tripline_sansio::Duration::from_millis(1));
    let first = scenario.steps[0].at;
    let failure = play_with(&scenario, &Rc::new(RefCell::new(Breaks))).unwrap_err();
    assert_eq!((&*failure.oracle, &*failure.what), ("panic", "this is no engine"));
    assert_eq!(failure.at, Instant::ZERO + first);
}
