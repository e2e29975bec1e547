//! The table of PROTOCOL.md §10.3, cell by cell: the client's rows, from RESOLVING to PINGING. The
//! rows of the server, and READY, are in `cells_admission`.

use std::net::SocketAddr;
use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Event, Phase, State, Target,
};
use tripline_sansio::{Duration, Instant, Path};
use tripline_sim::{LinkConfig, Verdict};
use tripline_tests::frames::{self, kind};
use tripline_tests::{Pair, Side, Tape, Taped, Wiretap, identity};

const OPEN: u8 = 0x01;
const CHALLENGE: u8 = 0x02;
const CONFIRM: u8 = 0x04;
const VERSION: u8 = 0x05;

/// The times at which OPEN is sent in the first ten seconds (R-HAND-7), in milliseconds.
const OPEN_TIMES: [u64; 15] =
    [0, 200, 400, 600, 900, 1_350, 2_025, 3_025, 4_025, 5_025, 6_025, 7_025, 8_025, 9_025, 10_025];

fn options(deadline_s: u64) -> ConnectOptions {
    let deadline = Duration::from_secs(deadline_s);
    ConnectOptions { deadline, ..ConnectOptions::to(identity("server").public_key()) }
}

/// XX: the client does not know the server's key.
fn asking(deadline_s: u64) -> ConnectOptions {
    ConnectOptions { server_key: None, ..options(deadline_s) }
}

fn by_name(pair: &mut Pair) -> ConnectionHandle {
    let target = Target::Name { host: "server.example".into(), port: 2222 };
    pair.call(Side::Client, |e, now| e.connect(now, target, options(10))).unwrap()
}

fn failures(events: &[Event]) -> Vec<ConnectError> {
    let errors = events.iter().filter_map(|event| match event {
        Event::Failed { error, .. } => Some(error.clone()),
        _ => None,
    });
    errors.collect()
}

fn connected(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Connected { .. })).count()
}

fn client_drops(pair: &Pair) -> tripline::Drops {
    pair.world.machine(pair.client).stats().drops
}

fn drops_of(pair: &Pair, connection: ConnectionHandle) -> tripline::Drops {
    pair.world.machine(pair.client).connection_stats(connection).unwrap().drops
}

/// Drops what begins with this byte (for DATA 0x80) and comes from this side.
fn drop_kind(pair: &mut Pair, from: Side, first: u8) {
    let host = Some(pair.host(from));
    pair.world.add_rule(move |packet| {
        let same = packet.bytes[0] == first || (first & packet.bytes[0]) & 0x80 != 0;
        if packet.from == host && same { Verdict::Drop } else { Verdict::Pass }
    });
}

/// A VERSION for the attempt whose OPEN this is: reason, and the versions 7 and 9.
fn version_hint(open: &[u8], reason: u8) -> Vec<u8> {
    let mut packet = vec![VERSION];
    packet.extend_from_slice(&open[5..13]);
    packet.extend_from_slice(&[reason, 2, 0, 0, 0, 7, 0, 0, 0, 9]);
    packet
}

fn flipped(packet: &[u8], at: usize) -> Vec<u8> {
    let mut forged = packet.to_vec();
    forged[at] ^= 1;
    forged
}

fn millis(times: &[Taped]) -> Vec<u64> {
    times.iter().map(|one| one.at.as_nanos() / 1_000_000).collect()
}

// ---- RESOLVING ----

/// RESOLVING, lost: nothing is sent, and the deadline ends it with the phase.
#[test]
pub(crate) fn r_hand_resolving_lost() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    let connection = by_name(&mut pair);
    pair.run(Duration::from_millis(9_999));
    assert_eq!(pair.state(Side::Client, connection), Some(State::Resolving));
    pair.run(Duration::from_millis(1));
    let timeout = ConnectError::Timeout { phase: Phase::Resolving };
    assert_eq!(failures(&pair.events(Side::Client)), [timeout]);
    assert!(tape.is_empty());
}

