//! Who is let in by a listener, over loopback: what `screen` and `psk` are asked, and when.

use crate::*;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, Incoming, Phase, Psk, Screening, SecretKey,
};

/// What the two closures of a listener were asked, by their names, in order.
type Asked = Arc<Mutex<Vec<(&'static str, Incoming)>>>;

const WHY: &str = "no such door";

fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes([number; 32])
}

fn psk(number: u8) -> Psk {
    Psk::from_bytes([number; 32])
}

/// A listener that knows the pre-shared key 7 of the client with key 2, and lets clients in that
/// want the route "door".
fn listener() -> (Listener, Asked) {
    let mut config = Config::public_server(key(1));
    config.server.as_mut().expect("a server").screening = Screening::AskForPsk;
    let asked = Asked::default();
    let (screened, chosen) = (Arc::clone(&asked), Arc::clone(&asked));
    let known = key(2).public_key();
    let how = ListenOptions {
        screen: Some(Box::new(move |client| {
            screened.lock().expect("no panic").push(("screen", client.clone()));
            let open = client.route == b"door";
            open.then_some(()).ok_or((Code::NO_ROUTE, WHY.to_owned()))
        })),
        psk: Some(Box::new(move |client| {
            chosen.lock().expect("no panic").push(("psk", client.clone()));
            (client.client == Some(known)).then(|| psk(7))
        })),
        ..ListenOptions::default()
    };
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    (Listener::bind(any, config, how).expect("a listener"), asked)
}

/// A client with this identity, pre-shared key and route, that asks for the server's key (XX).
fn knock(listener: &Listener, identity: u8, secret: u8, route: &[u8]) -> Result<(), Error> {
    let client = Config { identity: Some(key(identity)), ..Config::client() };
    let options = ConnectOptions {
        psk: Some(psk(secret)),
        user_id: *b"user 123",
        route: route.to_vec(),
        deadline: Duration::from_secs(2),
        ..ConnectOptions::default()
    };
    let trust = |shown| shown == key(1).public_key();
    Client::new(client)?.connect_trusting(listener.local_addr(), options, trust).map(drop)
}

/// R-CHAL-4d, T12: in XX the chooser of the pre-shared key is asked first, by the client's key, and
/// `screen` once, when the route is known; so a `screen` that goes by the route lets the right
/// client in.
#[test]
fn r_chal_4d_a_listener_screens_by_route_in_xx() {
    let (listener, asked) = listener();
    knock(&listener, 2, 7, b"door").expect("let in");
    let connection = listener.accept().expect("a client");
    assert_eq!((connection.route(), connection.user_id()), (&b"door"[..], *b"user 123"));
    assert_eq!(connection.peer(), Some(key(2).public_key()));
    let asked = asked.lock().expect("no panic");
    let names: Vec<_> = asked.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["psk", "screen"]);
    let (first, second) = (&asked[0].1, &asked[1].1);
    assert!(first.preliminary && first.wants_psk && first.route.is_empty());
    assert!(!second.preliminary && !second.wants_psk && second.route == b"door");
    assert_eq!(first.client, second.client);
}

/// R-CHAL-4d, T13: a client that holds the key and wants another route is told so, in words; one
/// without the key, or whom nobody knows, hears nothing, and `screen` is never asked about it.
#[test]
fn r_chal_4d_a_listener_refuses_in_xx() {
    let (listener, asked) = listener();
    let refused = knock(&listener, 2, 7, b"window");
    let wanted = ConnectError::Refused { code: Code::NO_ROUTE, reason: WHY.into() };
    assert!(matches!(&refused, Err(Error::Connect(error)) if *error == wanted), "{refused:?}");
    asked.lock().expect("no panic").clear();
    for (identity, secret) in [(2, 8), (3, 7)] {
        let silence = knock(&listener, identity, secret, b"door");
        let timeout = ConnectError::Timeout { phase: Phase::Pinging };
        assert!(matches!(&silence, Err(Error::Connect(error)) if *error == timeout), "{silence:?}");
    }
    let names: Vec<_> = asked.lock().expect("no panic").iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["psk", "psk"]);
}
