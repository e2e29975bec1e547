//! Requests over our own engine: ordered messages on one two-way stream of each connection.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use tripline::{
    Batch, BatchResult, Config, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SendError,
    SendOptions, StreamId, StreamOptions, TransportConfig,
};
use tripline_sansio::{Duration, Instant};

use super::connects::GUARD;
use super::{App, Run, Target};
use crate::meter::Mark;
use crate::script::{LARGEST, Script};
use crate::task::{Failure, Record, Task, complete};

/// Bytes of requests that go with one call, where many do.
pub const BATCH: usize = 8 << 10;

/// Bytes of a block that requests are cut from, so that each needs no memory of its own.
const BLOCK: usize = 16 << 10;

/// How many messages go with one call of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One.
    Each,
    /// What is there, up to [`BATCH`] bytes.
    Batch,
}

/// The better call for so many requests outstanding.
pub fn call(window: u64) -> Call {
    if window == 1 { Call::Each } else { Call::Batch }
}

/// Pipelined, as fast as credit allows.
pub fn requests(task: &Task) -> Result<Record, Failure> {
    run(task, u64::MAX, Call::Batch)
}

/// The same with a call for each request and each answer.
pub fn requests_each(task: &Task) -> Result<Record, Failure> {
    run(task, u64::MAX, Call::Each)
}

/// One request outstanding on each connection.
pub fn unbatched(task: &Task) -> Result<Record, Failure> {
    run(task, 1, Call::Each)
}

fn run(task: &Task, window: u64, call: Call) -> Result<Record, Failure> {
    let wanted = *task;
    let mut run = Run::new(task);
    run.server = for_many(run.server, task);
    run.client = for_many(run.client, task);
    let (_, client) = run.go(
        move || Echo::new(call),
        move |endpoint, now, target| Asker::connect(endpoint, now, target, &wanted, window, call),
    )?;
    let answered = client.lines.values().filter(|line| line.script.done()).count() as u64;
    complete("answered connections", answered, task.connections)?;
    let (begun, end) = (client.begun.ok_or("never begun")?, client.ended.ok_or("never ended")?);
    Ok(Record::of(task.connections * task.requests, begun, end))
}

/// From so many connections on, connecting them all may take longer than a silent one lives, and
/// more handshakes than a server answers in a second by default.
const MANY: u64 = 1_000;

/// The same configuration, fit for many connections.
pub fn for_many(config: Config, task: &Task) -> Config {
    if task.connections <= MANY {
        return config;
    }
    let idle_timeout = Duration::from_secs(3_600);
    let transport = TransportConfig { idle_timeout, ..config.transport };
    Config { transport, guard: GUARD, ..config }
}

/// The client: all connections of one endpoint.
pub struct Asker {
    target: Target,
    call: Call,
    window: u64,
    connections: u64,
    requests: u64,
    lines: BTreeMap<ConnectionHandle, Line>,
    connected: u64,
    done: u64,
    /// Empty between calls.
    answers: Batch,
    /// When all were connected and the first request was made.
    pub begun: Option<Mark>,
    /// When the last answer was there.
    pub ended: Option<Mark>,
}

/// One connection's requests.
struct Line {
    script: Script,
    stream: Option<StreamId>,
    block: BytesMut,
    /// A request that was not taken.
    held: Option<Bytes>,
    /// Requests that were not taken, if they go in batches.
    batch: Batch,
}

impl Asker {
    /// Handshakes under way at a time: fewer than a server answers without a proof of the address.
    const AT_ONCE: u64 = 32;

    /// Begins the first connections.
    pub fn connect(
        endpoint: &mut Endpoint,
        now: Instant,
        target: Target,
        task: &Task,
        window: u64,
        call: Call,
    ) -> Result<Self, Failure> {
        let mut asker = Self {
            target,
            call,
            window,
            connections: task.connections,
            requests: task.requests,
            lines: BTreeMap::new(),
            connected: 0,
            done: 0,
            answers: Batch::new(),
            begun: None,
            ended: None,
        };
        for _ in 0..task.connections.min(Self::AT_ONCE) {
            asker.connect_one(endpoint, now)?;
        }
        Ok(asker)
    }

    fn connect_one(&mut self, endpoint: &mut Endpoint, now: Instant) -> Result<(), Failure> {
        let connection = self.target.connect(endpoint, now)?;
        let script = Script::new(self.requests);
        let line =
            Line { script, stream: None, block: BytesMut::new(), held: None, batch: Batch::new() };
        self.lines.insert(connection, line);
        Ok(())
    }

    /// All connected: a stream on each, and the first requests.
    fn begin(&mut self, endpoint: &mut Endpoint, now: Instant) -> Result<(), Failure> {
        self.begun = Some(Mark::now());
        for (connection, line) in &mut self.lines {
            let options = StreamOptions::two_way(Order::Ordered);
            line.stream = Some(endpoint.open(now, *connection, options)?);
            line.ask(endpoint, now, *connection, self.call, self.window)?;
        }
        Ok(())
    }
}

