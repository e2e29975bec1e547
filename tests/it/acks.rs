//! When acknowledgements go, and what they do and do not do to the window (R-ACK, R-CC).

use crate::bulk::{bulk, fetch, pair};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use tripline::{Event, Fate, Order, StreamOptions};
use tripline_sansio::Duration;
use tripline_sim::{Discipline, LinkConfig, Stage};
use tripline_tests::{Pair, Side};

/// R-ACK-1: in bulk there is one ACK for each batch that the receiver's loop hands in, however many
/// packets it holds; in batches of one, one for every second packet.
#[test]
pub(crate) fn r_ack_1_one_ack_for_a_batch() {
    for batch in [usize::MAX, 1] {
        let (mut pair, _log) = pair(1, LinkConfig::perfect().delay(Duration::from_millis(10)));
        pair.world.set_discipline(Discipline::default().batch(batch));
        let batches = Rc::new(RefCell::new(BTreeSet::new()));
        let (seen, to) = (Rc::clone(&batches), pair.server);
        pair.world.add_tap(move |packet| {
            if packet.stage == Stage::Delivered && packet.to == Some(to) {
                seen.borrow_mut().insert(packet.now);
            }
        });
        let handles = pair.connected();
        let stream = bulk(&mut pair, handles.0, 4_000_000);
        fetch(&mut pair, handles, stream, 4_000_000);
        pair.run(Duration::from_millis(100));
        let stats = pair.world.machine(pair.server).connection_stats(handles.1).unwrap();
        let (sent, received) = (stats.packets_sent, stats.packets_received);
        let batches = batches.borrow().len() as u64;
        assert!(received > 3_300 && batches * 4 < received, "{batches} batches of {received}");
        if batch == 1 {
            assert!((received / 2..received * 6 / 10).contains(&sent), "{sent} for {received}");
        } else {
            // Each batch is one instant here; a few more are control frames of their own.
            assert!(sent <= batches + 10, "{sent} packets for {batches} batches");
        }
    }
}

/// R-ACK-1: a packet alone is acknowledged after 25 ms, two at once.
#[test]
pub(crate) fn r_ack_1_small_traffic_is_acknowledged_in_time() {
    let mut pair = Pair::new(2).link(LinkConfig::perfect().delay(Duration::from_millis(10)));
    let (client, _) = pair.connected();
    pair.run(Duration::from_secs(1));
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    for (bytes, held_back) in [(10, 25), (1_900, 0)] {
        let began = pair.world.now();
        pair.send(Side::Client, client, stream, &vec![1; bytes]);
        let is_acked = |event: &Event| match event {
            Event::Message { fate, .. } => Some(*fate),
            _ => None,
        };
        assert_eq!(pair.wait(Side::Client, is_acked), Fate::Acked);
        let took = pair.world.now() - began;
        assert_eq!(took, Duration::from_millis(20 + held_back), "{bytes} bytes");
        pair.run(Duration::from_secs(1));
    }
}

/// R-ACK-1e: the first DATA has a PING that asks for a filled PONG; the ACK does not wait for it.
/// At 1 Mbit/s on the way back the client would have it 10 ms later.
#[test]
pub(crate) fn r_ack_1e_an_ack_goes_ahead_of_a_filled_pong() {
    let delay = Duration::from_millis(10);
    let slow = LinkConfig::perfect().delay(delay).rate(125_000, 30_000);
    let mut pair = Pair::new(4).link(slow);
    let came = Rc::new(RefCell::new(Vec::new()));
    let (seen, to) = (Rc::clone(&came), pair.client);
    pair.world.add_tap(move |packet| {
        if packet.stage == Stage::Delivered && packet.to == Some(to) {
            seen.borrow_mut().push((packet.bytes.len(), packet.now));
        }
    });
    let (client, _) = pair.connected();
    let connected = pair.world.now();
    pair.run(Duration::from_millis(100));
    let came = came.borrow();
    let [(_challenge, _), (ack, first), (pong, second), ..] = came[..] else { panic!("{came:?}") };
    assert!(ack < 60 && pong == 1_200, "{came:?}");
    assert!(first == connected && first + Duration::from_millis(9) < second, "{came:?}");
    assert!(pair.world.machine(pair.client).connection_stats(client).is_some());
}

/// R-CC-1, RFC 9002 §7.8: an application that never fills half of the window does not grow it.
#[test]
pub(crate) fn r_cc_1_an_unused_window_does_not_grow() {
    let (mut pair, _log) = pair(3, LinkConfig::perfect().delay(Duration::from_millis(20)));
    let handles = pair.connected();
    let window = |pair: &Pair| {
        pair.world.machine(pair.client).connection_stats(handles.0).unwrap().congestion_window
    };
    let before = window(&pair);
    for _ in 0..200 {
        let stream = bulk(&mut pair, handles.0, 3_000);
        fetch(&mut pair, handles, stream, 3_000);
        pair.run(Duration::from_millis(5));
    }
    assert_eq!(window(&pair), before);
    let stream = bulk(&mut pair, handles.0, 300_000);
    fetch(&mut pair, handles, stream, 300_000);
    assert!(window(&pair) > before * 4, "{before}, then {}", window(&pair));
}
