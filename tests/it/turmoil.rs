//! The transport inside turmoil, a simulator of tokio programs: for those who test with it already.
//!
//! [`Driver`] is all that it takes: it drives an [`Endpoint`] by hand over turmoil's UDP socket, in
//! the time of turmoil's hosts. The tests below strike hosts and links as turmoil does (partition,
//! hold, crash, bounce, links that fail at random) and show what an application sees of it. All of
//! a run follows from one number: turmoil's dice, and the seeds of the endpoints. Turmoil knows no
//! bandwidth, queues, copies or damage; for those there is `tripline_sim`.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use tokio::time::timeout;
use tripline::{
    By, Code, Config, ConnectOptions, ConnectionHandle, Endpoint, Event, LostCause, Order,
    ReceiveResult, SendOptions, StreamId, StreamOptions,
};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Seed};
use tripline_tests::identity;
use turmoil::net::UdpSocket;
use turmoil::{Builder, Sim};

/// An endpoint and its socket on one of turmoil's hosts.
struct Driver {
    endpoint: Endpoint,
    socket: UdpSocket,
    start: tokio::time::Instant,
    /// What is being received.
    datagram: Vec<u8>,
    /// What is being sent: a run of datagrams of one size.
    out: Vec<u8>,
}

impl Driver {
    /// Binds a socket to `port`, any for 0. Two endpoints may never have the same seed, nor may two
    /// lives of one host: they would use the same keys.
    async fn bind(port: u16, config: Config, seed: &Seed) -> io::Result<Self> {
        let socket = UdpSocket::bind(("0.0.0.0", port)).await?;
        let endpoint = Endpoint::new(config, seed, Instant::ZERO);
        let start = tokio::time::Instant::now();
        Ok(Self { endpoint, socket, start, datagram: vec![0; 65_536], out: Vec::new() })
    }

    /// The host's own time since it started, which turmoil moves on.
    fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// The run loop, until there is an event or it is `until`. Between two calls the application
    /// may do anything to the endpoint. It may be cancelled: it waits in one place only, where
    /// nothing is half done.
    async fn event(&mut self, until: Instant) -> io::Result<Option<Event>> {
        loop {
            while let Some(transmit) = self.endpoint.poll_transmit(self.now(), &mut self.out) {
                for datagram in self.out.chunks(transmit.segment_size) {
                    self.socket.try_send_to(datagram, transmit.path.remote)?;
                }
                self.out.clear();
            }
            if let Some(event) = self.endpoint.poll_event() {
                return Ok(Some(event));
            }
            let now = self.now();
            if now >= until {
                return Ok(None);
            }
            let wake = self.endpoint.poll_timeout().map_or(until, |deadline| deadline.min(until));
            match timeout(wake - now, self.socket.recv_from(&mut self.datagram)).await {
                Ok(received) => {
                    let (length, from) = received?;
                    let (now, path) = (self.now(), Path::to(from));
                    let datagram = &mut self.datagram[..length];
                    self.endpoint.handle_datagram(now, path, Ecn::NotEct, datagram);
                }
                Err(_) => self.endpoint.handle_timeout(self.now()),
            }
        }
    }
}

/// Where the server listens.
const PORT: u16 = 4444;
/// How many questions a client asks, and how often one.
const QUESTIONS: u32 = 100;
const EVERY: Duration = Duration::from_millis(50);

/// Sends back what it is sent, for ever.
async fn echo(seed: Seed) -> turmoil::Result {
    let mut driver = Driver::bind(PORT, Config::public_server(identity("server")), &seed).await?;
    loop {
        let Some(Event::Readable { connection, stream }) = driver.event(Instant::MAX).await? else {
            continue;
        };
        let now = driver.now();
        while let ReceiveResult::Data(asked) = driver.endpoint.receive(now, connection, stream)? {
            driver.endpoint.send(now, connection, stream, asked, SendOptions::default())?;
        }
    }
}

/// What a client saw, and when.
#[derive(Clone, Debug, Default, PartialEq)]
struct Report {
    /// When each answer came.
    answers: Vec<Instant>,
    /// How connections were lost.
    lost: Vec<(Instant, LostCause)>,
    /// When a connection came about.
    connected: Vec<Instant>,
    /// When the last one was closed.
    closed: Option<Instant>,
}

/// Asks question after question, and goes on with a new connection if one is lost.
struct Client {
    driver: Driver,
    report: Rc<RefCell<Report>>,
    answered: u32,
}

