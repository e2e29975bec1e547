//! Round trips over our own engine: one ordered message there and back.

use std::time;

use bytes::Bytes;
use tripline::{
    ConnectionHandle, Endpoint, Event, Order, ReceiveResult, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::Instant;

use super::requests::{Call, Echo};
use super::{App, Run, Target};
use crate::latency::{PING, Times};
use crate::task::{Failure, Record, Task, complete};

/// The round trips once; both sides are pinned.
pub fn pingpong(task: &Task) -> Result<Record, Failure> {
    let pings = task.pings;
    let run = Run { pin: true, ..Run::new(task) };
    let (_, client) = run.go(
        || Echo::new(Call::Each),
        move |endpoint, now, target| Player::connect(endpoint, now, target, pings),
    )?;
    complete("round trips", u64::from(!client.times.wants_more()), 1)?;
    Ok(client.times.record())
}

struct Player {
    connection: ConnectionHandle,
    stream: Option<StreamId>,
    begun: time::Instant,
    times: Times,
}

impl Player {
    fn connect(
        endpoint: &mut Endpoint,
        now: Instant,
        target: Target,
        pings: u64,
    ) -> Result<Self, Failure> {
        let connection = target.connect(endpoint, now)?;
        let times = Times::new(pings);
        Ok(Self { connection, stream: None, begun: time::Instant::now(), times })
    }

    fn ping(&mut self, endpoint: &mut Endpoint, now: Instant) -> Result<(), Failure> {
        let Some(stream) = self.stream.filter(|_| self.times.wants_more()) else { return Ok(()) };
        self.begun = time::Instant::now();
        let ping = Bytes::copy_from_slice(&PING);
        endpoint.send(now, self.connection, stream, ping, SendOptions::default())?;
        Ok(())
    }
}

impl App for Player {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        match event {
            Event::Connected { .. } => {
                let options = StreamOptions::two_way(Order::Ordered);
                self.stream = Some(endpoint.open(now, self.connection, options)?);
                self.ping(endpoint, now)
            }
            Event::Readable { connection, stream } => {
                while let ReceiveResult::Data(pong) = endpoint.receive(now, *connection, *stream)? {
                    self.times.add(self.begun.elapsed());
                    if pong != PING[..] {
                        return Err("an answer is wrong".into());
                    }
                    self.ping(endpoint, now)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn done(&self) -> bool {
        !self.times.wants_more()
    }
}
