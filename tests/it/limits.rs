//! Limits agreed at open, a server's minimum, and changes without closing (row T46).

use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Event, LostCause, Minimum,
    OpenError, Order, Pattern, Reconfigure, SendOptions, Side as Role, State, StreamOptions,
    TransportConfig,
};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Carrier, Pair, Side, identity};

fn agreed(pair: &Pair, side: Side, handle: ConnectionHandle) -> tripline::Agreed {
    pair.world.machine(pair.host(side)).agreed(handle).expect("it is agreed")
}

fn reconfigure(pair: &mut Pair, side: Side, handle: ConnectionHandle, change: Reconfigure) {
    pair.call(side, |e, now| e.reconfigure(now, handle, change)).expect("it is there");
}

/// T46: both sides see the same numbers: what one announced is what the other is bound by.
#[test]
pub(crate) fn t46_both_sides_see_the_agreed_numbers() {
    let mut client = Config { identity: Some(identity("client")), ..Config::client() };
    client.hardware_aes = true;
    client.transport = TransportConfig {
        idle_timeout: Duration::from_secs(20),
        keep_alive: Duration::from_secs(7),
        message_max: 10_000,
        stream_credit: 100_000,
        connection_credit: 1_000_000,
        two_way_streams: 3,
        one_way_streams: 4,
        ack_delay: Duration::from_millis(5),
        datagram_size: 1_300,
        datagram_ceiling: 1_300,
        ..TransportConfig::default()
    };
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")));
    let connection = pair.connect();
    let none = pair.world.machine(pair.client).agreed(connection);
    assert_eq!(none, None, "nothing is agreed before CHALLENGE");
    let server = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    pair.run(Duration::from_secs(1));
    let [ours, theirs] = [(Side::Client, connection), (Side::Server, server)]
        .map(|(side, handle)| agreed(&pair, side, handle));
    assert_eq!((ours.ours, ours.theirs), (theirs.theirs, theirs.ours));
    assert_eq!((ours.granted, ours.allowed), (theirs.allowed, theirs.granted));
    assert_eq!((ours.side, theirs.side), (Role::Client, Role::Server));
    assert_eq!((ours.version, ours.suite), (theirs.version, theirs.suite));
    assert_eq!(ours.suite.pattern, Pattern::Ik);
    assert_eq!(ours.suite.noise_name(), "Noise_IK_25519_AESGCM_SHA256");
    assert_eq!(ours.peer, Some(identity("server").public_key()));
    assert_eq!(theirs.peer, Some(identity("client").public_key()));
    assert_eq!((ours.ours.message_max, ours.ours.stream_credit), (10_000, 100_000));
    assert_eq!((ours.ours.two_way_streams, ours.ours.one_way_streams), (3, 4));
    assert_eq!(ours.granted.connection_credit, 1_000_000);
    assert_eq!(ours.ours.keep_alive, Duration::from_secs(7));
    assert_eq!(ours.ours.ack_delay, Duration::from_millis(5));
    assert_eq!(
        (ours.idle_timeout, theirs.idle_timeout),
        (Duration::from_secs(20), ours.idle_timeout)
    );
    // What a link takes is another matter than what a path does (R-LINK-3).
    let size = if Carrier::current().is_link() { 8_192 } else { 1_300 };
    assert_eq!((ours.datagram_size, ours.theirs.datagram_max), (size, 65_527));
}

