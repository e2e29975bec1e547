//! Codes that are reserved and mean nothing yet: they may come, and nothing comes of it.

use tripline::{Config, Event, Order, State, StreamOptions};
use tripline_sansio::Duration;
use tripline_tests::{Pair, Side, identity};

/// The first byte that is reserved for DDNS (PROTOCOL.md §2).
const DDNS: u8 = 0x07;

/// T57, R-WIRE-4: DDNS packets are reserved on the wire: whatever their length, and whenever they
/// come, both sides drop and count them, say nothing, and go on; other unknown first bytes count
/// as malformed.
#[test]
pub(crate) fn t57_ddns_is_reserved_and_ignored() {
    let packets = [1, 2, 17, 1_200, 9_000].map(|len| {
        let mut packet = vec![0xab; len];
        packet[0] = DDNS;
        packet
    });
    let client = Config { identity: Some(identity("client")), ..Config::client() };
    let public = Config::public_server(identity("server"));
    let private = Config::private_server(identity("server"), [identity("client").public_key()]);
    for server in [public, private] {
        let mut pair = Pair::with(1, client.clone(), server);
        let tape = pair.tape();
        let deliver = |pair: &mut Pair| {
            let sent = tape.len();
            for side in [Side::Client, Side::Server] {
                let before = pair.world.machine(pair.host(side)).stats().drops;
                packets.iter().for_each(|packet| pair.deliver(side, packet));
                let drops = pair.world.machine(pair.host(side)).stats().drops;
                assert_eq!(drops.unsupported - before.unsupported, 5, "{side:?}");
                assert_eq!(drops.malformed, before.malformed, "{side:?}");
            }
            assert_eq!(tape.len(), sent, "no answer");
        };
        deliver(&mut pair);
        let client = pair.connect();
        deliver(&mut pair);
        pair.run(Duration::from_millis(15));
        deliver(&mut pair);
        pair.run(Duration::from_secs(1));
        let server = pair.wait(Side::Server, |event| match event {
            Event::Connected { connection, .. } => Some(*connection),
            _ => None,
        });
        deliver(&mut pair);
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        pair.send(Side::Client, client, stream, b"as ever");
        deliver(&mut pair);
        pair.run(Duration::from_millis(100));
        assert_eq!(pair.messages(Side::Server, server, stream), [b"as ever"]);
        assert_eq!(pair.state(Side::Client, client), Some(State::Ready));
        let before = pair.world.machine(pair.server).stats().drops;
        pair.deliver(Side::Server, &[DDNS + 1, 0, 0]);
        let drops = pair.world.machine(pair.server).stats().drops;
        assert_eq!(drops.malformed - before.malformed, 1, "8 is reserved for nothing");
    }
}
