//! `tripline perf`: throughput between two programs, or between two threads of one.
//!
//! The client sends messages of one size on some streams for some time; the server reads and
//! forgets them. What counts is what the server has acknowledged.

mod client;
mod report;
mod server;

use crate::figures::{CliError, complain, cpu_time, new_key, say, while_doing};
use crate::units;
use clap::builder::RangedU64ValueParser;
use client::Load;
use report::Summary;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tripline::{Config, ConnectOptions, TransportConfig};
use tripline_std::{Address, Client, ListenOptions, Listener, Options};

/// The largest message that a perf server takes.
const MESSAGE_MAX: u64 = 4 << 20;
/// The most streams that a perf server takes at once.
const STREAMS_MAX: u64 = 256;

/// Arguments of `tripline perf`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum Mode {
    /// Reads and forgets what clients send; prints the KEY@ADDRESS for them first.
    Server {
        /// Where to listen; port 0 lets the system choose.
        #[arg(default_value = "0.0.0.0:0")]
        address: SocketAddr,
        /// Ends after one client.
        #[arg(long)]
        once: bool,
        /// Print one JSON object for each client.
        #[arg(long)]
        json: bool,
    },
    /// Sends to a perf server.
    Client {
        /// What the server printed: KEY@HOST:PORT.
        address: Address,
        #[command(flatten)]
        load: LoadArgs,
    },
    /// Both sides in one process, over loopback.
    Local {
        #[command(flatten)]
        load: LoadArgs,
    },
}

#[derive(clap::Args, Clone, Copy, Debug)]
struct LoadArgs {
    /// How long to send, for example 10s or 500ms.
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// How many streams to send on at once.
    #[arg(long, default_value_t = 1)]
    #[arg(value_parser = RangedU64ValueParser::<u64>::new().range(1..=STREAMS_MAX))]
    streams: u64,
    /// How large each message is, for example 64KiB; at most 4MiB.
    #[arg(long, default_value = "64KiB", value_parser = parse_message_size)]
    message_size: u64,
    /// Send no more than this many bytes a second, for example 10MB; all streams together.
    #[arg(long, value_parser = parse_rate)]
    rate_cap: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
    /// Say once a second on standard error what is waited for.
    #[arg(long)]
    explain: bool,
}

fn parse_message_size(text: &str) -> Result<u64, String> {
    match units::size(text)? {
        size @ 1..=MESSAGE_MAX => Ok(size),
        _ => Err("1 byte to 4MiB".to_owned()),
    }
}

fn parse_rate(text: &str) -> Result<u64, String> {
    match units::size(text)? {
        0 => Err("nothing would ever be sent".to_owned()),
        rate => Ok(rate),
    }
}

impl LoadArgs {
    fn load(&self) -> Load {
        Load {
            duration: self.duration,
            streams: self.streams,
            message_size: self.message_size,
            rate_cap: self.rate_cap,
            explain: self.explain,
        }
    }
}

/// Runs one of the modes.
///
/// # Errors
/// Whatever went wrong.
pub(crate) fn run(args: &Args) -> Result<(), CliError> {
    match &args.mode {
        Mode::Server { address, once, json } => {
            let listener = Arc::new(listen(*address)?);
            let interrupts = server::end_on_signal(&listener)?;
            say(listener.address())?;
            let served = server::serve(&listener, *once, *json);
            if let Err(interrupted) = interrupts.came() {
                // It began when the signal came; here we wait for it.
                server::shut_down(&listener)?;
                return Err(interrupted.into());
            }
            served
        }
        Mode::Client { address, load } => {
            let client = Client::new(Config { transport: transport(), ..Config::client() })
                .map_err(while_doing("the socket"))?;
            let options = ConnectOptions::to(address.key);
            let connection = client.connect(address.target(), options)?;
            print(&client::send(&connection, &load.load(), talk(load.json))?, load.json)
        }
        Mode::Local { load } => print(&local(&load.load(), talk(load.json))?, load.json),
    }
}

/// Where progress goes: to standard error, line by line.
fn talk(json: bool) -> impl Fn(&str) {
    move |line| {
        if !json {
            complain(line);
        }
    }
}

fn print(summary: &Summary, json: bool) -> Result<(), CliError> {
    if json { say(serde_json::to_string(summary)?) } else { say(summary.table()) }
}

fn listen(address: SocketAddr) -> Result<Listener, CliError> {
    let config = Config { transport: transport(), ..Config::public_server(new_key("server")?) };
    Listener::bind(address, config, ListenOptions::default()).map_err(while_doing("the socket"))
}

/// Both sides in one process.
fn local(load: &Load, progress: impl Fn(&str)) -> Result<Summary, CliError> {
    let loopback = "127.0.0.1:0".parse().map_err(while_doing("loopback"))?;
    let listener = listen(loopback)?;
    let address: Address = listener.address().parse().map_err(while_doing("loopback"))?;
    let server = thread::Builder::new()
        .name("server".into())
        .spawn(move || server::serve_one(&listener))
        .map_err(while_doing("the server's thread"))?;
    let config = Config { transport: transport(), ..Config::client() };
    let client =
        Client::bind(loopback, config, &Options::default()).map_err(while_doing("the socket"))?;
    let connection = client.connect(address.target(), ConnectOptions::to(address.key))?;
    let cpu = cpu_time();
    let mut summary = client::send(&connection, load, progress)?;
    let received = server.join().map_err(|_| "the server panicked")??;
    summary.cpu_s = cpu_time().saturating_sub(cpu).as_secs_f64();
    summary.server = Some((&received.stats).into());
    if received.bytes != summary.bytes {
        let Summary { bytes, .. } = summary;
        return Err(format!("{bytes} bytes were sent and {} received", received.bytes).into());
    }
    Ok(summary)
}

/// Credit and buffers so large that the path, and not a window, is the limit.
fn transport() -> TransportConfig {
    TransportConfig {
        message_max: MESSAGE_MAX,
        stream_credit: 16 << 20,
        connection_credit: 64 << 20,
        send_buffer: 8 << 20,
        one_way_streams: STREAMS_MAX,
        ..TransportConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        let duration = Duration::from_millis(50);
        Load { duration, streams: 3, message_size: 10_000, rate_cap: None, explain: false }
    }

    /// What is acknowledged is what the server received: `local` compares.
    #[test]
    fn both_sides_agree_on_what_arrived() {
        let summary = local(&load(), |_| {}).expect("it runs");
        assert!(summary.bytes > 0 && summary.bytes.is_multiple_of(10_000));
        assert!(summary.table().contains("MB/s"));
        let json = serde_json::to_value(&summary).expect("JSON");
        assert!(json["server"]["packets_received"].as_u64().expect("a number") > 0);
    }

    #[test]
    fn the_cap_holds() {
        let load = Load { rate_cap: Some(1_000_000), ..load() };
        let summary = local(&load, |_| {}).expect("it runs");
        // Each stream sends its first message at once, and what is due in 50 ms.
        assert!((30_000..=80_000).contains(&summary.bytes), "{}", summary.bytes);
    }

    #[test]
    fn sizes_have_limits() {
        assert_eq!(parse_message_size("64KiB"), Ok(65_536));
        for wrong in ["0", "5MiB", "x"] {
            assert!(parse_message_size(wrong).is_err());
        }
        assert!(parse_rate("0").is_err());
    }
}
