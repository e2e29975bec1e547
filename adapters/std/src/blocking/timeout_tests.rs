//! Every call that waits has a limit if the user wants one, and what timed out did not happen.

use super::cell::lock;
use crate::*;
use std::io::{self, Read, Write};
use std::time::Duration;
use tripline::{Config, Order, SecretKey, StreamOptions, TransportConfig};

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(20);

/// A client and its server's side of one connection; the server allows two streams at a time.
fn pair() -> (Listener, Connection, Connection) {
    let transport = TransportConfig { two_way_streams: 2, ..TransportConfig::default() };
    let config = Config { transport, ..Config::public_server(SecretKey::from_bytes([1; 32])) };
    let listener = listen("127.0.0.1:0", config).expect("a listener").with_timeout(LONG);
    let ours = connect(&listener.address()).expect("connected").with_timeout(LONG);
    let theirs = listener.accept().expect("a client").with_timeout(LONG);
    (listener, ours, theirs)
}

fn timed_out<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::TimedOut)), "{result:?}");
}

#[test]
fn waiting_for_others_has_a_limit() {
    let (listener, mut ours, mut theirs) = pair();
    for limit in [Duration::ZERO, SOON] {
        timed_out(listener.with_limit(limit));
        ours.set_timeout(Some(limit));
        theirs.set_timeout(Some(limit));
        timed_out(theirs.accept_stream());
        timed_out(ours.wait_closed());
    }
    ours.set_timeout(Some(LONG));
    theirs.set_timeout(None);
    // What comes later is not lost.
    let stream = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    stream.send("late").expect("taken");
    let other = theirs.accept_stream().expect("the stream").with_timeout(SOON);
    assert_eq!(other.receive().expect("alive").as_deref(), Some(&b"late"[..]));
    timed_out(other.receive());
    let bytes = ours.open(StreamOptions::two_way(Order::Bytes)).expect("a stream");
    (&bytes).write_all(b"x").expect("taken");
    let mut other = theirs.accept_stream().expect("the stream").with_timeout(SOON);
    let mut buffer = [0; 4];
    assert_eq!(other.read(&mut buffer).expect("a byte"), 1);
    let error = other.read(&mut buffer).expect_err("nothing more");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    other.set_timeout(None);
    (&bytes).write_all(b"yz").expect("taken");
    assert_eq!(other.read(&mut buffer).expect("more"), 2);
}

impl Listener {
    /// Accepts within a limit that is set for this call.
    fn with_limit(&self, limit: Duration) -> Result<Connection, Error> {
        let short = Self { user: std::sync::Arc::clone(&self.user), timeout: Some(limit) };
        let result = short.accept();
        // It is the same listener, which goes on.
        std::mem::forget(short);
        result
    }
}

/// A stream that its opener did not wait for is not opened, and takes nobody's place.
#[test]
fn an_open_that_timed_out_leaves_no_stream_behind() {
    let (_listener, mut ours, theirs) = pair();
    let order = StreamOptions::two_way(Order::Ordered);
    let mut held = [(); 2].map(|()| Some(ours.open(order).expect("a stream")));
    for limit in [Duration::ZERO, SOON, SOON] {
        ours.set_timeout(Some(limit));
        timed_out(ours.open(order));
    }
    ours.set_timeout(Some(LONG));
    let mut said = 0_u8;
    for stream in held.iter_mut().map(|held| held.take().expect("held")) {
        stream.send(vec![said]).expect("taken");
        drop(stream);
        let other = theirs.accept_stream().expect("the stream");
        assert_eq!(other.receive().expect("alive").as_deref(), Some(&[said][..]));
        said += 1;
    }
    // The peer sees those that were opened, and no others.
    for _ in 0..5 {
        let stream = ours.open(order).expect("there is room again");
        stream.send(vec![said]).expect("taken");
        let other = theirs.accept_stream().expect("the stream");
        assert_eq!(other.receive().expect("alive").as_deref(), Some(&[said][..]));
        said += 1;
    }
}

/// What was taken arrives, and what timed out does not, large messages included.
#[test]
fn a_send_that_timed_out_was_not_taken() {
    let (_listener, ours, theirs) = pair();
    let stream = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    let stream = stream.with_timeout(SOON);
    // Full for good only when it has been full for a while: acknowledgements make room.
    let (mut taken, mut in_a_row) = (Vec::new(), 0);
    for number in 0_u32.. {
        // Each third is larger than any before it, and waits for the engine's word.
        let len = if number % 3 == 0 { 60_000 + taken.len() * 100 } else { 60_000 };
        match stream.send(vec![7; len]) {
            Ok(()) => (taken, in_a_row) = ([taken, vec![len]].concat(), 0),
            Err(Error::TimedOut) => in_a_row += 1,
            Err(error) => panic!("{error}"),
        }
        if in_a_row == 6 {
            break;
        }
    }
    timed_out(stream.settled());
    stream.finish();
    let other = theirs.accept_stream().expect("the stream").with_timeout(LONG);
    for len in &taken {
        let message = other.receive().expect("alive").expect("one more");
        assert_eq!(message.len(), *len);
    }
    assert_eq!(other.receive().expect("alive"), None);
    let settled = stream.with_timeout(LONG).settled().expect("settled");
    let taken = taken.len() as u64;
    assert_eq!((settled.acked, settled.total()), (taken, taken));
}

/// A message larger than the engine has taken so far takes itself back out of a cell that has room.
#[test]
fn an_unproven_message_takes_itself_back() {
    let (_listener, ours, theirs) = pair();
    let stream = ours.open(StreamOptions::two_way(Order::Ordered)).expect("a stream");
    let stream = stream.with_timeout(Duration::from_millis(5));
    let mut taken = 0_u64;
    // The engine takes no more once small ones stay in the cell, far from filling it.
    while taken == 0 || lock(&stream.cell().state).outgoing.is_empty() {
        for _ in 0..4 {
            stream.send(vec![1; 10_000]).expect("taken");
            taken += 1;
        }
        let _ = stream.settled();
    }
    timed_out(stream.send(vec![2; 200_000]));
    stream.finish();
    let other = theirs.accept_stream().expect("the stream").with_timeout(LONG);
    let mut heard = 0;
    while let Some(message) = other.receive().expect("alive") {
        assert_eq!((message.len(), message[0]), (10_000, 1));
        heard += 1;
    }
    assert_eq!(heard, taken);
}