/// T46, R-PARAM-5: who stays below the server's minimum is refused with code 7 in every pattern,
/// and who just reaches it comes in.
#[test]
pub(crate) fn t46_the_client_cannot_go_below_the_servers_minimum() {
    let at_least = |transport: &TransportConfig| Minimum {
        message_max: transport.message_max,
        stream_credit: transport.stream_credit,
        connection_credit: transport.connection_credit,
        two_way_streams: transport.two_way_streams,
        one_way_streams: transport.one_way_streams,
        datagram_max: 65_527,
        idle_timeout: transport.idle_timeout,
    };
    let least = at_least(&TransportConfig::default());
    let cases = [
        (None, least),
        (Some("largest message"), Minimum { message_max: least.message_max + 1, ..least }),
        (Some("stream credit"), Minimum { stream_credit: least.stream_credit + 1, ..least }),
        (
            Some("connection credit"),
            Minimum { connection_credit: least.connection_credit + 1, ..least },
        ),
        (Some("two-way streams"), Minimum { two_way_streams: 257, ..least }),
        (Some("one-way streams"), Minimum { one_way_streams: 257, ..least }),
        (Some("largest datagram"), Minimum { datagram_max: 65_535, ..least }),
        (Some("idle timeout"), Minimum { idle_timeout: Duration::from_secs(31), ..least }),
    ];
    for pattern in ["NK", "IK", "XX"] {
        for (missed, minimum) in cases {
            let mut config = Config::public_server(identity("server"));
            config.server.as_mut().expect("a server").minimum = minimum;
            let mut client = Config::client();
            client.identity = (pattern == "IK").then(|| identity("client"));
            let mut pair = Pair::with(1, client, config);
            let server_key = (pattern != "XX").then(|| identity("server").public_key());
            let handle = pair.connect_with(ConnectOptions { server_key, ..Default::default() });
            if pattern == "XX" {
                let shown = |event: &Event| matches!(event, Event::ServerKey { .. }).then_some(());
                pair.wait(Side::Client, shown);
                pair.call(Side::Client, |e, now| e.trust(now, handle)).expect("it waits");
            }
            let error = pair.wait(Side::Client, |event| match event {
                Event::Connected { .. } => Some(None),
                Event::Failed { error, .. } => Some(Some(error.clone())),
                _ => None,
            });
            let expected = missed.map(|what| ConnectError::Refused {
                code: Code::PARAMETER,
                reason: format!("{what} below the minimum"),
            });
            assert_eq!(error, expected, "{pattern}");
        }
    }
}

/// R-PARAM-5: a client that never gives up bears any silence.
#[test]
pub(crate) fn t46_never_is_longer_than_any_minimum() {
    let mut config = Config::public_server(identity("server"));
    let minimum = Minimum { idle_timeout: Duration::from_secs(3_600), ..Minimum::default() };
    config.server.as_mut().expect("a server").minimum = minimum;
    let mut client = Config::client();
    client.transport.idle_timeout = Duration::ZERO;
    Pair::with(1, client, config).connected();
}

/// T46, R-PARAM-6: more streams at once, without closing; whoever waits for them is told.
#[test]
pub(crate) fn t46_reconfigure_allows_more_streams() {
    let mut config = Config::public_server(identity("server"));
    config.transport.two_way_streams = 2;
    let mut pair = Pair::with(1, Config::client(), config);
    let (client, server) = pair.connected();
    let open = |pair: &mut Pair| {
        let two_way = StreamOptions::two_way(Order::Ordered);
        pair.call(Side::Client, |e, now| e.open(now, client, two_way))
    };
    assert!(open(&mut pair).is_ok() && open(&mut pair).is_ok());
    assert_eq!(open(&mut pair), Err(OpenError::Limit { limit: 2 }));
    let change = Reconfigure { two_way_streams: Some(5), ..Reconfigure::default() };
    reconfigure(&mut pair, Side::Server, server, change);
    pair.wait(Side::Client, |event| matches!(event, Event::StreamsAvailable { .. }).then_some(()));
    assert!((0..3).all(|_| open(&mut pair).is_ok()));
    assert_eq!(open(&mut pair), Err(OpenError::Limit { limit: 5 }));
    assert_eq!(agreed(&pair, Side::Client, client).allowed.two_way_streams, 5);
    assert_eq!(agreed(&pair, Side::Server, server).granted.two_way_streams, 5);
    assert_eq!(agreed(&pair, Side::Server, server).ours.two_way_streams, 2, "as announced");
}

/// How many messages of 10,000 bytes arrive on a stream that nobody reads.
fn unread(pair: &mut Pair, server: ConnectionHandle) -> u64 {
    pair.run(Duration::from_secs(2));
    let stats = pair.world.machine(pair.server).connection_stats(server).expect("it lives");
    stats.bytes_received / 10_000
}

