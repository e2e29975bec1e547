//! Connections over TCP, TLS, and whatever answers first, over loopback: the tests that every
//! runtime passes. This file is a module of the tests of each runtime's crate, as `loopback` is,
//! which it uses.

use super::loopback::both;
use super::{block_on, runtime};
use crate::*;
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tripline::{Config, ConnectError, ConnectOptions, Order, SecretKey, StreamOptions};
use tripline_sansio::{
    Answer, Hub, Instant, LinkError, LinkFailure, LinkKind, Solo, SoloEvent, StreamMachine, Wish,
};
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
fn listener(kinds: &[LinkKind], udp: bool) -> Endpoint {
    let links = kinds.iter().map(|kind| LinkRoute { kind: *kind, port: None }).collect();
    let secure = Some(tls() as _);
    let how = ListenOptions { links, secure, no_udp: !udp, ..ListenOptions::default() };
    Endpoint::listen(&runtime(), any(), Config::public_server(key()), how).expect("a listener")
}

fn client() -> Endpoint {
    let how = HubOptions { secure: Some(tls()), ..HubOptions::default() };
    Endpoint::client_with(&runtime(), Config::client(), &how).expect("a client")
}

fn to_server() -> ConnectOptions {
    ConnectOptions::to(key().public_key())
}

/// Serves one client: what comes on a stream goes back on it.
async fn echo(listener: &Endpoint) -> Carrier {
    let connection = listener.accept().await.expect("a client");
    let path = connection.path().expect("alive");
    while let Ok(stream) = connection.accept_stream().await {
        while let Ok(Some(message)) = stream.receive().await {
            let _ = stream.send(message).await;
        }
    }
    connection.wait_closed().await.expect("an orderly end");
    path
}

/// Connects, has messages of all sizes sent there and back, and closes; by what it went.
async fn talk(at: SocketAddr, over: Over) -> Carrier {
    let client = client();
    let connection = client.connect_over(at, to_server(), over).await.expect("connected");
    let path = connection.path().expect("alive");
    let stream = connection.open(StreamOptions::two_way(Order::Ordered)).await.expect("a stream");
    for length in [0, 1, 1_000, 100_000, 200_000] {
        let message = vec![7; length];
        stream.send(message.clone()).await.expect("taken");
        assert_eq!(stream.receive().await.expect("alive").expect("an answer"), message);
    }
    stream.finish();
    assert_eq!(stream.receive().await.expect("alive"), None);
    let links = connection.stats().links;
    assert_eq!(links.opened, u64::from(path.kind != LinkKind::Udp), "{links:?}");
    connection.close(GRACE).await.expect("an orderly end");
    path
}

/// N49: the same API over UDP, TCP and TLS; `path` says which on both sides, and where to.
#[test]
fn n49_the_same_connection_over_tcp_and_tls() {
    for (kind, over) in
        [(LinkKind::Udp, Over::udp()), (LinkKind::Tcp, Over::tcp()), (LinkKind::Tls, Over::tls())]
    {
        block_on(async {
            let links: &[LinkKind] = if kind == LinkKind::Udp { &[] } else { &[kind] };
            let listener = listener(links, kind == LinkKind::Udp);
            let at = listener.local_addr();
            let (theirs, ours) = both(echo(&listener), talk(at, over)).await;
            assert_eq!((ours.kind, ours.remote), (kind, at));
            assert_eq!((theirs.kind, theirs.remote.ip()), (kind, at.ip()));
        });
    }
}

/// N49: a server that only speaks TCP is found within 1.5 s although datagrams vanish, and `path`
/// says so. [`connect`] chooses so as well.
#[test]
fn n49_automatic_choice_finds_tcp_behind_a_black_hole() {
    block_on(async {
        let listener = listener(&[LinkKind::Tcp], false);
        let at = listener.local_addr();
        // Takes datagrams and says nothing: without it the system would refuse them.
        let _hole = UdpSocket::bind(at).expect("the port is free for UDP");
        let began = std::time::Instant::now();
        let ours = async {
            let address = listener.address();
            let connection = connect(&address).await.expect("connected");
            assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
            assert_eq!(connection.path().expect("alive").kind, LinkKind::Tcp);
            connection.close(GRACE).await.expect("an orderly end");
        };
        let (theirs, ()) = both(echo(&listener), ours).await;
        assert_eq!(theirs.kind, LinkKind::Tcp);
        let (theirs, ours) = both(echo(&listener), talk(at, Over::auto())).await;
        assert_eq!((theirs.kind, ours.kind), (LinkKind::Tcp, LinkKind::Tcp));
    });
}

