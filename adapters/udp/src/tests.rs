//! The socket against the kernel, over loopback with ports of the system's choice.

use crate::*;
use rustix::event::{PollFd, PollFlags, poll};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use tripline_sansio::{Ecn, Path, Transmit};

const V4: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const V6: SocketAddr = SocketAddr::new(std::net::IpAddr::V6(Ipv6Addr::LOCALHOST), 0);

/// A socket on loopback, or `None` (and a word) where the system has no such address family.
fn bind(address: SocketAddr) -> Option<Socket> {
    match Socket::bind(address, &Options::default()) {
        Ok(socket) => Some(socket),
        Err(error) => {
            eprintln!("skipped: no socket at {address}: {error}");
            None
        }
    }
}

fn transmit(to: SocketAddr, ecn: Ecn, len: usize, segment_size: usize) -> Transmit {
    Transmit { path: Path::to(to), ecn, len, segment_size }
}

/// What arrived: path, mark, bytes; and the sums of the calls.
type Arrived = (Vec<(Path, Ecn, Vec<u8>)>, Vec<Received>);

/// Receives until `datagrams` have come. Loopback delivers within the send call, so each wait is
/// short and one that takes ten seconds is a failure.
fn receive<S: AsFd>(socket: &mut Socket<S>, datagrams: usize) -> Arrived {
    let mut buffers = RecvBuffers::new(RecvBuffers::MAX);
    let (mut arrived, mut calls) = (Vec::new(), Vec::new());
    while arrived.len() < datagrams {
        wait_readable(socket);
        let call = socket.recv_batch(&mut buffers, |path, ecn, datagram| {
            arrived.push((path, ecn, datagram.to_vec()));
        });
        match call {
            Ok(received) => calls.push(received),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
        }
    }
    (arrived, calls)
}

fn wait_readable(socket: &impl AsFd) {
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    let ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&limit)).expect("poll");
    assert_eq!(ready, 1, "nothing arrived");
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// dependencies.md, quinn-udp: versions after the pin lose the mark of merged receives.
fn one_train_arrives_as_one_marked_message(address: SocketAddr) {
    let (Some(mut alice), Some(mut bob)) = (bind(address), bind(address)) else { return };
    let to = bob.local_addr().expect("an address");
    let bytes = numbered(300);
    assert_eq!(alice.send(&transmit(to, Ecn::Ect0, 300, 100), &bytes), SendOutcome::Sent);
    let (arrived, calls) = receive(&mut bob, 3);
    let from = alice.local_addr().expect("an address");
    for (at, (path, ecn, datagram)) in arrived.iter().enumerate() {
        assert_eq!((path.remote, path.local), (from, Some(address.ip())));
        assert_eq!((*ecn, datagram.as_slice()), (Ecn::Ect0, &bytes[at * 100..(at + 1) * 100]));
    }
    let (sent, received) = (alice.stats(), bob.stats());
    assert_eq!((sent.datagrams_sent, sent.bytes_sent), (3, 300));
    assert_eq!((received.datagrams_received, received.bytes_received), (3, 300));
    if !sent.gso || !received.gro {
        eprintln!("skipped: one call each way, for GSO is {} and GRO {}", sent.gso, received.gro);
        return;
    }
    let whole = Received { messages: 1, datagrams: 3, bytes: 300, maybe_more: false };
    assert_eq!(calls, [whole]);
    assert_eq!((sent.send_calls, received.recv_calls), (1, 1));
    assert!(sent.sent_per_call() == 3.0 && received.received_per_call() == 3.0);
}

#[test]
fn one_train_arrives_as_one_marked_message_over_ipv4() {
    one_train_arrives_as_one_marked_message(V4);
}

#[test]
fn one_train_arrives_as_one_marked_message_over_ipv6() {
    one_train_arrives_as_one_marked_message(V6);
}

#[test]
fn every_mark_arrives() {
    for address in [V4, V6] {
        let (Some(mut alice), Some(mut bob)) = (bind(address), bind(address)) else { continue };
        let to = bob.local_addr().expect("an address");
        for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            assert_eq!(alice.send(&transmit(to, ecn, 3, 3), b"abc"), SendOutcome::Sent);
            assert_eq!(receive(&mut bob, 1).0[0].1, ecn);
        }
    }
}

