//! Our own engine: on each side one thread with one blocking loop over one UDP socket, AEAD by
//! ring as for the other peers. The receiver takes whatever is there and drops it.
//!
//! The two ends of the transfer, [`Source`] and [`Sink`], know neither loop nor socket: the
//! engine-only run uses them too.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tripline::{
    Code, Config, ConnectOptions, ConnectionHandle, ConnectionStats, Endpoint, Event, Order,
    PublicKey, ReceiveResult, SecretKey, SendError, SendOptions, StreamId, StreamOptions,
    TransportConfig,
};
use tripline_std::{Clock, Loop, Options, Turn, os_seed};

use crate::workload::{Failure, Figures, Suite, Workload, thread_cpu};

/// Bytes of one message, and of one chunk of a byte stream. The buffer is shared, not copied.
const MESSAGE: usize = 64 << 10;
/// How long nothing may happen on a side before the run counts as stuck.
const STUCK: Duration = Duration::from_secs(10);

/// How the engine is set up for a run.
#[derive(Clone, Copy)]
pub struct Shape {
    /// The kind of stream.
    pub order: Order,
    /// Bytes of full datagrams. quinn begins at 1,200 and finds 1,452 by its MTU search; our engine
    /// is told.
    pub datagram: u16,
}

/// Ordered messages in the smallest full datagrams.
const MESSAGES: Shape = Shape { order: Order::Ordered, datagram: 1_200 };
/// Ordered messages in the datagrams that quinn ends up with.
const MESSAGES_1452: Shape = Shape { order: Order::Ordered, datagram: 1_452 };
/// A byte stream in such datagrams.
const BYTES_1452: Shape = Shape { order: Order::Bytes, datagram: 1_452 };

/// The shapes by the names of their peers.
pub const SHAPES: &[(&str, Shape)] =
    &[("tripline", MESSAGES), ("tripline-1452", MESSAGES_1452), ("tripline-bytes", BYTES_1452)];

/// Messages of 64 KiB in datagrams of 1,200 bytes.
pub fn messages(work: &Workload) -> Result<Figures, Failure> {
    run(work, MESSAGES)
}

/// Messages of 64 KiB in datagrams of 1,452 bytes.
pub fn messages_1452(work: &Workload) -> Result<Figures, Failure> {
    run(work, MESSAGES_1452)
}

/// A byte stream in datagrams of 1,452 bytes.
pub fn bytes_1452(work: &Workload) -> Result<Figures, Failure> {
    run(work, BYTES_1452)
}

/// What one side's thread measured; `mark` is the first write, or the last read.
struct Side {
    handshake: Duration,
    mark: Instant,
    received: u64,
    cpu: Duration,
}

fn run(work: &Workload, shape: Shape) -> Result<Figures, Failure> {
    let identity = SecretKey::generate(&mut os_seed()?.random("identity"));
    let key = identity.public_key();
    let (address_out, address_in) = channel();
    let work = *work;
    let server = thread::spawn(move || serve(identity, &work, shape, address_out));
    let client = thread::spawn(move || send(key, &work, shape, address_in));
    // As with the other peers: the client's failure is told first.
    let client = client.join().map_err(|_| "the client's thread panicked")??;
    let server = server.join().map_err(|_| "the server's thread panicked")??;
    if server.received != work.bytes {
        return Err(format!("{} of {} bytes arrived", server.received, work.bytes).into());
    }
    Ok(Figures {
        handshake: client.handshake,
        transfer: server.mark.duration_since(client.mark),
        cpu_client: client.cpu,
        cpu_server: server.cpu,
        received: server.received,
    })
}

