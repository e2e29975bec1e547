//! Connections over TCP, TLS, and whatever answers first, over loopback.

use crate::*;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tripline::{
    Config, ConnectError, ConnectOptions, LinkRoute, Order, Over, SecretKey, StreamOptions,
};
use tripline_sansio::{LinkFailure, LinkKind};
use tripline_tls::Tls;

const GRACE: Duration = Duration::from_secs(20);

fn key() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn tls() -> Arc<Tls> {
    let server = Tls::self_signed(&["localhost"]).expect("a certificate");
    Arc::new(Tls::client_of_anyone().and_server(server).timeout(Duration::from_millis(500)))
}

/// A listener for these kinds of links, and datagrams if `udp`.
fn listener(kinds: &[LinkKind], udp: bool) -> Listener {
    let links = kinds.iter().map(|kind| LinkRoute { kind: *kind, port: None }).collect();
    let secure = Some(tls() as _);
    let how = ListenOptions { links, secure, no_udp: !udp, ..ListenOptions::default() };
    Listener::bind(any(), Config::public_server(key()), how).expect("a listener")
}

fn client() -> Client {
    let how = HubOptions { secure: Some(tls()), ..HubOptions::default() };
    Client::with(Config::client(), &how).expect("a client")
}

fn to_server() -> ConnectOptions {
    ConnectOptions::to(key().public_key())
}

/// Serves one client: what comes on a stream goes back on it.
fn echo(listener: Listener) -> JoinHandle<tripline::Carrier> {
    thread::spawn(move || {
        let connection = listener.accept().expect("a client");
        let path = connection.path().expect("alive");
        while let Ok(stream) = connection.accept_stream() {
            while let Ok(Some(message)) = stream.receive() {
                let _ = stream.send(message);
            }
        }
        connection.wait_closed().expect("an orderly end");
        path
    })
}

/// Messages of all sizes there and back.
fn talk(connection: &Connection) {
    let stream = connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    for length in [0, 1, 1_000, 100_000, 200_000] {
        let message = vec![7; length];
        stream.send(message.clone()).expect("taken");
        assert_eq!(stream.receive().expect("alive").expect("an answer"), message);
    }
    stream.finish();
    assert_eq!(stream.receive().expect("alive"), None);
}

/// N49: the same API over UDP, TCP and TLS; `path` says which on both sides, and where to.
#[test]
fn n49_the_same_connection_over_tcp_and_tls() {
    for (kind, over) in
        [(LinkKind::Udp, Over::udp()), (LinkKind::Tcp, Over::tcp()), (LinkKind::Tls, Over::tls())]
    {
        let links: &[LinkKind] = if kind == LinkKind::Udp { &[] } else { &[kind] };
        let listener = listener(links, kind == LinkKind::Udp);
        let at = listener.local_addr();
        let server = echo(listener);
        let connection = client().connect_over(at, to_server(), over).expect("connected");
        let path = connection.path().expect("alive");
        assert_eq!((path.kind, path.remote), (kind, at));
        assert_eq!(connection.remote(), at);
        talk(&connection);
        connection.close(GRACE).expect("an orderly end");
        let theirs = server.join().expect("the server");
        assert_eq!((theirs.kind, theirs.remote.ip()), (kind, at.ip()));
    }
}

/// N49: a server that only speaks TCP is found within 1.5 s although datagrams vanish, and `path`
/// says so.
#[test]
fn n49_automatic_choice_finds_tcp_behind_a_black_hole() {
    let listener = listener(&[LinkKind::Tcp], false);
    let at = listener.local_addr();
    // Takes datagrams and says nothing: without it the system would refuse them.
    let _hole = UdpSocket::bind(at).expect("the port is free for UDP");
    let server = echo(listener);
    let began = Instant::now();
    let connection = client().connect_over(at, to_server(), Over::auto()).expect("connected");
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    assert_eq!(connection.path().expect("alive").kind, LinkKind::Tcp);
    talk(&connection);
    connection.close(GRACE).expect("an orderly end");
    assert_eq!(server.join().expect("the server").kind, LinkKind::Tcp);
}

/// N49: where both get through, datagrams have the head start and win.
#[test]
fn n49_automatic_choice_prefers_datagrams() {
    let listener = listener(&[LinkKind::Tcp], true);
    let at = listener.local_addr();
    let server = echo(listener);
    let connection = client().connect_over(at, to_server(), Over::auto()).expect("connected");
    assert_eq!(connection.path().expect("alive").kind, LinkKind::Udp);
    talk(&connection);
    connection.close(GRACE).expect("an orderly end");
    assert_eq!(server.join().expect("the server").kind, LinkKind::Udp);
}

/// N49: TLS comes after TCP where both are named, at its own port.
#[test]
fn n49_automatic_choice_goes_on_to_tls() {
    let listener = listener(&[LinkKind::Tls], false);
    let at = listener.local_addr();
    let server = echo(listener);
    // Nothing at this port but a black hole for datagrams.
    let hole = UdpSocket::bind(any()).expect("a port");
    let dead = hole.local_addr().expect("bound");
    let mut over = Over::auto();
    over.links.push(LinkRoute { kind: LinkKind::Tls, port: Some(at.port()) });
    let connection = client().connect_over(dead, to_server(), over).expect("connected");
    assert_eq!(connection.path().expect("alive").kind, LinkKind::Tls);
    talk(&connection);
    connection.close(GRACE).expect("an orderly end");
    server.join().expect("the server");
}

