//! A transfer over a socket whose system calls fail (rows T64, T68): nothing reliable is lost, the
//! loop does not spin, and what happened is in the counters. The failures are played above the
//! kernel, by the number of the call, so they are the same in each run.

use crate::*;
use rustix::io::Errno;
use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tripline::{
    Config, ConnectOptions, Endpoint, Event, Fate, Order, ReceiveResult, SecretKey, SendOptions,
    StreamOptions,
};
use tripline_sansio::Seed;
use tripline_udp::{Calls, Destination, Kernel, Message, Socket, Stats};

/// A limit no healthy run comes near.
const LONG: Duration = Duration::from_secs(20);

/// What a call does in place of what it should.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Sending fails.
    Send(Errno),
    /// Sending more than one datagram by one call fails.
    Train(Errno),
    /// Of several messages one is taken.
    Partial,
    /// Receiving fails.
    Recv(Errno),
    /// One message is received though there are more.
    Short,
    /// The message ends too early.
    Truncated,
}

/// Which calls fail, counted from 0 among those that could.
#[derive(Clone, Copy, Debug)]
enum When {
    At(u64),
    Every(u64),
    Before(u64),
}

impl When {
    fn is_it(self, number: u64) -> bool {
        match self {
            Self::At(at) => number == at,
            Self::Every(n) => number % n == 1,
            Self::Before(end) => number < end,
        }
    }
}

/// What is played.
#[derive(Clone, Copy, Debug)]
struct Plan {
    fault: Fault,
    when: When,
    /// Whether the system cuts trains.
    gso: bool,
}

#[derive(Debug, Default)]
struct Tally {
    /// Calls that the fault could hit.
    calls: u64,
    hit: u64,
}

/// The kernel, but for what the plan says.
#[derive(Debug)]
struct Faulty {
    kernel: Kernel,
    plan: Plan,
    tally: Arc<Mutex<Tally>>,
}

impl Faulty {
    /// Whether this call, which the fault could hit, is hit.
    fn is_hit(&self) -> bool {
        let mut tally = self.tally.lock().expect("the tally");
        let hit = self.plan.when.is_it(tally.calls);
        tally.calls += 1;
        tally.hit += u64::from(hit);
        hit
    }
}

