//! What is acknowledged, against what was delivered (I8), and how wide numbers are written.

use super::numbers::Numbers;
use super::report::Report;
use crate::host::HostId;
use crate::marks::Mark;
use crate::wire::Ack;
use std::collections::VecDeque;
use tripline_sansio::{Duration, Instant};

/// Numbers that verified before the first ACK and are remembered.
const EARLY_MAX: usize = 64;
/// Packets that wait to be acknowledged and are remembered.
const WAITING_MAX: usize = 65_536;
/// Missing packets among so many: the receiver may be at its bound of gaps, and drop in silence.
const NEAR: u64 = 2_048;
const NEAR_MISSING: u64 = 64;
/// The replay window (R-DATA-3b).
pub(super) const WINDOW: u64 = 4_096;
/// Two bytes of number reach this far above the largest acknowledged (R-DATA-3).
const SHORT: u64 = 1 << 14;

/// The packets of one side: which were delivered, told of, and known to be acknowledged.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// Sent.
    pub(super) sent: Numbers,
    /// Verified at the peer.
    pub(super) delivered: Numbers,
    /// In an ACK that the peer sent.
    told: Numbers,
    /// In an ACK that has reached this side.
    pub(super) acked: Numbers,
    /// The largest number that verified at the peer.
    pub(super) largest: Option<u64>,
    largest_acked: Option<u64>,
    /// The same, by ACKs that the receiver cannot have dropped with their packet.
    sure_acked: Option<u64>,
    /// Delivered, ack-eliciting, not told yet.
    waiting: VecDeque<(u64, Instant)>,
    /// When the peer acknowledged anything first.
    since: Option<Instant>,
    /// When so much was missing last that the peer may have forgotten numbers that had come.
    bound_at: Option<Instant>,
    /// The newest numbers that verified at the peer before.
    early: VecDeque<u64>,
}

impl Acks {
    /// R-DATA-3.
    pub(super) fn check_width(
        &self,
        report: &mut Report,
        host: Option<HostId>,
        number: u64,
        len: usize,
    ) {
        let is_short = |largest: Option<u64>| match largest {
            Some(largest) => number < largest.saturating_add(SHORT),
            None => number + 1 < SHORT,
        };
        report.hit_if(len == 4, Mark::NumberFourBytes);
        if len == 2 && !is_short(self.largest_acked) || len == 4 && is_short(self.sure_acked) {
            let what = format_args!(
                "number {number} in {len} bytes, {:?} was acknowledged (R-DATA-3)",
                self.largest_acked
            );
            report.blame("I26", host, what);
        }
    }

    /// Whether a number lies so far behind that its receiver no longer looks at it (R-DATA-3b).
    pub(super) fn is_beyond_window(&self, number: u64) -> bool {
        self.largest.is_some_and(|largest| largest.saturating_sub(number) >= WINDOW)
    }

    /// A packet has verified at the peer. Returns whether for the first time.
    pub(super) fn on_delivered(
        &mut self,
        report: &mut Report,
        number: u64,
        is_ack_eliciting: bool,
    ) -> bool {
        if !self.delivered.insert(number) {
            return false;
        }
        if self.since.is_none() {
            self.early.push_back(number);
            if self.early.len() > EARLY_MAX {
                self.early.pop_front();
            }
        }
        let largest = self.largest.unwrap_or(0).max(number);
        let behind = largest - number;
        let in_order = self.largest.is_none_or(|before| number == before + 1);
        report.hit_if(behind > 0, Mark::PacketOvertaken);
        report.hit_if(behind >= 64, Mark::PacketFarLate);
        self.largest = Some(largest);
        if !in_order && self.may_be_at_bound() {
            self.bound_at = Some(report.now);
        }
        if is_ack_eliciting && behind < WINDOW {
            self.waiting.push_back((number, report.now));
            if self.waiting.len() > WAITING_MAX {
                self.waiting.pop_front();
            }
        }
        true
    }

