//! A server with several endpoints on one port, each on a thread of its own; clients on four
//! threads, whatever the number of endpoints, so that only the server differs.
//!
//! Each endpoint has a loop of its own over one socket of a steered group: what `tripline-std`'s
//! `Shards` is made of, without the threads that its blocking calls need.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use tripline::{Config, Endpoint, Event, ReceiveResult, SecretKey, Shard};
use tripline_sansio::Instant;
use tripline_std::{Clock, Loop, UdpLink, os_seed};
use tripline_udp::{Options, Socket, Steering, bind_group};

use super::bulk::{DEFAULT, Source};
use super::requests::{Asker, Call, Echo, for_many};
use super::{App, Run, Stop, Target, drive, looper, server_with};
use crate::meter::Mark;
use crate::task::{Failure, Record, Task};

/// Threads of clients.
const CLIENTS: u64 = 4;
/// Receive buffers of a loop, as `tripline-std` has them by default.
const BUFFERS: usize = 8;

/// Bulk to one endpoint.
pub fn bulk_one(task: &Task) -> Result<Record, Failure> {
    bulk(&Task { shards: 1, ..*task })
}

/// Bulk to two.
pub fn bulk_two(task: &Task) -> Result<Record, Failure> {
    bulk(&Task { shards: 2, ..*task })
}

/// Requests to one endpoint.
pub fn requests_one(task: &Task) -> Result<Record, Failure> {
    requests(&Task { shards: 1, ..*task })
}

/// Requests to two.
pub fn requests_two(task: &Task) -> Result<Record, Failure> {
    requests(&Task { shards: 2, ..*task })
}

/// A connection for each client's thread, its part of the bytes on each.
fn bulk(task: &Task) -> Result<Record, Failure> {
    let each = task.bytes / CLIENTS;
    let received = Arc::new(AtomicU64::new(0));
    let group = Group::start(task, |_| Drain {
        received: Arc::clone(&received),
        asked: each * CLIENTS,
        ended: None,
    })?;
    let clients = group.clients(move |endpoint, now, target| {
        Source::connect(endpoint, now, target, DEFAULT, each)
    })?;
    let begun = clients.iter().filter_map(|source| source.begun).collect();
    let end = group.end()?.into_iter().filter_map(|drain| drain.ended).collect();
    let (begun, end) = ends(begun, end)?;
    Ok(Record::of_bytes(each * CLIENTS, begun, end))
}

/// The connections spread over the clients' threads.
fn requests(task: &Task) -> Result<Record, Failure> {
    let part = Task { connections: (task.connections / CLIENTS).max(1), ..*task };
    let done = Arc::new(AtomicU64::new(0));
    let group = Group::start(task, |_| Echo::new(Call::Batch))?;
    let clients = group.clients(move |endpoint, now, target| {
        let inner = Asker::connect(endpoint, now, target, &part, u64::MAX, Call::Batch)?;
        Ok(Together { inner, counted: false, done: Arc::clone(&done) })
    })?;
    group.end()?;
    let begun = clients.iter().filter_map(|client| client.inner.begun).collect();
    let end: Vec<Mark> = clients.iter().filter_map(|client| client.inner.ended).collect();
    if end.len() as u64 != CLIENTS {
        return Err("a client has not all its answers".into());
    }
    let (begun, end) = ends(begun, end)?;
    Ok(Record::of(part.connections * CLIENTS * part.requests, begun, end))
}

/// From the first beginning to the last end.
fn ends(begun: Vec<Mark>, ended: Vec<Mark>) -> Result<(Mark, Mark), Failure> {
    let begun = begun.into_iter().min_by_key(|mark| mark.at()).ok_or("never begun")?;
    let ended = ended.into_iter().max_by_key(|mark| mark.at()).ok_or("never ended")?;
    Ok((begun, ended))
}

/// The server's threads.
struct Group<S> {
    servers: Vec<JoinHandle<Result<S, Failure>>>,
    target: Target,
    stop: Stop,
    task: Task,
    client: Config,
}

