//! Messages of 64 bytes on one ordered stream of our own engine: many with a call on both sides, or
//! a call for each.

use bytes::Bytes;
use tripline::{
    Batch, BatchResult, Config, ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SendError,
    SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::Instant;

use super::Costs;
use super::ours::Pair;
use crate::task::{Failure, Record, Task, complete};
use crate::tripline::bulk::{MESSAGES_1200, transport};
use crate::tripline::requests::{BATCH, Call};
use crate::tripline::{App, with_suite};

/// Bytes of a message.
pub const MESSAGE: usize = 64;

/// What is sent, again and again; each message is another piece of it, so that order shows.
pub static BLOCK: [u8; 256 + MESSAGE] = block();

const fn block() -> [u8; 256 + MESSAGE] {
    let mut block = [0; 256 + MESSAGE];
    let mut at = 0;
    while at < block.len() {
        block[at] = (at % 256) as u8;
        at += 1;
    }
    block
}

/// Message `number`.
pub fn message(number: u64) -> &'static [u8] {
    let at = (number % 256) as usize;
    &BLOCK[at..at + MESSAGE]
}

/// Moves them all once, in batches.
pub fn messages(task: &Task) -> Result<Record, Failure> {
    Ok(costs(task, Call::Batch)?.per_message(task.messages))
}

/// Moves them all once, with a call for each on both sides.
pub fn messages_each(task: &Task) -> Result<Record, Failure> {
    Ok(costs(task, Call::Each)?.per_message(task.messages))
}

/// The same, as costs.
pub fn costs(task: &Task, call: Call) -> Result<Costs, Failure> {
    let config = |config: Config| {
        with_suite(Config { transport: transport(task, MESSAGES_1200), ..config }, task.suite)
    };
    let sink = Sink { call, asked: task.messages, received: 0, batch: Batch::new() };
    let mut pair = Pair::new(
        config(Config::default()),
        config(Config::client()),
        sink,
        |endpoint, now, target| {
            let connection = target.connect(endpoint, now)?;
            Ok(Source {
                call,
                connection,
                stream: None,
                sent: 0,
                asked: task.messages,
                batch: Batch::new(),
            })
        },
    )?;
    let costs = pair.run(task.messages)?;
    complete("messages", pair.progress(), task.messages)?;
    Ok(costs)
}

struct Source {
    call: Call,
    connection: ConnectionHandle,
    stream: Option<StreamId>,
    sent: u64,
    asked: u64,
    /// What was not taken yet.
    batch: Batch,
}

impl Source {
    fn pump(&mut self, endpoint: &mut Endpoint, now: Instant) -> Result<(), Failure> {
        let Some(stream) = self.stream else { return Ok(()) };
        if self.call == Call::Batch {
            return self.pump_batches(endpoint, now, stream);
        }
        while self.sent < self.asked {
            let data = Bytes::from_static(message(self.sent));
            match endpoint.send(now, self.connection, stream, data, SendOptions::default()) {
                Ok(_) => self.sent += 1,
                Err(SendError::Blocked) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Source {
    fn pump_batches(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        stream: StreamId,
    ) -> Result<(), Failure> {
        loop {
            while self.sent < self.asked && self.batch.bytes() < BATCH {
                self.batch.push(message(self.sent));
                self.sent += 1;
            }
            if self.batch.is_empty() {
                return Ok(());
            }
            match endpoint.send_batch(now, self.connection, stream, &mut self.batch) {
                Ok(_) => {}
                Err(SendError::Blocked) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
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
                let options = StreamOptions::one_way(Order::Ordered);
                self.stream = Some(endpoint.open(now, self.connection, options)?);
                self.pump(endpoint, now)
            }
            Event::Writable { .. } => self.pump(endpoint, now),
            _ => Ok(()),
        }
    }

    fn done(&self) -> bool {
        false
    }
}

struct Sink {
    call: Call,
    asked: u64,
    received: u64,
    batch: Batch,
}

impl Sink {
    fn take(&mut self, data: &[u8]) -> Result<(), Failure> {
        if data != message(self.received) {
            return Err(format!("message {} is wrong", self.received).into());
        }
        self.received += 1;
        Ok(())
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
        if self.call == Call::Batch {
            let mut batch = std::mem::take(&mut self.batch);
            while let BatchResult::Messages(_) =
                endpoint.receive_batch(now, *connection, *stream, &mut batch)?
            {
                batch.iter().try_for_each(|data| self.take(data))?;
                batch.clear();
            }
            self.batch = batch;
            return Ok(());
        }
        while let ReceiveResult::Data(data) = endpoint.receive(now, *connection, *stream)? {
            self.take(&data)?;
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.received == self.asked
    }

    fn progress(&self) -> u64 {
        self.received
    }
}
