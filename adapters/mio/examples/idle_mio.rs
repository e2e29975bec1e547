//! What an idle connection costs in a poll of mio (row T18): the processor time of both its ends,
//! by hand.
//!
//! ```console
//! cargo run --release -p tripline-mio --example idle_mio               # a minute
//! cargo run --release -p tripline-mio --example idle_mio -- 60 10      # keep-alives each 10 s
//! ```
#![forbid(unsafe_code)]

use mio::{Events, Interest, Poll, Token};
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};
use tripline::{Config, ConnectOptions, SecretKey};
use tripline_mio::{Error, Options, bind};

/// The time that this process has spent on a processor, user and system.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Measures, and says what was found.
fn main() -> Result<(), Error> {
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
    let options = Options::default();
    let server = bind(any, quiet(Config::public_server(key)), &options)?;
    let mut client = bind(any, quiet(Config::client()), &options)?;
    let to = server.local_addr()?;
    let how = ConnectOptions::to(public);
    client.with(|endpoint, now| endpoint.connect(now, to.into(), how)).map_err(Error::Start)?;
    let mut sources = [server, client];
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(16));
    for (at, source) in sources.iter_mut().enumerate() {
        poll.registry().register(source, Token(at), Interest::READABLE)?;
    }
    // What follows the handshake, such as the search for the largest datagram, is over by then.
    let settled = Instant::now() + Duration::from_secs(3);
    let end = settled + time;
    let mut start = None;
    let mut polls = 0;
    while Instant::now() < end {
        for source in &mut sources {
            source.run()?;
            while source.next_event().is_some() {}
        }
        if Instant::now() >= settled && start.is_none() {
            start = Some((processor_time(), polls));
        }
        let stop = if start.is_some() { end } else { settled };
        let left = stop.saturating_duration_since(Instant::now());
        let timeouts = sources.iter().filter_map(tripline_mio::Source::poll_timeout);
        poll.poll(&mut events, timeouts.chain([left]).min())?;
        polls += 1;
        for event in &events {
            sources[event.token().0].ready(event);
        }
    }
    let (before, polls_before) = start.unwrap_or_default();
    println!(
        "both ends, {time:?}, keep-alive {keep_alive:?}: {:.3} ms of processor time, {} polls",
        processor_time().saturating_sub(before).as_secs_f64() * 1_000.0,
        polls - polls_before
    );
    Ok(())
}
