//! What a VERSION hint makes a client do (R-VERS-1, R-VERS-2): one more OPEN as before, then an
//! attempt with the cipher that every server takes; never less, never at once, never without.

use std::sync::{Arc, Mutex};
use tripline::{Cipher, Config, ConnectError, ConnectOptions, ConnectionHandle, Event, Phase};
use tripline_sansio::Duration;
use tripline_tests::{Pair, Side, Tape, Wiretap, identity};

/// A client that prefers AES, before a server that does not hear it.
fn pair(psk: bool) -> (Pair, Tape, ConnectionHandle) {
    let client = Config { hardware_aes: true, ..Config::client() };
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")));
    let tape = pair.tape();
    pair.silence(Side::Client);
    let psk = psk.then(|| tripline::Psk::from_bytes([1; 32]));
    let options = ConnectOptions { psk, ..ConnectOptions::to(identity("server").public_key()) };
    let connection = pair.connect_with(options);
    (pair, tape, connection)
}

/// The cipher of an OPEN.
fn cipher(open: &[u8]) -> u8 {
    open[13] >> 3
}

/// A hint for the attempt whose OPEN this is.
fn hint(open: &[u8], reason: u8) -> Vec<u8> {
    [&[5][..], &open[5..13], &[reason, 1, 0, 0, 0, 1]].concat()
}

/// When OPENs went out, in ms after the first, and with which cipher.
fn opens(tape: &Tape) -> Vec<(u128, u8)> {
    let all = tape.kind(1);
    all.iter().map(|open| ((open.at - all[0].at).as_millis(), cipher(&open.bytes))).collect()
}

/// R-VERS-2: after the hint one more OPEN goes out, the same bytes; when that has no answer in its
/// time, a new attempt begins with cipher 0: another ID, another ephemeral.
#[test]
pub(crate) fn r_vers_2_a_client_steps_down_on_a_hint() {
    let (mut pair, tape, connection) = pair(false);
    pair.run(Duration::from_millis(50));
    let first = tape.kind(1)[0].bytes.clone();
    pair.deliver(Side::Client, &hint(&first, 2));
    pair.run(Duration::from_millis(200));
    assert_eq!(opens(&tape), [(0, 1), (200, 1)]);
    assert_eq!(tape.kind(1)[1].bytes, first);
    pair.until(|_| tape.kind(1).len() > 2);
    pair.unsilence(Side::Client);
    pair.deliver(Side::Server, &tape.kind(1)[2].bytes);
    pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));
    assert_eq!(opens(&tape), [(0, 1), (200, 1), (400, 0)]);
    let second = &tape.kind(1)[2].bytes;
    assert_ne!((&second[5..13], &second[16..48]), (&first[5..13], &first[16..48]));
    let agreed = pair.world.machine(pair.client).agreed(connection).unwrap();
    assert_eq!(agreed.suite.cipher, Cipher::ChaChaPoly);
    let stats = pair.world.machine(pair.client).connection_stats(connection).unwrap();
    assert!(stats.handshake_ns > 400_000_000, "the whole attempt counts");
}

/// R-VERS-2: without a hint nothing is given up; a hint of another kind is none; an answer that
/// comes in time counts, whatever was hinted.
#[test]
pub(crate) fn r_vers_2_not_without_reason() {
    for reason in [None, Some(1), Some(3)] {
        let (mut pair, tape, _) = pair(false);
        pair.run(Duration::from_millis(50));
        if let Some(reason) = reason {
            let first = tape.kind(1)[0].bytes.clone();
            pair.deliver(Side::Client, &hint(&first, reason));
        }
        pair.run(Duration::from_secs(5));
        assert!(opens(&tape).iter().all(|open| open.1 == 1), "{reason:?}");
    }
    let (mut pair, tape, connection) = pair(false);
    pair.run(Duration::from_millis(50));
    let first = tape.kind(1)[0].bytes.clone();
    pair.deliver(Side::Client, &hint(&first, 2));
    pair.unsilence(Side::Client);
    pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));
    assert!(opens(&tape).iter().all(|open| open.1 == 1));
    let agreed = pair.world.machine(pair.client).agreed(connection).unwrap();
    assert_eq!(agreed.suite.cipher, Cipher::AesGcm);
}

/// R-VERS-2, R-CHAL-2a: there is one step, and what the hints said still explains the end.
#[test]
pub(crate) fn r_vers_2_there_is_one_step() {
    let (mut pair, tape, _) = pair(true);
    let began = pair.world.now();
    pair.run(Duration::from_millis(50));
    let first = tape.kind(1)[0].bytes.clone();
    // The server takes no pre-shared key, and says so to what it hears.
    pair.deliver(Side::Client, &hint(&first, 2));
    pair.unsilence(Side::Client);
    let error = pair.wait(Side::Client, |event| match event {
        Event::Failed { error, .. } => Some(error.clone()),
        _ => None,
    });
    assert_eq!(error, ConnectError::Suite);
    let ids: std::collections::BTreeSet<Vec<u8>> =
        tape.kind(1).iter().map(|open| open.bytes[5..13].to_vec()).collect();
    assert_eq!(ids.len(), 2, "one attempt and one step");
    let suites: Vec<u8> = opens(&tape).iter().map(|open| open.1).collect();
    assert_eq!(suites.iter().filter(|cipher| **cipher == 1).count(), 2, "{suites:?}");
    let took = pair.world.now() - began;
    assert_eq!(took, Duration::from_secs(10), "the deadline holds for all of it");
}

/// R-CHAL-2a: a hint that names the version we speak explains nothing: it answered an OPEN whose
/// version was damaged on its way.
#[test]
pub(crate) fn r_chal_2a_a_hint_with_our_version_explains_nothing() {
    for (theirs, known) in [(1, false), (2, true)] {
        let mut pair = Pair::new(1);
        let tape = pair.tape();
        pair.silence(Side::Client);
        pair.connect();
        pair.run(Duration::from_millis(50));
        let hint = {
            let open = &tape.kind(1)[0].bytes;
            [&[5][..], &open[5..13], &[1, 1, 0, 0, 0, theirs]].concat()
        };
        pair.deliver(Side::Client, &hint);
        let error = pair.wait(Side::Client, |event| match event {
            Event::Failed { error, .. } => Some(error.clone()),
            _ => None,
        });
        let version = ConnectError::Version { ours: 1, theirs: vec![2] };
        let silence = ConnectError::Timeout { phase: Phase::Opening };
        assert_eq!(error, if known { version } else { silence });
    }
}

/// R-VERS-1: a server names its versions under the tag, in CHALLENGE.
#[test]
pub(crate) fn r_vers_1_the_server_names_its_versions() {
    let texts: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let (tap, seen) = (Wiretap::default(), texts.clone());
    tap.meddle(move |is_data, text| {
        if !is_data {
            seen.lock().unwrap().push(text.to_vec());
        }
    });
    let server = tap.on(Config::public_server(identity("server")));
    let mut pair = Pair::with(1, Config::client(), server);
    pair.connected();
    let texts = texts.lock().unwrap();
    let named = [12, 4, 0, 0, 0, 1];
    assert!(texts.iter().any(|text| text[0] == 0 && text.ends_with(&named)), "{texts:x?}");
}
