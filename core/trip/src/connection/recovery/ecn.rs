//! Whether a path carries ECN, and what the peer's counts say (RFC 9000 §13.4, A.4; RFC 9002 §7.1).
//!
//! In go the packets that were marked, their fates and the counts of the peer's ACKs; out come
//! whether the next train is to be marked ECT(0), and how many packets a router has marked CE. It
//! sends nothing and reduces nothing: that is the controller's.
//!
//! The first [`TEST_PACKETS`] packets are a test. A path that clears the marks, changes them, or
//! drops what bears them fails it, and so does a peer whose counts cannot be: whoever fails is not
//! marked any more. The counts are checked for as long as the path lives.
#![deny(clippy::arithmetic_side_effects)]

use super::received::EcnCounts;

/// So many packets are marked before the first answer has come (RFC 9000 A.4); a train is not cut
/// for it.
pub(crate) const TEST_PACKETS: u64 = 10;

/// After so many probe timeouts in a row without an answer to any marked packet the marks are
/// suspected: most paths that do not carry them clear them, a few drop the packet.
pub(crate) const TEST_TIMEOUTS: u32 = 2;

/// What is known of a path's ECN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EcnStatus {
    /// Not used, by configuration.
    #[default]
    Off,
    /// The first packets are marked, or were; no answer has confirmed it yet.
    Testing,
    /// The path carries the marks: all packets bear ECT(0).
    Capable,
    /// The path or the peer does not keep to the rules: nothing is marked.
    Failed,
}

/// What an ACK said about ECN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EcnNews {
    /// Packets that a router has marked since the last ACK.
    pub(crate) ce: u64,
    /// The marks are given up because of this ACK.
    pub(crate) failed: bool,
}

/// The ECN of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct EcnState {
    status: EcnStatus,
    /// The train in the making is marked.
    marking: bool,
    /// The newest counts of the peer. They are the connection's, not the path's.
    told: EcnCounts,
    /// Packets marked so far, on any path of the connection.
    marked: u64,
    /// Of those, on this path; and how many of them were lost before any was acknowledged.
    marked_here: u64,
    lost_here: u64,
    /// CE on this path, and whether any packet kept its ECT(0).
    ce_here: u64,
    kept_here: bool,
}

impl EcnState {
    /// A path of which nothing is known, the first of its connection.
    pub(crate) fn new(enabled: bool) -> Self {
        let status = if enabled { EcnStatus::Testing } else { EcnStatus::Off };
        Self { status, ..Self::default() }
    }

    /// A new path of the same connection: the test begins anew, the counts go on.
    pub(crate) fn anew(&self, enabled: bool) -> Self {
        Self { told: self.told, marked: self.marked, ..Self::new(enabled) }
    }

    /// What is known.
    pub(crate) const fn status(&self) -> EcnStatus {
        self.status
    }

    /// A train begins: whether its packets are to be marked ECT(0).
    pub(crate) fn begin_train(&mut self) -> bool {
        self.marking = match self.status {
            EcnStatus::Capable => true,
            EcnStatus::Testing => self.marked_here < TEST_PACKETS,
            EcnStatus::Off | EcnStatus::Failed => false,
        };
        self.marking
    }

    /// A packet of the train goes out; returns whether it is marked.
    pub(crate) fn on_sent(&mut self) -> bool {
        let one = u64::from(self.marking);
        self.marked = self.marked.saturating_add(one);
        self.marked_here = self.marked_here.saturating_add(one);
        self.marking
    }

    /// A marked packet was lost. If all that were sent as a test are, the path drops them
    /// (R-ECN-3).
    pub(crate) fn on_lost(&mut self) -> EcnNews {
        if self.status != EcnStatus::Testing {
            return EcnNews::default();
        }
        self.lost_here = self.lost_here.saturating_add(1);
        if self.lost_here >= TEST_PACKETS && self.lost_here >= self.marked_here {
            return self.fail();
        }
        EcnNews::default()
    }

    /// The probe timeout expired for the `count`-th time in a row.
    pub(crate) fn on_probe(&mut self, count: u32) -> EcnNews {
        if self.status == EcnStatus::Testing && self.marked_here > 0 && count >= TEST_TIMEOUTS {
            return self.fail();
        }
        EcnNews::default()
    }