/// RESOLVING, forged: not even the CHALLENGE that would verify counts before an OPEN was sent. A
/// twin of this world, which was given the address at once, knows it.
#[test]
pub(crate) fn r_hand_resolving_forged() {
    let mut twin = Pair::new(1);
    let tape = twin.tape();
    twin.connect();
    twin.run(Duration::from_secs(1));
    let challenge = tape.kind(CHALLENGE)[0].bytes.clone();

    let mut pair = Pair::new(1);
    let connection = by_name(&mut pair);
    pair.deliver(Side::Client, &challenge);
    pair.deliver_flipped(Side::Client, &challenge, 300);
    assert_eq!(pair.state(Side::Client, connection), Some(State::Resolving));
    assert!(drops_of(&pair, connection).bad_handshake > 1);
    let tape = pair.tape();
    let address = pair.address_for(Side::Client);
    pair.call(Side::Client, |e, now| e.resolved(now, connection, Ok(vec![address]))).unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(connected(&pair.events(Side::Client)), 1);
    assert_eq!(tape.kind(CHALLENGE)[0].bytes, challenge, "the twins are twins");
}

// ---- OPENING ----

/// OPENING, lost; R-HAND-7, R-OPEN-2: the same OPEN by the schedule, until the deadline.
#[test]
pub(crate) fn r_hand_opening_lost() {
    let mut pair = Pair::new(1).link(LinkConfig::down());
    let tape = pair.tape();
    pair.connect_with(options(10));
    pair.run(Duration::from_secs(60));
    let opens = tape.all();
    assert_eq!(millis(&opens), OPEN_TIMES[..14]);
    assert!(opens.iter().all(|open| open.bytes == opens[0].bytes));
    let timeout = ConnectError::Timeout { phase: Phase::Opening };
    assert_eq!(failures(&pair.events(Side::Client)), [timeout]);
}

/// OPENING, lost: a later OPEN gets through, or a later CHALLENGE.
#[test]
pub(crate) fn r_hand_opening_lost_then_through() {
    for lost in [OPEN, CHALLENGE] {
        let mut pair = Pair::new(1);
        let mut left = 4;
        pair.world.add_rule(move |packet| {
            if packet.bytes[0] != lost || left == 0 {
                return Verdict::Pass;
            }
            left -= 1;
            Verdict::Drop
        });
        pair.connect();
        pair.wait(Side::Client, |event| matches!(event, Event::Connected { .. }).then_some(()));
        assert_eq!(pair.world.now().as_nanos() / 1_000_000, 940, "the fifth OPEN, at 900 ms");
    }
}

/// OPENING, repeated: the first CHALLENGE that verifies counts; its copies are dropped and counted.
#[test]
pub(crate) fn r_hand_opening_repeated() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    pair.silence(Side::Server);
    let connection = pair.connect();
    pair.run(Duration::from_millis(50));
    for _ in 0..2 {
        pair.deliver(Side::Client, &tape.kind(CHALLENGE)[0].bytes);
    }
    assert_eq!(drops_of(&pair, connection).bad_handshake, 1);
    pair.unsilence(Side::Server);
    pair.run(Duration::from_secs(3));
    assert_eq!(connected(&pair.events(Side::Client)), 1);
    assert_eq!(connected(&pair.events(Side::Server)), 1);
}

/// OPENING, late: once the attempt is over its ID is unknown, and its CHALLENGE is dropped.
#[test]
pub(crate) fn r_hand_opening_late() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    pair.silence(Side::Server);
    let connection = pair.connect();
    pair.run(Duration::from_secs(11));
    assert_eq!(failures(&pair.events(Side::Client)).len(), 1);
    let challenge = tape.kind(CHALLENGE)[0].bytes.clone();
    let before = client_drops(&pair).unknown_connection;
    pair.deliver(Side::Client, &challenge);
    assert_eq!(client_drops(&pair).unknown_connection, before + 1);
    assert_eq!(pair.state(Side::Client, connection), None);
    assert!(pair.events(Side::Client).is_empty());
    // Nor does it reach the attempt that comes next.
    let next = pair.connect();
    pair.deliver(Side::Client, &challenge);
    assert_eq!(pair.state(Side::Client, next), Some(State::Opening));
}

