//! `tripline demo`: a client and a server, each with its own socket and threads, over loopback.
//!
//! Goes through what the transport does for a living: a handshake, bulk, many small requests, a
//! burst nobody waits for. All figures come from counters and clocks of this run.

mod report;
mod server;

use crate::figures::{CliError, cpu_time, micros, new_key, percentile, say, short, while_doing};
use indicatif::{ProgressBar, ProgressStyle};
use report::{Bulk, Burst, Handshake, Report, Requests};
use std::io::IsTerminal;
use std::thread;
use std::time::{Duration, Instant};
use tripline::{
    Config, ConnectOptions, Order, SecretKey, SendOptions, StreamOptions, TransportConfig,
};
use tripline_std::{Client, Connection, ListenOptions, Listener, Options, Stream};

/// What the demo sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Volume {
    pub(crate) bulk_messages: u64,
    pub(crate) bulk_size: usize,
    pub(crate) single_requests: usize,
    pub(crate) requests: usize,
    pub(crate) request_size: usize,
    pub(crate) burst: u64,
}

const VOLUME: Volume = Volume {
    bulk_messages: 1_024,
    bulk_size: 64 << 10,
    single_requests: 1_000,
    requests: 10_000,
    request_size: 64,
    burst: 1_000,
};

/// How long the end may take.
const GRACE: Duration = Duration::from_secs(10);

/// Arguments of `tripline demo`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct Args {
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Runs the demo and prints what it found.
///
/// # Errors
/// Whatever part did not work.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    let report = measure(&VOLUME, !args.json)?;
    if args.json {
        say(serde_json::to_string(&report)?)
    } else {
        say(format_args!("\n{}", report.table()))
    }
}

/// Plays both sides and measures; tells the user what is going on if `talk`.
fn measure(volume: &Volume, talk: bool) -> Result<Report, CliError> {
    let (server_key, client_key) = (new_key("server")?, new_key("client")?);
    let loopback = "127.0.0.1:0".parse().map_err(while_doing("loopback"))?;
    let clients = [client_key.public_key()];
    let config =
        Config { transport: transport(), ..Config::private_server(server_key.clone(), clients) };
    let listener = Listener::bind(loopback, config, ListenOptions::default())
        .map_err(while_doing("the server's socket"))?;
    let address = listener.local_addr();
    let server = thread::Builder::new()
        .name("server".into())
        .spawn(move || server::serve(&listener))
        .map_err(while_doing("the server's thread"))?;

    let (cpu, began) = (cpu_time(), Instant::now());
    let config =
        Config { identity: Some(client_key.clone()), transport: transport(), ..Config::client() };
    let client = Client::bind(loopback, config, &Options::default())
        .map_err(while_doing("the client's socket"))?;
    let options = ConnectOptions::to(server_key.public_key());
    let connection = client.connect(address, options)?;
    let handshake = handshake(&connection, &client_key)?;
    if talk {
        say(&handshake)?;
    }
    let bulk = bulk(&connection, volume)?;
    let requests = requests(&connection, volume)?;
    let burst = burst(&connection, volume)?;
    connection.close(GRACE).map_err(while_doing("closing"))?;
    let elapsed = began.elapsed();
    let stats = connection.stats().map_err(while_doing("the counters"))?;
    let served = server.join().map_err(|_| "the server panicked")??;
    served.check(volume)?;
    Ok(Report {
        handshake,
        bulk,
        requests,
        burst: Burst { received: served.burst, ..burst },
        client: (&stats).into(),
        server: (&served.stats).into(),
        elapsed_s: elapsed.as_secs_f64(),
        cpu_s: (cpu_time().saturating_sub(cpu)).as_secs_f64(),
    })
}

/// Room enough that loopback and not a window is the limit.
fn transport() -> TransportConfig {
    TransportConfig {
        stream_credit: 8 << 20,
        connection_credit: 32 << 20,
        send_buffer: 4 << 20,
        ..TransportConfig::default()
    }
}

/// What is known of the handshake.
fn handshake(connection: &Connection, client_key: &SecretKey) -> Result<Handshake, CliError> {
    let stats = connection.stats().map_err(while_doing("the counters"))?;
    let server_key = connection.peer().ok_or("the server proved no key")?;
    let cipher = if tripline_std::hardware_aes() { "AESGCM_SHA256" } else { "ChaChaPoly_BLAKE2s" };
    Ok(Handshake {
        server_key: short(server_key),
        client_key: short(client_key.public_key()),
        // The client has an identity and knows the server's key: that is IK (PROTOCOL.md §2.2).
        suite: format!("Noise_IK_25519_{cipher}"),
        phases: connection
            .phases()
            .iter()
            .map(|(state, at)| report::Phase { state: format!("{state:?}"), at_us: at.as_micros() })
            .collect(),
        time_us: micros(Duration::from_nanos(stats.connection.handshake_ns)),
    })
}

