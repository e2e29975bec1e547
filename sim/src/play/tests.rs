use super::*;

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
