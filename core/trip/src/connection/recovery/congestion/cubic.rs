//! CUBIC (R-CC-2; RFC 9438) for datagrams counted in bytes, in whole numbers, with HyStart++
//! (RFC 9406) in the first slow start and with reductions undone when all losses behind them were
//! none.
//!
//! In go packets acknowledged and lost; out comes the window. Pacing is that of the trait.
#![deny(clippy::arithmetic_side_effects)]

use super::hystart::HyStart;
use super::math::{MINIMUM_DATAGRAMS, cube_root, initial_window, scale};
use super::saved::{self, Fields, Walk};
use super::{
    AckSummary, AckedPacket, CongestionEvent, Controller, LostPacket, RestoreError, SentPacket,
};
use crate::connection::recovery::rtt::RttSummary;
use alloc::boxed::Box;
use alloc::vec::Vec;
use tripline_sansio::codec::ReadError;
use tripline_sansio::{Duration, Instant};

/// β in tenths: what is left of the window after a reduction (RFC 9438 §4.6).
const BETA_TENTHS: u64 = 7;

/// (1 + β) / 2 in twentieths, for fast convergence (RFC 9438 §4.7).
const CONVERGENCE_TWENTIETHS: u64 = 17;

/// C = 0.4 segments per cubic second (RFC 9438 §5.1), as a fraction.
const C: (u128, u128) = (4, 10);

/// 3 × (1 − β) / (1 + β) = 9/17: how fast the Reno-friendly window grows until it reaches the
/// window before the reduction (RFC 9438 §4.3).
const ALPHA: (u64, u64) = (9, 17);

/// The Reno-friendly window is kept in this many parts of a byte, or it would not grow at all by
/// packets much smaller than the window.
const PARTS: u64 = 1 << 16;

/// Cubic microseconds in a cubic second.
const CUBIC_MICROS: u128 = 1_000_000_000_000_000_000;

/// No time since a reduction is taken to be longer: more than an hour of growth is a window that
/// no path has, and the cube of it still fits.
const GROWTH_MICROS_MAX: u64 = 1 << 32;

/// The first byte of a saved state.
const SAVED_MARK: u8 = 2;

/// What a reduction changes, and its undoing restores. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Curve {
    window: u64,
    /// Slow start ends here.
    threshold: u64,
    /// `W_max`: where the curve is flat. 0 before the first reduction.
    flat: u64,
    /// `cwnd_prior`: the window before the last reduction.
    prior: u64,
    /// When this stage of congestion avoidance began: with the reduction (PROTOCOL.md §13), or
    /// with the first ACK if there was none.
    began: Option<Instant>,
    /// `K` in microseconds: how long after `began` the curve reaches `flat`.
    flat_after: u64,
    /// `W_est` in parts of a byte.
    friendly: u64,
    /// Growth times window not yet paid out.
    credit: u64,
    /// When the window was last reduced: packets sent until then belong to that event.
    recovery_from: Option<Instant>,
    /// Since when the application is what limits the sender: this time does not count as growth
    /// (RFC 9438 §5.8).
    limited_from: Option<Instant>,
}

impl Curve {
    const fn new(window: u64) -> Self {
        Self {
            window,
            threshold: u64::MAX,
            flat: 0,
            prior: 0,
            began: None,
            flat_after: 0,
            friendly: 0,
            credit: 0,
            recovery_from: None,
            limited_from: None,
        }
    }

    /// Whether a packet sent at `at` went out before the last reduction took effect.
    fn is_in_recovery(&self, at: Instant) -> bool {
        self.recovery_from.is_some_and(|from| at <= from)
    }

    /// Congestion avoidance begins: `K` and the origin of the curve (RFC 9438 §4.2, and
    /// §4.10 if slow start ended without a loss).
    fn begin(&mut self, now: Instant, mtu: u64) {
        self.began = Some(now);
        self.friendly = self.window.saturating_mul(PARTS);
        self.credit = 0;
        self.flat = self.flat.max(self.window);
        self.prior = self.prior.max(self.window);
        let below = u128::from(self.flat.saturating_sub(self.window));
        let (numerator, denominator) = C;
        let cube = below.saturating_mul(denominator).saturating_mul(CUBIC_MICROS);
        let divisor = u128::from(mtu).saturating_mul(numerator);
        self.flat_after = cube_root(cube.checked_div(divisor).unwrap_or(0));
    }

    /// `W_cubic` at `micros` into the stage (RFC 9438 §4.2), in bytes.
    fn cubic(&self, micros: u64, mtu: u64) -> u64 {
        let away = u128::from(micros.abs_diff(self.flat_after).min(GROWTH_MICROS_MAX));
        let cube = away.saturating_mul(away).saturating_mul(away);
        let (numerator, denominator) = C;
        let scaled = cube.saturating_mul(u128::from(mtu)).saturating_mul(numerator);
        let bytes = scaled.checked_div(CUBIC_MICROS.saturating_mul(denominator)).unwrap_or(0);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if micros < self.flat_after {
            self.flat.saturating_sub(bytes)
        } else {
            self.flat.saturating_add(bytes)
        }
    }

