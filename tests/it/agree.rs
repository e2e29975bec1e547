//! What two sides agree on, change later, and take from each other while they end.

use std::sync::{Arc, Mutex};
use tripline::{
    By, Code, Config, ConnectionHandle, Event, Fate, Order, ReceiveResult, State, StreamId,
    StreamOptions,
};
use tripline_sansio::Duration;
use tripline_tests::{Pair, Side, Wiretap, identity};

/// Whether an event is about this stream.
fn is_about(event: &Event, id: StreamId) -> bool {
    matches!(event,
        Event::Opened { stream, .. }
        | Event::Readable { stream, .. }
        | Event::Writable { stream, .. }
        | Event::Stopped { stream, .. }
        | Event::Message { stream, .. } if *stream == id)
}

/// R-CLOSE-5, T54, row LEAVING of §10.5: streams that were opened before the peer heard of the end
/// are turned away without a word to our user, and what was known goes on.
#[test]
pub(crate) fn r_close_5_a_leaving_side_turns_new_streams_away() {
    let mut config = Config::public_server(identity("server"));
    config.transport.send_buffer = 4 << 20;
    let mut pair = Pair::with(1, Config::client(), config);
    let (client, server) = pair.connected();
    let known = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
    // More than the stream's credit, so that it takes until the client reads.
    for _ in 0..8 {
        pair.send(Side::Server, server, known, &[1; 256 << 10]);
    }
    pair.run(Duration::from_secs(1));
    let (grace, code) = (Duration::from_secs(30), Code::application(1));
    pair.call(Side::Client, |e, now| e.close(now, client, grace, code, "")).unwrap();
    let one_way = pair.open(Side::Server, server, StreamOptions::one_way(Order::Bytes));
    let two_way = pair.open(Side::Server, server, StreamOptions::two_way(Order::Unordered));
    for stream in [one_way, two_way] {
        pair.send(Side::Server, server, stream, b"too late");
    }
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.state(Side::Client, client), Some(State::Leaving));
    let before = pair.events(Side::Server);
    for stream in [one_way, two_way] {
        let code = Code::SHUTTING_DOWN;
        let stopped = Event::Stopped { connection: server, stream, code };
        let told = before.iter().filter(|event| **event == stopped).count();
        assert_eq!(told, 1, "{stream:?}: {before:?}");
        let fates = before
            .iter()
            .filter(|event| matches!(event, Event::Message { stream: on, .. } if *on == stream));
        assert_eq!(fates.count(), 1, "{stream:?}: each message has one fate (T30)");
    }
    let ended = ReceiveResult::Closed(Code::SHUTTING_DOWN);
    assert_eq!(pair.drain(Side::Server, server, two_way), [ended]);
    let mut got = 0;
    while got < 8 {
        got += pair.messages(Side::Client, client, known).len();
        pair.run(Duration::from_millis(100));
        assert!(pair.world.now().as_nanos() < 20_000_000_000, "{got} of 8");
    }
    pair.run(Duration::from_secs(2));
    let events = pair.events(Side::Client);
    let heard = events.iter().find(|event| is_about(event, one_way) || is_about(event, two_way));
    assert_eq!(heard, None);
    let closed = Event::Closed { connection: client, by: By::Us, code, reason: String::new() };
    assert!(events.contains(&closed), "{events:?}");
    assert_eq!(pair.state(Side::Client, client), None, "streams turned away hold nothing up");
    let acked = |event: &&Event| match event {
        Event::Message { stream, fate, .. } => *stream == known && *fate == Fate::Acked,
        _ => false,
    };
    let all = [before, pair.events(Side::Server)].concat();
    assert_eq!(all.iter().filter(acked).count(), 8);
}

