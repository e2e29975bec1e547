//! The table of PROTOCOL.md §10.5, cell by cell: what a connection that ends does about packets
//! that are lost, repeated, late, crossing or forged. The close itself (R-CLOSE-1, R-CLOSE-3) is
//! here too, as it is made of these cells.

use std::cell::RefCell;
use std::rc::Rc;
use tripline::{By, Code, Config, ConnectionHandle, Event, Order, State, StreamOptions};
use tripline_sansio::{Duration, Instant};
use tripline_sim::Verdict;
use tripline_tests::frames::{self, Frame, kind, varints};
use tripline_tests::{Hostile, Pair, Side, Wiretap, identity};

/// DISCONNECT (0), nothing more to say.
const BYE: [u64; 4] = [kind::DISCONNECT, 0, 0, 0];
/// What a server waits before it takes part in a round trip: more than any probe timeout here.
const LONG: Duration = Duration::from_secs(30);

/// NOTIFY with code 0 and no text.
fn notify(deadline_ms: u64) -> Vec<u8> {
    varints(&[kind::NOTIFY, 0, deadline_ms, 0])
}

fn close(pair: &mut Pair, side: Side, connection: ConnectionHandle, grace: Duration) {
    pair.call(side, |e, now| e.close(now, connection, grace, Code::NONE, "")).unwrap();
}

fn ends(events: &[Event]) -> Vec<&Event> {
    let is_end = |event: &&Event| matches!(event, Event::Closed { .. } | Event::Lost { .. });
    events.iter().filter(is_end).collect()
}

fn leavings(events: &[Event]) -> Vec<Duration> {
    let graces = events.iter().filter_map(|event| match event {
        Event::Leaving { grace, .. } => Some(*grace),
        _ => None,
    });
    graces.collect()
}

/// The deadlines of the NOTIFYs that a tap saw, in milliseconds.
fn notified(tap: &Wiretap) -> Vec<u64> {
    let frames = tap.take().into_iter().flat_map(|packet| frames::read(&packet.text));
    frames.filter(|frame| frame.kind == kind::NOTIFY).map(|frame| frame.fields[1]).collect()
}

/// Two honest sides, the client's packets open to the test.
fn tapped(seed: u64) -> (Pair, Wiretap, ConnectionHandle, ConnectionHandle) {
    let tap = Wiretap::default();
    let mut pair =
        Pair::with(seed, tap.on(Config::client()), Config::public_server(identity("server")));
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(1));
    pair.events(Side::Client);
    pair.events(Side::Server);
    tap.take();
    (pair, tap, client, server)
}

/// A hostile client that has heard the server's DISCONNECT, just now.
fn closing() -> Hostile {
    let mut peer = Hostile::client(1);
    let connection = peer.connection;
    close(&mut peer.pair, Side::Server, connection, Duration::ZERO);
    assert_eq!(peer.read_kind(kind::DISCONNECT).len(), 1);
    assert_eq!(peer.state(), Some(State::Closing));
    assert_eq!(ends(&peer.events()).len(), 1);
    peer
}

/// A hostile client that has sent DISCONNECT, and had its answer.
fn draining() -> Hostile {
    let mut peer = Hostile::client(1);
    peer.write(&varints(&BYE));
    let answers = peer.read();
    let answer = Frame { kind: kind::DISCONNECT, fields: vec![0, 0], data: Vec::new() };
    assert_eq!(answers, [answer], "one answer, DISCONNECT (0)");
    let events = peer.events();
    assert!(matches!(ends(&events)[..], [Event::Closed { by: By::Peer, .. }]), "{events:?}");
    peer
}

// ---- LEAVING ----

