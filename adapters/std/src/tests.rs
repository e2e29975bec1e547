//! The loop with toy machines, over loopback with ports of the system's choice and over Unix
//! sockets.

use crate::*;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use tripline_sansio::{DatagramMachine, Ecn, Instant, Path, Transmit};

/// A limit no healthy test comes near.
const LONG: Option<Duration> = Some(Duration::from_secs(20));
const HOUR: Duration = Duration::from_secs(3_600);

/// Sends what is queued, returns what it receives while `answers` last, reports all it is told.
#[derive(Default)]
struct Toy {
    queue: VecDeque<(Path, Vec<u8>)>,
    answers: usize,
    deadline: Option<Instant>,
    /// Deadlines are followed by another one this much later.
    period: Option<Duration>,
    /// A deadline that has come stays until the queue is empty, as with a pacer.
    sticky: bool,
    events: VecDeque<Told>,
    timeouts: u64,
    polls: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Told {
    Datagram(Vec<u8>),
    Timeout { late: Duration },
}

impl Toy {
    fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        self.queue.push_back((Path::to(to), bytes.to_vec()));
    }
}

impl DatagramMachine for Toy {
    type Event = Told;

    fn handle_datagram(&mut self, _now: Instant, path: Path, _ecn: Ecn, datagram: &mut [u8]) {
        if let Some(left) = self.answers.checked_sub(1) {
            self.answers = left;
            self.queue.push_back((path, datagram.to_vec()));
        }
        self.events.push_back(Told::Datagram(datagram.to_vec()));
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.timeouts += 1;
        let Some(deadline) = self.deadline.filter(|deadline| *deadline <= now) else { return };
        if self.sticky {
            return;
        }
        self.deadline = self.period.map(|period| now + period);
        self.events.push_back(Told::Timeout { late: now - deadline });
    }

    fn poll_transmit(&mut self, _now: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
        self.polls += 1;
        let Some((path, bytes)) = self.queue.pop_front() else {
            self.deadline = self.deadline.filter(|_| !self.sticky);
            return None;
        };
        out.extend_from_slice(&bytes);
        let len = bytes.len();
        Some(Transmit { path, ecn: Ecn::NotEct, len, segment_size: len })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    fn poll_event(&mut self) -> Option<Told> {
        self.events.pop_front()
    }
}

fn over_udp(machine: Toy) -> Loop<Toy> {
    let address = "127.0.0.1:0".parse().expect("an address");
    Loop::bind(address, &Options::default(), machine).expect("a loop")
}

fn address(looper: &Loop<Toy>) -> SocketAddr {
    looper.link().local_addr().expect("an address")
}

/// A user's own link (T63): a pair of Unix sockets, which really are full after a few datagrams.
struct Pair(UnixDatagram);

impl Pair {
    fn new() -> (Self, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().expect("a pair");
        for end in [&ours, &theirs] {
            // The least that the system knows: room for a handful of datagrams.
            rustix::net::sockopt::set_socket_send_buffer_size(end, 1).expect("a small buffer");
        }
        ours.set_nonblocking(true).expect("non-blocking");
        theirs.set_nonblocking(true).expect("non-blocking");
        (Self(ours), theirs)
    }
}

impl AsFd for Pair {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Link for Pair {
    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let mut buffer = [0; 2_048];
        let len = self.0.recv(&mut buffer)?;
        let path = Path::to(SocketAddr::from(([192, 0, 2, 1], 1)));
        on_datagram(path, Ecn::NotEct, &mut buffer[..len]);
        Ok(Received { messages: 1, datagrams: 1, bytes: len, maybe_more: true })
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        assert_eq!(transmit.len, bytes.len());
        let mut sent = 0;
        for datagram in bytes.chunks(transmit.segment_size) {
            match self.0.send(datagram) {
                Ok(_) => sent += datagram.len(),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
                    return SendOutcome::Full { sent };
                }
            }
        }
        SendOutcome::Sent
    }
}

