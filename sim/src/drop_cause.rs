//! Why datagrams are not delivered: one name for each way to vanish.
//!
//! Every datagram that a host sends is delivered or has one of these causes; the sums are kept in
//! [`Totals`](crate::Totals), and taps are shown each as it happens.

use std::fmt;

/// Why a datagram was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropCause {
    /// By the link's chance of independent loss.
    Lost,
    /// By the link's Gilbert–Elliott model: losses that come in bursts.
    Burst,
    /// Every n-th datagram of the link.
    Periodic,
    /// The link was in one of its periodic black-outs.
    Blackout,
    /// The bottleneck's queue had no room, in bytes or in datagrams.
    QueueFull,
    /// The bottleneck's queue management (CoDel, RED) dropped it to keep the queue short.
    QueueEarly,
    /// It exceeded the rate that the link's policer allows.
    Policed,
    /// Longer than the link's MTU; the sender is not told (a black hole).
    TooBig,
    /// The link loses what bears a congestion mark or asks for one (ECT, CE).
    Marked,
    /// A scripted rule said so.
    Scripted,
    /// The link from its sender to its receiver is cut: a partition.
    Cut,
    /// Nobody has the address it was sent to.
    NoRoute,
    /// It was sent from an address that its host does not have.
    NoSource,
    /// No binding of the NAT leads inside from the port it was sent to.
    NatUnbound,
    /// The NAT's filter does not let its sender in.
    NatFiltered,
    /// The NAT had no port left for a new binding.
    NatFull,
    /// It was sent to the outside of the NAT that its sender is behind, which turns nothing back.
    NatHairpin,
    /// Its receiver was asleep, or restarted while the datagram waited in its socket.
    Asleep,
    /// The socket buffer of its receiver, which was asleep, had no room.
    SocketFull,
    /// The operating system of its sender refused it for its length (`EMSGSIZE`).
    SendTooBig,
    /// Its sender had no network (`ENETUNREACH`).
    Unreachable,
    /// The operating system of its sender had no memory for it (`ENOBUFS`).
    NoBuffers,
}

impl DropCause {
    /// All there are.
    pub const ALL: [Self; 22] = [
        Self::Lost,
        Self::Burst,
        Self::Periodic,
        Self::Blackout,
        Self::QueueFull,
        Self::QueueEarly,
        Self::Policed,
        Self::TooBig,
        Self::Marked,
        Self::Scripted,
        Self::Cut,
        Self::NoRoute,
        Self::NoSource,
        Self::NatUnbound,
        Self::NatFiltered,
        Self::NatFull,
        Self::NatHairpin,
        Self::Asleep,
        Self::SocketFull,
        Self::SendTooBig,
        Self::Unreachable,
        Self::NoBuffers,
    ];

    /// A short name for reports: lower case, words joined by hyphens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Burst => "burst",
            Self::Periodic => "periodic",
            Self::Blackout => "blackout",
            Self::QueueFull => "queue-full",
            Self::QueueEarly => "queue-early",
            Self::Policed => "policed",
            Self::TooBig => "too-big",
            Self::Marked => "marked",
            Self::Scripted => "scripted",
            Self::Cut => "cut",
            Self::NoRoute => "no-route",
            Self::NoSource => "no-source",
            Self::NatUnbound => "nat-unbound",
            Self::NatFiltered => "nat-filtered",
            Self::NatFull => "nat-full",
            Self::NatHairpin => "nat-hairpin",
            Self::Asleep => "asleep",
            Self::SocketFull => "socket-full",
            Self::SendTooBig => "send-too-big",
            Self::Unreachable => "unreachable",
            Self::NoBuffers => "no-buffers",
        }
    }
}

impl fmt::Display for DropCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_cause_is_listed_in_order_under_a_name_of_its_own() {
        let numbers: Vec<usize> = DropCause::ALL.iter().map(|cause| *cause as usize).collect();
        assert_eq!(numbers, (0..DropCause::ALL.len()).collect::<Vec<_>>());
        let names: BTreeSet<_> = DropCause::ALL.iter().map(|cause| cause.to_string()).collect();
        assert_eq!(names.len(), DropCause::ALL.len());
    }
}
