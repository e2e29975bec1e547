//! The works of the gate: small, the same every time, checked to be complete.

use tripline::{Config, GuardConfig, SecretKey};
use tripline_sansio::Seed;

use super::{Counts, sockets};
use crate::engine::ours::{Pair, bulk_costs};
use crate::engine::{Costs, messages};
use crate::meter::heap;
use crate::task::{Failure, Suite, Task};
use crate::tripline::bulk::{BYTES_1452, DEFAULT, MESSAGES_1200};
use crate::tripline::connects::{GUARD, Host, Visitor};
use crate::tripline::requests::{Asker, Call, Echo, call};
use crate::tripline::with_suite;

/// One work.
pub struct Work {
    /// Its name in the table.
    pub name: &'static str,
    /// What is done, for people.
    pub what: &'static str,
    /// Whether its instructions are counted: not where the kernel's share varies.
    pub instructions: bool,
    run: fn() -> Result<Counts, Failure>,
}

const fn work(
    name: &'static str,
    what: &'static str,
    instructions: bool,
    run: fn() -> Result<Counts, Failure>,
) -> Work {
    Work { name, what, instructions, run }
}

/// All of them.
pub const WORKS: &[Work] = &[
    work("bulk", "8 MiB in messages of 64 KiB, datagrams of 1,200 bytes, AES", true, || {
        memory(bulk_costs(&task(Suite::Aes256), MESSAGES_1200))
    }),
    work("bulk-chacha", "the same with ChaCha20-Poly1305", true, || {
        memory(bulk_costs(&task(Suite::ChaCha), MESSAGES_1200))
    }),
    work("bytes", "8 MiB as a byte stream, datagrams of 1,452 bytes", true, || {
        memory(bulk_costs(&task(Suite::Aes256), BYTES_1452))
    }),
    work("defaults", "8 MiB with the engine's defaults", true, || {
        memory(bulk_costs(&task(Suite::Aes256), DEFAULT))
    }),
    work("messages", "100,000 messages of 64 bytes on one stream, in batches", true, || {
        memory(messages::costs(&task(Suite::Aes256), Call::Batch))
    }),
    work("messages-each", "the same with a call for each on both sides", true, || {
        memory(messages::costs(&task(Suite::Aes256), Call::Each))
    }),
    work("requests", "20 connections of 500 requests, pipelined", true, || {
        memory(requests(u64::MAX))
    }),
    work("unbatched", "20 connections of 500 requests, one at a time", true, || {
        memory(requests(1))
    }),
    work("connects-nk", "100 handshakes, NK", true, || memory(connects(None))),
    work("connects-ik", "100 handshakes, IK", true, || {
        memory(connects(Some(SecretKey::generate(&mut Seed::from_number(2).random("client")))))
    }),
    work("sockets-bulk", "`bulk` over two sockets of loopback", false, || {
        sockets::bulk(&task(Suite::Aes256))
    }),
    work("sockets-requests", "`requests` over two sockets of loopback", false, || {
        sockets::requests(&task(Suite::Aes256), u64::MAX)
    }),
    work("sockets-unbatched", "`unbatched` over two sockets of loopback", false, || {
        sockets::requests(&task(Suite::Aes256), 1)
    }),
];

impl Work {
    /// The one of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        WORKS.iter().find(|work| work.name == name)
    }

    /// Does it, and counts.
    pub fn run(&self) -> Result<Counts, Failure> {
        let before = heap().map(|heap| heap.allocations);
        let counts = (self.run)()?;
        let after = heap().map(|heap| heap.allocations);
        let allocations = after.zip(before).map(|(after, before)| after - before);
        // Those of sockets depend on how the kernel merges what it delivers.
        Ok(Counts { allocations: allocations.filter(|_| counts.calls.is_none()), ..counts })
    }
}

/// The sizes.
fn task(suite: Suite) -> Task {
    Task {
        suite,
        bytes: 8 << 20,
        connections: 20,
        requests: 500,
        connects: 100,
        messages: 100_000,
        ..Task::default()
    }
}

/// The counts of a run in memory.
fn memory(costs: Result<Costs, Failure>) -> Result<Counts, Failure> {
    let costs = costs?;
    Ok(Counts {
        datagrams: Some(costs.sent + costs.answered),
        trains: Some(costs.trains),
        ..Counts::default()
    })
}

fn requests(window: u64) -> Result<Costs, Failure> {
    let task = task(Suite::Aes256);
    let config = |config: Config| with_suite(config, task.suite);
    let mut pair = Pair::new(
        config(Config::default()),
        config(Config::client()),
        Echo::new(call(window)),
        |endpoint, now, target| Asker::connect(endpoint, now, target, &task, window, call(window)),
    )?;
    pair.run(u64::MAX)
}

fn connects(identity: Option<SecretKey>) -> Result<Costs, Failure> {
    let task = task(Suite::Aes256);
    // No limit by time, which is virtual here.
    let guard = GuardConfig { retry_above: u32::MAX, ..GUARD };
    let server = with_suite(Config { guard, ..Config::default() }, task.suite);
    let client = with_suite(Config { identity, ..Config::client() }, task.suite);
    let mut pair = Pair::new(server, client, Host::default(), |endpoint, now, target| {
        Visitor::begin(endpoint, now, target, task.connects)
    })?;
    pair.run(u64::MAX)
}
