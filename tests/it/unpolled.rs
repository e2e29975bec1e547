//! An endpoint whose events nobody polls for long. The simulator always does, so these are driven
//! by hand.

use std::net::SocketAddr;
use tripline::{
    Batch, BatchResult, Config, ConnectOptions, Endpoint, Event, Order, SendError, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_tests::identity;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Hands over all that `from` has to send.
fn carry(now: Instant, from: &mut Endpoint, to: &mut Endpoint, back: Path) {
    let mut out = Vec::new();
    while let Some(train) = from.poll_transmit(now, &mut out) {
        for datagram in out.chunks_mut(train.segment_size) {
            to.handle_datagram(now, back, Ecn::NotEct, datagram);
        }
        out.clear();
    }
}

/// T44: who is refused because nobody polls the events is told when they are, also if nothing is
/// under way any more whose acknowledgement would do so.
#[test]
fn t44_a_send_that_events_held_up_is_woken_by_polling() {
    let (mut now, seed) = (Instant::ZERO, Seed::from_number(6));
    let key = identity("server");
    let at = [1, 2].map(|host| SocketAddr::from(([10, 0, 0, host], 1)));
    let options = ConnectOptions::to(key.public_key());
    let mut server = Endpoint::new(Config::public_server(key), &seed.child("server"), now);
    let mut client = Endpoint::new(Config::client(), &seed.child("client"), now);
    let line = client.connect(now, at[1].into(), options).unwrap();
    let mut turn = |client: &mut Endpoint, now: &mut Instant| {
        *now += ms(30);
        client.handle_timeout(*now);
        server.handle_timeout(*now);
        carry(*now, client, &mut server, Path::to(at[0]));
        while let Some(event) = server.poll_event() {
            if let Event::Readable { connection, stream } = event {
                let mut batch = Batch::new();
                while let Ok(BatchResult::Messages(_)) =
                    server.receive_batch(*now, connection, stream, &mut batch)
                {
                    batch.clear();
                }
            }
        }
        carry(*now, &mut server, client, Path::to(at[1]));
    };
    (0..5).for_each(|_| turn(&mut client, &mut now));
    while client.poll_event().is_some() {}
    let stream = client.open(now, line, StreamOptions::one_way(Order::Ordered)).unwrap();
    let send = |client: &mut Endpoint, now: Instant| {
        let mut batch = Batch::new();
        (0..1_000).for_each(|_| batch.push(b"one"));
        client.send_batch(now, line, stream, &mut batch)
    };
    let mut sent = 0;
    while send(&mut client, now).is_ok() {
        sent += 1_000;
        (0..10).for_each(|_| turn(&mut client, &mut now));
        assert!(sent <= 67_000, "65,536 events wait at the most");
    }
    assert_eq!((sent, send(&mut client, now)), (66_000, Err(SendError::Blocked)));
    let (mut fates, mut writable) = (0, 0);
    while let Some(event) = client.poll_event() {
        fates += u32::from(matches!(event, Event::Message { .. }));
        writable += u32::from(matches!(event, Event::Writable { .. }));
    }
    assert_eq!((fates, writable), (66_000, 1));
    send(&mut client, now).unwrap();
}
