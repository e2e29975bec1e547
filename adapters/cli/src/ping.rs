//! `ping`: round trips of small messages.

use crate::args;
use crate::fail::{Fail, Result, print};
use crate::host::{PING, PING_STREAM};
use crate::net::{Session, Step, closed, guarded, lost};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tripline::{ConnectionHandle, Event, ReceiveResult, SendError, SendOptions, StreamId};

/// `tripline ping`.
pub(crate) fn ping(args: &args::Ping, json: bool) -> Result {
    let mut session = Session::client(&args.remote, &args.client)?;
    let connection = session.connect(&args.remote, PING, args.client.timeout)?;
    let (sent, trips) = guarded(&mut session, |session| {
        let opened = session.with(|endpoint, now| endpoint.open(now, connection, PING_STREAM));
        let stream =
            opened.map_err(|error| Fail::network(format_args!("cannot open a stream: {error}")))?;
        let mut run = Run {
            session,
            connection,
            stream,
            args,
            json,
            sent: 0,
            away: BTreeMap::new(),
            trips: Vec::new(),
        };
        run.go()?;
        Ok((run.sent, run.trips))
    })?;
    let handshake = session.endpoint().connection_stats(connection).map(|all| all.handshake_ns);
    let shown = summary(sent, &trips, Duration::from_nanos(handshake.unwrap_or(0)), json);
    let shown = shown.and(print_nothing_more(sent, trips.len()));
    session.close(connection).and(shown)
}

/// No answer at all is a failure.
fn print_nothing_more(sent: u64, answers: usize) -> Result {
    if answers == 0 && sent > 0 {
        return Err(Fail::network(format_args!("none of {sent} pings was answered")));
    }
    Ok(())
}

struct Run<'a> {
    session: &'a mut Session,
    connection: ConnectionHandle,
    stream: StreamId,
    args: &'a args::Ping,
    json: bool,
    sent: u64,
    /// When the ones were sent that are not back.
    away: BTreeMap<u64, Instant>,
    trips: Vec<Duration>,
}

impl Run<'_> {
    fn go(&mut self) -> Result {
        let mut next = Instant::now();
        loop {
            let more = self.args.count == 0 || self.sent < self.args.count;
            if more && Instant::now() >= next {
                self.send()?;
                next += self.args.interval;
                continue;
            }
            if !more && self.away.is_empty() {
                return Ok(());
            }
            let last = self.away.last_key_value().map(|(_, at)| *at);
            let limit = if more { next } else { last.unwrap_or(next) + self.args.wait };
            match self.session.next(Some(limit)) {
                Ok(Step::Event(event)) => self.on(event)?,
                Ok(Step::TimedOut) if !more => return Ok(()),
                Ok(_) => {}
                // The usual end of an endless ping: what was measured is still shown.
                Err(fail) if self.args.count == 0 && fail.number() > 128 => return Ok(()),
                Err(fail) => return Err(fail),
            }
        }
    }

    fn send(&mut self) -> Result {
        let number = self.sent;
        self.sent += 1;
        // Lost ones are not sent again, so that losses show.
        let mut message = number.to_be_bytes().to_vec();
        message.resize(self.args.size, 0);
        let (connection, stream) = (self.connection, self.stream);
        let options = SendOptions::UNRELIABLE;
        match self.session.with(|end, now| end.send(now, connection, stream, message, options)) {
            Ok(_) => {
                // An endless ping keeps no more than this many losses in memory.
                if self.away.len() >= 65_536 {
                    self.away.pop_first();
                }
                self.away.insert(number, Instant::now());
                Ok(())
            }
            Err(SendError::Blocked) => Ok(()),
            Err(error) => Err(Fail::network(format_args!("cannot send: {error}"))),
        }
    }

    fn on(&mut self, event: Event) -> Result {
        match event {
            Event::Readable { stream, .. } if stream == self.stream => self.take(),
            Event::Closed { code, reason, .. } => {
                closed(code, &reason)?;
                Err(Fail::network("the server ended the connection"))
            }
            Event::Lost { cause, .. } => Err(lost(&cause)),
            _ => Ok(()),
        }
    }

    fn take(&mut self) -> Result {
        let (connection, stream) = (self.connection, self.stream);
        loop {
            match self.session.with(|end, now| end.receive(now, connection, stream)) {
                Ok(ReceiveResult::Data(message)) => {
                    let number = message.first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
                    let at = number.and_then(|number| self.away.remove(&number));
                    // One that was counted already, or that we never sent, says nothing.
                    let (Some(number), Some(at)) = (number, at) else { continue };
                    let trip = at.elapsed();
                    self.trips.push(trip);
                    self.show(number, message.len(), trip)?;
                }
                Ok(_) => return Ok(()),
                Err(error) => return Err(Fail::network(format_args!("cannot receive: {error}"))),
            }
        }
    }

    fn show(&self, number: u64, bytes: usize, trip: Duration) -> Result {
        let ms = millis(trip);
        if self.json {
            print(serde_json::json!({"event": "pong", "number": number, "bytes": bytes, "ms": ms}))
        } else {
            print(format_args!(
                "{bytes} bytes from {}: number {number}, {ms:.3} ms",
                self.args.remote.at
            ))
        }
    }
}

fn summary(sent: u64, trips: &[Duration], handshake: Duration, json: bool) -> Result {
    let received = trips.len() as u64;
    let lost = sent.saturating_sub(received) as f64 * 100.0 / sent.max(1) as f64;
    let min = trips.iter().min().copied().map(millis);
    let max = trips.iter().max().copied().map(millis);
    let total: Duration = trips.iter().sum();
    let avg = (received > 0).then(|| millis(total) / received as f64);
    let handshake = millis(handshake);
    if json {
        return print(serde_json::json!({
            "event": "summary", "sent": sent, "received": received, "loss_percent": lost,
            "min_ms": min, "avg_ms": avg, "max_ms": max, "handshake_ms": handshake,
        }));
    }
    let line =
        format!("{sent} sent, {received} received, {lost:.1}% lost, handshake {handshake:.3} ms");
    match (min, avg, max) {
        (Some(min), Some(avg), Some(max)) => {
            print(format_args!("{line}, min/avg/max {min:.3}/{avg:.3}/{max:.3} ms"))
        }
        _ => print(line),
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
