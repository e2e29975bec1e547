//! Plain mode (feature `plain`): the four switches (T58), and what stays when they are on (T59).

use tripline::{
    Code, Config, ConnectError, ConnectOptions, ConnectionHandle, Event, Order, Phase, Plain, Psk,
    StreamOptions, Unsafe,
};
use tripline_sansio::Duration;
use tripline_sim::{Chance, LinkConfig};
use tripline_tests::{Pair, Side, Wiretap, identity};

/// The switches by their names, and what tells that one is in use.
const SWITCHES: [(&str, Plain, Unsafe); 4] = [
    ("unsigned out", Plain { unsigned_out: true, ..OFF }, Unsafe::UnsignedOut),
    ("unsigned in", Plain { unsigned_in: true, ..OFF }, Unsafe::UnsignedIn),
    ("plain open", Plain { plain_open: true, ..OFF }, Unsafe::PlainOpen),
    ("plain traffic", Plain { plain_traffic: true, ..OFF }, Unsafe::PlainTraffic),
];

const OFF: Plain =
    Plain { unsigned_out: false, unsigned_in: false, plain_open: false, plain_traffic: false };

/// What NN needs on each side.
const OPEN: Plain = Plain { plain_traffic: false, ..Plain::ALL };

/// The same without a switch.
fn without(plain: Plain, switch: usize) -> Plain {
    let off = SWITCHES[switch].1;
    Plain {
        unsigned_out: plain.unsigned_out && !off.unsigned_out,
        unsigned_in: plain.unsigned_in && !off.unsigned_in,
        plain_open: plain.plain_open && !off.plain_open,
        plain_traffic: plain.plain_traffic && !off.plain_traffic,
    }
}

fn client(plain: Plain) -> Config {
    Config { plain, ..Config::client() }
}

fn public(plain: Plain) -> Config {
    Config { plain, ..Config::public_server(identity("server")) }
}

/// A private server that knows "friend" alone.
fn private(plain: Plain) -> Config {
    let friend = identity("friend").public_key();
    Config { plain, ..Config::private_server(identity("server"), [friend]) }
}

/// Without the server's key: XX, or NN where the switches allow it.
fn keyless() -> ConnectOptions {
    ConnectOptions { deadline: Duration::from_secs(5), ..ConnectOptions::default() }
}

fn keyed() -> ConnectOptions {
    ConnectOptions { server_key: Some(identity("server").public_key()), ..keyless() }
}

/// How an attempt ends: the two handles, or the error.
fn outcome(
    pair: &mut Pair,
    options: ConnectOptions,
) -> Result<[ConnectionHandle; 2], ConnectError> {
    let ours = pair.connect_with(options);
    pair.wait(Side::Client, |event| match event {
        Event::Connected { .. } => Some(Ok(())),
        Event::Failed { error, .. } => Some(Err(error.clone())),
        _ => None,
    })?;
    let theirs = pair.wait(Side::Server, |event| match event {
        Event::Connected { connection, .. } => Some(*connection),
        _ => None,
    });
    Ok([ours, theirs])
}

/// The warnings of a side so far.
fn warnings(pair: &mut Pair, side: Side) -> Vec<Unsafe> {
    let what = |event: &Event| match event {
        Event::Unsafe { what, .. } => Some(*what),
        _ => None,
    };
    pair.events(side).iter().filter_map(what).collect()
}