/// OPENING, reordered: a VERSION before or after a CHALLENGE that failed: both are remembered, and
/// the deadline tells of the one that explains more (R-CHAL-2a).
#[test]
pub(crate) fn r_hand_opening_reordered() {
    let versions = ConnectError::Version { ours: 1, theirs: vec![7, 9] };
    for (reason, error) in [(1, versions), (2, ConnectError::Suite), (3, ConnectError::Identity)] {
        for version_first in [true, false] {
            let mut pair = Pair::new(1);
            let tape = pair.tape();
            pair.silence(Side::Server);
            pair.connect();
            pair.run(Duration::from_millis(50));
            let challenge = tape.kind(CHALLENGE)[0].bytes.clone();
            let broken = flipped(&challenge, challenge.len() - 1);
            let hint = version_hint(&tape.kind(OPEN)[0].bytes, reason);
            let both = if version_first { [&hint, &broken] } else { [&broken, &hint] };
            for packet in both {
                pair.deliver(Side::Client, packet);
            }
            pair.run(Duration::from_secs(11));
            let told = failures(&pair.events(Side::Client));
            assert!(told.len() == 1 && told[0] == error, "{version_first}: {told:?}");
        }
    }
}

/// OPENING, reordered: behind a VERSION and a CHALLENGE that failed the true one still counts.
#[test]
pub(crate) fn r_hand_opening_reordered_then_through() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    pair.silence(Side::Server);
    pair.connect();
    pair.run(Duration::from_millis(50));
    let challenge = tape.kind(CHALLENGE)[0].bytes.clone();
    pair.deliver(Side::Client, &flipped(&challenge, 20));
    for reason in [1, 2, 3] {
        pair.deliver(Side::Client, &version_hint(&tape.kind(OPEN)[0].bytes, reason));
    }
    pair.unsilence(Side::Server);
    pair.deliver(Side::Client, &challenge);
    pair.run(Duration::from_secs(1));
    assert_eq!(connected(&pair.events(Side::Client)), 1);
    assert_eq!(tape.kind(OPEN).len(), 1, "R-VERS-2: nothing was begun anew");
}

/// OPENING, forged: each CHALLENGE is tried on a copy: whatever bit was changed, the true one
/// counts after it; if none follows the deadline says `Identity`.
#[test]
pub(crate) fn r_hand_opening_forged() {
    for true_one in [true, false] {
        let mut pair = Pair::new(1);
        let tape = pair.tape();
        drop_kind(&mut pair, Side::Server, CHALLENGE);
        let connection = pair.connect();
        pair.run(Duration::from_millis(50));
        let challenge = tape.kind(CHALLENGE)[0].bytes.clone();
        pair.deliver_flipped(Side::Client, &challenge, challenge.len() * 8);
        assert_eq!(pair.state(Side::Client, connection), Some(State::Opening));
        let tried = drops_of(&pair, connection).bad_handshake;
        assert_eq!(tried as usize, (challenge.len() - 9) * 8, "all but those of another ID");
        pair.world.clear_rules();
        if true_one {
            pair.deliver(Side::Client, &challenge);
            assert_eq!(pair.state(Side::Client, connection), Some(State::Pinging));
            continue;
        }
        pair.silence_both();
        pair.run(Duration::from_secs(11));
        assert_eq!(failures(&pair.events(Side::Client)), [ConnectError::Identity]);
    }
}

/// OPENING, forged: a CHALLENGE made for another attempt, and one from an address that no OPEN went
/// to, do not count.
#[test]
pub(crate) fn r_hand_opening_forged_of_another_attempt() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    pair.silence(Side::Server);
    let other = pair.connect();
    let one = pair.connect();
    pair.run(Duration::from_millis(50));
    let challenges: Vec<Vec<u8>> = tape.kind(CHALLENGE).into_iter().map(|one| one.bytes).collect();
    let mut crossed = challenges[1].clone();
    crossed[1..9].copy_from_slice(&challenges[0][1..9]);
    pair.deliver(Side::Client, &crossed);
    assert_eq!(pair.state(Side::Client, other), Some(State::Opening));
    let elsewhere = Path::to(SocketAddr::from(([10, 0, 0, 77], 7)));
    pair.deliver_from(Side::Client, elsewhere, &challenges[1]);
    assert_eq!(pair.state(Side::Client, one), Some(State::Opening));
    pair.deliver(Side::Client, &challenges[1]);
    assert_eq!(pair.state(Side::Client, one), Some(State::Pinging));
}

// ---- CHALLENGED ----

