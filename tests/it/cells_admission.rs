//! The table of PROTOCOL.md §10.3, cell by cell: the server's rows, HALF-OPEN and SCREENING, and
//! READY on both sides. The client's rows are in `cells_handshake`.

use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Drops, Event, IncomingHandle,
    Order, Screening, State, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration};
use tripline_sim::Verdict;
use tripline_tests::frames::{self, kind};
use tripline_tests::{Hostile, Pair, Side, Tape, Taped, identity};

const OPEN: u8 = 0x01;
const CHALLENGE: u8 = 0x02;
const CONFIRM: u8 = 0x04;

fn connected(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Connected { .. })).count()
}

fn incoming(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Incoming(_))).count()
}

fn drops(pair: &Pair) -> Drops {
    pair.world.machine(pair.server).stats().drops
}

/// In XX the client asks for the server's key.
fn options(xx: bool) -> ConnectOptions {
    let key = (!xx).then(|| identity("server").public_key());
    let deadline = Duration::from_secs(60);
    ConnectOptions { server_key: key, deadline, ..ConnectOptions::default() }
}

/// Begins an attempt, and in XX trusts whatever key is shown, in the moment it is.
fn connect(pair: &mut Pair, xx: bool) -> ConnectionHandle {
    let connection = pair.connect_with(options(xx));
    if xx {
        pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
        pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
    }
    connection
}

/// A half-open of a client that is cut off now: in NK and IK its DATA, in XX CONFIRM and DATA wait
/// on the tape.
fn half_open(seed: u64, xx: bool) -> (Pair, ConnectionHandle, Tape) {
    let mut pair = Pair::new(seed);
    let tape = pair.tape();
    let connection = pair.connect_with(options(xx));
    pair.until(|_| !tape.kind(CHALLENGE).is_empty());
    // What it sends after OPEN does not arrive.
    pair.silence(Side::Client);
    if xx {
        pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));
        pair.call(Side::Client, |e, now| e.trust(now, connection)).unwrap();
    }
    pair.until(|pair| pair.state(Side::Client, connection) == Some(State::Pinging));
    (pair, connection, tape)
}

fn of_kind(tape: &Tape, first: u8) -> Vec<u8> {
    tape.kind(first)[0].bytes.clone()
}

fn first_data(tape: &Tape, side: Side) -> Vec<u8> {
    tape.of(side).into_iter().find(Taped::is_data).unwrap().bytes
}

// ---- HALF-OPEN ----

/// HALF-OPEN, lost: it sends nothing by itself, however long it waits, and dies after 30 s.
#[test]
pub(crate) fn r_hand_half_open_lost() {
    for xx in [false, true] {
        let (mut pair, _, tape) = half_open(1, xx);
        let open = of_kind(&tape, OPEN);
        let challenge = of_kind(&tape, CHALLENGE);
        pair.silence_both();
        tape.clear();
        pair.run(Duration::from_millis(29_900));
        assert!(tape.of(Side::Server).is_empty());
        pair.deliver(Side::Server, &open);
        assert_eq!(of_kind(&tape, CHALLENGE), challenge, "it lives");
        pair.run(Duration::from_millis(200));
        tape.clear();
        assert_eq!(pair.world.machine(pair.server).poll_timeout(), None, "it is dead");
        pair.deliver(Side::Server, &open);
        assert_ne!(of_kind(&tape, CHALLENGE), challenge, "another one");
        assert_eq!(connected(&pair.events(Side::Server)), 0);
    }
}