#[test]
fn the_largest_train_and_one_beyond_arrive_whole() {
    let (mut alice, mut bob) = (bind(V4).expect("IPv4"), bind(V4).expect("IPv4"));
    let to = bob.local_addr().expect("an address");
    // 100 datagrams: more than one call may carry; the last one is shorter.
    let bytes = numbered(99 * 1_000 + 10);
    let train = transmit(to, Ecn::Ect0, bytes.len(), 1_000);
    assert_eq!(alice.send(&train, &bytes), SendOutcome::Sent);
    let (arrived, _) = receive(&mut bob, 100);
    let joined: Vec<u8> = arrived.iter().flat_map(|(_, _, datagram)| datagram.clone()).collect();
    assert_eq!(joined, bytes);
    assert!(arrived.iter().take(99).all(|(_, _, datagram)| datagram.len() == 1_000));
    let stats = alice.stats();
    assert_eq!(stats.send_calls, if stats.gso { 2 } else { 100 });
}

#[test]
fn without_offload_a_train_arrives_whole() {
    let (mut alice, mut bob) = (bind(V4).expect("IPv4"), bind(V4).expect("IPv4"));
    alice.parts_mut().1.forbid_gso();
    assert_eq!(alice.max_gso_segments(), 1);
    let to = bob.local_addr().expect("an address");
    let bytes = numbered(250);
    assert_eq!(alice.send(&transmit(to, Ecn::Ce, 250, 100), &bytes), SendOutcome::Sent);
    let (arrived, _) = receive(&mut bob, 3);
    let lengths: Vec<usize> = arrived.iter().map(|(_, _, datagram)| datagram.len()).collect();
    assert_eq!(lengths, [100, 100, 50]);
    assert!(arrived.iter().all(|(_, ecn, _)| *ecn == Ecn::Ce));
    assert_eq!((alice.stats().send_calls, alice.stats().gso), (1, false));
    // And where there is no such call either, one by one.
    alice.parts_mut().1.forbid_batches();
    assert_eq!(alice.send(&transmit(to, Ecn::Ce, 250, 100), &bytes), SendOutcome::Sent);
    assert_eq!(receive(&mut bob, 3).0.len(), 3);
    assert_eq!(alice.stats().send_calls, 4);
}

/// N15: batches carry marks and addresses as single datagrams do, in both families; so does what
/// cannot be a batch.
#[test]
fn n15_a_batch_of_messages_keeps_marks_and_addresses() {
    for any in [Ipv4Addr::UNSPECIFIED.into(), std::net::IpAddr::from(Ipv6Addr::UNSPECIFIED)] {
        for at in [V4, V6] {
            let (Some(mut plain), Some(mut dual)) = (bind(at), bind(SocketAddr::new(any, 0)))
            else {
                return;
            };
            let port = dual.local_addr().expect("an address").port();
            if at.is_ipv6() && any.is_ipv4() {
                continue;
            }
            let to = SocketAddr::new(at.ip(), port);
            let bytes = numbered(250);
            plain.parts_mut().1.forbid_gso();
            for mark in [Ecn::Ect1, Ecn::NotEct, Ecn::Ce] {
                let before = plain.stats().send_calls;
                assert_eq!(plain.send(&transmit(to, mark, 250, 100), &bytes), SendOutcome::Sent);
                assert_eq!(plain.stats().send_calls, before + 1);
                let (arrived, _) = receive(&mut dual, 3);
                let (path, ecn, _) = arrived[2];
                assert_eq!((path.local, ecn, arrived[2].2.len()), (Some(at.ip()), mark, 50));
            }
            dual.parts_mut().1.forbid_gso();
            let back = plain.local_addr().expect("an address");
            // Where it is left open what to leave from, one call; to leave from the address that
            // was asked, the call that there is not, and then one for each.
            for (local, calls) in [(None, 1), (Some(at.ip()), 4)] {
                let before = dual.stats().send_calls;
                let back = Transmit {
                    path: Path { remote: back, local },
                    ..transmit(back, Ecn::Ect0, 250, 100)
                };
                assert_eq!(dual.send(&back, &bytes), SendOutcome::Sent);
                let (arrived, _) = receive(&mut plain, 3);
                let same = |(path, ecn, _): &(Path, Ecn, _)| (path.remote, *ecn) == (to, Ecn::Ect0);
                assert!(arrived.iter().all(same));
                assert_eq!(dual.stats().send_calls, before + calls);
            }
        }
    }
}

