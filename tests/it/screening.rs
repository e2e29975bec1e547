//! The screening chooses the pre-shared key by who the client is (row T12, R-CHAL-4).

use tripline::{
    Code, Config, ConnectError, ConnectOptions, Endpoint, Event, Incoming, Phase, Psk, Screening,
    SecretKey,
};
use tripline_sansio::Duration;
use tripline_tests::{Pair, Side, Tape, identity};

fn psk(number: u8) -> Psk {
    Psk::from_bytes([number; 32])
}

/// A server that asks for the pre-shared key of each client, and a client that opens with `psk`.
fn asked(client: Option<SecretKey>, psk: Option<Psk>) -> (Pair, Incoming) {
    let mut server = Config::public_server(identity("server"));
    server.server.as_mut().expect("a server").screening = Screening::AskForPsk;
    let config = Config { identity: client, ..Config::client() };
    let mut pair = Pair::with(1, config, server);
    let key = identity("server").public_key();
    pair.connect_with(ConnectOptions { psk, user_id: *b"user 123", ..ConnectOptions::to(key) });
    let incoming = pair.wait(Side::Server, |event| match event {
        Event::Incoming(incoming) => Some(incoming.clone()),
        _ => None,
    });
    (pair, incoming)
}

/// How the attempt ended: `None` if it is connected.
fn outcome(pair: &mut Pair) -> Option<ConnectError> {
    pair.wait(Side::Client, |event| match event {
        Event::Connected { .. } => Some(None),
        Event::Failed { error, .. } => Some(Some(error.clone())),
        _ => None,
    })
}

/// T12, R-CHAL-4: in IK the key goes by the client's key, in NK by its user id; the right one lets
/// the client in, a wrong one is to it as a wrong server key.
#[test]
pub(crate) fn t12_the_screening_chooses_the_psk_by_the_client() {
    for name in ["alice", "bob", "nobody"] {
        for right in [true, false] {
            let number = |name: &str| name.len() as u8;
            let client = (name != "nobody").then(|| identity(name));
            let public = client.as_ref().map(SecretKey::public_key);
            let (mut pair, incoming) = asked(client, Some(psk(number(name))));
            assert!(incoming.wants_psk && !incoming.preliminary);
            assert_eq!((incoming.client, incoming.user_id), (public, *b"user 123"));
            let chosen = psk(if right { number(name) } else { 99 });
            pair.call(Side::Server, |e, now| e.accept_with(now, incoming.handle, &chosen))
                .expect("it waits");
            let expected = (!right).then_some(ConnectError::Identity);
            assert_eq!(outcome(&mut pair), expected, "{name} {right}");
            let again =
                pair.call(Side::Server, |e, now| e.accept_with(now, incoming.handle, &chosen));
            assert!(again.is_err(), "it was answered");
        }
    }
}

/// T13, R-CHAL-4: a refusal can be read under the client's key; without it there is only the hint
/// that this way of opening is not taken.
#[test]
pub(crate) fn t12_a_refusal_needs_the_psk_like_any_answer() {
    let code = Code::application(5);
    let (mut pair, incoming) = asked(Some(identity("alice")), Some(psk(1)));
    pair.call(Side::Server, |e, now| e.refuse_with(now, incoming.handle, &psk(1), code, "later"))
        .expect("it waits");
    let refused = ConnectError::Refused { code, reason: "later".into() };
    assert_eq!(outcome(&mut pair), Some(refused));

    for accept in [false, true] {
        let (mut pair, incoming) = asked(Some(identity("alice")), Some(psk(1)));
        // The same OPEN asks again each time, as nothing of it is kept (R-CHAL-1a).
        let mut next = Some(incoming.handle);
        while let Some(handle) = next.take() {
            pair.call(Side::Server, |e, now| match accept {
                true => e.accept(now, handle),
                false => e.refuse(now, handle, code, "not said"),
            })
            .expect("it waits");
            pair.run(Duration::from_secs(2));
            next = pair.events(Side::Server).into_iter().rev().find_map(|event| match event {
                Event::Incoming(incoming) => Some(incoming.handle),
                _ => None,
            });
        }
        assert_eq!(outcome(&mut pair), Some(ConnectError::Suite), "{accept}");
    }
}