#[test]
fn two_loops_in_two_threads_play_ping_pong() {
    const ROUNDS: usize = 1_000;
    let mut server = over_udp(Toy { answers: ROUNDS, ..Toy::default() });
    let to = address(&server);
    let thread = std::thread::spawn(move || {
        for _ in 0..ROUNDS {
            assert_eq!(server.run_once(LONG).expect("a turn"), Turn::Event);
            while server.next_event().is_some() {}
        }
        // The last answer goes out in the turn that received the question.
        server.link().stats()
    });
    let mut client = over_udp(Toy { answers: ROUNDS - 1, ..Toy::default() });
    client.machine_mut().send(to, b"ball");
    for round in 0..ROUNDS {
        assert_eq!(client.run_once(LONG).expect("a turn"), Turn::Event, "round {round}");
        assert_eq!(client.next_event(), Some(Told::Datagram(b"ball".to_vec())));
    }
    let (client, server) = (client.link().stats(), thread.join().expect("the server"));
    assert_eq!((client.datagrams_sent, client.datagrams_received), (1_000, 1_000));
    assert_eq!((server.datagrams_sent, server.datagrams_received), (1_000, 1_000));
}

/// M25, zero: looks once, whatever the machine's deadline.
#[test]
fn zero_looks_once_and_never_waits() {
    let mut looper = over_udp(Toy::default());
    looper.with(|toy, now| toy.deadline = Some(now + HOUR));
    for turn in 1..=3 {
        assert_eq!(looper.run_once(Some(Duration::ZERO)).expect("a turn"), Turn::TimedOut);
        assert_eq!(looper.counts().waits, turn);
    }
    let own = address(&looper);
    looper.machine_mut().send(own, b"to myself");
    // Loopback delivers within the send call, and sending comes before looking.
    assert_eq!(looper.run_once(Some(Duration::ZERO)).expect("a turn"), Turn::Event);
    assert_eq!(looper.next_event(), Some(Told::Datagram(b"to myself".to_vec())));
}

/// A look reads the clock once, and any other turn once for each wait and once before.
#[test]
fn the_clock_is_read_once_a_wait() {
    use std::cell::Cell;
    thread_local!(static READS: Cell<u64> = const { Cell::new(0) });
    let clock = Clock::from_fn(|| {
        READS.set(READS.get() + 1);
        Instant::from_nanos(READS.get())
    });
    let options = Options { clock, ..Options::default() };
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut looper = Loop::bind(any, &options, Toy::default()).expect("a loop");
    for turn in 1..=5 {
        assert_eq!(looper.run_once(Some(Duration::ZERO)).expect("a turn"), Turn::TimedOut);
        assert_eq!(READS.get(), turn);
    }
    looper.waker().wake();
    assert_eq!(looper.run_once(LONG).expect("a turn"), Turn::Woken);
    assert_eq!(READS.get(), 7);
}

/// M25, n: the limit ends the turn, in one wait and not before its time (T18).
#[test]
fn a_limit_is_one_wait_and_not_cut_short() {
    for micros in [1, 300, 20_300] {
        let limit = Duration::from_micros(micros);
        let mut looper = over_udp(Toy::default());
        looper.with(|toy, now| toy.deadline = Some(now + HOUR));
        let before = looper.clock().now();
        assert_eq!(looper.run_once(Some(limit)).expect("a turn"), Turn::TimedOut);
        assert!(looper.clock().now() - before >= limit);
        assert_eq!((looper.counts().waits, looper.machine().timeouts), (1, 0));
    }
}

/// T18: sleeping to the deadline is one wait, below a millisecond too, and the machine is told then
/// and not before.
#[test]
fn a_deadline_is_one_wait_and_told_once() {
    for micros in [1, 300, 20_300] {
        let mut looper = over_udp(Toy::default());
        looper.with(|toy, now| toy.deadline = Some(now + Duration::from_micros(micros)));
        assert_eq!(looper.run_once(None).expect("a turn"), Turn::Event);
        let told = looper.next_event().expect("an event");
        // Unless the scheduler was slow; that it is told at all after hours would be the fault.
        assert!(matches!(told, Told::Timeout { late } if late < HOUR), "{told:?}");
        assert_eq!((looper.counts().waits, looper.machine().timeouts), (1, 1));
    }
}