/// T69: one receive call brings many datagrams, merged or not.
#[test]
fn t69_a_receive_call_brings_a_whole_batch() {
    let (mut alice, mut bob) = (bind(V4).expect("IPv4"), bind(V4).expect("IPv4"));
    let to = bob.local_addr().expect("an address");
    // Of growing length, so that the kernel merges none of them.
    let bytes = numbered(200);
    for len in 1..=20 {
        let alone = transmit(to, Ecn::NotEct, len, len);
        assert_eq!(alice.send(&alone, &bytes), SendOutcome::Sent);
    }
    let (arrived, calls) = receive(&mut bob, 20);
    assert!(arrived.iter().zip(1..).all(|((.., datagram), len)| datagram.len() == len));
    assert_eq!((calls.len(), calls[0].messages), (1, 20));
    assert!(bob.stats().received_per_call() >= 20.0, "{:?}", bob.stats());
}

#[test]
fn an_empty_socket_would_block() {
    let mut socket = bind(V4).expect("IPv4");
    let call = socket.recv_batch(&mut RecvBuffers::new(1), |_, _, _| panic!("nothing was sent"));
    assert_eq!(call.expect_err("empty").kind(), io::ErrorKind::WouldBlock);
    assert_eq!(socket.stats().recv_calls, 1);
}

#[test]
fn full_buffers_say_that_there_may_be_more() {
    let (mut alice, mut bob) = (bind(V4).expect("IPv4"), bind(V4).expect("IPv4"));
    let to = bob.local_addr().expect("an address");
    for byte in [b"a", b"b", b"c"] {
        assert_eq!(alice.send(&transmit(to, Ecn::NotEct, 1, 1), byte), SendOutcome::Sent);
    }
    let mut buffers = RecvBuffers::new(2);
    let mut seen = Vec::new();
    for more in [true, false] {
        wait_readable(&bob);
        let call = bob.recv_batch(&mut buffers, |_, _, datagram| seen.extend_from_slice(datagram));
        assert_eq!(call.expect("a call").maybe_more, more);
    }
    assert_eq!(seen, b"abc");
}

#[test]
fn an_answer_leaves_from_the_address_that_was_asked() {
    // Linux answers for all of 127/8.
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    let (mut alice, mut bob) = (bind(any).expect("IPv4"), bind(any).expect("IPv4"));
    let port = bob.local_addr().expect("an address").port();
    let asked = SocketAddr::from(([127, 0, 0, 9], port));
    assert_eq!(alice.send(&transmit(asked, Ecn::NotEct, 2, 2), b"hi"), SendOutcome::Sent);
    let path = receive(&mut bob, 1).0[0].0;
    assert_eq!(path.local, Some(asked.ip()));
    let back = Transmit { path, ecn: Ecn::NotEct, len: 2, segment_size: 2 };
    assert_eq!(bob.send(&back, b"ho"), SendOutcome::Sent);
    assert_eq!(receive(&mut alice, 1).0[0].0.remote, asked);
}

#[test]
fn a_dual_stack_socket_sees_ipv4_peers_as_such() {
    let Some(mut dual) = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) else { return };
    let mut plain = bind(V4).expect("IPv4");
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, dual.local_addr().expect("an address").port()));
    let bytes = numbered(300);
    assert_eq!(plain.send(&transmit(to, Ecn::Ect0, 300, 100), &bytes), SendOutcome::Sent);
    let (arrived, _) = receive(&mut dual, 3);
    let (path, ecn, _) = arrived[0];
    assert_eq!(path.remote, plain.local_addr().expect("an address"));
    assert_eq!((path.local, ecn), (Some(V4.ip()), Ecn::Ect0));
    let back = Transmit { path, ecn: Ecn::Ect1, len: 300, segment_size: 100 };
    assert_eq!(dual.send(&back, &bytes), SendOutcome::Sent);
    let (arrived, _) = receive(&mut plain, 3);
    assert_eq!((arrived[0].0.remote, arrived[0].1), (to, Ecn::Ect1));
}

#[test]
fn a_datagram_above_the_mtu_is_dropped_and_counted() {
    let (mut alice, bob) = (bind(V4).expect("IPv4"), bind(V4).expect("IPv4"));
    let to = bob.local_addr().expect("an address");
    let bytes = numbered(70_000);
    let outcome = alice.send(&transmit(to, Ecn::NotEct, 70_000, 70_000), &bytes);
    assert_eq!(outcome, SendOutcome::Dropped(DropCause::TooBig));
    assert_eq!(alice.stats().dropped.too_big, 1);
}