fn open(connection: &Connection, options: StreamOptions) -> Result<Stream, CliError> {
    connection.open(options).map_err(while_doing("opening a stream"))
}

/// One large transfer: reliable, in order.
fn bulk(connection: &Connection, volume: &Volume) -> Result<Bulk, CliError> {
    let stream = open(connection, StreamOptions::one_way(Order::Ordered))?;
    let total = volume.bulk_messages * volume.bulk_size as u64;
    let bar = if std::io::stderr().is_terminal() {
        ProgressBar::new(total)
    } else {
        ProgressBar::hidden()
    };
    let style = "{bar:40} {bytes}/{total_bytes} {binary_bytes_per_sec}";
    bar.set_style(ProgressStyle::with_template(style).map_err(while_doing("the progress bar"))?);
    let began = Instant::now();
    for number in 0..volume.bulk_messages {
        stream.send(server::bulk_message(number, volume.bulk_size)).map_err(while_doing("bulk"))?;
        bar.inc(volume.bulk_size as u64);
    }
    stream.finish();
    let settled = stream.settled().map_err(while_doing("bulk"))?;
    let elapsed = began.elapsed();
    bar.finish_and_clear();
    if settled.acked != volume.bulk_messages {
        return Err(format!("bulk: only {} messages arrived", settled.acked).into());
    }
    Ok(Bulk::new(volume, elapsed))
}

/// Small requests: one at a time for the round trip, then all at once for the rate.
fn requests(connection: &Connection, volume: &Volume) -> Result<Requests, CliError> {
    let doing = "requests";
    let stream = open(connection, StreamOptions::two_way(Order::Unordered))?;
    let request = vec![0x5a; volume.request_size];
    let mut trips = Vec::with_capacity(volume.single_requests);
    for _ in 0..volume.single_requests {
        let began = Instant::now();
        stream.send(request.clone()).map_err(while_doing(doing))?;
        stream.receive().map_err(while_doing(doing))?.ok_or("the server gave no answer")?;
        trips.push(began.elapsed());
    }
    trips.sort_unstable();
    let began = Instant::now();
    let answers = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            (0..volume.requests).try_for_each(|_| stream.send(request.clone()))?;
            stream.finish();
            Ok::<_, tripline_std::Error>(())
        });
        let mut answers = 0;
        while stream.receive().map_err(while_doing(doing))?.is_some() {
            answers += 1;
        }
        sender.join().map_err(|_| "the sender panicked")?.map_err(while_doing(doing))?;
        Ok::<_, CliError>(answers)
    })?;
    let elapsed = began.elapsed();
    if answers != volume.requests {
        return Err(format!("requests: {answers} answers to {}", volume.requests).into());
    }
    Ok(Requests::new(volume, elapsed, percentile(&trips, 50), percentile(&trips, 99)))
}

/// Messages that are sent once and forgotten.
fn burst(connection: &Connection, volume: &Volume) -> Result<Burst, CliError> {
    let stream = open(connection, StreamOptions::one_way(Order::Unordered))?;
    for _ in 0..volume.burst {
        let message = vec![0xa5; volume.request_size];
        stream.send_with(message, SendOptions::UNRELIABLE).map_err(while_doing("the burst"))?;
    }
    stream.finish();
    stream.settled().map_err(while_doing("the burst"))?;
    Ok(Burst { sent: volume.burst, received: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole demo, in small, with all its own checks; and its JSON has what the table has.
    #[test]
    fn the_demo_runs_in_small() {
        let volume = Volume {
            bulk_messages: 20,
            bulk_size: 10_000,
            single_requests: 5,
            requests: 50,
            request_size: 64,
            burst: 20,
        };
        let report = measure(&volume, false).expect("the demo runs");
        assert!(report.table().contains("handshake"));
        let json = serde_json::to_value(&report).expect("JSON");
        assert_eq!(json["requests"]["count"], 50);
        assert_eq!(json["handshake"]["phases"][0]["state"], "Opening");
        assert!(json["client"]["packets_sent"].as_u64().expect("a number") > 50);
        assert!(json["burst"]["received"].as_u64().expect("a number") <= 20);
    }
}
