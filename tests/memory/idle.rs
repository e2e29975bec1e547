//! Many connections that are idle: what one holds of the heap, and what it costs that others are
//! there.
//!
//! `TRIPLINE_IDLE_CONNECTIONS=10000 cargo test --release -p tripline-tests --test memory` is the
//! run that tests/bench/SCALE.md records; without the variable there are a thousand.

use super::ALLOCATOR;
use stats_alloc::Region;
use std::net::SocketAddr;
use std::sync::Arc;
use tripline::{
    Aead, Config, Congestion, ConnectOptions, Endpoint, PureAead, State, TransportConfig,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed, Transmit};
use tripline_tests::identity;

/// What an idle connection may hold, in bytes of heap: the figure.
const HEAP_MAX: isize = 4_096;

/// The same with BBR, whose own books are larger.
const BBR_MAX: isize = 4_480;

/// How long a datagram travels.
const DELAY: Duration = Duration::from_millis(5);

/// So many handshakes begin in one turn: below the rates of a server's guard, and below the number
/// of half-opens at which it demands tokens.
const STRIDE: usize = 20;

/// A client and a server with many connections between them.
struct Crowd {
    now: Instant,
    client: Option<Endpoint>,
    server: Option<Endpoint>,
    buffer: Vec<u8>,
    connections: usize,
}

impl Crowd {
    /// `count` finished handshakes, and all that follows from them by itself: both sides have
    /// nothing to say, and have shrunk to what they keep.
    fn idle(count: usize, kind: &Kind) -> Self {
        // Nobody speaks and nobody gives up: what is left is what idle connections hold.
        let transport = TransportConfig {
            keep_alive: Duration::ZERO,
            idle_timeout: Duration::from_secs(3_600),
            congestion: kind.congestion.clone(),
            ..TransportConfig::default()
        };
        let (now, seed, key) = (Instant::ZERO, Seed::from_number(7), identity("server"));
        let public = key.public_key();
        let with = |config: Config| Config {
            transport: transport.clone(),
            aead: kind.aead.clone(),
            hardware_aes: kind.aes,
            ..config
        };
        let client = with(Config::client());
        let server = with(Config::public_server(key));
        let mut crowd = Self {
            now,
            client: Some(Endpoint::new(client, &seed.child("client"), now)),
            server: Some(Endpoint::new(server, &seed.child("server"), now)),
            buffer: Vec::with_capacity(1 << 17),
            connections: count,
        };
        let mut handles = Vec::new();
        while handles.len() < count {
            for _ in 0..STRIDE.min(count - handles.len()) {
                let options = ConnectOptions::to(public);
                let client = crowd.client.as_mut().expect("not dropped yet");
                handles.push(client.connect(crowd.now, at(2).into(), options).expect("begins"));
            }
            crowd.turn();
            crowd.turn();
        }
        // Long enough for every timer but those of the idle limit and of the keys.
        for _ in 0..4_000 {
            crowd.turn();
        }
        for side in [crowd.client.as_ref(), crowd.server.as_ref()].into_iter().flatten() {
            assert_eq!(side.connections(), count);
        }
        let client = crowd.client.as_ref().expect("not dropped yet");
        assert!(handles.into_iter().all(|handle| client.state(handle) == Some(State::Ready)));
        crowd
    }

    /// Both loops turn once.
    fn turn(&mut self) {
        let Self { client, server, buffer, now, .. } = self;
        let (Some(client), Some(server)) = (client.as_mut(), server.as_mut()) else { return };
        *now += DELAY;
        carry(client, server, *now, buffer, 1);
        *now += DELAY;
        carry(server, client, *now, buffer, 2);
    }

    /// What an idle server does for as many turns of a loop: nothing may be sent or told.
    fn poll_server(&mut self, turns: usize) {
        let server = self.server.as_mut().expect("not dropped yet");
        for _ in 0..turns {
            self.now += Duration::from_micros(1);
            server.handle_timeout(self.now);
            assert!(server.poll_transmit(self.now, &mut self.buffer).is_none());
            assert!(server.poll_event().is_none());
            assert!(server.poll_timeout().is_some_and(|at| at > self.now));
        }
    }
}

fn at(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 1_000))
}

