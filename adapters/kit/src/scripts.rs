//! The scenes: what happens to a loop, rule by rule.

use crate::order::{Alarm, Orders};
use crate::rule::Rule;
use crate::scene::Ready;
use crate::state::{Datagram, Fill, START, Script};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tripline_sansio::{Duration, Ecn, Instant, Path};
use tripline_udp::DropCause;

/// So many microseconds after the scene begins.
fn at(micros: u64) -> Instant {
    START + Duration::from_micros(micros)
}

/// An arrival that orders something; `number` varies where it comes from, its mark and its size.
fn arrival(micros: u64, number: u16, orders: Orders) -> Datagram {
    let [_, low] = number.to_be_bytes();
    let remote = SocketAddr::from(([203, 0, 113, low % 7], 9_000 + number % 3));
    let local = (number % 3 != 1).then_some(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)));
    let ecn = [Ecn::NotEct, Ecn::Ect0, Ecn::Ce][usize::from(number % 3)];
    let bytes = orders.datagram(usize::from(number) * 37 % 1_400);
    Datagram { at: at(micros), path: Path { remote, local }, ecn, bytes }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The scenes of a rule; none for [`Rule::Trace`], which has recorded ones.
pub(crate) fn scripts(rule: Rule) -> Vec<Script> {
    match rule {
        Rule::Order => vec![order()],
        Rule::Events => vec![events()],
        Rule::Clock => vec![clock()],
        Rule::Deadline => vec![deadline()],
        Rule::Room => room(),
        Rule::Refusal => vec![refusal()],
        Rule::Batches => vec![batches(1), batches(8), batches(32)],
        Rule::Bounded => vec![flood(), endless()],
        Rule::Wake => vec![wake()],
        Rule::Idle => vec![idle(), silence()],
        Rule::Early => vec![early()],
        Rule::Trace => Vec::new(),
    }
}

/// Datagrams and deadlines, each answered by some transmits, trains and events.
fn order() -> Script {
    let mut script = Script {
        first: Orders::send(2).telling(1).due_in_micros(10_500),
        end: millis(1_000),
        batch: 8,
        ..Script::default()
    };
    for number in 0..40_u16 {
        let segments = number.to_be_bytes()[1] % 5 + 1;
        let orders = match number % 4 {
            0 => Orders::NOTHING,
            1 => Orders::send(3).telling(2),
            2 => Orders::trains(2, segments),
            _ => Orders::trains(1, segments).due_in_micros(400),
        };
        script.arrivals.push_back(arrival(u64::from(number) * 1_000 + 7, number, orders));
    }
    script.alarms.extend((0..20).map(|number| Orders::send(number % 3).telling(1)));
    script
}

/// Events of every origin, several at once, with and without something to send.
fn events() -> Script {
    let mut script = Script {
        first: Orders::tell(3).due_in_micros(700),
        end: millis(1_000),
        batch: 4,
        ..Script::default()
    };
    for number in 0..30_u16 {
        let events = number.to_be_bytes()[1] % 5;
        let orders = if number % 2 == 0 { Orders::tell(events) } else { Orders::send(1) };
        // In threes at one instant.
        let micros = u64::from(number / 3) * 5_000;
        script.arrivals.push_back(arrival(micros, number, orders.telling(events)));
    }
    script.alarms.extend([Orders::tell(5).due_in_micros(900), Orders::send(1).telling(2)]);
    script.bells.push_back((at(60_000), Orders::tell(4)));
    script
}

/// Gaps from a nanosecond to a day.
fn clock() -> Script {
    let day = Duration::from_secs(86_400);
    let mut script = Script { first: Orders::send(1), end: day * 3, ..Script::default() };
    let gaps = [1, 2, 1_000, 65_537, 999_999, 1_000_001, 86_400_000_000_000];
    let mut now = START;
    for (number, gap) in (0..).zip(gaps) {
        now += Duration::from_nanos(gap);
        let orders = Orders::send(1).due_in_micros(30);
        script.arrivals.push_back(Datagram { at: now, ..arrival(0, number, orders) });
    }
    script.alarms.extend([Orders::send(1).telling(1); 5]);
    script
}