/// R-CHAL-4: a client without a pre-shared key is let in without one, and not by an answer that
/// names one.
#[test]
pub(crate) fn t12_a_psk_is_not_skipped() {
    let (mut pair, incoming) = asked(Some(identity("alice")), None);
    assert!(!incoming.wants_psk);
    pair.call(Side::Server, |e, now| e.accept_with(now, incoming.handle, &psk(1)))
        .expect("it waits");
    let refused = outcome(&mut pair).expect("not let in");
    assert!(matches!(refused, ConnectError::Refused { code: Code::REFUSED, .. }), "{refused:?}");
    let (mut pair, incoming) = asked(None, None);
    pair.call(Side::Server, |e, now| e.accept(now, incoming.handle)).expect("it waits");
    assert_eq!(outcome(&mut pair), None);
}

/// R-CHAL-4c: in XX the key is the configuration's if that names one, under `AskForPsk` too, and
/// `accept_with` has to name it.
#[test]
pub(crate) fn t12_in_xx_the_psk_is_the_servers() {
    for (given, named) in [(1, 1), (1, 2)] {
        let mut server = Config::public_server(identity("server"));
        let how = server.server.as_mut().expect("a server");
        (how.screening, how.psk) = (Screening::AskForPsk, Some(psk(1)));
        let mut pair = Pair::with(1, Config::client(), server);
        let options = ConnectOptions { psk: Some(psk(given)), ..ConnectOptions::default() };
        let connection = pair.connect_with(options);
        pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
        pair.call(Side::Client, |e, now| e.trust(now, connection)).expect("it waits");
        let incoming = pair.wait(Side::Server, |event| match event {
            Event::Incoming(incoming) => Some(incoming.clone()),
            _ => None,
        });
        assert!(!incoming.wants_psk);
        pair.call(Side::Server, |e, now| e.accept_with(now, incoming.handle, &psk(named)))
            .expect("it waits");
        assert_eq!(outcome(&mut pair).is_none(), given == named);
    }
}

/// A server under `AskForPsk` that has none of its own, and a client of XX with this one, which
/// trusts the server; the first question, and everything that the client sent.
fn asked_in_xx(given: u8) -> (Pair, Tape, Incoming) {
    let mut server = Config::public_server(identity("server"));
    server.server.as_mut().expect("a server").screening = Screening::AskForPsk;
    let client = Config { identity: Some(identity("alice")), ..Config::client() };
    let mut pair = Pair::with(1, client, server);
    let tape = pair.tape();
    let options = ConnectOptions {
        psk: Some(psk(given)),
        user_id: *b"user 123",
        route: b"door".to_vec(),
        ..ConnectOptions::default()
    };
    let connection = pair.connect_with(options);
    pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
    pair.call(Side::Client, |e, now| e.trust(now, connection)).expect("it waits");
    let first = question(&mut pair);
    (pair, tape, first)
}

fn question(pair: &mut Pair) -> Incoming {
    pair.wait(Side::Server, |event| match event {
        Event::Incoming(incoming) => Some(incoming.clone()),
        _ => None,
    })
}

