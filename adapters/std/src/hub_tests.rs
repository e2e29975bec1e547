//! The loop of hubs over loopback: clients, servers, bounds, and peers that behave badly.

use crate::{HubLoop, HubOptions, Limits, Turn};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant as Wall};
use tripline_sansio::{
    Crowd, CrowdEvent, Greeter, Hub, Instant, LinkError, LinkFailure, LinkKind, Solo, SoloEvent,
    StreamMachine,
};
use tripline_tls::Tls;

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(60);

fn any() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn with_tls() -> HubOptions {
    let server = Tls::self_signed(&["localhost"]).expect("a certificate");
    let tls = Tls::client_of_anyone().and_server(server).timeout(Duration::from_millis(300));
    HubOptions { secure: Some(Arc::new(tls)), ..HubOptions::default() }
}

/// Sends back what it gets, until a full stop; holds back while much waits.
#[derive(Default)]
struct Echo {
    out: Vec<u8>,
    most: usize,
    stopped: bool,
    ended: bool,
}

impl StreamMachine for Echo {
    type Event = &'static str;
    fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.most = self.most.max(self.out.len());
        self.stopped |= bytes.contains(&b'.');
    }
    fn handle_eof(&mut self, _: Instant) {
        self.ended = true;
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        let some = !self.out.is_empty();
        out.append(&mut self.out);
        some
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<&'static str> {
        if std::mem::take(&mut self.ended) {
            return Some("eof");
        }
        std::mem::take(&mut self.stopped).then_some("stop")
    }
}

struct Door;

impl Greeter for Door {
    type Machine = Echo;
    fn greet(&mut self, _: Instant, _: u64, _: SocketAddr) -> Option<Echo> {
        Some(Echo::default())
    }
    fn closes(&self, _: &&'static str) -> bool {
        true
    }
}

/// Says so many bytes and then a full stop, and counts what comes back.
struct Talker {
    left: usize,
    heard: usize,
    ended: bool,
}

impl StreamMachine for Talker {
    type Event = usize;
    fn handle_bytes(&mut self, _: Instant, bytes: &[u8]) {
        self.heard += bytes.len();
    }
    fn handle_eof(&mut self, _: Instant) {
        self.ended = true;
    }
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_write(&mut self, _: Instant, out: &mut Vec<u8>) -> bool {
        let some = self.left.min(50_000);
        self.left -= some;
        out.resize(out.len() + some, b'x');
        if some > 0 && self.left == 0 {
            out.push(b'.');
        }
        some > 0
    }
    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    fn poll_event(&mut self) -> Option<usize> {
        std::mem::take(&mut self.ended).then_some(self.heard)
    }
}

fn talker(left: usize, kind: LinkKind, to: SocketAddr) -> Solo<Talker> {
    Solo::new(Talker { left, heard: 0, ended: false }, kind, to, "localhost", |_| true)
}

/// Runs until `pick` finds something in the events.
#[track_caller]
fn wait<H: Hub, T>(looper: &mut HubLoop<H>, mut pick: impl FnMut(H::Event) -> Option<T>) -> T {
    let until = Wall::now() + LIMIT;
    loop {
        let turn = looper.run_once(Some(LIMIT)).expect("the loop is sound");
        while let Some(event) = looper.next_event() {
            if let Some(found) = pick(event) {
                return found;
            }
        }
        assert!(turn != Turn::TimedOut && Wall::now() < until, "it never came");
    }
}

/// A server of echoes and its address; ends when so many guests have gone.
fn echoes(
    kind: LinkKind,
    how: HubOptions,
    most: usize,
    gone: usize,
) -> (SocketAddr, JoinHandle<()>) {
    let mut looper = HubLoop::new(Crowd::new(Door, kind, any(), most), &how).expect("a loop");
    let at = wait(&mut looper, |event| match event {
        CrowdEvent::Listening(local) => local,
        other => panic!("{other:?}"),
    });
    let serve = move || {
        let mut left = gone;
        wait(&mut looper, |event| {
            left -= usize::from(matches!(event, CrowdEvent::Gone(..)));
            (left == 0).then_some(())
        });
    };
    (at, thread::spawn(serve))
}

fn failure<E>(event: SoloEvent<E>) -> Option<LinkError> {
    match event {
        SoloEvent::Failed(error) => Some(error),
        _ => None,
    }
}

/// One client and one server around stream machines, over TCP and TLS; more than all buffers hold.
#[test]
fn stream_machines_talk_over_tcp_and_tls() {
    for kind in [LinkKind::Tcp, LinkKind::Tls] {
        let (at, server) = echoes(kind, with_tls(), 9, 3);
        for size in [1, 100_000, 5_000_000] {
            let mut looper = HubLoop::new(talker(size, kind, at), &with_tls()).expect("a loop");
            let heard = wait(&mut looper, |event| match event {
                SoloEvent::Machine(heard) => Some(heard),
                SoloEvent::Failed(error) => panic!("{kind}: {error}"),
                SoloEvent::Opened => None,
            });
            assert_eq!(heard, size + 1, "{kind}");
            assert_eq!(looper.link_stats().opened, 1);
        }
        server.join().expect("the server");
    }
}

