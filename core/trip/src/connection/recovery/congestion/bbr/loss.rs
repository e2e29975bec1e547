//! What losses and marks mean (§5.5.10), and what happens if they were none (§5.5.11).
//!
//! The draft takes 2 % of loss for congestion wherever it comes from; on a path that loses 5 % of
//! its packets to noise, each probe then lowers the bound on what may be in flight. Here a loss
//! counts if a queue shows: if the packet acknowledged beside it took a quarter longer than the
//! shortest round trip. A bottleneck that overflows has a full queue, so those behind the lost
//! packet waited; noise strikes whether or not there is one. Where buffers are too small to show,
//! 15 % of loss counts without one: a probe, 25 % faster than the path, loses 20 % there.
//!
//! Bounds of short standing last as long as their reason: the first round trip of cruising without
//! congestion that finds the path empty drops them (in `model`).
#![deny(clippy::arithmetic_side_effects)]

use super::super::LostPacket;
use super::super::delivery::Sample;
use super::super::math::{part, scale};
use super::Bbr;
use super::params::{
    BETA, BLIND_LOSS_LEAST, BLIND_LOSS_THRESHOLD, BOUND_LEAST, LOSS_THRESHOLD, QUEUE_DIVISOR,
};
use super::state::{Mode, Undo};
use tripline_sansio::{Duration, Instant};

impl Bbr {
    /// Whether a round trip that took so long met a queue.
    fn shows_queue(&self, rtt: Duration) -> bool {
        let least = self.round_trip.least.unwrap_or(Duration::ZERO);
        rtt > least.saturating_add(part(least, QUEUE_DIVISOR))
    }

    /// `IsInflightTooHigh`: `lost` bytes of `in_flight` are more than noise.
    pub(super) fn is_too_high(&self, lost: u64, in_flight: u64) -> bool {
        let blind = lost > scale(in_flight, BLIND_LOSS_THRESHOLD, 100)
            && lost >= self.mtu.saturating_mul(BLIND_LOSS_LEAST);
        let seen = lost > scale(in_flight, LOSS_THRESHOLD, 100);
        blind || (seen && self.shows_queue(self.round_trip.latest))
    }

    /// `HandleLostPacket`.
    pub(super) fn lose(&mut self, now: Instant, packet: &LostPacket) {
        let bytes = u64::from(packet.bytes);
        if let Some(rtt) = self.delivery.newest_rtt(now) {
            self.round_trip.latest = rtt;
        }
        let sample = self.delivery.on_lost(packet.number, bytes, !packet.mtu_probe);
        if packet.mtu_probe {
            return;
        }
        self.note_loss(packet.number);
        let Some(sample) = sample else { return };
        if self.cycle.is_probe && self.is_too_high(sample.lost, sample.in_flight) {
            let volume = volume_at_loss(&sample, bytes);
            self.back_off(now, volume, sample.app_limited);
        }
    }

    /// `NoteLoss`, with `SaveStateUponLoss` at the first of a round.
    fn note_loss(&mut self, number: u64) {
        if !self.losses.any {
            self.losses.until = self.delivery.delivered;
        }
        if !self.losses.saved {
            self.losses.saved = true;
            self.save_window();
            self.undo = Some(Undo {
                since: number,
                lost: 0,
                mode: None,
                bandwidth: self.bandwidth.short,
                short: self.volume.short,
                long: self.volume.long,
            });
        }
        self.losses.any = true;
        self.losses.congested |= self.shows_queue(self.round_trip.latest);
        if self.losses.runs == 0 || number != self.losses.last.saturating_add(1) {
            self.losses.runs = self.losses.runs.saturating_add(1);
        }
        self.losses.last = number;
        if let Some(undo) = &mut self.undo {
            undo.lost = undo.lost.saturating_add(1);
        }
    }

    /// `HandleInflightTooHigh`: more than `volume` in flight is too much.
    ///
    /// The draft bounds the flow at `volume`; beside CUBIC, which goes down to 0.7 of what it had,
    /// that takes two thirds of the path and more. So the bound is 0.7 of it too, but never so low
    /// that the path, without a queue and with the headroom of cruising, would not be full.
    fn back_off(&mut self, now: Instant, volume: u64, app_limited: bool) {
        self.cycle.was_too_high = true;
        self.cycle.is_probe = false;
        if !app_limited {
            let least = scale(self.target_volume(), BOUND_LEAST, 100);
            self.volume.long = scale(volume, BETA, 100).max(least);
        }
        if self.mode == Mode::Up {
            if let Some(undo) = &mut self.undo {
                undo.mode = Some(Mode::Up);
            }
            self.start_down(now);
        }
    }

    /// CE marks: congestion beyond doubt, and no mistake. The draft leaves them out; they count as
    /// losses where a queue shows (RFC 9002 §7.1).
    pub(super) fn take_mark(&mut self, now: Instant) {
        if !self.losses.any {
            self.losses.until = self.delivery.delivered;
        }
        self.losses.any = true;
        self.losses.congested = true;
        self.undo = None;
        if self.cycle.is_probe {
            self.back_off(now, self.in_flight, self.delivery.is_app_limited());
        }
        if self.mode == Mode::Startup {
            self.pipe.was_full = true;
        }
    }

    /// A lost packet had arrived; if all of a round had, `HandleSpuriousLossDetection`.
    pub(super) fn unlose(&mut self, packet: &LostPacket) {
        if packet.mtu_probe {
            return;
        }
        self.delivery.on_spurious(u64::from(packet.bytes));
        let Some(undo) = &mut self.undo else { return };
        if packet.number < undo.since {
            return;
        }
        undo.lost = undo.lost.saturating_sub(1);
        if undo.lost == 0
            && let Some(undo) = self.undo.take()
        {
            self.restore(&undo);
        }
    }

    fn restore(&mut self, undo: &Undo) {
        self.restore_window();
        self.stalled = None;
        self.losses.any = false;
        self.losses.congested = false;
        self.losses.saved = false;
        self.pipe.reset(0);
        self.bandwidth.short = self.bandwidth.short.max(undo.bandwidth);
        self.volume.short = self.volume.short.max(undo.short);
        self.volume.long = self.volume.long.max(undo.long);
        let changed = undo.mode.filter(|mode| *mode != self.mode);
        if changed == Some(Mode::Startup) {
            self.pipe.was_full = false;
        }
        match changed {
            Some(Mode::Startup) if self.mode != Mode::ProbeRtt => self.mode = Mode::Startup,
            Some(Mode::Up) if self.mode != Mode::ProbeRtt => self.start_refill(),
            _ => (),
        }
    }
}

/// `InflightAtLoss`: what was in flight when losses passed the threshold, somewhere inside the lost
/// packet of `bytes`.
fn volume_at_loss(sample: &Sample, bytes: u64) -> u64 {
    let before = sample.in_flight.saturating_sub(bytes);
    let lost_before = sample.lost.saturating_sub(bytes);
    let allowed = scale(before, LOSS_THRESHOLD, 100).saturating_sub(lost_before);
    let kept = 100_u64.saturating_sub(LOSS_THRESHOLD);
    before.saturating_add(scale(allowed, 100, kept))
}