/// R-CHAL-4d: in XX the psk is chosen by the key that the client names; when it fits, the user is
/// asked again with all that the client says, at once, and decides as about any client.
#[test]
pub(crate) fn t12_in_xx_the_psk_is_chosen_by_the_client() {
    let alice = Some(identity("alice").public_key());
    let code = Code::application(5);
    for step in 0..4 {
        let (mut pair, _, first) = asked_in_xx(7);
        assert!(first.wants_psk && first.preliminary);
        assert_eq!((first.client, first.user_id, first.route.len()), (alice, [0; 8], 0));
        if step == 3 {
            let refuse =
                |e: &mut Endpoint, now| e.refuse_with(now, first.handle, &psk(7), code, "no");
            pair.call(Side::Server, refuse).expect("it waits");
            let refused = ConnectError::Refused { code, reason: "no".into() };
            assert_eq!(outcome(&mut pair), Some(refused));
            continue;
        }
        let asked_at = pair.world.now();
        pair.call(Side::Server, |e, now| e.accept_with(now, first.handle, &psk(7))).expect("waits");
        let second = question(&mut pair);
        assert_eq!(pair.world.now(), asked_at, "the CONFIRM was kept");
        assert!(!second.wants_psk && !second.preliminary);
        assert_eq!(
            (second.client, second.user_id, &second.route[..]),
            (alice, *b"user 123", &b"door"[..])
        );
        pair.call(Side::Server, |e, now| match step {
            0 => e.accept(now, second.handle),
            1 => e.accept_with(now, second.handle, &psk(7)),
            _ => e.refuse(now, second.handle, code, "later"),
        })
        .expect("it waits");
        let refused = ConnectError::Refused { code, reason: "later".into() };
        assert_eq!(outcome(&mut pair), (step == 2).then_some(refused));
    }
}

/// R-CHAL-4d: another psk than the client's, or none, and nothing is said: the client's deadline
/// ends it; nobody is connected, and the user is not asked again.
#[test]
pub(crate) fn t12_in_xx_the_wrong_psk_is_silence() {
    for answer in 0..4 {
        let (mut pair, tape, first) = asked_in_xx(7);
        let before = tape.of(Side::Server).len();
        pair.call(Side::Server, |e, now| match answer {
            0 => e.accept_with(now, first.handle, &psk(8)),
            1 => e.accept(now, first.handle),
            2 => e.refuse(now, first.handle, Code::REFUSED, "not said"),
            _ => e.refuse_with(now, first.handle, &psk(8), Code::REFUSED, "not said"),
        })
        .expect("it waits");
        let error = outcome(&mut pair);
        let timeout = ConnectError::Timeout { phase: Phase::Pinging };
        assert_eq!(error, Some(timeout), "{answer}");
        assert_eq!(tape.of(Side::Server).len(), before, "{answer}: silence");
        let again = |event: &Event| matches!(event, Event::Incoming(_));
        assert!(!pair.events(Side::Server).iter().skip(1).any(again), "{answer}: asked once");
        assert_eq!(pair.world.machine(pair.server).connections(), 0);
    }
}

/// R-CHAL-4d, R-HAND-2: a CONFIRM made of the beginning of the true one and rubbish, or changed in
/// its key, ends nothing: the true one is read under the key that was chosen.
#[test]
pub(crate) fn t12_in_xx_a_forged_confirm_keeps_nobody_out() {
    let mut server = Config::public_server(identity("server"));
    server.server.as_mut().expect("a server").screening = Screening::AskForPsk;
    let client = Config { identity: Some(identity("alice")), ..Config::client() };
    let mut pair = Pair::with(1, client, server);
    let tape = pair.tape();
    let options = ConnectOptions { psk: Some(psk(7)), ..ConnectOptions::default() };
    let connection = pair.connect_with(options);
    pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
    pair.call(Side::Client, |e, now| e.trust(now, connection)).expect("it waits");
    let confirm = tape.kind(4)[0].bytes.clone();
    let mut changed = confirm.clone();
    changed[20] ^= 1;
    pair.deliver(Side::Server, &changed);
    pair.run(Duration::from_micros(10));
    assert!(pair.events(Side::Server).is_empty(), "no key can be read");
    // The key is that of the true one, what follows is not.
    let mut forged = confirm.clone();
    forged.truncate(9 + 48);
    forged.extend([0xab; 40]);
    pair.deliver(Side::Server, &forged);
    let first = question(&mut pair);
    assert_eq!(first.client, Some(identity("alice").public_key()));
    pair.call(Side::Server, |e, now| e.accept_with(now, first.handle, &psk(7))).expect("it waits");
    let second = question(&mut pair);
    assert!(!second.wants_psk, "the true one came");
    pair.call(Side::Server, |e, now| e.accept(now, second.handle)).expect("it waits");
    assert_eq!(outcome(&mut pair), None);
}
