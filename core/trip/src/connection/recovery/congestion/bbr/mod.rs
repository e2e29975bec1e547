//! BBR version 3 (R-CC-3; draft-ietf-ccwg-bbr): sends at the rate at which the path delivers, and
//! keeps in flight little more than the path holds.
//!
//! In go packets sent, acknowledged and lost; out come a pacing rate and a window. Files: `state`
//! what is remembered, `model` what the path is like, `startup` and `cycle` and `probe_rtt` what
//! the flow does when, `loss` what losses mean, `control` what follows for rate and window. Section
//! numbers are those of the draft. What is otherwise than there is in PROTOCOL.md §13 and in
//! [`params`], and comes down to this: *a loss counts as congestion if a queue shows*.
//!
//! A controller draws no randomness: the wait between two probes is mixed from the number of the
//! newest packet and the bytes delivered.
#![deny(clippy::arithmetic_side_effects)]

mod control;
mod cycle;
mod loss;
mod model;
mod params;
mod probe_rtt;
mod startup;
mod state;
#[cfg(test)]
mod tests;

use super::delivery::{Delivery, Sample};
use super::math::initial_window;
use super::saved::{self, Fields, Walk};
use super::{
    AckSummary, AckedPacket, CongestionEvent, Controller, LostPacket, RestoreError, SentPacket,
};
use crate::connection::recovery::rtt::RttSummary;
use alloc::boxed::Box;
use alloc::vec::Vec;
use params::PIPE_LEAST;
use state::{Aggregation, Bandwidth, Cycle, Losses, Mode, Pipe, RoundTrip, Rounds, Undo, Volume};
use tripline_sansio::codec::ReadError;
use tripline_sansio::{Duration, Instant};

/// The first byte of a saved state.
const SAVED_MARK: u8 = 4;

/// The BBR controller, version 3.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bbr {
    /// The largest datagram, in bytes.
    mtu: u64,
    window: u64,
    /// The last window before a loss or ProbeRTT cut it.
    prior_window: u64,
    /// The pacing rate; 0 before the first ACK.
    rate: u64,
    /// In flight at the last ACK.
    in_flight: u64,
    /// The largest number sent.
    newest: u64,
    mode: Mode,
    delivery: Delivery,
    rounds: Rounds,
    bandwidth: Bandwidth,
    volume: Volume,
    round_trip: RoundTrip,
    pipe: Pipe,
    losses: Losses,
    cycle: Cycle,
    aggregation: Aggregation,
    undo: Option<Undo>,
    /// The window was what limited the sender in this round, and in the one before.
    limited: bool,
    was_limited: bool,
    idle_restart: bool,
    /// Persistent congestion was declared then: the window is small until a later packet arrives.
    stalled: Option<Instant>,
}

impl Bbr {
    /// A controller at its initial window, for datagrams of `mtu` bytes at most.
    pub fn new(mtu: u16) -> Self {
        let mtu = u64::from(mtu.max(1));
        Self {
            mtu,
            window: initial_window(mtu),
            prior_window: 0,
            rate: 0,
            in_flight: 0,
            newest: 0,
            mode: Mode::Startup,
            delivery: Delivery::new(),
            rounds: Rounds::default(),
            bandwidth: Bandwidth::NEW,
            volume: Volume::NEW,
            round_trip: RoundTrip::NEW,
            pipe: Pipe::default(),
            losses: Losses::default(),
            cycle: Cycle::NEW,
            aggregation: Aggregation::default(),
            undo: None,
            limited: false,
            was_limited: false,
            idle_restart: false,
            stalled: None,
        }
    }

    const fn window_least(&self) -> u64 {
        self.mtu.saturating_mul(PIPE_LEAST)
    }

    fn is_sound(&self) -> bool {
        self.mtu > 0 && self.window > 0 && self.delivery.is_sound()
    }

