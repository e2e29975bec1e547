//! The scenes of stream machines.

use crate::order::{Alarm, Orders};
use crate::rule::Rule;
use crate::scene::Ready;
use crate::state::{Datagram, Fill, START, Script};
use std::net::SocketAddr;
use tripline_sansio::{Duration, Ecn, Instant, Path};

fn at(micros: u64) -> Instant {
    START + Duration::from_micros(micros)
}

/// Bytes that arrive at once: whole orders, behind each other.
fn arrival(micros: u64, orders: &[Orders]) -> Datagram {
    let path = Path::to(SocketAddr::from(([192, 0, 2, 1], 1)));
    let bytes = orders.iter().flat_map(|orders| orders.datagram(0)).collect();
    Datagram { at: at(micros), path, ecn: Ecn::NotEct, bytes }
}

/// The scenes of a rule.
pub(crate) fn scripts(rule: Rule) -> Vec<Script> {
    let script = match rule {
        Rule::Order => order(),
        Rule::Events => events(),
        Rule::Clock | Rule::Deadline => deadline(),
        Rule::Room => room(),
        Rule::Batches => batches(),
        Rule::Bounded => flood(),
        Rule::Wake => wake(),
        Rule::Idle => idle(),
        Rule::Early => early(),
        Rule::Refusal | Rule::Trace => return Vec::new(),
    };
    let more = (rule == Rule::Room).then(long);
    [script].into_iter().chain(more).map(|script| Script { stream: true, ..script }).collect()
}

fn order() -> Script {
    let mut script = Script {
        first: Orders::send(2).telling(1).due_in_micros(10_500),
        end: Duration::from_secs(1),
        ..Script::default()
    };
    for number in 0..30 {
        let orders = match number % 3 {
            0 => [Orders::NOTHING, Orders::send(1).telling(2)],
            1 => [Orders::send(2), Orders::NOTHING],
            _ => [Orders::send(1), Orders::NOTHING.due_in_micros(400)],
        };
        script.arrivals.push_back(arrival(number * 1_000 + 7, &orders));
    }
    script.alarms.extend((0..20).map(|number| Orders::send(number % 3).telling(1)));
    script.eof = Some(at(50_000));
    script
}

fn events() -> Script {
    let mut script = Script {
        first: Orders::tell(3).due_in_micros(700),
        end: Duration::from_secs(1),
        ..Script::default()
    };
    for number in 0..10_u8 {
        let orders = [Orders::tell(number % 4), Orders::send(1).telling(2)];
        script.arrivals.push_back(arrival(u64::from(number) * 5_000, &orders));
    }
    script.alarms.extend([Orders::tell(5).due_in_micros(900), Orders::send(1).telling(2)]);
    script.bells.push_back((at(60_000), Orders::tell(4)));
    script.eof = Some(at(70_000));
    script
}

fn deadline() -> Script {
    let nanos = Duration::from_nanos;
    let again = |time| Orders::send(1).alarm(Alarm::In(time));
    let mut script =
        Script { first: again(nanos(1)), end: Duration::from_secs(20_000), ..Script::default() };
    let chain = [nanos(300_000), nanos(999_999), nanos(1_500_000_001), nanos(7)];
    script.alarms.extend(chain.map(again));
    script.alarms.push_back(Orders::tell(1).alarm(Alarm::Drained(Duration::from_millis(3))));
    script.alarms.push_back(Orders::send(3).alarm(Alarm::Drained(Duration::from_secs(3_600))));
    script.alarms.push_back(Orders::tell(1));
    let hours = 2 * 3_600_000_000;
    let moves = [
        Orders::NOTHING.due_in_micros(5_000),
        Orders::NOTHING.due_in_micros(1_500),
        Orders::NOTHING.due_in_micros(60_000),
        Orders::NOTHING.alarm(Alarm::Off),
        Orders::send(2).alarm(Alarm::Drained(Duration::from_micros(2_500))),
    ];
    for (number, orders) in (0..).zip(moves) {
        script.arrivals.push_back(arrival(hours + number * 1_000, &[orders]));
    }
    script.alarms.push_back(Orders::tell(1));
    script.eof = Some(at(hours + 100_000));
    script
}