impl Calls for Faulty {
    fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        match self.plan.fault {
            Fault::Send(errno) if self.is_hit() => Err(errno.into()),
            Fault::Train(errno) if bytes.len() > segment && self.is_hit() => Err(errno.into()),
            _ => self.kernel.send(socket, to, bytes, segment),
        }
    }

    fn send_many(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<usize> {
        match self.plan.fault {
            Fault::Send(errno) | Fault::Train(errno) if self.is_hit() => Err(errno.into()),
            Fault::Partial if self.is_hit() => {
                self.kernel.send(socket, to, &bytes[..segment], segment).map(|()| 1)
            }
            _ => self.kernel.send_many(socket, to, bytes, segment),
        }
    }

    fn recv(
        &mut self,
        socket: BorrowedFd<'_>,
        buffers: &mut [IoSliceMut<'_>],
        messages: &mut [Message],
    ) -> io::Result<usize> {
        match self.plan.fault {
            Fault::Recv(errno) if self.is_hit() => Err(errno.into()),
            Fault::Short if self.is_hit() => {
                self.kernel.recv(socket, &mut buffers[..1], &mut messages[..1])
            }
            Fault::Truncated => {
                let count = self.kernel.recv(socket, buffers, messages)?;
                if self.is_hit() {
                    messages[0].len = messages[0].len.saturating_sub(7);
                    messages[0].truncated = true;
                }
                Ok(count)
            }
            _ => self.kernel.recv(socket, buffers, messages),
        }
    }

    fn cuts(&self) -> bool {
        self.plan.gso && self.kernel.cuts()
    }

    fn merges(&self) -> bool {
        self.kernel.merges()
    }
}

/// What a run came to.
#[derive(Debug)]
struct Outcome {
    stats: Stats,
    turns: Counts,
    hit: u64,
    /// Calls of the engine's turn that the test made.
    asked: u64,
}

struct Run {
    client: Loop<Endpoint>,
    server: Loop<Endpoint>,
    tally: Arc<Mutex<Tally>>,
    asked: u64,
}

impl Run {
    fn new(plan: Plan) -> (Self, SocketAddr, tripline::PublicKey) {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = Options::default();
        let key = SecretKey::from_bytes([1; 32]);
        let public = key.public_key();
        let endpoint =
            |config, number| Endpoint::new(config, &Seed::from_number(number), options.clock.now());
        let server = endpoint(Config::public_server(key), 1);
        let server = Loop::bind(any, &options, server).expect("a loop");
        let to = server.link().local_addr().expect("an address");
        let socket = UdpSocket::bind(any).expect("a socket");
        let tally = Arc::new(Mutex::new(Tally::default()));
        let kernel = Kernel::new(&socket).expect("a socket");
        let calls = Faulty { kernel, plan, tally: Arc::clone(&tally) };
        let socket = Socket::with_calls(socket, Box::new(calls)).expect("a socket");
        let client = endpoint(Config::client(), 2);
        let client = Loop::new(UdpLink::new(socket, 4), options.clock, client).expect("a loop");
        (Self { client, server, tally, asked: 0 }, to, public)
    }

    /// One turn of each; the server sends back what it is sent.
    fn turn(&mut self) -> Option<Event> {
        self.server.run_once(Some(Duration::ZERO)).expect("a turn");
        while let Some(event) = self.server.next_event() {
            let Event::Readable { connection, stream } = event else { continue };
            self.server.with(|endpoint, now| {
                while let Ok(ReceiveResult::Data(message)) =
                    endpoint.receive(now, connection, stream)
                {
                    let options = SendOptions::default();
                    endpoint.send(now, connection, stream, message, options).expect("taken");
                }
            });
        }
        self.asked += 1;
        self.client.run_once(Some(Duration::from_millis(1))).expect("a turn");
        self.client.next_event()
    }

    fn outcome(&self) -> Outcome {
        let hit = self.tally.lock().expect("the tally").hit;
        let (stats, turns) = (self.client.link().stats(), self.client.counts());
        Outcome { stats, turns, hit, asked: self.asked }
    }
}

/// Sends a message of many datagrams there and back under a plan.
fn play(plan: Plan) -> Outcome {
    const BYTES: usize = 60_000;
    let (mut run, to, key) = Run::new(plan);
    let message: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
    let (connection, stream) = run.client.with(|endpoint, now| {
        let options = ConnectOptions::to(key);
        let connection = endpoint.connect(now, to.into(), options).expect("it begins");
        let two_way = StreamOptions::two_way(Order::Ordered);
        let stream = endpoint.open(now, connection, two_way).expect("it opens");
        let options = SendOptions::default();
        endpoint.send(now, connection, stream, message.clone(), options).expect("taken");
        (connection, stream)
    });
    let began = std::time::Instant::now();
    let (mut acked, mut back) = (false, false);
    while !(acked && back) {
        match run.turn() {
            Some(Event::Message { fate, .. }) => {
                assert_eq!(fate, Fate::Acked, "{plan:?}");
                acked = true;
            }
            Some(Event::Readable { .. }) => {
                let read = |endpoint: &mut Endpoint, now| {
                    endpoint.receive(now, connection, stream).expect("alive")
                };
                if let ReceiveResult::Data(answer) = run.client.with(read) {
                    assert!(answer == message, "{plan:?}");
                    back = true;
                }
            }
            _ => {}
        }
        assert!(began.elapsed() < LONG, "{plan:?}: {:?}", run.outcome());
    }
    let outcome = run.outcome();
    does_not_spin(plan, &outcome);
    is_counted(plan, &outcome);
    outcome
}

/// Each system call has a reason: a turn that was asked for, something that was sent or received,
/// or a failure that was played.
fn does_not_spin(plan: Plan, outcome: &Outcome) {
    let Outcome { stats, turns, hit, asked } = outcome;
    let moved = stats.datagrams_sent + stats.datagrams_received + stats.dropped.total();
    let most = 2 * (asked + moved + hit) + 100;
    let calls = stats.send_calls + stats.recv_calls;
    assert!(calls < most && turns.waits < most, "{plan:?}: {outcome:?}");
}

/// What was played is what the counters say.
fn is_counted(plan: Plan, outcome: &Outcome) {
    let Outcome { stats, hit, .. } = outcome;
    let dropped = &stats.dropped;
    let count = match plan.fault {
        _ if *hit == 0 => return,
        Fault::Send(Errno::AGAIN) => stats.full,
        Fault::Send(Errno::INTR) | Fault::Recv(Errno::INTR) => stats.interrupted,
        Fault::Send(Errno::MSGSIZE) => dropped.too_big,
        Fault::Send(Errno::NOBUFS) => dropped.no_buffer,
        Fault::Send(Errno::CONNREFUSED) => dropped.refused,
        Fault::Send(Errno::NETUNREACH) => dropped.unreachable,
        Fault::Send(Errno::PERM) => dropped.denied,
        // Of a train it may be the end of offload, which loses nothing.
        Fault::Send(_) => dropped.total() + u64::from(!stats.gso),
        Fault::Train(_) => u64::from(!stats.gso),
        Fault::Partial => stats.partial,
        Fault::Recv(Errno::AGAIN) | Fault::Short => return,
        Fault::Recv(_) => stats.recv_errors,
        Fault::Truncated => stats.truncated,
    };
    assert!(count > 0, "{plan:?}: {outcome:?}");
}

/// Plays a fault at each of the first calls that it could hit, then at every third.
fn play_everywhere(fault: Fault, gso: bool) {
    let mut hits = 0;
    for at in 0..10 {
        hits += play(Plan { fault, when: When::At(at), gso }).hit;
    }
    hits += play(Plan { fault, when: When::Every(3), gso }).hit;
    hits += play(Plan { fault, when: When::Before(4), gso }).hit;
    assert!(hits > 3, "{fault:?} was played {hits} times");
}

/// T68: a full socket, an interrupted call: nothing is even sent twice.
#[test]
fn t68_full_and_interrupted_sends_lose_nothing() {
    for errno in [Errno::AGAIN, Errno::INTR] {
        for gso in [true, false] {
            play_everywhere(Fault::Send(errno), gso);
        }
    }
}

/// T68: a datagram that the system drops is sent again by the engine.
#[test]
fn t68_dropped_datagrams_are_made_good() {
    for errno in [Errno::NOBUFS, Errno::CONNREFUSED] {
        play_everywhere(Fault::Send(errno), true);
    }
    play_everywhere(Fault::Send(Errno::NOBUFS), false);
}

/// T68: refusals by policy, by route and by size.
#[test]
fn t68_refused_datagrams_are_made_good() {
    for errno in [Errno::PERM, Errno::NETUNREACH, Errno::MSGSIZE] {
        play_everywhere(Fault::Send(errno), true);
    }
}

/// T68: a network card that refuses offload gets messages, and batches that are taken by halves go
/// on; where not even that is to be had, single datagrams do.
#[test]
fn t68_refused_offload_and_partial_batches_lose_nothing() {
    for errno in [Errno::IO, Errno::INVAL] {
        play_everywhere(Fault::Train(errno), true);
        play_everywhere(Fault::Send(errno), true);
    }
    play_everywhere(Fault::Partial, false);
    let plan = Plan { fault: Fault::Train(Errno::NOSYS), when: When::Before(100), gso: false };
    let outcome = play(plan);
    assert_eq!(outcome.hit, 1, "a call that is not there was made again: {outcome:?}");
}

/// T69: what a receive call can bring in place of a batch.
#[test]
fn t69_failing_receives_lose_nothing() {
    for errno in [Errno::AGAIN, Errno::INTR, Errno::CONNREFUSED] {
        play_everywhere(Fault::Recv(errno), true);
    }
    play_everywhere(Fault::Recv(Errno::HOSTUNREACH), true);
    play_everywhere(Fault::Short, true);
    play_everywhere(Fault::Truncated, true);
}

/// T64: where every send fails, the loop sleeps between the engine's attempts.
#[test]
fn t64_a_socket_that_never_sends_is_not_asked_all_the_time() {
    for errno in [Errno::NOBUFS, Errno::PERM, Errno::NETUNREACH, Errno::INTR, Errno::IO] {
        let plan = Plan { fault: Fault::Send(errno), when: When::Before(u64::MAX), gso: true };
        let (mut run, to, key) = Run::new(plan);
        run.client.with(|endpoint, now| {
            endpoint.connect(now, to.into(), ConnectOptions::to(key)).expect("it begins");
        });
        // OPENs are due at 0, 200, 400, 600 and 900 ms.
        let turn = run.client.run_once(Some(Duration::from_millis(700))).expect("a turn");
        assert_eq!(turn, Turn::TimedOut);
        let outcome = run.outcome();
        let attempts = if errno == Errno::INTR { 4 * 17 } else { 4 };
        assert!(outcome.turns.waits <= 6, "{errno:?}: {outcome:?}");
        assert!(outcome.stats.send_calls <= attempts, "{errno:?}: {outcome:?}");
        assert!(outcome.stats.dropped.total() >= 3, "{errno:?}: {outcome:?}");
    }
}

/// N15, T68: a transfer takes far fewer system calls than datagrams, with offload and without.
#[test]
fn n15_t68_a_transfer_takes_few_calls() {
    for gso in [true, false] {
        let none = Plan { fault: Fault::Partial, when: When::Before(0), gso };
        let Outcome { stats, .. } = play(none);
        // 42 datagrams at least; the first window is a dozen, and trains grow with it.
        assert!(stats.datagrams_sent > 42, "{stats:?}");
        assert!(stats.sent_per_call() > 1.5, "{stats:?}");
        assert!(stats.received_per_call() > 0.5, "{stats:?}");
        assert_eq!((stats.gso, stats.dropped.total()), (gso, 0), "{stats:?}");
    }
}