impl App for Asker {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        match event {
            Event::Connected { .. } => {
                self.connected += 1;
                if (self.lines.len() as u64) < self.connections {
                    self.connect_one(endpoint, now)?;
                } else if self.connected == self.connections {
                    self.begin(endpoint, now)?;
                }
            }
            Event::Readable { connection, stream } => {
                let line = self.lines.get_mut(connection).ok_or("an unknown connection")?;
                let answers = &mut self.answers;
                if line.listen(endpoint, now, *connection, *stream, self.call, answers)? {
                    self.done += 1;
                    if self.done == self.connections {
                        self.ended = Some(Mark::now());
                    }
                } else {
                    line.ask(endpoint, now, *connection, self.call, self.window)?;
                }
            }
            Event::Writable { connection, .. } => {
                let line = self.lines.get_mut(connection).ok_or("an unknown connection")?;
                line.ask(endpoint, now, *connection, self.call, self.window)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.ended.is_some()
    }
}

impl Line {
    fn listen(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        call: Call,
        answers: &mut Batch,
    ) -> Result<bool, Failure> {
        match call {
            Call::Each => self.hear(endpoint, now, connection, stream),
            Call::Batch => self.hear_batches(endpoint, now, connection, stream, answers),
        }
    }

    fn ask(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
        call: Call,
        window: u64,
    ) -> Result<(), Failure> {
        match call {
            Call::Each => self.pump(endpoint, now, connection, window),
            Call::Batch => self.pump_batches(endpoint, now, connection),
        }
    }

    /// Takes all answers that are there, many with a call.
    fn hear_batches(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
        answers: &mut Batch,
    ) -> Result<bool, Failure> {
        while let BatchResult::Messages(_) =
            endpoint.receive_batch(now, connection, stream, answers)?
        {
            answers.iter().try_for_each(|answer| self.script.answer(answer))?;
            answers.clear();
        }
        Ok(self.script.done())
    }

    /// Asks as much as the engine allows, many with a call.
    fn pump_batches(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
    ) -> Result<(), Failure> {
        let Some(stream) = self.stream else { return Ok(()) };
        loop {
            while self.batch.bytes() < BATCH {
                self.block.clear();
                if self.script.ask(&mut self.block).is_none() {
                    break;
                }
                self.batch.push(&self.block);
            }
            if self.batch.is_empty() {
                return Ok(());
            }
            match endpoint.send_batch(now, connection, stream, &mut self.batch) {
                Ok(_) => {}
                Err(SendError::Blocked) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes all answers that are there; whether the last one was among them.
    fn hear(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Result<bool, Failure> {
        while let ReceiveResult::Data(answer) = endpoint.receive(now, connection, stream)? {
            self.script.answer(&answer)?;
            if self.script.done() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks as much as the window and the engine allow.
    fn pump(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
        window: u64,
    ) -> Result<(), Failure> {
        let Some(stream) = self.stream else { return Ok(()) };
        loop {
            let request = match self.held.take() {
                Some(held) => held,
                None if self.script.outstanding() >= window => return Ok(()),
                None => {
                    if self.block.capacity() < LARGEST {
                        let left = self.script.left().min(window).min(BLOCK as u64) as usize;
                        self.block = BytesMut::with_capacity((left * LARGEST).min(BLOCK));
                    }
                    if self.script.ask(&mut self.block).is_none() {
                        return Ok(());
                    }
                    self.block.split().freeze()
                }
            };
            let kept = request.clone();
            match endpoint.send(now, connection, stream, request, SendOptions::default()) {
                Ok(_) => {}
                Err(SendError::Blocked) => {
                    self.held = Some(kept);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The server: every message goes back as it came.
pub struct Echo {
    call: Call,
    /// Requests just taken, and answers that were not taken yet, by stream.
    batches: BTreeMap<(ConnectionHandle, StreamId), Batch>,
    requests: Batch,
    /// Answers that were not taken, by stream; while there is one, no more is read there.
    held: BTreeMap<(ConnectionHandle, StreamId), Bytes>,
}

impl Echo {
    /// A server that calls the engine this way.
    pub fn new(call: Call) -> Self {
        Self { call, batches: BTreeMap::new(), requests: Batch::new(), held: BTreeMap::new() }
    }

    /// Answers all that is there, many with a call.
    fn serve_batches(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Result<(), Failure> {
        let answers = self.batches.entry((connection, stream)).or_default();
        loop {
            if answers.is_empty() {
                let taken = endpoint.receive_batch(now, connection, stream, &mut self.requests)?;
                let BatchResult::Messages(_) = taken else { return Ok(()) };
                answers.extend(&self.requests);
                self.requests.clear();
            }
            match endpoint.send_batch(now, connection, stream, answers) {
                Ok(_) => {}
                Err(SendError::Blocked) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn serve(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        connection: ConnectionHandle,
        stream: StreamId,
    ) -> Result<(), Failure> {
        let mut held = self.held.remove(&(connection, stream));
        loop {
            let answer = match held.take() {
                Some(answer) => answer,
                None => match endpoint.receive(now, connection, stream)? {
                    ReceiveResult::Data(request) => request,
                    _ => return Ok(()),
                },
            };
            let kept = answer.clone();
            match endpoint.send(now, connection, stream, answer, SendOptions::default()) {
                Ok(_) => {}
                Err(SendError::Blocked) => {
                    self.held.insert((connection, stream), kept);
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl App for Echo {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        match event {
            Event::Readable { connection, stream } | Event::Writable { connection, stream } => {
                match self.call {
                    Call::Each => self.serve(endpoint, now, *connection, *stream),
                    Call::Batch => self.serve_batches(endpoint, now, *connection, *stream),
                }
            }
            _ => Ok(()),
        }
    }

    fn done(&self) -> bool {
        // The client says when it has all answers.
        false
    }
}