/// Accepts one connection and reads one stream to its end.
fn serve(
    identity: SecretKey,
    work: &Workload,
    shape: Shape,
    address: Sender<SocketAddr>,
) -> Result<Side, Failure> {
    let begun = Instant::now();
    let config = Config { transport: transport(work, shape), ..Config::public_server(identity) };
    let mut looper = looper(with_suite(config, work.suite))?;
    address.send(looper.link().local_addr()?)?;
    let mut sink = Sink::default();
    let mut mark = None;
    let mut at_end = None;
    loop {
        let turn = looper.run_once(Some(STUCK))?;
        if turn == Turn::TimedOut {
            return Err(format!("the server is stuck at {} bytes", sink.received).into());
        }
        while let Some(event) = looper.next_event() {
            if matches!(event, Event::Closed { .. }) {
                let mark = mark.ok_or("closed before the end")?;
                take_leave(&mut looper)?;
                report(work, "server", at_end, &looper);
                let (handshake, received) = (mark - begun, sink.received);
                return Ok(Side { handshake, mark, received, cpu: thread_cpu() });
            }
            looper.with(|endpoint, now| sink.on_event(endpoint, now, &event))?;
            if sink.finished && mark.is_none() {
                mark = Some(Instant::now());
                let connection = sink.connection.ok_or("an end without a beginning")?;
                at_end = looper.machine().connection_stats(connection);
                looper.with(|endpoint, now| {
                    endpoint.close(now, connection, Duration::ZERO, Code::NONE, "done")
                })?;
            }
        }
    }
}

/// Connects, sends everything on one stream and waits until the server has closed.
fn send(
    key: PublicKey,
    work: &Workload,
    shape: Shape,
    address: Receiver<SocketAddr>,
) -> Result<Side, Failure> {
    let server = address.recv()?;
    let config = Config { transport: transport(work, shape), ..Config::client() };
    let mut looper = looper(with_suite(config, work.suite))?;
    let begun = Instant::now();
    let mut source = looper.with(|endpoint, now| Source::connect(endpoint, now, server, key))?;
    let (mut handshake, mut mark, mut at_end) = (Duration::ZERO, begun, None);
    loop {
        if looper.run_once(Some(STUCK))? == Turn::TimedOut {
            return Err(format!("the client is stuck, {} bytes are left", source.left).into());
        }
        while let Some(event) = looper.next_event() {
            match event {
                Event::Connected { .. } => {
                    (handshake, mark) = (begun.elapsed(), Instant::now());
                    looper.with(|endpoint, now| source.begin(endpoint, now, shape, work.bytes))?;
                }
                Event::Writable { .. } => {
                    looper.with(|endpoint, now| source.pump(endpoint, now))?;
                }
                Event::Message { .. } => at_end = source.stats(looper.machine()).or(at_end),
                Event::Closed { .. } => {
                    looper.run_once(Some(Duration::ZERO))?;
                    report(work, "client", at_end, &looper);
                    return Ok(Side { handshake, mark, received: 0, cpu: thread_cpu() });
                }
                Event::Failed { .. } | Event::Lost { .. } => {
                    return Err(format!("the client's connection ended: {event:?}").into());
                }
                _ => {}
            }
        }
    }
}

/// The side that sends: shared blocks, as fast as the engine takes them.
pub struct Source {
    connection: ConnectionHandle,
    stream: Option<StreamId>,
    block: Bytes,
    /// Bytes that the engine has not taken yet.
    pub left: u64,
}

impl Source {
    /// Begins a connection.
    pub fn connect(
        endpoint: &mut Endpoint,
        now: tripline_sansio::Instant,
        server: SocketAddr,
        key: PublicKey,
    ) -> Result<Self, Failure> {
        let connection = endpoint.connect(now, server.into(), ConnectOptions::to(key))?;
        Ok(Self { connection, stream: None, block: vec![0x5a; MESSAGE].into(), left: 0 })
    }

    /// Connected: opens the stream and hands in the first of `bytes` bytes.
    pub fn begin(
        &mut self,
        endpoint: &mut Endpoint,
        now: tripline_sansio::Instant,
        shape: Shape,
        bytes: u64,
    ) -> Result<(), Failure> {
        let options = StreamOptions::one_way(shape.order);
        self.stream = Some(endpoint.open(now, self.connection, options)?);
        self.left = bytes;
        self.pump(endpoint, now)
    }