    /// `UpdateModelAndState` (§5.2.3), in the order of the draft.
    fn update(&mut self, now: Instant, sample: &Sample) {
        self.update_latest(sample);
        self.update_congestion(sample);
        self.update_aggregation(now, sample);
        self.check_full_pipe(sample);
        self.check_startup_done(sample);
        self.check_drain_done(now);
        self.update_cycle(now, sample);
        self.update_min_rtt(now, sample);
        self.check_probe_rtt(now);
        if sample.delivered > 0 {
            self.idle_restart = false;
        }
        self.advance_latest(sample);
    }
}

impl Fields for Bbr {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), ReadError> {
        walk.all(&mut [
            &mut self.mtu,
            &mut self.window,
            &mut self.prior_window,
            &mut self.rate,
            &mut self.in_flight,
            &mut self.newest,
        ])?;
        self.mode.walk(walk)?;
        self.delivery.walk(walk)?;
        self.rounds.walk(walk)?;
        self.bandwidth.walk(walk)?;
        self.volume.walk(walk)?;
        self.round_trip.walk(walk)?;
        self.pipe.walk(walk)?;
        self.losses.walk(walk)?;
        self.cycle.walk(walk)?;
        self.aggregation.walk(walk)?;
        walk.option(&mut self.undo, Undo::EMPTY, |walk, undo| undo.walk(walk))?;
        walk.flag(&mut self.limited)?;
        walk.flag(&mut self.was_limited)?;
        walk.flag(&mut self.idle_restart)?;
        walk.option(&mut self.stalled, Instant::ZERO, Walk::instant)
    }
}

impl Controller for Bbr {
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

    fn window(&self) -> u64 {
        self.window
    }

    fn pacing_rate(&self, rtt: &RttSummary) -> u64 {
        if self.rate == 0 { self.first_rate(rtt) } else { self.rate }
    }

    fn on_sent(&mut self, now: Instant, packet: &SentPacket) {
        self.newest = self.newest.max(packet.number);
        if packet.in_flight <= u64::from(packet.bytes) && self.delivery.is_app_limited() {
            self.restart_from_idle(now);
        }
        self.delivery.on_sent(now, packet);
        self.limited |= packet.in_flight.saturating_add(self.mtu) > self.window;
    }

    fn on_app_limited(&mut self, _now: Instant, in_flight: u64) {
        self.delivery.on_app_limited(in_flight);
    }

    fn on_acked(&mut self, now: Instant, packet: &AckedPacket, _rtt: &RttSummary) {
        if self.stalled.is_some_and(|since| packet.sent_at > since) {
            self.stalled = None;
            self.restore_window();
        }
        self.delivery.on_acked(now, packet);
    }

    fn on_lost(&mut self, now: Instant, packet: &LostPacket) {
        self.lose(now, packet);
    }

    fn on_spurious(&mut self, _now: Instant, packet: &LostPacket) {
        self.unlose(packet);
    }

    fn on_congestion(&mut self, now: Instant, event: &CongestionEvent) {
        if event.ecn {
            self.take_mark(now);
        }
        if event.persistent {
            self.save_window();
            self.stalled = Some(now);
            self.window = self.window_least();
        }
    }

    fn on_ack_end(&mut self, now: Instant, summary: &AckSummary, rtt: &RttSummary) {
        self.in_flight = summary.in_flight;
        let least = self.round_trip.least.unwrap_or(Duration::ZERO);
        let Some(sample) = self.delivery.sample(now, least) else { return };
        self.update(now, &sample);
        self.set_rate(rtt);
        self.set_window(&sample);
    }

    fn on_mtu(&mut self, bytes: u16) {
        let mtu = u64::from(bytes.max(1));
        if self.window == initial_window(self.mtu) && self.rate == 0 {
            // RFC 9002 §7.2: an initial window is reckoned anew with the new size.
            self.window = initial_window(mtu);
        }
        self.mtu = mtu;
        self.window = self.window.max(self.window_least());
    }
}
