//! Our own engine: on each side one thread with one blocking loop (`tripline-std`) over one UDP
//! socket, AEAD by ring as for the other peers.
//!
//! What an application does is an [`App`] that knows neither loop nor socket; the engine-only runs
//! use the same ones.

pub mod bulk;
pub mod calls;
pub mod connects;
pub mod idle;
pub mod pingpong;
pub mod requests;
pub mod shards;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tripline::{Config, ConnectOptions, ConnectionStats, Endpoint, Event, PublicKey, SecretKey};
use tripline_sansio::Instant;
use tripline_std::{Clock, Loop, Options, Turn, Waker, os_seed};

use crate::sides;
use crate::task::{Failure, Suite, Task};

/// How long nothing may happen on a side before the run counts as stuck.
const STUCK: Duration = Duration::from_secs(20);

/// What one side's application does with what the endpoint tells it.
pub trait App {
    /// Deals with one event.
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure>;
    /// Whether this side's work is done.
    fn done(&self) -> bool;
    /// How far it is, in units of its own.
    fn progress(&self) -> u64 {
        0
    }
    /// How long it can wait for an event.
    fn patience(&self) -> Duration {
        STUCK
    }
    /// It has waited so long.
    fn on_silence(&mut self) -> Result<(), Failure> {
        Err("stuck".into())
    }
}

/// Whichever side is done first ends both loops.
#[derive(Clone, Default)]
pub struct Stop {
    inner: Arc<Mutex<(bool, Vec<Waker>)>>,
}

impl Stop {
    fn add(&self, waker: Waker) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.1.push(waker);
        }
    }

    fn rung(&self) -> bool {
        self.inner.lock().is_ok_and(|inner| inner.0)
    }

    fn ring(&self) {
        if let Ok(mut inner) = self.inner.lock() {
            inner.0 = true;
            inner.1.iter().for_each(Waker::wake);
        }
    }
}

/// The run of both sides: where the server is made, and the client.
pub struct Run {
    /// The sizes.
    pub task: Task,
    /// Whether the sides keep to a core each.
    pub pin: bool,
    /// The server's configuration but for its identity.
    pub server: Config,
    /// The client's configuration.
    pub client: Config,
}

impl Run {
    /// With the engine's defaults but for the suite.
    pub fn new(task: &Task) -> Self {
        Self {
            task: *task,
            pin: task.pin,
            server: with_suite(Config::default(), task.suite),
            client: with_suite(Config::client(), task.suite),
        }
    }

    /// Runs a server's application against a client's, until one of them is done.
    pub fn go<S: App + Send + 'static, C: App + Send + 'static>(
        self,
        serve: impl FnOnce() -> S + Send + 'static,
        ask: impl FnOnce(&mut Endpoint, Instant, Target) -> Result<C, Failure> + Send + 'static,
    ) -> Result<(S, C), Failure> {
        let identity = SecretKey::generate(&mut os_seed()?.random("identity"));
        let key = identity.public_key();
        let Self { task, pin, server, client } = self;
        let server = server_with(server, identity);
        let stop_server = Stop::default();
        let stop_client = stop_server.clone();
        sides::run(
            pin,
            move |address: Sender<SocketAddr>| {
                let mut looper = looper(server)?;
                stop_server.add(looper.waker());
                address.send(looper.link().local_addr()?)?;
                drive("server", &mut looper, serve(), &stop_server, &task)
            },
            move |at| {
                let mut looper = looper(client)?;
                stop_client.add(looper.waker());
                let target = Target { at, key };
                let app = looper.with(|endpoint, now| ask(endpoint, now, target))?;
                drive("client", &mut looper, app, &stop_client, &task)
            },
        )
    }
}

/// Where the server is.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its address.
    pub at: SocketAddr,
    /// Its key.
    pub key: PublicKey,
}

impl Target {
    /// Begins a connection to it.
    pub fn connect(
        &self,
        endpoint: &mut Endpoint,
        now: Instant,
    ) -> Result<tripline::ConnectionHandle, Failure> {
        Ok(endpoint.connect(now, self.at.into(), ConnectOptions::to(self.key))?)
    }
}

/// A public server with this identity, otherwise as configured.
pub fn server_with(config: Config, identity: SecretKey) -> Config {
    let Config { identity, server, .. } = Config::public_server(identity);
    Config { identity, server, ..config }
}

/// Packets are sealed by `suite`; the server takes what the client opens with.
pub fn with_suite(config: Config, suite: Suite) -> Config {
    Config { hardware_aes: suite != Suite::ChaCha, ..config }
}

pub(crate) fn looper(config: Config) -> Result<Loop<Endpoint>, Failure> {
    let clock = Clock::new();
    let endpoint = Endpoint::new(config, &os_seed()?, clock.now());
    let options = Options { clock, ..Options::default() };
    Ok(Loop::bind((Ipv4Addr::LOCALHOST, 0).into(), &options, endpoint)?)
}

/// Turns the loop until either side is done.
fn drive<A: App>(
    side: &str,
    looper: &mut Loop<Endpoint>,
    mut app: A,
    stop: &Stop,
    task: &Task,
) -> Result<A, Failure> {
    while !app.done() && !stop.rung() {
        if looper.run_once(Some(app.patience()))? == Turn::TimedOut {
            app.on_silence().map_err(|error| format!("{side}: {error}"))?;
        }
        let now = looper.clock().now();
        while let Some(event) = looper.next_event() {
            if let Event::Failed { .. } | Event::Lost { .. } = event {
                return Err(format!("the {side}'s connection ended: {event:?}").into());
            }
            app.on_event(looper.machine_mut(), now, &event)?;
        }
    }
    stop.ring();
    if task.stats {
        report(side, looper);
    }
    Ok(app)
}

/// The counters of a side, for `--stats`.
fn report(side: &str, looper: &Loop<Endpoint>) {
    let udp = looper.link().stats();
    eprintln!(
        "  {side}: {:.1} datagrams per send call, {:.1} per receive call; {udp:?}; {:?}; {:?}",
        udp.sent_per_call(),
        udp.received_per_call(),
        looper.counts(),
        looper.machine().stats()
    );
}

/// The counters of a connection, for `--stats`.
pub fn report_connection(side: &str, stats: Option<ConnectionStats>) {
    if let Some(stats) = stats {
        eprintln!("  {side}: {stats:?}");
    }
}