/// A connection of everything that can be switched off, and what both sides sent so far.
fn all_plain(seed: u64) -> (Pair, [ConnectionHandle; 2]) {
    let mut pair = Pair::with(seed, client(Plain::ALL), public(Plain::ALL));
    let handles = outcome(&mut pair, keyless()).expect("connected");
    (pair, handles)
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// T58, R-PLAIN-3: a private server lets a client in that proves no identity if both say so; else
/// it is silent, as to any stranger. Whoever proves one is let in, switches or not.
#[test]
pub(crate) fn t58_unsigned_needs_both_sides() {
    let (out, inn) = (SWITCHES[0].1, SWITCHES[1].1);
    for (ours, theirs) in [(OFF, OFF), (out, OFF), (OFF, inn), (inn, out), (out, inn)] {
        let mut pair = Pair::with(1, client(ours), private(theirs));
        let got = outcome(&mut pair, keyed());
        if (ours, theirs) == (out, inn) {
            assert!(got.is_ok(), "{got:?}");
            assert_eq!(warnings(&mut pair, Side::Client), [Unsafe::UnsignedOut]);
            assert_eq!(warnings(&mut pair, Side::Server), [Unsafe::UnsignedIn]);
            assert_eq!(pair.world.machine(pair.client).stats().drops.bad_handshake, 0);
        } else {
            assert_eq!(got.unwrap_err(), ConnectError::Timeout { phase: Phase::Opening });
            assert_eq!(pair.world.machine(pair.server).stats().datagrams_sent, 0);
        }
    }
    let friend = Config { identity: Some(identity("friend")), ..Config::client() };
    let mut pair = Pair::with(1, friend, private(inn));
    assert!(outcome(&mut pair, keyed()).is_ok());
    assert_eq!(warnings(&mut pair, Side::Server), []);
}

/// T58, R-PLAIN-3: a client that has an identity keeps it to itself; to whom demands none, nothing
/// is missing.
#[test]
pub(crate) fn t58_unsigned_out_shows_no_identity() {
    let out = SWITCHES[0].1;
    for (plain, shown) in [(OFF, true), (out, false)] {
        let ours = Config { identity: Some(identity("friend")), ..client(plain) };
        let mut pair = Pair::with(1, ours, public(OFF));
        pair.connect_with(keyed());
        let peer = pair.wait(Side::Server, |event| match event {
            Event::Connected { peer, .. } => Some(*peer),
            _ => None,
        });
        assert_eq!(peer, shown.then(|| identity("friend").public_key()));
        pair.run(Duration::from_secs(1));
        assert_eq!(warnings(&mut pair, Side::Server), []);
        assert_eq!(warnings(&mut pair, Side::Client).is_empty(), shown);
    }
}

/// T58, R-PLAIN-1, R-PLAIN-4: NN needs three switches on each of two sides, whichever is missing.
/// Each that is in use is told once on each side; then messages flow.
#[test]
pub(crate) fn t58_plain_open_needs_three_switches_on_both_sides() {
    for server in [public, private] {
        let mut pair = Pair::with(1, client(OPEN), server(OPEN));
        let [ours, theirs] = outcome(&mut pair, keyless()).expect("both allow it");
        pair.run(Duration::from_secs(20));
        for side in [Side::Client, Side::Server] {
            let expected = [Unsafe::UnsignedOut, Unsafe::UnsignedIn, Unsafe::PlainOpen];
            assert_eq!(warnings(&mut pair, side), expected, "{side:?}");
        }
        let (agreed, peer) = pair.call(Side::Client, |e, _| (e.agreed(ours), e.peer(ours)));
        assert_eq!(
            agreed.expect("it lives").suite.noise_name(),
            "Noise_NN_25519_ChaChaPoly_BLAKE2s"
        );
        assert_eq!(peer, None);
        assert_eq!(pair.call(Side::Server, |e, _| e.peer(theirs)), None);
    }
    for switch in 0..3 {
        // The client falls back to what is safe: it asks for the server's key.
        let mut pair = Pair::with(1, client(without(OPEN, switch)), public(OPEN));
        pair.connect_with(keyless());
        pair.wait(Side::Client, |event| matches!(event, Event::ServerKey { .. }).then_some(()));

        let mut pair = Pair::with(1, client(OPEN), public(without(OPEN, switch)));
        let error = outcome(&mut pair, keyless()).unwrap_err();
        if switch == 2 {
            assert_eq!(error, ConnectError::Suite, "an unknown suite");
        } else {
            let refused = matches!(error, ConnectError::Refused { code: Code::UNSAFE, .. });
            assert!(refused, "{switch}: {error:?}");
        }
    }
}

/// R-PLAIN-2, R-PLAIN-4: a private server tells nobody that it lacks a switch, unless it lets in
/// those that prove no identity.
#[test]
pub(crate) fn t58_a_private_server_stays_silent() {
    for switch in 0..3 {
        let mut pair = Pair::with(1, client(OPEN), private(without(OPEN, switch)));
        let error = outcome(&mut pair, keyless()).unwrap_err();
        let sent = pair.world.machine(pair.server).stats().datagrams_sent;
        if switch == 0 {
            let refused = matches!(error, ConnectError::Refused { code: Code::UNSAFE, .. });
            assert!(refused, "{error:?}");
        } else {
            assert_eq!((error, sent), (ConnectError::Timeout { phase: Phase::Opening }, 0));
        }
    }
    let mut pair = Pair::with(1, client(Plain::ALL), private(OFF));
    assert!(outcome(&mut pair, keyed()).is_err());
    assert_eq!(pair.world.machine(pair.server).stats().datagrams_sent, 0);
}

/// T58, R-PLAIN-2, R-PLAIN-5: plain traffic needs both sides; a server alone changes nothing, a
/// client alone is answered as with an unknown suite. Every pattern can have it.
#[test]
pub(crate) fn t58_plain_traffic_needs_both_sides() {
    let on = SWITCHES[3].1;
    for (ours, theirs) in [(OFF, OFF), (OFF, on), (on, OFF), (on, on)] {
        for pattern in ["NK", "IK", "XX"] {
            let own = (pattern == "IK").then(|| identity("friend"));
            let config = Config { identity: own, hardware_aes: true, ..client(ours) };
            let mut pair = Pair::with(1, config, public(theirs));
            let tape = pair.tape();
            let options = if pattern == "XX" { keyless() } else { keyed() };
            if pattern == "XX" && (ours == OFF || theirs == on) {
                let handle = pair.connect_with(options);
                pair.wait(Side::Client, |event| {
                    matches!(event, Event::ServerKey { .. }).then_some(())
                });
                pair.call(Side::Client, |e, now| e.trust(now, handle)).expect("it waits");
                let done = |event: &Event| matches!(event, Event::Connected { .. }).then_some(());
                pair.wait(Side::Client, done);
                pair.wait(Side::Server, done);
            } else if let Err(error) = outcome(&mut pair, options) {
                assert_eq!((error, ours, theirs), (ConnectError::Suite, on, OFF), "{pattern}");
                continue;
            }
            let readable = ours == on;
            assert_eq!(tape.kind(1)[0].bytes[13] >> 3, if readable { 2 } else { 1 });
            let expected = if readable { &[Unsafe::PlainTraffic][..] } else { &[] };
            assert_eq!(warnings(&mut pair, Side::Client), expected, "{pattern}");
            assert_eq!(warnings(&mut pair, Side::Server), expected, "{pattern}");
        }
    }
}

/// T58, R-PLAIN-2: whoever has no switch on is as if the feature were not there: NN and cipher 2
/// are unknown suites, and nothing warns of anything.
#[test]
pub(crate) fn t58_all_is_off_by_default() {
    assert_eq!(Config::default().plain, OFF);
    assert_eq!(Config::public_server(identity("server")).plain, OFF);
    let mut pair = Pair::new(1);
    pair.connected();
    pair.run(Duration::from_secs(60));
    assert_eq!(warnings(&mut pair, Side::Client), []);
    assert_eq!(warnings(&mut pair, Side::Server), []);
    for plain in [OPEN, SWITCHES[3].1, Plain::ALL] {
        for options in [keyed(), keyless()] {
            if plain == OPEN && options.server_key.is_some() {
                continue; // that is NK
            }
            let mut pair = Pair::with(1, client(plain), public(OFF));
            assert_eq!(outcome(&mut pair, options).unwrap_err(), ConnectError::Suite);
            assert!(pair.world.machine(pair.server).stats().drops.unsupported > 0);
            assert_eq!(pair.world.machine(pair.server).stats().opens_accepted, 0);
        }
    }
}

/// R-PLAIN-4: whoever names the server's key gets a server that proves it, whatever is allowed.
#[test]
pub(crate) fn r_plain_4_a_key_that_was_named_is_demanded() {
    let mut pair = Pair::with(1, client(OPEN), public(OPEN));
    let [ours, _] = outcome(&mut pair, keyed()).expect("connected");
    let peer = pair.call(Side::Client, |e, _| e.peer(ours));
    assert_eq!(peer, Some(identity("server").public_key()));
    let somebody = ConnectOptions { server_key: Some(identity("other").public_key()), ..keyed() };
    let mut pair = Pair::with(1, client(Plain::ALL), public(Plain::ALL));
    assert_eq!(outcome(&mut pair, somebody).unwrap_err(), ConnectError::Identity);
}

/// R-PLAIN-4: in NN a server needs no identity, and a pre-shared key still keeps strangers out.
#[test]
pub(crate) fn r_plain_4_nobody_needs_a_key() {
    let nobody = Config { identity: None, ..public(Plain::ALL) };
    let mut pair = Pair::with(1, client(Plain::ALL), nobody);
    assert!(outcome(&mut pair, keyless()).is_ok());

    let psk = |number| Some(Psk::from_bytes([number; 32]));
    for (given, fits) in [(psk(1), true), (psk(2), false), (None, false)] {
        let mut server = public(Plain::ALL);
        server.server.as_mut().expect("a server").psk = psk(1);
        let mut pair = Pair::with(1, client(Plain::ALL), server);
        let got = outcome(&mut pair, ConnectOptions { psk: given, ..keyless() });
        assert_eq!(got.is_ok(), fits, "{got:?}");
    }
}

/// R-PLAIN-4, R-PLAIN-5: what can be read on the way, and what cannot: in NN the route, under
/// cipher 2 the messages, and nothing else.
#[test]
pub(crate) fn r_plain_5_what_an_observer_reads() {
    let (route, text) = (b"the way in".to_vec(), b"in everybody's sight");
    let traffic = SWITCHES[3].1;
    for (plain, options) in
        [(OFF, keyed()), (OPEN, keyless()), (traffic, keyed()), (Plain::ALL, keyless())]
    {
        let mut pair = Pair::with(1, client(plain), public(plain));
        let tape = pair.tape();
        let named = ConnectOptions { route: route.clone(), ..options };
        let [ours, theirs] = outcome(&mut pair, named).expect("both allow it");
        let stream = pair.open(Side::Client, ours, StreamOptions::two_way(Order::Ordered));
        pair.send(Side::Client, ours, stream, text);
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.messages(Side::Server, theirs, stream), [text.to_vec()]);
        let seen = |part: &[u8]| tape.all().iter().any(|one| contains(&one.bytes, part));
        assert_eq!(seen(&route), plain.plain_open, "{plain:?}");
        assert_eq!(seen(text), plain.plain_traffic, "{plain:?}");
    }
}

