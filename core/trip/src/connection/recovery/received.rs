//! What came from the peer and is owed an ACK (R-ACK-1; RFC 9000 §13.2).
//!
//! In go packets whose frames were all processed, and news of our own ACKs; out come the ranges for
//! the next ACK frame and when to send it. It does not tell repeats from news (the replay window
//! does that) and writes no frame.
//!
//! A batch is what was handed in since the last drain, so "at the end of a batch" is
//! [`Received::is_ack_wanted`], asked by the drain.
#![deny(clippy::arithmetic_side_effects)]

use crate::connection::timer::NEVER;
use crate::ranges::RangeSet;
use core::ops::Range;
use tripline_sansio::{Duration, Ecn, Instant};

/// The most ranges that are remembered and told; the oldest goes (R-ACK-1, protocol §11).
pub(crate) const RANGES_MAX: usize = 64;

/// So many ack-eliciting packets left by a batch make the drain send an ACK (R-ACK-1).
const ELICITING_MAX: u64 = 2;

/// The same where packets arrive surely and in order (PROTOCOL.md §8, R-LINK-5).
const ELICITING_MAX_IN_ORDER: u64 = 64;

/// So many packets that want no ACK are news all the same (R-ACK-1d). The peer learns by it which
/// of its ACKs came, and may number in two bytes; told with every packet it would cost a sender of
/// bulk, whom each second packet of its own brings an ACK, half a hundredth of the line. Fewer than
/// the 256 packets of this kind that a sender remembers (`sent::QUIET_MAX`).
const QUIET_NEWS: u64 = 192;

/// How many packets came with each ECN mark (RFC 9000 §13.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct EcnCounts {
    /// Packets marked ECT(0).
    pub(crate) ect0: u64,
    /// Packets marked ECT(1).
    pub(crate) ect1: u64,
    /// Packets marked CE: a router on the way is congested.
    pub(crate) ce: u64,
}

/// The packets received, as far as the peer may not know that we have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    ranges: RangeSet,
    /// Numbers below need not be known any more: the peer knows, or the range bound took them.
    floor: u64,
    /// The largest number received, and when it came.
    largest: Option<(u64, Instant)>,
    largest_eliciting: Option<u64>,
    /// The lowest number that came since the last ACK was sent; nobody was told of it yet.
    lowest_untold: Option<u64>,
    /// Ack-eliciting packets since the last ACK was sent.
    eliciting: u64,
    /// The others since then.
    quiet: u64,
    /// An ACK is to go with the next drain, however few packets it is for.
    at_once: bool,
    /// When the first of `eliciting` has waited long enough.
    deadline: Instant,
    max_ack_delay: Duration,
    /// They arrive surely and in order: nobody waits for news of a gap.
    in_order: bool,
    ecn: EcnCounts,
}

impl Received {
    /// Nothing received; an ACK waits `max_ack_delay` at most (R-ACK-1).
    pub(crate) const fn new(max_ack_delay: Duration) -> Self {
        Self {
            ranges: RangeSet::new(),
            floor: 0,
            largest: None,
            largest_eliciting: None,
            lowest_untold: None,
            eliciting: 0,
            quiet: 0,
            at_once: false,
            deadline: NEVER,
            max_ack_delay,
            in_order: false,
            ecn: EcnCounts { ect0: 0, ect1: 0, ce: 0 },
        }
    }

