//! The screening chooses the pre-shared key by who the client is (row T12, R-CHAL-4).

use tripline::{
    Code, Config, ConnectError, ConnectOptions, Event, Incoming, Psk, Screening, SecretKey,
};
use tripline_tests::{Pair, Side, identity};

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
fn t12_the_screening_chooses_the_psk_by_the_client() {
    for name in ["alice", "bob", "nobody"] {
        for right in [true, false] {
            let number = |name: &str| name.len() as u8;
            let client = (name != "nobody").then(|| identity(name));
            let public = client.as_ref().map(SecretKey::public_key);
            let (mut pair, incoming) = asked(client, Some(psk(number(name))));
            assert!(incoming.wants_psk);
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
fn t12_a_refusal_needs_the_psk_like_any_answer() {
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
            pair.run(tripline_sansio::Duration::from_secs(2));
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
fn t12_a_psk_is_not_skipped() {
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

/// R-CHAL-4: in XX the key is the configuration's, under `AskForPsk` too, and `accept_with` has to
/// name it.
#[test]
fn t12_in_xx_the_psk_is_the_servers() {
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
    // Without one in the configuration the suite is not taken.
    let mut server = Config::public_server(identity("server"));
    server.server.as_mut().expect("a server").screening = Screening::AskForPsk;
    let mut pair = Pair::with(1, Config::client(), server);
    pair.connect_with(ConnectOptions { psk: Some(psk(1)), ..ConnectOptions::default() });
    assert_eq!(outcome(&mut pair), Some(ConnectError::Suite));
}