/// T59: packets of one plain connection are refused by another, whether the ID is changed or not,
/// also if all else is the same: both have the same text under the same number.
#[test]
pub(crate) fn t59_packets_of_another_connection_are_refused() {
    let (mut pair, first) = all_plain(1);
    let tape = pair.tape();
    let second = outcome(&mut pair, keyless()).expect("connected");
    let mut packets = Vec::new();
    for [ours, theirs] in [first, second] {
        let stream = pair.open(Side::Client, ours, StreamOptions::two_way(Order::Ordered));
        pair.run(Duration::from_secs(1));
        tape.clear();
        pair.send(Side::Client, ours, stream, b"the same text");
        pair.run(Duration::from_secs(1));
        assert_eq!(pair.messages(Side::Server, theirs, stream).len(), 1);
        let sent = tape.of(Side::Client);
        let sent = sent.into_iter().find(|one| contains(&one.bytes, b"the same text"));
        packets.push(sent.expect("it went out readable").bytes);
    }
    let stats = |pair: &Pair, at: usize| {
        let handle = [first, second][at][1];
        pair.world.machine(pair.server).connection_stats(handle).expect("it lives")
    };
    for at in 0..2 {
        let before = stats(&pair, at);
        let mut moved = packets[1 - at].clone();
        moved[1..9].copy_from_slice(&packets[at][1..9]);
        for number in 0..200u16 {
            // Numbers that this connection has not seen, too.
            moved[9..11].copy_from_slice(&number.to_be_bytes());
            pair.forge(Side::Server, &moved);
        }
        let after = stats(&pair, at);
        assert_eq!(after.packets_received, before.packets_received);
        let refused =
            |stats: &tripline::ConnectionStats| stats.drops.unauthentic + stats.drops.replayed;
        assert_eq!(refused(&after) - refused(&before), 200);
        assert!(after.drops.unauthentic > before.drops.unauthentic);
    }
}

