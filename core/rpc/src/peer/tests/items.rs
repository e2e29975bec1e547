//! Streaming replies.

use super::talk::{CALLEE, CALLER, Talk};
use crate::{AnswerError, CallOptions, Config, Event, Outcome};
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
    assert_eq!(huge, Err(AnswerError::TooLarge { max: 992 }));
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