    /// An ACK whose largest number is above all before it came with these counts, and acknowledged
    /// `newly` packets that had been marked. Other ACKs may be late, and their counts say nothing.
    pub(crate) fn on_ack(&mut self, counts: Option<EcnCounts>, newly: u64) -> EcnNews {
        if matches!(self.status, EcnStatus::Off | EcnStatus::Failed) {
            return EcnNews::default();
        }
        let Some(counts) = counts else {
            // The marks were cleared on the way, or the peer cannot see them.
            return if newly > 0 { self.fail() } else { EcnNews::default() };
        };
        let Some(ce) = self.growth(counts, newly) else { return self.fail() };
        self.kept_here |= counts.ect0 > self.told.ect0;
        self.ce_here = self.ce_here.saturating_add(ce);
        self.told = counts;
        if self.status == EcnStatus::Testing {
            if self.kept_here {
                self.status = EcnStatus::Capable;
            } else if self.ce_here >= TEST_PACKETS {
                // Somebody marks everything: that tells nothing about congestion.
                return EcnNews { ce, ..self.fail() };
            }
        }
        EcnNews { ce, failed: false }
    }

    /// R-ECN-2: by how much CE has grown; `None` if the counts are impossible (RFC 9000 §13.4.2.1):
    /// they shrink, name marks that were never sent, more packets than were marked, or fewer than
    /// were acknowledged.
    fn growth(&self, counts: EcnCounts, newly: u64) -> Option<u64> {
        let ect0 = counts.ect0.checked_sub(self.told.ect0)?;
        let ce = counts.ce.checked_sub(self.told.ce)?;
        let possible = counts.ect1 == self.told.ect1
            && ect0.saturating_add(ce) >= newly
            && counts.ect0.saturating_add(counts.ce) <= self.marked;
        possible.then_some(ce)
    }