impl<S: App + Send + 'static> Group<S> {
    fn start(task: &Task, mut app: impl FnMut(u16) -> S) -> Result<Self, Failure> {
        let count = u16::try_from(task.shards)?;
        let identity = SecretKey::generate(&mut os_seed()?.random("identity"));
        let steering =
            Steering { first: &Shard::NAMES_AN_ID, at: Shard::SLOT_AT, shift: Shard::SLOT_SHIFT };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let steering = (count > 1).then_some(&steering);
        let group = bind_group(address, &Options::default(), count, steering)?;
        if count > 1 {
            group.steered?;
        }
        let Run { server, client, .. } = Run::new(task);
        let (server, client) = (for_many(server, task), for_many(client, task));
        let at = group.sockets.first().ok_or("a group without sockets")?.local_addr()?;
        let target = Target { at, key: identity.public_key() };
        let (stop, mut servers) = (Stop::default(), Vec::new());
        for (index, socket) in (0..count).zip(group.sockets) {
            let shard = Shard::new(index, count).ok_or("too many shards")?;
            let config = server_with(server.clone(), identity.clone());
            let mut looper = shard_loop(Config { shard, ..config }, socket)?;
            stop.add(looper.waker());
            let (app, stop, task) = (app(index), stop.clone(), *task);
            servers.push(thread::spawn(move || drive("server", &mut looper, app, &stop, &task)));
        }
        Ok(Self { servers, target, stop, task: *task, client })
    }

    /// Runs the clients until one of them, or a server, says that all is done.
    fn clients<C: App + Send + 'static>(
        &self,
        ask: impl Fn(&mut Endpoint, Instant, Target) -> Result<C, Failure> + Clone + Send + 'static,
    ) -> Result<Vec<C>, Failure> {
        let start = |_| {
            let (ask, stop, task) = (ask.clone(), self.stop.clone(), self.task);
            let (config, target) = (self.client.clone(), self.target);
            thread::spawn(move || {
                let mut looper = looper(config)?;
                stop.add(looper.waker());
                let app = looper.with(|endpoint, now| ask(endpoint, now, target))?;
                drive("client", &mut looper, app, &stop, &task)
            })
        };
        let threads: Vec<_> = (0..CLIENTS).map(start).collect();
        threads.into_iter().map(join).collect()
    }

    fn end(self) -> Result<Vec<S>, Failure> {
        self.stop.ring();
        self.servers.into_iter().map(join).collect()
    }
}

fn join<T>(thread: JoinHandle<Result<T, Failure>>) -> Result<T, Failure> {
    thread.join().map_err(|_| "a thread panicked")?
}

fn shard_loop(config: Config, socket: Socket) -> Result<Loop<Endpoint>, Failure> {
    let clock = Clock::new();
    let endpoint = Endpoint::new(config, &os_seed()?, clock.now());
    Ok(Loop::new(UdpLink::new(socket, BUFFERS), clock, endpoint)?)
}

/// Takes and drops everything; done when all endpoints together have all bytes.
struct Drain {
    received: Arc<AtomicU64>,
    asked: u64,
    ended: Option<Mark>,
}

impl App for Drain {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        let Event::Readable { connection, stream } = event else { return Ok(()) };
        while let ReceiveResult::Data(bytes) = endpoint.receive(now, *connection, *stream)? {
            let size = bytes.len() as u64;
            if self.received.fetch_add(size, Ordering::SeqCst) + size == self.asked {
                self.ended = Some(Mark::now());
            }
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.ended.is_some()
    }
}

/// A client that goes on until all are done.
struct Together {
    inner: Asker,
    counted: bool,
    done: Arc<AtomicU64>,
}

impl App for Together {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        self.inner.on_event(endpoint, now, event)?;
        if self.inner.done() && !self.counted {
            self.counted = true;
            self.done.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.done.load(Ordering::SeqCst) == CLIENTS
    }
}
