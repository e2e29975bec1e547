//! What a host measures that was asleep, or whose clock jumped (R-RTT-1, R-RTT-2).

use tripline::{Config, ConnectionHandle, ConnectionStats, Order, StreamId, StreamOptions};
use tripline_sansio::Duration;
use tripline_sim::{AsleepClock, AsleepSocket};
use tripline_tests::{Pair, Side, identity};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);
/// Where a round trip on a link of twice 10 ms has to lie, ack delay included.
const NEAR: u64 = 60_000_000;

/// A connection that outlives any silence, with a stream from the client to the server.
fn lasting() -> (Pair, [ConnectionHandle; 2], StreamId) {
    let [mut client, mut server] = [Config::client(), Config::public_server(identity("server"))];
    for config in [&mut client, &mut server] {
        config.transport.idle_timeout = Duration::ZERO;
    }
    let mut pair = Pair::with(1, client, server);
    let (client, server) = pair.connected();
    pair.run(SECOND);
    let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
    pair.send(Side::Client, client, stream, b"first");
    pair.run(SECOND);
    (pair, [client, server], stream)
}

fn stats(pair: &Pair, side: Side, connection: ConnectionHandle) -> ConnectionStats {
    pair.world.machine(pair.host(side)).connection_stats(connection).expect("it lives")
}

/// R-RTT-1: an hour that a clock jumps while packets are on their way is no round trip, of which
/// the probe timeout would be made; however often it happens.
#[test]
pub(crate) fn r_rtt_1_a_jump_of_the_clock_is_no_round_trip() {
    let (mut pair, [client, server], stream) = lasting();
    for turn in 0..10_u8 {
        pair.send(Side::Client, client, stream, &[turn; 3_000]);
        pair.run(Duration::from_millis(u64::from(turn) * 3));
        pair.world.jump_clock(pair.client, HOUR);
        pair.run(SECOND);
        let ConnectionStats { rtt_ns, rtt_latest_ns, .. } = stats(&pair, Side::Client, client);
        assert!(rtt_ns < NEAR && rtt_latest_ns < NEAR, "{turn}: {rtt_ns} {rtt_latest_ns}");
    }
    assert_eq!(pair.messages(Side::Server, server, stream).len(), 11);
}

/// R-RTT-1: what is not longer than a probe timeout cannot be told from a slow path, and counts.
#[test]
pub(crate) fn r_rtt_1_a_little_jump_counts() {
    let (mut pair, [client, _], stream) = lasting();
    pair.send(Side::Client, client, stream, b"second");
    pair.run(Duration::from_millis(5));
    pair.world.jump_clock(pair.client, Duration::from_millis(25));
    pair.run(SECOND);
    let latest = stats(&pair, Side::Client, client).rtt_latest_ns;
    assert!((40_000_000..100_000_000).contains(&latest), "{latest}");
}

/// R-RTT-1: a laptop that slept for a night with its clock running on measures what it sends after
/// it woke up, and finds the usual round trip.
#[test]
pub(crate) fn r_rtt_1_a_night_asleep_is_no_round_trip() {
    let (mut pair, [client, _], stream) = lasting();
    pair.send(Side::Client, client, stream, &[1; 20_000]);
    pair.run(Duration::from_millis(15));
    pair.world.pause(pair.client, AsleepSocket::Keep(200_000), AsleepClock::Runs);
    pair.run(8 * HOUR);
    pair.world.resume(pair.client);
    pair.run(SECOND);
    let before = stats(&pair, Side::Client, client);
    assert!(before.rtt_ns < NEAR && before.rtt_latest_ns < NEAR, "{before:?}");
    pair.send(Side::Client, client, stream, b"awake");
    pair.run(SECOND);
    let after = stats(&pair, Side::Client, client);
    assert!((20_000_000..NEAR).contains(&after.rtt_latest_ns), "{after:?}");
}

/// R-RTT-2: a peer that slept with our packets in its socket answers the oldest of them an hour
/// late. That is believed to be half a minute, and probes go on within a minute.
#[test]
pub(crate) fn r_rtt_2_a_peer_that_slept_makes_no_timeout_of_hours() {
    let (mut pair, [client, server], stream) = lasting();
    pair.world.pause(pair.server, AsleepSocket::Keep(1_500), AsleepClock::Runs);
    pair.send(Side::Client, client, stream, b"good night");
    pair.run(HOUR);
    pair.world.resume(pair.server);
    pair.run(Duration::from_millis(50));
    let longest = stats(&pair, Side::Client, client).rtt_latest_ns;
    assert_eq!(longest, 30_000_000_000, "held up, and no more of it is believed");
    // The next packet is lost: it comes again within a minute, not after hours.
    pair.world.cut(pair.client, pair.server);
    pair.send(Side::Client, client, stream, b"lost at first");
    pair.run(SECOND);
    pair.world.heal(pair.client, pair.server);
    pair.run(Duration::from_secs(61));
    assert_eq!(pair.messages(Side::Server, server, stream).len(), 3);
}
