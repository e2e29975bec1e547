//! What an idle connection costs (row T18): the processor time of both its ends, by hand.
//!
//! ```console
//! cargo run --release -p tripline-std --example idle_std               # a minute
//! cargo run --release -p tripline-std --example idle_std -- 600        # ten
//! cargo run --release -p tripline-std --example idle_std -- 60 10      # keep-alives each 10 s
//! ```
#![forbid(unsafe_code)]

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;
use tripline::{Config, ConnectOptions, SecretKey};
use tripline_std::{Client, Error, ListenOptions, Listener, Options};

/// The time that all threads of this process have spent on a processor, user and system.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Measures, and says what was found.
pub(crate) fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let time = Duration::from_secs(args.next().unwrap_or(60));
    let keep_alive = Duration::from_secs(args.next().unwrap_or(0));
    let quiet = |mut config: Config| {
        config.transport.idle_timeout = Duration::ZERO;
        config.transport.keep_alive = keep_alive;
        config
    };
    let key = SecretKey::from_bytes([9; 32]);
    let public = key.public_key();
    let any = "127.0.0.1:0".parse().map_err(|_| Error::Ended)?;
    let server = quiet(Config::public_server(key));
    let server = Listener::bind(any, server, ListenOptions::default())?;
    let client = Client::bind(any, quiet(Config::client()), &Options::default())?;
    let ours = client.connect(server.local_addr(), ConnectOptions::to(public))?;
    let theirs = server.accept()?.with_timeout(time);
    // What follows the handshake, such as the search for the largest datagram, is over by then.
    let ours = ours.with_timeout(Duration::from_secs(3));
    let _ = ours.wait_closed();
    let (before, turns) = (processor_time(), server.stats()?.turns);
    // The main thread waits as well, and for nothing.
    let open = matches!(theirs.wait_closed(), Err(Error::TimedOut));
    assert!(open && ours.agreed().is_ok(), "the connection did not last");
    let (spent, after) = (processor_time().saturating_sub(before), server.stats()?.turns);
    println!(
        "both ends, {time:?}, keep-alive {keep_alive:?}: {:.3} ms of processor time, \
         {} waits of the server",
        spent.as_secs_f64() * 1_000.0,
        after.waits - turns.waits
    );
    Ok(())
}