    /// `W_est` after `bytes` were acknowledged (RFC 9438 §4.3), in bytes.
    fn grow_friendly(&mut self, bytes: u64, mtu: u64) -> u64 {
        let (numerator, denominator) =
            if self.friendly / PARTS < self.prior { ALPHA } else { (1, 1) };
        let segment = scale(mtu.saturating_mul(PARTS), numerator, denominator);
        let growth = scale(segment, bytes, self.window.max(1));
        self.friendly = self.friendly.saturating_add(growth);
        self.friendly / PARTS
    }

    /// Congestion avoidance for one ACK of `bytes` (RFC 9438 §4.2 to §4.5).
    fn avoid(&mut self, now: Instant, bytes: u64, mtu: u64, rtt: Duration) {
        if self.began.is_none() {
            self.begin(now, mtu);
        }
        let elapsed = self.began.map_or(Duration::ZERO, |began| now - began);
        let friendly = self.grow_friendly(bytes, mtu);
        if self.cubic(micros(elapsed), mtu) < friendly {
            self.window = self.window.max(friendly);
            self.credit = 0;
            return;
        }
        let ahead = micros(elapsed.saturating_add(rtt));
        let most = self.window.saturating_add(self.window / 2);
        let target = self.cubic(ahead, mtu).clamp(self.window, most);
        let growth = target.saturating_sub(self.window).saturating_mul(bytes);
        self.credit = self.credit.saturating_add(growth);
        let divisor = self.window.max(1);
        self.window = self.window.saturating_add(self.credit.checked_div(divisor).unwrap_or(0));
        self.credit = self.credit.checked_rem(divisor).unwrap_or(0);
    }

    /// Multiplicative decrease with fast convergence (RFC 9438 §4.6, §4.7).
    fn reduce(&mut self, now: Instant, mtu: u64, least: u64) {
        self.recovery_from = Some(now);
        self.flat = if self.window < self.flat {
            scale(self.window, CONVERGENCE_TWENTIETHS, 20)
        } else {
            self.window
        };
        self.prior = self.window;
        self.window = scale(self.window, BETA_TENTHS, 10).max(least);
        self.threshold = self.window;
        self.begin(now, mtu);
        self.limited_from = None;
    }

    fn resume(&mut self, now: Instant) {
        if let Some(from) = self.limited_from.take()
            && let Some(began) = &mut self.began
        {
            *began += now - from;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

impl Fields for Curve {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [
            &mut self.window,
            &mut self.threshold,
            &mut self.flat,
            &mut self.prior,
            &mut self.flat_after,
            &mut self.friendly,
            &mut self.credit,
        ])?;
        for at in [&mut self.began, &mut self.recovery_from, &mut self.limited_from] {
            walk.option(at, Instant::ZERO, Walk::instant)?;
        }
        Ok(())
    }
}

/// The state before a reduction, until its losses proved true or none (RFC 9438 §4.9).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Undo {
    before: Curve,
    /// Packets sent later belong to the next event.
    until: Instant,
    /// Losses of this event that have not turned out spurious.
    lost: u64,
}

impl Undo {
    fn covers(&self, sent_at: Instant) -> bool {
        !self.before.is_in_recovery(sent_at) && sent_at <= self.until
    }
}

impl Fields for Undo {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        self.before.walk(walk)?;
        walk.instant(&mut self.until)?;
        walk.u64(&mut self.lost)
    }
}

/// The CUBIC controller of RFC 9438, with HyStart++.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cubic {
    /// The largest datagram, in bytes.
    mtu: u64,
    curve: Curve,
    start: HyStart,
    undo: Option<Undo>,
    /// Losses told that no event covers yet: they belong to the one that comes next.
    fresh_losses: u64,
}

impl Cubic {
    /// A controller at its initial window, for datagrams of `mtu` bytes at most.
    pub fn new(mtu: u16) -> Self {
        let mtu = u64::from(mtu.max(1));
        Self {
            mtu,
            curve: Curve::new(initial_window(mtu)),
            start: HyStart::new(),
            undo: None,
            fresh_losses: 0,
        }
    }

    const fn minimum(&self) -> u64 {
        self.mtu.saturating_mul(MINIMUM_DATAGRAMS)
    }

    fn is_sound(&self) -> bool {
        let undo = self.undo.as_ref();
        self.mtu > 0
            && self.curve.window >= self.minimum()
            && undo.is_none_or(|undo| undo.before.window > 0)
    }
}

