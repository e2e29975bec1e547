//! What random scripts once found, each as a test of its own.

use tripline::{Code, Event, State};
use tripline_sansio::Duration;
use tripline_tests::{Pair, Side};

/// R-CLOSE-2, PROTOCOL.md §2.5: the packet that acknowledged a side's first DATA left the shorter
/// limit of before in force, so that a connection at rest ended after 15 s instead of the agreed
/// 30.
#[test]
fn a_connection_at_rest_lives_as_long_as_agreed() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(29));
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready), "{}", pair.explain());
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready), "{}", pair.explain());
    pair.run(Duration::from_secs(2));
    assert_ne!(pair.state(Side::Client, client), Some(State::Ready));
}

/// R-CLOSE, rule 3 of the run loop: who has nothing left to send says so at once and names no
/// deadline; that was taken for a deadline that is over.
#[test]
fn leaving_with_nothing_left_names_no_deadline() {
    for side in [Side::Client, Side::Server] {
        let mut pair = Pair::new(2);
        let (client, server) = pair.connected();
        pair.run(Duration::from_secs(1));
        let handle = if side == Side::Client { client } else { server };
        let grace = Duration::from_secs(10);
        pair.call(side, |e, now| e.close(now, handle, grace, Code::NONE, "")).unwrap();
        pair.run(Duration::from_secs(5));
        for side in [Side::Client, Side::Server] {
            let events = pair.events(side);
            assert!(matches!(events.last(), Some(Event::Closed { .. })), "{events:?}");
        }
    }
}