/// T59, R-DATA-3: a packet that was changed on the way is refused, whichever bit it is, and so is
/// one that comes again; the true one is taken in between.
#[test]
pub(crate) fn t59_changed_and_repeated_packets_are_refused() {
    let (mut pair, [ours, theirs]) = all_plain(2);
    pair.run(Duration::from_secs(2));
    let tape = pair.tape();
    let stream = pair.open(Side::Client, ours, StreamOptions::two_way(Order::Ordered));
    pair.silence_both();
    pair.send(Side::Client, ours, stream, b"as it was sent");
    pair.run(Duration::from_millis(1));
    let packet = tape.of(Side::Client)[0].bytes.clone();
    assert!(contains(&packet, b"as it was sent"));
    let stats =
        |pair: &Pair| pair.world.machine(pair.server).connection_stats(theirs).expect("it lives");
    let before = stats(&pair);
    pair.deliver_flipped(Side::Server, &packet, usize::MAX);
    assert_eq!(stats(&pair).packets_received, before.packets_received);
    assert!(stats(&pair).drops.unauthentic > before.drops.unauthentic);
    let nothing = pair.call(Side::Server, |e, now| e.receive(now, theirs, stream));
    assert!(nothing.is_err(), "nobody opened the stream: {nothing:?}");
    // Some of the flips made a number of it that was taken before.
    let before = stats(&pair);
    for _ in 0..3 {
        pair.deliver(Side::Server, &packet);
    }
    assert_eq!(stats(&pair).packets_received, before.packets_received + 1);
    assert_eq!(stats(&pair).drops.replayed, before.drops.replayed + 2);
    assert_eq!(pair.messages(Side::Server, theirs, stream), [b"as it was sent".to_vec()]);
}

