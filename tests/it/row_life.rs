//! Rows T18 to T20, T23, T25, T36, T37, N17 and N25: what a connection does by the clock, when its
//! peer is silent, when its network changes, and how it ends.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;
use tripline::{
    By, Code, Config, ConnectionHandle, ConnectionStats, Endpoint, Event, Fate, GuardConfig,
    LostCause, OnSilence, Order, Reconfigure, State, StreamOptions,
};
use tripline_sansio::Duration;
use tripline_sim::{LinkConfig, Verdict};
use tripline_tests::frames::{self, kind};
use tripline_tests::{Hostile, Pair, Side, Wiretap, identity};

const SIDES: [Side; 2] = [Side::Client, Side::Server];

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn stats(pair: &Pair, side: Side, connection: ConnectionHandle) -> ConnectionStats {
    pair.world.machine(pair.host(side)).connection_stats(connection).expect("it lives")
}

/// T18: with nothing to do, the loops of both sides sleep until the earliest timer and wake then
/// alone: in a minute with a keep-alive of ten seconds, a handful of times; without one, never.
/// That minute costs both together, and the simulator, less than ten milliseconds. (That no
/// deadline is missed, none is early and each makes progress, the simulator asserts on every
/// step.)
#[test]
pub(crate) fn t18_an_idle_minute_is_a_handful_of_wakes() {
    for (keep_alive, most) in [(Duration::from_secs(10), 80), (Duration::ZERO, 0)] {
        let mut configs = [Config::client(), Config::public_server(identity("server"))];
        for config in &mut configs {
            config.transport.keep_alive = keep_alive;
            config.transport.idle_timeout = Duration::ZERO;
        }
        let [client, server] = configs;
        let mut pair = Pair::with(1, client, server);
        let ends = pair.connected();
        pair.run(Duration::from_secs(60));
        // The cheapest of five: others may want the processor in between.
        let mut cheapest = Duration::MAX;
        for _ in 0..5 {
            let (end, before) = (pair.world.now() + Duration::from_secs(60), Instant::now());
            let mut wakes = 0;
            while pair.world.next_time().is_some_and(|next| next <= end) {
                pair.world.step();
                wakes += 1;
            }
            pair.world.run_until(end);
            cheapest = cheapest.min(before.elapsed());
            assert!(wakes <= most && (most == 0) == (wakes == 0), "{wakes} wakes");
        }
        println!("an idle minute, keep-alive {keep_alive:?}: {cheapest:?}");
        assert!(cheapest < ms(10), "{cheapest:?} of processor time");
        for (side, connection) in SIDES.into_iter().zip([ends.0, ends.1]) {
            assert_eq!(pair.state(side, connection), Some(State::Ready));
        }
    }
}

/// T19: one PING is out at a time: while there is no answer all that go out have one token,
/// however many they are; the next one, after the answer, has another.
#[test]
pub(crate) fn t19_one_ping_is_out_at_a_time() {
    let tap = Wiretap::default();
    let mut client = tap.on(Config::client());
    client.transport.keep_alive = ms(500);
    let mut pair = Pair::with(1, client, Config::public_server(identity("server")));
    pair.connected();
    pair.run(Duration::from_secs(2));
    let tokens = |tap: &Wiretap| {
        let frames = tap.take().into_iter().flat_map(|packet| frames::read(&packet.text));
        let pings = frames.filter(|frame| frame.kind == kind::PING);
        pings.map(|ping| ping.fields[0]).collect::<Vec<u64>>()
    };
    let answered = tokens(&tap);
    assert!(answered.len() >= 3, "{answered:?}");
    assert!(answered.windows(2).all(|pair| pair[0] != pair[1]), "each is answered: {answered:?}");
    pair.silence_both();
    pair.run(Duration::from_secs(20));
    let vain = tokens(&tap);
    assert!(vain.len() >= 5 && vain.iter().all(|token| *token == vain[0]), "{vain:?}");
    pair.unsilence_both();
    pair.run(Duration::from_secs(10));
    let later = tokens(&tap);
    assert!(later.last().is_some_and(|token| *token != vain[0]), "{later:?}");
}