/// One turn of the loop of `from`; what it has to say reaches `to`.
fn carry(from: &mut Endpoint, to: &mut Endpoint, now: Instant, buffer: &mut Vec<u8>, host: u8) {
    if from.poll_timeout().is_some_and(|deadline| deadline <= now) {
        from.handle_timeout(now);
    }
    let path = Path::to(at(host));
    while let Some(Transmit { segment_size, .. }) = from.poll_transmit(now, buffer) {
        for datagram in buffer.chunks_mut(segment_size) {
            to.handle_datagram(now, path, Ecn::NotEct, datagram);
        }
        buffer.clear();
    }
    while from.poll_event().is_some() {}
}

/// How much heap giving this up frees.
pub(crate) fn freed<T>(what: T) -> isize {
    let region = Region::new(ALLOCATOR);
    drop(what);
    let change = region.change();
    change.bytes_deallocated as isize - change.bytes_allocated as isize
}

/// What the connections of a crowd are made of, and what each may hold on either side.
struct Kind {
    name: &'static str,
    aes: bool,
    /// Named, so that it does not matter what other packages switch on.
    aead: Arc<dyn Aead>,
    congestion: Congestion,
    most: isize,
}

/// Every combination of cipher, back end and controller that differs in size.
fn kinds() -> Vec<Kind> {
    let kind = |name, aes, aead, congestion, most| Kind { name, aes, aead, congestion, most };
    let pure = || Arc::new(PureAead) as Arc<dyn Aead>;
    let kinds = [
        kind("ChaCha20, CUBIC", false, pure(), Congestion::Cubic, HEAP_MAX),
        kind("ChaCha20, BBR", false, pure(), Congestion::Bbr, BBR_MAX),
        kind("AES-256-GCM, CUBIC", true, pure(), Congestion::Cubic, HEAP_MAX),
    ];
    kinds.into_iter().chain(of_ring()).collect()
}

/// The same with the keys of ring.
#[cfg(feature = "fast-aead")]
fn of_ring() -> Vec<Kind> {
    let kind = |name, aes, congestion, most| {
        let aead: Arc<dyn Aead> = Arc::new(tripline::FastAead);
        Kind { name, aes, aead, congestion, most }
    };
    vec![
        kind("ChaCha20 of ring, CUBIC", false, Congestion::Cubic, HEAP_MAX),
        kind("AES-256-GCM of ring, CUBIC", true, Congestion::Cubic, HEAP_MAX),
        kind("AES-256-GCM of ring, BBR", true, Congestion::Bbr, BBR_MAX),
    ]
}

#[cfg(not(feature = "fast-aead"))]
fn of_ring() -> Vec<Kind> {
    Vec::new()
}

/// "10,000 connections idle in one endpoint: at most 4 KiB of heap each", on either side, all the
/// endpoint's tables included that grow with their number; what does not fit has the bound that
/// tests/bench/SCALE.md names.
pub(crate) fn idle_connections_hold_4_kib_at_most() {
    let count = std::env::var("TRIPLINE_IDLE_CONNECTIONS");
    let count: usize = count.map_or(1_000, |count| count.parse().expect("a number"));
    for kind in kinds() {
        let (mut one, mut many) = (Crowd::idle(1, &kind), Crowd::idle(count, &kind));
        for (side, fixed, all) in [
            ("server", freed(one.server.take()), freed(many.server.take())),
            ("client", freed(one.client.take()), freed(many.client.take())),
        ] {
            let (name, each) = (kind.name, (all - fixed) / (count as isize - 1));
            println!(
                "{count} idle connections, {name}, {side}: {each} bytes each, {fixed} for an \
                 endpoint with one"
            );
            assert!(each <= kind.most, "{name}, {side}: {each} bytes for each of {count}");
            assert!(each > 512, "{name}, {side}: {each} bytes: were there connections at all?");
        }
    }
}

/// "Idle poll cost independent of their number": nothing is allocated, and no connection is
/// touched, whether there are ten or a thousand.
pub(crate) fn idle_polls_do_nothing() {
    for count in [10, 1_000] {
        let mut crowd = Crowd::idle(count, &kinds()[0]);
        let touched = |crowd: &Crowd| {
            crowd.server.as_ref().expect("not dropped yet").stats().connections_touched
        };
        let before = touched(&crowd);
        assert!(before > 2 * crowd.connections as u64, "the counter counts: {before}");
        let region = Region::new(ALLOCATOR);
        crowd.poll_server(1_000);
        let change = region.change();
        assert_eq!(change.allocations + change.reallocations, 0, "{count} connections");
        assert_eq!(touched(&crowd), before, "{count} connections");
    }
}
