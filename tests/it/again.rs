//! Attempts that begin again (R-RESET-2b, R-OPEN-2): what an attempt has behind it is not forgotten
//! with the server that forgot it.

use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Screening, State, Target,
};
use tripline_sansio::{Duration, Instant};
use tripline_tests::{Pair, Side, identity};

fn server() -> Config {
    Config::public_server(identity("server"))
}

fn named() -> Target {
    Target::Name { host: String::from("server.test"), port: 2_222 }
}

/// Connects by name; the server forgets the attempt while it is PINGING.
fn forgotten(pair: &mut Pair, server: Config) -> ConnectionHandle {
    let options = ConnectOptions::to(identity("server").public_key());
    let attempt = pair
        .call(Side::Client, |e, now| e.connect(now, named(), options))
        .expect("the attempt begins");
    let found = Ok(vec![pair.world.address(pair.server)]);
    pair.call(Side::Client, |e, now| e.resolved(now, attempt, found)).expect("it waits");
    let (host, limit) = (pair.client, Duration::from_secs(1));
    let pinging = |state| state == Some(State::Pinging);
    assert!(pair.world.run_while(limit, |world| !pinging(world.machine(host).state(attempt))));
    let seed = pair.world.seed_for("second life");
    pair.call(Side::Server, |endpoint, now| *endpoint = Endpoint::new(server, &seed, now));
    attempt
}

/// R-RESET-2b, T22: the name that the user gave is asked for again when the server of the second
/// try falls silent, as after a first.
#[test]
pub(crate) fn r_reset_2b_the_name_is_remembered() {
    let mut pair = Pair::with(1, Config::client(), server());
    let attempt = forgotten(&mut pair, server());
    pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.world.machine(pair.server).stats().resets_sent, 1);
    pair.events(Side::Client);
    pair.silence_both();
    pair.call(Side::Client, |e, now| e.network_changed(now, Some(attempt))).expect("it lives");
    pair.run(Duration::from_secs(8));
    let asked = pair.events(Side::Client).into_iter().any(|event| {
        matches!(event, Event::Resolve { connection, ref host, .. }
            if connection == attempt && host == "server.test")
    });
    assert!(asked);
}

/// R-CHAL-3b, R-RESET-2b: referrals that were followed before the server forgot us still count.
#[test]
pub(crate) fn r_reset_2b_referrals_still_count() {
    let mut asking = server();
    asking.server.as_mut().expect("a server").screening = Screening::Ask;
    let mut pair = Pair::with(1, Config::client(), server());
    let other = Endpoint::new(asking.clone(), &pair.world.seed_for("other"), Instant::ZERO);
    let first = pair.world.add_host(([10, 0, 0, 3], 3_333).into(), other.into());
    let (at, of) = (pair.world.address(pair.server), identity("server").public_key());
    let options = ConnectOptions::to(of);
    let target = pair.world.address(first).into();
    let attempt = pair.call(Side::Client, |e, now| e.connect(now, target, options));
    let attempt = attempt.expect("the attempt begins");
    // The first server sends the client to the second one, which forgets it; then to the first.
    let back = tripline::Referral { addresses: vec![at], server_key: of, route: Vec::new() };
    let incoming = loop {
        let next = pair.world.wait_event(first, Duration::from_secs(9)).expect("it comes");
        if let (_, Event::Incoming(incoming)) = next {
            break incoming;
        }
    };
    pair.world.with(first, |e, now| e.forward(now, incoming.handle, &back)).expect("it waits");
    let (host, limit) = (pair.client, Duration::from_secs(1));
    let pinging = |state| state == Some(State::Pinging);
    assert!(pair.world.run_while(limit, |world| !pinging(world.machine(host).state(attempt))));
    let seed = pair.world.seed_for("second life");
    pair.call(Side::Server, |endpoint, now| *endpoint = Endpoint::new(asking, &seed, now));
    let incoming = pair.wait(Side::Server, |event| match event {
        Event::Incoming(incoming) => Some(incoming.clone()),
        _ => None,
    });
    let to_first = tripline::Referral { addresses: vec![pair.world.address(first)], ..back };
    pair.call(Side::Server, |e, now| e.forward(now, incoming.handle, &to_first)).expect("waits");
    let error = pair.wait(Side::Client, |event| match event {
        Event::Failed { error, .. } => Some(error.clone()),
        _ => None,
    });
    let reason = "we have asked there already";
    assert_eq!(error, tripline::ConnectError::Referred { reason });
}
