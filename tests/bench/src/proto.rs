//! quinn-proto by itself: quinn's engine, driven as quinn drives it, with its default transport
//! configuration but for datagrams of 1,200 bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use quinn_proto::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Dir, Endpoint, EndpointConfig,
    Event, ReadError, ServerConfig, StreamEvent, StreamId, Transmit, TransportConfig, WriteError,
};

use crate::peers::quinn::initial_suite;
use crate::peers::tls::{Backend, Certificate, NAME};
use crate::task::{Failure, Record, Task, complete};
use tripline_bench_ours::engine::messages::{MESSAGE, message};
use tripline_bench_ours::engine::{Costs, End, run};

/// Bytes of one write of bulk; the buffer is shared, not copied.
const CHUNK: usize = 64 << 10;
/// Bytes of one write of messages.
const BATCH: usize = 8 << 10;
/// Datagrams of one train, as quinn's own loop asks for.
const SEGMENTS: usize = 10;

/// Bulk in 1,200-byte datagrams.
pub fn bulk(task: &Task) -> Result<Record, Failure> {
    let work = Work::Bytes { left: task.bytes, chunk: Bytes::from(vec![0x5a; CHUNK]) };
    Ok(costs(task, work, task.bytes)?.per_packet(task.bytes))
}

/// Messages of 64 bytes behind a byte of length, written in batches.
pub fn messages(task: &Task) -> Result<Record, Failure> {
    messages_in(task, BATCH)
}

/// The same with a write for each: the queue of what is not acknowledged then grows so long that
/// quinn spends its time searching it.
pub fn messages_each(task: &Task) -> Result<Record, Failure> {
    messages_in(task, 1)
}

fn messages_in(task: &Task, batch: usize) -> Result<Record, Failure> {
    let work = Work::Messages { sent: 0, asked: task.messages, rest: Bytes::new(), batch };
    Ok(costs(task, work, task.messages)?.per_message(task.messages))
}

fn costs(task: &Task, work: Work, goal: u64) -> Result<Costs, Failure> {
    let certificate = Certificate::new()?;
    let mut transport = TransportConfig::default();
    transport.initial_mtu(1_200).mtu_discovery_config(None);
    let transport = Arc::new(transport);
    let tls = certificate.server(task.suite, Backend::Ring)?;
    let tls = QuicServerConfig::with_initial(Arc::new(tls), initial_suite()?)?;
    let mut server = ServerConfig::with_crypto(Arc::new(tls));
    server.transport_config(Arc::clone(&transport));
    let tls = certificate.client(task.suite, Backend::Ring)?;
    let tls = QuicClientConfig::with_initial(Arc::new(tls), initial_suite()?)?;
    let mut client = ClientConfig::new(Arc::new(tls));
    client.transport_config(transport);

    let zero = Instant::now();
    let endpoint = |server| Endpoint::new(Arc::new(EndpointConfig::default()), server, false, None);
    let counts = matches!(work, Work::Messages { .. });
    let mut server = Node::new(endpoint(Some(Arc::new(server))), 2, zero);
    server.take = Some(Take { goal, received: 0, messages: counts, part: Vec::new() });
    let mut sender = Node::new(endpoint(None), 1, zero);
    sender.work = Some(work);
    sender.connection = Some(sender.endpoint.connect(zero, client, address(2), NAME)?);
    let costs = run(&mut sender, &mut server, goal)?;
    complete("units", server.progress(), goal)?;
    Ok(costs)
}

fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, host], 1))
}

/// What the client sends.
enum Work {
    Bytes { left: u64, chunk: Bytes },
    Messages { sent: u64, asked: u64, rest: Bytes, batch: usize },
}

/// What the server has taken.
struct Take {
    goal: u64,
    received: u64,
    messages: bool,
    /// The beginning of a message that has not come in whole.
    part: Vec<u8>,
}

/// One endpoint with its one connection.
struct Node {
    endpoint: Endpoint,
    address: SocketAddr,
    zero: Instant,
    connection: Option<(ConnectionHandle, Connection)>,
    stream: Option<StreamId>,
    work: Option<Work>,
    take: Option<Take>,
    out: Vec<u8>,
    trains: Vec<Transmit>,
    answers: Vec<(Transmit, Vec<u8>)>,
    scratch: Vec<u8>,
    failure: Option<String>,
    datagrams: u64,
    all_trains: u64,
}

