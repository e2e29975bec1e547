//! A peer that breaks the rules: it is told, and nothing more is taken from its pipe.

use super::talk::{CALLEE, CALLER, Talk};
use crate::{CallOptions, Config, Event, Lane, Violation};
use alloc::vec::Vec;
use bytes::Bytes;

/// Frames of a peer that has said HELLO, handed to a callee.
fn violation(frames: &[&[u8]]) -> Option<Violation> {
    let mut talk = Talk::new();
    told(&mut talk, frames)
}

fn told(talk: &mut Talk, frames: &[&[u8]]) -> Option<Violation> {
    for frame in frames {
        let now = talk.now;
        talk.peers[CALLEE].handle_message(now, Lane::DEFAULT, &Bytes::copy_from_slice(frame));
    }
    let broken = |event| match event {
        Event::Broken { violation } => Some(violation),
        _ => None,
    };
    let all: Vec<_> = talk.events(CALLEE).into_iter().filter_map(broken).collect();
    assert!(all.len() <= 1, "told once");
    all.first().copied()
}

/// R-CALL-8: each rule that a peer can break.
#[test]
fn r_call_8_who_breaks_a_rule_is_told_of() {
    let cases: [(&[&[u8]], Violation); 13] = [
        (&[b""], Violation::Malformed),
        (&[b"\x07"], Violation::Malformed),
        (&[b"\x00\x01\x10................"], Violation::Hello),
        (&[b"\x07\x00"], Violation::Malformed),
        (&[b"\x07\x01\x2e\x02\x2e"], Violation::Malformed),
        (&[b"\x07\x03\x07\x01\x2e"], Violation::Malformed),
        (&[b"\x07\x13\x00\x01\x10................"], Violation::Hello),
        (&[b"\x03\x00answer"], Violation::Number),
        (&[b"\x04\x00item"], Violation::Number),
        (&[b"\x01\x00\x01one", b"\x01\x00\x01another"], Violation::Number),
        (&[b"\x09\x00\x01no such name"], Violation::Name),
        (&[b"\x0e\x01one", b"\x0e\x01two"], Violation::Name),
        (&[b"\x01\x00\x01one", b"\x1e\x00\x01\x01"], Violation::Window),
    ];
    for (frames, expected) in cases {
        assert_eq!(violation(frames), Some(expected), "{frames:x?}");
    }
    let after = violation(&[b"\x07", b"\x03\x00", b"\x01\x00\x01never told"]);
    assert_eq!(after, Some(Violation::Malformed), "only the first");
}

/// R-CALL-15: frames in a bundle do what they do one by one, also up to one that breaks a rule; and
/// a bundle that is too long is none.
#[test]
fn r_call_15_a_bundle_does_what_its_frames_do() {
    let frames: [&[u8]; 5] =
        [b"\x21\x00\x01one", b"\x02\x07note", b"\x21\x01\x01two", b"\x06\x00\x01", b"\x2e"];
    let bundle = |frames: &[&[u8]]| {
        let len = |frame: &&[u8]| u8::try_from(frame.len()).expect("short");
        let framed = frames.iter().flat_map(|frame| [&[len(frame)], *frame].concat());
        Bytes::from_iter([7].into_iter().chain(framed))
    };
    let [mut together, mut apart] = [(); 2].map(|()| Talk::new());
    let now = together.now;
    together.peers[CALLEE].handle_message(now, Lane::DEFAULT, &bundle(&frames));
    for frame in frames {
        apart.peers[CALLEE].handle_message(now, Lane::DEFAULT, &Bytes::from_static(frame));
    }
    let told = together.events(CALLEE);
    assert_eq!((told.len(), &told), (4, &apart.events(CALLEE)));
    let stats = |talk: &Talk| talk.peers[CALLEE].stats();
    assert_eq!(stats(&together), stats(&apart));

    let mut talk = Talk::new();
    let broken = bundle(&[frames[1], b"\x03\x00no such call", frames[1]]);
    talk.peers[CALLEE].handle_message(now, Lane::DEFAULT, &broken);
    let told = talk.events(CALLEE);
    let [Event::Notification { .. }, Event::Broken { violation: Violation::Number }] = &told[..]
    else {
        panic!("{told:?}")
    };

    let pings = |count| bundle(&alloc::vec![frames[4]; count]);
    for (count, violation) in [(2_047, None), (2_048, Some(Violation::TooLarge))] {
        assert_eq!(told_of(&pings(count)), violation, "{} bytes", pings(count).len());
    }
}

