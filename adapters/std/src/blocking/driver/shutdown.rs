//! The end of the whole endpoint (R-CLOSE-7), as the loop thread brings it about.
//!
//! The engine lets requests be answered while it leaves, but it cannot know of messages that still
//! wait in cells. So newcomers are refused at once, and the rest begins when the cells are empty or
//! the time is up.

use super::{Driver, lock};
use crate::Error;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tripline::Code;
use tripline_sansio::Instant;

/// An end that is under way.
pub(super) struct Shutting {
    until: Instant,
    code: Code,
    reason: String,
    /// The engine has been told.
    begun: bool,
    over: bool,
    /// Who waits for it.
    waiting: Vec<SyncSender<()>>,
}

impl Driver {
    /// Nobody is let in any more; a second call may only bring the deadline forward.
    pub(super) fn shut_down(
        &mut self,
        grace: Duration,
        code: Code,
        reason: String,
        reply: Option<SyncSender<()>>,
    ) {
        let until = self.looper.clock().now() + grace;
        self.looper.with(|watch, now| watch.endpoint().refuse_newcomers(now, &reason));
        lock(&self.shared.accept).dead.get_or_insert(Error::Ended);
        self.shared.accepted.notify_all();
        let shutting = self.shutting.get_or_insert_with(|| Shutting {
            until,
            code,
            reason,
            begun: false,
            over: false,
            waiting: Vec::new(),
        });
        if until < shutting.until {
            (shutting.until, shutting.begun) = (until, false);
        }
        match reply {
            // It may have stopped waiting.
            Some(reply) if shutting.over => drop(reply.send(())),
            reply => shutting.waiting.extend(reply),
        }
    }

    /// When the engine has to be told at the latest.
    pub(super) fn shutting_at(&self) -> Option<Instant> {
        self.shutting.as_ref().filter(|shutting| !shutting.begun).map(|shutting| shutting.until)
    }

    /// Tells the engine, once nothing waits in cells or the time is up.
    pub(super) fn tend_shutting(&mut self) {
        let Self { looper, conns, shutting, .. } = self;
        let Some(shutting) = shutting.as_mut().filter(|shutting| !shutting.begun) else { return };
        let left = shutting.until.saturating_duration_since(looper.clock().now());
        let waits = conns.values().any(|conn| {
            conn.leaving.is_some() || conn.streams.values().any(super::Entry::has_outgoing)
        });
        if waits && !left.is_zero() {
            return;
        }
        shutting.begun = true;
        for conn in conns.values_mut() {
            conn.closing = true;
        }
        let Shutting { code, reason, .. } = shutting;
        looper.with(|watch, now| watch.endpoint().shut_down(now, left, *code, reason));
    }

    /// The engine says that nobody is left.
    pub(super) fn on_shut_down(&mut self) {
        let Some(shutting) = &mut self.shutting else { return };
        shutting.over = true;
        for waiting in shutting.waiting.drain(..) {
            // It may have stopped waiting.
            let _ = waiting.send(());
        }
    }
}
