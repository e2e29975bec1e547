//! Row T49: each profile has a goal, and here it is beside the default, in the simulator.

use tripline::{
    Config, ConnectionHandle, Event, Fate, Order, PeerReason, Profile, Reason, ReceiveResult,
    SendOptions, State, StreamId, StreamOptions, TransportConfig,
};
use tripline_sansio::{Duration, Instant};
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Pair, Side, identity};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pair with these settings on its sides, connected over this link.
fn pair(
    link: LinkConfig,
    client: TransportConfig,
    server: TransportConfig,
) -> (Pair, ConnectionHandle, ConnectionHandle) {
    let client = Config { transport: client, ..Config::client() };
    let server = Config { transport: server, ..Config::public_server(identity("server")) };
    let mut pair = Pair::with(7, client, server).link(link);
    let (client, server) = pair.connected();
    (pair, client, server)
}

/// The same settings on both sides, of a profile and by default.
fn both(profile: Profile) -> [TransportConfig; 2] {
    [profile.transport(), TransportConfig::default()]
}

/// How long `bytes` bytes take from one side to the other, handed in as the buffer takes them.
fn transfer(
    pair: &mut Pair,
    from: Side,
    (sender, receiver): (ConnectionHandle, ConnectionHandle),
    bytes: usize,
) -> Duration {
    let began = pair.world.now();
    let stream = pair.open(from, sender, StreamOptions::one_way(Order::Bytes));
    let (mut handed, mut got) = (0, 0);
    while got < bytes {
        while handed < bytes {
            let chunk = vec![1; 50_000.min(bytes - handed)];
            let len = chunk.len();
            let sent = pair
                .call(from, |e, now| e.send(now, sender, stream, chunk, SendOptions::default()));
            if sent.is_err() {
                break;
            }
            handed += len;
        }
        pair.run(ms(10));
        got += read(pair, from.other(), receiver, stream).iter().map(Vec::len).sum::<usize>();
        assert!(pair.world.now() - began < Duration::from_secs(900), "{got}: {}", pair.explain());
    }
    pair.world.now() - began
}

/// What a stream has to give now; nothing if it is not there yet.
fn read(pair: &mut Pair, side: Side, handle: ConnectionHandle, stream: StreamId) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Ok(ReceiveResult::Data(data)) =
        pair.call(side, |e, now| e.receive(now, handle, stream))
    {
        all.push(data.to_vec());
    }
    all
}

/// What must not be exceeded by 95 in 100.
fn percentile_95(mut times: Vec<Duration>) -> Duration {
    assert!(times.len() >= 50, "{} messages are too few", times.len());
    times.sort_unstable();
    times[times.len() * 95 / 100]
}

/// Bulk: a path that loses 5 % of all packets is used, where the default backs off.
#[test]
pub(crate) fn t49_bulk_uses_a_path_that_loses_packets() {
    let link = LinkConfig::lossy(Chance::percent(5)).delay(ms(40)).rate(5_000_000, 400_000);
    let [bulk, default] = both(Profile::Bulk).map(|transport| {
        let (mut pair, client, server) = pair(link, transport.clone(), transport);
        transfer(&mut pair, Side::Client, (client, server), 4_000_000)
    });
    println!("4 MB at 5 % loss: bulk {bulk:?}, default {default:?}");
    assert!(bulk * 4 < default, "{bulk:?} and {default:?}");
    assert!(bulk < Duration::from_secs(4), "more than a fifth of the rate: {bulk:?}");
}

/// Web client: a large answer comes at full rate; the default waits for its window to grow.
#[test]
pub(crate) fn t49_web_client_does_not_wait_for_windows() {
    let link = LinkConfig::perfect().delay(ms(100));
    let [web, default] = both(Profile::WebClient).map(|transport| {
        let mut server = Profile::Bulk.transport();
        server.congestion = tripline::Congestion::FixedRate(50_000_000);
        let (mut pair, client, server) = pair(link, transport, server);
        transfer(&mut pair, Side::Server, (server, client), 16_000_000)
    });
    println!("16 MB over 200 ms: web client {web:?}, default {default:?}");
    assert!(web * 3 < default * 2, "{web:?} and {default:?}");
}

