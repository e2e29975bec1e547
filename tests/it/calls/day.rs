//! A day of virtual time, with reconnects and restarts: nothing is left behind (row N43).

use super::ground::{CLIENT, SERVER};
use super::meeting::{Meeting, SECOND, Where};
use tripline_rpc::{CallOptions, ClientOptions, Event, NodeEvent, Retry, Scheme};
use tripline_sansio::{Duration, Seed};
use tripline_sim::{Chance, LinkConfig, StreamConfig};

const HOUR: Duration = Duration::from_secs(3_600);

/// What one side holds, in things that could be left behind.
fn held(meeting: &Meeting, side: usize) -> [usize; 7] {
    let node = meeting.node(side);
    let peers = || node.conns().filter_map(|conn| node.peer(conn));
    [
        node.connections(),
        node.hub().endpoint().connections(),
        node.hub().links().links(),
        peers().map(|peer| peer.calls() + peer.late()).sum(),
        peers().map(|peer| peer.requests() + peer.kept()).sum(),
        node.conns().map(|conn| node.streams(conn).len()).sum(),
        node.timers(),
    ]
}

fn a_day(scheme: Scheme) {
    let mut meeting = Meeting::with_config(Where::Simulator, scheme, 5, Default::default());
    let mut random = Seed::from_number(5).random("day");
    let ms = Duration::from_millis;
    let weather = LinkConfig::lossy(Chance::permille(5)).delay(ms(20)).jitter(ms(5));
    meeting.world().set_weather(weather, StreamConfig::perfect().delay(ms(20)), ms(40));
    let conn = meeting.connect(ClientOptions::default());
    let (mut outcomes, mut made, mut first) = (0_u64, 0_u64, None);
    for minute in 0..24 * 60_u64 {
        for _ in 0..6 {
            let retry = [Retry::Never, Retry::Deduplicated, Retry::Idempotent];
            let retry = retry[usize::try_from(random.below(3)).unwrap()];
            meeting.call(
                CLIENT,
                conn,
                b"still there?",
                CallOptions { retry, ..Default::default() },
            );
            made += 1;
            // Answered in the middle of a wait, mostly.
            for _ in 0..2 {
                meeting.pass(5 * SECOND);
                for event in meeting.events(SERVER) {
                    if let NodeEvent::Peer { conn, event: Event::Request { request, .. } } = event {
                        meeting.reply(SERVER, conn, request, b"yes");
                    }
                }
            }
            let told = meeting.events(CLIENT);
            let is_outcome = |event: &&NodeEvent| {
                matches!(event, NodeEvent::Peer { event: Event::Outcome { .. }, .. })
            };
            outcomes += told.iter().filter(is_outcome).count() as u64;
        }
        match minute {
            _ if minute.is_multiple_of(180) => meeting.restart_server(),
            _ if minute.is_multiple_of(2) => meeting.break_pipe(conn),
            _ => {}
        }
        if minute == 60 {
            meeting.pass(100 * SECOND);
            meeting.events(CLIENT);
            first = Some([CLIENT, SERVER].map(|side| held(&meeting, side)));
        }
    }
    meeting.pass(100 * SECOND);
    assert!(meeting.now().as_nanos() > 24 * 3_600_000_000_000);
    let last = [CLIENT, SERVER].map(|side| held(&meeting, side));
    assert_eq!(Some(last), first, "more is held after a day than after an hour");
    assert!(outcomes + 20 > made, "{outcomes} of {made}");
    meeting.with(CLIENT, |node, now| node.close(now, conn, SECOND)).unwrap();
    meeting.pass(HOUR);
    let nothing = [0; 7];
    assert_eq!([CLIENT, SERVER].map(|side| held(&meeting, side)), [nothing; 2]);
}

/// N43, L7: over datagrams, with loss.
#[test]
fn n43_a_day_of_calls_over_trip() {
    a_day(Scheme::Trip);
}

/// N43, L7: over links of bytes.
#[test]
fn n43_a_day_of_calls_over_tcp() {
    a_day(Scheme::Tcp);
}