    /// Packet `number` verified and all its frames were processed (R-ACK-1: none other is
    /// acknowledged). `urgent`: it asks for an ACK at once, as a PING does.
    pub(crate) fn on_packet(
        &mut self,
        now: Instant,
        number: u64,
        ack_eliciting: bool,
        ecn: Ecn,
        urgent: bool,
    ) {
        // Looked at before the number itself is in the set.
        let out_of_order = self.is_out_of_order(number);
        if self.ranges.insert(number..number.saturating_add(1)) == 0 {
            return;
        }
        if self.ranges.len() > RANGES_MAX
            && let Some(oldest) = self.ranges.pop_first()
        {
            self.floor = self.floor.max(oldest.end);
        }
        self.count_ecn(ecn);
        if self.largest.is_none_or(|(largest, _)| number > largest) {
            self.largest = Some((number, now));
        }
        self.lowest_untold = Some(self.lowest_untold.map_or(number, |low| low.min(number)));
        if !ack_eliciting {
            // Never an ACK only because of packets that want none: two sides that answered each
            // other's ACKs would never end (RFC 9000 §13.2.1).
            self.quiet = self.quiet.saturating_add(1);
            return;
        }
        self.largest_eliciting = self.largest_eliciting.max(Some(number));
        self.eliciting = self.eliciting.saturating_add(1);
        self.at_once |= (out_of_order || urgent || ecn == Ecn::Ce) && !self.in_order;
        if self.deadline == NEVER {
            self.deadline = now + self.max_ack_delay;
        }
    }

    /// Says whether packets arrive surely and in order from now on: then ACKs may wait for longer.
    pub(crate) const fn set_in_order(&mut self, in_order: bool) {
        self.in_order = in_order;
    }

    /// Whether `number` is below an ack-eliciting one that came, or something is missing between
    /// that and it (RFC 9000 §13.2.1).
    fn is_out_of_order(&self, number: u64) -> bool {
        let expected = match self.largest_eliciting {
            Some(largest) if number < largest => return true,
            Some(largest) => largest.saturating_add(1).max(self.floor),
            None => self.floor,
        };
        !self.ranges.covers(&(expected..number))
    }

    fn count_ecn(&mut self, ecn: Ecn) {
        let count = match ecn {
            Ecn::NotEct => return,
            Ecn::Ect0 => &mut self.ecn.ect0,
            Ecn::Ect1 => &mut self.ecn.ect1,
            Ecn::Ce => &mut self.ecn.ce,
        };
        *count = count.saturating_add(1);
    }

    /// Whether this drain is to send an ACK even if it has nothing else to send (R-ACK-1).
    pub(crate) const fn is_ack_wanted(&self) -> bool {
        let most = if self.in_order { ELICITING_MAX_IN_ORDER } else { ELICITING_MAX };
        self.at_once || self.eliciting >= most
    }

    /// Whether an ACK would tell the peer anything that matters: then it rides with what is sent
    /// anyway.
    pub(crate) const fn has_news(&self) -> bool {
        self.eliciting > 0 || self.quiet >= QUIET_NEWS
    }