impl Node {
    fn new(endpoint: Endpoint, host: u8, zero: Instant) -> Self {
        Self {
            endpoint,
            address: address(host),
            zero,
            connection: None,
            stream: None,
            work: None,
            take: None,
            out: Vec::new(),
            trains: Vec::new(),
            answers: Vec::new(),
            scratch: Vec::new(),
            failure: None,
            datagrams: 0,
            all_trains: 0,
        }
    }

    /// Carries events between the connection and the endpoint.
    fn settle(&mut self) {
        let Some((handle, connection)) = &mut self.connection else { return };
        while let Some(event) = connection.poll_endpoint_events() {
            if let Some(answer) = self.endpoint.handle_event(*handle, event) {
                connection.handle_event(answer);
            }
        }
    }

    fn on_datagram_event(&mut self, now: Instant, event: DatagramEvent) {
        match event {
            DatagramEvent::ConnectionEvent(_, event) => {
                if let Some((_, connection)) = &mut self.connection {
                    connection.handle_event(event);
                }
            }
            DatagramEvent::NewConnection(incoming) if self.connection.is_none() => {
                match self.endpoint.accept(incoming, now, &mut self.scratch, None) {
                    Ok(accepted) => self.connection = Some(accepted),
                    Err(error) => self.failure = Some(error.cause.to_string()),
                }
            }
            DatagramEvent::NewConnection(incoming) => self.endpoint.ignore(incoming),
            DatagramEvent::Response(transmit) => {
                let bytes = self.scratch[..transmit.size].to_vec();
                self.answers.push((transmit, bytes));
            }
        }
    }

    fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        let Some((_, connection)) = &mut self.connection else { return Ok(()) };
        match event {
            Event::Connected if self.work.is_some() => {
                let stream = connection.streams().open(Dir::Uni).ok_or("no stream to open")?;
                self.stream = Some(stream);
                self.pump()
            }
            Event::Stream(StreamEvent::Writable { .. }) => self.pump(),
            Event::Stream(StreamEvent::Opened { dir }) => {
                let Some(stream) = connection.streams().accept(dir) else { return Ok(()) };
                self.take(stream)
            }
            Event::Stream(StreamEvent::Readable { id }) => self.take(id),
            Event::ConnectionLost { reason } => Err(reason.into()),
            _ => Ok(()),
        }
    }

    /// Writes as much as is taken.
    fn pump(&mut self) -> Result<(), Failure> {
        let (Some((_, connection)), Some(stream)) = (&mut self.connection, self.stream) else {
            return Ok(());
        };
        let mut sending = connection.send_stream(stream);
        match &mut self.work {
            Some(Work::Bytes { left, chunk }) => {
                while *left > 0 {
                    let size = (*left).min(CHUNK as u64) as usize;
                    match sending.write_chunks(&mut [chunk.slice(..size)]) {
                        Ok(written) => *left -= written.bytes as u64,
                        Err(WriteError::Blocked) => break,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Some(Work::Messages { sent, asked, rest, batch }) => loop {
                if rest.is_empty() {
                    if sent == asked {
                        break;
                    }
                    let mut framed = BytesMut::with_capacity(*batch + MESSAGE);
                    while sent < asked && framed.len() < *batch {
                        framed.extend_from_slice(&[MESSAGE as u8]);
                        framed.extend_from_slice(message(*sent));
                        *sent += 1;
                    }
                    *rest = framed.freeze();
                }
                let mut chunks = [std::mem::take(rest)];
                let result = sending.write_chunks(&mut chunks);
                let [left] = chunks;
                *rest = left;
                match result {
                    Ok(_) => {}
                    Err(WriteError::Blocked) => break,
                    Err(error) => return Err(error.into()),
                }
            },
            None => {}
        }
        Ok(())
    }

    /// Takes what a stream has to give.
    fn take(&mut self, stream: StreamId) -> Result<(), Failure> {
        let (Some((_, connection)), Some(take)) = (&mut self.connection, &mut self.take) else {
            return Ok(());
        };
        let mut receiving = connection.recv_stream(stream);
        let mut chunks = receiving.read(true)?;
        let result = loop {
            match chunks.next(usize::MAX) {
                Ok(Some(chunk)) => take.chunk(&chunk.bytes)?,
                Ok(None) | Err(ReadError::Blocked) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        // Whether there is something to send now shows when the connection is asked next.
        let _ = chunks.finalize();
        result
    }
}

impl Take {
    fn chunk(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        if !self.messages {
            self.received += bytes.len() as u64;
            return Ok(());
        }
        if !self.part.is_empty() {
            let wanted = (1 + MESSAGE - self.part.len()).min(bytes.len());
            let (head, rest) = bytes.split_at(wanted);
            self.part.extend_from_slice(head);
            bytes = rest;
            if self.part.len() == 1 + MESSAGE {
                let part = std::mem::take(&mut self.part);
                self.message(&part)?;
                self.part = part;
                self.part.clear();
            }
        }
        while let Some((whole, rest)) = bytes.split_at_checked(1 + MESSAGE) {
            self.message(whole)?;
            bytes = rest;
        }
        self.part.extend_from_slice(bytes);
        Ok(())
    }

    fn message(&mut self, framed: &[u8]) -> Result<(), Failure> {
        if framed.first() != Some(&(MESSAGE as u8)) || framed[1..] != *message(self.received) {
            return Err(format!("message {} is wrong", self.received).into());
        }
        self.received += 1;
        Ok(())
    }
}

impl End for Node {
    fn work(&mut self, now: Duration) -> Result<(), Failure> {
        let now = self.zero + now;
        if let Some(failure) = self.failure.take() {
            return Err(failure.into());
        }
        while let Some(event) = self.connection.as_mut().and_then(|(_, one)| one.poll()) {
            self.on_event(event)?;
        }
        for (transmit, bytes) in self.answers.drain(..) {
            self.out.extend_from_slice(&bytes);
            self.trains.push(transmit);
        }
        if let Some((_, connection)) = &mut self.connection {
            if connection.poll_timeout().is_some_and(|at| at <= now) {
                connection.handle_timeout(now);
            }
            loop {
                self.scratch.clear();
                let sent = connection.poll_transmit(now, SEGMENTS, &mut self.scratch);
                let Some(transmit) = sent else { break };
                self.out.extend_from_slice(&self.scratch[..transmit.size]);
                let segment = transmit.segment_size.unwrap_or(transmit.size);
                self.datagrams += transmit.size.div_ceil(segment) as u64;
                self.all_trains += 1;
                self.trains.push(transmit);
            }
        }
        self.settle();
        Ok(())
    }

    fn receive(&mut self, now: Duration, from: &mut Self) {
        let now = self.zero + now;
        let mut rest = from.out.as_slice();
        for train in from.trains.drain(..) {
            let (bytes, after) = rest.split_at(train.size);
            // One copy a train, as quinn's loop makes it.
            let mut data = BytesMut::from(bytes);
            while !data.is_empty() {
                let size = train.segment_size.unwrap_or(train.size).min(data.len());
                let datagram = data.split_to(size);
                self.scratch.clear();
                let event = self.endpoint.handle(
                    now,
                    from.address,
                    None,
                    None,
                    datagram,
                    &mut self.scratch,
                );
                if let Some(event) = event {
                    self.on_datagram_event(now, event);
                }
            }
            rest = after;
        }
        from.out.clear();
        if let Some((_, connection)) = &mut self.connection
            && connection.poll_timeout().is_some_and(|at| at <= now)
        {
            connection.handle_timeout(now);
        }
        self.settle();
    }

    fn sent(&self) -> (u64, u64) {
        (self.datagrams, self.all_trains)
    }

    fn done(&self) -> bool {
        self.take.as_ref().is_some_and(|take| take.received == take.goal)
    }

    fn progress(&self) -> u64 {
        self.take.as_ref().map_or(0, |take| take.received)
    }
}