/// N12: TLS proves nothing here, the transport's key does: another server is refused.
#[test]
fn n12_a_wrong_key_is_refused_over_every_link() {
    for over in [Over::tcp(), Over::tls()] {
        let kind = over.links[0].kind;
        let listener = listener(&[kind], false);
        let mut wrong = ConnectOptions::to(SecretKey::from_bytes([2; 32]).public_key());
        wrong.deadline = Duration::from_secs(2);
        let refused = client().connect_over(listener.local_addr(), wrong, over);
        let known = matches!(
            &refused,
            Err(Error::Connect(ConnectError::Identity | ConnectError::Timeout { .. }))
        );
        assert!(known, "{kind}: {refused:?}");
    }
}

/// Nobody there, and whoever does not speak TLS: said at once, and told apart.
#[test]
fn a_link_that_leads_nowhere_is_a_clear_error() {
    let gone = TcpListener::bind(any()).and_then(|one| one.local_addr()).expect("a port");
    let failed = |at, over| match client().connect_over(at, to_server(), over) {
        Err(Error::Link(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(failed(gone, Over::tcp()).failure, LinkFailure::Refused);
    let silent = TcpListener::bind(any()).expect("a listener");
    let began = Instant::now();
    let error = failed(silent.local_addr().expect("bound"), Over::tls());
    assert!(error.to_string().contains("says nothing"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let plain = listener(&[LinkKind::Tcp], false);
    let error = failed(plain.local_addr(), Over::tls());
    assert_eq!(error.failure, LinkFailure::Insecure, "{error}");
    let bare = Client::new(Config::client()).expect("a client");
    let refused = bare.connect_over(gone, to_server(), Over::tls());
    assert!(matches!(&refused, Err(Error::Link(_))), "no TLS was given: {refused:?}");
}

/// Passes bytes between a client and `to`, one connection at a time, until told to cut it; then
/// takes the next.
fn relay(to: SocketAddr) -> (SocketAddr, std::sync::mpsc::Receiver<TcpStream>) {
    let door = TcpListener::bind(any()).expect("a listener");
    let at = door.local_addr().expect("bound");
    let (sender, cuts) = std::sync::mpsc::channel();
    thread::spawn(move || {
        while let Ok((near, _)) = door.accept() {
            let far = TcpStream::connect(to).expect("the server is there");
            let both = [(&near, &far), (&far, &near)].map(|(from, to)| {
                (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"))
            });
            if sender.send(near).is_err() {
                return;
            }
            for (mut from, mut to) in both {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    (at, cuts)
}

/// R-LINK-4b: when the link breaks the client opens another one, and nothing is lost or repeated.
#[test]
fn r_link_4_a_broken_link_is_opened_again() {
    let listener = listener(&[LinkKind::Tcp], false);
    let (at, cuts) = relay(listener.local_addr());
    let server = thread::spawn(move || {
        let connection = listener.accept().expect("a client");
        let stream = connection.accept_stream().expect("a stream");
        let mut all = Vec::new();
        while let Ok(Some(message)) = stream.receive() {
            all.push(message);
            stream.send("got it").expect("taken");
        }
        drop(stream);
        connection.wait_closed().expect("an orderly end");
        all
    });
    let connection = client().connect_over(at, to_server(), Over::tcp()).expect("connected");
    let stream = connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    for round in 0..4_u8 {
        let link = cuts.recv().expect("a link");
        for number in 0..5 {
            stream.send(vec![round * 5 + number; 10_000]).expect("taken");
        }
        for _ in 0..5 {
            assert!(stream.receive().expect("alive").is_some());
        }
        if round < 3 {
            link.shutdown(std::net::Shutdown::Both).expect("cut");
        }
    }
    stream.finish();
    connection.close(GRACE).expect("an orderly end");
    let got = server.join().expect("the server");
    let numbers: Vec<u8> = got.iter().map(|message| message[0]).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<u8>>());
}

/// R-LINK-7: whoever opens links and never connects holds nothing up and is let go; the limit of
/// links holds meanwhile.
#[test]
fn r_link_7_silent_links_hold_nobody_up() {
    let listener = listener(&[LinkKind::Tcp], false);
    let at = listener.local_addr();
    let idle: Vec<_> = (0..20).map(|_| TcpStream::connect(at).expect("connected")).collect();
    let server = echo(listener);
    let connection = client().connect_over(at, to_server(), Over::tcp()).expect("connected");
    talk(&connection);
    let links = connection.stats().expect("counters").links;
    assert_eq!((links.opened, links.failed), (1, 0));
    connection.close(GRACE).expect("an orderly end");
    server.join().expect("the server");
    drop(idle);
}

/// T18: an idle connection over TCP lets the loop sleep.
#[test]
fn t18_an_idle_tcp_connection_sleeps() {
    let listener = listener(&[LinkKind::Tcp], false);
    let at = listener.local_addr();
    let server = thread::spawn(move || {
        let connection = listener.accept().expect("a client");
        connection.wait_closed().expect("an orderly end");
    });
    let connection = client().connect_over(at, to_server(), Over::tcp()).expect("connected");
    let stream = connection.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    // Nothing will come: this is how to wait for a while.
    let idle = |time| assert!(matches!(stream.receive_timeout(time), Err(Error::TimedOut)));
    idle(Duration::from_millis(300));
    let before = connection.stats().expect("counters").turns;
    idle(Duration::from_millis(500));
    let after = connection.stats().expect("counters").turns;
    assert!(after.waits - before.waits <= 4, "{before:?} {after:?}");
    connection.close(GRACE).expect("an orderly end");
    server.join().expect("the server");
}
