//! Two loops over real sockets of loopback, in one thread, turned by turns, by a clock that moves
//! only between turns: so the number of system calls follows from the code alone.
//!
//! On loopback a datagram is in the other socket when the send call returns.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tripline::{Config, Endpoint, SecretKey};
use tripline_sansio::{Instant, Seed};
use tripline_std::{Clock, Loop, Options};

use super::Counts;
use crate::task::{Failure, Task, complete};
use crate::tripline::bulk::{MESSAGES_1200, Sink, Source, transport};
use crate::tripline::requests::{Asker, Echo, call};
use crate::tripline::{App, Target, server_with, with_suite};

/// Nanoseconds of the clock.
static NOW: AtomicU64 = AtomicU64::new(0);
/// By how much it moves after each turn.
const STEP: u64 = 50_000;
/// Turns after which a work counts as stuck.
const TURNS: u64 = 10_000_000;

fn now() -> Instant {
    Instant::from_nanos(NOW.load(Ordering::SeqCst))
}

fn looper(config: Config, label: &str) -> Result<Loop<Endpoint>, Failure> {
    let clock = Clock::from_fn(now);
    let endpoint = Endpoint::new(config, &Seed::from_number(1).child(label), clock.now());
    let options = Options { clock, ..Options::default() };
    Ok(Loop::bind((Ipv4Addr::LOCALHOST, 0).into(), &options, endpoint)?)
}

/// One look at the socket, and whatever follows for the application.
fn turn(looper: &mut Loop<Endpoint>, app: &mut impl App) -> Result<(), Failure> {
    looper.run_once(Some(Duration::ZERO))?;
    while let Some(event) = looper.next_event() {
        looper.with(|endpoint, now| app.on_event(endpoint, now, &event))?;
    }
    NOW.fetch_add(STEP, Ordering::SeqCst);
    Ok(())
}

fn run<C: App>(
    server: Config,
    client: Config,
    mut serving: impl App,
    ask: impl FnOnce(&mut Endpoint, Instant, Target) -> Result<C, Failure>,
) -> Result<(Counts, C), Failure> {
    let identity = SecretKey::generate(&mut Seed::from_number(1).random("identity"));
    let key = identity.public_key();
    let mut server = looper(server_with(server, identity), "server")?;
    let mut client = looper(client, "client")?;
    let target = Target { at: server.link().local_addr()?, key };
    let mut asking = client.with(|endpoint, now| ask(endpoint, now, target))?;
    let mut turns = 0;
    while !(serving.done() || asking.done()) {
        turn(&mut client, &mut asking)?;
        turn(&mut server, &mut serving)?;
        turns += 1;
        if turns > TURNS {
            return Err("stuck".into());
        }
    }
    let mut counts = Counts { calls: Some(0), datagrams: Some(0), ..Counts::default() };
    for looper in [&client, &server] {
        let udp = looper.link().stats();
        let calls = udp.send_calls + udp.recv_calls + looper.counts().waits;
        counts.calls = counts.calls.map(|all| all + calls);
        counts.datagrams = counts.datagrams.map(|all| all + udp.datagrams_sent);
    }
    Ok((counts, asking))
}

/// The bulk transfer.
pub fn bulk(task: &Task) -> Result<Counts, Failure> {
    let config = |config: Config| {
        with_suite(Config { transport: transport(task, MESSAGES_1200), ..config }, task.suite)
    };
    let sink = Sink::new(task.bytes, false);
    let (counts, source) =
        run(config(Config::default()), config(Config::client()), sink, |endpoint, now, target| {
            Source::connect(endpoint, now, target, MESSAGES_1200, task.bytes)
        })?;
    complete("bytes", task.bytes - source.left, task.bytes)?;
    Ok(counts)
}

/// Requests, so many outstanding on a connection.
pub fn requests(task: &Task, window: u64) -> Result<Counts, Failure> {
    let config = |config: Config| with_suite(config, task.suite);
    let (counts, _) = run(
        config(Config::default()),
        config(Config::client()),
        Echo::new(call(window)),
        |endpoint, now, target| Asker::connect(endpoint, now, target, task, window, call(window)),
    )?;
    Ok(counts)
}
