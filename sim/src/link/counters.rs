//! A link's own books.

use crate::drop_cause::DropCause;

/// What has become of the datagrams of one link.
///
/// `offered = passed + dropped()`, in datagrams and in bytes, always; `passed + copies = delivered`
/// + what is still on its way, unless a rule made further copies or the receiver had moved away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LinkCounters {
    /// Datagrams handed to the link.
    pub offered: u64,
    /// Their bytes.
    pub offered_bytes: u64,
    /// Datagrams that arrive, without copies.
    pub passed: u64,
    /// Their bytes.
    pub passed_bytes: u64,
    /// Further copies that arrive.
    pub copies: u64,
    /// Datagrams handed to their receiver by the world, copies included.
    pub delivered: u64,
    /// Their bytes.
    pub delivered_bytes: u64,
    /// Datagrams held up by the reordering knob; they are among the passed ones.
    pub held_up: u64,
    /// Datagrams that found more than [`LinkConfig::mark_above`](crate::LinkConfig::mark_above) in
    /// the queue, or that its management would have dropped had it not been to mark them.
    pub congested: u64,
    /// Datagrams whose congestion mark was taken off.
    pub bleached: u64,
    /// Datagrams that were given the mark of congestion by chance.
    pub remarked: u64,
    /// Datagrams some of whose bits were flipped. These and those changed otherwise are among the
    /// passed ones.
    pub flipped: u64,
    /// Datagrams that were cut short.
    pub truncated: u64,
    /// Datagrams that garbage was put behind.
    pub extended: u64,
    /// Datagrams whose end came from their predecessor.
    pub spliced: u64,
    /// Datagrams two of whose bytes changed places.
    pub swapped: u64,
    /// Datagrams by chance.
    pub lost: u64,
    /// Their bytes.
    pub lost_bytes: u64,
    /// Datagrams in bursts.
    pub burst: u64,
    /// Their bytes.
    pub burst_bytes: u64,
    /// Datagrams by number.
    pub periodic: u64,
    /// Their bytes.
    pub periodic_bytes: u64,
    /// Datagrams in black-outs.
    pub blackout: u64,
    /// Their bytes.
    pub blackout_bytes: u64,
    /// Datagrams that found the queue full.
    pub queue_full: u64,
    /// Their bytes.
    pub queue_full_bytes: u64,
    /// Datagrams dropped by queue management.
    pub queue_early: u64,
    /// Their bytes.
    pub queue_early_bytes: u64,
    /// Datagrams beyond the policer's rate.
    pub policed: u64,
    /// Their bytes.
    pub policed_bytes: u64,
    /// Datagrams longer than the MTU.
    pub too_big: u64,
    /// Their bytes.
    pub too_big_bytes: u64,
    /// Datagrams lost for their congestion mark.
    pub marked: u64,
    /// Their bytes.
    pub marked_bytes: u64,
}

impl LinkCounters {
    /// All datagrams that did not arrive, whatever the cause.
    pub fn dropped(&self) -> u64 {
        DropCause::ALL.iter().filter_map(|cause| self.of(*cause)).map(|(count, _)| count).sum()
    }

    /// Their bytes.
    pub fn dropped_bytes(&self) -> u64 {
        DropCause::ALL.iter().filter_map(|cause| self.of(*cause)).map(|(_, bytes)| bytes).sum()
    }

    /// Datagrams and bytes that did not arrive for this cause; `None` if no link has that cause.
    pub fn of(&self, cause: DropCause) -> Option<(u64, u64)> {
        let mut copy = *self;
        copy.of_mut(cause).map(|(datagrams, bytes)| (*datagrams, *bytes))
    }

    pub(super) const fn of_mut(&mut self, cause: DropCause) -> Option<(&mut u64, &mut u64)> {
        Some(match cause {
            DropCause::Lost => (&mut self.lost, &mut self.lost_bytes),
            DropCause::Burst => (&mut self.burst, &mut self.burst_bytes),
            DropCause::Periodic => (&mut self.periodic, &mut self.periodic_bytes),
            DropCause::Blackout => (&mut self.blackout, &mut self.blackout_bytes),
            DropCause::QueueFull => (&mut self.queue_full, &mut self.queue_full_bytes),
            DropCause::QueueEarly => (&mut self.queue_early, &mut self.queue_early_bytes),
            DropCause::Policed => (&mut self.policed, &mut self.policed_bytes),
            DropCause::TooBig => (&mut self.too_big, &mut self.too_big_bytes),
            DropCause::Marked => (&mut self.marked, &mut self.marked_bytes),
            _ => return None,
        })
    }

    /// Adds the figures of another link.
    pub(crate) fn add(&mut self, other: &Self) {
        for cause in DropCause::ALL {
            if let (Some(sum), Some(more)) = (self.of_mut(cause), other.of(cause)) {
                *sum.0 += more.0;
                *sum.1 += more.1;
            }
        }
        let pairs = [
            (&mut self.offered, other.offered),
            (&mut self.offered_bytes, other.offered_bytes),
            (&mut self.passed, other.passed),
            (&mut self.passed_bytes, other.passed_bytes),
            (&mut self.copies, other.copies),
            (&mut self.delivered, other.delivered),
            (&mut self.delivered_bytes, other.delivered_bytes),
            (&mut self.held_up, other.held_up),
            (&mut self.congested, other.congested),
            (&mut self.bleached, other.bleached),
            (&mut self.remarked, other.remarked),
            (&mut self.flipped, other.flipped),
            (&mut self.truncated, other.truncated),
            (&mut self.extended, other.extended),
            (&mut self.spliced, other.spliced),
            (&mut self.swapped, other.swapped),
        ];
        for (sum, more) in pairs {
            *sum += more;
        }
    }
}