/// N49: where both get through, datagrams have the head start and win.
#[test]
fn n49_automatic_choice_prefers_datagrams() {
    block_on(async {
        let listener = listener(&[LinkKind::Tcp], true);
        let at = listener.local_addr();
        let (theirs, ours) = both(echo(&listener), talk(at, Over::auto())).await;
        assert_eq!((theirs.kind, ours.kind), (LinkKind::Udp, LinkKind::Udp));
    });
}

/// N12: TLS proves nothing here, the transport's key does: another server is refused.
#[test]
fn n12_a_wrong_key_is_refused_over_every_link() {
    for over in [Over::tcp(), Over::tls()] {
        block_on(async {
            let kind = over.links[0].kind;
            let listener = listener(&[kind], false);
            let mut wrong = ConnectOptions::to(SecretKey::from_bytes([2; 32]).public_key());
            wrong.deadline = Duration::from_secs(2);
            let refused = client().connect_over(listener.local_addr(), wrong, over.clone()).await;
            let known = matches!(
                &refused,
                Err(Error::Connect(ConnectError::Identity | ConnectError::Timeout { .. }))
            );
            assert!(known, "{kind}: {refused:?}");
        });
    }
}

/// Nobody there, and whoever does not speak TLS: said at once, and told apart.
#[test]
fn a_link_that_leads_nowhere_is_a_clear_error() {
    block_on(async {
        let failed = async |at, over| match client().connect_over(at, to_server(), over).await {
            Err(Error::Link(error)) => error,
            other => panic!("{other:?}"),
        };
        let gone = TcpListener::bind(any()).and_then(|one| one.local_addr()).expect("a port");
        assert_eq!(failed(gone, Over::tcp()).await.failure, LinkFailure::Refused);
        let silent = TcpListener::bind(any()).expect("a listener");
        let began = std::time::Instant::now();
        let error = failed(silent.local_addr().expect("bound"), Over::tls()).await;
        assert!(error.to_string().contains("says nothing"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
        let plain = listener(&[LinkKind::Tcp], false);
        let error = failed(plain.local_addr(), Over::tls()).await;
        assert_eq!(error.failure, LinkFailure::Insecure, "{error}");
        let bare = Endpoint::client(&runtime(), Config::client()).expect("a client");
        let refused = bare.connect_over(gone, to_server(), Over::tls()).await;
        assert!(matches!(&refused, Err(Error::Link(_))), "no TLS was given: {refused:?}");
    });
}

/// An attempt over a link that is dropped at each of its polls leaves nothing behind: no
/// connection, no link.
#[test]
fn an_attempt_over_a_link_that_is_dropped_is_gone() {
    block_on(async {
        let listener = listener(&[LinkKind::Tcp], false);
        let at = listener.local_addr();
        let client = client();
        let mut connected = false;
        for allowed in 1..100 {
            let mut attempt = Box::pin(client.connect_over(at, to_server(), Over::tcp()));
            let mut polls = 0;
            let ended = poll_fn(|cx| {
                polls += 1;
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(result) => Poll::Ready(Some(result)),
                    Poll::Pending if polls == allowed => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            drop(attempt);
            if let Some(result) = ended {
                let connection = result.expect("connected");
                connection.close(GRACE).await.expect("an orderly end");
                connected = true;
                break;
            }
        }
        assert!(connected, "it is never done");
        let connection = client.connect_over(at, to_server(), Over::tcp()).await;
        let connection = connection.expect("the endpoint is as good as new");
        connection.close(GRACE).await.expect("an orderly end");
    });
}

/// R-LINK-7: whoever opens links and never connects holds nothing up, and more of them than a turn
/// lets in are let in all the same.
#[test]
fn r_link_7_silent_links_hold_nobody_up() {
    block_on(async {
        let listener = listener(&[LinkKind::Tcp], false);
        let at = listener.local_addr();
        let idle: Vec<_> = (0..20).map(|_| TcpStream::connect(at).expect("connected")).collect();
        let (theirs, _) = both(echo(&listener), talk(at, Over::tcp())).await;
        assert_eq!(theirs.kind, LinkKind::Tcp);
        assert!(listener.stats().links.accepted > 20, "{:?}", listener.stats().links);
        drop(idle);
    });
}

/// T18: an idle connection over TCP lets the drivers sleep.
#[test]
fn t18_an_idle_tcp_connection_sleeps() {
    block_on(async {
        let listener = listener(&[LinkKind::Tcp], false);
        let at = listener.local_addr();
        let client = client();
        let connecting = client.connect_over(at, to_server(), Over::tcp());
        let (theirs, ours) = both(listener.accept(), connecting).await;
        let (theirs, ours) = (theirs.expect("a client"), ours.expect("connected"));
        let mut timer = runtime().timer();
        let start = timer.now();
        let mut rest = async |until: Duration| {
            poll_fn(|cx| timer.poll_until(cx, Some(start + until))).await;
        };
        rest(Duration::from_millis(300)).await;
        let before = (ours.stats().turns.turns, theirs.stats().turns.turns);
        rest(Duration::from_millis(800)).await;
        let after = (ours.stats().turns.turns, theirs.stats().turns.turns);
        assert!(after.0 - before.0 <= 8 && after.1 - before.1 <= 8, "{before:?} {after:?}");
        drop(theirs);
        ours.close(GRACE).await.expect("an orderly end");
    });
}

/// Says a long text, more than all buffers hold, and counts the bytes of the answer.
#[derive(Default)]
struct Long {
    said: usize,
    heard: usize,
    ended: bool,
}

const LONG: usize = 8_000_000;

impl StreamMachine for Long {
    type Event = usize;
    fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
        self.heard += bytes.len();
    }
    fn handle_eof(&mut self, _: Instant) {
        self.ended = true;
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        let most = (LONG - self.said).min(10_000);
        self.said += most;
        out.resize(most, b'.');
        most > 0
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<usize> {
        (self.heard >= LONG || self.ended).then_some(self.heard)
    }
}

/// T64: any stream machine in a [`HubLoop`]; a peer that is slow to read is waited for.
#[test]
fn t64_a_slow_reader_is_waited_for() {
    block_on(async {
        let door = TcpListener::bind(any()).expect("a listener");
        let at = door.local_addr().expect("bound");
        let slow = std::thread::spawn(move || {
            let (mut stream, _) = door.accept().expect("a client");
            // Nothing is read before all buffers are full, or the sender says that they are.
            let mut all = vec![0; LONG];
            stream.read_exact(&mut all).expect("all of it");
            stream.write_all(&all).expect("taken");
        });
        let hub = Solo::new(Long::default(), LinkKind::Tcp, at, "", |_| true);
        let mut looper = HubLoop::on(&runtime(), hub, &HubOptions::default());
        loop {
            match looper.next().await.expect("a turn") {
                SoloEvent::Opened => {}
                SoloEvent::Machine(heard) => {
                    assert_eq!(heard, LONG);
                    break;
                }
                SoloEvent::Failed(error) => panic!("{error}"),
            }
        }
        slow.join().expect("no panic");
    });
}

/// A hub that wishes for UDP sockets and tells what becomes of them.
#[derive(Default)]
struct Wisher(Vec<Wish>, Vec<(u64, Answer)>);

impl Hub for Wisher {
    type Event = (u64, Answer);
    fn handle_answer(&mut self, _: Instant, link: u64, answer: Answer) {
        self.1.push((link, answer));
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_wish(&mut self) -> Option<Wish> {
        self.0.pop()
    }
    fn poll_ready(&mut self, _: Instant) -> Option<u64> {
        None
    }
    fn poll_write(&mut self, _: Instant, _: u64, _: &mut Vec<u8>) -> bool {
        false
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<(u64, Answer)> {
        self.1.pop()
    }
}

/// All kinds of wishes are answered, those that cannot come true as well.
#[test]
fn every_wish_is_answered() {
    block_on(async {
        let taken = TcpListener::bind(any()).expect("a listener");
        let busy = taken.local_addr().expect("bound");
        let open = |link, kind| Wish::Open { link, kind, address: any(), name: String::new() };
        let listen = |link, kind, address| Wish::Listen { link, kind, address };
        let wishes = vec![
            open(1, LinkKind::Udp),
            listen(2, LinkKind::Udp, any()),
            listen(3, LinkKind::Tcp, any()),
            listen(4, LinkKind::Tcp, busy),
            listen(5, LinkKind::Tls, any()),
            Wish::Close { link: 6 },
        ];
        let hub = Wisher(wishes, Vec::new());
        let mut looper = HubLoop::on(&runtime(), hub, &HubOptions::default());
        let mut answers = Vec::new();
        while answers.len() < 5 {
            answers.push(looper.next().await.expect("a turn"));
        }
        answers.sort_by_key(|(link, _)| *link);
        let opened = |answer: &Answer| matches!(answer, Answer::Opened { local: Some(_) });
        let opened: Vec<_> = answers.iter().filter(|one| opened(&one.1)).map(|one| one.0).collect();
        assert_eq!(opened, [1, 3], "{answers:?}");
        assert!(answers.iter().all(|(_, answer)| !matches!(
            answer,
            Answer::Failed(LinkError { text, .. }) if text.is_empty()
        )));
        assert!(looper.udp(1).is_some());
        let mut nothing = pin!(looper.next());
        let idle = poll_fn(|cx| Poll::Ready(nothing.as_mut().poll(cx).is_pending())).await;
        assert!(idle);
    });
}
