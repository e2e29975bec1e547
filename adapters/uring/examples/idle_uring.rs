//! What an idle connection costs over io_uring (row T18): the processor time of both its ends.
//!
//! ```console
//! cargo run --release -p tripline-uring --example idle_uring               # a minute
//! cargo run --release -p tripline-uring --example idle_uring -- 600        # ten
//! cargo run --release -p tripline-uring --example idle_uring -- 60 10      # keep-alives each 10 s
//! ```

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: io_uring is of Linux");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match on_linux::main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle_uring: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
mod on_linux {
    use rustix::time::{ClockId, clock_gettime};
    use std::net::SocketAddr;
    use std::thread;
    use std::time::{Duration, Instant};
    use tripline::{Config, ConnectOptions, Endpoint, Event, SecretKey};
    use tripline_sansio::Seed;
    use tripline_std::{Loop, Options};
    use tripline_uring::{UringLink, probe};

    type Failure = Box<dyn std::error::Error + Send + Sync>;
    type Looper = Loop<Endpoint, UringLink>;

    /// What follows the handshake, such as the search for the largest datagram, is over by then.
    const SETTLED: Duration = Duration::from_secs(3);

    fn processor_time() -> Duration {
        Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
    }

    fn looper(config: Config, number: u64) -> Result<Looper, Failure> {
        let options = Options::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::new(config, &Seed::from_number(number), options.clock.now());
        Ok(Loop::new(UringLink::bind(any, &options.socket)?, options.clock, endpoint)?)
    }

    /// Runs until then; says whether the connection came about, and lasts.
    fn run(looper: &mut Looper, is_open: &mut bool, until: Instant) -> Result<(), Failure> {
        loop {
            while let Some(event) = looper.next_event() {
                match event {
                    Event::Connected { .. } => *is_open = true,
                    Event::Failed { .. } | Event::Lost { .. } | Event::Closed { .. } => {
                        *is_open = false;
                    }
                    _ => {}
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            looper.run_once(Some(left))?;
        }
    }

    /// Both ends at once, each in a thread, for so long.
    fn run_both(ends: &mut [(Looper, bool); 2], time: Duration) -> Result<(), Failure> {
        let until = Instant::now() + time;
        thread::scope(|scope| {
            let threads = ends
                .each_mut()
                .map(|(looper, is_open)| scope.spawn(move || run(looper, is_open, until)));
            threads.into_iter().try_for_each(|one| one.join().map_err(|_| "a thread panicked")?)
        })
    }

    pub(super) fn main() -> Result<(), Failure> {
        if let Err(error) = probe() {
            println!("skipped: {error}");
            return Ok(());
        }
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
        let server = looper(quiet(Config::public_server(key)), 1)?;
        let to = server.link().local_addr()?;
        let mut client = looper(quiet(Config::client()), 2)?;
        client
            .with(|endpoint, now| endpoint.connect(now, to.into(), ConnectOptions::to(public)))?;
        let mut ends = [(server, false), (client, false)];
        run_both(&mut ends, SETTLED)?;
        let before = processor_time();
        let waits = ends.each_ref().map(|(looper, _)| looper.counts().waits);
        run_both(&mut ends, time)?;
        let spent = processor_time().saturating_sub(before).as_secs_f64() * 1_000.0;
        if !ends.iter().all(|(_, is_open)| *is_open) {
            return Err("the connection did not last".into());
        }
        let waits: u64 = ends.iter().zip(waits).map(|(end, old)| end.0.counts().waits - old).sum();
        println!(
            "both ends, {time:?}, keep-alive {keep_alive:?}: {spent:.3} ms of processor time, \
             {waits} waits"
        );
        Ok(())
    }
}
