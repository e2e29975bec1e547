//! Congestion marks on the virtual link: paths that carry them, and paths that do not (R-ECN).

use crate::bulk::{bulk, fetch};
use std::cell::RefCell;
use std::rc::Rc;
use tripline::{Config, ConnectionStats, EcnStatus};
use tripline_sansio::{Duration, Ecn};
use tripline_sim::{LinkConfig, PacketView, Stage, Verdict};
use tripline_tests::{Pair, Side, identity};

const BYTES: usize = 1_500_000;

/// What a transfer showed: the client's counters, the server's, and the client's marks in order.
struct Seen {
    client: ConnectionStats,
    server: ConnectionStats,
    marks: Vec<Ecn>,
}

/// Sends 1.5 MB from the client to the server over a path that treats datagrams by `rule`. No MTU
/// is searched for: its probes bear no mark.
fn transfer(ecn: bool, rule: impl FnMut(&PacketView<'_>) -> Verdict + 'static) -> Seen {
    let mut client = Config::client();
    client.transport.send_buffer = 4 << 20;
    client.transport.ecn = ecn;
    client.transport.datagram_ceiling = client.transport.datagram_size;
    let mut server = Config::public_server(identity("server"));
    server.transport.stream_credit = 4 << 20;
    let link = LinkConfig::perfect().delay(Duration::from_millis(10));
    let mut pair = Pair::with(5, client, server).link(link);
    pair.world.add_rule(rule);
    let marks = Rc::new(RefCell::new(Vec::new()));
    let (seen, from) = (Rc::clone(&marks), pair.client);
    pair.world.add_tap(move |packet| {
        if packet.stage == Stage::Offered && packet.from == Some(from) {
            seen.borrow_mut().push(packet.ecn);
        }
    });
    let (client, server) = pair.connected();
    let stream = bulk(&mut pair, client, BYTES);
    fetch(&mut pair, (client, server), stream, BYTES);
    pair.run(Duration::from_millis(200));
    let stats = |pair: &Pair, side, handle| {
        pair.world.machine(pair.host(side)).connection_stats(handle).unwrap()
    };
    let marks = marks.borrow().clone();
    Seen {
        client: stats(&pair, Side::Client, client),
        server: stats(&pair, Side::Server, server),
        marks,
    }
}

fn marked(marks: &[Ecn]) -> usize {
    marks.iter().filter(|mark| **mark != Ecn::NotEct).count()
}

/// R-ECN-1: both sides find out that the path carries marks; then all is marked but the handshake.
#[test]
pub(crate) fn r_ecn_1_a_path_that_carries_marks_is_used() {
    let seen = transfer(true, |_| Verdict::Pass);
    assert_eq!((seen.client.ecn, seen.server.ecn), (EcnStatus::Capable, EcnStatus::Capable));
    assert_eq!((seen.client.ecn_failures, seen.client.congestion_marks), (0, 0));
    assert_eq!(seen.marks[0], Ecn::NotEct, "OPEN");
    assert!(seen.marks[1..].iter().all(|mark| *mark == Ecn::Ect0));
}

/// R-ECN-1: the configuration can switch it off, on one side alone.
#[test]
pub(crate) fn r_ecn_1_it_can_be_switched_off() {
    let seen = transfer(false, |_| Verdict::Pass);
    assert_eq!((seen.client.ecn, seen.server.ecn), (EcnStatus::Off, EcnStatus::Capable));
    assert_eq!(marked(&seen.marks), 0);
}

/// R-ECN-2, R-ECN-3: a path that clears marks, changes them, drops what bears them, or marks
/// everything, is found out once; then nothing is marked, and all arrives.
#[test]
pub(crate) fn r_ecn_3_a_path_that_does_not_carry_marks_is_found_out() {
    let treat = |how: fn(&PacketView<'_>) -> Verdict| {
        move |packet: &PacketView<'_>| match packet.ecn {
            Ecn::NotEct => Verdict::Pass,
            _ => how(packet),
        }
    };
    for (name, how) in [
        ("cleared", (|_| Verdict::Mark(Ecn::NotEct)) as fn(&PacketView<'_>) -> Verdict),
        ("changed", |_| Verdict::Mark(Ecn::Ect1)),
        ("dropped", |_| Verdict::Drop),
        ("all congested", |_| Verdict::Mark(Ecn::Ce)),
    ] {
        let seen = transfer(true, treat(how));
        assert_eq!((seen.client.ecn, seen.client.ecn_failures), (EcnStatus::Failed, 1), "{name}");
        assert_eq!(seen.server.ecn, EcnStatus::Failed, "{name}");
        let test = marked(&seen.marks);
        assert!((1..=74).contains(&test), "{name}: {test}");
        assert_eq!(marked(&seen.marks[200..]), 0, "{name}");
    }
}

/// R-ECN-4: CE marks hold the window down as losses would, and nothing is lost.
#[test]
pub(crate) fn r_ecn_4_congestion_marks_reduce_the_window() {
    let free = transfer(true, |_| Verdict::Pass);
    let seen = transfer(true, |packet| match packet.ecn {
        Ecn::Ect0 if packet.index % 60 == 59 => Verdict::Mark(Ecn::Ce),
        _ => Verdict::Pass,
    });
    assert_eq!((seen.client.ecn, seen.client.packets_lost), (EcnStatus::Capable, 0));
    assert!(seen.client.congestion_marks > 15, "{:?}", seen.client);
    assert!(seen.client.congestion_window * 4 < free.client.congestion_window);
    assert_eq!(seen.client.retransmissions, 0);
}

/// R-ECN-2: a path that stops carrying marks in the middle is left alone from then on.
#[test]
pub(crate) fn r_ecn_2_a_path_may_change_later() {
    let seen = transfer(true, |packet| match packet.ecn {
        Ecn::Ect0 if packet.index > 300 => Verdict::Mark(Ecn::NotEct),
        _ => Verdict::Pass,
    });
    assert_eq!((seen.client.ecn, seen.client.ecn_failures), (EcnStatus::Failed, 1));
    assert_eq!(seen.client.packets_lost, 0);
    assert!(seen.marks[1..300].iter().all(|mark| *mark == Ecn::Ect0));
    assert_eq!(seen.marks.last(), Some(&Ecn::NotEct));
}
