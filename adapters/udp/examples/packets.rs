//! Packets a second for each core (row T69): several sockets on one port, a thread for each, the
//! kernel steering by what a datagram says.
//!
//! In goes how long to measure, out comes a table in Markdown, for one socket and for as many as
//! there are cores. Over loopback the sender's system call delivers, so the sending threads do much
//! of the receiving; the last columns count the processor time of the receivers alone.
#![forbid(unsafe_code)]

use rustix::time::{ClockId, clock_gettime};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tripline_sansio::{Ecn, Path, Transmit};
use tripline_udp::{Options, RecvBuffers, SendOutcome, Socket, Stats, Steering, bind_group};

/// What stopped a measurement.
type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: packets [--seconds N]\n";

/// Datagrams of a train.
const TRAIN: usize = 32;

/// The first byte of what names its socket, in the byte behind it.
const RULE: Steering<'static> = Steering { first: &[(0xff, 9)], at: 1, shift: 24 };

/// What one receiving thread came to.
struct Receiver {
    /// Kept open until all have stopped: a group closes its gaps, and the numbers change.
    socket: Socket,
    busy: Duration,
    strays: u64,
}

fn main() -> ExitCode {
    let seconds = match parse(std::env::args().skip(1)) {
        Ok(seconds) => seconds,
        Err(error) => {
            eprint!("packets: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match measure(Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("packets: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<u64, String> {
    let mut seconds = 3;
    while let Some(flag) = arguments.next() {
        match flag.as_str() {
            "--seconds" => {
                let text = arguments.next().ok_or("--seconds needs a value")?;
                seconds = text.parse().map_err(|error| format!("--seconds {text:?}: {error}"))?;
            }
            _ => return Err(format!("unknown argument {flag:?}")),
        }
    }
    if seconds == 0 { Err("--seconds is at least 1".to_owned()) } else { Ok(seconds) }
}

fn measure(time: Duration) -> Result<(), Failure> {
    println!(
        "| sockets | bytes | trains | packets/s | per core of the receivers | a call, in | out |"
    );
    println!("|---|---|---|---|---|---|---|");
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(64);
    let mut counts = vec![1];
    if cores > 1 {
        counts.push(u16::try_from(cores)?);
    }
    for count in counts {
        for (bytes, gso) in [(64, true), (1_200, true), (64, false), (1_200, false)] {
            one(count, bytes, gso, time)?;
        }
    }
    Ok(())
}

/// One line of the table.
fn one(count: u16, bytes: usize, gso: bool, time: Duration) -> Result<(), Failure> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let group = bind_group(loopback, &Options::default(), count, Some(&RULE))?;
    if let Err(error) = &group.steered {
        println!("{count} sockets are not steered: {error}");
    }
    let steered = group.steered.is_ok();
    let to = group.sockets.first().ok_or("no sockets")?.local_addr()?;
    let over = AtomicBool::new(false);
    let began = Instant::now();
    let (receivers, senders) = std::thread::scope(|scope| {
        let receivers: Vec<_> = group
            .sockets
            .into_iter()
            .zip(0u8..)
            .map(|(socket, number)| {
                let over = &over;
                scope.spawn(move || receive(socket, number, over))
            })
            .collect();
        let senders: Vec<_> = (0..count)
            .map(|number| {
                let over = &over;
                scope.spawn(move || send(to, number, (bytes, gso), over))
            })
            .collect();
        // Threads that have ended unpark this one.
        while began.elapsed() < time {
            std::thread::park_timeout(time.saturating_sub(began.elapsed()));
        }
        over.store(true, Ordering::Relaxed);
        let failed = |_| -> Failure { "a thread panicked".into() };
        let receivers: Result<Vec<Receiver>, Failure> =
            receivers.into_iter().map(|thread| thread.join().map_err(failed)?).collect();
        let senders: Result<Vec<Stats>, Failure> =
            senders.into_iter().map(|thread| thread.join().map_err(failed)?).collect();
        (receivers, senders)
    });
    let (receivers, senders) = (receivers?, senders?);
    let elapsed = began.elapsed().as_secs_f64();
    let sum = |of: fn(&Stats) -> u64| {
        receivers.iter().map(|one| of(&one.socket.stats())).sum::<u64>() as f64
    };
    let (packets, calls) = (sum(|one| one.datagrams_received), sum(|one| one.recv_calls));
    let busy: f64 = receivers.iter().map(|one| one.busy.as_secs_f64()).sum();
    let sent: u64 = senders.iter().map(|one| one.datagrams_sent).sum();
    let send_calls: u64 = senders.iter().map(|one| one.send_calls).sum();
    let strays: u64 = receivers.iter().map(|one| one.strays).sum();
    if steered && strays > 0 {
        return Err(format!("{strays} packets met the wrong socket").into());
    }
    println!(
        "| {count} | {bytes} | {} | {:.0} | {:.0} | {:.1} | {:.1} |",
        if gso { "offloaded" } else { "messages" },
        packets / elapsed,
        packets / busy.max(1e-9),
        packets / calls.max(1.0),
        sent as f64 / send_calls.max(1) as f64,
    );
    Ok(())
}

/// The processor time of this thread.
fn busy() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

fn receive(mut socket: Socket, number: u8, over: &AtomicBool) -> Result<Receiver, Failure> {
    let mut buffers = RecvBuffers::new(16);
    let mut strays = 0;
    while !over.load(Ordering::Relaxed) {
        let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let mut fds = [rustix::event::PollFd::new(&socket, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&limit))?;
        let mut look = |_: Path, _: Ecn, datagram: &mut [u8]| {
            strays += u64::from(datagram.get(1) != Some(&number));
        };
        loop {
            match socket.recv_batch(&mut buffers, &mut look) {
                Ok(received) if received.maybe_more => {}
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Receiver { socket, busy: busy(), strays })
}

fn send(
    to: SocketAddr,
    number: u16,
    (bytes, gso): (usize, bool),
    over: &AtomicBool,
) -> Result<Stats, Failure> {
    let mut socket = Socket::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &Options::default())?;
    if !gso {
        socket.parts_mut().1.forbid_gso();
    }
    let mut datagram = vec![0; bytes];
    datagram[..2].copy_from_slice(&[9, u8::try_from(number)?]);
    let train = datagram.repeat(TRAIN);
    let transmit =
        Transmit { path: Path::to(to), ecn: Ecn::NotEct, len: train.len(), segment_size: bytes };
    while !over.load(Ordering::Relaxed) {
        // A full socket has no room for a moment: the receivers need the core.
        if let SendOutcome::Full { .. } = socket.send(&transmit, &train) {
            std::thread::yield_now();
        }
    }
    Ok(socket.stats())
}
