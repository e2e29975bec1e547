//! What an engine says of itself, held against the ledgers (I9, I25).
//!
//! In go public statistics and what is known from outside, out comes what does not agree. These
//! are plain functions of numbers, so an engine that lies is a test of one line.
//!
//! Some figures cannot be known from outside: which packets an engine holds to be lost, and which
//! of those of PING, PONG and PADDING it counts. For these there are bounds, both of them, and they
//! meet where nothing was lost.

use super::books::Ledger;
use super::hosts::HostLedger;
use tripline::{ConnectionStats, EndpointStats};

/// The least window of every controller of ours, in datagrams (R-CC-1).
const LEAST_WINDOW: u64 = 2;
/// Lost packets that an engine remembers (PROTOCOL.md §11): what is older is no spurious loss when
/// its ACK comes after all.
const LOST_MAX: u64 = 1_024;
/// Packets without a fate that an engine remembers (PROTOCOL.md §11), but for those whose places
/// probes took.
const REMEMBERED_MAX: u64 = (1 << 16) - 64;
/// Answers that wait at an endpoint (PROTOCOL.md §11), counted and not sent yet.
const ANSWERS_MAX: u64 = 1_024;

/// When an endpoint is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// On the way: what it has made may still wait to be sent.
    Midway,
    /// In the end: nothing waits.
    End,
}

/// What else bears on whether figures agree.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// The connection is ready, so that what comes and goes has its effect.
    pub(crate) is_ready: bool,
    /// All that was handed in has come, or was given up.
    pub(crate) is_settled: bool,
    /// Neither side has moved, nor was told that its network did: nothing was given up on that is
    /// not called lost.
    pub(crate) stays: bool,
    /// What came before the connection was there may have been dropped.
    pub(crate) may_have_missed: bool,
    /// A probe timeout since the last acknowledgement lets packets pass the window.
    pub(crate) probes: bool,
    /// The controller is one of those that keep a least window.
    pub(crate) has_least_window: bool,
}