/// T18: an idle loop does nothing at all until it is woken.
#[test]
fn an_idle_loop_waits_once_until_it_is_woken() {
    let mut looper = over_udp(Toy::default());
    looper.with(|toy, now| toy.deadline = Some(now + HOUR));
    let waker = looper.waker();
    let (ready, go) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut turns = Vec::new();
        for _ in 0..3 {
            ready.send(()).expect("the test listens");
            let turn = looper.run_once(None).expect("a turn");
            turns.push((turn, looper.counts().waits, looper.machine().timeouts));
        }
        turns
    });
    for _ in 0..3 {
        // The wake comes before or during the wait; neither may be lost.
        go.recv().expect("the loop turns");
        waker.wake();
    }
    let turns = thread.join().expect("the loop");
    assert_eq!(turns, [(Turn::Woken, 1, 0), (Turn::Woken, 2, 0), (Turn::Woken, 3, 0)]);
}

#[test]
fn many_wakes_before_a_turn_are_one_and_later_ones_count_again() {
    let mut looper = over_udp(Toy::default());
    let waker = looper.waker();
    for _ in 0..2 {
        waker.wake();
        waker.clone().wake();
        assert_eq!(looper.run_once(LONG).expect("a turn"), Turn::Woken);
        assert_eq!(looper.run_once(Some(Duration::ZERO)).expect("a turn"), Turn::TimedOut);
    }
    drop(looper);
    waker.wake();
}

#[test]
fn a_handle_may_go_to_any_thread() {
    fn check<T: Clone + Send + Sync + 'static>() {}
    check::<Waker>();
    fn moves<T: Send>() {}
    moves::<Loop<Toy>>();
}

/// Events that the user leaves lying do not stop the traffic, nor does the loop wait meanwhile.
#[test]
fn an_event_left_lying_is_told_again() {
    let mut looper = over_udp(Toy::default());
    let own = address(&looper);
    looper.machine_mut().send(own, b"one");
    looper.machine_mut().send(own, b"two");
    assert_eq!(looper.run_once(LONG).expect("a turn"), Turn::Event);
    assert_eq!(looper.run_once(None).expect("a turn"), Turn::Event);
    assert_eq!(looper.next_event(), Some(Told::Datagram(b"one".to_vec())));
    assert_eq!(looper.next_event(), Some(Told::Datagram(b"two".to_vec())));
    assert_eq!(looper.next_event(), None);
}

/// T64: what does not fit is kept and sent when there is room, in order, nothing lost or doubled.
#[test]
fn a_full_link_loses_nothing_and_is_waited_for() {
    const COUNT: u32 = 500;
    let (link, theirs) = Pair::new();
    let mut looper = Loop::new(link, Clock::new(), Toy::default()).expect("a loop");
    let to = SocketAddr::from(([192, 0, 2, 1], 1));
    for number in 0..COUNT {
        looper.machine_mut().send(to, &number.to_be_bytes());
    }
    let zero = Some(Duration::ZERO);
    assert_eq!(looper.run_once(zero).expect("a turn"), Turn::TimedOut);
    assert!(looper.counts().full > 0, "the link was never full");
    // While there is no room the machine is not asked for more.
    let polls = looper.machine().polls;
    for _ in 0..3 {
        assert_eq!(looper.run_once(zero).expect("a turn"), Turn::TimedOut);
    }
    assert_eq!(looper.machine().polls, polls);
    let waker = looper.waker();
    let thread = std::thread::spawn(move || {
        theirs.set_nonblocking(false).expect("blocking");
        theirs.set_read_timeout(LONG).expect("a limit");
        let mut buffer = [0; 16];
        for number in 0..COUNT {
            let len = theirs.recv(&mut buffer).expect("a datagram");
            assert_eq!(buffer[..len], number.to_be_bytes());
        }
        theirs.set_nonblocking(true).expect("non-blocking");
        assert!(theirs.recv(&mut buffer).is_err(), "more came than was sent");
        waker.wake();
    });
    // Nothing but room on the link, and the wake at the end, ends these waits.
    assert_eq!(looper.run_once(LONG).expect("a turn"), Turn::Woken);
    thread.join().expect("all came in order");
    assert!(looper.machine().queue.is_empty());
}