fn told_of(message: &[u8]) -> Option<Violation> {
    told(&mut Talk::new(), &[message])
}

/// R-CALL-2: HELLO comes first, and speaks our version.
#[test]
fn r_call_2_the_first_frame_is_a_hello() {
    let cases: [(&[u8], Violation); 3] = [
        (b"\x01\x00\x01", Violation::Hello),
        (b"\x00\x01\x10................\x00\x01\x02", Violation::Version(2)),
        (b"\x00\x00\x01\x01", Violation::Malformed),
    ];
    for (frame, expected) in cases {
        let mut talk = Talk::apart(Config::default(), Config::default());
        talk.attach();
        assert_eq!(told(&mut talk, &[frame]), Some(expected), "{frame:x?}");
    }
}

/// A frame above what we said we take.
#[test]
fn q5_frames_above_the_largest_break_the_pipe() {
    let callee = Config { frame_max: 5_000, ..Config::default() };
    let mut talk = Talk::with(Config::default(), callee);
    let mut frame = b"\x02\x01".to_vec();
    frame.resize(5_000, 0);
    assert_eq!(told(&mut talk, &[&frame]), None);
    frame.push(0);
    assert_eq!(told(&mut talk, &[&frame]), Some(Violation::TooLarge));
}

/// Q5: who asks and never reads the answers does not fill our memory.
#[test]
fn q5_who_does_not_read_its_answers_is_cut_off() {
    // What it says that it takes, and eight times our buffer: so much may wait.
    let callee = Config { send_buffer: 1_000, calls_max: 1, ..Config::default() };
    let mut talk = Talk::with(Config::default(), callee);
    let mut asked = 0;
    let violation = loop {
        // Number 1 is above our limit: each of these is refused at once.
        if let Some(violation) = told(&mut talk, &[b"\x01\x01\x01"]) {
            break violation;
        }
        asked += 1;
        assert!(asked < 100_000, "unbounded");
    };
    assert_eq!(violation, Violation::Unread);
}

/// An item beyond the window.
#[test]
fn q5_items_beyond_the_window_break_the_pipe() {
    let caller = Config { item_window: 100, ..Config::default() };
    let mut talk = Talk::with(caller, Config::default());
    let options = CallOptions { manual_window: true, ..CallOptions::default() };
    talk.call(CALLER, b"x", options);
    talk.post();
    let item = Bytes::from([b"\x04\x00".as_slice(), &[0; 60]].concat());
    for _ in 0..2 {
        let now = talk.now;
        talk.peers[CALLER].handle_message(now, Lane::DEFAULT, &item);
    }
    let events = talk.events(CALLER);
    let violation = Violation::Window;
    assert_eq!(events.last(), Some(&Event::Broken { violation }));
}

/// Q2: the same call twice over one pipe is against the rules, as is a number beyond the limit; and
/// of a number out of range no table is made.
#[test]
fn q2_a_serial_twice_over_one_pipe_breaks_it() {
    let callee = Config { calls_max: 4, ..Config::default() };
    let mut talk = Talk::with(Config::default(), callee);
    assert_eq!(told(&mut talk, &[b"\x81\x00\x01\x07\x00x"]), None);
    assert_eq!(talk.peers[CALLEE].requests(), 1);
    // Known, but by a number that we never offered: busy.
    assert_eq!(told(&mut talk, &[b"\x81\x80\x0f\xff\xff\x01\x07\x00x"]), None);
    assert_eq!(talk.peers[CALLEE].stats().refused, 1);
    let twice = told(&mut talk, &[b"\x81\x01\x01\x07\x00x"]);
    assert_eq!(twice, Some(Violation::Number));
}