    /// Hands in as much as is taken; finishes the stream behind the last byte.
    pub fn pump(
        &mut self,
        endpoint: &mut Endpoint,
        now: tripline_sansio::Instant,
    ) -> Result<(), Failure> {
        let Some(stream) = self.stream.filter(|_| self.left > 0) else { return Ok(()) };
        while self.left > 0 {
            let size = self.left.min(MESSAGE as u64) as usize;
            let block = self.block.slice(..size);
            match endpoint.send(now, self.connection, stream, block, SendOptions::default()) {
                Ok(_) => self.left -= size as u64,
                Err(SendError::Blocked) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(endpoint.finish(now, self.connection, stream)?)
    }

    /// The connection's counters.
    pub fn stats(&self, endpoint: &Endpoint) -> Option<ConnectionStats> {
        endpoint.connection_stats(self.connection)
    }
}

/// The side that receives: takes and drops everything at once.
#[derive(Default)]
pub struct Sink {
    /// The connection, once there is one.
    pub connection: Option<ConnectionHandle>,
    /// Bytes taken.
    pub received: u64,
    /// Whether the stream has ended.
    pub finished: bool,
}

impl Sink {
    /// Deals with an event of the engine.
    pub fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: tripline_sansio::Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        match event {
            Event::Connected { connection, .. } => self.connection = Some(*connection),
            Event::Readable { connection, stream } => loop {
                match endpoint.receive(now, *connection, *stream)? {
                    ReceiveResult::Data(bytes) => self.received += bytes.len() as u64,
                    ReceiveResult::Nothing => return Ok(()),
                    ReceiveResult::Finished => {
                        self.finished = true;
                        return Ok(());
                    }
                    ReceiveResult::Closed(code) => {
                        return Err(format!("the stream was closed: {code:?}").into());
                    }
                }
            },
            Event::Lost { .. } => return Err(format!("the server's connection: {event:?}").into()),
            _ => {}
        }
        Ok(())
    }
}

/// How both sides' connections behave.
pub fn transport(work: &Workload, shape: Shape) -> TransportConfig {
    TransportConfig {
        stream_credit: work.credit,
        connection_credit: work.credit.saturating_mul(2),
        send_buffer: 8 << 20,
        datagram_size: shape.datagram,
        // The size is what is compared: no search.
        datagram_ceiling: shape.datagram,
        ..TransportConfig::default()
    }
}

/// The same with packets sealed by `suite`; the server takes what the client opens with.
pub fn with_suite(config: Config, suite: Suite) -> Config {
    Config { hardware_aes: suite != Suite::ChaCha, ..config }
}

fn looper(config: Config) -> Result<Loop<Endpoint>, Failure> {
    let clock = Clock::new();
    let endpoint = Endpoint::new(config, &os_seed()?, clock.now());
    let options = Options { clock, ..Options::default() };
    Ok(Loop::bind((Ipv4Addr::LOCALHOST, 0).into(), &options, endpoint)?)
}

/// Runs until the peer has answered the close, or was given long enough to.
fn take_leave(looper: &mut Loop<Endpoint>) -> Result<(), Failure> {
    while looper.run_once(Some(STUCK))? != Turn::TimedOut {
        while let Some(event) = looper.next_event() {
            if let Event::Drained { .. } = event {
                return Ok(());
            }
        }
    }
    Err("the close takes too long".into())
}

/// The counters of a side, for `--stats`.
fn report(work: &Workload, side: &str, stats: Option<ConnectionStats>, looper: &Loop<Endpoint>) {
    if !work.stats {
        return;
    }
    let udp = looper.link().stats();
    eprintln!(
        "  {side}: {:.1} datagrams per send call, {:.1} per receive call; {udp:?}; {:?}",
        udp.sent_per_call(),
        udp.received_per_call(),
        looper.counts()
    );
    if let Some(stats) = stats {
        eprintln!("  {side}: {stats:?}");
    }
}