#[test]
fn an_address_that_is_gone_costs_neither_offload_nor_marks() {
    let Some(mut dual) = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) else { return };
    let (Some(six), mut four) = (bind(V6), bind(V4).expect("IPv4")) else { return };
    let bytes = numbered(300);
    let offload = dual.max_gso_segments();
    // Documentation addresses are nobody's: the kernel refuses to send from one with EINVAL.
    let gone = "2001:db8::1".parse().expect("an address");
    let path = Path { remote: six.local_addr().expect("an address"), local: Some(gone) };
    let lost = Transmit { path, ecn: Ecn::Ect0, len: 300, segment_size: 100 };
    assert_eq!(dual.send(&lost, &bytes), SendOutcome::Dropped(DropCause::BadAddress));
    assert_eq!((dual.stats().dropped.bad_address, dual.max_gso_segments()), (3, offload));
    // The mark is what the socket library would never set again over IPv4.
    let to = four.local_addr().expect("an address");
    assert_eq!(dual.send(&transmit(to, Ecn::Ect0, 300, 100), &bytes), SendOutcome::Sent);
    assert!(receive(&mut four, 3).0.iter().all(|(_, ecn, _)| *ecn == Ecn::Ect0));
}

#[test]
fn senseless_destinations_are_dropped_without_a_call() {
    let mut alice = bind(V4).expect("IPv4");
    for to in [V4, SocketAddr::from((Ipv6Addr::LOCALHOST, 9))] {
        let outcome = alice.send(&transmit(to, Ecn::NotEct, 1, 1), b"x");
        assert_eq!(outcome, SendOutcome::Dropped(DropCause::BadAddress));
    }
    assert_eq!((alice.stats().send_calls, alice.stats().dropped.bad_address), (0, 2));
}

#[test]
fn news_of_a_closed_port_ends_nothing() {
    // A connected socket, of the user's own making and only borrowed, is told of ICMP messages.
    let own = UdpSocket::bind(V4).expect("IPv4");
    let mut peer = bind(V4).expect("IPv4");
    let closed = UdpSocket::bind(V4).expect("IPv4").local_addr().expect("an address");
    own.connect(closed).expect("connect");
    let mut alice = Socket::new(&own).expect("a socket");
    assert_eq!(alice.send(&transmit(closed, Ecn::NotEct, 1, 1), b"x"), SendOutcome::Sent);
    wait_readable(&own);
    let call = alice.recv_batch(&mut RecvBuffers::new(1), |_, _, _| panic!("nothing was sent"));
    assert_eq!(call.expect_err("empty").kind(), io::ErrorKind::WouldBlock);
    assert_eq!(alice.stats().recv_errors, 1);
    // The same news as the answer to a send is a dropped datagram, and the next one goes out.
    assert_eq!(alice.send(&transmit(closed, Ecn::NotEct, 1, 1), b"x"), SendOutcome::Sent);
    wait_readable(&own);
    let to = peer.local_addr().expect("an address");
    let refused = SendOutcome::Dropped(DropCause::Refused);
    assert_eq!(alice.send(&transmit(to, Ecn::NotEct, 1, 1), b"y"), refused);
    assert_eq!(alice.send(&transmit(to, Ecn::NotEct, 1, 1), b"y"), SendOutcome::Sent);
    assert_eq!(receive(&mut peer, 1).0[0].2, b"y");
}

#[test]
fn options_are_asked_of_the_system() {
    let small = Options { recv_buffer: 8_192, send_buffer: 8_192, ..Options::default() };
    let socket = Socket::bind(V4, &small).expect("IPv4");
    let large = bind(V4).expect("IPv4");
    assert!(socket.recv_buffer_bytes().expect("size") < large.recv_buffer_bytes().expect("size"));
    assert!(socket.send_buffer_bytes().expect("size") < large.send_buffer_bytes().expect("size"));
    let shared = Options { reuse_port: true, ..Options::default() };
    let first = Socket::bind(V4, &shared).expect("IPv4");
    let port = first.local_addr().expect("an address");
    assert!(Socket::bind(port, &shared).is_ok(), "a shared port can be bound twice");
    assert!(Socket::bind(port, &Options::default()).is_err(), "and only by those who share");
}