/// Q5: requests that are left over from pipes that are gone count as in flight.
#[test]
fn q5_requests_of_earlier_pipes_count() {
    let callee = Config { calls_max: 2, ..Config::default() };
    let mut talk = Talk::with(Config::default(), callee);
    let retry = crate::Retry::Deduplicated;
    for _ in 0..10 {
        let options = CallOptions { retry, ..CallOptions::default() };
        talk.call(CALLER, b"x", options);
        talk.run();
        talk.detach();
        talk.attach();
        talk.run();
        talk.events(CALLEE);
        talk.events(CALLER);
        assert!(talk.peers[CALLEE].requests() <= 2);
    }
}

/// One frame of whatever kind, mostly well-formed, of small numbers.
fn any_frame(random: &mut tripline_sansio::Random) -> Vec<u8> {
    let mut frame = Vec::new();
    let kind = u8::try_from(random.below(8)).unwrap();
    let flags = if random.chance(1, 2) { 0 } else { u8::try_from(random.below(32)).unwrap() };
    frame.push(kind | flags << 3);
    for _ in 0..random.below(6) {
        let small = random.chance(9, 10);
        frame.push(u8::try_from(random.below(if small { 6 } else { 256 })).unwrap());
    }
    frame.extend(core::iter::repeat_n(b'x', usize::try_from(random.below(40)).unwrap()));
    frame
}

/// R-CALL-9, P1: whatever frames come, to either side, nothing panics, tables keep to their bounds,
/// a deadline lies ahead, and when the pipe is gone so is all that it brought.
#[test]
fn r_call_9_any_frames_are_survived() {
    let mut broken = 0;
    for seed in 0..300 {
        let mut random = tripline_sansio::Seed::from_number(seed).random("hostile");
        let config = Config { calls_max: 4, asked_max: 8, send_buffer: 5_000, ..Config::default() };
        let mut talk = Talk::with(config.clone(), config);
        for _ in 0..200 {
            let side = if random.chance(1, 2) { CALLER } else { CALLEE };
            let now = talk.now;
            if random.chance(1, 5) {
                let retry = crate::Retry::Idempotent;
                let options = CallOptions { retry, ..CallOptions::default() };
                let _ = talk.peers[side].call(now, "ask", b"x", options);
            }
            let frame = Bytes::from(any_frame(&mut random));
            talk.peers[side].handle_message(now, Lane::DEFAULT, &frame);
            talk.post();
            talk.wires = Default::default();
            for event in talk.events(side) {
                match event {
                    Event::Request { request, .. } if random.chance(1, 2) => {
                        let _ = talk.peers[side].item(now, request, b"part");
                        let _ = talk.peers[side].reply(now, request, b"answer");
                    }
                    Event::Broken { .. } => {
                        broken += 1;
                        talk.detach();
                        talk.attach();
                        talk.run();
                    }
                    _ => {}
                }
            }
            let peer = &talk.peers[side];
            assert!(peer.requests() <= 4 && peer.calls() <= 8, "seed {seed}: {peer:?}");
            assert!(peer.kept() <= crate::bounds::KEPT_MAX);
            assert!(peer.poll_timeout().is_none_or(|at| at > talk.now), "seed {seed}");
            talk.now += tripline_sansio::Duration::from_millis(random.below(50));
            let now = talk.now;
            for peer in &mut talk.peers {
                peer.handle_timeout(now);
            }
        }
        for peer in &mut talk.peers {
            peer.end(talk.now);
            while peer.poll_event().is_some() {}
            assert!(peer.is_idle(), "seed {seed}: {peer:?}");
        }
    }
    assert!(broken > 1_000, "{broken}");
}
