//! What two sides agreed on when they opened a connection, what a server insists on, and what can
//! be changed later (row T46).
//!
//! Plain numbers in, plain numbers out: who checks them is `endpoint::admit`, who changes them
//! `connection::agree`.

use crate::crypto::{PublicKey, Suite};
use crate::wire::{Parameters, Side};
use tripline_sansio::Duration;

/// What one side lets the other do, as it was announced in the handshake (PROTOCOL.md §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message taken, in bytes.
    pub message_max: u64,
    /// Bytes that may be sent at first on each stream.
    pub stream_credit: u64,
    /// Bytes that may be sent at first on all streams together.
    pub connection_credit: u64,
    /// How many two-way streams may be open at first.
    pub two_way_streams: u64,
    /// How many one-way streams may be open at first.
    pub one_way_streams: u64,
    /// The largest datagram taken, in bytes of UDP payload.
    pub datagram_max: u16,
    /// After how much silence this side gives up; zero: never.
    pub idle_timeout: Duration,
    /// At what interval this side sends keep-alives; zero: not at all.
    pub keep_alive: Duration,
    /// For how long this side may hold back an acknowledgement.
    pub ack_delay: Duration,
}

impl Limits {
    pub(crate) fn of(parameters: &Parameters) -> Self {
        Self {
            message_max: parameters.message_max,
            stream_credit: parameters.stream_credit,
            connection_credit: parameters.connection_credit,
            two_way_streams: parameters.two_way_streams,
            one_way_streams: parameters.one_way_streams,
            datagram_max: parameters.datagram_max,
            idle_timeout: Duration::from_millis(parameters.idle_timeout_ms),
            keep_alive: Duration::from_millis(parameters.keep_alive_ms),
            ack_delay: Duration::from_millis(parameters.ack_delay_ms),
        }
    }
}

/// What one side has granted the other so far: totals since the connection began, which never
/// shrink (R-CREDIT-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// Bytes of offsets over all streams.
    pub connection_credit: u64,
    /// The first index of two-way streams that may not be opened.
    pub two_way_streams: u64,
    /// The first index of one-way streams that may not be opened.
    pub one_way_streams: u64,
}

/// What the two sides of a connection agreed on, and where that stands (row T46).
///
/// Both sides see the same numbers: what is `ours` here is `theirs` there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agreed {
    /// The version of the protocol.
    pub version: u32,
    /// Pattern, cipher, hash, and whether a pre-shared key was used.
    pub suite: Suite,
    /// Which side we are.
    pub side: Side,
    /// The identity that the peer proved, if it has one.
    pub peer: Option<PublicKey>,
    /// Whether this is the only connection of the two identities (R-HAND-4): both sides wanted
    /// that, by [`TransportConfig::single`](crate::TransportConfig::single).
    pub single: bool,
    /// What we announced in the handshake: it binds the peer.
    pub ours: Limits,
    /// What the peer announced in the handshake: it binds us.
    pub theirs: Limits,
    /// What we have granted the peer so far.
    pub granted: Granted,
    /// What the peer has granted us so far.
    pub allowed: Granted,
    /// After how much silence the connection is given up: the smaller of both sides' limits, or of
    /// what [`Reconfigure`] made of ours; zero: never. (Until the peer has acknowledged something
    /// it is 15 s at most, R-HAND-6.)
    pub idle_timeout: Duration,
    /// The size of full datagrams that we send, in bytes of UDP payload.
    pub datagram_size: u16,
}

/// What a server insists on: clients that announce less are refused with code 7 (R-PARAM-5).
///
/// Units are those of [`TransportConfig`](crate::TransportConfig). Zero, the default, insists on
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minimum {
    /// The client takes messages of so many bytes.
    pub message_max: u64,
    /// It lets us send so many bytes ahead on each stream.
    pub stream_credit: u64,
    /// It lets us send so many bytes ahead on all streams together.
    pub connection_credit: u64,
    /// It lets us open so many two-way streams.
    pub two_way_streams: u64,
    /// It lets us open so many one-way streams.
    pub one_way_streams: u64,
    /// It takes datagrams of so many bytes of UDP payload.
    pub datagram_max: u16,
    /// It bears so much silence. Who never gives up bears any.
    pub idle_timeout: Duration,
}

impl Minimum {
    /// The text for a client that does not reach it; `None` for one that does. Of several faults
    /// the first is named.
    pub(crate) fn missed_by(&self, client: &Parameters) -> Option<&'static str> {
        let idle = match client.idle_timeout_ms {
            0 => Duration::MAX,
            ms => Duration::from_millis(ms),
        };
        [
            (client.message_max < self.message_max, "largest message below the minimum"),
            (client.stream_credit < self.stream_credit, "stream credit below the minimum"),
            (
                client.connection_credit < self.connection_credit,
                "connection credit below the minimum",
            ),
            (client.two_way_streams < self.two_way_streams, "two-way streams below the minimum"),
            (client.one_way_streams < self.one_way_streams, "one-way streams below the minimum"),
            (client.datagram_max < self.datagram_max, "largest datagram below the minimum"),
            (idle < self.idle_timeout, "idle timeout below the minimum"),
        ]
        .into_iter()
        .find_map(|(missed, text)| missed.then_some(text))
    }
}

/// What to change of a live connection, without closing it (row T46, R-PARAM-6). `None` leaves a
/// thing as it is; values out of range are moved into it.
///
/// What the peer was granted is never taken back: a smaller window means that new grants wait until
/// the peer has used up what it has. The largest message, the datagrams that we take and the ack
/// delay cannot change: the peer counts on them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reconfigure {
    /// How many bytes the peer may have on its way or unread on one stream: on all streams, those
    /// that are open included. At least the largest message + 8.
    pub stream_credit: Option<u64>,
    /// The same for all streams together.
    pub connection_credit: Option<u64>,
    /// How many two-way streams the peer may have open at once.
    pub two_way_streams: Option<u64>,
    /// How many one-way streams the peer may have open at once.
    pub one_way_streams: Option<u64>,
    /// After how much silence we give up, counted from this call. Never longer than what was
    /// announced in the handshake (the peer gives up by that), so it can be shortened, and
    /// lengthened again. Zero: as announced.
    pub idle_timeout: Option<Duration>,
    /// At what interval something is sent even if there is nothing to say. Zero: never.
    pub keep_alive: Option<Duration>,
    /// How much may wait in one of our streams before `send` says *blocked*, in bytes.
    pub send_buffer: Option<u64>,
}
