//! What OPENs cost the server that gets them: dropped for their mac1, answered with RETRY, answered
//! with a handshake.
//!
//! In goes the number of runs; out come the lines of the table. Handing in and taking out are
//! measured apart where there is something to take out. The server's counters must say what was
//! meant to happen, or it is a failure.

use std::net::SocketAddr;
use std::time::Instant as Clock;

use tripline::{Config, ConnectOptions, Endpoint, GuardConfig, SecretKey};
use tripline_sansio::{DatagramMachine, Duration, Ecn, Instant, Path, Random, Seed};

use crate::{Failure, Line};

/// OPENs of one run, where they are cheap. Few, so that a run without interruption is found among
/// many.
const CHEAP: usize = 32;

/// A byte of an OPEN that mac1 covers and that may be anything: of the client's connection ID.
const COVERED: usize = 9;

/// What is to become of an OPEN.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its mac1 is wrong.
    Dropped,
    /// It has no token, and one is demanded.
    Retried,
    /// It is taken in.
    Answered,
}

/// All lines about strangers.
pub fn measure(runs: usize) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    for (fate, name) in [(Fate::Dropped, "a wrong mac1"), (Fate::Retried, "no token: RETRY")] {
        let (taken, sent) = measure_fate(runs, fate, None, false)?;
        lines.push(Line::new(format!("OPEN with {name}: handing it in"), &taken));
        if fate == Fate::Retried {
            lines.push(Line::new("the RETRY: taking it out", &sent));
        }
    }
    for (pattern, identity) in [("NK", None), ("IK", Some("client"))] {
        for (suite, aes) in [("ChaChaPoly, BLAKE2s", false), ("AES-GCM, SHA-256", true)] {
            let (taken, _) = measure_fate(runs, Fate::Answered, identity, aes)?;
            let call = format!("OPEN answered with a handshake, {pattern}, {suite}: handing it in");
            lines.push(Line::new(call, &taken));
        }
    }
    Ok(lines)
}

fn key(label: &str) -> SecretKey {
    SecretKey::generate(&mut Seed::from_number(7).random(label))
}

fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

/// An OPEN to our server, of a client of its own.
fn open(number: u64, identity: Option<&str>, aes: bool) -> Result<Vec<u8>, Failure> {
    let config = Config { identity: identity.map(key), hardware_aes: aes, ..Config::client() };
    let mut client = Endpoint::new(config, &Seed::from_number(number), Instant::ZERO);
    let options = ConnectOptions::to(key("server").public_key());
    client.connect(Instant::ZERO, at(1, 1).into(), options)?;
    let mut out = Vec::new();
    client.poll_transmit(Instant::ZERO, &mut out).ok_or("no OPEN")?;
    Ok(out)
}

/// Nanoseconds of handing in, and of taking out what is answered, each run by run.
fn measure_fate(
    runs: usize,
    fate: Fate,
    identity: Option<&str>,
    aes: bool,
) -> Result<(Vec<f64>, Vec<f64>), Failure> {
    let mut server = server(fate);
    let mut random: Random = Seed::from_number(9).random("addresses");
    let (mut taken, mut sent) = (Vec::new(), Vec::new());
    let mut now = Instant::ZERO;
    // Diffie-Hellman takes long enough to be measured by itself.
    let count = if fate == Fate::Answered { 1 } else { CHEAP };
    for run in 0..runs {
        let mut opens = Vec::new();
        for number in 0..count {
            let mut open = open((run * count + number) as u64, identity, aes)?;
            if fate == Fate::Dropped {
                open[COVERED] ^= 1;
            }
            opens.push((at(2 + (random.bits32() % 250) as u8, random.bits32() as u16 | 1), open));
        }
        // So that no rate is reached, and what waits for a DATA dies.
        now += Duration::from_secs(60);
        server.handle_timeout(now);
        let begun = Clock::now();
        for (source, open) in &mut opens {
            server.handle_datagram(now, Path::to(*source), Ecn::NotEct, open);
        }
        taken.push(each(begun, count));
        let mut out = Vec::with_capacity(count * 1_200);
        let begun = Clock::now();
        while server.poll_transmit(now, &mut out).is_some() {}
        sent.push(each(begun, count));
    }
    check(&server, fate, (runs * count) as u64)?;
    Ok((taken, sent))
}

/// A server that does with every OPEN what is wanted.
fn server(fate: Fate) -> Endpoint {
    let guard = GuardConfig {
        retry_above: if fate == Fate::Retried { 0 } else { u32::MAX },
        challenges_per_second: u32::MAX,
        retries_per_second: u32::MAX,
        ..GuardConfig::default()
    };
    let config = Config { guard, ..Config::public_server(key("server")) };
    Endpoint::new(config, &Seed::from_number(8), Instant::ZERO)
}

fn each(begun: Clock, count: usize) -> f64 {
    begun.elapsed().as_nanos() as f64 / count as f64
}

/// Fails if the server did anything else.
fn check(server: &Endpoint, fate: Fate, all: u64) -> Result<(), Failure> {
    let stats = server.stats();
    let wanted = |one: Fate| if one == fate { all } else { 0 };
    let dropped = all - stats.retries_sent - stats.opens_accepted;
    let told = [dropped, stats.retries_sent, stats.opens_accepted];
    if told == [Fate::Dropped, Fate::Retried, Fate::Answered].map(wanted) {
        return Ok(());
    }
    Err(format!("dropped, retried, answered: {told:?} of {all}").into())
}
