//! What an idle connection costs on smol (row T18): the processor time of both its ends, by hand.
//!
//! ```console
//! cargo run --release -p tripline-smol --example idle_smol            # a minute
//! cargo run --release -p tripline-smol --example idle_smol -- 60 10   # keep-alive each 10 s
//! ```
#![forbid(unsafe_code)]

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tripline::{Config, ConnectOptions, SecretKey};
use tripline_smol::{Endpoint, Error, ListenOptions, Smol};

/// The time that this process has spent on a processor, user and system.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Measures, and says what was found.
fn main() -> Result<(), Error> {
    async_io::block_on(measure())
}

async fn measure() -> Result<(), Error> {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let time = Duration::from_secs(args.next().unwrap_or(60));
    let keep_alive = Duration::from_secs(args.next().unwrap_or(0));
    let quiet = |mut config: Config| {
        config.transport.idle_timeout = Duration::ZERO;
        config.transport.keep_alive = keep_alive;
        config
    };
    let key = SecretKey::from_bytes([9; 32]);
    let how = ConnectOptions::to(key.public_key());
    let any = "127.0.0.1:0".parse().map_err(|_| Error::Ended)?;
    let runtime = Smol::new();
    let config = quiet(Config::public_server(key));
    let server = Endpoint::listen(&runtime, any, config, ListenOptions::default())?;
    let client = Endpoint::client(&runtime, quiet(Config::client()))?;
    let connection = client.connect(server.local_addr(), how).await?;
    let accepted = server.accept().await?;
    // What follows the handshake, such as the search for the largest datagram, is over by then.
    async_io::Timer::after(Duration::from_secs(3)).await;
    let turns = || connection.stats().turns.turns + accepted.stats().turns.turns;
    let (before, turns_before) = (processor_time(), turns());
    async_io::Timer::after(time).await;
    println!(
        "both ends, {time:?}, keep-alive {keep_alive:?}: {:.3} ms of processor time, {} turns",
        processor_time().saturating_sub(before).as_secs_f64() * 1_000.0,
        turns() - turns_before
    );
    Ok(())
}