/// R-PLAIN-5, T24: under cipher 2 keys are renewed as ever: a packet of the old zone is refused in
/// the new one, and what follows is as readable as before.
#[test]
pub(crate) fn r_plain_5_keys_are_renewed_under_cipher_2() {
    let (mut pair, [ours, theirs]) = all_plain(3);
    let tape = pair.tape();
    let stream = pair.open(Side::Client, ours, StreamOptions::two_way(Order::Ordered));
    pair.send(Side::Client, ours, stream, b"in zone 0");
    pair.run(Duration::from_secs(1));
    let old = tape.of(Side::Client).into_iter().find(|one| contains(&one.bytes, b"in zone 0"));
    let mut old = old.expect("readable").bytes;
    for zone in 1..=3u64 {
        let side = [Side::Client, Side::Server][zone as usize % 2];
        let own = if side == Side::Client { ours } else { theirs };
        pair.call(side, |e, now| e.renew(now, own)).expect("it lives");
        pair.run(Duration::from_secs(5));
        for (side, handle) in [(Side::Client, ours), (Side::Server, theirs)] {
            let stats = pair.world.machine(pair.host(side)).connection_stats(handle);
            assert_eq!(stats.expect("it lives").zone, zone, "{side:?}");
        }
        tape.clear();
        pair.send(Side::Client, ours, stream, format!("in zone {zone}").as_bytes());
        pair.run(Duration::from_secs(1));
        let expected = format!("in zone {zone}");
        let new = tape.of(Side::Client).into_iter();
        let new = new.map(|one| one.bytes).find(|bytes| contains(bytes, expected.as_bytes()));
        let new = new.expect("readable");
        assert_ne!(new[1..9], old[1..9], "another ID");
        let before = pair.world.machine(pair.server).connection_stats(theirs).expect("it lives");
        old[1..9].copy_from_slice(&new[1..9]);
        let number = u16::from_be_bytes([new[9], new[10]]) + 50;
        old[9..11].copy_from_slice(&number.to_be_bytes());
        pair.forge(Side::Server, &old);
        let after = pair.world.machine(pair.server).connection_stats(theirs).expect("it lives");
        assert_eq!(after.drops.unauthentic, before.drops.unauthentic + 1, "zone {zone}");
        old = new;
    }
    let messages = pair.messages(Side::Server, theirs, stream);
    assert_eq!(messages.len(), 4);
    assert_eq!(messages[3], b"in zone 3");
}

/// T58, N53: everything off, on a bad link: all arrives, in order, as ever.
#[test]
pub(crate) fn t58_plain_connections_stand_bad_weather() {
    for seed in 1..=5 {
        let link = LinkConfig::lossy(Chance::percent(20))
            .delay(Duration::from_millis(20))
            .duplicate(Chance::percent(10), Duration::from_millis(30))
            .jitter(Duration::from_millis(10))
            .free_order();
        let mut pair = Pair::with(seed, client(Plain::ALL), public(Plain::ALL)).link(link);
        let [ours, theirs] = outcome(&mut pair, keyless()).expect("connected");
        let stream = pair.open(Side::Client, ours, StreamOptions::two_way(Order::Ordered));
        for number in 0..50u8 {
            pair.send(Side::Client, ours, stream, &vec![number; 2_000]);
        }
        pair.run(Duration::from_secs(60));
        let messages = pair.messages(Side::Server, theirs, stream);
        assert_eq!(messages.len(), 50, "seed {seed}");
        assert!(messages.iter().zip(0..).all(|(all, number)| *all == vec![number; 2_000]));
    }
}

