//! Many connections of our own engine that do nothing.

use std::time::Duration;

use tripline::{Config, Endpoint, Event, TransportConfig};
use tripline_sansio::Instant;

use super::connects::GUARD;
use super::{App, Run, Target};
use crate::meter::Mark;
use crate::quiet::Window;
use crate::task::{Failure, Record, Task, complete};

/// Handshakes under way at a time, as the other peers.
const AT_ONCE: u64 = 16;

/// Opens them all and watches them.
pub fn idle(task: &Task) -> Result<Record, Failure> {
    // Nobody speaks and nobody gives up, as for the other peers.
    let transport = TransportConfig {
        idle_timeout: Duration::from_secs(3_600),
        keep_alive: Duration::ZERO,
        ..TransportConfig::default()
    };
    let mut run = Run::new(task);
    run.server = Config { transport: transport.clone(), guard: GUARD, ..run.server };
    run.client = Config { transport, ..run.client };
    let (wanted, window) = (task.idle, Window::new());
    let at_server = window.clone();
    let (_, client) = run.go(
        move || Host { wanted, connected: 0, window: at_server },
        move |endpoint, now, target| Crowd::begin(endpoint, now, target, wanted, window),
    )?;
    complete("connections", client.connected, wanted)?;
    Ok(client.record.ok_or("never measured")?)
}

/// The server: says when it has them all.
struct Host {
    wanted: u64,
    connected: u64,
    window: Window,
}

impl App for Host {
    fn on_event(&mut self, _: &mut Endpoint, _: Instant, event: &Event) -> Result<(), Failure> {
        if let Event::Connected { .. } = event {
            self.connected += 1;
            if self.connected == self.wanted {
                self.window.server_is_ready();
            }
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.window.is_over()
    }
}

/// The client: opens them, waits, and measures.
struct Crowd {
    target: Target,
    wanted: u64,
    begun: u64,
    connected: u64,
    window: Window,
    quiet: Option<Mark>,
    record: Option<Record>,
}

impl Crowd {
    fn begin(
        endpoint: &mut Endpoint,
        now: Instant,
        target: Target,
        wanted: u64,
        window: Window,
    ) -> Result<Self, Failure> {
        window.begin();
        let begun = wanted.min(AT_ONCE);
        for _ in 0..begun {
            target.connect(endpoint, now)?;
        }
        Ok(Self { target, wanted, begun, connected: 0, window, quiet: None, record: None })
    }
}

impl App for Crowd {
    fn on_event(
        &mut self,
        endpoint: &mut Endpoint,
        now: Instant,
        event: &Event,
    ) -> Result<(), Failure> {
        if let Event::Connected { .. } = event {
            self.connected += 1;
            if self.begun < self.wanted {
                self.begun += 1;
                self.target.connect(endpoint, now)?;
            }
        }
        Ok(())
    }

    fn done(&self) -> bool {
        self.record.is_some()
    }

    fn patience(&self) -> Duration {
        if self.quiet.is_some() { Window::QUIET } else { Window::LOOK }
    }

    fn on_silence(&mut self) -> Result<(), Failure> {
        if let Some(quiet) = self.quiet {
            self.record = Some(self.window.measure_end(quiet, self.wanted));
            self.window.end();
        } else if self.window.is_settled() {
            self.quiet = Some(self.window.measure_begin());
        }
        Ok(())
    }
}
