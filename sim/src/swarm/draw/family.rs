//! Families of scenarios: what a run is mostly about.
//!
//! A family says how long runs last, how many hosts, connections, streams, messages and bytes there
//! are at most, which features it never goes without, and which it never has. The rest is drawn
//! alike for all.

use super::Feature;
use super::Feature as F;
use tripline_sansio::Duration;

/// What a drawn scenario is mostly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// Anything, between few hosts, for a short time.
    Ordinary,
    /// Hours and days with little to say.
    LongHaul,
    /// Strangers send OPENs, noise and what they recorded.
    Flood,
    /// Every limit is as small as can be.
    TinyLimits,
    /// Many connections, one after the other and beside each other.
    Connections,
    /// Many streams on few connections.
    Streams,
    /// Clients that change their address all the time.
    Roaming,
    /// Hosts that crash, come back, stop and go on.
    Crashes,
    /// Much to carry.
    Bulk,
    /// Small messages at a steady beat, worthless when late.
    RealTime,
    /// Paths that carry no more than the smallest datagrams, or change their mind about it.
    TinyMtu,
    /// Many hosts.
    Crowd,
}

impl Family {
    /// All of them, each with its share of a hundred.
    pub const ALL: [(Self, u64); 12] = [
        (Self::Ordinary, 16),
        (Self::LongHaul, 12),
        (Self::Flood, 10),
        (Self::TinyLimits, 12),
        (Self::Connections, 7),
        (Self::Streams, 5),
        (Self::Roaming, 8),
        (Self::Crashes, 8),
        (Self::Bulk, 5),
        (Self::RealTime, 7),
        (Self::TinyMtu, 6),
        (Self::Crowd, 4),
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::LongHaul => "long haul",
            Self::Flood => "flood",
            Self::TinyLimits => "tiny limits",
            Self::Connections => "many connections",
            Self::Streams => "many streams",
            Self::Roaming => "roaming",
            Self::Crashes => "crashes",
            Self::Bulk => "bulk",
            Self::RealTime => "real time",
            Self::TinyMtu => "tiny MTU",
            Self::Crowd => "crowd",
        }
    }

    /// What it never goes without.
    pub(super) const fn brings(self) -> &'static [Feature] {
        match self {
            Self::Ordinary | Self::Crowd => &[],
            // Nobody else sends so many packets that a replay window moves on.
            Self::Bulk => &[F::Replay],
            Self::LongHaul => &[F::Idle],
            Self::Flood => &[F::Flood],
            Self::TinyLimits => &[F::Credit, F::StreamLimits],
            Self::Connections => &[F::Reconnect],
            Self::Streams => &[F::Finish],
            Self::Roaming => &[F::Move],
            Self::Crashes => &[F::Crash],
            Self::RealTime => &[F::Unreliable],
            Self::TinyMtu => &[F::Mtu],
        }
    }

    /// What it never has, so that its runs stay short and are about what they are about.
    pub(super) const fn bars(self) -> &'static [Feature] {
        match self {
            // These would send packets all day long.
            Self::LongHaul => &[F::KeepAlive, F::Flood, F::Profile, F::RealCipher],
            Self::Bulk => &[F::Credit, F::SendBuffer, F::RealCipher, F::Window],
            Self::Crowd | Self::Connections => &[F::RealCipher],
            _ => &[],
        }
    }

    /// How much there is of everything.
    pub(super) const fn scale(self) -> Scale {
        let base = Scale {
            lasts: (Duration::from_secs(1), Duration::from_secs(120)),
            clients: (1, 3),
            connections: 4,
            streams: 12,
            messages: 1_500,
            bytes: (1_000, 8_000_000),
            faults: 6,
        };
        match self {
            Self::Ordinary | Self::Flood | Self::TinyMtu => base,
            Self::LongHaul => Scale {
                lasts: (Duration::from_secs(3_600), Duration::from_secs(14 * 86_400)),
                clients: (1, 2),
                messages: 300,
                bytes: (100, 200_000),
                ..base
            },
            Self::TinyLimits => Scale { messages: 600, bytes: (100, 100_000), ..base },
            Self::Connections => Scale {
                clients: (1, 5),
                connections: 80,
                streams: 60,
                bytes: (1_000, 1_000_000),
                ..base
            },
            Self::Streams => Scale { connections: 2, streams: 400, messages: 1_500, ..base },
            Self::Roaming => Scale { faults: 20, ..base },
            Self::Crashes => Scale { faults: 10, ..base },
            Self::Bulk => Scale { streams: 4, bytes: (1_000_000, 30_000_000), ..base },
            Self::RealTime => Scale {
                lasts: (Duration::from_secs(5), Duration::from_secs(30)),
                messages: 1_500,
                streams: 4,
                bytes: (100_000, 4_000_000),
                ..base
            },
            Self::Crowd => Scale { clients: (4, 7), connections: 16, streams: 30, ..base },
        }
    }
}

/// How much of everything a family may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// How long the first phase lasts.
    pub(super) lasts: (Duration, Duration),
    /// How many clients there are.
    pub(super) clients: (u64, u64),
    /// The most connections in all, those that come after others included.
    pub(super) connections: u64,
    /// The most streams in all.
    pub(super) streams: u64,
    /// The most messages in all.
    pub(super) messages: u64,
    /// Bytes of messages in all.
    pub(super) bytes: (u64, u64),
    /// The most times that each kind of fault strikes.
    pub(super) faults: u64,
}
