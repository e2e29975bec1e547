//! Packets that a side threw away unopened although nothing was wrong with them (I6, the other way
//! round: what is new has to be taken).
//!
//! A datagram of DATA is *good* if it was sent, never verified, lies in the replay window, and is
//! of the zone in which its receiver heard its peer last. An engine opens it, or its connection is
//! no more. That shows later: when the same connection opens another packet, it was there.

use super::report::Report;
use crate::host::HostId;
use tripline_sansio::Instant;

/// The last good packet that was not opened.
#[derive(Debug, Default)]
pub(super) struct Refused {
    last: Option<(u64, Instant)>,
}

impl Refused {
    /// A good packet came, and was not opened.
    pub(super) fn on_unopened(&mut self, number: u64, at: Instant) {
        self.last.get_or_insert((number, at));
    }

    /// The connection opens a packet of the same peer.
    pub(super) fn on_opened(&mut self, report: &mut Report, host: Option<HostId>) {
        if let Some((number, at)) = self.last.take() {
            let what = format_args!(
                "number {number}, here at {at:?}, was new, and is not even opened (R-DATA-3b)"
            );
            report.blame("I6", host, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::acks::{Acks, WINDOW};
    use super::*;
    use crate::host::HostId;

    const HOST: Option<HostId> = Some(HostId(3));

    fn found(report: &mut Report) -> Vec<&'static str> {
        report.take().into_iter().map(|one| one.invariant).collect()
    }

    /// Numbers that were sent; those below the second one verified, but for one.
    fn acks(sent: u64, delivered: u64, but: u64) -> Acks {
        let (mut acks, mut report) = (Acks::default(), Report::default());
        acks.sent.insert_range(0, sent);
        for number in (0..delivered).filter(|number| *number != but) {
            acks.on_delivered(&mut report, number, true);
        }
        acks
    }

    /// I6: a good packet that is not opened is found when the next one is, unless it is open by
    /// then.
    #[test]
    fn i6_what_is_new_is_opened() {
        let (mut report, mut refused) = (Report::default(), Refused::default());
        refused.on_opened(&mut report, HOST);
        assert!(found(&mut report).is_empty());
        refused.on_unopened(7, Instant::ZERO);
        assert!(found(&mut report).is_empty(), "the connection may be no more");
        refused.on_opened(&mut report, HOST);
        assert_eq!(found(&mut report), ["I6"]);
        refused.on_opened(&mut report, HOST);
        assert!(found(&mut report).is_empty(), "once");
    }

    /// R-DATA-3b: which numbers have to be taken.
    #[test]
    fn i6_good_numbers_were_sent_lie_in_the_window_and_are_new() {
        let own = acks(6_000, 5_000, 4_000);
        assert!(own.is_good(4_000) && own.is_good(5_000) && own.is_good(6_000));
        assert!(!own.is_good(4_001), "it verified");
        assert!(!own.is_good(6_001), "it was never sent");
        let edge = 4_999 - WINDOW;
        assert!(acks(6_000, 5_000, edge + 1).is_good(edge + 1));
        assert!(!acks(6_000, 5_000, edge).is_good(edge), "below the window");
    }

    /// I6: nothing verifies twice, once the connection is there on both sides.
    #[test]
    fn i6_a_number_is_taken_once() {
        let (mut report, mut own) = (Report::default(), acks(9, 9, 9));
        own.on_again(&mut report, HOST, 3);
        assert!(found(&mut report).is_empty(), "the server may have had no room for it");
        let bytes = [3, 8, 0, 8, 0];
        let Some(Ok(crate::wire::Frame::Ack(ack))) = crate::wire::frames(&bytes).next() else {
            panic!()
        };
        own.on_told(&mut report, HOST, &ack);
        own.on_again(&mut report, HOST, 3);
        assert!(found(&mut report).is_empty(), "it came before the first ACK");
        own.on_delivered(&mut report, 10, true);
        own.on_again(&mut report, HOST, 10);
        assert_eq!(found(&mut report), ["I6"]);
    }
}
