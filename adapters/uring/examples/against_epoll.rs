//! The ring against the ordinary socket (row U36): bulk between two engines, and small datagrams
//! one by one.
//!
//! In goes how long to measure, out comes a table in Markdown. Both sides run on loopback, each in
//! its thread; only the receiving side differs in how it receives.

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("skipped: io_uring is of Linux");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match on_linux::main() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("against_epoll: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
mod on_linux {
    use rustix::time::{ClockId, clock_gettime};
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};
    use tripline::{
        Config, ConnectOptions, Endpoint, Event, Order, ReceiveResult, SecretKey, SendError,
        SendOptions, StreamOptions,
    };
    use tripline_sansio::{DatagramMachine, Ecn, Path, Seed, Transmit};
    use tripline_std::{Clock, Link, Loop, Options, UdpLink};
    use tripline_udp::{SendOutcome, Socket, Stats};
    use tripline_uring::{UringLink, probe};

    /// What stopped a measurement.
    type Failure = Box<dyn std::error::Error + Send + Sync>;

    /// Bytes of a message of the bulk run.
    const MESSAGE: usize = 64 << 10;

    /// What a receiver came to.
    struct Figures {
        units: u64,
        busy: Duration,
        stats: Stats,
    }

    pub(super) fn main() -> Result<(), Failure> {
        let mut arguments = std::env::args().skip(1);
        let seconds = match (arguments.next().as_deref(), arguments.next()) {
            (None, _) => 3,
            (Some("--seconds"), Some(text)) => text.parse()?,
            _ => return Err("usage: against_epoll [--seconds N]".into()),
        };
        if let Err(error) = probe() {
            println!("skipped: {error}");
            return Ok(());
        }
        let time = Duration::from_secs(seconds);
        println!("| receiving by | what | a second | processor ms a second | datagrams a call |");
        println!("|---|---|---|---|---|");
        let options = Options::default();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        for _ in 0..2 {
            let socket = Socket::bind(loopback, &options.socket)?;
            bulk("epoll", UdpLink::new(socket, 8), time, UdpLink::stats, UdpLink::local_addr)?;
            let link = UringLink::bind(loopback, &options.socket)?;
            bulk("io_uring", link, time, UringLink::stats, UringLink::local_addr)?;
        }
        for _ in 0..2 {
            let socket = Socket::bind(loopback, &options.socket)?;
            small("epoll", UdpLink::new(socket, 8), time, UdpLink::stats, UdpLink::local_addr)?;
            let link = UringLink::bind(loopback, &options.socket)?;
            small("io_uring", link, time, UringLink::stats, UringLink::local_addr)?;
        }
        Ok(())
    }

    fn line(name: &str, what: &str, value: String, figures: &Figures, elapsed: Duration) {
        let busy = figures.busy.as_secs_f64() * 1e3 / elapsed.as_secs_f64();
        let calls = figures.stats.recv_calls;
        let a_call = match calls {
            0 => format!("{} and no call", figures.stats.datagrams_received),
            calls => format!("{:.1}", figures.stats.datagrams_received as f64 / calls as f64),
        };
        println!("| {name} | {what} | {value} | {busy:.0} | {a_call} |");
    }

    /// The processor time of this thread.
    fn busy() -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
    }

    type Address<L> = fn(&L) -> std::io::Result<SocketAddr>;

    /// A connection with one stream as full as it goes.
    fn bulk<L: Link + Send>(
        name: &str,
        link: L,
        time: Duration,
        stats: fn(&L) -> Stats,
        address: Address<L>,
    ) -> Result<(), Failure> {
        let to = address(&link)?;
        let clock = Clock::new();
        let over = AtomicBool::new(false);
        let key = SecretKey::from_bytes([1; 32]);
        let public = key.public_key();
        let server = Endpoint::new(Config::public_server(key), &Seed::from_number(1), clock.now());
        let began = Instant::now();
        let figures = std::thread::scope(|scope| {
            let over = &over;
            let receiver = scope.spawn(move || sink(link, clock, server, over, stats));
            let sent = send(to, public, clock, time);
            over.store(true, Ordering::Relaxed);
            let figures = receiver.join().map_err(|_| "a thread panicked")?;
            sent.and(figures)
        })?;
        let elapsed = began.elapsed();
        let rate = figures.units as f64 / 1e6 / elapsed.as_secs_f64();
        line(name, "bulk", format!("{rate:.0} MB"), &figures, elapsed);
        Ok(())
    }

    /// Takes all that comes.
    fn sink<L: Link>(
        link: L,
        clock: Clock,
        server: Endpoint,
        over: &AtomicBool,
        stats: fn(&L) -> Stats,
    ) -> Result<Figures, Failure> {
        let mut looper = Loop::new(link, clock, server)?;
        let mut units = 0;
        while !over.load(Ordering::Relaxed) {
            looper.run_once(Some(Duration::from_millis(20)))?;
            while let Some(event) = looper.next_event() {
                let Event::Readable { connection, stream } = event else { continue };
                looper.with(|endpoint, now| {
                    while let Ok(ReceiveResult::Data(message)) =
                        endpoint.receive(now, connection, stream)
                    {
                        units += message.len() as u64;
                    }
                });
            }
        }
        Ok(Figures { units, busy: busy(), stats: stats(looper.link()) })
    }

    fn send(
        to: SocketAddr,
        key: tripline::PublicKey,
        clock: Clock,
        time: Duration,
    ) -> Result<(), Failure> {
        let client = Endpoint::new(Config::client(), &Seed::from_number(2), clock.now());
        let socket =
            Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &Options::default().socket)?;
        let mut looper = Loop::new(UdpLink::new(socket, 8), clock, client)?;
        let (connection, stream) = looper.with(|endpoint, now| {
            let connection = endpoint.connect(now, to.into(), ConnectOptions::to(key))?;
            let one_way = StreamOptions::one_way(Order::Ordered);
            Ok::<_, Failure>((connection, endpoint.open(now, connection, one_way)?))
        })?;
        let message = vec![7; MESSAGE];
        let began = Instant::now();
        while began.elapsed() < time {
            looper.with(|endpoint, now| {
                loop {
                    let options = SendOptions::default();
                    match endpoint.send(now, connection, stream, message.clone(), options) {
                        Ok(_) => {}
                        Err(SendError::Blocked) => return Ok(()),
                        Err(error) => return Err(error),
                    }
                }
            })?;
            looper.run_once(Some(Duration::from_millis(20)))?;
            while looper.next_event().is_some() {}
        }
        Ok(())
    }

    /// Counts datagrams and answers none.
    #[derive(Default)]
    struct Counter(u64);

    impl DatagramMachine for Counter {
        type Event = ();

        fn handle_datagram(
            &mut self,
            _now: tripline_sansio::Instant,
            _path: Path,
            _ecn: Ecn,
            _datagram: &mut [u8],
        ) {
            self.0 += 1;
        }

        fn handle_timeout(&mut self, _now: tripline_sansio::Instant) {}

        fn poll_transmit(
            &mut self,
            _now: tripline_sansio::Instant,
            _out: &mut Vec<u8>,
        ) -> Option<Transmit> {
            None
        }

        fn poll_timeout(&self) -> Option<tripline_sansio::Instant> {
            None
        }

        fn poll_event(&mut self) -> Option<()> {
            None
        }
    }

    /// Datagrams of 64 bytes that nobody merges.
    fn small<L: Link + Send>(
        name: &str,
        link: L,
        time: Duration,
        stats: fn(&L) -> Stats,
        address: Address<L>,
    ) -> Result<(), Failure> {
        let to = address(&link)?;
        let over = AtomicBool::new(false);
        let began = Instant::now();
        let figures = std::thread::scope(|scope| {
            let over = &over;
            let receiver = scope.spawn(move || {
                let mut looper = Loop::new(link, Clock::new(), Counter::default())?;
                while !over.load(Ordering::Relaxed) {
                    looper.run_once(Some(Duration::from_millis(20)))?;
                }
                let units = looper.machine().0;
                Ok::<_, Failure>(Figures { units, busy: busy(), stats: stats(looper.link()) })
            });
            let sent = shower(to, time);
            over.store(true, Ordering::Relaxed);
            let figures = receiver.join().map_err(|_| "a thread panicked")?;
            sent.and(figures)
        })?;
        let elapsed = began.elapsed();
        let rate = figures.units as f64 / elapsed.as_secs_f64();
        line(name, "64 bytes", format!("{rate:.0} datagrams"), &figures, elapsed);
        Ok(())
    }

    fn shower(to: SocketAddr, time: Duration) -> Result<(), Failure> {
        let mut socket =
            Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &Options::default().socket)?;
        socket.parts_mut().1.forbid_gso();
        let bytes = [7; 64 * 32];
        let transmit =
            Transmit { path: Path::to(to), ecn: Ecn::NotEct, len: bytes.len(), segment_size: 64 };
        let began = Instant::now();
        while began.elapsed() < time {
            if let SendOutcome::Full { .. } = socket.send(&transmit, &bytes) {
                std::thread::yield_now();
            }
        }
        Ok(())
    }
}
