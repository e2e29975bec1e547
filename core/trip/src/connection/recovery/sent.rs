//! What was sent and may still be acknowledged or lost (R-DATA-2, R-ACK-2; RFC 9002 §5.1, §6.1,
//! §7.6 and appendix A).
//!
//! In go packets with the caller's frame records, then ACK ranges and the time; out comes the fate
//! of each packet, once, with its records, and what round-trip estimator, controller and timers
//! need to know. It sends nothing, and does not know what a frame record means.
//!
//! An ACK costs its ranges (each a binary search) and the packets it newly acknowledges, never all
//! that are in flight: `outstanding` holds the numbers without a fate as ranges.
#![deny(clippy::arithmetic_side_effects)]

use super::congestion::CongestionEvent;
use super::loss_run::LossRun;
use super::reordering::Reordering;
pub(crate) use super::ring::{Frames, PacketInfo};
use super::ring::{Ring, State};
use super::rtt::RttEstimator;
use crate::connection::timer::NEVER;
use crate::ranges::RangeSet;
use alloc::collections::VecDeque;
use core::ops::Range;
use tripline_sansio::{Duration, Instant};

/// Packets that are neither ack-eliciting nor in flight (ACKs alone) and have no fate: more are not
/// remembered. Nothing obliges a peer to acknowledge them.
pub(crate) const QUIET_MAX: usize = 256;

/// Packets remembered in all, above which [`SentPackets::has_room`] says no.
pub(crate) const PACKETS_MAX: usize = 1 << 16;

/// Packets whose places a probe takes at once when there is no room for it.
const GIVEN_UP: usize = 64;

/// Runs of numbers left out that are remembered; the oldest goes. A peer that acknowledges the
/// unseen to raise our rate names new numbers, not ones that are this many windows old.
pub(crate) const LEFT_OUT_MAX: usize = 256;

/// Packets declared lost that are remembered, to recognise a late ACK; the oldest goes.
pub(crate) const LOST_MAX: usize = 1024;

/// The qualities of a packet that [`SentPackets::finish`] is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Its size as a datagram, in bytes.
    pub(crate) bytes: u16,
    /// It holds a frame that the peer must acknowledge.
    pub(crate) ack_eliciting: bool,
    /// It counts for congestion control: ack-eliciting, or holds PADDING.
    pub(crate) in_flight: bool,
    /// It searches for a larger MTU: its loss is no congestion.
    pub(crate) mtu_probe: bool,
    /// It is sent with the mark ECT(0).
    pub(crate) ect0: bool,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Acknowledged for the first time.
    Acked,
    /// Counted as lost: what it held is to be sent again, or given up.
    Lost,
    /// Acknowledged after it had been told as `Lost`. Its frame records are gone.
    Spurious,
}

/// Why an ACK closes the connection (code 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AckError {
    /// It names this number, which was never sent, or was left out (R-ACK-2).
    NeverSent(u64),
    /// A range is empty, or not below the one before.
    Disordered,
}

/// What an ACK frame brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AckOutcome {
    /// Packets acknowledged for the first time.
    pub(crate) packets: u64,
    /// Bytes of those of them that were in flight.
    pub(crate) bytes: u64,
    /// How many of them were sent with ECT(0): the least by which the peer's counts must have grown
    /// (RFC 9000 §13.4.2.1).
    pub(crate) ect0: u64,
    /// One of them was ack-eliciting: probe back-off starts anew.
    pub(crate) ack_eliciting: bool,
    /// The newest of them.
    pub(crate) newest: Option<PacketInfo>,
    /// A round-trip sample, the peer's delay included: there is one if the frame's largest number
    /// is among the new ones, and an ack-eliciting packet too (RFC 9002 §5.1).
    pub(crate) rtt_sample: Option<Duration>,
    /// The frame's largest number is above all those before: its ECN counts are the newest.
    pub(crate) advanced: bool,
    /// Packets that had been declared lost.
    pub(crate) spurious: u64,
}

