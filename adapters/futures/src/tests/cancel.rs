//! Every future, dropped at each of its polls: nothing is lost, doubled or left behind.

use super::world::{Pair, World, public, to_server};
use crate::{Connection, Error, Stream};
use bytes::Bytes;
use futures_core::Stream as _;
use futures_io::{AsyncRead, AsyncWrite};
use futures_sink::Sink;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;
use tripline::{Code, Config, Order, StreamOptions, TransportConfig};

const GRACE: Duration = Duration::from_secs(20);

/// Runs a future for at most so many polls, and then drops it.
struct Polls<F> {
    future: Option<Pin<Box<F>>>,
    left: usize,
}

fn polls<F: Future>(future: F, left: usize) -> Polls<F> {
    Polls { future: Some(Box::pin(future)), left }
}

impl<F: Future> Future for Polls<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        self.left -= 1;
        let future = self.future.as_mut().expect("polled after its end");
        let done = future.as_mut().poll(cx).map(Some);
        if done.is_pending() && self.left == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        done
    }
}

/// Plays a scene with more and more polls, until the future that it cuts short is done by itself.
/// `least`: it must have been cut at so many places, or the scene proves nothing.
fn at_each_poll(least: usize, mut scene: impl FnMut(usize) -> bool) {
    for allowed in 0..10_000 {
        if scene(allowed) {
            assert!(allowed > least, "done after {allowed} polls, cut {least} times at least");
            return;
        }
    }
    panic!("it is never done");
}

/// A world with a connection.
struct Scene {
    world: World,
    pair: Pair,
    ours: Connection,
    theirs: Connection,
}

impl Scene {
    fn new(transport: TransportConfig) -> Self {
        let mut world = World::default();
        let pair = world.pair(Config { transport, ..public() });
        let (ours, theirs) = pair.connect(&mut world);
        Self { world, pair, ours, theirs }
    }

    /// A stream of this order, ours and theirs.
    fn stream(&mut self, order: Order) -> (Stream, Stream) {
        let options = StreamOptions::two_way(order);
        let ours = self.world.run(self.ours.open(options)).expect("a stream");
        self.world.run(ours.send("first")).expect("taken");
        let theirs = self.world.run(self.theirs.accept_stream()).expect("their end of it");
        let first = self.world.run(theirs.receive()).expect("alive");
        assert_eq!(first.as_deref(), Some(&b"first"[..]));
        (ours, theirs)
    }

    /// Polls a future at most so many times, with `between` and a little time after each.
    fn attempt<T>(
        &mut self,
        allowed: usize,
        future: impl Future<Output = T>,
        mut between: impl FnMut(&mut World),
    ) -> Option<T> {
        let mut future = Box::pin(future);
        for _ in 0..allowed {
            if let Some(value) = self.world.run(polls(&mut future, 1)) {
                return Some(value);
            }
            between(&mut self.world);
            self.world.pass(Duration::from_millis(20));
        }
        None
    }

    /// Ends all of it; nothing may be left in the books, and the drivers end.
    fn end(mut self) {
        self.world.run(self.ours.close(GRACE)).expect("an orderly end");
        self.world.run(self.theirs.wait_closed()).expect("an orderly end");
        let Self { mut world, pair, ours, theirs } = self;
        drop((ours, theirs));
        end(&mut world, pair);
    }
}

/// Nothing is left of what has ended.
fn end(world: &mut World, pair: Pair) {
    world.pass(GRACE);
    for endpoint in [&pair.server, &pair.client] {
        let books = endpoint.books();
        assert_eq!(
            books.with(|front, _| front.held()),
            (0, 0, 0),
            "attempts, connections, streams"
        );
        assert_eq!(books.lock().waits.len(), 0, "wakers");
        assert_eq!(books.with(|front, _| front.engine().connections()), 0);
    }
    let Pair { server, client, server_task, client_task } = pair;
    drop((server, client));
    world.pass(GRACE);
    assert!(world.polls(server_task).1 && world.polls(client_task).1, "the drivers have ended");
}

