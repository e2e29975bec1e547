//! Requests over our own engine: ordered messages on one two-way stream of each connection.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use tripline::{
    Config, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SendError, SendOptions,
    StreamId, StreamOptions, TransportConfig,
};
use tripline_sansio::{Duration, Instant};

use super::connects::GUARD;
use super::{App, Run, Target};
use crate::meter::Mark;
use crate::script::{LARGEST, Script};
use crate::task::{Failure, Record, Task, complete};

/// Bytes of a block that requests are cut from, so that each needs no memory of its own.
const BLOCK: usize = 16 << 10;

/// Pipelined, as fast as credit allows.
pub fn requests(task: &Task) -> Result<Record, Failure> {
    run(task, u64::MAX)
}

/// One request outstanding on each connection.
pub fn unbatched(task: &Task) -> Result<Record, Failure> {
    run(task, 1)
}

fn run(task: &Task, window: u64) -> Result<Record, Failure> {
    let wanted = *task;
    let mut run = Run::new(task);
    run.server = for_many(run.server, task);
    run.client = for_many(run.client, task);
    let (_, client) = run.go(Echo::default, move |endpoint, now, target| {
        Asker::connect(endpoint, now, target, &wanted, window)
    })?;
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
    window: u64,
    connections: u64,
    requests: u64,
    lines: BTreeMap<ConnectionHandle, Line>,
    connected: u64,
    done: u64,
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
    ) -> Result<Self, Failure> {
        let mut asker = Self {
            target,
            window,
            connections: task.connections,
            requests: task.requests,
            lines: BTreeMap::new(),
            connected: 0,
            done: 0,
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
        let line = Line { script, stream: None, block: BytesMut::new(), held: None };
        self.lines.insert(connection, line);
        Ok(())
    }

    /// All connected: a stream on each, and the first requests.
    fn begin(&mut self, endpoint: &mut Endpoint, now: Instant) -> Result<(), Failure> {
        self.begun = Some(Mark::now());
        for (connection, line) in &mut self.lines {
            let options = StreamOptions::two_way(Order::Ordered);
            line.stream = Some(endpoint.open(now, *connection, options)?);
            line.pump(endpoint, now, *connection, self.window)?;
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
                if line.hear(endpoint, now, *connection, *stream)? {
                    self.done += 1;
                    if self.done == self.connections {
                        self.ended = Some(Mark::now());
                    }
                } else {
                    line.pump(endpoint, now, *connection, self.window)?;
                }
            }
            Event::Writable { connection, .. } => {
                let line = self.lines.get_mut(connection).ok_or("an unknown connection")?;
                line.pump(endpoint, now, *connection, self.window)?;
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

/// The server: every message goes back as it came, without a copy.
#[derive(Default)]
pub struct Echo {
    /// Answers that were not taken, by stream; while there is one, no more is read there.
    held: BTreeMap<(ConnectionHandle, StreamId), Bytes>,
}

impl Echo {
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
                self.serve(endpoint, now, *connection, *stream)
            }
            _ => Ok(()),
        }
    }

    fn done(&self) -> bool {
        // The client says when it has all answers.
        false
    }
}
