//! The sending side.

use super::report::Summary;
use crate::figures::{CliError, cpu_time, megabytes_per_second, while_doing};
use bytes::Bytes;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};
use tripline::{Order, SendError, StreamOptions};
use tripline_std::{Connection, Error, Stream};

/// How long the last messages may take to arrive.
const GRACE: Duration = Duration::from_secs(30);
/// How often progress is told.
const TICK: Duration = Duration::from_secs(1);

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) duration: Duration,
    pub(super) streams: u64,
    pub(super) message_size: u64,
    /// Bytes a second, all streams together.
    pub(super) rate_cap: Option<u64>,
    /// Whether to tell what is waited for.
    pub(super) explain: bool,
}

/// Sends, waits until all of it has arrived, and closes the connection.
pub(super) fn send(
    connection: &Connection,
    load: &Load,
    progress: impl Fn(&str),
) -> Result<Summary, CliError> {
    let options = StreamOptions::one_way(Order::Ordered);
    let streams: Vec<Stream> = (0..load.streams)
        .map(|_| connection.open(options))
        .collect::<Result<_, _>>()
        .map_err(while_doing("opening streams"))?;
    let size = usize::try_from(load.message_size)?;
    let payload = Bytes::from(vec![0x55; size]);
    let cpu = cpu_time();
    let began = Instant::now();
    thread::scope(|scope| {
        let (done, all_done) = channel::<()>();
        let senders: Vec<_> = streams
            .iter()
            .map(|stream| {
                let (payload, done) = (payload.clone(), done.clone());
                scope.spawn(move || {
                    let result = feed(stream, &payload, load, began);
                    drop(done);
                    result
                })
            })
            .collect();
        drop(done);
        let mut last = (began, 0);
        // Nothing is ever sent on the channel: it closes when the last sender is done.
        while let Err(RecvTimeoutError::Timeout) = all_done.recv_timeout(TICK) {
            let now = Instant::now();
            let acked = acked(&streams) * load.message_size;
            let rate = megabytes_per_second(acked - last.1, now - last.0);
            let retransmissions =
                connection.stats().map_or(0, |stats| stats.connection.retransmissions);
            let at = (now - began).as_secs_f64();
            progress(&format!("{at:6.1} s  {rate:8.1} MB/s  {retransmissions} retransmissions"));
            if load.explain
                && let Ok(found) = connection.explain()
            {
                progress(&found.to_string());
            }
            last = (now, acked);
        }
        for sender in senders {
            let sent = sender.join().map_err(|_| "a sender panicked")?;
            sent.map_err(|error| reason(connection, error)).map_err(while_doing("sending"))?;
        }
        Ok::<_, CliError>(())
    })?;
    let elapsed = began.elapsed();
    let messages = acked(&streams);
    let cpu = cpu_time().saturating_sub(cpu);
    drop(streams);
    connection.close(GRACE).map_err(while_doing("closing"))?;
    let stats = connection.stats().map_err(while_doing("the counters"))?;
    Ok(Summary::new(load, messages, elapsed, cpu, &stats))
}

/// The peer may be leaving when a message comes: then how it ends says more than that it does.
fn reason(connection: &Connection, error: Error) -> Error {
    match error {
        Error::Send(SendError::Closing) => {
            // Also an orderly end is one that we did not want: a call after it names it.
            let end = connection.wait_closed();
            end.and_then(|()| connection.open(StreamOptions::one_way(Order::Bytes)).map(drop))
                .err()
                .unwrap_or(error)
        }
        error => error,
    }
}

fn acked(streams: &[Stream]) -> u64 {
    streams.iter().map(|stream| stream.progress().acked).sum()
}

/// Sends on one stream until the time is over, and waits until all of it has arrived.
fn feed(stream: &Stream, payload: &Bytes, load: &Load, began: Instant) -> Result<(), Error> {
    let mut sent: u64 = 0;
    loop {
        if let Some(cap) = load.rate_cap {
            let due = sent as f64 * load.streams as f64 / cap as f64;
            let due = began + Duration::from_secs_f64(due).min(load.duration);
            // Nobody unparks this thread; should that change, the loop asks the clock again.
            thread::park_timeout(due.saturating_duration_since(Instant::now()));
        }
        if began.elapsed() >= load.duration {
            break;
        }
        stream.send(payload.clone())?;
        sent += payload.len() as u64;
    }
    stream.finish();
    stream.settled().map(|_| ())
}
