//! The link against the kernel, over loopback. Where there is no io_uring they say *skipped*.

use crate::*;
use rustix::io::Errno;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};
use tripline::{
    Config, ConnectOptions, ConnectionHandle, Endpoint, Event, Fate, Order, ReceiveResult,
    SecretKey, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{Ecn, Path, Seed, Transmit};
use tripline_std::{Link, Loop, SendOutcome, Turn};
use tripline_udp::{Calls, Destination, Kernel, Message, Options, Socket};

/// A limit no healthy test comes near.
const LONG: Duration = Duration::from_secs(20);
const V4: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const V6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 0);

/// A link with so many buffers; `None` (and a word) where there is none to be had.
fn link(address: SocketAddr, buffers: u16) -> Option<UringLink> {
    if let Err(error) = probe() {
        eprintln!("skipped: {error}");
        return None;
    }
    match Socket::bind(address, &Options::default()) {
        Ok(socket) => Some(UringLink::new(socket, buffers).expect("a link")),
        Err(error) => {
            eprintln!("skipped: no socket at {address}: {error}");
            None
        }
    }
}

pub(crate) fn wait_readable(link: &UringLink) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(link, PollFlags::IN)], Some(&limit)).expect("poll");
    assert_eq!(ready, 1, "nothing arrived");
}

/// Receives until so many datagrams have come.
fn receive(link: &mut UringLink, datagrams: usize) -> Vec<(Path, Ecn, Vec<u8>)> {
    let mut all = Vec::new();
    while all.len() < datagrams {
        wait_readable(link);
        match link.recv(&mut |path, ecn, datagram| all.push((path, ecn, datagram.to_vec()))) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
        }
    }
    all
}

/// U36: trains, marks and addresses arrive as over an ordinary socket, in both families.
#[test]
fn u36_a_train_arrives_whole_with_its_mark_and_addresses() {
    for address in [V4, V6] {
        let Some(mut ours) = link(address, 4) else { return };
        let mut theirs = Socket::bind(address, &Options::default()).expect("a socket");
        let to = ours.local_addr().expect("an address");
        let bytes: Vec<u8> = (0..250).collect();
        for ecn in [Ecn::Ect0, Ecn::Ce, Ecn::NotEct] {
            let transmit = Transmit { path: Path::to(to), ecn, len: 250, segment_size: 100 };
            assert_eq!(theirs.send(&transmit, &bytes), SendOutcome::Sent);
            let all = receive(&mut ours, 3);
            let from = theirs.local_addr().expect("an address");
            for ((path, mark, datagram), want) in all.iter().zip(bytes.chunks(100)) {
                assert_eq!((path.remote, path.local), (from, Some(address.ip())));
                assert_eq!((*mark, datagram.as_slice()), (ecn, want));
            }
        }
        let stats = ours.stats();
        assert_eq!((stats.datagrams_received, stats.bytes_received), (9, 750));
        // The request of the beginning receives all of it.
        assert_eq!(stats.recv_calls, 0);
        let end = ours.recv(&mut |_, _, _| panic!("nothing was sent")).expect_err("empty");
        assert_eq!(end.kind(), io::ErrorKind::WouldBlock);
    }
}

/// H07, U36: more than there are buffers waits in the socket, in order, however often they go
/// around.
#[test]
fn h07_few_buffers_go_around() {
    let Some(mut ours) = link(V4, 2) else { return };
    let theirs = UdpSocket::bind(V4).expect("a socket");
    let to = ours.local_addr().expect("an address");
    let mut count = 0u32;
    for _ in 0..50 {
        for number in count..count + 20 {
            theirs.send_to(&number.to_be_bytes(), to).expect("sent");
        }
        for (.., datagram) in receive(&mut ours, 20) {
            assert_eq!(datagram, count.to_be_bytes());
            count += 1;
        }
    }
    let stats = ours.stats();
    assert_eq!(stats.datagrams_received, 1_000);
    // Asked for again when the buffers had run out, and then only.
    assert!((1..=1_000).contains(&stats.recv_calls), "{stats:?}");
}

