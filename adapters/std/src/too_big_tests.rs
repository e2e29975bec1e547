//! A link that refuses what is too large for it, and what an endpoint makes of that (R-MTU-1d). No
//! loopback is that narrow, so the refusal is played where the system would say it.

use crate::*;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Fate, Order, SecretKey, SendOptions,
    StreamOptions,
};
use tripline_sansio::{Ecn, Path, Seed, Transmit};
use tripline_udp::Socket;

/// A limit no healthy test comes near.
const LONG: Duration = Duration::from_secs(20);

/// Loopback that carries datagrams of at most `most` bytes.
struct Narrow {
    link: UdpLink,
    most: usize,
    /// The sizes that it refused.
    refused: Vec<usize>,
}

impl AsFd for Narrow {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

impl Link for Narrow {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        self.link.recv(on_datagram)
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        if transmit.segment_size > self.most {
            self.refused.push(transmit.segment_size);
            return SendOutcome::Dropped(DropCause::TooBig);
        }
        self.link.send(transmit, bytes)
    }
}

/// Two endpoints, each with its loop.
struct Two {
    client: Loop<Endpoint, Narrow>,
    server: Loop<Endpoint>,
}

impl Two {
    fn new(most: usize) -> (Self, ConnectionHandle) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = Options::default();
        let key = SecretKey::from_bytes([1; 32]);
        let public = key.public_key();
        let endpoint =
            |config, number| Endpoint::new(config, &Seed::from_number(number), options.clock.now());
        let server = Loop::bind(any, &options, endpoint(Config::public_server(key), 1));
        let server = server.expect("a loop");
        let to = server.link().local_addr().expect("an address");
        let socket = Socket::bind(any, &options.socket).expect("a socket");
        let link = Narrow { link: UdpLink::new(socket, 1), most, refused: Vec::new() };
        let client = Loop::new(link, options.clock, endpoint(Config::client(), 2));
        let mut client = client.expect("a loop");
        let connect = |e: &mut Endpoint, now| e.connect(now, to.into(), ConnectOptions::to(public));
        let connection = client.with(connect).expect("it begins");
        (Self { client, server }, connection)
    }

    /// What the client says of its waiting.
    fn told(&mut self, connection: ConnectionHandle) -> String {
        let told = self.client.with(|endpoint, now| endpoint.explain(now, connection));
        told.map(|told| told.to_string()).unwrap_or_default()
    }

    /// Runs both until the client says so.
    fn until(
        &mut self,
        connection: ConnectionHandle,
        mut done: impl FnMut(&Endpoint, Option<Event>) -> bool,
    ) {
        let began = std::time::Instant::now();
        loop {
            self.server.run_once(Some(Duration::ZERO)).expect("a turn");
            while self.server.next_event().is_some() {}
            self.client.run_once(Some(Duration::from_millis(1))).expect("a turn");
            let event = self.client.next_event();
            if done(self.client.machine(), event) {
                return;
            }
            if began.elapsed() > LONG {
                let told = self.told(connection);
                panic!("refused {:?}; {told}", self.client.link().refused);
            }
        }
    }
}

/// Whether the size that was found is within eight bytes of what the link carries.
fn found(endpoint: &Endpoint, connection: ConnectionHandle, carries: usize) -> bool {
    let size = endpoint.umtu(connection).expect("it lives") + 50;
    assert!(size <= carries || size > 1_400, "{size}");
    (carries - 8..=carries).contains(&size)
}

/// R-MTU-1d: the search tries no size twice that our own system refused, and finds the largest.
#[test]
fn r_mtu_1d_the_search_hears_what_the_system_refuses() {
    let (mut two, connection) = Two::new(1_300);
    two.until(connection, |endpoint, _| found(endpoint, connection, 1_300));
    let mut refused = two.client.link().refused.clone();
    assert_eq!(refused.first(), Some(&1_452));
    let count = refused.len();
    refused.sort_unstable();
    refused.dedup();
    assert_eq!(refused.len(), count, "a size was tried twice: {refused:?}");
}

/// R-MTU-1d: a link that becomes narrower than the size in use (another interface) costs one
/// refused train or two, and no probe timeouts in a row: what waits is delivered.
#[test]
fn r_mtu_1d_a_size_in_use_is_given_up_when_the_system_refuses_it() {
    let (mut two, connection) = Two::new(usize::MAX);
    two.until(connection, |endpoint, _| endpoint.umtu(connection) == Some(1_402));
    // No way to the link but through the loop's parts.
    let (machine, link) = two.client.into_parts();
    let clock = two.server.clock();
    two.client = Loop::new(Narrow { most: 1_300, ..link }, clock, machine).expect("a loop");
    two.client.with(|endpoint, now| {
        let one_way = StreamOptions::one_way(Order::Ordered);
        let stream = endpoint.open(now, connection, one_way).expect("it opens");
        let message = vec![7; 100_000];
        endpoint.send(now, connection, stream, message, SendOptions::default()).expect("taken");
    });
    let acked = |event| matches!(event, Some(Event::Message { fate: Fate::Acked, .. }));
    let mut delivered = false;
    two.until(connection, |endpoint, event| {
        delivered |= acked(event);
        delivered && found(endpoint, connection, 1_300)
    });
    let refused = &two.client.link().refused;
    assert!(refused.iter().filter(|size| **size > 1_400).count() <= 2, "{refused:?}");
}