/// What [`SentPackets::detect_lost`] found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LossOutcome {
    /// Packets newly lost.
    pub(crate) packets: u64,
    /// What the controller is to be told, if anything that counts was lost.
    pub(crate) congestion: Option<CongestionEvent>,
}

/// Sums over the packets without a fate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sums {
    bytes_in_flight: u64,
    eliciting: usize,
    quiet: usize,
}

impl Sums {
    fn add(&mut self, info: &PacketInfo) {
        if info.in_flight {
            self.bytes_in_flight = self.bytes_in_flight.saturating_add(u64::from(info.bytes));
        }
        self.eliciting = self.eliciting.saturating_add(usize::from(info.ack_eliciting));
        self.quiet = self.quiet.saturating_add(usize::from(is_quiet(info)));
    }

    fn take(&mut self, info: &PacketInfo) {
        if info.in_flight {
            self.bytes_in_flight = self.bytes_in_flight.saturating_sub(u64::from(info.bytes));
        }
        self.eliciting = self.eliciting.saturating_sub(usize::from(info.ack_eliciting));
        self.quiet = self.quiet.saturating_sub(usize::from(is_quiet(info)));
    }
}

fn is_quiet(info: &PacketInfo) -> bool {
    !info.ack_eliciting && !info.in_flight
}

/// The packets sent in one direction of a connection, with frame records of kind `F`.
///
/// Building a packet: [`begin`](Self::begin) for its number, [`record`](Self::record) for each
/// frame worth remembering, [`finish`](Self::finish) when it is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentPackets<F> {
    ring: Ring<F>,
    /// The numbers of packets without a fate; each is in `ring`.
    outstanding: RangeSet,
    left_out: RangeSet,
    /// The newest packets declared lost, rising.
    lost: VecDeque<PacketInfo>,
    sums: Sums,
    next: u64,
    largest_acked: Option<u64>,
    last_sent_at: Instant,
    last_eliciting_at: Instant,
    /// [`NEVER`] if nothing is to be found lost later.
    loss_at: Instant,
    /// Packets below were in flight when data ran out with less than half of the window in use.
    app_limited_below: u64,
    reordering: Reordering,
}

impl<F: Copy> SentPackets<F> {
    /// Nothing sent; the first number will be `first` (0 for a new connection).
    pub(crate) const fn new(first: u64) -> Self {
        Self {
            ring: Ring::new(),
            outstanding: RangeSet::new(),
            left_out: RangeSet::new(),
            lost: VecDeque::new(),
            sums: Sums { bytes_in_flight: 0, eliciting: 0, quiet: 0 },
            next: first,
            largest_acked: None,
            last_sent_at: Instant::ZERO,
            last_eliciting_at: Instant::ZERO,
            loss_at: NEVER,
            app_limited_below: 0,
            reordering: Reordering::new(),
        }
    }

    /// The number that the next packet will have (R-DATA-2).
    pub(crate) const fn next_number(&self) -> u64 {
        self.next
    }

    /// Leaves out the next `count` numbers: who acknowledges one acknowledges the unseen (R-ACK-2).
    pub(crate) fn leave_out(&mut self, count: u64) {
        let end = self.next.saturating_add(count);
        self.left_out.insert(self.next..end);
        self.next = end;
        while self.left_out.len() > LEFT_OUT_MAX {
            self.left_out.pop_first();
        }
    }

    /// Starts a packet and returns its number, which stays free until [`Self::finish`]. Records of
    /// a packet begun before and not finished are dropped.
    pub(crate) fn begin(&mut self) -> u64 {
        self.ring.cancel();
        self.next
    }

    /// Adds a frame to the packet begun.
    pub(crate) fn record(&mut self, frame: F) {
        self.ring.record(frame);
    }