impl Client {
    /// Until all questions are answered.
    async fn run(mut self) -> turmoil::Result {
        while self.answered < QUESTIONS {
            let connection = self.begin()?;
            let options = StreamOptions::two_way(Order::Ordered);
            let stream = self.driver.endpoint.open(self.driver.now(), connection, options)?;
            self.ask(connection, stream).await?;
            if self.answered == QUESTIONS {
                self.close(connection).await?;
            }
        }
        Ok(())
    }

    fn begin(&mut self) -> turmoil::Result<ConnectionHandle> {
        let server = SocketAddr::new(turmoil::lookup("server"), PORT);
        let options = ConnectOptions::to(identity("server").public_key());
        Ok(self.driver.endpoint.connect(self.driver.now(), server.into(), options)?)
    }

    /// Asks until all is answered, or the connection lost.
    async fn ask(&mut self, connection: ConnectionHandle, stream: StreamId) -> turmoil::Result {
        let (mut asked, mut next) = (self.answered, self.driver.now());
        while self.answered < QUESTIONS {
            let until = if asked < QUESTIONS { next } else { Instant::MAX };
            let event = self.driver.event(until).await?;
            let now = self.driver.now();
            match event {
                None => {
                    let question = asked.to_be_bytes().to_vec();
                    let usual = SendOptions::default();
                    self.driver.endpoint.send(now, connection, stream, question, usual)?;
                    (asked, next) = (asked + 1, now + EVERY);
                }
                Some(Event::Readable { .. }) => self.read(connection, stream)?,
                Some(Event::Connected { .. }) => self.report.borrow_mut().connected.push(now),
                Some(Event::Lost { cause, .. }) => {
                    self.report.borrow_mut().lost.push((now, cause));
                    return Ok(());
                }
                Some(Event::Failed { error, .. }) => return Err(error.into()),
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Every answer comes once and in its turn.
    fn read(&mut self, connection: ConnectionHandle, stream: StreamId) -> turmoil::Result {
        let now = self.driver.now();
        while let ReceiveResult::Data(answer) =
            self.driver.endpoint.receive(now, connection, stream)?
        {
            assert_eq!(answer[..], self.answered.to_be_bytes(), "answers come in order, once");
            self.answered += 1;
            self.report.borrow_mut().answers.push(now);
        }
        Ok(())
    }

    async fn close(&mut self, connection: ConnectionHandle) -> turmoil::Result {
        let now = self.driver.now();
        self.driver.endpoint.close(now, connection, Duration::from_secs(5), Code::NONE, "")?;
        loop {
            match self.driver.event(Instant::MAX).await? {
                Some(Event::Closed { by: By::Us, .. }) => break,
                Some(Event::Lost { cause, .. }) => return Err(cause.into()),
                _ => {}
            }
        }
        self.report.borrow_mut().closed = Some(self.driver.now());
        Ok(())
    }
}

/// What turmoil does to a run, and after how much of it.
type Fault = (Duration, fn(&mut Sim<'_>));

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Plays a client and a server, 5 to 20 ms apart, and says what the client saw. A server that is
/// bounced is a new endpoint with the old key.
fn play(number: u64, client: Config, setting: fn(&mut Builder), faults: &[Fault]) -> Report {
    let mut builder = Builder::new();
    builder
        .rng_seed(number)
        .simulation_duration(secs(300))
        .min_message_latency(Duration::from_millis(5))
        .max_message_latency(Duration::from_millis(20));
    setting(&mut builder);
    let mut sim = builder.build();
    let seed = Seed::from_number(number);
    let (server_seed, lives) = (seed.child("server"), Cell::new(0_u32));
    sim.host("server", move || {
        lives.set(lives.get() + 1);
        echo(server_seed.child(&lives.get().to_string()))
    });
    let report = Rc::new(RefCell::new(Report::default()));
    let (seen, client_seed) = (report.clone(), seed.child("client"));
    sim.client("client", async move {
        let driver = Driver::bind(0, client, &client_seed).await?;
        Client { driver, report: seen, answered: 0 }.run().await
    });
    let mut faults = faults.iter().peekable();
    loop {
        while let Some((_, strike)) = faults.next_if(|(at, _)| sim.elapsed() >= *at) {
            strike(&mut sim);
        }
        match sim.step() {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => panic!("seed {number}: {error}; {:#?}", report.borrow()),
        }
    }
    let report = report.borrow().clone();
    assert_eq!(report.answers.len(), QUESTIONS as usize, "seed {number}: {report:#?}");
    assert!(report.closed.is_some(), "seed {number}: {report:#?}");
    report
}

fn usual(_: &mut Builder) {}

/// How many answers came in between.
fn answers(report: &Report, from: Duration, to: Duration) -> usize {
    let window = Instant::ZERO + from..Instant::ZERO + to;
    report.answers.iter().filter(|at| window.contains(at)).count()
}

#[test]
pub(crate) fn nothing_is_lost_in_a_partition() {
    let report = play(
        1,
        Config::client(),
        usual,
        &[
            (secs(2), |sim| sim.partition("client", "server")),
            (secs(7), |sim| sim.repair("client", "server")),
        ],
    );
    assert!(answers(&report, secs(0), secs(2)) > 30, "{report:#?}");
    assert_eq!(answers(&report, Duration::from_millis(2_021), secs(7)), 0, "{report:#?}");
    assert!(answers(&report, secs(7), secs(11)) > 50, "{report:#?}");
    assert_eq!((report.connected.len(), report.lost.len()), (1, 0), "{report:#?}");
}

/// One way only: questions arrive, and no answer.
#[test]
pub(crate) fn nothing_is_lost_where_one_way_is_cut() {
    let report = play(
        2,
        Config::client(),
        usual,
        &[
            (secs(2), |sim| sim.partition_oneway("server", "client")),
            (secs(6), |sim| sim.repair_oneway("server", "client")),
        ],
    );
    assert_eq!(answers(&report, Duration::from_millis(2_021), secs(6)), 0, "{report:#?}");
    assert_eq!((report.connected.len(), report.lost.len()), (1, 0), "{report:#?}");
}

/// What was held comes in one burst, the repeats with it; the application sees each answer once.
#[test]
pub(crate) fn what_was_held_comes_when_it_is_released() {
    let report = play(
        3,
        Config::client(),
        usual,
        &[
            (secs(2), |sim| sim.hold("client", "server")),
            (secs(4), |sim| sim.release("client", "server")),
        ],
    );
    assert_eq!(answers(&report, Duration::from_millis(2_021), secs(4)), 0, "{report:#?}");
    assert!(answers(&report, secs(4), Duration::from_millis(4_100)) > 30, "{report:#?}");
    assert_eq!((report.connected.len(), report.lost.len()), (1, 0), "{report:#?}");
}

/// R-RESET-1: the server has forgotten the connection and has the key still, so that it can say so;
/// the client need not wait for its idle limit.
#[test]
pub(crate) fn a_restarted_server_is_noticed_by_its_reset() {
    let report = play(
        4,
        Config::client(),
        usual,
        &[(secs(2), |sim| sim.crash("server")), (secs(3), |sim| sim.bounce("server"))],
    );
    let [(at, LostCause::Reset)] = &report.lost[..] else { panic!("{report:#?}") };
    let noticed = *at - Instant::ZERO;
    assert!((secs(3)..secs(7)).contains(&noticed), "{report:#?}");
    assert_eq!(report.connected.len(), 2, "{report:#?}");
    assert!(report.connected[1] - *at < secs(1), "{report:#?}");
}

/// R-CLOSE-2: nobody is there to say anything. The attempt that follows lasts until the server is
/// back.
#[test]
pub(crate) fn a_server_that_stays_away_is_given_up_at_the_idle_limit() {
    let mut client = Config::client();
    client.transport.idle_timeout = secs(5);
    let report = play(
        5,
        client,
        usual,
        &[(secs(2), |sim| sim.crash("server")), (secs(12), |sim| sim.bounce("server"))],
    );
    let [(at, LostCause::Idle)] = &report.lost[..] else { panic!("{report:#?}") };
    let given_up = *at - Instant::ZERO;
    assert!((secs(6)..secs(8)).contains(&given_up), "{report:#?}");
    assert_eq!(report.connected.len(), 2, "{report:#?}");
    assert!(report.connected[1] - Instant::ZERO > secs(12), "{report:#?}");
}

/// Turmoil's dice break links and mend them, at another time for each seed.
fn failing(builder: &mut Builder) {
    builder.fail_rate(0.02).repair_rate(0.1).enable_random_order();
}

#[test]
pub(crate) fn links_that_fail_at_random_lose_nothing() {
    for seed in 10..15 {
        let report = play(seed, Config::client(), failing, &[]);
        assert!(report.lost.is_empty(), "seed {seed}: {report:#?}");
    }
}

/// All that a client sees, and when to the nanosecond, follows from the seed.
#[test]
pub(crate) fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let faults: &[Fault] = &[
            (secs(1), |sim| sim.hold("client", "server")),
            (secs(2), |sim| sim.release("client", "server")),
            (secs(3), |sim| sim.crash("server")),
            (secs(4), |sim| sim.bounce("server")),
        ];
        play(seed, Config::client(), failing, faults)
    };
    assert_eq!(run(20), run(20));
    assert_ne!(run(20), run(21));
}