/// A deadline that cannot move before there is room must not make the loop spin.
#[test]
fn a_full_link_with_a_deadline_in_the_past_does_not_spin() {
    let (link, _theirs) = Pair::new();
    let toy = Toy { sticky: true, ..Toy::default() };
    let mut looper = Loop::new(link, Clock::new(), toy).expect("a loop");
    for _ in 0..500 {
        looper.machine_mut().send(SocketAddr::from(([192, 0, 2, 1], 1)), b"x");
    }
    looper.with(|toy, now| toy.deadline = Some(now));
    let limit = Some(Duration::from_millis(20));
    assert_eq!(looper.run_once(limit).expect("a turn"), Turn::TimedOut);
    assert_eq!(looper.counts().waits, 1);
    assert!(looper.wants_room() && looper.deadline().is_none(), "a foreign loop would spin");
}

/// A link that tells of room by another file descriptor than that of what it receives.
struct Split(Pair, UnixDatagram);

impl AsFd for Split {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.1.as_fd()
    }
}

impl Link for Split {
    fn recv(&mut self, _: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        self.0.send(transmit, bytes)
    }

    fn room_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// T64: the loop waits for room where the link says that it is told. The other one is writable all
/// the time, so a loop that watched it would spin.
#[test]
fn room_is_waited_for_where_the_link_says() {
    const COUNT: usize = 100;
    let (link, theirs) = Pair::new();
    let (reading, _writing) = UnixDatagram::pair().expect("a pair");
    let mut looper = Loop::new(Split(link, reading), Clock::new(), Toy::default()).expect("a loop");
    for _ in 0..COUNT {
        looper.machine_mut().send(SocketAddr::from(([192, 0, 2, 1], 1)), b"x");
    }
    let limit = Some(Duration::from_millis(20));
    assert_eq!(looper.run_once(limit).expect("a turn"), Turn::TimedOut);
    assert_eq!((looper.counts().waits, looper.wants_room()), (1, true));
    let mut received = 0;
    while received < COUNT {
        received += std::iter::from_fn(|| theirs.recv(&mut [0; 16]).ok()).count();
        looper.run_once(Some(Duration::ZERO)).expect("a turn");
    }
    assert!(!looper.wants_room());
}

/// A train that went out in part goes on where it stopped.
#[test]
fn the_rest_of_a_train_follows_later() {
    struct Train(bool);
    impl DatagramMachine for Train {
        type Event = ();
        fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, _: &mut [u8]) {}
        fn handle_timeout(&mut self, _: Instant) {}
        fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
            if std::mem::replace(&mut self.0, true) {
                return None;
            }
            out.extend(0..=255);
            let path = Path::to(SocketAddr::from(([192, 0, 2, 1], 1)));
            Some(Transmit { path, ecn: Ecn::NotEct, len: 256, segment_size: 3 })
        }
        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
        fn poll_event(&mut self) -> Option<()> {
            None
        }
    }
    let (link, theirs) = Pair::new();
    let mut looper = Loop::new(link, Clock::new(), Train(false)).expect("a loop");
    let (mut seen, mut buffer) = (Vec::new(), [0; 16]);
    for _ in 0..256 {
        assert_eq!(looper.run_once(Some(Duration::ZERO)).expect("a turn"), Turn::TimedOut);
        while let Ok(len) = theirs.recv(&mut buffer) {
            assert!(len == 3 || seen.len() == 255, "a datagram was cut");
            seen.extend_from_slice(&buffer[..len]);
        }
    }
    assert_eq!(seen, (0..=255).collect::<Vec<u8>>());
    assert!(looper.counts().full > 1, "the link was never full");
}

