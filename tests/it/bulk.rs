//! A client that sends much at once, and what it sends as the link sees it: what the tests of
//! pacing and of ECN begin with.

use std::cell::RefCell;
use std::rc::Rc;
use tripline::{
    Config, ConnectionHandle, Order, ReceiveResult, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{Duration, Instant};
use tripline_sim::{LinkConfig, Stage};
use tripline_tests::{Pair, Side, identity};

/// When the client sent how many bytes, one entry for each datagram.
pub(crate) type Log = Rc<RefCell<Vec<(Instant, u64)>>>;

/// A pair whose buffers hold a whole transfer and whose datagrams have one size (no MTU is searched
/// for), and a log of what the client sends.
pub(crate) fn pair(seed: u64, link: LinkConfig) -> (Pair, Log) {
    let mut client = Config::client();
    client.transport.send_buffer = 64 << 20;
    client.transport.datagram_ceiling = client.transport.datagram_size;
    let mut server = Config::public_server(identity("server"));
    server.transport.stream_credit = 64 << 20;
    server.transport.connection_credit = 64 << 20;
    server.transport.datagram_ceiling = server.transport.datagram_size;
    let mut pair = Pair::with(seed, client, server).link(link);
    let log = Log::default();
    let (seen, from) = (Rc::clone(&log), pair.client);
    pair.world.add_tap(move |packet| {
        if packet.stage == Stage::Offered && packet.from == Some(from) {
            seen.borrow_mut().push((packet.now, packet.bytes.len() as u64));
        }
    });
    (pair, log)
}

/// Hands `bytes` bytes to a stream of the client's at once.
pub(crate) fn bulk(pair: &mut Pair, connection: ConnectionHandle, bytes: usize) -> StreamId {
    let stream = pair.open(Side::Client, connection, StreamOptions::one_way(Order::Bytes));
    let data = vec![7; bytes];
    pair.call(Side::Client, |e, now| e.send(now, connection, stream, data, SendOptions::default()))
        .unwrap();
    stream
}

/// Runs until the server has read `bytes` bytes; returns the highest pacing rate that the
/// client had meanwhile.
pub(crate) fn fetch(
    pair: &mut Pair,
    (client, server): (ConnectionHandle, ConnectionHandle),
    stream: StreamId,
    bytes: usize,
) -> u64 {
    let (mut got, mut fastest) = (0, 0);
    let limit = pair.world.now() + Duration::from_secs(120);
    while got < bytes {
        assert!(pair.world.now() < limit && pair.world.step().is_some(), "{got} of {bytes} bytes");
        let host = pair.client;
        let stats = pair.world.machine(host).connection_stats(client).unwrap();
        fastest = fastest.max(stats.pacing_rate);
        let known = pair.call(Side::Server, |e, now| e.receive(now, server, stream));
        let mut next = known.ok();
        while let Some(ReceiveResult::Data(data)) = next {
            got += data.len();
            next = pair.call(Side::Server, |e, now| e.receive(now, server, stream)).ok();
        }
    }
    fastest
}
