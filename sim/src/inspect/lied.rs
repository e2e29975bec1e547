//! What a side owes to a peer that acknowledges what was never sent: the end (R-ACK-2).

use super::report::Report;
use crate::host::HostId;
use crate::marks::Mark;
use tripline_sansio::Instant;

/// The first lie that this side was told.
#[derive(Debug, Default)]
pub(super) struct Lied {
    to: Option<(u64, Instant)>,
}

impl Lied {
    /// A lie has verified here: an ACK up to `claim`, where `next` is the next number to be sent.
    pub(super) fn on_heard(&mut self, report: &mut Report, claim: u64, next: u64) {
        if claim >= next {
            report.hit(Mark::AckOfNothing);
            self.to.get_or_insert((claim, report.now));
        }
    }

    /// Whether a lie was told. All else is honest, and what is forged has no effect (R-WIRE-2).
    pub(super) const fn is_known(&self) -> bool {
        self.to.is_some()
    }

    /// Something is sent.
    pub(super) fn on_sent(
        &mut self,
        report: &mut Report,
        host: Option<HostId>,
        is_disconnect: bool,
    ) {
        if let Some((claim, at)) = self.to
            && !is_disconnect
        {
            let what = format_args!(
                "goes on, although {claim} was acknowledged at {at:?}, which was never sent \
                 (R-ACK-2)"
            );
            report.blame("I8", host, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I8: DISCONNECT is all that a liar hears, and what was sent meanwhile is no lie.
    #[test]
    fn i8_who_is_lied_to_ends() {
        let (mut report, mut lied) = (Report::default(), Lied::default());
        lied.on_heard(&mut report, 16_383, 16_384);
        lied.on_sent(&mut report, None, false);
        assert!(report.take().is_empty(), "it was sent");
        lied.on_heard(&mut report, 16_383, 16_383);
        lied.on_sent(&mut report, None, true);
        assert!(report.take().is_empty(), "as it should");
        lied.on_sent(&mut report, None, false);
        assert_eq!(report.take().first().map(|one| one.invariant), Some("I8"));
    }
}