/// Deadlines near and far, that move nearer, move away, go, and come with the end of a drain.
fn deadline() -> Script {
    let again = |time: Duration| Orders::send(1).alarm(Alarm::In(time));
    let nanos = Duration::from_nanos;
    let mut script = Script {
        first: Orders::NOTHING.alarm(Alarm::In(nanos(1))),
        end: Duration::from_secs(7_000_000),
        ..Script::default()
    };
    // A chain of alarms, each set by the one before it.
    let chain = [nanos(1), nanos(300_000), nanos(999_999), nanos(1_500_000_001), millis(7)];
    script.alarms.extend(chain.map(again));
    script.alarms.push_back(Orders::tell(1).alarm(Alarm::Drained(millis(3))));
    script.alarms.push_back(Orders::send(3).alarm(Alarm::Drained(Duration::from_secs(3_600))));
    // After that hour: none, until the arrivals set some.
    script.alarms.push_back(Orders::tell(1));
    let hours = 2 * 3_600_000_000;
    let moves = [
        Orders::NOTHING.due_in_micros(5_000),
        // Nearer, further away, gone, and set again.
        Orders::NOTHING.due_in_micros(1_500),
        Orders::NOTHING.due_in_micros(60_000),
        Orders::NOTHING.alarm(Alarm::Off),
        Orders::send(2).alarm(Alarm::Drained(Duration::from_micros(2_500))),
    ];
    for (number, orders) in (0..).zip(moves) {
        let micros = hours + u64::from(number) * 1_000;
        script.arrivals.push_back(arrival(micros, number, orders));
    }
    // 49 days and more are beyond 32 bits of milliseconds.
    script.alarms.push_back(again(Duration::from_secs(60 * 86_400)));
    script.alarms.push_back(Orders::tell(1));
    script
}

/// A socket that is full again and again, at every place of a train; and one that is full for long
/// while a deadline stays due.
fn room() -> Vec<Script> {
    let fill = |after, micros| Fill { after, lasts: Duration::from_micros(micros) };
    let mut often = Script { end: millis(10_000), batch: 4, ..Script::default() };
    often.first = Orders::trains(3, 4).due_in_micros(400);
    let fills = [(3, 900), (0, 200), (1, 50), (4, 1), (5, 30_000), (0, 1), (0, 7), (60, 12_345)];
    often.fills.extend(fills.map(|(after, micros)| fill(after, micros)));
    for number in 0..60_u16 {
        let orders = match number % 3 {
            0 => Orders::trains(1, 6).telling(1),
            1 => Orders::send(2),
            _ => Orders::tell(1).due_in_micros(150),
        };
        often.arrivals.push_back(arrival(u64::from(number) * 333, number, orders));
    }
    often.alarms.extend([Orders::send(2).telling(1); 30]);
    often.bells.push_back((at(2_000), Orders::send(1)));
    often.bells.push_back((at(2_300), Orders::NOTHING.due_in_micros(20)));

    let mut long = Script { end: millis(100_000), batch: 4, ..Script::default() };
    long.first = Orders { sticky: true, ..Orders::send(9).due_in_micros(10) };
    long.fills.extend([fill(4, 50_000_000), fill(2, 10)]);
    for number in 0..20_u16 {
        long.arrivals.push_back(arrival(
            1_000 + u64::from(number) * 1_000,
            number,
            Orders::tell(1),
        ));
    }
    vec![often, long]
}

/// Refused for every reason, alone and in trains, also of the rest of a train that was cut.
fn refusal() -> Script {
    let mut script = Script { first: Orders::send(12), end: millis(100), ..Script::default() };
    script.arrivals.push_back(arrival(1_000, 1, Orders::trains(6, 3)));
    script.fills.push_back(Fill { after: 25, lasts: millis(3) });
    let causes = [
        (1, DropCause::TooBig),
        (2, DropCause::Unreachable),
        (4, DropCause::TooBig),
        (5, DropCause::TooBig),
        (7, DropCause::NoBuffer),
        (8, DropCause::Refused),
        (11, DropCause::Denied),
        (13, DropCause::TooBig),
        (14, DropCause::BadAddress),
        (17, DropCause::Other),
    ];
    script.refusals.extend(causes);
    script
}

/// Bursts of all sizes, the last of them right behind each other.
fn batches(batch: usize) -> Script {
    let mut script = Script { end: millis(1_000), batch, ..Script::default() };
    let mut number = 0;
    for (micros, count) in [(10, 1), (20, 7), (30, 8), (40, 9), (50, 64), (60, 200), (60, 1)] {
        for _ in 0..count {
            let orders =
                if number % 16 == 0 { Orders::send(1).telling(1) } else { Orders::NOTHING };
            script.arrivals.push_back(arrival(micros, number, orders));
            number += 1;
        }
    }
    // An empty datagram is one, too.
    if let Some(empty) = script.arrivals.get_mut(5) {
        empty.bytes.clear();
    }
    script
}