/// A message of 8 bytes that says its number.
fn numbered(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

#[test]
fn connect_is_cancel_safe() {
    at_each_poll(1, |allowed| {
        let mut world = World::default();
        let pair = world.pair(public());
        let to = pair.server.local_addr();
        let first = world.run(polls(pair.client.connect(to, to_server()), allowed));
        let done = first.is_some();
        drop(first);
        // Whoever was let in by the server hears that the client has gone, or never was there.
        world.pass(Duration::from_secs(60));
        let ours = world.run(pair.client.connect(to, to_server())).expect("connected");
        let theirs = loop {
            // Of an attempt that was given up late the server has seen a connection, and its end.
            let theirs = world.run(pair.server.accept()).expect("a client");
            if theirs.explain().is_ok_and(|_| world.run(polls(theirs.wait_closed(), 1)).is_none()) {
                break theirs;
            }
        };
        world.run(ours.close(GRACE)).expect("an orderly end");
        world.run(theirs.wait_closed()).expect("an orderly end");
        drop((ours, theirs));
        end(&mut world, pair);
        done
    });
}

#[test]
fn accept_is_cancel_safe() {
    at_each_poll(1, |allowed| {
        let mut world = World::default();
        let pair = world.pair(public());
        let to = pair.server.local_addr();
        let first = {
            let mut connect = pin!(pair.client.connect(to, to_server()));
            let mut ours = None;
            let mut accept = pin!(polls(pair.server.accept(), allowed));
            world.run(poll_fn(|cx| {
                if ours.is_none()
                    && let Poll::Ready(connected) = connect.as_mut().poll(cx)
                {
                    ours = Some(connected.expect("connected"));
                }
                accept.as_mut().poll(cx)
            }))
        };
        let done = first.is_some();
        // A client whose future was dropped with the scope has gone; another one comes.
        drop(first);
        world.pass(GRACE);
        let ours = world.run(pair.client.connect(to, to_server())).expect("connected");
        ours.kill();
        drop(ours);
        while let Some(theirs) = world.run(polls(pair.server.accept(), 1)) {
            drop(theirs.expect("a client"));
        }
        world.pass(Duration::from_secs(60));
        end(&mut world, pair);
        done
    });
}

/// A client that came in while nobody waited, or while a wait was given up, is there for the next
/// call.
#[test]
fn a_client_waits_for_the_next_accept() {
    let mut world = World::default();
    let pair = world.pair(public());
    let to = pair.server.local_addr();
    assert!(world.run(polls(pair.server.accept(), 1)).is_none());
    let ours = world.run(pair.client.connect(to, to_server())).expect("connected");
    let theirs = world.run(pair.server.accept()).expect("a client");
    world.run(ours.close(GRACE)).expect("an orderly end");
    drop((ours, theirs));
    end(&mut world, pair);
}

/// T32: one stream at a time; whatever an `open` that was given up has taken would be missing.
#[test]
fn open_is_cancel_safe() {
    let one = TransportConfig { two_way_streams: 1, ..TransportConfig::default() };
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(one.clone());
        let (ours, theirs) = scene.stream(Order::Ordered);
        let options = StreamOptions::two_way(Order::Ordered);
        let mut open = Box::pin(polls(scene.ours.open(options), allowed));
        assert!(scene.world.run(polls(&mut open, 1)).is_none_or(|cut| cut.is_none()));
        drop((ours, theirs));
        let opened = match allowed {
            0 | 1 => None,
            _ => scene.world.run(&mut open),
        };
        drop(open);
        let done = opened.is_some();
        let opened = match opened {
            Some(opened) => opened,
            None => scene.world.run(scene.ours.open(options)),
        };
        drop(opened.expect("there is room for one"));
        scene.end();
        done
    });
}

#[test]
fn accept_stream_is_cancel_safe() {
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(TransportConfig::default());
        let options = StreamOptions::one_way(Order::Ordered);
        let ours = scene.world.run(scene.ours.open(options)).expect("a stream");
        let mut accept = Box::pin(polls(scene.theirs.accept_stream(), allowed));
        let mut taken = scene.world.run(polls(&mut accept, 1)).flatten();
        scene.world.run(ours.send("first")).expect("taken");
        if taken.is_none() && allowed > 1 {
            taken = scene.world.run(&mut accept);
        }
        drop(accept);
        let done = taken.is_some();
        let theirs = match taken {
            Some(theirs) => theirs,
            None => scene.world.run(scene.theirs.accept_stream()),
        };
        let theirs = theirs.expect("their end of it");
        let first = scene.world.run(theirs.receive()).expect("alive");
        assert_eq!(first.as_deref(), Some(&b"first"[..]));
        drop((ours, theirs));
        scene.end();
        done
    });
}