/// A flood of datagrams does not keep the machine's deadline from being told, nor the user waiting:
/// a turn takes a bounded share.
#[test]
fn a_turn_receives_a_bounded_share() {
    let (link, theirs) = Pair::new();
    let mut looper = Loop::new(link, Clock::new(), Toy::default()).expect("a loop");
    let mut sent = 0;
    while theirs.send(b"x").is_ok() {
        sent += 1;
    }
    let mut received = 0;
    while received < sent {
        assert_eq!(looper.run_once(LONG).expect("a turn"), Turn::Event);
        let events = std::iter::from_fn(|| looper.next_event()).count();
        assert!((1..=16).contains(&events), "{events} in one turn");
        received += events;
    }
    assert_eq!(looper.run_once(Some(Duration::ZERO)).expect("a turn"), Turn::TimedOut);
}

/// A machine that always has something to send cannot shut out the timer, the waker or receiving.
#[test]
fn endless_sending_does_not_shut_out_the_rest() {
    struct Endless(SocketAddr);
    impl DatagramMachine for Endless {
        type Event = ();
        fn handle_datagram(&mut self, _: Instant, _: Path, _: Ecn, _: &mut [u8]) {}
        fn handle_timeout(&mut self, _: Instant) {}
        fn poll_transmit(&mut self, _: Instant, out: &mut Vec<u8>) -> Option<Transmit> {
            out.push(0);
            Some(Transmit { path: Path::to(self.0), ecn: Ecn::NotEct, len: 1, segment_size: 1 })
        }
        fn poll_timeout(&self) -> Option<Instant> {
            None
        }
        fn poll_event(&mut self) -> Option<()> {
            None
        }
    }
    let sink = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let machine = Endless(sink.local_addr().expect("an address"));
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut looper = Loop::bind(any, &Options::default(), machine).expect("a loop");
    looper.waker().wake();
    assert_eq!(looper.run_once(LONG).expect("a turn"), Turn::Woken);
    assert_eq!(looper.run_once(Some(Duration::ZERO)).expect("a turn"), Turn::TimedOut);
    assert_eq!(looper.counts().waits, 2);
}

/// T70: a foreign event loop needs the readiness of a descriptor and one timer, and drives many
/// loops in one thread.
#[test]
fn a_foreign_event_loop_drives_two_loops_in_one_thread() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let clock = Clock::new();
    let options = Options { clock, ..Options::default() };
    let any = "127.0.0.1:0".parse().expect("an address");
    let toy = || Toy { answers: 10, ..Toy::default() };
    let mut pair = [0, 1].map(|_| Loop::bind(any, &options, toy()).expect("a loop"));
    let to = address(&pair[1]);
    pair[0].machine_mut().send(to, b"ball");
    pair[1].with(|toy, now| toy.deadline = Some(now + Duration::from_millis(5)));
    let mut told = Vec::new();
    loop {
        for looper in &mut pair {
            looper.run_once(Some(Duration::ZERO)).expect("a turn");
            told.extend(std::iter::from_fn(|| looper.next_event()));
        }
        if told.len() >= 22 {
            break;
        }
        let first = pair.iter().filter_map(Loop::deadline).min();
        let wait = first.map_or(Duration::from_secs(20), |first| first - clock.now());
        let mut fds = [0, 1].map(|at: usize| PollFd::new(pair[at].link(), PollFlags::IN));
        let limit = Timespec::try_from(wait).expect("a time");
        let ready = poll(&mut fds, Some(&limit)).expect("poll");
        assert!(ready > 0 || first.is_some(), "nothing came, and nothing was due");
        assert!(!pair[0].wants_room() && !pair[1].wants_room());
    }
    let timeouts = told.iter().filter(|told| matches!(told, Told::Timeout { .. })).count();
    assert_eq!((told.len(), timeouts), (22, 1));
}