/// Nobody listens, nobody answers, nobody speaks TLS: three different, clear errors, in time.
#[test]
fn failures_of_links_are_told_apart() {
    let gone = TcpListener::bind(any()).and_then(|one| one.local_addr()).expect("a port");
    let mut looper = HubLoop::new(talker(1, LinkKind::Tcp, gone), &with_tls()).expect("a loop");
    let error = wait(&mut looper, failure);
    assert_eq!(error.failure, LinkFailure::Refused, "{error}");

    let silent = TcpListener::bind(any()).expect("a listener");
    let at = silent.local_addr().expect("bound");
    let began = Wall::now();
    let mut looper = HubLoop::new(talker(1, LinkKind::Tls, at), &with_tls()).expect("a loop");
    let error = wait(&mut looper, failure);
    assert!(error.to_string().contains("says nothing within 300ms"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));

    let plain = TcpListener::bind(any()).expect("a listener");
    let at = plain.local_addr().expect("bound");
    let speaker = thread::spawn(move || {
        let (mut stream, _) = plain.accept().expect("a client");
        stream.write_all(b"220 mail.example ESMTP\r\n").expect("it listens");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut looper = HubLoop::new(talker(1, LinkKind::Tls, at), &with_tls()).expect("a loop");
    let error = wait(&mut looper, failure);
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    drop(looper);
    speaker.join().expect("the speaker");

    let mut bare =
        HubLoop::new(talker(1, LinkKind::Tls, at), &HubOptions::default()).expect("made");
    assert_eq!(wait(&mut bare, failure).failure, LinkFailure::Unavailable);
}

/// A TLS server hangs up on whoever does not come to the point, and serves others meanwhile.
#[test]
fn silent_clients_of_a_tls_server_are_let_go() {
    let (at, server) = echoes(LinkKind::Tls, with_tls(), 9, 1);
    let mut silent = TcpStream::connect(at).expect("connected");
    silent.set_read_timeout(Some(LIMIT)).expect("set");
    let mut looper = HubLoop::new(talker(9, LinkKind::Tls, at), &with_tls()).expect("a loop");
    let end = thread::spawn(move || silent.read_to_end(&mut Vec::new()).map(drop));
    // The server's loop must go on until then, so the well-behaved client comes last.
    let _ = end.join().expect("it ended");
    wait(&mut looper, |event| matches!(event, SoloEvent::Machine(10)).then_some(()));
    server.join().expect("the server");
}

/// H: links have a limit, of the hub and of the loop; who comes too many is hung up on at once.
#[test]
fn newcomers_beyond_the_limit_are_hung_up_on() {
    for (guests, links) in [(1, 9), (9, 1)] {
        let limits = Limits { links, ..Limits::default() };
        let how = HubOptions { limits, ..HubOptions::default() };
        let (at, server) = echoes(LinkKind::Tcp, how, guests, 1);
        let mut first = TcpStream::connect(at).expect("connected");
        first.write_all(b"a").expect("taken");
        first.read_exact(&mut [0]).expect("served");
        let mut second = TcpStream::connect(at).expect("the system says yes");
        second.set_read_timeout(Some(LIMIT)).expect("set");
        assert!(matches!(second.read(&mut [0]), Ok(0) | Err(_)), "hung up on");
        first.write_all(b".").expect("still served");
        assert_eq!(first.read(&mut [0]).expect("served"), 1);
        server.join().expect("the server");
    }
}

/// A peer that does not read stops being read itself once what it sent has gone round; and half an
/// end is an event, not an end.
#[test]
fn half_an_end_is_told_and_the_rest_still_goes_out() {
    let (at, server) = echoes(LinkKind::Tcp, HubOptions::default(), 9, 1);
    let mut client = TcpStream::connect(at).expect("connected");
    client.write_all(&[b'y'; 100_000]).expect("taken");
    client.shutdown(std::net::Shutdown::Write).expect("ended");
    let mut all = Vec::new();
    client.read_to_end(&mut all).expect("an orderly end");
    assert_eq!(all.len(), 100_000);
    server.join().expect("the server");
}

/// T18: a loop with open links sleeps until something happens.
#[test]
fn t18_an_idle_hub_loop_does_not_turn() {
    let mut looper =
        HubLoop::new(Crowd::new(Door, LinkKind::Tcp, any(), 9), &with_tls()).expect("a loop");
    let at = wait(&mut looper, |event| match event {
        CrowdEvent::Listening(local) => local,
        _ => None,
    });
    let mut client = TcpStream::connect(at).expect("connected");
    client.write_all(b"hello").expect("taken");
    wait(&mut looper, |event| matches!(event, CrowdEvent::Accepted(..)).then_some(()));
    while looper.run_once(Some(Duration::from_millis(50))).expect("sound") != Turn::TimedOut {}
    let before = looper.counts();
    assert_eq!(looper.run_once(Some(Duration::from_millis(300))).expect("sound"), Turn::TimedOut);
    let after = looper.counts();
    assert!(after.waits - before.waits <= 2, "{before:?} {after:?}");
    assert_eq!(after.timeouts, before.timeouts);
}
