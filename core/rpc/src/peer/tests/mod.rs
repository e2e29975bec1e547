//! One side and the other over a pipe of memory: every outcome, every limit, every way to break.

mod breaks;
mod hostile;
mod items;
mod random;
mod talk;

use crate::{
    Abandoned, AnswerError, AskError, Buffer, CallOptions, Config, Event, Executed, Lane, Method,
    NotifyOptions, Outcome, Refusal, Wait,
};
use alloc::vec;
use bytes::Bytes;
use talk::{CALLEE, CALLER, Talk};
use tripline_sansio::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// N02, M04, M11: a call has one answer, which finds who asked; a second one is an error.
#[test]
fn n02_m11_a_call_is_answered_once() {
    let mut talk = Talk::new();
    let calls = [1, 2, 3].map(|n| talk.call(CALLER, &[n], CallOptions::default()));
    talk.run();
    let requests: vec::Vec<_> = talk
        .events(CALLEE)
        .into_iter()
        .map(|event| match event {
            Event::Request { request, method: Method::Number(1), payload, deadline } => {
                assert_eq!(deadline, Some(talk.now + 10 * SECOND));
                (request, payload)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    // M07: answered in any order.
    for (request, payload) in requests.iter().rev() {
        talk.reply(CALLEE, *request, &[payload[0] * 10]);
        let twice = talk.peers[CALLEE].reply(talk.now, *request, b"again");
        assert_eq!(twice, Err(AnswerError::Unknown));
    }
    talk.run();
    let expected = [(2, 30), (1, 20), (0, 10)].map(|(n, answer): (usize, u8)| Event::Outcome {
        call: calls[n],
        outcome: Outcome::Reply(Bytes::from(vec![answer])),
    });
    assert_eq!(talk.events(CALLER), expected);
    assert_eq!(talk.peers[CALLEE].stats().unwanted_answers, 3);
    talk.assert_idle();
}

/// M08, N40, N03: the other side asks, notifies and fails just as well.
#[test]
fn m08_n03_both_sides_can_do_everything() {
    let mut talk = Talk::new();
    for (from, to) in [(CALLEE, CALLER), (CALLER, CALLEE)] {
        let now = talk.now;
        let call = talk.peers[from].call(now, "shop.buy", b"sword", CallOptions::default());
        talk.peers[from].notify(now, "hello", b"you", NotifyOptions::default()).unwrap();
        talk.run();
        let events = talk.events(to);
        let [
            Event::Request { request, method, .. },
            Event::Notification { method: about, payload },
        ] = &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!(
            (method, about),
            (&Method::Name("shop.buy".into()), &Method::Name("hello".into()))
        );
        assert_eq!(payload, "you");
        talk.peers[to].fail(now, *request, -3, "no gold").unwrap();
        talk.run();
        let detail = Bytes::from("no gold");
        let expected = (call.unwrap(), Outcome::Failed { code: -3, detail });
        assert_eq!(talk.outcome(from), expected);
    }
    talk.assert_idle();
}

/// N05: a name without a handler is refused, and surely not executed.
#[test]
fn n05_a_method_that_nobody_has_is_refused() {
    let mut talk = Talk::new();
    let call = talk.call(CALLER, b"?", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    let detail = Bytes::from("try another");
    talk.peers[CALLEE].refuse(talk.now, request, Refusal::NoMethod, "try another").unwrap();
    talk.run();
    let (ended, outcome) = talk.outcome(CALLER);
    assert_eq!((ended, outcome.executed()), (call, Executed::No));
    assert_eq!(outcome, Outcome::Refused { refusal: Refusal::NoMethod, detail });
    talk.assert_idle();
}

/// R-CALL-3, Q1, M12, M16: the answer to a call that was called off reaches nobody, and its number
/// is used again only when that answer has come.
#[test]
fn q1_m12_a_late_answer_reaches_nobody() {
    let mut talk = Talk::new();
    let first = talk.call(CALLER, b"first", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    // The answer and the cancel cross.
    talk.reply(CALLEE, request, b"answer to the first");
    assert!(talk.peers[CALLER].cancel(talk.now, first));
    assert!(!talk.peers[CALLER].cancel(talk.now, first), "it is gone");
    let second = talk.call(CALLER, b"second", CallOptions::default());
    talk.run();
    let executed = Executed::Unknown;
    let cancelled = Event::Outcome { call: first, outcome: Outcome::Cancelled { executed } };
    assert_eq!(talk.events(CALLER), [cancelled]);
    assert_eq!(talk.peers[CALLER].stats().late_answers, 1);
    let (request, _, payload) = talk.request(CALLEE);
    assert_eq!(payload, "second");
    assert_eq!(talk.peers[CALLEE].stats().stray, 1, "the cancel found nothing");
    talk.reply(CALLEE, request, b"answer to the second");
    talk.run();
    assert_eq!(talk.outcome(CALLER), (second, Outcome::Reply("answer to the second".into())));
    talk.assert_idle();
}

/// The handler hears that its caller is gone, and its answer is refused.
#[test]
fn a_cancelled_request_is_told_to_its_handler() {
    let mut talk = Talk::new();
    let call = talk.call(CALLER, b"x", CallOptions::default());
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    talk.peers[CALLER].cancel(talk.now, call);
    talk.run();
    let abandoned = Event::Abandoned { request, why: Abandoned::Cancelled };
    assert_eq!(talk.events(CALLEE), [abandoned]);
    assert!(!talk.peers[CALLEE].is_waiting(request));
    let late = talk.peers[CALLEE].reply(talk.now, request, b"late");
    assert_eq!(late, Err(AnswerError::Unknown));
    talk.events(CALLER);
    talk.assert_idle();
}

/// R-CALL-4, Q4, N02: the deadline travels with the call, both sides keep it, and nothing is left.
#[test]
fn q4_n02_a_deadline_ends_both_sides() {
    let mut talk = Talk::new();
    let own = CallOptions::within(Duration::from_millis(250));
    let call = talk.call(CALLER, b"x", own);
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    let deadline = talk.now + Duration::from_millis(250);
    assert_eq!(talk.peers[CALLEE].request_deadline(request), Some(deadline));
    talk.pass(SECOND);
    let executed = Executed::Unknown;
    assert_eq!(talk.outcome(CALLER), (call, Outcome::Deadline { executed }));
    let abandoned = Event::Abandoned { request, why: Abandoned::Deadline };
    assert_eq!(talk.events(CALLEE), [abandoned]);
    talk.assert_idle();

    // A call that says so waits for ever.
    let patient = CallOptions { deadline: Wait::Forever, ..CallOptions::default() };
    talk.call(CALLER, b"x", patient);
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    assert_eq!(talk.peers[CALLEE].request_deadline(request), None);
    talk.pass(1_000_000 * SECOND);
    assert_eq!(talk.events(CALLER), []);
}

/// Q4: a call without time is not even sent.
#[test]
fn q4_a_call_without_time_is_not_sent() {
    let mut talk = Talk::new();
    talk.carried = Default::default();
    let call = talk.call(CALLER, b"x", CallOptions::within(Duration::ZERO));
    talk.run();
    assert_eq!(talk.carried[CALLEE], (0, 0));
    let executed = Executed::No;
    assert_eq!(talk.outcome(CALLER), (call, Outcome::Deadline { executed }));
    talk.assert_idle();
}

/// Q4: what is late when it arrives is answered, and not told.
#[test]
fn q4_a_call_without_time_left_is_not_executed() {
    let mut talk = Talk::new();
    let now = talk.now;
    let late = Bytes::from_static(b"\x41\x00\x01\x00late");
    talk.peers[CALLEE].handle_message(now, Lane::DEFAULT, &late);
    assert_eq!((talk.events(CALLEE), talk.peers[CALLEE].stats().refused), (vec![], 1));
    talk.post();
    assert_eq!(talk.wires[CALLER].pop_front().unwrap().1, b"\x0d\x00\x05"[..]);
}

/// Q5, N37: more than the peer takes wait for their turn, at most as many as we allow.
#[test]
fn q5_calls_beyond_the_limits_wait_and_then_are_refused() {
    let callee = Config { calls_max: 2, ..Config::default() };
    let caller = Config { asked_max: 3, ..Config::default() };
    let mut talk = Talk::with(caller, callee);
    let calls = [1, 2, 3].map(|n| talk.call(CALLER, &[n], CallOptions::default()));
    let fourth = talk.peers[CALLER].call(talk.now, 1, b"x", CallOptions::default());
    assert_eq!(fourth, Err(AskError::TooMany { limit: 3 }));
    talk.run();
    let events = talk.events(CALLEE);
    assert_eq!(events.len(), 2, "the third waits for a number");
    let Event::Request { request, .. } = events[0] else { panic!() };
    talk.reply(CALLEE, request, b"");
    talk.run();
    assert_eq!(talk.outcome(CALLER).0, calls[0]);
    let (_, _, payload) = talk.request(CALLEE);
    assert_eq!(payload, [3][..]);
}

/// R-CALL-5: before the peer has said how many it takes, too many may come. They are refused.
#[test]
fn q5_calls_before_the_limit_is_known_are_refused_politely() {
    let callee = Config { calls_max: 2, ..Config::default() };
    let mut talk = Talk::apart(Config::default(), callee);
    talk.attach();
    for n in 0..5 {
        talk.call(CALLER, &[n], CallOptions::default());
    }
    talk.run();
    let asked = talk.events(CALLEE);
    assert_eq!(asked.len(), 3, "ready, and two requests: {asked:?}");
    let busy = Refusal::Busy;
    let refused = |event: &&Event| {
        matches!(event, Event::Outcome { outcome: Outcome::Refused { refusal, .. }, .. }
            if *refusal == busy)
    };
    assert_eq!(talk.events(CALLER).iter().filter(refused).count(), 3);
    assert_eq!(busy.executed(), Executed::No);
}

/// N36: what is in flight is finished, what comes after is refused, and the time is bounded.
#[test]
fn n36_who_goes_away_finishes_what_is_in_flight() {
    let mut talk = Talk::new();
    let calls = [1, 2].map(|n| talk.call(CALLER, &[n], CallOptions::default()));
    talk.run();
    let requests: vec::Vec<_> = talk
        .events(CALLEE)
        .iter()
        .map(|event| match event {
            Event::Request { request, .. } => *request,
            other => panic!("{other:?}"),
        })
        .collect();
    // This one crosses the goodbye.
    talk.peers[CALLEE].go_away(talk.now, SECOND);
    let crossing = talk.call(CALLER, &[3], CallOptions::default());
    talk.run();
    let detail = Bytes::new();
    let refusal = Refusal::GoingAway;
    let expected = [
        Event::GoingAway { grace: SECOND },
        Event::Outcome { call: crossing, outcome: Outcome::Refused { refusal, detail } },
    ];
    assert_eq!(talk.events(CALLER), expected);
    // A later one is kept for the next pipe.
    let later = talk.call(CALLER, &[4], CallOptions::default());
    talk.reply(CALLEE, requests[0], b"done");
    talk.run();
    assert_eq!(talk.outcome(CALLER), (calls[0], Outcome::Reply("done".into())));
    assert_eq!(talk.events(CALLEE), [], "one is still in flight");
    talk.pass(SECOND);
    let why = Abandoned::GoingAway;
    let abandoned = Event::Abandoned { request: requests[1], why };
    assert_eq!(talk.events(CALLEE), [abandoned, Event::Idle]);
    let (ended, outcome) = talk.outcome(CALLER);
    assert_eq!((ended, outcome.executed()), (calls[1], Executed::Unknown));
    assert!(talk.peers[CALLER].cancel(talk.now, later));
}

/// With nothing in flight it is over at once.
#[test]
fn n36_who_has_nothing_in_flight_is_idle_at_once() {
    let mut talk = Talk::new();
    talk.peers[CALLEE].go_away(talk.now, SECOND);
    talk.run();
    assert_eq!(talk.events(CALLEE), [Event::Idle]);
    assert_eq!(talk.events(CALLER), [Event::GoingAway { grace: SECOND }]);
}

/// Names have bounds, and payloads those that the peer has said.
#[test]
fn what_cannot_be_sent_is_refused_at_once() {
    let callee = Config { frame_max: 10_000, ..Config::default() };
    let mut talk = Talk::with(Config::default(), callee);
    let (now, options) = (talk.now, CallOptions::default());
    let peer = &mut talk.peers[CALLER];
    assert_eq!(peer.call(now, "", b"", options), Err(AskError::BadName));
    let long = "n".repeat(256);
    assert_eq!(peer.call(now, &*long, b"", options), Err(AskError::BadName));
    let max = peer.largest_payload();
    assert!((9_000..10_000).contains(&max), "{max}");
    let big = vec![0; max + 1];
    assert_eq!(peer.call(now, 1, &big, options), Err(AskError::TooLarge { max }));
    let fits = Buffer::from(&big[1..]);
    peer.call(now, &*"n".repeat(255), fits, options).unwrap();
    talk.run();
    let (request, _, payload) = talk.request(CALLEE);
    assert_eq!(payload.len(), max);
    // An answer that is too large leaves the request open.
    let huge = vec![0; 300_000];
    let reply = talk.peers[CALLEE].reply(now, request, &huge);
    assert!(matches!(reply, Err(AnswerError::TooLarge { .. })));
    talk.reply(CALLEE, request, &huge[..200_000]);
    talk.run();
    assert!(matches!(talk.outcome(CALLER).1, Outcome::Reply(reply) if reply.len() == 200_000));
    talk.assert_idle();
}

/// *Blocked* says when it is over.
#[test]
fn a_full_buffer_blocks_and_says_when_there_is_room() {
    let caller = Config { send_buffer: 1_000, ..Config::default() };
    let mut talk = Talk::with(caller, Config::default());
    let notify = |talk: &mut Talk| {
        let options = NotifyOptions::default();
        talk.peers[CALLER].notify(talk.now, 2_u16, &[1; 300], options)
    };
    let taken = (0..10).take_while(|_| notify(&mut talk).is_ok()).count();
    assert_eq!(taken, 4);
    assert_eq!(notify(&mut talk), Err(AskError::Blocked));
    assert!(!talk.peers[CALLER].wants_input());
    talk.run();
    assert_eq!(talk.events(CALLER), [Event::Writable]);
    assert!(notify(&mut talk).is_ok());
    talk.run();
    assert_eq!(talk.events(CALLEE).len(), 5);
}

/// N01: what a call costs beyond its payload, on a busy pipe with its length and all: at most six
/// bytes, and its answer four.
#[test]
fn n01_a_call_costs_a_few_bytes() {
    let mut talk = Talk::new();
    talk.carried = Default::default();
    let many = 1_000_usize;
    for _ in 0..many {
        talk.call(CALLER, &[7; 8], CallOptions::default());
    }
    talk.run();
    for event in talk.events(CALLEE) {
        let Event::Request { request, .. } = event else { panic!() };
        talk.reply(CALLEE, request, &[9; 8]);
    }
    talk.run();
    let over = |side: usize| (talk.carried[side].0 - 8 * many) as f64 / many as f64;
    assert!(over(CALLEE) <= 5.0, "a call: {}", over(CALLEE));
    assert!(over(CALLER) <= 4.0, "an answer: {}", over(CALLER));
}

/// Lanes are used once the peer has said HELLO, and answers come back by the lane of the call.
#[test]
fn answers_come_back_by_the_lane_of_the_call() {
    let mut talk = Talk::apart(Config::default(), Config::default());
    talk.pipe.has_lanes = true;
    talk.attach();
    let lane = Lane::unordered(1);
    let options = CallOptions { lane, ..CallOptions::default() };
    talk.call(CALLER, b"early", options);
    talk.post();
    assert!(talk.wires[CALLEE].iter().all(|(lane, _)| *lane == Lane::DEFAULT));
    talk.run();
    talk.events(CALLEE);
    let now = talk.now;
    talk.peers[CALLER].call(now, "by name", b"later", options).unwrap();
    talk.post();
    assert_eq!(talk.wires[CALLEE].len(), 1);
    assert!(talk.wires[CALLEE].iter().all(|(by, _)| *by == lane));
    talk.run();
    let (request, ..) = talk.request(CALLEE);
    talk.reply(CALLEE, request, b"x");
    talk.post();
    assert!(talk.wires[CALLER].iter().all(|(by, _)| *by == lane));
}

/// R-CALL-10, M13: over a pipe that cannot tell, silence is broken by heartbeats, and one that
/// lasts is told.
#[test]
fn m13_a_silent_pipe_has_heartbeats() {
    let mut talk = Talk::apart(Config::default(), Config::default());
    talk.pipe.needs_heartbeat = true;
    talk.attach();
    talk.run();
    talk.events(CALLER);
    talk.events(CALLEE);
    talk.pass(100 * SECOND);
    assert_eq!((talk.events(CALLER), talk.events(CALLEE)), (vec![], vec![]), "kept from the user");
    assert!(talk.carried[CALLEE].1 >= 10);
    // The other side is not there any more.
    let until = talk.now + 40 * SECOND;
    while let Some(next) = talk.peers[CALLER].poll_timeout().filter(|next| *next <= until) {
        talk.peers[CALLER].handle_timeout(next);
        talk.now = next;
        talk.post();
    }
    let violation = crate::Violation::Silent;
    assert_eq!(talk.events(CALLER), [Event::Broken { violation }]);
    assert_eq!(talk.peers[CALLER].poll_timeout(), None);
}
