//! `--explain`: what a connection waits for, once a second on standard error, while nothing
//! happens.

use std::io::{self, Write};
use std::time::{Duration, Instant};
use tripline::{ConnectionHandle, Endpoint};

/// After how long without news it speaks, and how often.
const EVERY: Duration = Duration::from_secs(1);

/// Who explains, and when it does so next.
#[derive(Debug)]
pub(crate) struct Explainer {
    connection: Option<ConnectionHandle>,
    next: Instant,
}

impl Explainer {
    /// Nothing has happened yet, and there is no connection.
    pub(crate) fn new() -> Self {
        Self { connection: None, next: Instant::now() + EVERY }
    }

    /// This is the connection to explain.
    pub(crate) fn watch(&mut self, connection: ConnectionHandle) {
        self.connection = Some(connection);
        self.on_news();
    }

    /// Something happened.
    pub(crate) fn on_news(&mut self) {
        self.next = Instant::now() + EVERY;
    }

    /// When it speaks next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Speaks if it is time.
    pub(crate) fn speak(&mut self, endpoint: &Endpoint, now: tripline_sansio::Instant) {
        if self.next > Instant::now() {
            return;
        }
        self.on_news();
        let found = self.connection.and_then(|connection| endpoint.explain(now, connection));
        if let Some(found) = found {
            // Who cannot be told cannot be told that either.
            let _ = writeln!(io::stderr(), "{found}");
        }
    }
}