/// T19: an answer that does not fit is counted and has no effect: not on the round trip, not on
/// the question that is still open.
#[test]
pub(crate) fn t19_answers_that_do_not_match_are_counted() {
    let mut config = Config::public_server(identity("server"));
    config.transport.keep_alive = Duration::from_secs(2);
    let mut peer = Hostile::client_of(1, config);
    peer.run(Duration::from_secs(3));
    let pings = peer.read_kind(kind::PING);
    let token = pings[0].fields[0];
    let before = peer.stats();
    for wrong in [0, token ^ 1, token.wrapping_add(1), !token] {
        peer.write(&frames::pong(wrong));
    }
    let after = peer.stats();
    assert_eq!(after.stray_pongs - before.stray_pongs, 4);
    assert_eq!((after.rtt_ns, after.rtt_latest_ns), (before.rtt_ns, before.rtt_latest_ns));
    peer.write(&frames::pong(token));
    assert_eq!(peer.stats().stray_pongs, after.stray_pongs, "the question was still open");
}

/// T20: interval, count and verdict can be set for each connection: two between the same endpoints
/// behave as each was told; a verdict that comes during the silence counts at once.
#[test]
pub(crate) fn t20_interval_count_and_verdict_are_the_connections_own() {
    let mut pair = Pair::new(1);
    let (eager, patient) = (pair.connected().0, pair.connected().0);
    let set = |pair: &mut Pair, connection, change| {
        pair.call(Side::Client, |e, now| e.reconfigure(now, connection, change)).expect("lives");
    };
    let eager_change = Reconfigure {
        keep_alive: Some(ms(500)),
        quiet_probes: Some(1),
        idle_timeout: Some(Duration::from_secs(5)),
        ..Reconfigure::default()
    };
    let patient_change = Reconfigure {
        keep_alive: Some(Duration::from_secs(2)),
        quiet_probes: Some(5),
        on_silence: Some(OnSilence::Probe),
        ..Reconfigure::default()
    };
    set(&mut pair, eager, eager_change);
    set(&mut pair, patient, patient_change);
    let sent = [eager, patient].map(|one| stats(&pair, Side::Client, one).packets_sent);
    pair.run(Duration::from_secs(10));
    let sent = [(eager, sent[0]), (patient, sent[1])]
        .map(|(one, before)| stats(&pair, Side::Client, one).packets_sent - before);
    assert!(sent[0] >= 3 * sent[1] && sent[1] >= 4, "the intervals: {sent:?}");
    pair.events(Side::Client);
    pair.silence_both();
    let mut news = Vec::new();
    for _ in 0..600 {
        pair.run(ms(100));
        for event in pair.events(Side::Client) {
            match event {
                Event::Quiet { connection, silence } => news.push((connection, "quiet", silence)),
                Event::Lost { connection, cause } => {
                    assert_eq!(cause, LostCause::Idle);
                    news.push((connection, "lost", Duration::ZERO));
                }
                _ => {}
            }
        }
    }
    let of = |connection| {
        let news = news.iter().filter(|(one, ..)| *one == connection);
        news.map(|(_, what, silence)| (*what, *silence)).collect::<Vec<_>>()
    };
    let (eagers, patients) = (of(eager), of(patient));
    assert!(matches!(eagers[..], [("quiet", _), ("lost", _)]), "{eagers:?}");
    assert!(matches!(patients[..], [("quiet", _)]), "{patients:?}");
    assert!(patients[0].1 > eagers[0].1, "five timeouts take longer than one: {news:?}");
    assert_eq!(pair.state(Side::Client, patient), Some(State::Ready), "after a minute");
    let give_up = Reconfigure { on_silence: Some(OnSilence::Drop), ..Reconfigure::default() };
    set(&mut pair, patient, give_up);
    let lost = Event::Lost { connection: patient, cause: LostCause::Idle };
    assert!(pair.events(Side::Client).contains(&lost), "at once");
}