impl Fields for Cubic {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [&mut self.mtu, &mut self.fresh_losses])?;
        self.curve.walk(walk)?;
        self.start.walk(walk)?;
        let empty = Undo { before: Curve::new(0), until: Instant::ZERO, lost: 0 };
        walk.option(&mut self.undo, empty, |walk, undo| undo.walk(walk))
    }
}

impl Controller for Cubic {
    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        saved::save(SAVED_MARK, &mut self.clone(), out);
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        let mut state = Self::new(1);
        if !saved::restore(SAVED_MARK, &mut state, saved) || !state.is_sound() {
            return Err(RestoreError);
        }
        *self = state;
        Ok(())
    }

    fn threshold(&self) -> Option<u64> {
        (self.curve.threshold != u64::MAX).then_some(self.curve.threshold)
    }

    /// The nearest whole number of datagrams: no part of one can be sent, and always to round down
    /// would cost small windows a tenth of their rate.
    fn window(&self) -> u64 {
        let datagrams = self.curve.window.saturating_add(self.mtu / 2).checked_div(self.mtu);
        datagrams.unwrap_or(0).saturating_mul(self.mtu).max(self.minimum())
    }

    fn on_sent(&mut self, _now: Instant, packet: &SentPacket) {
        self.start.on_sent(packet.number);
    }

    fn on_app_limited(&mut self, now: Instant, _in_flight: u64) {
        self.curve.limited_from.get_or_insert(now);
    }

    fn on_acked(&mut self, now: Instant, packet: &AckedPacket, rtt: &RttSummary) {
        let curve = &mut self.curve;
        // RFC 9002 §7.8 and §7.3.2: neither an unused window nor one in recovery grows.
        if packet.app_limited {
            curve.limited_from.get_or_insert(now);
            return;
        }
        let bytes = u64::from(packet.bytes);
        if curve.is_in_recovery(packet.sent_at) {
            curve.grow_friendly(bytes, self.mtu);
            return;
        }
        curve.resume(now);
        if curve.window < curve.threshold {
            curve.window = curve.window.saturating_add(self.start.growth(bytes));
        } else {
            curve.avoid(now, bytes, self.mtu, rtt.smoothed);
        }
    }

    fn on_lost(&mut self, _now: Instant, packet: &LostPacket) {
        if packet.mtu_probe {
            return;
        }
        if !self.curve.is_in_recovery(packet.sent_at) {
            self.fresh_losses = self.fresh_losses.saturating_add(1);
        } else if let Some(undo) = &mut self.undo
            && undo.covers(packet.sent_at)
        {
            undo.lost = undo.lost.saturating_add(1);
        }
    }

    fn on_spurious(&mut self, _now: Instant, packet: &LostPacket) {
        let Some(undo) = &mut self.undo else { return };
        if packet.mtu_probe || !undo.covers(packet.sent_at) {
            return;
        }
        undo.lost = undo.lost.saturating_sub(1);
        if undo.lost == 0
            && let Some(undo) = self.undo.take()
        {
            // RFC 9438 §4.9.2: as if nothing had happened, unless more was gained since.
            let window = self.curve.window.max(undo.before.window);
            self.curve = Curve { window, ..undo.before };
        }
    }

    fn on_congestion(&mut self, now: Instant, event: &CongestionEvent) {
        let least = self.minimum();
        let lost = core::mem::take(&mut self.fresh_losses);
        if !self.curve.is_in_recovery(event.sent_at) {
            let before = self.curve.clone();
            self.undo = Some(Undo { before, until: now, lost });
            self.curve.reduce(now, self.mtu, least);
            self.start.finish();
        }
        if event.persistent {
            // RFC 9002 §7.6.2: from the minimum window, in slow start, at once.
            self.curve.window = least;
            self.curve.began = None;
            self.curve.recovery_from = None;
        }
        if event.ecn {
            // A mark is no mistake.
            self.undo = None;
        }
    }

    fn on_ack_end(&mut self, _now: Instant, summary: &AckSummary, _rtt: &RttSummary) {
        let over = self.start.on_ack(summary.largest_acked, summary.rtt_sample);
        if over && self.curve.window < self.curve.threshold {
            self.curve.threshold = self.curve.window;
        }
    }

    fn on_mtu(&mut self, bytes: u16) {
        let bytes = bytes.max(1);
        let limited_from = self.curve.limited_from;
        let fresh = Curve { limited_from, ..Curve::new(initial_window(self.mtu)) };
        if self.curve == fresh {
            // RFC 9002 §7.2: an initial window is reckoned anew with the new size. Whether the
            // application has paused by then makes no difference: an unused window does not grow.
            self.curve.window = initial_window(u64::from(bytes));
        }
        self.mtu = u64::from(bytes);
        self.curve.window = self.curve.window.max(self.minimum());
    }
}

#[cfg(test)]
mod tests;
