//! The models can fail: each is shown one breach of its promise, and what is just kept.

use super::content;
use super::fault::Verdict;
use super::half::Half;
use super::pact::{Pact, Surroundings};
use std::net::SocketAddr;
use tripline::{
    By, Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Fate, LostCause, Order,
    ReceiveResult, SendOptions,
};
use tripline_sansio::{Duration, Instant, Seed};

/// What was found, if anything.
fn oracle(verdict: Verdict) -> Option<&'static str> {
    verdict.err().map(|fault| fault.oracle)
}

const LEN: usize = 40;

/// A half on which three messages were handed in, and that can be read.
fn half(order: Order) -> Half {
    let mut half = Half::new(order, 7);
    for _ in 0..3 {
        half.on_call(LEN as u64);
        assert_eq!(oracle(half.on_sent(LEN, SendOptions::default(), true)), None);
    }
    half.readable = true;
    half
}

fn message(number: u32) -> Vec<u8> {
    content::message(7, number, LEN)
}

#[test]
fn i11_what_is_delivered_keeps_to_its_order() {
    let mut ordered = half(Order::Ordered);
    assert_eq!(oracle(ordered.on_data(&message(0))), None);
    assert_eq!(oracle(ordered.on_data(&message(2))), Some("I11"), "1 is left out");
    let mut any = half(Order::Unordered);
    assert_eq!(oracle(any.on_data(&message(2))), None);
    assert_eq!(oracle(any.on_data(&message(0))), None);
    assert_eq!(oracle(any.on_data(&message(2))), Some("I11"), "a second time");
    let mut latest = half(Order::Latest);
    assert_eq!(oracle(latest.on_data(&message(2))), None, "none but the newest counts");
    assert_eq!(oracle(latest.on_data(&message(1))), Some("I11"), "an older one");
}

#[test]
fn i11_an_end_comes_behind_everything() {
    let mut own = half(Order::Ordered);
    assert_eq!(oracle(own.on_end(ReceiveResult::Finished, false)), Some("I11"), "nobody made it");
    let mut own = half(Order::Ordered);
    own.finished = true;
    assert_eq!(oracle(own.on_data(&message(0))), None);
    assert_eq!(oracle(own.on_end(ReceiveResult::Finished, false)), Some("I11"), "two are missing");
    let mut bytes = half(Order::Bytes);
    bytes.finished = true;
    assert_eq!(oracle(bytes.on_data(&content::run(7, 0, 3 * LEN))), None);
    assert_eq!(oracle(bytes.on_end(ReceiveResult::Finished, false)), None, "all is there");
}

#[test]
fn i12_messages_arrive_whole_and_unchanged() {
    let mut wrong = message(0);
    wrong[LEN - 1] ^= 1;
    assert_eq!(oracle(half(Order::Ordered).on_data(&wrong)), Some("I12"), "another byte");
    assert_eq!(oracle(half(Order::Ordered).on_data(&message(0)[..LEN - 1])), Some("I12"), "short");
    assert_eq!(oracle(half(Order::Ordered).on_data(&message(3))), Some("I12"), "never sent");
    let more = content::run(7, 0, 3 * LEN + 1);
    assert_eq!(oracle(half(Order::Bytes).on_data(&more)), Some("I12"), "more than was sent");
    assert_eq!(oracle(half(Order::Bytes).on_data(&content::run(7, 1, 9))), Some("I12"));
}

/// Row T30.
#[test]
fn t30_a_message_has_one_fate_that_fits() {
    let mut own = half(Order::Ordered);
    assert_eq!(oracle(own.on_fate(0, Fate::Acked)), None);
    assert_eq!(oracle(own.on_fate(0, Fate::Acked)), Some("T30"), "a second one");
    assert_eq!(oracle(own.on_fate(1, Fate::Expired)), Some("T30"), "it does not expire");
    assert_eq!(oracle(own.on_fate(9, Fate::Acked)), Some("I11"), "never handed in");
}

/// A half owes what was promised on it, until that has come.
#[test]
fn l2_what_is_owed_is_named() {
    let mut own = half(Order::Ordered);
    own.readable = false;
    assert_eq!(own.owed(true), Some("messages without a fate"));
    assert_eq!(own.owed(false), None, "nobody heard of it yet");
    for number in 0..3 {
        assert_eq!(oracle(own.on_fate(number, Fate::Acked)), None);
    }
    assert_eq!(own.owed(true), Some("reliable messages that have not come"));
}

/// What somebody keeps between sender and reader, and when nobody can say (I13).
#[test]
fn i13_what_is_kept_is_known() {
    let mut own = half(Order::Bytes);
    assert_eq!(own.kept(), Some(3 * LEN as u64));
    assert_eq!(oracle(own.on_data(&content::run(7, 0, LEN))), None);
    assert_eq!((own.kept(), own.longest()), (Some(2 * LEN as u64), LEN as u64));
    own.stop = Some(Code::NONE);
    assert_eq!(own.kept(), None, "it was thrown away");
    assert_eq!(half(Order::Latest).kept(), None);
}

/// A connection of which both ends are there, and what the network knows.
fn pact() -> (Pact, Surroundings) {
    let began = (Instant::ZERO, Duration::from_secs(10));
    let mut pact = Pact::new("c", [0, 1], began, Some(Duration::from_secs(30)));
    for end in &mut pact.ends {
        end.phase = super::pact::Phase::Connected;
    }
    let now = Instant::ZERO + Duration::from_secs(100);
    (pact, Surroundings { now, silence: [Some(Duration::from_secs(1)); 2] })
}

/// A handle: which one does not matter.
fn handle() -> ConnectionHandle {
    let mut endpoint = Endpoint::new(Config::client(), &Seed::from_number(1), Instant::ZERO);
    let to = SocketAddr::from(([10, 0, 0, 1], 1));
    endpoint.connect(Instant::ZERO, to.into(), ConnectOptions::default()).expect("begins")
}

/// An event of a connection.
fn told(event: impl FnOnce(ConnectionHandle) -> Event) -> (Option<&'static str>, Pact) {
    let (mut pact, around) = pact();
    let event = event(handle());
    (oracle(pact.on_event(0, &event, around)), pact)
}

#[test]
fn i21_connections_end_for_a_reason() {
    let closed = |connection| Event::Closed {
        connection,
        by: By::Peer,
        code: Code::PROTOCOL,
        reason: String::new(),
    };
    assert_eq!(told(closed).0, Some("I21"), "nobody closed it");
    let idle = |connection| Event::Lost { connection, cause: LostCause::Idle };
    assert_eq!(told(idle).0, Some("I21"), "a second of silence");
    let (mut pact, mut around) = pact();
    around.silence = [Some(Duration::from_secs(30)); 2];
    let event = idle(handle());
    assert_eq!(oracle(pact.on_event(0, &event, around)), None, "half a minute");
    let after = pact.on_event(0, &event, around);
    assert_eq!(oracle(after), Some("M03"), "after its end");
}
