//! Connections per second over our own engine: NK, where only the server has an identity, as with
//! certificates; and IK, where both prove one.

use tripline::{Code, Config, Endpoint, Event, GuardConfig, SecretKey};
use tripline_sansio::{Duration, Instant};
use tripline_std::os_seed;

use super::{App, Run, Target};
use crate::meter::Mark;
use crate::task::{Failure, Record, Task, complete};

/// Handshakes under way at a time, as the other peers.
const AT_ONCE: u64 = 16;

/// What strangers may cost: no limit on handshakes, which is what is measured. The default is 2,000
/// a second.
pub const GUARD: GuardConfig = GuardConfig {
    retry_above: 64,
    challenges_per_second: u32::MAX,
    repeats_per_second: u32::MAX,
    refusals_per_second: 1_000,
    retries_per_second: 250_000,
    versions_per_second: 1_000,
    resets_per_second: 1_000,
    opens_per_prefix: u32::MAX,
};

/// Clients without an identity.
pub fn connects_nk(task: &Task) -> Result<Record, Failure> {
    run(task, None)
}

/// Clients with an identity.
pub fn connects_ik(task: &Task) -> Result<Record, Failure> {
    run(task, Some(SecretKey::generate(&mut os_seed()?.random("client"))))
}

fn run(task: &Task, identity: Option<SecretKey>) -> Result<Record, Failure> {
    let mut run = Run::new(task);
    run.server = Config { guard: GUARD, ..run.server };
    run.client = Config { identity, ..run.client };
    let wanted = task.connects;
    let (server, client) = run.go(Host::default, move |endpoint, now, target| {
        Visitor::begin(endpoint, now, target, wanted)
    })?;
    complete("connections", client.connected, wanted)?;
    if server.connected < wanted.saturating_sub(AT_ONCE) {
        complete("connections at the server", server.connected, wanted)?;
    }
    let end = client.ended.ok_or("never ended")?;
    Ok(Record::of(wanted, client.begun, end))
}

/// The server: counts.
#[derive(Default)]
pub struct Host {
    connected: u64,
}

impl App for Host {
    fn on_event(&mut self, _: &mut Endpoint, _: Instant, event: &Event) -> Result<(), Failure> {
        self.connected += u64::from(matches!(event, Event::Connected { .. }));
        Ok(())
    }

    fn done(&self) -> bool {
        false
    }
}

/// The client: connects, closes, connects again.
pub struct Visitor {
    target: Target,
    wanted: u64,
    begun_connections: u64,
    connected: u64,
    begun: Mark,
    ended: Option<Mark>,
}

impl Visitor {
    /// Begins the first handshakes.
    pub fn begin(
        endpoint: &mut Endpoint,
        now: Instant,
        target: Target,
        wanted: u64,
    ) -> Result<Self, Failure> {
        let begun = Mark::now();
        let begun_connections = wanted.min(AT_ONCE);
        for _ in 0..begun_connections {
            target.connect(endpoint, now)?;
        }
        Ok(Self { target, wanted, begun_connections, connected: 0, begun, ended: None })
    }
}

impl App for Visitor {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        let Event::Connected { connection, .. } = event else { return Ok(()) };
        self.connected += 1;
        endpoint.close(now, *connection, Duration::ZERO, Code::NONE, "done")?;
        if self.begun_connections < self.wanted {
            self.begun_connections += 1;
            self.target.connect(endpoint, now)?;
        }
        if self.connected == self.wanted {
            self.ended = Some(Mark::now());
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.ended.is_some()
    }
}