/// How many bytes a peer can make us hold that sends on 20 streams what nobody reads.
fn claimed(transport: TransportConfig, message: usize) -> u64 {
    let (mut pair, client, server) =
        pair(LinkConfig::perfect().delay(ms(5)), Profile::Bulk.transport(), transport);
    let mut streams = Vec::new();
    for number in 0..20 * (4 << 20) / message {
        if number % ((4 << 20) / message) == 0 {
            let options = StreamOptions::one_way(Order::Unordered);
            match pair.call(Side::Client, |e, now| e.open(now, client, options)) {
                Ok(stream) => streams.push(stream),
                Err(_) => break,
            }
        }
        pair.send(Side::Client, client, streams[streams.len() - 1], &vec![1; message]);
    }
    pair.run(Duration::from_secs(20));
    let now = pair.world.now();
    let found = pair.world.machine(pair.server).explain(now, server).expect("it is there");
    let unread = found.reasons.iter().find_map(|reason| match reason {
        Reason::Peer(PeerReason::Unread { bytes, .. }) => Some(*bytes),
        _ => None,
    });
    unread.expect("nobody reads")
}

/// Web server: a thousand requests at once, and at most 4 MiB for each connection.
#[test]
pub(crate) fn t49_web_server_takes_many_requests_and_little_memory() {
    let [web, default] = both(Profile::WebServer).map(|transport| {
        let link = LinkConfig::perfect().delay(ms(50));
        let (mut pair, client, _) = pair(link, TransportConfig::default(), transport);
        let options = StreamOptions::two_way(Order::Ordered);
        let open = |pair: &mut Pair| pair.call(Side::Client, |e, now| e.open(now, client, options));
        (0..1_000).take_while(|_| open(&mut pair).is_ok()).count()
    });
    assert_eq!((web, default), (1_000, 256));
    let [web, default] = both(Profile::WebServer).map(|transport| claimed(transport, 32 << 10));
    println!("a peer can claim: web server {web}, default {default}");
    assert!(web <= 4 << 20 && default > 4 * web, "{web} and {default}");
}

/// IoT server: no peer can claim more than 64 KiB.
#[test]
pub(crate) fn t49_iot_server_gives_no_peer_more_than_64_kib() {
    let [iot, default] = both(Profile::IotServer).map(|transport| claimed(transport, 4 << 10));
    println!("a peer can claim: IoT server {iot}, default {default}");
    assert!(iot <= 64 << 10 && default > 100 * iot, "{iot} and {default}");
}

/// Bytes of small messages with the time in them, as they are taken by the other side.
struct Clocked {
    from: Side,
    handles: (ConnectionHandle, ConnectionHandle),
    stream: StreamId,
    ages: Vec<Duration>,
}

impl Clocked {
    fn send(&self, pair: &mut Pair, len: usize, options: SendOptions) -> bool {
        let now = pair.world.now().as_nanos();
        let mut message = now.to_be_bytes().to_vec();
        message.resize(len, 0);
        let (from, sender, stream) = (self.from, self.handles.0, self.stream);
        pair.call(from, |e, now| e.send(now, sender, stream, message, options)).is_ok()
    }

    fn read(&mut self, pair: &mut Pair) {
        for message in read(pair, self.from.other(), self.handles.1, self.stream) {
            let sent = u64::from_be_bytes(message[..8].try_into().expect("eight bytes"));
            self.ages.push(pair.world.now() - Instant::from_nanos(sent));
        }
    }
}

/// Game: small unreliable messages beside a bulk transfer come soon, as the queue on the way stays
/// short.
#[test]
pub(crate) fn t49_game_messages_come_soon_beside_bulk() {
    let link = LinkConfig::perfect().delay(ms(20)).rate(1_000_000, 300_000);
    let [game, default] = both(Profile::Game).map(|transport| {
        let (mut pair, client, server) = pair(link, transport.clone(), transport);
        let low = StreamOptions { priority: 7, ..StreamOptions::one_way(Order::Bytes) };
        let bulk = pair.open(Side::Client, client, low);
        let high = StreamOptions { priority: 0, ..StreamOptions::one_way(Order::Unordered) };
        let stream = pair.open(Side::Client, client, high);
        let handles = (client, server);
        let mut small = Clocked { from: Side::Client, handles, stream, ages: Vec::new() };
        for tick in 0..5_000 {
            let chunk = vec![1; 20_000];
            let options = SendOptions::default();
            let _ = pair.call(Side::Client, |e, now| e.send(now, client, bulk, chunk, options));
            if tick % 20 == 0 {
                small.send(&mut pair, 100, SendOptions::UNRELIABLE);
            }
            pair.run(ms(1));
            read(&mut pair, Side::Server, server, bulk);
            small.read(&mut pair);
        }
        // The first second is for finding out what the path is like.
        percentile_95(small.ages.split_off(50))
    });
    println!("age of small messages beside bulk: game {game:?}, default {default:?}");
    assert!(game * 2 < default && game < ms(120), "{game:?} and {default:?}");
}

