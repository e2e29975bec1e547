//! Streaming replies.

use super::talk::{CALLEE, CALLER, Talk};
use crate::{AnswerError, CallOptions, Config, Event, Outcome};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

fn items(talk: &mut Talk) -> Vec<Bytes> {
    let item = |event| match event {
        Event::Item { payload, .. } => payload,
        other => panic!("{other:?}"),
    };
    talk.events(CALLER).into_iter().map(item).collect()
}

/// Items come in order and before the answer that ends them.
#[test]
fn n02_a_reply_may_come_in_parts() {
    let mut talk = Talk::new();
    let call = talk.call(CALLER, b"list", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    for item in ["one", "two", ""] {
        talk.peers[CALLEE].item(talk.now, request, item).unwrap();
    }
    talk.reply(CALLEE, request, b"that was all");
    talk.run();
    let mut events = talk.events(CALLER);
    let outcome = Outcome::Reply("that was all".into());
    assert_eq!(events.pop(), Some(Event::Outcome { call, outcome }));
    let expected = ["one", "two", ""].map(|item| Event::Item { call, payload: item.into() });
    assert_eq!(events, expected);
    talk.assert_idle();
}

/// R-CALL-7: the window bounds what is on its way; as items are taken there is room for more.
#[test]
fn q5_items_on_their_way_are_bounded() {
    let caller = Config { item_window: 1_000, ..Config::default() };
    let mut talk = Talk::with(caller, Config::default());
    talk.call(CALLER, b"list", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    let mut sent = 0;
    let send = |talk: &mut Talk| talk.peers[CALLEE].item(talk.now, request, &[1; 92]);
    while send(&mut talk).is_ok() {
        sent += 1;
    }
    assert_eq!((sent, send(&mut talk)), (10, Err(AnswerError::Blocked)));
    assert_eq!(talk.events(CALLEE), [], "nothing has arrived");
    talk.run();
    assert_eq!(items(&mut talk).len(), 10);
    assert_eq!(talk.events(CALLEE), [Event::Thirsty { request }]);
    assert!(send(&mut talk).is_ok());
    let huge = talk.peers[CALLEE].item(talk.now, request, &[1; 1_000]);
    assert_eq!(huge, Err(AnswerError::TooLarge { max: 492 }));
    talk.reply(CALLEE, request, b"");
    talk.run();
    assert_eq!(talk.events(CALLER).len(), 2);
    talk.assert_idle();
}

/// With a manual window, items count when the user says so.
#[test]
fn q5_a_manual_window_waits_for_the_user() {
    let caller = Config { item_window: 1_000, ..Config::default() };
    let mut talk = Talk::with(caller, Config::default());
    let options = CallOptions { manual_window: true, ..CallOptions::default() };
    let call = talk.call(CALLER, b"list", options);
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    while talk.peers[CALLEE].item(talk.now, request, &[1; 92]).is_ok() {}
    talk.run();
    assert_eq!(items(&mut talk).len(), 10);
    talk.run();
    assert_eq!(talk.events(CALLEE), []);
    (0..6).for_each(|_| talk.peers[CALLER].consumed(call, 92));
    talk.run();
    assert_eq!(talk.events(CALLEE), [Event::Thirsty { request }]);
}

/// Items for a call that is gone are dropped, and counted.
#[test]
fn items_for_a_cancelled_call_reach_nobody() {
    let mut talk = Talk::new();
    let call = talk.call(CALLER, b"list", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    talk.peers[CALLEE].item(talk.now, request, b"late").unwrap();
    talk.peers[CALLER].cancel(talk.now, call);
    talk.events(CALLER);
    talk.run();
    assert_eq!(talk.events(CALLER), []);
    assert_eq!(talk.peers[CALLER].stats().stray, 1);
    talk.events(CALLEE);
    talk.assert_idle();
}

/// R-CALL-7, found in review: the largest item always finds its window again, however the ones
/// before it were.
#[test]
fn q5_the_largest_item_is_never_stuck() {
    let mut talk = Talk::new();
    talk.call(CALLER, b"list", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    let now = talk.now;
    let huge = vec![1; 300_000];
    let Err(AnswerError::TooLarge { max }) = talk.peers[CALLEE].item(now, request, &huge) else {
        panic!()
    };
    for len in [2_000, max, max, 1, max] {
        if talk.peers[CALLEE].item(now, request, &huge[..len]) == Err(AnswerError::Blocked) {
            talk.run();
            assert_eq!(talk.events(CALLEE), [Event::Thirsty { request }]);
            talk.peers[CALLEE].item(now, request, &huge[..len]).unwrap();
        }
        talk.run();
    }
    assert_eq!(items(&mut talk).len(), 5);
}

/// Found in review: who waits for room in our own buffer is told of it as of the caller's window.
#[test]
fn an_item_that_waits_for_our_own_room_is_told_when_there_is_some() {
    let callee = Config { send_buffer: 1_000, ..Config::default() };
    let mut talk = Talk::with(Config::default(), callee);
    talk.call(CALLER, b"list", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    let now = talk.now;
    while talk.peers[CALLEE].item(now, request, &[1; 500]).is_ok() {}
    talk.run();
    assert!(talk.events(CALLEE).contains(&Event::Thirsty { request }));
}

/// R-CALL-3, found in review: on a lane without order an answer cannot overtake its items, as they
/// go by the ordered one.
#[test]
fn q1_items_of_an_unordered_call_come_before_its_answer() {
    let mut talk = Talk::with_lanes();
    let options = CallOptions { lane: crate::Lane::unordered(1), ..CallOptions::default() };
    talk.call(CALLER, b"list", options);
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    talk.peers[CALLEE].item(talk.now, request, b"part").unwrap();
    talk.reply(CALLEE, request, b"end");
    talk.post();
    assert!(talk.wires[CALLER].iter().all(|(lane, _)| *lane == crate::Lane::ordered(1)));
}