    /// The packet begun goes out `now`. Uses up its number.
    pub(crate) fn finish(&mut self, now: Instant, shape: Shape) -> PacketInfo {
        // Loss detection relies on times that rise with the numbers.
        self.last_sent_at = self.last_sent_at.max(now);
        let info = PacketInfo {
            number: self.next,
            sent_at: self.last_sent_at,
            bytes: shape.bytes,
            ack_eliciting: shape.ack_eliciting,
            in_flight: shape.in_flight,
            mtu_probe: shape.mtu_probe,
            ect0: shape.ect0,
            app_limited: false,
        };
        self.next = self.next.saturating_add(1);
        if is_quiet(&info) && self.sums.quiet >= QUIET_MAX && !self.forget_quiet_front() {
            self.ring.cancel();
            return info;
        }
        if info.ack_eliciting {
            self.last_eliciting_at = info.sent_at;
        }
        self.ring.commit(info);
        self.outstanding.insert(info.number..self.next);
        self.sums.add(&info);
        info
    }

    /// Forgets the oldest packet if it is a quiet one.
    fn forget_quiet_front(&mut self) -> bool {
        let Some(front) = self.ring.front().copied().filter(is_quiet) else { return false };
        let range = front.number..front.number.saturating_add(1);
        self.ring.resolve(&range, State::Lost, |_, _| ());
        self.outstanding.remove(range);
        self.sums.take(&front);
        self.ring.drop_dead();
        true
    }

    /// Whether another packet can be remembered within [`PACKETS_MAX`]. If not, nothing but quiet
    /// packets is to be sent until something is acknowledged, lost, or given up for a probe.
    pub(crate) fn has_room(&self) -> bool {
        self.ring.len() < PACKETS_MAX
    }

    /// Data ran out with room in the window of `window` bytes. If less than half of it is in use,
    /// what is in flight proves nothing about a larger one (RFC 9002 §7.8), and the answer is true.
    ///
    /// Half, so that a sender that is briefly late, or paced, still counts as using its window.
    pub(crate) fn on_app_limited(&mut self, window: u64) -> bool {
        let limited = self.sums.bytes_in_flight < window / 2;
        if limited {
            self.app_limited_below = self.next;
        }
        limited
    }

    /// Checks an ACK's ranges, newest first, before any effect: an error closes (R-ACK-2).
    pub(crate) fn check_ack(
        &self,
        ranges: impl Iterator<Item = Range<u64>>,
    ) -> Result<(), AckError> {
        let mut above = u64::MAX;
        for range in ranges {
            if range.is_empty() || range.end > above {
                return Err(AckError::Disordered);
            }
            above = range.start;
            if range.end > self.next {
                return Err(AckError::NeverSent(range.start.max(self.next)));
            }
            // Mostly nothing of late was left out, and one look at the newest says so.
            let old = self.left_out.last().is_none_or(|newest| newest.end <= range.start);
            if !old && let Some(wrong) = overlaps(&self.left_out, range).next() {
                return Err(AckError::NeverSent(wrong.start));
            }
        }
        Ok(())
    }