/// R-CLOSE-2: packets that verify and are dropped at a bound keep a connection alive.
#[test]
pub(crate) fn r_close_2_packets_at_a_bound_are_signs_of_life() {
    // Frames that take the place of every text large enough.
    let plot: Arc<Mutex<Option<Vec<u8>>>> = Arc::default();
    let (tap, frames) = (Wiretap::default(), plot.clone());
    tap.meddle(move |is_data, text| {
        let plot = frames.lock().unwrap();
        if let Some(frames) = plot.as_ref().filter(|frames| is_data && frames.len() <= text.len()) {
            text.fill(0);
            text[..frames.len()].copy_from_slice(frames);
        }
    });
    let mut server = Config::public_server(identity("server"));
    // Shorter than the client's longest wait for a probe: else its probes, which get no answer,
    // would keep the server from asking, and the client would hear nothing.
    server.transport.keep_alive = Duration::from_secs(2);
    let mut pair = Pair::with(1, tap.on(Config::client()), server);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Unordered));
    // Single bytes with gaps between, on another stream, up to the bound of gaps.
    let mut offset = 100_u16;
    // Many at a time, then one by one up to the very bound.
    for count in [17_u16; 60].into_iter().chain([1; 90]) {
        let frame = |at: u16| [&[0x19, 0x12][..], &(at | 0x4000).to_be_bytes(), &[1, 7]].concat();
        let frames: Vec<u8> = (0..count).flat_map(|n| frame(offset + 2 * n)).collect();
        offset += 2 * count;
        *plot.lock().unwrap() = Some(frames);
        pair.send(Side::Client, client, stream, &[0; 1_100]);
        pair.run(Duration::from_millis(100));
    }
    let drops = |pair: &Pair| {
        let stats = pair.world.machine(pair.server).connection_stats(server);
        stats.expect("it lives").drops.at_bound
    };
    let before = drops(&pair);
    // From now on every packet of the client, whatever it was to be, is one that meets the bound.
    *plot.lock().unwrap() = Some(vec![0x18, 0x12, 0x7f, 0xff]);
    let received = pair.world.machine(pair.server).connection_stats(server).unwrap();
    pair.run(Duration::from_secs(120));
    let why = pair.explain();
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready), "{why}");
    let stats = pair.world.machine(pair.server).connection_stats(server).unwrap();
    let new = stats.packets_received - received.packets_received;
    assert!(new > 10 && drops(&pair) - before == new, "{} of {new}", drops(&pair) - before);
}

/// How a connection of [`r_close_6_drained_is_the_last_event_of_every_connection`] ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Close,
    Leave,
    Kill,
    Idle,
    NeverConnected,
    Cancelled,
}

/// R-CLOSE-6, M03: however a connection ends, `Drained` is the last event on both sides, comes
/// once, and the engine has nothing more to do for it then.
#[test]
pub(crate) fn r_close_6_drained_is_the_last_event_of_every_connection() {
    use Ending::{Cancelled, Close, Idle, Kill, Leave, NeverConnected};
    for ending in [Close, Leave, Kill, Idle, NeverConnected, Cancelled] {
        let mut pair = Pair::new(1);
        let early = matches!(ending, NeverConnected | Cancelled);
        let (client, server) = match early {
            false => pair.connected(),
            true => (pair.connect(), pair.connect()),
        };
        let grace = Duration::from_secs(if ending == Leave { 5 } else { 0 });
        match ending {
            Kill => pair.call(Side::Client, |e, now| e.kill(now, client)).unwrap(),
            Idle | NeverConnected => {
                pair.silence_both();
            }
            Close | Leave | Cancelled => pair
                .call(Side::Client, |e, now| e.close(now, client, grace, Code::NONE, ""))
                .unwrap(),
        }
        pair.run(Duration::from_secs(120));
        let sides = [(Side::Client, client), (Side::Server, server)];
        for (side, handle) in sides.into_iter().take(if early { 1 } else { 2 }) {
            let events = pair.events(side);
            let ours: Vec<_> = events.iter().filter(|event| ends(event, handle)).collect();
            let drained = Event::Drained { connection: handle };
            assert_eq!(ours.len(), 2, "{ending:?} {side:?}: {events:?}");
            assert_eq!(ours[1], &drained, "{ending:?} {side:?}: {events:?}");
            assert_eq!(pair.state(side, handle), None, "{ending:?} {side:?}");
        }
    }
}

/// Whether an event belongs to the end of this connection.
fn ends(event: &Event, handle: ConnectionHandle) -> bool {
    matches!(event,
        Event::Closed { connection, .. }
        | Event::Lost { connection, .. }
        | Event::Failed { connection, .. }
        | Event::Drained { connection } if *connection == handle)
}

/// R-CLOSE-6: what was received can be read after `Drained`, and only then the handle dies.
#[test]
pub(crate) fn r_close_6_unread_data_outlives_drained() {
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, b"read me");
    pair.run(Duration::from_secs(1));
    pair.call(Side::Client, |e, now| e.close(now, client, Duration::ZERO, Code::NONE, "")).unwrap();
    pair.wait(Side::Server, |event| matches!(event, Event::Drained { .. }).then_some(()));
    assert_eq!(pair.state(Side::Server, server), Some(State::Closed));
    assert_eq!(pair.world.machine(pair.server).connections(), 1);
    assert_eq!(pair.messages(Side::Server, server, stream), [b"read me"]);
    assert_eq!(pair.state(Side::Server, server), None);
    pair.run(Duration::from_secs(60));
    let events = pair.events(Side::Server);
    let drained = events.iter().filter(|event| matches!(event, Event::Drained { .. })).count();
    assert_eq!(drained, 1, "{events:?}");
    assert!(matches!(events.last(), Some(Event::Drained { .. })), "{events:?}");
}