/// An attempt in XX, with the server's key before the user, and everything that was sent so far.
fn challenged(deadline_s: u64) -> (Pair, ConnectionHandle, Tape) {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    let connection = pair.connect_with(asking(deadline_s));
    pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
    pair.events(Side::Client);
    assert_eq!(pair.state(Side::Client, connection), Some(State::Challenged));
    (pair, connection, tape)
}

fn trust(pair: &mut Pair, connection: ConnectionHandle) {
    pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
}

/// CHALLENGED, lost: nothing is sent while the user thinks, and the deadline runs on.
#[test]
pub(crate) fn r_hand_challenged_lost() {
    let (mut pair, _, tape) = challenged(10);
    tape.clear();
    pair.run(Duration::from_secs(20));
    assert!(tape.is_empty());
    let timeout = ConnectError::Timeout { phase: Phase::Challenged };
    assert_eq!(failures(&pair.events(Side::Client)), [timeout]);
}

/// CHALLENGED, repeated: another CHALLENGE, or VERSION, changes nothing: one question to the user,
/// one error at the deadline, and trust still leads on.
#[test]
pub(crate) fn r_hand_challenged_repeated() {
    for trusted in [true, false] {
        let (mut pair, connection, tape) = challenged(10);
        let challenge = tape.kind(CHALLENGE)[0].bytes.clone();
        let before = drops_of(&pair, connection).bad_handshake;
        pair.deliver(Side::Client, &challenge);
        assert_eq!(drops_of(&pair, connection).bad_handshake, before + 1);
        for reason in [1, 2, 3] {
            pair.deliver(Side::Client, &version_hint(&tape.kind(OPEN)[0].bytes, reason));
        }
        assert_eq!(pair.state(Side::Client, connection), Some(State::Challenged));
        assert!(pair.events(Side::Client).is_empty());
        if trusted {
            trust(&mut pair, connection);
        }
        pair.run(Duration::from_secs(11));
        let events = pair.events(Side::Client);
        let timeout = ConnectError::Timeout { phase: Phase::Challenged };
        let errors = if trusted { vec![] } else { vec![timeout] };
        assert_eq!((connected(&events), failures(&events)), (usize::from(trusted), errors));
    }
}

/// CHALLENGED, late: trust that comes after the server's half-open died leads to PINGING; the
/// server answers with RESET, and as nothing of the user's was sent the attempt begins anew
/// (R-RESET-2). Nobody is asked for trust again.
#[test]
pub(crate) fn r_hand_challenged_late() {
    let (mut pair, connection, _) = challenged(40);
    pair.run(Duration::from_secs(35));
    pair.events(Side::Client);
    trust(&mut pair, connection);
    assert_eq!(pair.state(Side::Client, connection), Some(State::Pinging));
    pair.run(Duration::from_secs(2));
    let events = pair.events(Side::Client);
    assert_eq!((connected(&events), failures(&events)), (1, vec![]));
    assert!(!events.iter().any(|event| matches!(event, Event::ServerKey { .. })), "{events:?}");
    assert_eq!(connected(&pair.events(Side::Server)), 1);
    assert!(pair.world.machine(pair.server).stats().drops.bad_handshake > 0, "CONFIRM");
}

/// CHALLENGED, reordered and forged: DATA cannot be meant for it, as there is no key yet; it is
/// dropped and counted, and so is a CHALLENGE with any bit changed.
#[test]
pub(crate) fn r_hand_challenged_forged() {
    let (mut pair, connection, tape) = challenged(10);
    let mut data = vec![0x80];
    data.extend_from_slice(&tape.kind(OPEN)[0].bytes[5..13]);
    data.extend_from_slice(&[7; 40]);
    let before = drops_of(&pair, connection).unauthentic;
    pair.forge(Side::Client, &data);
    assert_eq!(drops_of(&pair, connection).unauthentic, before + 1);
    let challenge = tape.kind(CHALLENGE)[0].bytes.clone();
    pair.deliver_flipped(Side::Client, &challenge, 400);
    assert_eq!(pair.state(Side::Client, connection), Some(State::Challenged));
    trust(&mut pair, connection);
    pair.run(Duration::from_secs(1));
    assert_eq!(connected(&pair.events(Side::Client)), 1);
}

// ---- PINGING ----

