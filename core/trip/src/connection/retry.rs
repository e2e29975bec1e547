//! The client's answer to RETRY: the same OPEN again, with the token (R-RETRY, R-OPEN-2).
//!
//! In comes a RETRY, out goes at most one OPEN for it. A RETRY changes nothing about the attempt
//! but the token that its OPENs carry from then on: it never ends the wait (R-CHAL-2).

use super::opening::Opening;
use super::{Connection, Cx};
use crate::bucket::{Bucket, Rate};
use crate::crypto::{keyed_mac, same};
use crate::wire::{Open, Retry, with_token};
use core::net::SocketAddr;
use tripline_sansio::{Instant, Path};

/// RETRYs answered a second, and at once (R-RETRY-1).
const ANSWERS: Rate = Rate::new(8, 8);

/// What an attempt knows of RETRYs.
#[derive(Clone, Debug, Default)]
pub(super) struct Retries {
    bucket: Bucket,
    /// Where the OPEN with the token has to go now.
    due: Option<SocketAddr>,
    /// How many were answered.
    answered: u32,
}

impl Retries {
    /// Where an OPEN has to go, besides those that the clock sends.
    pub(super) fn take_due(&mut self) -> Option<SocketAddr> {
        self.due.take()
    }

    /// How many RETRYs were answered with an OPEN that carries their token.
    pub(super) fn answered(&self) -> u32 {
        self.answered
    }

    fn allow(&mut self, now: Instant) -> bool {
        self.bucket.take(now, ANSWERS)
    }
}

impl Connection {
    /// RETRY came. Only a true one counts, made for this very OPEN, from where one went to
    /// (R-RETRY-1).
    pub(crate) fn on_retry(&mut self, path: Path, retry: &Retry<'_>, cx: &mut Cx<'_>) {
        let opening = self.opening.as_deref_mut().filter(|opening| opening.awaits(path));
        if opening.is_none_or(|opening| !opening.take_token(path, retry, cx.now)) {
            let bad = &mut self.stats.drops.bad_handshake;
            *bad = bad.saturating_add(1);
        }
    }
}

impl Opening {
    /// Takes the token over into OPEN; whether the RETRY was true and is to be answered.
    fn take_token(&mut self, path: Path, retry: &Retry<'_>, now: Instant) -> bool {
        let Ok(open) = Open::parse(&self.start.packet) else { return false };
        let mac = keyed_mac(&self.start.mac_key, &[retry.before_mac, &open.mac1]);
        if !same(&mac, &retry.mac) || !self.retries.allow(now) {
            return false;
        }
        let Ok(packet) = with_token(&self.start.packet, retry.token) else { return false };
        self.start.packet = packet;
        self.retries.due = Some(path.remote);
        self.retries.answered = self.retries.answered.saturating_add(1);
        true
    }
}