/// T46, R-PARAM-6: larger windows of credit reach streams that are open and streams to come; a
/// smaller one takes nothing back, also where packets are lost and come late.
#[test]
pub(crate) fn t46_reconfigure_moves_the_windows_of_credit() {
    let mut config = Config::public_server(identity("server"));
    config.transport.message_max = 10_000;
    config.transport.stream_credit = 100_000;
    let mut client = Config::client();
    client.transport.send_buffer = 8 << 20;
    let link = LinkConfig::lossy(Chance::percent(3)).delay(Duration::from_millis(10));
    let mut pair = Pair::with(1, client, config).link(link);
    let (client, server) = pair.connected();
    let streams =
        [0, 1].map(|_| pair.open(Side::Client, client, StreamOptions::two_way(Order::Ordered)));
    let send = |pair: &mut Pair, stream, count| {
        (0..count).for_each(|_| pair.send(Side::Client, client, stream, &[7; 9_990]));
    };
    send(&mut pair, streams[0], 100);
    assert!((9..12).contains(&unread(&mut pair, server)), "{}", unread(&mut pair, server));
    let change = Reconfigure { stream_credit: Some(500_000), ..Reconfigure::default() };
    reconfigure(&mut pair, Side::Server, server, change);
    assert!((48..60).contains(&unread(&mut pair, server)), "{}", unread(&mut pair, server));
    send(&mut pair, streams[1], 100);
    assert!((96..120).contains(&unread(&mut pair, server)), "{}", unread(&mut pair, server));
    // Smaller again: nothing is taken back, and in the end everything arrives.
    let least = Reconfigure {
        stream_credit: Some(0),
        connection_credit: Some(0),
        two_way_streams: Some(0),
        ..Reconfigure::default()
    };
    reconfigure(&mut pair, Side::Server, server, least);
    let mut got = [0; 2];
    while got != [100; 2] {
        for (count, stream) in got.iter_mut().zip(streams) {
            *count += pair.messages(Side::Server, server, stream).len();
        }
        pair.run(Duration::from_millis(50));
        assert!(pair.world.now().as_nanos() < 120_000_000_000, "{got:?}: {}", pair.explain());
    }
    assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
}

/// T46, R-PARAM-6: our idle limit can be shortened, from the call on, and not stretched beyond what
/// was announced; a keep-alive can be switched on and off.
#[test]
pub(crate) fn t46_reconfigure_changes_what_silence_means() {
    let seconds = |idle: u64, keep_alive: u64| Reconfigure {
        idle_timeout: Some(Duration::from_secs(idle)),
        keep_alive: Some(Duration::from_secs(keep_alive)),
        ..Reconfigure::default()
    };
    let mut pair = Pair::new(1);
    let (client, server) = pair.connected();
    pair.run(Duration::from_secs(5));
    reconfigure(&mut pair, Side::Client, client, seconds(3_600, 2));
    assert_eq!(agreed(&pair, Side::Client, client).idle_timeout, Duration::from_secs(30));
    pair.run(Duration::from_secs(600));
    assert_eq!(pair.state(Side::Server, server), Some(State::Ready), "kept alive");
    reconfigure(&mut pair, Side::Client, client, seconds(10, 0));
    assert_eq!(agreed(&pair, Side::Client, client).idle_timeout, Duration::from_secs(10));
    let start = pair.world.now();
    let lost = |event: &Event| match event {
        Event::Lost { cause, .. } => Some(cause.clone()),
        _ => None,
    };
    assert_eq!(pair.wait(Side::Client, lost), LostCause::Idle);
    let after = pair.world.now() - start;
    assert!((10..12).contains(&after.as_secs()), "{after:?}");
    let told = pair.wait(Side::Server, lost);
    assert_eq!(told, LostCause::Peer { code: Code::IDLE, reason: String::new() });
    let late = pair.call(Side::Client, |e, now| e.reconfigure(now, client, seconds(1, 1)));
    assert!(late.is_err(), "it has ended");
}

/// T46, T44: a larger send buffer tells whoever waits for room.
#[test]
pub(crate) fn t46_reconfigure_grows_the_send_buffer() {
    let mut client = Config::client();
    client.transport.send_buffer = 10_000;
    let server = Config::public_server(identity("server"));
    let mut pair = Pair::with(1, client, server).link(LinkConfig::down());
    let client = pair.connect();
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Bytes));
    pair.send(Side::Client, client, stream, &[1; 9_000]);
    let options = SendOptions::default();
    let more =
        pair.call(Side::Client, |e, now| e.send(now, client, stream, vec![1; 9_000], options));
    assert_eq!(more, Err(tripline::SendError::Blocked));
    let change = Reconfigure { send_buffer: Some(100_000), ..Reconfigure::default() };
    reconfigure(&mut pair, Side::Client, client, change);
    let writable = Event::Writable { connection: client, stream };
    assert_eq!(pair.events(Side::Client), [writable]);
    pair.run(Duration::from_secs(1));
}