/// What a client sends in PINGING while nothing of it arrives, each packet's frames with it.
fn pinging_alone(options: ConnectOptions) -> (Pair, ConnectionHandle, Tape, Wiretap) {
    let tap = Wiretap::default();
    let mut pair =
        Pair::with(1, tap.on(Config::client()), Config::public_server(identity("server")));
    let tape = pair.tape();
    let asks = options.server_key.is_none();
    let connection = pair.connect_with(options);
    pair.until(|_| !tape.kind(CHALLENGE).is_empty());
    pair.silence(Side::Client);
    if asks {
        pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
        trust(&mut pair, connection);
    }
    pair.until(|pair| pair.state(Side::Client, connection) == Some(State::Pinging));
    (pair, connection, tape, tap)
}

/// PINGING, lost, R-HAND-5a: a full-sized PING with each probe timeout, until the deadline; then
/// DISCONNECT (11).
#[test]
pub(crate) fn r_hand_pinging_lost() {
    let (mut pair, _, tape, tap) = pinging_alone(options(10));
    pair.run(Duration::from_secs(11));
    let timeout = ConnectError::Timeout { phase: Phase::Pinging };
    assert_eq!(failures(&pair.events(Side::Client)), [timeout]);
    let sent = tape.of(Side::Client);
    let data: Vec<&Taped> = sent.iter().filter(|one| one.is_data()).collect();
    let read: Vec<_> = tap.take().iter().map(|packet| frames::read(&packet.text)).collect();
    assert_eq!(data.len(), read.len());
    let pings = read.iter().take_while(|frames| frames[0].kind == kind::PING).count();
    assert!(pings >= 9, "{pings} in ten seconds, at most one second apart");
    let (token, last) = (read[0][0].fields[0], data[pings - 1].at);
    for (packet, frames) in data.iter().zip(&read).take(pings) {
        assert_eq!(packet.bytes.len(), 1_200);
        assert_eq!(frames[0].fields, [token, 2], "the same token, with fill");
    }
    assert!(Instant::ZERO + Duration::from_secs(10) - last <= Duration::from_secs(1));
    let goodbye = &read[pings][0];
    assert_eq!((goodbye.kind, &goodbye.fields[..]), (kind::DISCONNECT, &[11, 0][..]));
    assert_eq!(data[pings].at, Instant::ZERO + Duration::from_secs(10));
}

/// PINGING, lost, in XX, R-HAND-5a: CONFIRM, the same bytes, goes out before each PING.
#[test]
pub(crate) fn r_hand_pinging_lost_in_xx() {
    let (mut pair, _, tape, _) = pinging_alone(asking(10));
    pair.run(Duration::from_secs(9));
    let sent = tape.of(Side::Client);
    let after_open: Vec<&Taped> = sent.iter().filter(|one| one.bytes[0] != OPEN).collect();
    let confirm = after_open[0];
    let mut confirms = 0;
    for pair in after_open.windows(2) {
        if pair[0].bytes[0] == CONFIRM {
            confirms += 1;
            assert_eq!(pair[0].bytes, confirm.bytes);
            assert!(pair[1].is_data() && pair[1].bytes.len() == 1_200);
            assert_eq!(pair[0].at, pair[1].at);
        }
    }
    assert!(confirms >= 8, "{confirms}");
    pair.unsilence(Side::Client);
    pair.run(Duration::from_secs(2));
    assert_eq!(connected(&pair.events(Side::Client)), 1, "a later one gets through");
}

/// PINGING, lost; R-HAND-6: 15 s of silence end it before a longer deadline does.
#[test]
pub(crate) fn r_hand_pinging_lost_for_long() {
    let (mut pair, _, tape, tap) = pinging_alone(options(60));
    let since = pair.world.now();
    tap.take();
    pair.run(Duration::from_millis(14_900));
    assert!(failures(&pair.events(Side::Client)).is_empty());
    tape.clear();
    pair.run(Duration::from_millis(200));
    let timeout = ConnectError::Timeout { phase: Phase::Pinging };
    assert_eq!(failures(&pair.events(Side::Client)), [timeout]);
    let last = tap.take().pop().unwrap();
    assert_eq!(frames::read(&last.text)[0].fields, [11, 0]);
    assert_eq!(tape.of(Side::Client)[0].at, since + Duration::from_secs(15));
}