/// H07: the largest datagram fits, and an empty one is one.
#[test]
fn h07_the_largest_and_the_smallest_datagram() {
    let Some(mut ours) = link(V4, 2) else { return };
    let theirs = UdpSocket::bind(V4).expect("a socket");
    let to = ours.local_addr().expect("an address");
    let large: Vec<u8> = (0..65_507u32).map(|at| (at % 251) as u8).collect();
    theirs.send_to(&large, to).expect("sent");
    theirs.send_to(&[], to).expect("sent");
    let all = receive(&mut ours, 2);
    assert!(all[0].2 == large && all[1].2.is_empty());
}

/// H07: links that are dropped while datagrams come in leave nothing behind that the kernel writes
/// into.
#[test]
fn h07_links_come_and_go_under_fire() {
    let theirs = UdpSocket::bind(V4).expect("a socket");
    for round in 0..200u32 {
        let Some(mut ours) = link(V4, 4) else { return };
        let to = ours.local_addr().expect("an address");
        for number in 0..20u32 {
            // The port may be closed by now.
            let _ = theirs.send_to(&number.to_be_bytes(), to);
        }
        if round % 2 == 0 {
            assert_eq!(receive(&mut ours, 1)[0].2, 0u32.to_be_bytes());
        }
        drop(ours);
        // What the allocator gives out next is ours alone.
        let fresh = vec![0xaa_u8; 4 * 66 * 1024];
        let _ = theirs.send_to(b"late", to);
        assert!(fresh.iter().all(|byte| *byte == 0xaa));
    }
}

/// A link that is made in one thread works in another, also when the first has ended.
#[test]
fn a_link_may_change_its_thread() {
    let made = std::thread::spawn(|| link(V4, 4)).join().expect("the thread");
    let Some(mut ours) = made else { return };
    let theirs = UdpSocket::bind(V4).expect("a socket");
    theirs.send_to(b"hello", ours.local_addr().expect("an address")).expect("sent");
    assert_eq!(receive(&mut ours, 1)[0].2, b"hello");
}

/// An engine in its loop.
type Party = Loop<Endpoint, UringLink>;

/// A client over `ours`, a server over `theirs`, and a stream between them.
fn pair(ours: UringLink, theirs: UringLink) -> (Party, Party, ConnectionHandle, StreamId) {
    let options = tripline_std::Options::default();
    let clock = options.clock;
    let key = SecretKey::from_bytes([1; 32]);
    let public = key.public_key();
    let endpoint = |config, number| Endpoint::new(config, &Seed::from_number(number), clock.now());
    let to = theirs.local_addr().expect("an address");
    let server = Loop::new(theirs, clock, endpoint(Config::public_server(key), 1));
    let mut client = Loop::new(ours, clock, endpoint(Config::client(), 2)).expect("a loop");
    let (connection, stream) = client.with(|endpoint, now| {
        let options = ConnectOptions::to(public);
        let connection = endpoint.connect(now, to.into(), options).expect("it begins");
        let two_way = StreamOptions::two_way(Order::Ordered);
        (connection, endpoint.open(now, connection, two_way).expect("it opens"))
    });
    (client, server.expect("a loop"), connection, stream)
}

/// Sends a megabyte there and back, a quarter at a time.
fn there_and_back(ours: UringLink, theirs: UringLink) -> (Party, Party) {
    let (mut client, mut server, connection, stream) = pair(ours, theirs);
    for _ in 0..4 {
        once(&mut client, &mut server, connection, stream);
    }
    (client, server)
}

fn once(client: &mut Party, server: &mut Party, connection: ConnectionHandle, stream: StreamId) {
    let message: Vec<u8> = (0..250_000u32).map(|at| (at % 251) as u8).collect();
    let sent = client.with(|endpoint, now| {
        endpoint.send(now, connection, stream, message.clone(), SendOptions::default())
    });
    sent.expect("taken");
    let began = Instant::now();
    let (mut acked, mut back) = (false, false);
    while !(acked && back) {
        assert!(began.elapsed() < LONG, "{:?} {:?}", client.link(), client.link().stats());
        server.run_once(Some(Duration::ZERO)).expect("a turn");
        echo(server);
        client.run_once(Some(Duration::from_millis(1))).expect("a turn");
        while let Some(event) = client.next_event() {
            acked |= matches!(event, Event::Message { fate: Fate::Acked, .. });
            if !matches!(event, Event::Readable { .. }) {
                continue;
            }
            client.with(|endpoint, now| {
                // To the end, or there is no other event.
                while let Ok(ReceiveResult::Data(answer)) =
                    endpoint.receive(now, connection, stream)
                {
                    assert!(answer == message);
                    back = true;
                }
            });
        }
    }
}