    /// I6: a packet has verified at the peer (`host`) once more. An engine asks its replay window
    /// before it opens anything, so none ever does: but for a server that had no room for the
    /// connection when the packet came first, and forgot it. That was before it acknowledged
    /// anything.
    pub(super) fn on_again(&self, report: &mut Report, host: Option<HostId>, number: u64) {
        if self.since.is_some() && !self.early.contains(&number) {
            let what = format_args!("takes number {number}, which it took before (R-DATA-3b)");
            report.blame("I6", host, what);
        }
    }

    /// The peer (`host`) sends an ACK of these packets.
    pub(super) fn on_told(&mut self, report: &mut Report, host: Option<HostId>, ack: &Ack<'_>) {
        report.hit_if(ack.further >= 7, Mark::AckManyRanges);
        report.hit_if(ack.further == 63, Mark::AckTableFull);
        if let Some([_, _, ce]) = ack.ecn {
            report.hit(Mark::AckEcn);
            report.hit_if(ce > 0, Mark::AckCe);
        }
        self.since.get_or_insert(report.now);
        for (low, high) in ack.ranges() {
            if let Some(missing) = self.delivered.first_missing(low, high) {
                let fate = match self.sent.contains(missing) {
                    true => "has not verified there (R-ACK-1b)",
                    false => "was never sent (R-ACK-2)",
                };
                let what = format_args!("acknowledges {low} to {high}, but {missing} {fate}");
                report.blame("I8", host, what);
            }
            self.told.insert_range(low, high);
        }
        if ack.further == 63 {
            // The table is full: what is older than its oldest range is told no more.
            let oldest = ack.ranges().last().map_or(0, |(low, _)| low);
            self.waiting.retain(|(number, _)| *number >= oldest);
        }
    }

    /// The peer has sent something behind its ACK, so it has told all that it owes by now.
    pub(super) fn check_owed(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        patience: Duration,
    ) {
        while let Some((number, at)) = self.waiting.front().copied() {
            let told = self.told.contains(number);
            if !told && report.now.saturating_duration_since(at) <= patience {
                return;
            }
            self.waiting.pop_front();
            // Before the first ACK of all the server may have had no room for the connection.
            let is_young = self.since.is_none_or(|since| at <= since);
            let is_bound = self.bound_at.is_some_and(|bound| at <= bound);
            if told || is_young || is_bound || self.may_be_at_bound() {
                continue;
            }
            let what = format_args!("number {number}, here since {at:?}, is not acknowledged yet");
            report.blame("I8", host, what);
        }
    }

    /// Whether so much is missing that the peer may drop what comes (§11, gaps).
    fn may_be_at_bound(&self) -> bool {
        let largest = self.largest.unwrap_or(0);
        self.delivered.missing(largest.saturating_sub(NEAR), largest) >= NEAR_MISSING
    }

    /// An ACK has reached this side; `is_sure` if its packet holds nothing that has a bound.
    /// `arrived` is told each number that was not acknowledged before.
    pub(super) fn on_acked(
        &mut self,
        report: &mut Report,
        ack: &Ack<'_>,
        is_sure: bool,
        arrived: &mut impl FnMut(u64),
    ) {
        let before = self.largest_acked;
        self.largest_acked = before.max(Some(ack.largest));
        if is_sure {
            self.sure_acked = self.sure_acked.max(Some(ack.largest));
        }
        for (low, high) in ack.ranges() {
            let new = self.acked.insert_each(low, high, arrived);
            let late = before.is_some_and(|before| new && high + 3 <= before);
            report.hit_if(late, Mark::AckLate);
        }
    }

    /// Whether a number was sent, is in the replay window, and has not verified yet.
    pub(super) fn is_good(&self, number: u64) -> bool {
        let behind = self.largest.unwrap_or(0).saturating_sub(number);
        behind < WINDOW && self.sent.contains(number) && !self.delivered.contains(number)
    }

    /// Whether nothing is known to be acknowledged.
    pub(super) const fn is_unheard(&self) -> bool {
        self.largest_acked.is_none()
    }
}
