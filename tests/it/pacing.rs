//! What the pacer does to traffic, seen at the link (R-PACE-1).

use crate::bulk::{bulk, fetch, pair};
use tripline::{Order, StreamOptions};
use tripline_sansio::{Duration, Instant};
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::Side;

/// The most bytes that left within any `span`.
fn most_within(log: &[(Instant, u64)], span: Duration) -> u64 {
    let (mut first, mut sum, mut most) = (0, 0, 0);
    for (at, bytes) in log {
        sum += bytes;
        while log[first].0 + span < *at {
            sum -= log[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// R-PACE-1: on no link does more leave within any span than the bucket and what flows in that
/// span at the highest rate of the run, and a few packets that are never paced.
#[test]
pub(crate) fn r_pace_1_no_burst_is_larger_than_the_bucket() {
    let ms = Duration::from_millis;
    let mut waits = 0;
    for seed in 0..6_u64 {
        let link = LinkConfig::lossy(Chance::permille(2 * seed as u32))
            .delay(ms(5 + 10 * seed))
            .rate(1_000_000 << seed, 200_000);
        let (mut pair, log) = pair(seed, link);
        let handles = pair.connected();
        log.borrow_mut().clear();
        let stream = bulk(&mut pair, handles.0, 2_000_000);
        let fastest = fetch(&mut pair, handles, stream, 2_000_000);
        let stats = pair.world.machine(pair.client).connection_stats(handles.0).unwrap();
        waits += stats.pacing_waits;
        let log_of = |index: usize| log.borrow()[index].0;
        let took = log_of(log.borrow().len() - 1) - log_of(0);
        println!("seed {seed}: {took:?} for 2 MB");
        let bucket = (fastest / 500).max(12_000);
        // Probes (two packets for each timeout) and control frames.
        let free = 4 * 1_200;
        for span in [ms(0), ms(1), ms(5), ms(40)] {
            let flow = span.as_micros() as u64 * fastest / 1_000_000;
            let most = most_within(&log.borrow(), span);
            assert!(most <= bucket + flow + free, "seed {seed}: {most} bytes within {span:?}");
        }
    }
    // On some of these links ACKs alone space things out, on others the pacer has to.
    assert!(waits > 100, "the pacer had nothing to do: {waits}");
}

/// R-PACE-1: a window that was earned and then lay idle does not leave at once.
#[test]
pub(crate) fn r_pace_1_an_idle_connection_saves_no_burst() {
    let link = LinkConfig::perfect().delay(Duration::from_millis(50));
    let (mut pair, log) = pair(1, link);
    let handles = pair.connected();
    let stream = bulk(&mut pair, handles.0, 1_000_000);
    fetch(&mut pair, handles, stream, 1_000_000);
    pair.run(Duration::from_secs(5));
    log.borrow_mut().clear();
    let window =
        pair.world.machine(pair.client).connection_stats(handles.0).unwrap().congestion_window;
    assert!(window > 400_000, "{window}");
    let again = bulk(&mut pair, handles.0, 300_000);
    let fastest = fetch(&mut pair, handles, again, 300_000);
    let most = most_within(&log.borrow(), Duration::ZERO);
    assert!(most <= (fastest / 500).max(12_000) + 2_400, "{most} bytes at once");
}

/// R-PACE-1: acknowledgements and answers to PINGs do not wait behind paced payload.
#[test]
pub(crate) fn r_pace_1_what_is_owed_is_not_paced() {
    let link = LinkConfig::perfect().delay(Duration::from_millis(30)).rate(500_000, 100_000);
    let (mut pair, _log) = pair(2, link);
    let (client, server) = pair.connected();
    bulk(&mut pair, client, 3_000_000);
    pair.run(Duration::from_secs(2));
    // The server's packets are acknowledged while the client's payload waits for its turn.
    let stream = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
    for _ in 0..20 {
        let began = pair.world.now();
        pair.send(Side::Server, server, stream, b"x");
        let fate = pair.wait(Side::Server, |event| match event {
            tripline::Event::Message { fate, .. } => Some(*fate),
            _ => None,
        });
        assert_eq!(fate, tripline::Fate::Acked);
        // Two ways, the queue of 100,000 bytes at 500,000 B/s, and 25 ms at most held back.
        let took = pair.world.now() - began;
        assert!(took <= Duration::from_millis(60 + 200 + 26), "{took:?}");
    }
}
