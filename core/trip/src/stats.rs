//! Counters: plain numbers that only grow, cheap to copy.

/// Why datagrams were dropped. Every drop is counted; none is answered with an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drops {
    /// Unknown first byte, a reserved bit, or a wrong length (R-WIRE-4).
    pub malformed: u64,
    /// A packet for an ID that we do not have.
    pub unknown_connection: u64,
    /// The tag of a DATA packet did not verify, or there is no key for it yet.
    pub unauthentic: u64,
    /// A packet number taken before, or too old to tell (R-DATA-3); an OPEN that came again when
    /// nothing is left to be said to it.
    pub replayed: u64,
    /// An OPEN with a wrong mac1, a non-zero pad byte, or a Noise message that does not verify.
    pub bad_open: u64,
    /// A CHALLENGE, CONFIRM, RETRY or VERSION that does not verify or comes at the wrong time; what
    /// asks for a single connection that crosses one of ours (R-HAND-4).
    pub bad_handshake: u64,
    /// A version or suite that we do not take, or a packet of a kind that is only reserved.
    pub unsupported: u64,
    /// A client that is not on the list of a private server.
    pub not_allowed: u64,
    /// A bound of PROTOCOL.md §11 was reached.
    pub at_bound: u64,
    /// Came while the connection was closing.
    pub closing: u64,
    /// Not answered because answers of its kind, or handshakes of its prefix, are limited in number
    /// (R-HAND-3).
    pub rate_limited: u64,
    /// A RESET that does not count (R-RESET-2).
    pub stray_reset: u64,
}

/// What an endpoint has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Datagrams handed in.
    pub datagrams_received: u64,
    /// Datagrams handed out.
    pub datagrams_sent: u64,
    /// Datagrams that connections have written, and that wait to leave together: none, but in a
    /// drain that was broken off.
    pub datagrams_waiting: u64,
    /// Trains handed out; with segmentation offload one system call each.
    pub transmits: u64,
    /// Handshakes that began: valid OPENs taken in.
    pub opens_accepted: u64,
    /// RETRYs sent: OPENs of strangers that have to prove their address first.
    pub retries_sent: u64,
    /// RESETs sent, to peers of connections that are no more.
    pub resets_sent: u64,
    /// How often a connection was worked on, for a packet, a command, a deadline, or to ask it for
    /// packets. Calls that find nothing to do add nothing, however many connections there are.
    pub connections_touched: u64,
    /// Drops that belong to no connection.
    pub drops: Drops,
}

/// What a connection has done so far, and its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStats {
    /// DATA packets sent.
    pub packets_sent: u64,
    /// DATA packets received and verified.
    pub packets_received: u64,
    /// Bytes of DATA datagrams sent.
    pub bytes_sent: u64,
    /// Bytes of DATA datagrams received and verified.
    pub bytes_received: u64,
    /// Packets declared lost.
    pub packets_lost: u64,
    /// Packets declared lost that had arrived after all.
    pub packets_spurious: u64,
    /// Times that nothing got through for three probe timeouts (persistent congestion).
    pub persistent_congestion: u64,
    /// STREAM frames sent that carry bytes sent before.
    pub retransmissions: u64,
    /// Probe timeouts that fired.
    pub probes: u64,
    /// Packets of ours that a router marked CE, as the peer counts them.
    pub congestion_marks: u64,
    /// Times that ECN was given up: the path or the peer does not keep to its rules.
    pub ecn_failures: u64,
    /// Times that payload ran into a limit of the peer's credit, of a stream or the connection.
    pub credit_waits: u64,
    /// Times that payload had to wait for the pacer alone.
    pub pacing_waits: u64,
    /// Messages (chunks of byte streams) taken from the user.
    pub messages_sent: u64,
    /// Messages (chunks of byte streams) handed to the user.
    pub messages_received: u64,
    /// PONGs that nobody waited for.
    pub stray_pongs: u64,
    /// How many DATA packets the peer says it has sent; this and what follows by its last STATS
    /// (row T19), 0 before the first.
    pub peer_packets_sent: u64,
    /// How many of ours it says it has received.
    pub peer_packets_received: u64,
    /// Its smoothed round-trip time in nanoseconds.
    pub peer_rtt_ns: u64,
    /// How many packets of ours had not arrived by then.
    pub lost_out: u64,
    /// How many packets of the peer's had not arrived by then.
    pub lost_in: u64,
    /// Times that the peer moved to another address (row T21).
    pub moves: u64,
    /// Packets from a new address for which there was no room (R-PATH-3); they count as received.
    pub addresses_refused: u64,
    /// Smoothed round-trip time in nanoseconds; 0 before the first sample.
    pub rtt_ns: u64,
    /// The mean deviation of round-trip times from `rtt_ns`, in nanoseconds; 0 before the first
    /// sample.
    pub rtt_variation_ns: u64,
    /// The newest sample of the round-trip time, the peer's delay included, in nanoseconds; 0
    /// before the first.
    pub rtt_latest_ns: u64,
    /// Smallest round-trip time in nanoseconds; 0 before the first sample.
    pub rtt_min_ns: u64,
    /// The congestion window in bytes.
    pub congestion_window: u64,
    /// Where slow start ends, in bytes; 0 if nothing has set such a threshold yet.
    pub slow_start_threshold: u64,
    /// The size of full datagrams in bytes.
    pub datagram_size: u64,
    /// How fast payload may go out, in bytes per second; 0 before any was sent.
    pub pacing_rate: u64,
    /// Whether the path carries ECN.
    pub ecn: crate::EcnStatus,
    /// Bytes that the peer's credit for the connection still allows.
    pub credit_free: u64,
    /// The window by which we grant credit for the connection, as far as it has grown.
    pub receive_window: u64,
    /// Bytes on their way.
    pub bytes_in_flight: u64,
    /// From the first OPEN (client), or the OPEN's arrival (server), to ready, in nanoseconds.
    pub handshake_ns: u64,
    /// The number of the zone that we send in: how often the keys were renewed (row T24).
    pub zone: u64,
    /// Drops on this connection.
    pub drops: Drops,
}