/// T25: the peer learns which of the three it was: a notice first and then an orderly end, an end
/// at once, or that the connection is not known any more.
#[test]
pub(crate) fn t25_the_peer_learns_which_of_the_three_it_was() {
    type End = fn(&mut Pair, ConnectionHandle);
    let soft: End = |pair, client| {
        let grace = Duration::from_secs(5);
        pair.call(Side::Client, |e, now| e.close(now, client, grace, Code::application(7), "soft"))
            .expect("lives");
    };
    let orderly: End = |pair, client| {
        let none = Duration::ZERO;
        pair.call(Side::Client, |e, now| e.close(now, client, none, Code::application(8), "hard"))
            .expect("lives");
    };
    let kill: End = |pair, client| {
        pair.call(Side::Client, |e, now| e.kill(now, client)).expect("lives");
    };
    let heard = [soft, orderly, kill].map(|end| {
        let mut pair = Pair::new(1);
        let (client, server) = pair.connected();
        // The server has something to say, so that the soft end has something to wait for.
        let stream = pair.open(Side::Server, server, StreamOptions::one_way(Order::Ordered));
        pair.run(Duration::from_secs(1));
        pair.events(Side::Server);
        end(&mut pair, client);
        pair.run(ms(15));
        let told = |event: &Event| match event {
            Event::Leaving { code, reason, .. } => Some(format!("leaving {code:?} {reason}")),
            Event::Closed { by, code, reason, .. } => {
                assert_eq!(*by, By::Peer);
                Some(format!("closed {code:?} {reason}"))
            }
            Event::Lost { cause, .. } => Some(format!("lost {cause:?}")),
            _ => None,
        };
        let mut all: Vec<String> = pair.events(Side::Server).iter().filter_map(told).collect();
        let send = |e: &mut Endpoint, now| e.send(now, server, stream, "x", Default::default());
        if pair.call(Side::Server, send).is_ok() {
            pair.call(Side::Server, |e, now| e.finish(now, server, stream)).expect("lives");
        }
        pair.run(Duration::from_secs(10));
        all.extend(pair.events(Side::Server).iter().filter_map(told));
        all
    });
    let code = |number| format!("{:?}", Code::application(number));
    let soft = [format!("leaving {} soft", code(7)), format!("closed {} soft", code(7))];
    assert_eq!(heard[0], soft);
    assert_eq!(heard[1], [format!("closed {} hard", code(8))]);
    assert_eq!(heard[2], ["lost Reset"]);
}

/// T36: what was lost is sent again by timers that follow the round trip, with gaps that double,
/// until it is acknowledged, and then no more.
#[test]
pub(crate) fn t36_lost_parts_are_sent_again_until_acknowledged() {
    for delay in [5, 50, 200] {
        let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(delay)));
        let (client, server) = pair.connected();
        let stream = pair.open(Side::Client, client, StreamOptions::one_way(Order::Ordered));
        // Until the round trip is known well.
        for _ in 0..20 {
            pair.send(Side::Client, client, stream, b"steady");
            pair.run(ms(4 * delay + 100));
        }
        pair.messages(Side::Server, server, stream);
        let (deaf, from) = (Rc::new(RefCell::new(true)), Some(pair.client));
        let drops = deaf.clone();
        pair.world.add_rule(move |packet| match packet.from == from && *drops.borrow() {
            true => Verdict::Drop,
            false => Verdict::Pass,
        });
        let tape = pair.tape();
        let began = pair.world.now();
        pair.send(Side::Client, client, stream, b"lost at first");
        pair.run(Duration::from_secs(4));
        let sent: Vec<Duration> = tape.of(Side::Client).iter().map(|one| one.at - began).collect();
        let mut times = sent.clone();
        times.dedup();
        let first = times[1];
        let rtt = ms(2 * delay);
        assert!(first >= rtt && first <= rtt * 2 + ms(60), "{rtt:?}: first after {first:?}");
        let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for gap in gaps.windows(2) {
            assert!(gap[1] >= gap[0] * 2 - ms(1) || gap[1] >= Duration::from_secs(2), "{gaps:?}");
        }
        *deaf.borrow_mut() = false;
        pair.run(Duration::from_secs(6));
        assert_eq!(pair.messages(Side::Server, server, stream), [b"lost at first"]);
        let acked = |event: &Event| matches!(event, Event::Message { fate: Fate::Acked, .. });
        assert_eq!(pair.events(Side::Client).iter().filter(|event| acked(event)).count(), 21);
        let before = stats(&pair, Side::Client, client).retransmissions;
        pair.run(Duration::from_secs(10));
        assert_eq!(stats(&pair, Side::Client, client).retransmissions, before);
    }
}

/// T37: numbers that are too old to tell are dropped and counted, at the edge to the number; one
/// far beyond what its four bytes can say cannot be meant and fails its tag.
#[test]
pub(crate) fn t37_old_and_impossible_numbers_are_dropped_and_counted() {
    let mut peer = Hostile::client(1);
    let start = peer.next_number();
    peer.write_numbered(start + 5_000, &frames::ping(1, false));
    let impossible = start + 6_000 + (1 << 33);
    let count = |peer: &mut Hostile, number, token| {
        let before = peer.stats();
        match number == impossible {
            true => peer.forge_numbered(number, &frames::ping(token, false)),
            false => peer.write_numbered(number, &frames::ping(token, false)),
        }
        let after = peer.stats();
        let answered = peer.read_kind(kind::PONG).iter().any(|pong| pong.fields[0] == token);
        let drops = [before, after].map(|stats| (stats.drops.replayed, stats.drops.unauthentic));
        (answered, drops[1].0 - drops[0].0, drops[1].1 - drops[0].1)
    };
    let edge = start + 5_000 - 4_096;
    assert_eq!(count(&mut peer, edge + 1, 2), (true, 0, 0), "the oldest in the window");
    assert_eq!(count(&mut peer, edge + 1, 3), (false, 1, 0), "twice");
    assert_eq!(count(&mut peer, edge, 4), (false, 1, 0), "too old");
    assert_eq!(count(&mut peer, start, 5), (false, 1, 0));
    // Its four bytes say another number, under which it does not verify.
    assert_eq!(count(&mut peer, impossible, 6), (false, 0, 1), "far beyond");
    assert_eq!(count(&mut peer, start + 5_001, 7), (true, 0, 0), "and it goes on");
    assert!(peer.stats().packets_received > 0);
}

