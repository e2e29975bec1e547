//! A world for tests: virtual time, sockets that hand datagrams to each other, timers, and an
//! executor of one thread that polls only what was woken.
//!
//! Everything that happens is a consequence of the tasks and of time, in one order; nothing waits
//! for a real clock.

use crate::{Driver, Endpoint, NoLinks, Socket, Timer};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tripline::{Config, ConnectOptions, SecretKey};
use tripline_common::Door;
use tripline_sansio::{Ecn, Instant, Path, Seed, Transmit};
use tripline_udp::{Received, SendOutcome};

/// How long a datagram travels.
const TRAVEL: Duration = Duration::from_millis(5);
/// Polls of one run, at most: more is a spin.
const POLLS_MAX: usize = 2_000_000;
/// Datagrams that one receive call brings, at most.
const BATCH: usize = 8;

/// A datagram on its way: when it arrives, where it comes from, its bytes.
type Letter = (Instant, Path, Vec<u8>);

#[derive(Default)]
struct Net {
    now: Option<Instant>,
    mail: BTreeMap<SocketAddr, VecDeque<Letter>>,
    readers: BTreeMap<SocketAddr, Waker>,
    timers: BTreeMap<usize, (Instant, Waker)>,
    next_timer: usize,
    sent: usize,
    /// From then on nothing arrives.
    cut: bool,
}

/// Time and the network, shared by all.
#[derive(Clone, Default)]
pub(super) struct Sky(Arc<Mutex<Net>>);

impl Sky {
    fn lock(&self) -> MutexGuard<'_, Net> {
        self.0.lock().expect("no panic")
    }

    pub(super) fn now(&self) -> Instant {
        // Not zero, so that nothing confuses the two.
        self.lock().now.unwrap_or(Instant::from_nanos(1_000_000_000))
    }

    /// Datagrams that were sent so far.
    pub(super) fn sent(&self) -> usize {
        self.lock().sent
    }

    /// The network is gone.
    pub(super) fn cut(&self) {
        self.lock().cut = true;
    }

    pub(super) fn socket(&self, local: SocketAddr) -> FakeSocket {
        FakeSocket { sky: self.clone(), local }
    }

    pub(super) fn timer(&self) -> FakeTimer {
        let mut net = self.lock();
        net.next_timer += 1;
        FakeTimer { sky: self.clone(), number: net.next_timer }
    }

    /// Goes to the next moment at which something happens, but not beyond `limit`; false if that
    /// comes first, and then it is that late.
    fn advance(&self, limit: Instant) -> bool {
        let now = self.now();
        let mut net = self.lock();
        let mail = net.mail.values().filter_map(|box_| box_.front()).map(|letter| letter.0);
        let next = mail.chain(net.timers.values().map(|(until, _)| *until)).min();
        let Some(next) = next.filter(|next| *next <= limit) else {
            net.now = Some(limit);
            return false;
        };
        let next = next.max(now);
        net.now = Some(next);
        let mut woken = Vec::new();
        let arrived =
            net.mail.iter().filter(|(_, box_)| box_.front().is_some_and(|letter| letter.0 <= next));
        let arrived: Vec<_> = arrived.map(|(at, _)| *at).collect();
        woken.extend(arrived.iter().filter_map(|at| net.readers.remove(at)));
        let fired: Vec<_> =
            net.timers.iter().filter(|(_, timer)| timer.0 <= next).map(|(at, _)| *at).collect();
        woken.extend(fired.iter().filter_map(|at| net.timers.remove(at)).map(|timer| timer.1));
        if woken.is_empty() {
            // Mail that nobody waits for: it is dropped with its socket's reader.
            for at in arrived {
                net.mail.remove(&at);
            }
        }
        drop(net);
        woken.into_iter().for_each(Waker::wake);
        true
    }
}

/// A socket of the world.
pub(super) struct FakeSocket {
    sky: Sky,
    local: SocketAddr,
}

impl Socket for FakeSocket {
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.sky.now();
        let mut net = self.sky.lock();
        let first = net.mail.get(&self.local).and_then(|box_| box_.front());
        if first.is_some_and(|letter| letter.0 <= now) {
            return Poll::Ready(Ok(()));
        }
        net.readers.insert(self.local, cx.waker().clone());
        Poll::Pending
    }

    fn recv(&mut self, on_datagram: &mut dyn FnMut(Path, Ecn, &mut [u8])) -> io::Result<Received> {
        let now = self.sky.now();
        let mut net = self.sky.lock();
        let mut letters = Vec::new();
        if let Some(box_) = net.mail.get_mut(&self.local) {
            while letters.len() < BATCH && box_.front().is_some_and(|letter| letter.0 <= now) {
                letters.extend(box_.pop_front());
            }
        }
        drop(net);
        let datagrams = letters.len();
        if datagrams == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        for (_, path, mut bytes) in letters {
            on_datagram(path, Ecn::NotEct, &mut bytes);
        }
        let maybe_more = datagrams == BATCH;
        Ok(Received { messages: datagrams, datagrams, maybe_more, ..Received::default() })
    }

    fn poll_writable(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, transmit: &Transmit, bytes: &[u8]) -> SendOutcome {
        let at = self.sky.now() + TRAVEL;
        let mut net = self.sky.lock();
        for datagram in bytes.chunks(transmit.segment_size.max(1)) {
            net.sent += 1;
            if !net.cut {
                let letter = (at, Path::to(self.local), datagram.to_vec());
                net.mail.entry(transmit.path.remote).or_default().push_back(letter);
            }
        }
        SendOutcome::Sent
    }
}