    /// Takes in an ACK that passed [`Self::check_ack`]. `each` is told every packet newly
    /// acknowledged, and every spurious loss. Then [`Self::detect_lost`] is due.
    pub(crate) fn on_ack(
        &mut self,
        now: Instant,
        ranges: impl Iterator<Item = Range<u64>>,
        mut each: impl FnMut(Fate, &PacketInfo, Frames<'_, F>),
    ) -> AckOutcome {
        let mut outcome = AckOutcome::default();
        let (mut largest, mut late) = (None, None);
        for range in ranges {
            if largest.is_none() {
                largest = range.end.checked_sub(1);
                outcome.advanced = largest > self.largest_acked;
                self.largest_acked = self.largest_acked.max(largest);
            }
            self.ack_range(&range, &mut outcome, &mut each);
            // Ranges fall, so the last answer is the lowest.
            late = self.lost_after_all(&range, &mut outcome, &mut each).or(late);
        }
        if let (Some(number), Some(largest)) = (late, self.largest_acked) {
            self.reordering.on_spurious(largest.saturating_sub(number));
        }
        let sampled = outcome.newest.filter(|newest| Some(newest.number) == largest);
        if let Some(newest) = sampled
            && outcome.ack_eliciting
        {
            outcome.rtt_sample = Some(now.saturating_duration_since(newest.sent_at));
        }
        self.ring.drop_dead();
        outcome
    }

    /// The packets of `range` that have no fate yet are acknowledged.
    fn ack_range(
        &mut self,
        range: &Range<u64>,
        outcome: &mut AckOutcome,
        each: &mut impl FnMut(Fate, &PacketInfo, Frames<'_, F>),
    ) {
        let (ring, sums, limit) = (&mut self.ring, &mut self.sums, self.app_limited_below);
        for part in overlaps(&self.outstanding, range.clone()) {
            ring.resolve(&part, State::Acked, |info, frames| {
                let info = PacketInfo { app_limited: info.number < limit, ..*info };
                sums.take(&info);
                outcome.packets = outcome.packets.saturating_add(1);
                outcome.ect0 = outcome.ect0.saturating_add(u64::from(info.ect0));
                outcome.ack_eliciting |= info.ack_eliciting;
                if info.in_flight {
                    outcome.bytes = outcome.bytes.saturating_add(u64::from(info.bytes));
                }
                if outcome.newest.is_none_or(|newest| newest.number < info.number) {
                    outcome.newest = Some(info);
                }
                each(Fate::Acked, &info, frames);
            });
        }
        self.outstanding.remove(range.clone());
    }

    /// The packets of `range` that had been declared lost were not. Returns the lowest of them.
    fn lost_after_all(
        &mut self,
        range: &Range<u64>,
        outcome: &mut AckOutcome,
        each: &mut impl FnMut(Fate, &PacketInfo, Frames<'_, F>),
    ) -> Option<u64> {
        let from = self.lost.partition_point(|info| info.number < range.start);
        let upto = self.lost.partition_point(|info| info.number < range.end);
        let mut lowest = None;
        for info in self.lost.drain(from..upto.max(from)) {
            outcome.spurious = outcome.spurious.saturating_add(1);
            lowest = lowest.or(Some(info.number));
            each(Fate::Spurious, &info, self.ring.no_frames());
        }
        lowest
    }

    /// Declares lost what is far enough below the largest acknowledged number, by number or by time
    /// (R-LOSS-1, RFC 9002 §6.1), and sets [`Self::loss_at`]. To be called after an ACK, and then.
    /// `max_ack_delay` is the peer's.
    pub(crate) fn detect_lost(
        &mut self,
        now: Instant,
        rtt: &RttEstimator,
        max_ack_delay: Duration,
        mut each: impl FnMut(Fate, &PacketInfo, Frames<'_, F>),
    ) -> LossOutcome {
        self.loss_at = NEVER;
        let Some(largest) = self.largest_acked else { return LossOutcome::default() };
        let delay = rtt.loss_delay(self.reordering.eighths());
        let threshold = self.reordering.packets();
        // Added to the time of sending, not taken off `now`: near the clock's zero that would stop
        // at zero, and all that was sent there would count as lost.
        let is_lost = |info: &PacketInfo| {
            info.number < largest
                && (info.number.saturating_add(threshold) <= largest || info.sent_at + delay <= now)
        };
        // Numbers and times rise together, so all that is lost lies below one bound.
        let bound = self.ring.partition(is_lost).unwrap_or(self.next);
        let mut run = LossRun::new(rtt, max_ack_delay);
        let packets = self.lose_below(bound, |info, acked_below, frames| {
            run.on_lost(info, acked_below);
            each(Fate::Lost, info, frames);
        });
        if let Some(first) = self.outstanding.first()
            && first.start < largest
        {
            let oldest = self.ring.at_or_above(first.start);
            self.loss_at = oldest.map_or(NEVER, |info| info.sent_at + delay);
        }
        if run.event().is_some() {
            self.reordering.on_loss();
        }
        LossOutcome { packets, congestion: run.event() }
    }

    /// Gives all packets below `bound` the fate *lost*; `each` also learns whether the packet
    /// before was acknowledged. Returns how many there were.
    fn lose_below(
        &mut self,
        bound: u64,
        mut each: impl FnMut(&PacketInfo, bool, Frames<'_, F>),
    ) -> u64 {
        if self.outstanding.first().is_none_or(|oldest| oldest.start >= bound) {
            return 0;
        }
        let mut packets = 0_u64;
        let (ring, sums, lost) = (&mut self.ring, &mut self.sums, &mut self.lost);
        for part in overlaps(&self.outstanding, 0..bound) {
            let mut acked_below = ring.is_acked_below(part.start);
            ring.resolve(&part, State::Lost, |info, frames| {
                sums.take(info);
                packets = packets.saturating_add(1);
                if lost.len() >= LOST_MAX {
                    lost.pop_front();
                }
                lost.push_back(*info);
                each(info, acked_below, frames);
                acked_below = false;
            });
        }
        self.outstanding.remove_below(bound);
        self.ring.drop_dead();
        packets
    }

    /// Gives up on the packets below `bound` that have no fate, because they went where the peer is
    /// no more (R-PATH-2), or there is no room to remember them (R-ACK-3c): `each` is told them as
    /// lost, but that is neither congestion nor can an ACK that comes late make it spurious.
    pub(crate) fn abandon_below(
        &mut self,
        bound: u64,
        mut each: impl FnMut(&PacketInfo, Frames<'_, F>),
    ) {
        let (ring, sums) = (&mut self.ring, &mut self.sums);
        for part in overlaps(&self.outstanding, 0..bound) {
            ring.resolve(&part, State::Lost, |info, frames| {
                sums.take(info);
                each(info, frames);
            });
        }
        self.outstanding.remove_below(bound);
        self.loss_at = NEVER;
        self.ring.drop_dead();
    }

    /// Where no packet more can be remembered: the number below which the oldest lie whose places a
    /// probe may take (R-ACK-3c).
    pub(crate) fn oldest_if_full(&self) -> Option<u64> {
        if self.has_room() { None } else { self.ring.nth(GIVEN_UP).map(|info| info.number) }
    }

    /// When [`Self::detect_lost`] is next due, if no ACK comes before. While this is set no probe
    /// timeout runs (RFC 9002 §6.2.1).
    pub(crate) fn loss_at(&self) -> Option<Instant> {
        Some(self.loss_at).filter(|at| *at != NEVER)
    }

    /// From when the probe timeout counts: the last ack-eliciting packet, if one is unacknowledged
    /// (RFC 9002 §6.2.1).
    pub(crate) fn pto_from(&self) -> Option<Instant> {
        (self.sums.eliciting > 0).then_some(self.last_eliciting_at)
    }

    /// The ack-eliciting packets without a fate, oldest first: what a probe best sends again.
    pub(crate) fn unacked(&self) -> impl Iterator<Item = (&PacketInfo, Frames<'_, F>)> {
        self.ring.outstanding().filter(|(info, _)| info.ack_eliciting)
    }

    /// When the newest packet was sent.
    pub(crate) const fn last_sent_at(&self) -> Instant {
        self.last_sent_at
    }

    /// Whether a packet that asks for an ACK has no fate yet.
    pub(crate) const fn awaits_acks(&self) -> bool {
        self.sums.eliciting > 0
    }

    /// Gives back room that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.ring.shrink();
        self.outstanding.shrink();
        self.left_out.shrink();
        self.lost.shrink_to_fit();
    }

    /// Bytes sent that count for congestion control and have no fate yet.
    pub(crate) const fn bytes_in_flight(&self) -> u64 {
        self.sums.bytes_in_flight
    }

    /// How many packets and frame records are stored.
    #[cfg(test)]
    pub(super) fn stored(&self) -> (usize, usize) {
        (self.ring.len(), self.ring.frames_len())
    }

    /// The largest number acknowledged, from which the length of packet numbers follows (R-DATA-3).
    pub(crate) const fn largest_acked(&self) -> Option<u64> {
        self.largest_acked
    }
}

/// The parts of `range` that are in `set`, rising.
fn overlaps(set: &RangeSet, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
    let mut gaps = set.missing_in(range.clone()).chain(core::iter::once(range.end..range.end));
    let mut from = range.start;
    core::iter::from_fn(move || {
        loop {
            let gap = gaps.next()?;
            let part = from..gap.start;
            from = gap.end;
            if !part.is_empty() {
                return Some(part);
            }
        }
    })
}
