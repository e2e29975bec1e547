//! What may exist in a scenario or not: kinds of faults, of settings, of work.

/// Something that a drawn scenario has or has not, each by a toss of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Datagrams are lost.
    Loss,
    /// Delays vary, in order.
    Jitter,
    /// Delays vary seldom and much, or like the ones before.
    JitterShape,
    /// Delays vary, and the order with them.
    FreeOrder,
    /// Losses come in bursts, or by number.
    Bursts,
    /// Datagrams are changed on the way.
    Damage,
    /// Marks of congestion are tampered with.
    Tampering,
    /// Datagrams arrive several times.
    Copies,
    /// Some datagrams come much later.
    Reorder,
    /// A bottleneck with a queue.
    Rate,
    /// Its queue is managed, or counted in datagrams.
    Managed,
    /// What comes too fast is dropped.
    Police,
    /// It marks instead of dropping.
    Marks,
    /// The path carries small datagrams only.
    Mtu,
    /// The two directions of a link differ.
    Asymmetry,
    /// Links become others on the way.
    Changes,
    /// Nothing comes through for a while, one way or both.
    Cuts,
    /// A host has another address from now on.
    Move,
    /// A host is gone, and perhaps comes back.
    Crash,
    /// A host does nothing for a while.
    Pause,
    /// A host's clock goes forward at once.
    Jump,
    /// A host's socket takes nothing for a while.
    Block,
    /// Clients behind NATs.
    Nats,
    /// NATs forget, and become others.
    NatChanges,
    /// Clocks go too fast, too slow, or now this and now that.
    Clocks,
    /// Nothing comes through for a while, again and again.
    Blackouts,
    /// A host's system does not send everything.
    Refusals,
    /// Run loops take liberties.
    Sloppy,
    /// Datagrams of the past come again.
    Replay,
    /// Noise, and true datagrams with bits changed.
    Garbage,
    /// OPENs of strangers.
    Flood,
    /// Clients that acknowledge what was never sent.
    Lies,
    /// Hosts with a profile.
    Profile,
    /// Another idle limit.
    Idle,
    /// Keep-alive.
    KeepAlive,
    /// Little credit, small messages.
    Credit,
    /// Few streams at once.
    StreamLimits,
    /// A small send buffer.
    SendBuffer,
    /// Another delay of acknowledgements.
    AckDelay,
    /// Another congestion controller.
    Controller,
    /// Other sizes of datagrams.
    Sizes,
    /// No marks of congestion asked for.
    NoEcn,
    /// Probing on silence.
    Probe,
    /// Keys renewed often by themselves.
    Renewal,
    /// Hardware for AES, as the engine is told.
    Aes,
    /// Trains of few datagrams.
    Segments,
    /// Addresses proven from the first on, few connections taken.
    Guard,
    /// Clients with an identity, and servers that let nobody else in.
    Identity,
    /// IPv6.
    V6,
    /// Two servers.
    TwoServers,
    /// The engine's own cipher.
    RealCipher,
    /// Servers open streams too.
    ServerOpens,
    /// Servers send back what they get.
    Echo,
    /// Messages that expire.
    Expiry,
    /// Messages that are sent once, or a few times.
    Unreliable,
    /// Priorities, and changes of them.
    Priorities,
    /// Streams that are alike, one after the other.
    Repeat,
    /// Streams are ended behind their last message.
    Finish,
    /// Streams are closed at once.
    CloseStream,
    /// The reader wants no more.
    Stop,
    /// Applications that read slowly, or not at all.
    Reading,
    /// New keys on demand.
    Renew,
    /// Connections are closed in order.
    Close,
    /// Connections are killed.
    Kill,
    /// Clients come again.
    Reconnect,
    /// Whole endpoints are shut down.
    ShutDown,
    /// Hosts are told that their network changed.
    NetworkChanged,
    /// A budget of memory.
    Memory,
    /// The least window there may be.
    Window,
    /// Keys that seal little payload.
    KeyPackets,
    /// Users hear of silences sooner, later or never.
    Quiet,
    /// Strangers get few answers.
    Answers,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 72] = [
        Self::Loss,
        Self::Jitter,
        Self::JitterShape,
        Self::FreeOrder,
        Self::Bursts,
        Self::Damage,
        Self::Tampering,
        Self::Copies,
        Self::Reorder,
        Self::Rate,
        Self::Managed,
        Self::Police,
        Self::Marks,
        Self::Mtu,
        Self::Asymmetry,
        Self::Changes,
        Self::Cuts,
        Self::Move,
        Self::Crash,
        Self::Pause,
        Self::Jump,
        Self::Block,
        Self::Nats,
        Self::NatChanges,
        Self::Clocks,
        Self::Blackouts,
        Self::Refusals,
        Self::Sloppy,
        Self::Replay,
        Self::Garbage,
        Self::Flood,
        Self::Lies,
        Self::Profile,
        Self::Idle,
        Self::KeepAlive,
        Self::Credit,
        Self::StreamLimits,
        Self::SendBuffer,
        Self::AckDelay,
        Self::Controller,
        Self::Sizes,
        Self::NoEcn,
        Self::Probe,
        Self::Renewal,
        Self::Aes,
        Self::Segments,
        Self::Guard,
        Self::Identity,
        Self::V6,
        Self::TwoServers,
        Self::RealCipher,
        Self::ServerOpens,
        Self::Echo,
        Self::Expiry,
        Self::Unreliable,
        Self::Priorities,
        Self::Repeat,
        Self::Finish,
        Self::CloseStream,
        Self::Stop,
        Self::Reading,
        Self::Renew,
        Self::Close,
        Self::Kill,
        Self::Reconnect,
        Self::ShutDown,
        Self::NetworkChanged,
        Self::Memory,
        Self::Window,
        Self::KeyPackets,
        Self::Quiet,
        Self::Answers,
    ];

    /// Whether it is something that goes wrong, and not something that somebody does or sets.
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Loss
                | Self::Jitter
                | Self::FreeOrder
                | Self::Bursts
                | Self::Damage
                | Self::Tampering
                | Self::Police
                | Self::Copies
                | Self::Reorder
                | Self::Mtu
                | Self::Changes
                | Self::Cuts
                | Self::Move
                | Self::Crash
                | Self::Pause
                | Self::Jump
                | Self::Block
                | Self::Nats
                | Self::NatChanges
                | Self::Clocks
                | Self::Blackouts
                | Self::Refusals
                | Self::Sloppy
                | Self::Replay
                | Self::Garbage
                | Self::Flood
                | Self::Lies
        )
    }

    /// In how many of a hundred scenarios it exists, where the family has no opinion. Half, but for
    /// what costs much or ends everything: a scenario in which all was shut down at once proves
    /// little.
    pub(super) const fn percent(self) -> u64 {
        match self {
            Self::RealCipher | Self::Lies | Self::Window => 10,
            Self::Memory | Self::KeyPackets | Self::Quiet | Self::Answers => 20,
            Self::Kill | Self::ShutDown | Self::Flood | Self::TwoServers => 20,
            Self::Crash | Self::V6 | Self::Guard => 25,
            // Where clocks are wrong, nobody can say whether a silence was long enough.
            Self::Clocks => 30,
            Self::Nats | Self::Blackouts | Self::Refusals | Self::Repeat => 35,
            _ => 50,
        }
    }
}