/// LEAVING, lost: NOTIFY comes again, with the same deadline, until it arrives.
#[test]
pub(crate) fn r_close_leaving_lost() {
    let tap = Wiretap::default();
    let mut server = Config::public_server(identity("server"));
    server.transport.stream_credit = 0; // as little as a message needs
    let mut pair = Pair::with(1, tap.on(Config::client()), server);
    let (client, server) = pair.connected();
    // Nobody reads: two messages are left to send, and the client stays in LEAVING.
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    for _ in 0..3 {
        pair.send(Side::Client, client, stream, &[1; 250_000]);
    }
    pair.run(Duration::from_secs(5));
    pair.events(Side::Server);
    let lost = Rc::new(RefCell::new(0));
    let (count, host) = (lost.clone(), Some(pair.client));
    pair.world.add_rule(move |packet| {
        if packet.from == host && *count.borrow() < 3 {
            *count.borrow_mut() += 1;
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    tap.take();
    close(&mut pair, Side::Client, client, Duration::from_secs(20));
    assert_eq!(*lost.borrow(), 1);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.state(Side::Server, server), Some(State::Leaving));
    assert_eq!(leavings(&pair.events(Side::Server)), [Duration::from_secs(20)]);
    assert_eq!(notified(&tap), [20_000; 2]);
}

/// LEAVING, lost: a NOTIFY with a deadline is not sent again once one with 0 went out, which says
/// more; that one is.
#[test]
pub(crate) fn r_close_leaving_lost_superseded() {
    let mut peer = Hostile::client(1);
    let connection = peer.connection;
    let stream = peer.pair.open(Side::Server, connection, StreamOptions::one_way(Order::Ordered));
    peer.pair.send(Side::Server, connection, stream, b"one packet");
    let mut heard = peer.read_numbers();
    close(&mut peer.pair, Side::Server, connection, Duration::from_secs(20));
    let notices = |packets: &[(u64, Vec<Frame>)]| -> Vec<u64> {
        let frames = packets.iter().flat_map(|(_, frames)| frames);
        frames.filter(|one| one.kind == kind::NOTIFY).map(|one| one.fields[1]).collect()
    };
    assert_eq!(notices(&peer.read_numbered()), [20_000], "lost: it is never acknowledged");
    peer.write(&frames::ack(heard.clone()));
    let done = peer.read_numbered();
    assert_eq!(notices(&done), [0], "all is said");
    heard.extend(done.iter().map(|(number, _)| *number));
    for token in 0..4 {
        peer.write(&frames::ping(token, false));
        heard.extend(peer.read_numbers());
    }
    peer.write(&frames::ack(heard));
    assert_eq!(peer.stats().packets_lost, 1);
    peer.run(Duration::from_secs(3));
    assert_eq!(notices(&peer.read_numbered()), [0; 0]);
    assert_eq!(peer.state(), Some(State::Leaving), "the peer has not said 0 yet");

    // The same, but what is lost is the 0.
    let mut peer = Hostile::client(1);
    let connection = peer.connection;
    close(&mut peer.pair, Side::Server, connection, Duration::from_secs(20));
    assert_eq!(notices(&peer.read_numbered()), [0], "nothing was left to send");
    peer.lose();
    assert_eq!(notices(&peer.read_numbered()), [0]);
}

/// R-CLOSE-3: a first NOTIFY with 0 sets no deadline and ends in order.
#[test]
pub(crate) fn r_close_leaving_lost_deadline() {
    let (mut pair, tap, client, _) = tapped(2);
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, &[1; 100]);
    // The packet with the deadline is lost, and by the time that shows all is said.
    let (drop_next, host) = (Rc::new(RefCell::new(true)), Some(pair.client));
    pair.world.add_rule(move |packet| {
        if packet.from == host && std::mem::take(&mut *drop_next.borrow_mut()) {
            return Verdict::Drop;
        }
        Verdict::Pass
    });
    close(&mut pair, Side::Client, client, Duration::from_secs(20));
    pair.run(Duration::from_secs(5));
    assert_eq!(notified(&tap), [20_000, 0]);
    let events = pair.events(Side::Server);
    assert_eq!(leavings(&events), [Duration::ZERO]);
    assert!(matches!(ends(&events)[..], [Event::Closed { by: By::Peer, .. }]));
}

/// LEAVING, repeated; R-CLOSE-3: the first NOTIFY says the deadline, whether the next ones say
/// less or more; the user hears of it once.
#[test]
pub(crate) fn r_close_leaving_repeated() {
    for later in [1_000, 5_000, 60_000] {
        let mut peer = Hostile::client(1);
        let began = peer.pair.world.now();
        peer.write(&notify(5_000));
        peer.write(&notify(later));
        assert_eq!(peer.state(), Some(State::Leaving));
        peer.run(Duration::from_millis(4_999));
        assert_eq!(peer.state(), Some(State::Leaving), "{later}");
        peer.run(Duration::from_millis(1));
        assert_eq!(peer.state(), Some(State::Closing), "{later}: at {began:?} and 5 s");
        let events = peer.events();
        assert_eq!(leavings(&events), [Duration::from_secs(5)]);
        assert!(matches!(
            ends(&events)[..],
            [Event::Closed { by: By::Peer, code: Code::NONE, .. }]
        ));
        assert_eq!(peer.read_kind(kind::DISCONNECT)[0].fields, [0, 0], "choice 25 of §13");
    }
}

/// LEAVING, crossing; R-CLOSE-3: both leave, and the earlier deadline holds, on whichever side it
/// was set first.
#[test]
pub(crate) fn r_close_leaving_crossing() {
    for (ours, theirs, theirs_first) in
        [(8, 3, false), (3, 8, false), (8, 3, true), (3, 8, true), (5, 5, true)]
    {
        let mut peer = Hostile::client(1);
        let connection = peer.connection;
        let unfinished = StreamOptions::one_way(Order::Ordered);
        let stream = peer.pair.open(Side::Server, connection, unfinished);
        peer.pair.send(Side::Server, connection, stream, b"never acknowledged");
        if theirs_first {
            peer.write(&notify(theirs * 1_000));
        }
        close(&mut peer.pair, Side::Server, connection, Duration::from_secs(ours));
        if !theirs_first {
            peer.write(&notify(theirs * 1_000));
        }
        let sooner = ours.min(theirs) * 1_000;
        peer.run(Duration::from_millis(sooner - 1));
        assert_eq!(peer.state(), Some(State::Leaving), "{ours} {theirs} {theirs_first}");
        peer.run(Duration::from_millis(1));
        assert_eq!(peer.state(), Some(State::Closing), "{ours} {theirs} {theirs_first}");
    }
}

/// LEAVING, reordered; R-CLOSE-3: a NOTIFY with 0 that overtook the one with the deadline sets
/// none, and neither does the late one; it still counts as the peer's 0.
#[test]
pub(crate) fn r_close_leaving_reordered() {
    let mut peer = Hostile::client(1);
    peer.write(&notify(0));
    assert_eq!(peer.state(), Some(State::Leaving));
    peer.write(&notify(2_000));
    peer.run(Duration::from_secs(10));
    peer.acknowledge();
    assert_eq!(peer.state(), Some(State::Leaving), "no deadline: not after 2 s either");
    let events = peer.events();
    assert_eq!(leavings(&events), [Duration::ZERO]);
    assert!(ends(&events).is_empty());
    // The peer has nothing left, and so have we: our own close ends it at once.
    let connection = peer.connection;
    close(&mut peer.pair, Side::Server, connection, Duration::from_secs(9));
    assert_eq!(peer.state(), Some(State::Closing));
}

/// LEAVING, forged: neither a NOTIFY nor a DISCONNECT with one changed bit moves anything.
#[test]
pub(crate) fn r_close_leaving_forged() {
    let mut peer = Hostile::client(1);
    for frames in [notify(1_000), varints(&BYE)] {
        let packet = peer.seal(&frames);
        peer.pair.deliver_flipped(Side::Server, &packet, 400);
        assert_eq!(peer.state(), Some(State::Ready));
        assert!(peer.events().is_empty() && peer.read().is_empty());
    }
    peer.write(&notify(5_000));
    peer.events();
    for frames in [notify(0), varints(&BYE)] {
        let packet = peer.seal(&frames);
        peer.pair.deliver_flipped(Side::Server, &packet, 400);
    }
    assert_eq!(peer.state(), Some(State::Leaving));
    assert!(peer.events().is_empty());
    assert!(peer.stats().drops.unauthentic > 0);
}

// ---- CLOSING ----

/// CLOSING, lost; R-CLOSE-1: DISCONNECT is repeated 1, 3 and 7 probe timeouts after the first, and
/// after ten the closer is gone, though no answer ever came.
#[test]
pub(crate) fn r_close_closing_lost() {
    let (mut pair, _, client, _) = tapped(1);
    let tape = pair.tape();
    pair.silence_both();
    let began = pair.world.now();
    close(&mut pair, Side::Client, client, Duration::ZERO);
    assert_eq!(ends(&pair.events(Side::Client)).len(), 1, "R-CLOSE-1a: told when it begins");
    let mut gone = None;
    while gone.is_none() {
        assert!(pair.world.step().is_some(), "the closer never ends");
        if pair.state(Side::Client, client).is_none() {
            gone = Some(pair.world.now());
        }
    }
    let after = |at: Instant| (at - began).as_nanos();
    let times: Vec<u128> = tape.of(Side::Client).iter().map(|one| after(one.at)).collect();
    assert_eq!(times.len(), 4);
    let pto = times[1];
    assert!((50_000_000..400_000_000).contains(&pto), "{pto} ns for a round trip of 20 ms");
    assert_eq!(times, [0, pto, 3 * pto, 7 * pto]);
    assert_eq!(gone.map(after), Some(10 * pto));
    assert_eq!(pair.events(Side::Client), [Event::Drained { connection: client }]);
}

/// CLOSING, repeated: a DISCONNECT of the peer ends it; no answer is sent to that, nor to a second
/// one.
#[test]
pub(crate) fn r_close_closing_repeated() {
    let mut peer = closing();
    peer.write(&varints(&BYE));
    assert_eq!(peer.state(), None);
    peer.write(&varints(&BYE));
    peer.run(LONG);
    assert!(peer.read().is_empty());
    assert_eq!(peer.events(), [Event::Drained { connection: peer.connection }]);
}

/// CLOSING, late; R-CLOSE-1: any packet that verifies is a stray, and the 1st, 2nd, 4th, 8th … is
/// answered, whatever it holds.
#[test]
pub(crate) fn r_close_closing_late() {
    let mut peer = closing();
    let strays = [frames::ping(1, false), frames::stream(0b0110, 0, b"late"), vec![0], vec![0x3f]];
    let mut answered = Vec::new();
    for number in 1..=70_usize {
        peer.write(&strays[number % strays.len()]);
        let frames = peer.read();
        assert!(frames.iter().all(|frame| frame.kind == kind::DISCONNECT), "{frames:?}");
        if !frames.is_empty() {
            answered.push(number);
        }
    }
    assert_eq!(answered, [1, 2, 4, 8, 16, 32, 64]);
    assert_eq!(peer.stats().drops.closing, 70);
    assert!(peer.events().is_empty(), "nothing of them takes effect");
}

/// CLOSING, crossing: both sides close at once; the other's DISCONNECT is the answer, and no more
/// than two packets are sent in all.
#[test]
pub(crate) fn r_close_closing_crossing() {
    let (mut pair, _, client, server) = tapped(1);
    let tape = pair.tape();
    close(&mut pair, Side::Client, client, Duration::ZERO);
    close(&mut pair, Side::Server, server, Duration::ZERO);
    pair.run(Duration::from_millis(15));
    assert_eq!(pair.state(Side::Client, client), None);
    assert_eq!(pair.state(Side::Server, server), None);
    pair.run(LONG);
    assert_eq!(tape.len(), 2);
    for side in [Side::Client, Side::Server] {
        let events = pair.events(side);
        let once = matches!(events[..], [Event::Closed { by: By::Us, .. }, Event::Drained { .. }]);
        assert!(once, "{events:?}");
    }
}

/// CLOSING, forged: a DISCONNECT that does not verify ends nothing, and is no stray.
#[test]
pub(crate) fn r_close_closing_forged() {
    let mut peer = closing();
    let packet = peer.seal(&varints(&BYE));
    peer.pair.deliver_flipped(Side::Server, &packet, 400);
    assert_eq!(peer.state(), Some(State::Closing));
    assert!(peer.read().is_empty());
    assert_eq!(peer.stats().drops.closing, 0);
    assert!(peer.stats().drops.unauthentic > 0);
}

// ---- DRAINING ----

/// DRAINING, lost; R-CLOSE-1: the answer is not repeated, and after three probe timeouts it is
/// over. The closer, which never had it, comes to its own end by its clock.
#[test]
pub(crate) fn r_close_draining_lost() {
    let (mut pair, _, client, server) = tapped(1);
    let tape = pair.tape();
    pair.silence(Side::Server);
    close(&mut pair, Side::Client, client, Duration::ZERO);
    pair.run(LONG);
    let data = |side| tape.of(side).into_iter().filter(|one| one.bytes[0] >= 0x80).count();
    assert_eq!(data(Side::Server), 1, "its answer, once; a RESET when it is gone");
    let sent = tape.of(Side::Client);
    assert_eq!(sent.len(), 4, "the first and three repeats");
    assert_eq!(pair.state(Side::Client, client), None);
    assert_eq!(pair.state(Side::Server, server), None);
    assert_eq!(ends(&pair.events(Side::Server)).len(), 1);
}

/// DRAINING, repeated and late; R-CLOSE-1: silence, for three probe timeouts; then the connection
/// is gone.
#[test]
pub(crate) fn r_close_draining_repeated() {
    let mut peer = draining();
    let began = peer.pair.world.now();
    for frames in [varints(&BYE), varints(&[kind::DISCONNECT, 7, 0, 0]), frames::ping(1, true)] {
        peer.write(&frames);
        peer.write(&frames);
    }
    assert!(peer.read().is_empty() && peer.events().is_empty());
    assert_eq!(peer.stats().drops.closing, 6);
    while peer.state().is_some() {
        assert!(peer.pair.world.step().is_some(), "draining never ends");
    }
    let took = (peer.pair.world.now() - began).as_millis();
    assert!((150..1_200).contains(&took), "three probe timeouts: {took} ms");
    assert!(peer.read().is_empty());
    assert_eq!(peer.events(), [Event::Drained { connection: peer.connection }]);
}

/// DRAINING, late: data that was sent before the DISCONNECT and comes after it is not delivered.
#[test]
pub(crate) fn r_close_draining_late() {
    let mut peer = Hostile::client(1);
    let late = peer.seal(&frames::stream(0b0110, 0, &[3, b'o', b'n', b'e']));
    peer.write(&varints(&BYE));
    peer.read();
    peer.events();
    peer.pair.deliver(Side::Server, &late);
    assert!(peer.read().is_empty() && peer.events().is_empty());
    assert_eq!(peer.stats().drops.closing, 1);
}

/// DRAINING, forged: dropped, and the end is no later for it.
#[test]
pub(crate) fn r_close_draining_forged() {
    let mut peer = draining();
    let mut twin = draining();
    let packet = peer.seal(&varints(&BYE));
    peer.run(Duration::from_millis(10));
    peer.pair.deliver_flipped(Side::Server, &packet, 400);
    assert!(peer.read().is_empty() && peer.events().is_empty());
    let mut ended = [&mut peer, &mut twin].map(|peer| {
        while peer.state().is_some() {
            assert!(peer.pair.world.step().is_some(), "draining never ends");
        }
        peer.pair.world.now()
    });
    ended.sort();
    assert_eq!(ended[0], ended[1]);
}

// ---- gone ----

/// Gone, late and forged: a packet for the ID of a connection that is gone is dropped and counted,
/// whether it once would have verified or not.
#[test]
pub(crate) fn r_close_gone_late() {
    let mut peer = closing();
    peer.write(&varints(&BYE));
    assert_eq!(peer.state(), None);
    let unknown =
        |peer: &Hostile| peer.pair.world.machine(peer.pair.server).stats().drops.unknown_connection;
    let before = unknown(&peer);
    let packet = peer.seal(&frames::ping(1, false));
    peer.pair.deliver(Side::Server, &packet);
    assert_eq!(unknown(&peer), before + 1);
    // Forged: anything but the ID may be changed.
    for at in [9, 12, 13, packet.len() - 1] {
        let mut forged = packet.clone();
        forged[at] ^= 1;
        peer.pair.deliver(Side::Server, &forged);
    }
    assert_eq!(unknown(&peer), before + 5);
    assert_eq!(peer.events(), [Event::Drained { connection: peer.connection }]);
    assert!(peer.read().is_empty());
}

/// Gone, crossing; R-ID-2: the slot of its ID rests until 63 others were freed, and comes back with
/// other bits: packets of the old connection never reach a new one.
#[test]
pub(crate) fn r_close_gone_crossing() {
    let tap = Wiretap::default();
    let mut pair =
        Pair::with(1, tap.on(Config::client()), Config::public_server(identity("server")));
    let (client, _) = pair.connected();
    let old = tap.ids()[0];
    close(&mut pair, Side::Client, client, Duration::ZERO);
    pair.run(LONG + LONG + LONG);
    let packet = tap.forge(old, &varints(&BYE));
    let mut ids = vec![old];
    for _ in 0..130 {
        let (client, server) = pair.connected();
        let new: Vec<u64> = tap.ids().into_iter().filter(|id| !ids.contains(id)).collect();
        assert_eq!(new.len(), 1, "an ID came back");
        ids.extend(new);
        pair.deliver(Side::Server, &packet);
        assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
        for (side, handle) in [(Side::Client, client), (Side::Server, server)] {
            pair.call(side, |e, now| e.kill(now, handle)).unwrap();
        }
    }
    let slots = |id: &u64| id >> 44;
    let again: Vec<usize> = (1..ids.len()).filter(|at| slots(&ids[*at]) == slots(&old)).collect();
    assert!(!again.is_empty() && again[0] > 63, "the slot of the first comes back at {again:?}");
}