/// HALF-OPEN, lost: CHALLENGE was lost, OPEN comes again, and the same CHALLENGE goes out.
#[test]
pub(crate) fn r_hand_half_open_lost_then_through() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    let mut lost = 3;
    pair.world.add_rule(move |packet| {
        if packet.bytes[0] == CHALLENGE && lost > 0 {
            lost -= 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    pair.connect();
    pair.run(Duration::from_secs(2));
    assert_eq!(connected(&pair.events(Side::Client)), 1);
    let challenges = tape.kind(CHALLENGE);
    assert_eq!(challenges.len(), 4);
    assert!(challenges.iter().all(|one| one.bytes == challenges[0].bytes));
    assert_eq!(pair.world.machine(pair.server).stats().opens_accepted, 1);
}

/// HALF-OPEN, repeated: CONFIRM twice makes one connection; after a refusal the same CONFIRM gets
/// the same refusal again (R-CHAL-1b).
#[test]
pub(crate) fn r_hand_half_open_repeated() {
    let mut pair = Pair::new(1);
    let tape = pair.tape();
    connect(&mut pair, true);
    pair.wait(Side::Server, |event| matches!(event, Event::Connected { .. }).then_some(()));
    pair.deliver(Side::Server, &of_kind(&tape, CONFIRM));
    pair.run(Duration::from_secs(1));
    assert_eq!(connected(&pair.events(Side::Server)), 1);
    assert_eq!(connected(&pair.events(Side::Client)), 1);
    assert_eq!(drops(&pair).bad_handshake, 1);

    let (mut pair, _, tape, ticket) = screening(true);
    pair.call(Side::Server, |e, now| e.refuse(now, ticket, Code::application(1), "no")).unwrap();
    let (refusal, confirm) = (first_data(&tape, Side::Server), of_kind(&tape, CONFIRM));
    tape.clear();
    for _ in 0..3 {
        pair.deliver(Side::Server, &confirm);
    }
    let again: Vec<Vec<u8>> = tape.of(Side::Server).into_iter().map(|one| one.bytes).collect();
    assert_eq!(again, vec![refusal; 3]);
    assert_eq!(incoming(&pair.events(Side::Server)), 0);
}

/// HALF-OPEN, late: DATA or CONFIRM after its death: the ID is unknown, nothing happens.
#[test]
pub(crate) fn r_hand_half_open_late() {
    for xx in [false, true] {
        let (mut pair, _, tape) = half_open(1, xx);
        let late = if xx { of_kind(&tape, CONFIRM) } else { first_data(&tape, Side::Client) };
        pair.silence_both();
        pair.run(Duration::from_secs(31));
        tape.clear();
        let before = drops(&pair);
        pair.deliver(Side::Server, &late);
        let after = drops(&pair);
        let counted = if xx {
            after.bad_handshake - before.bad_handshake
        } else {
            after.unknown_connection - before.unknown_connection
        };
        assert_eq!(counted, 1);
        assert!(pair.events(Side::Server).is_empty());
        // R-RESET-1: DATA for an ID of ours is told that it is no more.
        let answers: Vec<u8> = tape.of(Side::Server).iter().map(|one| one.bytes[0]).collect();
        assert_eq!(answers, if xx { vec![] } else { vec![0x06] });
        assert_eq!(pair.world.machine(pair.server).connections(), 0);
    }
}

/// HALF-OPEN, reordered, in XX: DATA before CONFIRM is dropped and counted; the entry stays, and
/// CONFIRM then connects.
#[test]
pub(crate) fn r_hand_half_open_reordered() {
    let (mut pair, _, tape) = half_open(1, true);
    pair.deliver(Side::Server, &first_data(&tape, Side::Client));
    assert_eq!(drops(&pair).bad_handshake, 1);
    assert!(pair.events(Side::Server).is_empty());
    pair.deliver(Side::Server, &of_kind(&tape, CONFIRM));
    assert_eq!(connected(&pair.events(Side::Server)), 1);
}

/// HALF-OPEN, forged: CONFIRM or DATA with any bit changed, or of another attempt, is dropped and
/// the entry stays: the true one connects.
#[test]
pub(crate) fn r_hand_half_open_forged() {
    for xx in [false, true] {
        let (mut pair, _, tape) = half_open(1, xx);
        let packet = if xx { of_kind(&tape, CONFIRM) } else { first_data(&tape, Side::Client) };
        pair.deliver_flipped(Side::Server, &packet, 800);
        let of_another = {
            let (_, _, tape) = half_open(2, xx);
            let mut other =
                if xx { of_kind(&tape, CONFIRM) } else { first_data(&tape, Side::Client) };
            other[1..9].copy_from_slice(&packet[1..9]);
            other
        };
        pair.forge(Side::Server, &of_another);
        assert!(pair.events(Side::Server).is_empty());
        assert_eq!(pair.world.machine(pair.server).connections(), 0);
        let counted = drops(&pair);
        let most = 800.min(packet.len() as u64 * 8) * 5 / 8;
        assert!(counted.bad_handshake + counted.unauthentic > most, "{counted:?}");
        pair.deliver(Side::Server, &packet);
        assert_eq!(connected(&pair.events(Side::Server)), 1);
    }
}

// ---- SCREENING ----

/// A server whose user is being asked about a client, and everything that was sent so far.
fn screening(xx: bool) -> (Pair, ConnectionHandle, Tape, IncomingHandle) {
    let mut server = Config::public_server(identity("server"));
    server.server.as_mut().unwrap().screening = Screening::Ask;
    let mut pair = Pair::with(1, Config::client(), server);
    let tape = pair.tape();
    let connection = connect(&mut pair, xx);
    let ticket = pair.wait(Side::Server, |event| match event {
        Event::Incoming(incoming) => Some(incoming.handle),
        _ => None,
    });
    pair.events(Side::Server);
    (pair, connection, tape, ticket)
}

fn accept(pair: &mut Pair, ticket: IncomingHandle) -> bool {
    pair.call(Side::Server, |e, now| e.accept(now, ticket)).is_ok()
}

/// SCREENING, lost: an accepting CHALLENGE that is lost is a CHALLENGE like any: OPEN brings it
/// again, and nobody is asked twice.
#[test]
pub(crate) fn r_hand_screening_lost() {
    let (mut pair, _, tape, ticket) = screening(false);
    let mut lost = 2;
    pair.world.add_rule(move |packet| {
        if packet.bytes[0] == CHALLENGE && lost > 0 {
            lost -= 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    assert!(accept(&mut pair, ticket));
    pair.run(Duration::from_secs(2));
    let events = pair.events(Side::Server);
    assert_eq!((connected(&events), incoming(&events)), (1, 0));
    let challenges = tape.kind(CHALLENGE);
    assert_eq!(challenges.len(), 3);
    assert!(challenges.iter().all(|one| one.bytes == challenges[0].bytes));
}

/// SCREENING, lost: a refusal before CONFIRM leaves no state: when it is lost, the same OPEN is a
/// new client and the user is asked again (R-CHAL-1a); after CONFIRM the same refusal comes again
/// (R-CHAL-1b).
#[test]
pub(crate) fn r_hand_screening_lost_refusal() {
    for xx in [false, true] {
        let (mut pair, _, _, ticket) = screening(xx);
        let server = Some(pair.server);
        let mut lost = 1;
        pair.world.add_rule(move |packet| {
            if packet.from == server && lost > 0 {
                lost -= 1;
                return Verdict::Drop;
            }
            Verdict::Pass
        });
        let code = Code::application(1);
        pair.call(Side::Server, |e, now| e.refuse(now, ticket, code, "no")).unwrap();
        if !xx {
            let ticket = pair.wait(Side::Server, |event| match event {
                Event::Incoming(incoming) => Some(incoming.handle),
                _ => None,
            });
            pair.call(Side::Server, |e, now| e.refuse(now, ticket, code, "no")).unwrap();
        }
        pair.run(Duration::from_secs(3));
        let refused = ConnectError::Refused { code, reason: "no".into() };
        let told = pair.events(Side::Client).into_iter().filter_map(|event| match event {
            Event::Failed { error, .. } => Some(error),
            _ => None,
        });
        assert_eq!(told.collect::<Vec<_>>(), [refused], "{xx}");
        assert_eq!(incoming(&pair.events(Side::Server)), usize::from(!xx));
    }
}

/// SCREENING, repeated: OPEN (in XX CONFIRM too) comes again while the user thinks: dropped and
/// counted, and the user is asked once.
#[test]
pub(crate) fn r_hand_screening_repeated() {
    for xx in [false, true] {
        let (mut pair, _, tape, ticket) = screening(xx);
        let before = drops(&pair);
        pair.deliver(Side::Server, &of_kind(&tape, OPEN));
        if xx {
            pair.deliver(Side::Server, &of_kind(&tape, CONFIRM));
        }
        tape.clear();
        pair.run(Duration::from_secs(5));
        let after = drops(&pair);
        assert!(after.replayed > before.replayed);
        assert_eq!(after.bad_handshake > before.bad_handshake, xx, "CONFIRM and PING again");
        assert_eq!(incoming(&pair.events(Side::Server)), 0);
        assert!(tape.of(Side::Server).is_empty(), "no answer before the user's");
        assert!(accept(&mut pair, ticket));
        pair.run(Duration::from_secs(2));
        assert_eq!(connected(&pair.events(Side::Client)), 1);
        assert_eq!(connected(&pair.events(Side::Server)), 1);
    }
}

/// SCREENING, late: an answer after 30 s is an error to the user, accept or refusal, and nobody
/// hears of it.
#[test]
pub(crate) fn r_hand_screening_late() {
    for xx in [false, true] {
        let (mut pair, connection, tape, ticket) = screening(xx);
        pair.call(Side::Client, |e, now| e.kill(now, connection)).unwrap();
        let left = Duration::from_secs(30) - Duration::from_nanos(pair.world.now().as_nanos());
        pair.run(left - Duration::from_millis(1));
        let (mut twin, _, _, twin_ticket) = screening(xx);
        twin.run(left - Duration::from_millis(1));
        assert!(accept(&mut twin, twin_ticket), "in time");
        pair.run(Duration::from_millis(40));
        tape.clear();
        let code = Code::application(1);
        assert!(pair.call(Side::Server, |e, now| e.refuse(now, ticket, code, "")).is_err());
        assert!(!accept(&mut pair, ticket));
        assert!(tape.of(Side::Server).is_empty());
        assert_eq!(connected(&pair.events(Side::Server)), 0);
    }
}

/// SCREENING, reordered, in XX: DATA comes while the user thinks: dropped and counted; it comes
/// again after the accept.
#[test]
pub(crate) fn r_hand_screening_reordered() {
    let (mut pair, connection, tape, ticket) = screening(true);
    pair.run(Duration::from_millis(20));
    let before = drops(&pair).bad_handshake;
    pair.deliver(Side::Server, &first_data(&tape, Side::Client));
    assert_eq!(drops(&pair).bad_handshake, before + 1);
    let stream = pair.open(Side::Client, connection, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, connection, stream, b"early");
    pair.run(Duration::from_secs(1));
    assert!(accept(&mut pair, ticket));
    let server = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    pair.run(Duration::from_secs(3));
    assert_eq!(pair.messages(Side::Server, server, stream), [b"early"]);
}

/// SCREENING, forged: OPEN, CONFIRM and DATA with any bit changed are dropped; the user is asked
/// about nobody else, and the ticket stays good.
#[test]
pub(crate) fn r_hand_screening_forged() {
    for xx in [false, true] {
        let (mut pair, _, tape, ticket) = screening(xx);
        pair.run(Duration::from_millis(20));
        let packets = tape.of(Side::Client);
        for packet in &packets {
            // Behind the mac1 of OPEN there are zeros only, and they are checked, too.
            pair.deliver_flipped(Side::Server, &packet.bytes, 600);
        }
        assert_eq!(incoming(&pair.events(Side::Server)), 0);
        assert!(accept(&mut pair, ticket));
        pair.run(Duration::from_secs(2));
        assert_eq!(connected(&pair.events(Side::Client)), 1);
    }
}

// ---- READY ----

/// READY, repeated: OPEN, while its hash is known, CHALLENGE and CONFIRM are dropped and counted;
/// nothing is answered, and there is one connection.
#[test]
pub(crate) fn r_hand_ready_repeated() {
    for xx in [false, true] {
        let mut pair = Pair::new(1);
        let tape = pair.tape();
        let client = connect(&mut pair, xx);
        pair.run(Duration::from_secs(1));
        pair.events(Side::Client);
        pair.events(Side::Server);
        let (open, challenge) = (of_kind(&tape, OPEN), of_kind(&tape, CHALLENGE));
        let confirm = tape.kind(CONFIRM).first().map(|one| one.bytes.clone());
        tape.clear();
        pair.run(Duration::from_secs(20));
        let before = drops(&pair);
        pair.deliver(Side::Server, &open);
        pair.deliver(Side::Client, &challenge);
        if let Some(confirm) = confirm {
            pair.deliver(Side::Server, &confirm);
        }
        let after = drops(&pair);
        assert_eq!(after.replayed - before.replayed, 1);
        assert_eq!(after.bad_handshake - before.bad_handshake, u64::from(xx));
        let stats = pair.world.machine(pair.client).connection_stats(client).unwrap();
        assert_eq!(stats.drops.bad_handshake, 1);
        assert!(tape.is_empty());
        assert!(pair.events(Side::Client).is_empty() && pair.events(Side::Server).is_empty());
        assert_eq!(pair.world.machine(pair.server).connections(), 1);
    }
}

/// READY, late: once the hash is forgotten the OPEN makes a half-open that dies, as no DATA can
/// follow: its CHALLENGE is dropped by the client, which is READY.
#[test]
pub(crate) fn r_hand_ready_late() {
    let mut client = Config::client();
    client.transport.keep_alive = Duration::from_secs(5);
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")));
    let tape = pair.tape();
    let (client, server) = pair.connected();
    let open = of_kind(&tape, OPEN);
    pair.run(Duration::from_secs(61));
    pair.events(Side::Client);
    pair.events(Side::Server);
    pair.deliver(Side::Server, &open);
    pair.run(Duration::from_secs(40));
    assert_eq!(tape.kind(CHALLENGE).len(), 2, "it was answered");
    let stats = pair.world.machine(pair.client).connection_stats(client).unwrap();
    assert_eq!(stats.drops.bad_handshake, 1, "and the answer dropped");
    assert_eq!(pair.world.machine(pair.server).connections(), 1);
    assert!(pair.events(Side::Server).is_empty() && pair.events(Side::Client).is_empty());
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
}

/// READY, reordered; R-DATA-3b: a packet is taken up to 4,095 numbers behind the largest, and
/// dropped from 4,096 on.
#[test]
pub(crate) fn r_hand_ready_reordered() {
    let mut peer = Hostile::client(1);
    let low = peer.next_number();
    let high = low + 5_000;
    peer.write_numbered(high, &[0]);
    let before = peer.stats();
    peer.write_numbered(high - 4_095, &frames::ping(1, false));
    assert_eq!(peer.read_kind(kind::PONG).len(), 1, "in the window");
    peer.write_numbered(high - 4_096, &frames::ping(2, false));
    peer.write_numbered(low, &frames::ping(3, false));
    assert!(peer.read_kind(kind::PONG).is_empty(), "behind it");
    let after = peer.stats();
    assert_eq!(after.drops.replayed - before.drops.replayed, 2);
    assert_eq!(after.packets_received - before.packets_received, 1);
    assert_eq!(peer.state(), Some(State::Ready));
}

/// READY, forged: a packet with any bit changed is dropped, and counted under the key of its
/// connection, or, where the ID was hit, by the endpoint. A forged number moves no window.
#[test]
pub(crate) fn r_hand_ready_forged() {
    let mut peer = Hostile::client(1);
    let packet = peer.seal(&frames::ping(1, false));
    let bits = packet.len() * 8;
    let before = (peer.stats().drops, drops(&peer.pair));
    peer.pair.deliver_flipped(Side::Server, &packet, bits);
    let after = (peer.stats().drops, drops(&peer.pair));
    let ours = after.0.unauthentic - before.0.unauthentic + after.0.replayed - before.0.replayed;
    let strangers = after.1.unknown_connection - before.1.unknown_connection;
    let malformed = after.1.malformed - before.1.malformed;
    assert_eq!((malformed, strangers), (7, 64), "the first byte but for its L; the ID");
    assert_eq!(ours as usize, bits - 71);
    assert!(peer.read().is_empty() && peer.events().is_empty());
    peer.pair.deliver(Side::Server, &packet);
    assert_eq!(peer.read_kind(kind::PONG).len(), 1, "the true one still counts");
}