/// Little room on the way: a few messages of 1,000 bytes.
fn narrow() -> TransportConfig {
    TransportConfig {
        message_max: 1_000,
        stream_credit: 2_000,
        stream_credit_max: 2_000,
        send_buffer: 3_000,
        ..TransportConfig::default()
    }
}

/// T44: what was taken arrives, once and in order; what was not does not.
#[test]
fn send_is_cancel_safe() {
    hand_in(
        Order::Ordered,
        async |stream, number| {
            stream.send(vec![number; 1_000]).await.expect("alive");
            1_000
        },
        async |stream| stream.finish(),
    );
}

/// Receives ten messages by some way, giving up each wait after so many polls.
fn receive_ten(order: Order, receive: impl AsyncFn(&mut Stream) -> Option<Vec<u8>>) {
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(TransportConfig::default());
        let (ours, mut theirs) = scene.stream(order);
        let mut arrived = Vec::new();
        let mut cut = false;
        for number in 0..10 {
            let mut unsent = Some(numbered(number));
            // Nothing is there until the first wait has begun.
            let received = scene.attempt(allowed, receive(&mut theirs), |world| {
                if let Some(message) = unsent.take() {
                    world.run(ours.send(message)).expect("taken");
                }
            });
            cut |= received.is_none();
            arrived.extend(received.flatten().unwrap_or_default());
            if let Some(message) = unsent.take() {
                scene.world.run(ours.send(message)).expect("taken");
            }
        }
        ours.finish();
        while let Some(message) = scene.world.run(receive(&mut theirs)) {
            arrived.extend(message);
        }
        let sent: Vec<u8> = (0..10_u64).flat_map(u64::to_be_bytes).collect();
        assert_eq!(arrived, sent);
        drop((ours, theirs));
        scene.end();
        !cut
    });
}

#[test]
fn receive_is_cancel_safe() {
    receive_ten(Order::Ordered, async |stream| {
        stream.receive().await.expect("alive").map(|message| message.to_vec())
    });
}

#[test]
fn stream_of_messages_is_cancel_safe() {
    receive_ten(Order::Ordered, async |stream| {
        let item = poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await;
        item.map(|message| message.expect("alive").to_vec())
    });
}

#[test]
fn reading_bytes_is_cancel_safe() {
    receive_ten(Order::Bytes, async |stream| {
        // Less than a chunk at a time, so that there is always a rest.
        let mut buffer = [0; 3];
        let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buffer)).await;
        let len = read.expect("alive");
        (len > 0).then(|| buffer[..len].to_vec())
    });
}

/// Sends what it can by some way, giving up each wait after so many polls; what is said to be taken
/// arrives, and nothing else.
fn hand_in(
    order: Order,
    hand_in: impl AsyncFn(&mut Stream, u8) -> usize,
    finish: impl AsyncFn(&mut Stream),
) {
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(narrow());
        let (mut ours, theirs) = scene.stream(order);
        let (mut taken, mut arrived, mut cut) = (Vec::new(), Vec::new(), false);
        let take = |world: &mut World, arrived: &mut Vec<u8>| {
            if let Some(message) = world.run(polls(theirs.receive(), 1)) {
                arrived.extend(message.expect("alive").unwrap_or_default());
            }
        };
        for number in 0..40 {
            let handed = scene.attempt(allowed, hand_in(&mut ours, number), |world| {
                take(world, &mut arrived);
            });
            cut |= handed.is_none();
            taken.extend(std::iter::repeat_n(number, handed.unwrap_or(0)));
        }
        let finished = scene.attempt(1_000, finish(&mut ours), |world| take(world, &mut arrived));
        finished.expect("room in the end");
        while let Some(message) = scene.world.run(theirs.receive()).expect("alive") {
            arrived.extend(message);
        }
        assert_eq!(arrived, taken);
        drop((ours, theirs));
        scene.end();
        !cut
    });
}

