//! `tripline ping`: round trips of small unreliable messages, echoed by any serving command.

use crate::figures::{CliError, micros, say, while_doing};
use crate::net;
use std::thread;
use std::time::{Duration, Instant};
use tripline::{Order, SendOptions, StreamOptions};
use tripline_std::{Connection, Error, Stream};

/// Arguments of `ping`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    peer: net::Peer,
    /// How many.
    #[arg(short, long, default_value_t = 4)]
    count: u32,
    /// How long to wait between two, and for each answer at most.
    #[arg(short, long, default_value = "1s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Prints one JSON object at the end.
    #[arg(long)]
    json: bool,
}

/// Pings, and prints each round trip and their summary. Fails if nothing came back.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let connection = net::connect(&args.peer, net::PING)?;
    let stream = connection
        .open(StreamOptions::two_way(Order::Unordered))
        .map_err(while_doing("opening the stream"))?;
    let mut trips = Vec::new();
    for number in 0..args.count {
        let began = Instant::now();
        if let Some(trip) = once(&stream, number, args.interval).map_err(while_doing("pinging"))? {
            if !args.json {
                say(format_args!("{number}: {:.1} µs", micros(trip)))?;
            }
            trips.push(trip);
        } else if !args.json {
            say(format_args!("{number}: lost"))?;
        }
        if number + 1 < args.count {
            let next = began + args.interval;
            thread::park_timeout(next.saturating_duration_since(Instant::now()));
        }
    }
    report(args, &trips)?;
    let _ = connection.close(Duration::from_secs(1));
    if trips.is_empty() { Err("no answer came back".into()) } else { Ok(()) }
}

/// One round trip; `None` if no answer came in time. Answers to earlier pings are passed over.
fn once(stream: &Stream, number: u32, limit: Duration) -> Result<Option<Duration>, Error> {
    let began = Instant::now();
    stream.send_with(number.to_be_bytes().to_vec(), SendOptions::UNRELIABLE)?;
    loop {
        match stream.receive_timeout(limit.saturating_sub(began.elapsed())) {
            Ok(Some(answer)) if answer[..] == number.to_be_bytes() => {
                return Ok(Some(began.elapsed()));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(Error::TimedOut) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

fn report(args: &Args, trips: &[Duration]) -> Result<(), CliError> {
    let lost = args.count as usize - trips.len();
    let least = trips.iter().min().copied().unwrap_or_default();
    let most = trips.iter().max().copied().unwrap_or_default();
    let mean = trips.iter().sum::<Duration>() / u32::try_from(trips.len().max(1)).unwrap_or(1);
    if args.json {
        let object = serde_json::json!({
            "sent": args.count, "lost": lost,
            "min_us": micros(least), "mean_us": micros(mean), "max_us": micros(most),
        });
        say(object)
    } else {
        say(format_args!(
            "{} sent, {lost} lost; min {:.1}, mean {:.1}, max {:.1} µs",
            args.count,
            micros(least),
            micros(mean),
            micros(most)
        ))
    }
}

/// Echoes what comes on a connection, on a thread of its own.
pub(crate) fn answer_in_background(connection: Connection) -> Result<(), CliError> {
    let echo = move || -> Result<(), Error> {
        while let Ok(stream) = connection.accept_stream() {
            while let Some(message) = stream.receive()? {
                stream.send_with(message, SendOptions::UNRELIABLE)?;
            }
        }
        Ok(())
    };
    thread::Builder::new()
        .name("ping".into())
        .spawn(move || {
            // A client that pings and goes away is no news.
            let _ = echo();
        })
        .map(|_| ())
        .map_err(while_doing("a thread for pings"))
}