/// PINGING, repeated: CHALLENGE and VERSION are dropped, counted, and have no effect.
#[test]
pub(crate) fn r_hand_pinging_repeated() {
    let (mut pair, connection, tape, _) = pinging_alone(options(10));
    let before = drops_of(&pair, connection).bad_handshake;
    let (open, challenge) = (tape.kind(OPEN), tape.kind(CHALLENGE));
    pair.deliver(Side::Client, &challenge[0].bytes);
    pair.deliver(Side::Client, &version_hint(&open[0].bytes, 1));
    assert_eq!(drops_of(&pair, connection).bad_handshake, before + 2);
    assert_eq!(pair.state(Side::Client, connection), Some(State::Pinging));
    pair.run(Duration::from_secs(11));
    let timeout = ConnectError::Timeout { phase: Phase::Pinging };
    assert_eq!(failures(&pair.events(Side::Client)), [timeout], "the hint explains nothing now");
}

/// PINGING, late: the server's half-open is dead when the first DATA comes: silence, and the
/// attempt ends by its own limits; the server never says `Connected`.
#[test]
pub(crate) fn r_hand_pinging_late() {
    let (mut pair, _, tape, _) = pinging_alone(options(60));
    pair.run(Duration::from_secs(31));
    let first = tape.of(Side::Client).into_iter().find(Taped::is_data).unwrap();
    pair.deliver(Side::Server, &first.bytes);
    pair.run(Duration::from_secs(50));
    let timeout = ConnectError::Timeout { phase: Phase::Pinging };
    assert_eq!(failures(&pair.events(Side::Client)), [timeout]);
    assert!(pair.events(Side::Server).is_empty());
    let server = pair.world.machine(pair.server);
    assert_eq!(server.connections(), 0);
    assert!(server.stats().drops.unknown_connection > 0);
}

/// PINGING, reordered, in XX: a PING that overtakes CONFIRM is dropped by the server, counted, and
/// comes again.
#[test]
pub(crate) fn r_hand_pinging_reordered() {
    let mut pair = Pair::new(1);
    pair.world.add_rule(|packet| match packet.bytes[0] {
        CONFIRM => Verdict::Delay(Duration::from_millis(5)),
        _ => Verdict::Pass,
    });
    let connection = pair.connect_with(asking(10));
    pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
    trust(&mut pair, connection);
    pair.run(Duration::from_millis(12));
    assert_eq!(pair.world.machine(pair.server).stats().drops.bad_handshake, 1);
    assert_eq!(connected(&pair.events(Side::Server)), 0);
    pair.run(Duration::from_secs(2));
    assert_eq!(connected(&pair.events(Side::Server)), 1);
    assert_eq!(connected(&pair.events(Side::Client)), 1);
}

/// PINGING, forged: DATA of the server with any bit changed is dropped; READY comes with the true
/// one, unless that holds a DISCONNECT: then the attempt has failed (R-HAND-5b).
#[test]
pub(crate) fn r_hand_pinging_forged() {
    for says_goodbye in [false, true] {
        let tap = Wiretap::default();
        let mut pair =
            Pair::with(1, Config::client(), tap.on(Config::public_server(identity("server"))));
        let tape = pair.tape();
        let connection = pair.connect();
        pair.until(|pair| pair.state(Side::Client, connection) == Some(State::Pinging));
        pair.silence(Side::Server);
        pair.run(Duration::from_millis(25));
        let mut answer = tape.all().into_iter().rfind(Taped::is_data).unwrap().bytes;
        let id = tap.ids()[0];
        if says_goodbye {
            answer = tap.forge(id, &frames::varints(&[kind::DISCONNECT, 8, 0, 0]));
        }
        pair.deliver_flipped(Side::Client, &answer, 500);
        assert_eq!(pair.state(Side::Client, connection), Some(State::Pinging));
        assert!(drops_of(&pair, connection).unauthentic > 0);
        assert!(pair.events(Side::Client).is_empty());
        pair.deliver(Side::Client, &answer);
        let events = pair.events(Side::Client);
        if says_goodbye {
            let refused = ConnectError::Refused { code: Code::BUSY, reason: String::new() };
            assert_eq!((connected(&events), failures(&events)), (0, vec![refused]));
        } else {
            assert_eq!((connected(&events), failures(&events)), (1, vec![]));
        }
    }
}