/// N17: from one network to none to another, on the way of megabytes in both directions: the
/// connection, its streams and their messages live on, and nobody has to open anything anew.
#[test]
pub(crate) fn n17_streams_live_through_a_change_of_network() {
    let mut pair = Pair::new(1).link(LinkConfig::perfect().delay(ms(20)).rate(500_000, 50_000));
    let ends = pair.connected();
    let there = pair.open(Side::Client, ends.0, StreamOptions::two_way(Order::Ordered));
    for number in 0..40_u8 {
        pair.send(Side::Client, ends.0, there, &[number; 20_000]);
    }
    pair.run(ms(300));
    let mut got = pair.messages(Side::Server, ends.1, there);
    let mut back = Vec::new();
    for number in 0..40_u8 {
        pair.send(Side::Server, ends.1, there, &[number; 20_000]);
    }
    pair.run(ms(200));
    pair.events(Side::Server);
    let places = [([10, 0, 7, 1], 5_000), ([10, 0, 8, 1], 6_000)].map(SocketAddr::from);
    for place in places {
        // None: nothing arrives. Then another one, of which the application is told.
        let down = LinkConfig::down();
        pair.world.set_links(pair.client, pair.server, down);
        pair.run(Duration::from_secs(4));
        pair.world.readdress(pair.client, place);
        let link = LinkConfig::perfect().delay(ms(40)).rate(500_000, 50_000);
        pair.world.set_links(pair.client, pair.server, link);
        let changed = pair.world.now();
        pair.call(Side::Client, |e, now| e.network_changed(now, None)).expect("lives");
        pair.run(ms(300));
        got.extend(pair.messages(Side::Server, ends.1, there));
        back.extend(pair.messages(Side::Client, ends.0, there));
        let moved = pair.events(Side::Server).into_iter().any(|event| match event {
            Event::Moved { to, .. } => to == place,
            other => {
                assert!(
                    !matches!(other, Event::Connected { .. } | Event::Lost { .. }),
                    "{other:?}"
                );
                false
            }
        });
        assert!(moved, "within 300 ms of {changed:?}");
    }
    pair.run(Duration::from_secs(10));
    got.extend(pair.messages(Side::Server, ends.1, there));
    back.extend(pair.messages(Side::Client, ends.0, there));
    for all in [got, back] {
        let wanted: Vec<Vec<u8>> = (0..40_u8).map(|number| vec![number; 20_000]).collect();
        assert!(all == wanted, "{} messages", all.len());
    }
    assert_eq!(pair.state(Side::Client, ends.0), Some(State::Ready));
    assert_eq!(stats(&pair, Side::Server, ends.1).moves, 2);
}

/// N25: the secret behind the tokens of a server can be changed at any time, by hand, while
/// clients open and talk: who has a token of before still comes in, who is in does not notice.
#[test]
pub(crate) fn n25_the_secret_can_be_changed_without_dropping_a_client() {
    for delay in [5, 100, 400] {
        let guard = GuardConfig { retry_above: 0, ..GuardConfig::default() };
        let server = Config { guard, ..Config::public_server(identity("server")) };
        let mut pair = Pair::with(delay, Config::client(), server)
            .link(LinkConfig::perfect().delay(ms(delay)));
        let ends = pair.connected();
        let newcomer = pair.connect();
        // OPEN is there and its RETRY on the way: the token is of the old secret.
        pair.run(ms(delay + 1));
        pair.call(Side::Server, Endpoint::rotate_tokens);
        let stream = pair.open(Side::Client, ends.0, StreamOptions::one_way(Order::Ordered));
        pair.send(Side::Client, ends.0, stream, b"as ever");
        pair.run(ms(5 * delay + 5));
        assert_eq!(pair.state(Side::Client, newcomer), Some(State::Ready), "in three round trips");
        assert_eq!(pair.messages(Side::Server, ends.1, stream), [b"as ever"]);
        assert!(pair.world.machine(pair.server).stats().retries_sent >= 2);
    }
}