/// Real-time: who offers more than the path carries is told so, and what comes is not old.
#[test]
pub(crate) fn t49_real_time_drops_frames_instead_of_delaying_them() {
    let link = LinkConfig::perfect().delay(ms(20)).rate(200_000, 40_000);
    let [real_time, default] = both(Profile::RealTime).map(|transport| {
        let (mut pair, client, server) = pair(link, transport.clone(), transport);
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        let handles = (client, server);
        let mut frames = Clocked { from: Side::Client, handles, stream, ages: Vec::new() };
        for tick in 0..10_000 {
            if tick % 33 == 0 {
                frames.send(&mut pair, 10_000, SendOptions::default());
            }
            pair.run(ms(1));
            frames.read(&mut pair);
        }
        percentile_95(frames.ages.split_off(10))
    });
    println!("age of frames: real-time {real_time:?}, default {default:?}");
    assert!(real_time * 4 < default && real_time < ms(500), "{real_time:?} and {default:?}");
}

/// IoT client: hours without a packet, and it is still connected; a report costs a few, those of
/// the new keys included that an old zone asks for.
#[test]
pub(crate) fn t49_iot_says_nothing_for_hours_and_stays_connected() {
    let link = LinkConfig::perfect().delay(ms(50));
    let iot = [Profile::IotClient, Profile::IotServer].map(Profile::transport);
    let kept =
        TransportConfig { keep_alive: Duration::from_secs(10), ..TransportConfig::default() };
    let default = [kept, TransportConfig::default()];
    let [iot, default] = [iot, default].map(|[ours, theirs]| {
        let (mut pair, client, server) = pair(link, ours, theirs);
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        pair.run(Duration::from_secs(20));
        let tape = pair.tape();
        pair.run(Duration::from_secs(6 * 3_600));
        let idle = tape.len();
        assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
        assert_eq!(pair.state(Side::Server, server), Some(State::Ready));
        pair.send(Side::Client, client, stream, b"21.5 degrees");
        pair.run(Duration::from_secs(2));
        assert_eq!(pair.messages(Side::Server, server, stream).len(), 1);
        let events = pair.events(Side::Client);
        assert!(events.iter().any(|e| matches!(e, Event::Message { fate: Fate::Acked, .. })));
        (idle, tape.len() - idle)
    });
    println!("packets in six idle hours, and for a report: IoT {iot:?}, kept alive {default:?}");
    assert!(iot.0 == 0 && iot.1 <= 8, "{iot:?}");
    assert!(default.0 >= 6 * 360, "{default:?}");
}

/// Limp mode: half of all packets lost, two minutes of nothing, 1,200 bytes; it gets through.
#[test]
pub(crate) fn t49_limp_gets_through_where_the_default_gives_up() {
    let bad = LinkConfig::lossy(Chance::percent(50)).delay(ms(150)).mtu(1_200);
    let [limp, default] = both(Profile::Limp).map(|transport| {
        let (mut pair, client, server) = pair(bad, transport.clone(), transport);
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        let (mut handed, mut got) = (0, 0);
        for second in 0..1_200 {
            let link = if (10..130).contains(&second) { LinkConfig::down() } else { bad };
            if [10, 130].contains(&second) {
                pair.world.set_links(pair.client, pair.server, link);
            }
            while handed < 100 {
                let options = SendOptions::default();
                let message = vec![1; 2_000];
                let sent =
                    pair.call(Side::Client, |e, now| e.send(now, client, stream, message, options));
                if sent.is_err() {
                    break;
                }
                handed += 1;
            }
            pair.run(Duration::from_secs(1));
            got += read(&mut pair, Side::Server, server, stream).len();
            if got == 100 {
                return Some(second);
            }
        }
        assert_eq!(pair.state(Side::Client, client), None, "{got} messages");
        None
    });
    println!("200 kB at 50 % loss, 2 minutes away: limp {limp:?} s, default {default:?}");
    assert_eq!(default, None, "it gave up");
    assert!(limp.is_some_and(|seconds| seconds < 600), "{limp:?}");
}

/// Every profile can be connected with every other, and announces what the protocol allows.
#[test]
pub(crate) fn t49_profiles_go_together() {
    for ours in Profile::ALL {
        for theirs in Profile::ALL {
            let link = LinkConfig::perfect().delay(ms(10));
            let (mut pair, client, server) = pair(link, ours.transport(), theirs.transport());
            let took = transfer(&mut pair, Side::Client, (client, server), 20_000);
            assert!(took < Duration::from_secs(5), "{ours:?} to {theirs:?}: {took:?}");
        }
        assert!(ours.deadline() >= Duration::from_secs(1) && ours.grace() > Duration::ZERO);
    }
}