    /// When an ACK must go at the latest; `None` if none is owed or one is wanted already.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let deadline = Some(self.deadline).filter(|at| *at != NEVER);
        if self.is_ack_wanted() { None } else { deadline }
    }

    /// The time is `now`: an ACK that has waited long enough becomes wanted.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        self.at_once |= self.deadline <= now;
    }

    /// The received numbers, newest range first, [`RANGES_MAX`] ranges at most. Not empty once a
    /// packet came.
    pub(crate) fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> + '_ {
        self.ranges.iter().rev()
    }

    /// The largest number received: what an ACK sent now will tell as its largest.
    pub(crate) fn largest(&self) -> Option<u64> {
        self.largest.map(|(number, _)| number)
    }

    /// For the ACK's delay field: how long ago the largest number came.
    pub(crate) fn delay(&self, now: Instant) -> Duration {
        self.largest.map_or(Duration::ZERO, |(_, at)| now.saturating_duration_since(at))
    }

    /// The ECN marks of all packets so far.
    pub(crate) const fn ecn_counts(&self) -> EcnCounts {
        self.ecn
    }

    /// An ACK of everything in [`Self::ranges`] was written. The caller records its
    /// [`Self::largest`] with the packet that holds it, for [`Self::on_ack_acked`].
    pub(crate) fn on_ack_sent(&mut self) {
        self.lowest_untold = None;
        self.eliciting = 0;
        self.quiet = 0;
        self.at_once = false;
        self.deadline = NEVER;
    }

    /// Gives back room that is not in use.
    pub(crate) fn shrink(&mut self) {
        self.ranges.shrink();
    }

    /// The peer acknowledged a packet that held an ACK with this `largest`: what is not above it
    /// need not be told again (RFC 9000 §13.2.4). Kept are the largest number of all, so that
    /// there is always something to tell, and what came late and was not yet told.
    pub(crate) fn on_ack_acked(&mut self, largest: u64) {
        let Some((newest, _)) = self.largest else { return };
        let bound = largest.saturating_add(1).min(newest).min(self.lowest_untold.unwrap_or(newest));
        self.ranges.remove_below(bound);
        self.floor = self.floor.max(bound);
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const MAX_ACK_DELAY: Duration = Duration::from_millis(25);
    const T0: Instant = Instant::from_nanos(1_000_000);

    fn received() -> Received {
        Received::new(MAX_ACK_DELAY)
    }

    /// A packet that is ack-eliciting, unmarked and not urgent.
    fn data(received: &mut Received, number: u64) {
        received.on_packet(T0, number, true, Ecn::NotEct, false);
    }

    fn ranges(received: &Received) -> Vec<Range<u64>> {
        received.ranges().collect()
    }

    /// R-ACK-1: one packet waits 25 ms, two are acknowledged at the end of the batch.
    #[test]
    fn second_packet_or_the_deadline_makes_an_ack() {
        let mut received = received();
        assert!(!received.has_news());
        data(&mut received, 0);
        assert!(received.has_news() && !received.is_ack_wanted());
        let deadline = T0 + MAX_ACK_DELAY;
        assert_eq!(received.deadline(), Some(deadline));
        let mut waited = received.clone();
        waited.on_timeout(deadline - Duration::from_nanos(1));
        assert!(!waited.is_ack_wanted());
        waited.on_timeout(deadline);
        assert!(waited.is_ack_wanted());
        assert_eq!(waited.deadline(), None, "rule 3 of the run loop");
        data(&mut received, 1);
        assert!(received.is_ack_wanted());
        received.on_ack_sent();
        assert!(!received.is_ack_wanted() && !received.has_news());
        assert_eq!(received.deadline(), None);
        assert_eq!(ranges(&received), [0..2]);
    }

    /// R-ACK-1: the deadline counts from the first packet of those that wait.
    #[test]
    fn quiet_packets_neither_start_nor_move_the_deadline() {
        let mut received = received();
        received.on_packet(T0, 0, false, Ecn::Ce, true);
        received.on_packet(T0, 5, false, Ecn::NotEct, false);
        assert!(!received.has_news() && !received.is_ack_wanted());
        assert_eq!(received.deadline(), None);
        data(&mut received, 6);
        assert!(received.has_news(), "an ACK tells of all");
        let mut received = self::received();
        data(&mut received, 0);
        received.on_packet(T0 + Duration::from_millis(9), 1, false, Ecn::NotEct, false);
        assert_eq!(received.deadline(), Some(T0 + MAX_ACK_DELAY));
        assert_eq!(received.delay(T0 + Duration::from_millis(10)), Duration::from_millis(1));
    }

    /// R-ACK-1d: packets that want no ACK are told of once in 64, and never make one.
    #[test]
    fn r_ack_1d_quiet_packets_are_told_of_now_and_then() {
        let mut received = received();
        let mut told = 0;
        for number in 0..10 * QUIET_NEWS {
            received.on_packet(T0, number, false, Ecn::NotEct, false);
            assert!(!received.is_ack_wanted());
            if received.has_news() {
                told += 1;
                assert_eq!((number + 1) % QUIET_NEWS, 0, "{number}");
                received.on_ack_sent();
            }
        }
        assert_eq!(told, 10);
        assert!(QUIET_NEWS < super::super::sent::QUIET_MAX as u64, "or the sender forgets them");
    }

    /// R-ACK-1: a gap, a number below the largest, a CE mark, a PING.
    #[test]
    fn at_once_for_gap_late_number_ce_and_ping() {
        let mut start = received();
        data(&mut start, 0);
        data(&mut start, 1);
        data(&mut start, 3);
        start.on_ack_sent();
        let wanted = |number, ecn, urgent| {
            let mut received = start.clone();
            received.on_packet(T0, number, true, ecn, urgent);
            received.is_ack_wanted()
        };
        assert!(!wanted(4, Ecn::NotEct, false), "an old gap is no news");
        assert!(wanted(5, Ecn::NotEct, false), "gap");
        assert!(wanted(2, Ecn::NotEct, false), "late");
        assert!(wanted(4, Ecn::Ce, false), "congestion");
        assert!(wanted(4, Ecn::NotEct, true), "PING");
        assert!(!wanted(3, Ecn::Ce, true), "a repeat is nothing");
        let mut first = received();
        data(&mut first, 1);
        assert!(first.is_ack_wanted(), "number 0 is missing");
    }

    /// RFC 9000 §13.2.1: a gap behind the last ack-eliciting packet counts even if a quiet packet
    /// lies between.
    #[test]
    fn gap_before_a_quiet_packet_is_told_with_the_next_eliciting_one() {
        let mut received = received();
        data(&mut received, 0);
        received.on_ack_sent();
        received.on_packet(T0, 2, false, Ecn::NotEct, false);
        assert!(!received.is_ack_wanted());
        data(&mut received, 3);
        assert!(received.is_ack_wanted());
    }

    /// A gap that the peer knows of (our ACK over it was acknowledged) is no gap any more.
    #[test]
    fn known_gap_is_not_told_again() {
        let mut start = received();
        data(&mut start, 0);
        start.on_packet(T0, 5, false, Ecn::NotEct, false);
        start.on_ack_sent();
        for known in [false, true] {
            let mut received = start.clone();
            if known {
                received.on_ack_acked(5);
            }
            data(&mut received, 6);
            assert_eq!(received.is_ack_wanted(), !known);
        }
    }

    /// R-ACK-1, K4: at most 64 ranges, newest first; the oldest goes.
    #[test]
    fn ranges_are_bounded() {
        let mut received = received();
        for number in 0..10_000 {
            data(&mut received, number * 2);
            assert!(received.ranges().len() <= RANGES_MAX);
        }
        let all = ranges(&received);
        assert_eq!(all.len(), RANGES_MAX);
        assert_eq!(all.first(), Some(&(19_998..19_999)));
        assert!(all.windows(2).all(|pair| pair[0].start > pair[1].end));
        // Older than all that is remembered: processed, and not acknowledged.
        data(&mut received, 1);
        assert_eq!(ranges(&received), all);
    }

    /// RFC 9000 §13.2.4: what the peer knows we know is dropped, what it was not told is kept.
    #[test]
    fn acked_acks_drop_ranges() {
        let mut received = received();
        for number in [0, 1, 3, 4, 6] {
            data(&mut received, number);
        }
        received.on_ack_sent();
        data(&mut received, 7);
        received.on_ack_acked(4);
        assert_eq!(ranges(&received), [6..8]);
        received.on_ack_sent();
        data(&mut received, 8);
        assert!(!received.is_ack_wanted(), "what was dropped is no gap");
        received.on_ack_sent();
        received.on_ack_acked(8);
        assert_eq!(ranges(&received), [8..9], "the largest stays");
        assert_eq!(received.largest(), Some(8));
        data(&mut received, 9);
        assert!(!received.is_ack_wanted());
        // 5 comes late; before it is told, an ACK of an older ACK comes: 5 must stay.
        data(&mut received, 5);
        received.on_ack_acked(9);
        assert_eq!(ranges(&received), [8..10, 5..6]);
    }

    #[test]
    fn ecn_marks_are_counted_once() {
        let mut received = received();
        let marks = [Ecn::Ect0, Ecn::Ect0, Ecn::Ect1, Ecn::Ce, Ecn::NotEct];
        for (number, ecn) in (0..).zip(marks) {
            received.on_packet(T0, number, true, ecn, false);
            received.on_packet(T0, number, true, ecn, false);
        }
        assert_eq!(received.ecn_counts(), EcnCounts { ect0: 2, ect1: 1, ce: 1 });
    }
}