/// Full at all places, while bytes and deadlines come in, also behind the end of the peer's bytes.
fn room() -> Script {
    let fill = |after, micros| Fill { after, lasts: Duration::from_micros(micros) };
    let mut script = Script {
        first: Orders::send(5).due_in_micros(400),
        end: Duration::from_secs(10),
        ..Script::default()
    };
    let fills =
        [(3, 900), (0, 200), (1, 50), (999, 1), (5_000, 30_000), (0, 1), (0, 7), (9_000, 99)];
    script.fills.extend(fills.map(|(after, micros)| fill(after, micros)));
    for number in 0..40 {
        let orders = match number % 3 {
            0 => Orders::send(1).telling(1),
            1 => Orders::tell(1),
            _ => Orders::tell(1).due_in_micros(150),
        };
        script.arrivals.push_back(arrival(number * 333, &[orders]));
    }
    script.alarms.extend([Orders::send(2).telling(1); 30]);
    script.bells.push_back((at(2_000), Orders::send(1)));
    script.eof = Some(at(14_000));
    script
}

/// Full for long, while a deadline stays due that only a drain can move.
fn long() -> Script {
    let fill = |after, micros| Fill { after, lasts: Duration::from_micros(micros) };
    let mut script = Script {
        first: Orders { sticky: true, ..Orders::send(9).due_in_micros(10) },
        end: Duration::from_secs(100),
        ..Script::default()
    };
    script.fills.extend([fill(4_000, 50_000_000), fill(2, 10)]);
    for number in 0..20 {
        script.arrivals.push_back(arrival(1_000 + number * 1_000, &[Orders::tell(1)]));
    }
    script
}

/// Much and little at once, whose end comes with it or by itself.
fn batches() -> Script {
    let mut script = Script { end: Duration::from_secs(1), ..Script::default() };
    for (micros, count) in [(10, 1), (20, 7), (30, 200), (40, 1), (40, 1)] {
        let orders = vec![Orders::NOTHING; count];
        script.arrivals.push_back(arrival(micros, &orders));
    }
    script.arrivals.push_back(arrival(50, &[Orders::send(1).telling(1)]));
    script.eof = Some(at(50));
    script
}

/// Megabytes at once in both directions, and a deadline and a wake among them.
fn flood() -> Script {
    let mut script = Script {
        first: Orders::NOTHING.due_in_micros(1_000),
        end: Duration::from_secs(1),
        ..Script::default()
    };
    let orders = vec![Orders::NOTHING; 600_000];
    script.arrivals.push_back(arrival(1_000, &orders));
    script.arrivals.push_back(arrival(1_000, &[Orders::send(9_000).telling(1)]));
    script.alarms.push_back(Orders::send(1).telling(1));
    script.bells.push_back((at(1_000), Orders::send(1)));
    script
}

fn wake() -> Script {
    let mut script = Script { end: Duration::from_secs(60), ..Script::default() };
    let orders = [
        Orders::send(2),
        Orders::NOTHING.due_in_micros(30_000_000),
        Orders::NOTHING.due_in_micros(2_000),
        Orders::NOTHING.alarm(Alarm::Off),
        Orders::tell(2),
        Orders::NOTHING,
    ];
    for (number, orders) in (0..).zip(orders) {
        script.bells.push_back((at(1_000 + number * 1_000), orders));
    }
    script.bells.push_back((at(20_000), Orders::send(1)));
    script.bells.push_back((at(20_000), Orders::send(1)));
    script.arrivals.push_back(arrival(20_000, &[Orders::send(1)]));
    script.alarms.push_back(Orders::tell(1));
    script
}

fn idle() -> Script {
    let keep_alive = Orders::send(1).due_in_micros(25_000_000);
    let mut script = Script {
        first: keep_alive,
        end: Duration::from_secs(610),
        // The socket takes a kilobyte in several calls, but within one turn.
        waits_max: Some(60),
        ..Script::default()
    };
    script.alarms.extend([keep_alive; 24]);
    // An end that was told is no reason to wake again and again.
    script.eof = Some(at(100));
    script
}

fn early() -> Script {
    let mut script = Script {
        first: Orders::send(1).due_in_micros(51_000),
        end: Duration::from_millis(500),
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
    script.arrivals.push_back(arrival(20_001, &[Orders::send(2).telling(1)]));
    script.arrivals.push_back(arrival(30_001, &[Orders::send(4)]));
    script.fills.push_back(Fill { after: 3_500, lasts: Duration::from_millis(30) });
    script.alarms.extend([Orders::tell(1).due_in_micros(40_000), Orders::send(1)]);
    script.eof = Some(at(80_500));
    script
}