/// Sends back what has come.
fn echo(server: &mut Party) {
    while let Some(event) = server.next_event() {
        let Event::Readable { connection, stream } = event else { continue };
        server.with(|endpoint, now| {
            while let Ok(ReceiveResult::Data(message)) = endpoint.receive(now, connection, stream) {
                let options = SendOptions::default();
                endpoint.send(now, connection, stream, message, options).expect("taken");
            }
        });
    }
}

/// U36: two engines over two rings; receiving takes next to no system calls, and sending those of
/// trains.
#[test]
fn u36_a_transfer_over_two_rings() {
    let (Some(ours), Some(theirs)) = (link(V4, 64), link(V4, 64)) else { return };
    let (client, server) = there_and_back(ours, theirs);
    for stats in [client.link().stats(), server.link().stats()] {
        assert!(stats.datagrams_received > 700, "{stats:?}");
        assert!(stats.recv_calls < stats.datagrams_received / 10, "{stats:?}");
    }
}

/// T64, U36: with two buffers all is slower and nothing is lost.
#[test]
fn u36_a_transfer_over_few_buffers() {
    let (Some(ours), Some(theirs)) = (link(V4, 2), link(V4, 1)) else { return };
    there_and_back(ours, theirs);
}

/// A kernel whose socket is full every third time.
#[derive(Debug)]
struct OftenFull(Kernel, u64);

impl Calls for OftenFull {
    fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        self.1 += 1;
        if self.1.is_multiple_of(3) {
            return Err(Errno::AGAIN.into());
        }
        self.0.send(socket, to, bytes, segment)
    }

    fn send_many(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<usize> {
        self.0.send_many(socket, to, bytes, segment)
    }

    fn recv(
        &mut self,
        socket: BorrowedFd<'_>,
        buffers: &mut [IoSliceMut<'_>],
        messages: &mut [Message],
    ) -> io::Result<usize> {
        self.0.recv(socket, buffers, messages)
    }

    fn cuts(&self) -> bool {
        self.0.cuts()
    }

    fn merges(&self) -> bool {
        self.0.merges()
    }
}

/// T64, U36: room on a full socket is waited for beside the ring, and nothing is lost meanwhile.
#[test]
fn u36_a_full_socket_is_waited_for() {
    let Some(theirs) = link(V4, 16) else { return };
    let socket = UdpSocket::bind(V4).expect("a socket");
    let kernel = Kernel::new(&socket).expect("a socket");
    let socket = Socket::with_calls(socket, Box::new(OftenFull(kernel, 0))).expect("a socket");
    let ours = UringLink::new(socket, 16).expect("a link");
    let (client, _) = there_and_back(ours, theirs);
    let (stats, counts) = (client.link().stats(), client.counts());
    assert!(stats.full > 5 && counts.full == stats.full, "{stats:?} {counts:?}");
    assert_eq!(stats.dropped.total(), 0, "{stats:?}");
}

/// T18: an idle loop over a ring sleeps.
#[test]
fn u36_an_idle_ring_sleeps() {
    let (Some(ours), Some(theirs)) = (link(V4, 4), link(V4, 4)) else { return };
    let (mut client, _server, ..) = pair(ours, theirs);
    client.run_once(Some(Duration::ZERO)).expect("a turn");
    let before = client.counts().waits;
    // The server does not run, so OPENs are all there is: at 200 and 400 ms.
    let turn = client.run_once(Some(Duration::from_millis(500))).expect("a turn");
    assert_eq!(turn, Turn::TimedOut);
    assert!(client.counts().waits - before <= 4, "{:?}", client.counts());
}

/// U36: what is asked for and cannot be is an error with a reason, not a panic.
#[test]
fn u36_a_ring_that_cannot_be_is_an_error() {
    let Some(_) = link(V4, 1) else { return };
    for buffers in [0, 3] {
        let socket = Socket::bind(V4, &Options::default()).expect("a socket");
        let error = UringLink::new(socket, buffers).expect_err("no such number of buffers");
        assert!(error.to_string().contains("buffers"), "{error}");
    }
}
