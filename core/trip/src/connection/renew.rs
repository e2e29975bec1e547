//! What a renewal of the keys means for its connection: the hooks between [`Renewal`] and packets,
//! frames, timers and limits (PROTOCOL.md §5.3).
//!
//! [`Renewal`]: super::zone::renewal::Renewal
#![deny(clippy::arithmetic_side_effects)]

use super::timer::Timer;
use super::zone::renewal::{OwnHalf, Seen};
use super::{Connection, Cx, Stage};
use crate::crypto::Suite;
use crate::wire::{Frame, RenewFrame, Violation};

/// For how many probe timeouts the old zone is read (R-ZONE-2).
const OLD_ZONE_PTOS: u32 = 3;

impl Connection {
    /// The user wants new keys. Before READY, and while the zone before is still read, the wish
    /// waits (R-ZONE-3, R-ZONE-4).
    pub(crate) fn renew(&mut self) {
        if matches!(self.stage, Stage::Opening | Stage::Pinging | Stage::Ready) {
            self.renewal.want();
        }
    }

    /// Whether the endpoint is to give us a half of the next zone.
    pub(crate) fn wants_half(&self) -> bool {
        let Some(zone) = self.zone.as_ref().filter(|_| self.stage == Stage::Ready) else {
            return false;
        };
        let worn = self.renewal.limits().is_worn(zone.seal.sealed(), self.renewal.failures());
        let heard = self.sent.largest_acked().is_some_and(|at| at >= self.renewal.sent_from());
        self.renewal.wants_half(worn, heard)
    }

    /// Whether what we send can be read on the way: then a half holds no reset token (R-PLAIN-5a).
    pub(crate) fn is_readable(&self) -> bool {
        self.suite.is_some_and(Suite::is_readable)
    }

    /// Our half of the next zone, its ID registered by the endpoint.
    pub(crate) fn on_own_half(&mut self, half: OwnHalf, cx: &mut Cx<'_>) {
        let Some(zone) = self.zone.as_mut() else { return };
        let next = self.sent.next_number();
        if let Err(violation) = self.renewal.on_own_half(zone, self.side, half, next) {
            self.on_violation(violation, 0, cx);
        }
    }

    /// An ID that nobody sends to any more.
    pub(crate) fn take_released_id(&mut self) -> Option<u64> {
        self.renewal.take_released()
    }

    /// All IDs that the endpoint keeps for this connection.
    pub(crate) fn own_ids(&self) -> impl Iterator<Item = u64> + '_ {
        let current = self.zone.as_ref().map_or(self.own_id, |zone| zone.own_id);
        core::iter::once(current).chain(self.renewal.ids())
    }

    /// READY: the age of zone 0 counts from now.
    pub(super) fn begin_zones(&mut self, cx: &mut Cx<'_>) {
        let old_at = cx.now + self.renewal.limits().draw_age(cx.random);
        self.renewal.begin_zone(0, old_at);
    }

    /// We send in the next zone: something that asks for an answer goes out at once (R-ZONE-1).
    fn on_zone_moved(&mut self, cx: &mut Cx<'_>) {
        let old_at = cx.now + self.renewal.limits().draw_age(cx.random);
        self.renewal.begin_zone(self.sent.next_number(), old_at);
        self.pings.want(false);
        self.arm_zone();
    }

    /// A packet verified: which zone it came in may move ours, and zones may not overlap.
    pub(super) fn on_zone_number(
        &mut self,
        id: u64,
        number: u64,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        let Some(zone) = self.zone.as_mut() else { return Ok(()) };
        let seen = self.renewal.on_number(zone, id, number)?;
        if seen == Seen::Moved {
            self.on_zone_moved(cx);
        }
        if seen != Seen::Nothing {
            let wait = self.plain_pto().saturating_mul(OLD_ZONE_PTOS);
            self.renewal.wipe_old_at(cx.now + wait);
            self.arm_zone();
        }
        Ok(())
    }

    /// RENEW or RENEW_CONFIRM came.
    pub(super) fn on_renew(
        &mut self,
        frame: &RenewFrame,
        cx: &mut Cx<'_>,
    ) -> Result<(), Violation> {
        let Some(zone) = self.zone.as_mut() else { return Ok(()) };
        if self.renewal.on_frame(zone, self.side, frame, self.sent.next_number())? {
            self.on_zone_moved(cx);
        }
        self.arm_zone();
        Ok(())
    }

    /// Our half of `zone` was acknowledged.
    pub(super) fn on_renew_acked(&mut self, zone: u64, cx: &mut Cx<'_>) {
        let moved = self.zone.as_mut().is_some_and(|current| self.renewal.on_acked(current, zone));
        if moved {
            self.on_zone_moved(cx);
        }
    }

    /// Our half of `zone` was lost.
    pub(super) fn on_renew_lost(&mut self, zone: u64) {
        if let Some(current) = self.zone.as_ref() {
            self.renewal.on_lost(current, zone);
        }
    }

    /// Whether our half has to be sent.
    pub(super) fn is_renew_due(&self) -> bool {
        self.renewal.is_due() && self.zone.is_some()
    }

    /// Our half, if it has to be sent, as a frame.
    pub(super) fn renew_due(&self) -> Option<Frame<'static>> {
        self.zone.as_ref().and_then(|zone| self.renewal.due(zone)).map(Frame::Renew)
    }

    /// Payload goes over in either direction: only then the age of a zone counts, so that
    /// keep-alives alone renew nothing.
    pub(super) fn on_payload(&mut self, cx: &mut Cx<'_>) {
        if self.renewal.on_payload(cx.now) {
            self.arm_zone();
        }
    }

    /// The timer [`Timer::Zone`].
    pub(super) fn on_zone_timer(&mut self, cx: &mut Cx<'_>) {
        self.renewal.on_time(cx.now);
        self.arm_zone();
    }

    fn arm_zone(&mut self) {
        self.timers.set(Timer::Zone, self.renewal.next_time());
    }

    /// Whether the key that we send with may still seal data.
    pub(super) fn key_allows_data(&self) -> bool {
        let limits = self.renewal.limits();
        self.zone.as_ref().is_some_and(|zone| limits.allows_data(zone.seal.sealed()))
    }

    /// Whether the keys may not be used any longer.
    pub(super) fn is_key_spent(&self) -> bool {
        let limits = self.renewal.limits();
        let failed = self.renewal.failures();
        self.zone.as_ref().is_some_and(|zone| limits.is_spent(zone.seal.sealed(), failed))
    }

    /// Ends the connection if its keys may not be used any longer.
    pub(super) fn tick_keys(&mut self, cx: &mut Cx<'_>) {
        if self.is_key_spent() {
            self.on_key_limit(cx);
        }
    }
}