    fn fail(&mut self) -> EcnNews {
        self.status = EcnStatus::Failed;
        EcnNews { ce: 0, failed: true }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;
    use EcnStatus::{Capable, Failed, Off, Testing};
    use proptest::prelude::*;

    const FAILED: EcnNews = EcnNews { ce: 0, failed: true };

    fn counts(ect0: u64, ect1: u64, ce: u64) -> Option<EcnCounts> {
        Some(EcnCounts { ect0, ect1, ce })
    }

    fn ce(ce: u64) -> EcnNews {
        EcnNews { ce, failed: false }
    }

    /// A path on which `packets` went out, each a train of its own.
    fn sent(packets: u64) -> EcnState {
        let mut ecn = EcnState::new(true);
        for _ in 0..packets {
            ecn.begin_train();
            ecn.on_sent();
        }
        ecn
    }

    /// R-ECN-1, RFC 9000 A.4: ten packets are a test; an answer to one of them confirms it.
    #[test]
    fn r_ecn_1_ten_packets_are_a_test() {
        let mut ecn = sent(25);
        assert_eq!((ecn.marked, ecn.status()), (TEST_PACKETS, Testing));
        assert_eq!(ecn.on_ack(counts(1, 0, 0), 1), ce(0));
        assert_eq!(ecn.status(), Capable);
        assert!(ecn.begin_train() && ecn.on_sent());
        // A train that began as a test is marked whole.
        let mut train = EcnState::new(true);
        train.begin_train();
        assert!((0..64).all(|_| train.on_sent()));
        assert!(!train.begin_train());
    }

    #[test]
    fn what_is_switched_off_marks_nothing_and_hears_nothing() {
        let mut ecn = EcnState::new(false);
        assert!(!ecn.begin_train() && !ecn.on_sent());
        assert_eq!(ecn.on_ack(counts(0, 9, 9), 0), EcnNews::default());
        assert_eq!(ecn.on_probe(9), EcnNews::default());
        assert_eq!(ecn.status(), Off);
    }

    /// R-ECN-2, RFC 9000 §13.4.2.1: each impossible count ends it, once.
    #[test]
    fn r_ecn_2_impossible_counts_end_it() {
        let mut good = sent(10);
        assert_eq!(good.on_ack(counts(3, 0, 1), 4), ce(1));
        for (told, newly, why) in [
            (None, 1, "cleared"),
            (counts(2, 0, 3), 1, "ECT(0) shrank"),
            (counts(5, 0, 0), 1, "CE shrank"),
            (counts(4, 1, 1), 1, "ECT(1) was never sent"),
            (counts(4, 0, 1), 2, "fewer than acknowledged"),
            (counts(9, 0, 2), 1, "more than sent"),
            (counts(u64::MAX, 0, u64::MAX), 1, "absurd"),
        ] {
            let mut ecn = good.clone();
            assert_eq!(ecn.on_ack(told, newly), FAILED, "{why}");
            assert_eq!(ecn.status(), Failed, "{why}");
            assert!(!ecn.begin_train(), "{why}");
            assert_eq!(ecn.on_ack(told, newly), EcnNews::default(), "{why}: told once");
        }
        assert_eq!(good.on_ack(counts(8, 0, 2), 6), ce(1));
        assert_eq!(good.on_ack(None, 0), ce(0), "nothing marked, nothing to say");
    }

    /// R-ECN-3: a path that drops what is marked is found out, by losses or by silence.
    #[test]
    fn r_ecn_3_a_path_that_drops_marked_packets_is_found_out() {
        let mut lossy = sent(10);
        for _ in 0..9 {
            assert_eq!(lossy.on_lost(), EcnNews::default());
        }
        assert_eq!(lossy.on_lost(), FAILED);
        let mut silent = sent(1);
        assert_eq!(silent.on_probe(1), EcnNews::default());
        assert_eq!(silent.on_probe(2), FAILED);
        // Once confirmed, losses and timeouts are what they seem.
        let mut capable = sent(10);
        capable.on_ack(counts(1, 0, 0), 1);
        for count in 0..20 {
            assert_eq!((capable.on_lost(), capable.on_probe(count)), (ce(0), ce(0)));
        }
    }

    /// R-ECN-3: a path that marks everything says nothing.
    #[test]
    fn r_ecn_3_a_path_that_marks_everything_is_found_out() {
        let mut ecn = sent(10);
        assert_eq!(ecn.on_ack(counts(0, 0, 4), 4), ce(4));
        assert_eq!(ecn.status(), Testing);
        assert_eq!(ecn.on_ack(counts(0, 0, 10), 6), EcnNews { ce: 6, failed: true });
    }

    /// R-PATH-2b: a new path is tested anew, by counts that go on.
    #[test]
    fn a_new_path_is_tested_anew() {
        let mut old = sent(10);
        old.on_ack(counts(5, 0, 0), 5);
        let mut new = old.anew(true);
        assert!(new.begin_train() && new.on_sent());
        assert_eq!(new.status(), Testing);
        assert_eq!(new.on_ack(counts(11, 0, 0), 6), ce(0));
        assert_eq!(new.status(), Capable);
        assert_eq!(old.anew(false).status(), Off);
    }

    proptest! {
        /// No honest path fails: whatever is lost, marked CE or told late, counts of what arrived
        /// pass, and every CE is told exactly once.
        #[test]
        fn honest_counts_pass(
            steps in prop::collection::vec((0_u64..40, 0_u8..3), 1..80),
        ) {
            let mut ecn = EcnState::new(true);
            let (mut told, mut newly, mut ces, mut heard) = (EcnCounts::default(), 0, 0, 0);
            // One packet is known to arrive unmarked, so that the path is a sane one.
            ecn.begin_train();
            ecn.on_sent();
            told.ect0 = 1;
            prop_assert_eq!(ecn.on_ack(Some(told), 1), ce(0));
            for (packets, what) in steps {
                ecn.begin_train();
                for packet in 0..packets {
                    if ecn.on_sent() && packet % 3 != u64::from(what) {
                        let is_ce = packet % 5 == 0;
                        told.ect0 += u64::from(!is_ce);
                        told.ce += u64::from(is_ce);
                        ces += u64::from(is_ce);
                        newly += 1;
                    }
                }
                if what > 0 {
                    let news = ecn.on_ack(Some(told), newly);
                    prop_assert!(!news.failed);
                    heard += news.ce;
                    newly = 0;
                }
            }
            let last = ecn.on_ack(Some(told), newly);
            prop_assert_eq!(heard + last.ce, ces);
            prop_assert_eq!(ecn.status(), Capable);
        }

        /// No counts make it panic.
        #[test]
        fn arbitrary_counts_never_panic(
            steps in prop::collection::vec(any::<(u64, u64, u64, u64)>(), 0..20),
        ) {
            let mut ecn = sent(5);
            for (ect0, ect1, ce, newly) in steps {
                ecn.on_ack(counts(ect0, ect1, ce), newly);
            }
        }
    }
}
