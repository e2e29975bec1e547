//! What NATs, clocks, systems, black-outs, queues and repetitions do in a run, seen in its counts.

use super::*;
use crate::trace::Totals;

/// A phone that says something each second for ten, is silent for twenty, and says it again; in
/// between the server says something. `nats` and `phone` end their lines.
fn call(nats: &str, phone: &str, link: &str, steps: &str) -> Outcome {
    let text = format!(
        r#"
name = "call"
seed = 3
lasts = "60s"
nats = [{nats}]
hosts = [
    "server public 198.51.100.7:443 idle=2min",
    "phone client 192.168.1.5:1000 idle=2min {phone}",
]
links = ["phone<>server delay=20ms {link}"]
steps = [
    "0s phone connect server as c",
    "0s phone open s ordered two-way on c",
    "1s phone send s 300 times=10 every=1s",
    {steps}
    "30s server send s 200",
    "40s phone send s 300 times=10 every=1s",
]
"#
    );
    let scenario: Scenario = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
    let outcome = play(&scenario).unwrap_or_else(|failure| panic!("{failure}\n{text}"));
    assert_eq!(play(&scenario).as_ref(), Ok(&outcome), "the same again");
    // What was promised came, and one more message on the new connection in the end.
    assert_eq!((outcome.deeds.passed_over, outcome.deeds.received), (0, 22), "{text}");
    outcome
}

fn totals(nats: &str, phone: &str, link: &str, steps: &str) -> Totals {
    call(nats, phone, link, steps).totals
}

/// The first packet from inside opens a NAT that has forgotten; keep-alive keeps it open.
#[test]
fn a_nat_forgets_in_silence_and_what_is_sent_opens_it_again() {
    let router = "\"router 203.0.113.9 home timeout=12s\"";
    let behind = "behind=router";
    let open = totals("", "", "", "");
    assert_eq!((open.nat_unbound, open.nat_filtered), (0, 0));
    let silent = totals(router, behind, "", "");
    assert!(silent.nat_unbound > 0, "{silent:?}");
    let kept = totals(router, "behind=router keep-alive=5s", "", "");
    assert_eq!(kept.nat_unbound, 0, "{kept:?}");
    // A knob turned on the way counts from then on.
    let turned = totals(router, behind, "", "\"11s nat router timeout=10min\",");
    assert_eq!(turned.nat_unbound, 0, "{turned:?}");
}

#[test]
fn nats_that_forget_or_move_break_no_promise_behind_each_other() {
    let nats = "\"inner 100.64.0.2 symmetric behind=outer\", \"outer 203.0.113.9 home\"";
    for step in ["reboot-nat inner", "reboot-nat outer", "readdress-nat outer 203.0.113.10"] {
        let steps = format!("\"5s {step}\", \"29s {step}\",");
        // The second time it has the address already.
        let steps = steps.replace("\"29s readdress-nat outer 203.0.113.10\",", "");
        let counted = totals(nats, "behind=inner", "", &steps);
        let quiet = totals(nats, "behind=inner", "", "");
        let lost = |totals: Totals| totals.nat_unbound + totals.no_route;
        assert_eq!(lost(quiet), 0);
        assert!(lost(counted) > 0, "{step}: {counted:?}");
    }
}

#[test]
fn a_nat_without_ports_lets_nobody_out_until_all_is_healed() {
    let steps = "\"13s nat router ports=0\", \"13s reboot-nat router\",";
    let counted = totals("\"router 203.0.113.9 open\"", "behind=router", "", steps);
    assert!(counted.nat_full > 0, "{counted:?}");
}

/// Keep-alive is by the phone's clock, so a fast one sends more and a slow one less.
#[test]
fn clocks_go_at_their_pace() {
    let sent = |words: &str, steps: &str| totals("", words, "", steps).offered;
    let right = sent("keep-alive=1s", "");
    let (fast, slow) = (sent("keep-alive=1s skew=90%", ""), sent("keep-alive=1s skew=-90%", ""));
    assert!(fast > right + 15 && slow + 15 < right, "{slow} {right} {fast}");
    let later = sent("keep-alive=1s", "\"11s phone clock skew=90%\", \"29s phone clock\",");
    assert!(right + 5 < later && later < fast, "{right} {later} {fast}");
    let odd = sent("keep-alive=1s wander=50% wander-every=700ms", "");
    assert_ne!(odd, right);
}

#[test]
fn systems_refuse_what_they_are_said_to() {
    let memory = totals("", "refuse-memory=30%", "", "");
    assert!(memory.no_buffers > 3, "{memory:?}");
    let longer = totals("", "refuse-longer=1250 ceiling=1452", "", "");
    assert!(longer.send_too_big > 0 && longer.no_buffers == 0, "{longer:?}");
    let none = totals("", "", "", "\"3s phone refuses all=on\", \"5s phone refuses\",");
    assert!(none.unreachable > 0, "{none:?}");
}

#[test]
fn black_outs_come_again_and_again() {
    let dark = totals("", "", "blackout=900ms blackout-every=2s blackout-first=1500ms", "");
    assert!(dark.blackout > 5, "{dark:?}");
    assert_eq!(totals("", "", "blackout-every=2s", "").blackout, 0);
}

#[test]
fn red_drops_early_where_a_tail_drop_queue_waits() {
    let load = "\"11s phone open b bytes one-way on c\", \"11s phone send b 100kB times=8\",";
    let play = |words: &str| {
        let text = format!(
            "name = \"red\"\nseed = 1\nlasts = \"30s\"\n\
             hosts = [\"server public 10.0.0.1:443\", \"phone client 10.0.1.1:1000\"]\n\
             links = [\"phone<>server delay=20ms rate=1Mbit/s queue=200kB {words}\"]\n\
             steps = [\"0s phone connect server as c\", {load}]\n"
        );
        play(&text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"))).unwrap().totals
    };
    assert_eq!(play("").queue_early, 0);
    assert!(play("aqm=red red-least=4kB red-most=8kB").queue_early > 0);
}

/// Three lines, a thousand streams: each with its own number.
#[test]
fn repeated_steps_are_played_each_time() {
    let text = r#"
name = "many"
seed = 1
lasts = "10s"
hosts = ["server public 10.0.0.1:443 echo=on", "phone client 10.0.1.1:1000"]
steps = [
    "0s phone connect server as c",
    "100ms phone open r# ordered two-way on c repeat=300 each=7ms",
    "100ms phone send r# 180 repeat=300 each=7ms",
    "100ms phone finish r# repeat=300 each=7ms",
]
"#;
    let outcome = play(&text.parse().unwrap()).unwrap();
    assert_eq!((outcome.deeds.steps, outcome.deeds.streams), (901, 300 + 1));
    assert_eq!(outcome.deeds.received, 600 + 1, "asked, answered, and one more in the end");
}