/// A timer of the world.
pub(super) struct FakeTimer {
    sky: Sky,
    number: usize,
}

impl Timer for FakeTimer {
    fn now(&self) -> Instant {
        self.sky.now()
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Option<Instant>) -> Poll<()> {
        let now = self.sky.now();
        let mut net = self.sky.lock();
        net.timers.remove(&self.number);
        match deadline {
            Some(until) if until <= now => Poll::Ready(()),
            Some(until) => {
                net.timers.insert(self.number, (until, cx.waker().clone()));
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

impl Drop for FakeTimer {
    fn drop(&mut self) {
        self.sky.lock().timers.remove(&self.number);
    }
}

/// Whether a task was woken since it was polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Flag {
    fn up() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::SeqCst)
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    flag: Arc<Flag>,
    polls: usize,
}

/// The executor.
#[derive(Default)]
pub(super) struct World {
    pub(super) sky: Sky,
    tasks: Vec<Option<Task>>,
    endpoints: u8,
}

impl World {
    /// Runs a task in the background; its number.
    pub(super) fn spawn(&mut self, future: impl Future<Output = ()> + Send + 'static) -> usize {
        let future = Box::pin(future);
        self.tasks.push(Some(Task { future, flag: Flag::up(), polls: 0 }));
        self.tasks.len() - 1
    }

    /// Stops a task where it is.
    pub(super) fn abort(&mut self, task: usize) {
        self.tasks[task] = None;
    }

    /// How often a task has been polled, and whether it has ended.
    pub(super) fn polls(&self, task: usize) -> (usize, bool) {
        self.tasks[task].as_ref().map_or((0, true), |task| (task.polls, false))
    }

    /// Polls every task that was woken, once; how many those were.
    fn turn(&mut self) -> usize {
        let mut polled = 0;
        for place in &mut self.tasks {
            let Some(task) = place.as_mut().filter(|task| task.flag.take()) else { continue };
            (polled, task.polls) = (polled + 1, task.polls + 1);
            let waker = Waker::from(Arc::clone(&task.flag));
            if task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                *place = None;
            }
        }
        polled
    }

    /// Runs a future and everything else until it is done.
    pub(super) fn run<T>(&mut self, future: impl Future<Output = T>) -> T {
        let limit = self.sky.now() + Duration::from_secs(3_600);
        let mut future = pin!(future);
        let flag = Flag::up();
        let waker = Waker::from(Arc::clone(&flag));
        for _ in 0..POLLS_MAX {
            if flag.take()
                && let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return value;
            }
            if self.turn() == 0 && !flag.0.load(Ordering::SeqCst) {
                assert!(self.sky.advance(limit), "nothing will ever happen any more");
            }
        }
        panic!("it never ends");
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let limit = self.sky.now() + time;
        for _ in 0..POLLS_MAX {
            if self.turn() == 0 && !self.sky.advance(limit) {
                return;
            }
        }
        panic!("it never sleeps");
    }

    /// Runs what can run without time passing.
    pub(super) fn settle(&mut self) {
        self.pass(Duration::ZERO);
    }

    /// An endpoint, not yet driven.
    pub(super) fn endpoint(
        &mut self,
        config: Config,
        listens: bool,
    ) -> (Endpoint, Driver<NoLinks<FakeSocket>, FakeTimer>) {
        self.endpoints += 1;
        let local = SocketAddr::from(([10, 0, 0, self.endpoints], 7));
        let seed = Seed::from_number(u64::from(self.endpoints));
        let sky = self.sky.clone();
        let engine = tripline::Endpoint::new(config, &seed, sky.now());
        let (socket, timer) = (sky.socket(local), sky.timer());
        let door = listens.then(Door::default);
        Endpoint::over(engine, socket, local, timer, move || sky.now(), door)
    }

    /// A server with key 1, driven, and a client, driven; with the numbers of their drivers. Both
    /// have the server's transport.
    pub(super) fn pair(&mut self, server: Config) -> Pair {
        let client = Config { transport: server.transport.clone(), ..Config::client() };
        let (server, driver) = self.endpoint(server, true);
        let server_task = self.spawn(driver);
        let (client, driver) = self.endpoint(client, false);
        let client_task = self.spawn(driver);
        Pair { server, client, server_task, client_task }
    }
}

/// Two endpoints and the tasks that drive them.
pub(super) struct Pair {
    pub(super) server: Endpoint,
    pub(super) client: Endpoint,
    pub(super) server_task: usize,
    pub(super) client_task: usize,
}

impl Pair {
    /// A connection between the two, seen from the client and from the server.
    pub(super) fn connect(&self, world: &mut World) -> (crate::Connection, crate::Connection) {
        let ours = world.run(self.client.connect(self.server.local_addr(), to_server()));
        let theirs = world.run(self.server.accept());
        (ours.expect("connected"), theirs.expect("a client"))
    }
}

/// The server's key.
pub(super) fn key() -> SecretKey {
    SecretKey::from_bytes([1; 32])
}

/// A public server with that key.
pub(super) fn public() -> Config {
    Config::public_server(key())
}

/// How to connect to that server.
pub(super) fn to_server() -> ConnectOptions {
    ConnectOptions::to(key().public_key())
}
