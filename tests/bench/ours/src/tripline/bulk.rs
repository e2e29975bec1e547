//! Bulk over our own engine: a source, a sink, and the shapes in which they are compared.

use bytes::Bytes;
use tripline::{
    Config, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SendError, SendOptions,
    StreamId, StreamOptions, TransportConfig,
};
use tripline_sansio::Instant;

use super::{App, Run, Target, report_connection};
use crate::meter::Mark;
use crate::task::{Failure, Record, Task, complete};

/// Bytes of one message, and of one chunk of a byte stream. The buffer is shared, not copied.
const MESSAGE: usize = 64 << 10;

/// How the engine is set up for a run.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The kind of stream.
    pub order: Order,
    /// Bytes of full datagrams, told and not searched for; nothing: the engine's defaults in
    /// everything.
    pub datagram: Option<u16>,
}

/// Ordered messages, the engine as it comes.
pub const DEFAULT: Shape = Shape { order: Order::Ordered, datagram: None };
/// Ordered messages in the smallest full datagrams.
pub const MESSAGES_1200: Shape = Shape { order: Order::Ordered, datagram: Some(1_200) };
/// Ordered messages in the datagrams that others end up with.
pub const MESSAGES_1452: Shape = Shape { order: Order::Ordered, datagram: Some(1_452) };
/// A byte stream in such datagrams.
pub const BYTES_1452: Shape = Shape { order: Order::Bytes, datagram: Some(1_452) };

/// Messages of 64 KiB, the engine as it comes.
pub fn messages(task: &Task) -> Result<Record, Failure> {
    run(task, DEFAULT)
}

/// Messages of 64 KiB in datagrams of 1,200 bytes.
pub fn messages_1200(task: &Task) -> Result<Record, Failure> {
    run(task, MESSAGES_1200)
}

/// Messages of 64 KiB in datagrams of 1,452 bytes.
pub fn messages_1452(task: &Task) -> Result<Record, Failure> {
    run(task, MESSAGES_1452)
}

/// A byte stream in datagrams of 1,452 bytes.
pub fn bytes_1452(task: &Task) -> Result<Record, Failure> {
    run(task, BYTES_1452)
}

fn run(task: &Task, shape: Shape) -> Result<Record, Failure> {
    let transport = transport(task, shape);
    let mut run = Run::new(task);
    run.server = Config { transport: transport.clone(), ..run.server };
    run.client = Config { transport, ..run.client };
    let (bytes, stats) = (task.bytes, task.stats);
    let (sink, source) = run.go(
        move || Sink::new(bytes, stats),
        move |endpoint, now, target| Source::connect(endpoint, now, target, shape, bytes),
    )?;
    complete("bytes", sink.received, bytes)?;
    let (begun, end) = (source.begun.ok_or("never begun")?, sink.ended.ok_or("never ended")?);
    Ok(Record::of_bytes(bytes, begun, end))
}

/// How both sides' connections behave.
pub fn transport(task: &Task, shape: Shape) -> TransportConfig {
    let Some(datagram) = shape.datagram else { return TransportConfig::default() };
    TransportConfig {
        stream_credit: task.credit,
        connection_credit: task.credit.saturating_mul(2),
        stream_credit_max: task.credit,
        connection_credit_max: task.credit.saturating_mul(2),
        send_buffer: 8 << 20,
        datagram_size: datagram,
        // The size is what is compared: no search.
        datagram_ceiling: datagram,
        ..TransportConfig::default()
    }
}

/// The side that sends: shared blocks, as fast as the engine takes them.
pub struct Source {
    connection: ConnectionHandle,
    shape: Shape,
    stream: Option<StreamId>,
    block: Bytes,
    /// Bytes that the engine has not taken yet.
    pub left: u64,
    /// When it was connected.
    pub begun: Option<Mark>,
}

impl Source {
    /// Begins a connection.
    pub fn connect(
        endpoint: &mut Endpoint,
        now: Instant,
        target: Target,
        shape: Shape,
        bytes: u64,
    ) -> Result<Self, Failure> {
        Ok(Self {
            connection: target.connect(endpoint, now)?,
            shape,
            stream: None,
            block: vec![0x5a; MESSAGE].into(),
            left: bytes,
            begun: None,
        })
    }

    /// Hands in as much as is taken; finishes the stream behind the last byte.
    fn pump(&mut self, endpoint: &mut Endpoint, now: Instant) -> Result<(), Failure> {
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
    pub fn stats(&self, endpoint: &Endpoint) -> Option<tripline::ConnectionStats> {
        endpoint.connection_stats(self.connection)
    }
}

impl App for Source {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        match event {
            Event::Connected { .. } => {
                self.begun = Some(Mark::now());
                let options = StreamOptions::one_way(self.shape.order);
                self.stream = Some(endpoint.open(now, self.connection, options)?);
                self.pump(endpoint, now)
            }
            Event::Writable { .. } => self.pump(endpoint, now),
            _ => Ok(()),
        }
    }

    fn done(&self) -> bool {
        // The sink says when all is there.
        false
    }
}

/// The side that receives: takes and drops everything at once.
pub struct Sink {
    asked: u64,
    stats: bool,
    /// Bytes taken.
    pub received: u64,
    /// When the stream ended.
    pub ended: Option<Mark>,
}

impl Sink {
    /// Waits for so many bytes.
    pub fn new(asked: u64, stats: bool) -> Self {
        Self { asked, stats, received: 0, ended: None }
    }
}

impl App for Sink {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        let Event::Readable { connection, stream } = event else { return Ok(()) };
        loop {
            match endpoint.receive(now, *connection, *stream)? {
                ReceiveResult::Data(bytes) => self.received += bytes.len() as u64,
                ReceiveResult::Nothing => return Ok(()),
                ReceiveResult::Finished => {
                    self.ended = Some(Mark::now());
                    if self.stats {
                        report_connection("server", endpoint.connection_stats(*connection));
                    }
                    return complete("bytes", self.received, self.asked);
                }
                ReceiveResult::Closed(code) => {
                    return Err(format!("the stream was closed: {code:?}").into());
                }
            }
        }
    }

    fn done(&self) -> bool {
        self.ended.is_some()
    }

    fn progress(&self) -> u64 {
        self.received
    }
}