/// An invariant that does not hold, and how.
pub(crate) type Finding = (&'static str, String);

/// Collects the first finding.
struct Judge(Option<Finding>);

impl Judge {
    fn ensure(&mut self, holds: bool, invariant: &'static str, what: impl FnOnce() -> String) {
        if !holds {
            self.find(invariant, what);
        }
    }

    /// Apart from the question, which is asked some twenty times for each packet.
    #[cold]
    #[inline(never)]
    fn find(&mut self, invariant: &'static str, what: impl FnOnce() -> String) {
        if self.0.is_none() {
            self.0 = Some((invariant, what()));
        }
    }

    /// A public counter is what the ledger says.
    fn same(&mut self, name: &str, said: u64, known: u64) {
        self.ensure(said == known, "I25", || format!("{name} is {said}, and was {known}"));
    }

    /// A public counter is not above what can be.
    fn at_most(&mut self, name: &str, said: u64, most: u64) {
        self.ensure(said <= most, "I25", || format!("{name} is {said}, at most {most} were"));
    }
}

/// Holds what an endpoint says of itself against what the network saw of its host since the
/// endpoint is there, `known`. `segments` is the most datagrams of a train.
pub(crate) fn judge_endpoint(
    stats: &EndpointStats,
    known: &HostLedger,
    segments: u64,
    occasion: Occasion,
) -> Option<Finding> {
    let mut judge = Judge(None);
    judge.same("datagrams_received", stats.datagrams_received, known.came.packets);
    judge.same("datagrams_sent", stats.datagrams_sent, known.sent.packets);
    judge.at_most("transmits", stats.transmits, known.sent.packets);
    let most = stats.transmits.saturating_mul(segments);
    judge.at_most("datagrams_sent, of so many trains,", stats.datagrams_sent, most);
    let drops = &stats.drops;
    judge.at_most("drops.malformed", drops.malformed, known.flawed);
    // Counted when they are made; they may wait, or find no room.
    let waiting = if occasion == Occasion::End { 0 } else { ANSWERS_MAX };
    let slack = waiting + drops.at_bound;
    for (name, said, seen) in [
        ("opens_accepted", stats.opens_accepted, known.accepts),
        ("retries_sent", stats.retries_sent, known.retries),
        ("resets_sent", stats.resets_sent, known.resets),
    ] {
        judge.at_most(name, said, seen + slack);
        judge.at_most("what was seen", seen, said);
    }
    let dropped = drops.malformed
        + drops.unknown_connection
        + drops.unauthentic
        + drops.replayed
        + drops.bad_open
        + drops.bad_handshake
        + drops.unsupported
        + drops.not_allowed
        + drops.stray_reset;
    judge.at_most("the sum of drops", dropped, known.came.packets);
    // An answer that is not given, to what may be counted as dropped for another reason.
    judge.at_most("drops.rate_limited", drops.rate_limited, known.came.packets);
    let dropped = dropped + drops.rate_limited;
    // What is no packet may be wrong in other ways too, and is dropped in any case.
    judge.at_most("what came and is no packet", known.flawed, dropped);
    judge.0
}

/// Holds what an engine says of one end of a connection against what is known of that end.
pub(crate) fn judge_connection(
    stats: &ConnectionStats,
    known: &Ledger,
    peer: &Ledger,
    around: Circumstances,
) -> Option<Finding> {
    let mut judge = Judge(None);
    judge.same("packets_sent", stats.packets_sent, known.sent.packets);
    judge.same("bytes_sent", stats.bytes_sent, known.sent.bytes);
    if around.may_have_missed {
        judge.at_most("packets_received", stats.packets_received, known.came.packets);
        judge.at_most("bytes_received", stats.bytes_received, known.came.bytes);
    } else {
        judge.same("packets_received", stats.packets_received, known.came.packets);
        judge.same("bytes_received", stats.bytes_received, known.came.bytes);
    }
    judge.same("retransmissions", stats.retransmissions, known.repeats);
    // Whoever has moved to the next zone has perhaps nothing to say in it.
    judge.at_most("zone", stats.zone, known.zone + 1);
    judge.at_most("the zone it sends in", known.zone, stats.zone);
    judge_losses(&mut judge, stats, known, around.is_ready);
    judge_peer(&mut judge, stats, known, peer);
    if around.is_ready {
        judge_flight(&mut judge, stats, known, around);
    }
    judge.0
}

/// I25: what is said of losses can be.
fn judge_losses(judge: &mut Judge, stats: &ConnectionStats, known: &Ledger, is_ready: bool) {
    let ConnectionStats { packets_lost: lost, packets_spurious: spurious, .. } = *stats;
    judge.at_most("packets_spurious", spurious, lost);
    judge.at_most("packets_lost", lost, known.sent.packets);
    // What is lost was not acknowledged, or else it was spurious; unless nobody remembered it, or
    // its ACK was dropped at a bound, or came when all was over.
    if is_ready && lost <= LOST_MAX && stats.drops.at_bound == 0 {
        let net = lost.saturating_sub(spurious);
        judge.at_most("packets_lost, those that arrived apart,", net, known.unacked);
    }
    judge.at_most("persistent_congestion", stats.persistent_congestion, lost);
    judge.at_most("congestion_marks", stats.congestion_marks, known.ce);
    judge.at_most("drops.at_bound", stats.drops.at_bound, stats.packets_received);
    judge.at_most("drops.closing", stats.drops.closing, stats.packets_received);
    judge.at_most("addresses_refused", stats.addresses_refused, stats.packets_received);
}

/// I25: what the peer is said to have said is not more than it did.
fn judge_peer(judge: &mut Judge, stats: &ConnectionStats, known: &Ledger, peer: &Ledger) {
    judge.at_most("peer_packets_sent", stats.peer_packets_sent, peer.sent.packets);
    judge.at_most("peer_packets_received", stats.peer_packets_received, peer.came.packets);
    judge.at_most("lost_out", stats.lost_out, known.sent.packets);
    judge.at_most("lost_in", stats.lost_in, peer.sent.packets);
}

/// I9: in flight is what was sent less what was acknowledged and what was lost; the window has a
/// least size, and nothing but probes goes beyond it.
fn judge_flight(judge: &mut Judge, stats: &ConnectionStats, known: &Ledger, around: Circumstances) {
    let (flight, window) = (stats.bytes_in_flight, stats.congestion_window);
    let is_heard = stats.drops.at_bound == 0;
    if is_heard {
        let most = known.open.bytes + known.doubtful.bytes;
        let what = || format!("{flight} bytes in flight, {most} are not acknowledged");
        judge.ensure(flight <= most, "I9", what);
        match known.credit {
            // Nothing is reserved for the rest of a message.
            Some(credit) if around.is_settled => {
                judge.same("credit_free", stats.credit_free, credit);
            }
            Some(credit) => judge.at_most("credit_free", stats.credit_free, credit),
            None => {}
        }
    }
    // Where no more can be remembered, the oldest are given up for probes (R-ACK-3c).
    let is_counted = known.unacked < REMEMBERED_MAX;
    if is_heard && around.stays && stats.moves == 0 && is_counted {
        // Each packet that was lost for good is as large as the largest at most.
        let lost = stats.packets_lost.saturating_sub(stats.packets_spurious);
        let lost = lost.saturating_mul(known.largest);
        let what = || {
            format!(
                "{flight} bytes in flight, {} are not acknowledged and {} packets lost",
                known.open.bytes, stats.packets_lost
            )
        };
        judge.ensure(flight + lost >= known.open.bytes, "I9", what);
    }
    if around.has_least_window {
        let least = LEAST_WINDOW * stats.datagram_size;
        let what = || format!("a window of {window} bytes, at least {least} (R-CC-1)");
        judge.ensure(window >= least, "I9", what);
    }
    if known.has_just_sent && !around.probes {
        let what = || format!("{flight} bytes in flight behind payload, the window is {window}");
        judge.ensure(flight <= window, "I9", what);
    }
}

#[cfg(test)]
mod tests {
    use super::super::books::{Books, Sum, Weight};
    use super::*;

    /// A side that has sent three packets with payload, of which one arrived, and one ACK, and its
    /// peer, of which two packets came; and what its engine says of that.
    fn honest() -> (ConnectionStats, Ledger, Ledger) {
        let mut books = Books::default();
        for event in 1..=3 {
            books.on_sent(1_200, Weight::Full, true, event);
        }
        books.on_came(100, 4);
        books.on_came(60, 5);
        books.on_acked(1_200, Weight::Full);
        books.on_sent(40, Weight::None, false, 6);
        let known = Ledger { repeats: 1, credit: Some(5_000), ..books.ledger(true) };
        let sent = Sum { packets: 2, bytes: 160 };
        let peer = Ledger { sent, came: Sum { packets: 4, bytes: 3_640 }, ..Ledger::default() };
        let mut stats = ConnectionStats::default();
        (stats.packets_sent, stats.bytes_sent) = (4, 3_640);
        (stats.packets_received, stats.bytes_received) = (2, 160);
        (stats.retransmissions, stats.credit_free) = (1, 5_000);
        (stats.bytes_in_flight, stats.congestion_window) = (2_400, 14_720);
        stats.datagram_size = 1_200;
        (stats, known, peer)
    }

    const READY: Circumstances = Circumstances {
        is_ready: true,
        is_settled: true,
        stays: true,
        may_have_missed: false,
        probes: false,
        has_least_window: true,
    };

    /// What is found if an engine says something else than the truth.
    fn lie(change: impl FnOnce(&mut ConnectionStats)) -> Option<&'static str> {
        let (mut stats, known, peer) = honest();
        change(&mut stats);
        judge_connection(&stats, &known, &peer, READY).map(|(invariant, _)| invariant)
    }

    #[test]
    fn i25_every_figure_of_a_connection_that_is_known_is_compared() {
        assert_eq!(lie(|_| ()), None, "the truth");
        let lies: [fn(&mut ConnectionStats); 16] = [
            |stats| stats.packets_sent += 1,
            |stats| stats.bytes_sent -= 1,
            |stats| stats.packets_received -= 1,
            |stats| stats.bytes_received += 1,
            |stats| stats.retransmissions += 1,
            |stats| stats.zone = 2,
            |stats| stats.packets_spurious = 1,
            |stats| stats.packets_lost = 4,
            |stats| stats.persistent_congestion = 1,
            |stats| stats.congestion_marks = 1,
            |stats| stats.drops.at_bound = 3,
            |stats| stats.drops.closing = 3,
            |stats| stats.peer_packets_sent = 3,
            |stats| stats.peer_packets_received = 5,
            |stats| stats.credit_free += 1,
            |stats| stats.credit_free -= 1,
        ];
        for (number, change) in lies.into_iter().enumerate() {
            assert_eq!(lie(change), Some("I25"), "lie {number}");
        }
    }

    #[test]
    fn i9_what_is_in_flight_is_what_was_sent_less_what_arrived_and_was_lost() {
        assert_eq!(lie(|stats| stats.bytes_in_flight += 1), Some("I9"), "more than was sent");
        assert_eq!(lie(|stats| stats.bytes_in_flight -= 1), Some("I9"), "less, and nothing lost");
        let lost = |bytes: u64| {
            lie(|stats| (stats.packets_lost, stats.bytes_in_flight) = (1, 2_400_u64 - bytes))
        };
        assert_eq!(lost(1_200), None, "one is lost");
        assert_eq!(lost(1_201), Some("I9"), "less than what is left then");
        assert_eq!(lie(|stats| stats.congestion_window = 2_400), None, "just so");
        assert_eq!(lie(|stats| stats.congestion_window = 2_399), Some("I9"), "too small a window");
    }

    #[test]
    fn i9_payload_does_not_pass_the_window() {
        let (mut stats, mut known, peer) = honest();
        let mut look = |stats: &ConnectionStats, just: bool, probes| {
            known.has_just_sent = just;
            let around = Circumstances { probes, has_least_window: false, ..READY };
            judge_connection(stats, &known, &peer, around).map(|(invariant, _)| invariant)
        };
        stats.congestion_window = 2_399;
        assert_eq!(look(&stats, true, false), Some("I9"));
        assert_eq!(look(&stats, true, true), None, "probes may");
        assert_eq!(look(&stats, false, false), None, "the window may have shrunk since");
    }

    /// What was sent last, and whether anything came after it, is told apart.
    #[test]
    fn i9_a_window_is_judged_behind_payload_alone() {
        let mut books = Books::default();
        books.on_sent(1_200, Weight::Full, true, 1);
        assert!(books.ledger(true).has_just_sent && !books.ledger(false).has_just_sent);
        books.on_sent(40, Weight::None, false, 2);
        assert!(books.ledger(true).has_just_sent, "an ACK does not count");
        books.on_sent(1_200, Weight::Doubtful, false, 3);
        assert!(!books.ledger(true).has_just_sent, "a probe of the MTU may");
        books.on_sent(1_200, Weight::Full, true, 4);
        books.on_heard(4);
        assert!(!books.ledger(true).has_just_sent, "an ACK may have shrunk the window");
    }

    #[test]
    fn i25_every_figure_of_an_endpoint_that_is_known_is_compared() {
        let known = HostLedger {
            sent: Sum { packets: 30, bytes: 0 },
            came: Sum { packets: 20, bytes: 0 },
            flawed: 2,
            accepts: 1,
            retries: 3,
            resets: 4,
        };
        let look = |change: &dyn Fn(&mut EndpointStats), occasion| {
            let mut stats = EndpointStats::default();
            (stats.datagrams_received, stats.datagrams_sent, stats.transmits) = (20, 30, 10);
            (stats.opens_accepted, stats.retries_sent, stats.resets_sent) = (1, 3, 4);
            (stats.drops.malformed, stats.drops.unsupported) = (1, 1);
            change(&mut stats);
            judge_endpoint(&stats, &known, 3, occasion).map(|(invariant, _)| invariant)
        };
        assert_eq!(look(&|_| (), Occasion::End), None, "the truth");
        let lies: [fn(&mut EndpointStats); 11] = [
            |stats| stats.datagrams_received += 1,
            |stats| stats.datagrams_sent -= 1,
            |stats| stats.transmits = 31,
            |stats| stats.transmits = 9,
            |stats| stats.opens_accepted += 1,
            |stats| stats.opens_accepted -= 1,
            |stats| stats.retries_sent += 1,
            |stats| stats.resets_sent -= 1,
            |stats| stats.drops.malformed = 3,
            |stats| stats.drops.malformed = 0,
            |stats| stats.drops.unauthentic = 19,
        ];
        for (number, change) in lies.into_iter().enumerate() {
            assert_eq!(look(&change, Occasion::End), Some("I25"), "lie {number}");
        }
        assert_eq!(look(&|stats| stats.retries_sent += 1, Occasion::Midway), None, "it waits");
    }
}
