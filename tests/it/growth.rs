//! Windows of credit that grow with the path (R-CREDIT-5), seen from outside.

use crate::bulk::{bulk, fetch};
use tripline::{Config, ConnectionHandle, ReceiveResult, StreamId};
use tripline_sansio::Duration;
use tripline_sim::LinkConfig;
use tripline_tests::{Pair, Side, identity};

const START: u64 = 300_000;

/// 100 ms there and back, 20 MB/s: the path holds 2 MB. The server grants 300,000 bytes at first.
fn pair(most: u64) -> (Pair, (ConnectionHandle, ConnectionHandle)) {
    let mut client = Config::client();
    client.transport.send_buffer = 64 << 20;
    let mut server = Config::public_server(identity("server"));
    server.transport.stream_credit = START;
    server.transport.connection_credit = START;
    server.transport.stream_credit_max = most;
    server.transport.connection_credit_max = most;
    let link = LinkConfig::perfect().delay(Duration::from_millis(50)).rate(20_000_000, 4_000_000);
    let mut pair = Pair::with(9, client, server).link(link);
    let handles = pair.connected();
    (pair, handles)
}

/// How long 20 MB take, and the server's window for the connection in the end.
fn transfer(most: u64) -> (Duration, u64) {
    let (mut pair, handles) = pair(most);
    let stream = bulk(&mut pair, handles.0, 20_000_000);
    let began = pair.world.now();
    fetch(&mut pair, handles, stream, 20_000_000);
    let took = pair.world.now() - began;
    let stats = pair.world.machine(pair.server).connection_stats(handles.1).unwrap();
    let sender = pair.world.machine(pair.client).connection_stats(handles.0).unwrap();
    assert!(sender.credit_waits > 0, "{sender:?}");
    assert!(sender.credit_free <= stats.receive_window, "{sender:?}");
    (took, stats.receive_window)
}

/// R-CREDIT-5: with windows that grow the path is the limit, without them the window is.
#[test]
pub(crate) fn r_credit_5_windows_grow_with_the_path() {
    let (fixed, window) = transfer(START);
    assert_eq!(window, START);
    assert!(fixed > Duration::from_secs(6), "300 kB in 100 ms: {fixed:?}");
    let (grown, window) = transfer(32 << 20);
    assert!((2 * START..=16 << 20).contains(&window), "{window}");
    assert!(grown * 5 < fixed * 2, "{grown:?} against {fixed:?}");
    // The maximum is the maximum.
    let (_, window) = transfer(1_000_000);
    assert_eq!(window, 1_000_000);
}

/// Reads at most `most` bytes.
fn sip(pair: &mut Pair, server: ConnectionHandle, stream: StreamId, most: usize) -> usize {
    let mut got = 0;
    while got < most {
        match pair.call(Side::Server, |e, now| e.receive(now, server, stream)) {
            Ok(ReceiveResult::Data(data)) => got += data.len(),
            _ => break,
        }
    }
    got
}

/// R-CREDIT-5, R-CREDIT-4: a reader that does not keep up gets no larger window, so what waits for
/// it stays within the first one.
#[test]
pub(crate) fn r_credit_5_a_slow_reader_gets_no_more() {
    let (mut pair, (client, server)) = pair(32 << 20);
    let stream = bulk(&mut pair, client, 8_000_000);
    let mut got = 0;
    for _ in 0..100 {
        pair.run(Duration::from_millis(100));
        got += sip(&mut pair, server, stream, 60_000);
    }
    let stats = pair.world.machine(pair.server).connection_stats(server).unwrap();
    assert_eq!(stats.receive_window, START);
    assert!(got > 2_000_000, "{got}");
    let left = sip(&mut pair, server, stream, usize::MAX);
    assert!(left as u64 <= START, "{left} bytes waited");
}