/// Ten thousand datagrams at once, some of which have to be answered, and a deadline among them.
fn flood() -> Script {
    let mut script = Script {
        first: Orders::NOTHING.due_in_micros(1_000),
        end: millis(1_000),
        batch: 8,
        ..Script::default()
    };
    for number in 0..10_000_u16 {
        let orders = if number % 100 == 0 { Orders::send(1).telling(1) } else { Orders::NOTHING };
        script.arrivals.push_back(arrival(1_000, number, orders));
    }
    script.alarms.push_back(Orders::send(1).telling(1));
    script.bells.push_back((at(1_000), Orders::send(1)));
    script
}

/// Twenty thousand transmits at once, while datagrams, a deadline and a wake are there as well.
fn endless() -> Script {
    let mut script = Script {
        first: Orders::send(20_000).due_in_micros(1),
        end: millis(1_000),
        batch: 8,
        ..Script::default()
    };
    for number in 0..200_u16 {
        script.arrivals.push_back(arrival(0, number, Orders::tell(1)));
    }
    script.arrivals.push_back(arrival(2, 1, Orders::send(20_000).due_in_micros(1)));
    script.arrivals.extend((0..100).map(|number| arrival(2, number, Orders::tell(1))));
    script.bells.push_back((at(2), Orders::send(1)));
    script.alarms.extend([Orders::tell(1), Orders::tell(1)]);
    script
}

/// Used from outside: to send, to tell, to move the deadline; together with other things, too.
fn wake() -> Script {
    let mut script = Script { end: millis(60_000), batch: 4, ..Script::default() };
    let orders = [
        Orders::send(2),
        Orders::NOTHING.due_in_micros(30_000_000),
        Orders::NOTHING.due_in_micros(2_000),
        Orders::NOTHING.alarm(Alarm::Off),
        Orders::tell(2),
        Orders::NOTHING,
        Orders::trains(2, 3).telling(1).due_in_micros(500),
    ];
    for (number, orders) in (0..).zip(orders) {
        script.bells.push_back((at(1_000 + number * 1_000), orders));
    }
    // Two at once, and one with an arrival.
    script.bells.push_back((at(20_000), Orders::send(1)));
    script.bells.push_back((at(20_000), Orders::send(1)));
    script.bells.push_back((at(21_000), Orders::send(1)));
    script.arrivals.push_back(arrival(21_000, 4, Orders::send(1)));
    // While the socket is full.
    script.bells.push_back((at(30_000), Orders::send(20)));
    script.bells.push_back((at(30_500), Orders::tell(1).due_in_micros(100)));
    script.fills.push_back(Fill { after: 20, lasts: millis(10) });
    script.alarms.extend([Orders::tell(1); 5]);
    script
}

/// Ten minutes with a keep-alive each 25 s and nothing else.
fn idle() -> Script {
    let keep_alive = Orders::send(1).due_in_micros(25_000_000);
    let mut script = Script {
        first: keep_alive,
        end: Duration::from_secs(610),
        waits_max: Some(60),
        ..Script::default()
    };
    script.alarms.extend([keep_alive; 24]);
    script
}

/// An hour of nothing.
fn silence() -> Script {
    let first = Orders::send(1);
    Script { first, end: Duration::from_secs(3_600), waits_max: Some(3), ..Script::default() }
}

/// Sleeps that end for nothing, between things that happen.
fn early() -> Script {
    let mut script = Script {
        // Falls together with one of them.
        first: Orders::send(1).due_in_micros(51_000),
        end: millis(500),
        waits_max: Some(100),
        ..Script::default()
    };
    let all = [
        Ready { readable: true, ..Ready::default() },
        Ready { writable: true, ..Ready::default() },
        Ready { woken: true, ..Ready::default() },
        Ready { readable: true, writable: true, woken: true },
    ];
    for (number, ready) in (0..).zip(all.into_iter().cycle().take(24)) {
        script.nudges.push_back((at(3_000 + number * 4_000), ready));
    }
    script.arrivals.push_back(arrival(20_001, 1, Orders::send(2).telling(1)));
    script.arrivals.push_back(arrival(30_001, 2, Orders::trains(4, 4)));
    script.fills.push_back(Fill { after: 5, lasts: millis(30) });
    script.alarms.extend([Orders::tell(1).due_in_micros(40_000), Orders::send(1)]);
    script
}