#[test]
fn writing_bytes_is_cancel_safe() {
    hand_in(
        Order::Bytes,
        async |stream, number| {
            let bytes = [number; 700];
            let write = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, &bytes));
            write.await.expect("alive")
        },
        async |stream| {
            let close = poll_fn(|cx| AsyncWrite::poll_close(Pin::new(&mut *stream), cx));
            close.await.expect("alive");
        },
    );
}

/// A sink holds what it was handed until there is room, so what counts is when it is ready.
#[test]
fn the_sink_is_cancel_safe() {
    hand_in(
        Order::Ordered,
        async |stream, number| {
            poll_fn(|cx| Pin::new(&mut *stream).poll_ready(cx)).await.expect("alive");
            let message = Bytes::from(vec![number; 1_000]);
            Pin::new(&mut *stream).start_send(message).expect("alive");
            1_000
        },
        async |stream| {
            poll_fn(|cx| Sink::poll_flush(Pin::new(&mut *stream), cx)).await.expect("alive");
            poll_fn(|cx| Sink::poll_close(Pin::new(&mut *stream), cx)).await.expect("alive");
        },
    );
}

/// T25: an end that was begun goes on if nobody waits for it; every wait for the end can be given
/// up and begun again.
#[test]
fn close_is_cancel_safe() {
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(TransportConfig::default());
        let (ours, theirs) = scene.stream(Order::Ordered);
        scene.world.run(ours.send("last")).expect("taken");
        let closed = scene.world.run(polls(scene.ours.close(GRACE), allowed));
        let done = closed.is_some();
        assert!(closed.is_none_or(|end| end.is_ok()));
        let begun = allowed > 0;
        if begun {
            let late = scene.world.run(ours.send("late"));
            assert!(late.is_err(), "{late:?}");
        }
        let last = scene.world.run(theirs.receive()).expect("alive");
        assert_eq!(last.as_deref(), Some(&b"last"[..]));
        if begun {
            scene.world.run(scene.theirs.wait_closed()).expect("an orderly end");
        }
        drop((ours, theirs));
        scene.end();
        done
    });
}

#[test]
fn wait_closed_is_cancel_safe() {
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(TransportConfig::default());
        let mut wait = Box::pin(polls(scene.theirs.wait_closed(), allowed));
        let first = scene.world.run(polls(&mut wait, 1)).flatten();
        assert!(first.is_none());
        let closed = scene.world.run(scene.ours.close(GRACE));
        closed.expect("an orderly end");
        let second = if allowed > 1 { scene.world.run(&mut wait) } else { None };
        drop(wait);
        let done = second.is_some();
        assert!(second.is_none_or(|end| end.is_ok()));
        scene.end();
        done
    });
}

/// T30.
#[test]
fn settled_is_cancel_safe() {
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(TransportConfig::default());
        let (ours, theirs) = scene.stream(Order::Ordered);
        scene.world.run(ours.send("second")).expect("taken");
        let first = scene.world.run(polls(ours.settled(), allowed));
        let done = first.is_some();
        let settled = scene.world.run(ours.settled()).expect("settled");
        assert_eq!((settled.acked, settled.total()), (2, 2));
        drop((ours, theirs));
        scene.end();
        done
    });
}

/// R-CLOSE-7.
#[test]
fn shut_down_is_cancel_safe() {
    at_each_poll(1, |allowed| {
        let mut scene = Scene::new(TransportConfig::default());
        let ended =
            scene.world.run(polls(scene.pair.server.shut_down(GRACE, Code::NONE, ""), allowed));
        let done = ended.is_some();
        if allowed > 0 {
            scene.world.run(scene.ours.wait_closed()).expect("an orderly end");
            let over = scene.world.run(scene.pair.server.accept());
            assert!(matches!(over, Err(Error::Ended)));
        }
        let again = scene.world.run(scene.pair.server.shut_down(GRACE, Code::NONE, ""));
        again.expect("it is over");
        let Scene { mut world, pair, ours, theirs } = scene;
        drop((ours, theirs));
        end(&mut world, pair);
        done
    });
}