/// R-OPEN-1: nobody on the way can turn a connection into a plain one: the suite is part of what
/// both sides must agree on. (mac1 is no obstacle: in NN and XX anyone can make it.)
#[test]
pub(crate) fn r_plain_2_the_suite_cannot_be_changed_on_the_way() {
    for (ours, options) in [(OFF, keyed()), (OPEN, keyless())] {
        let mut pair = Pair::with(4, client(ours), public(Plain::ALL)).link(LinkConfig::down());
        let key = options.server_key;
        let tape = pair.tape();
        pair.connect_with(options);
        pair.run(Duration::from_millis(1));
        let open = tape.kind(1)[0].bytes.clone();
        let at = 16 + usize::from(u16::from_be_bytes([open[14], open[15]]));
        let mac = |bytes: &[u8]| mac1(key.map_or([0; 32], |key| key.to_bytes()), &bytes[..at]);
        assert_eq!(mac(&open), open[at..at + 16], "the mac is reckoned here as the client does");
        let mut changed = open.clone();
        changed[13] |= 2 << 3;
        let mended = mac(&changed);
        changed[at..at + 16].copy_from_slice(&mended);
        pair.deliver(Side::Server, &changed);
        let stats = pair.world.machine(pair.server).stats();
        if key.is_some() {
            assert_eq!((stats.drops.bad_open, stats.opens_accepted), (1, 0));
            continue;
        }
        // In NN message 1 proves nothing; the answer to it does.
        assert_eq!(stats.opens_accepted, 1);
        pair.run(Duration::from_millis(1));
        let answer = tape.kind(2)[0].bytes.clone();
        pair.deliver(Side::Client, &answer);
        pair.run(Duration::from_secs(20));
        let failed = pair.events(Side::Client).into_iter().find_map(|event| match event {
            Event::Failed { error, .. } => Some(error),
            _ => None,
        });
        assert_eq!(failed, Some(ConnectError::Identity));
    }
}

/// R-OPEN-1a, by the hash itself.
pub(crate) fn mac1(server: [u8; 32], bytes: &[u8]) -> [u8; 16] {
    use blake2::digest::{Digest, KeyInit, Mac, consts::U16};
    let key = blake2::Blake2s256::new().chain_update(b"TRiP/1 mac1").chain_update(server);
    let mut mac = <blake2::Blake2sMac<U16> as KeyInit>::new(&key.finalize());
    Mac::update(&mut mac, bytes);
    mac.finalize().into_bytes().into()
}

/// R-PLAIN-5a: a half of a zone that everyone on the way can read holds no reset token; one that
/// nobody can holds one.
#[test]
pub(crate) fn r_plain_5a_no_token_is_shown_in_renewals() {
    let (mut pair, [ours, theirs]) = all_plain(4);
    let tape = pair.tape();
    for zone in 1..=2u8 {
        let (side, own) = [(Side::Client, ours), (Side::Server, theirs)][usize::from(zone) - 1];
        pair.call(side, |e, now| e.renew(now, own)).expect("it lives");
        pair.run(Duration::from_secs(5));
        let mut halves = [0; 2];
        for packet in tape.all().iter().filter(|one| one.is_data()) {
            for kind in [0x40, 0x41] {
                let starts = packet.bytes.windows(3).enumerate();
                for (at, _) in starts.filter(|(_, three)| *three == [0x40, kind, zone]) {
                    // Type (2), zone (1), ID (8), token (16).
                    assert_eq!(packet.bytes[at + 11..at + 27], [0; 16], "{:?}", packet.from);
                    halves[packet.from as usize] += 1;
                }
            }
        }
        assert!(halves.iter().all(|seen| *seen > 0), "{halves:?}");
    }

    let tap = Wiretap::default();
    let server = Config::public_server(identity("server"));
    let mut pair = Pair::with(4, tap.on(Config::client()), server);
    let (ours, _) = pair.connected();
    pair.call(Side::Client, |e, now| e.renew(now, ours)).expect("it lives");
    pair.run(Duration::from_secs(5));
    let sealed = tap.take();
    let half =
        sealed.iter().find_map(|one| one.text.windows(27).find(|w| w[..3] == [0x40, 0x40, 1]));
    assert_ne!(half.expect("it asked")[11..27], [0; 16]);
}
