//! The reasons, as values to match on.

use crate::error::ConnectError;
use crate::wire::Direction;
use alloc::string::String;
use tripline_sansio::Duration;

/// Why a connection waits. Times are counted from the moment of asking; `None` is never.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The handshake is not done.
    Opening(OpeningReason),
    /// Something keeps what we have to send from going out.
    Sending(SendingReason),
    /// It is the peer's turn, or the user's.
    Peer(PeerReason),
    /// The connection is on its way out.
    Ending(EndingReason),
}

/// What an attempt to connect waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpeningReason {
    /// The user: [`Event::Resolve`](crate::Event::Resolve) is not answered.
    Addresses {
        /// The name as the user gave it, and the port.
        name: String,
        /// When the attempt fails.
        gives_up_in: Option<Duration>,
    },
    /// The server: no CHALLENGE that verifies came. Its user may have to decide, or it is not
    /// there.
    Challenge {
        /// Since the first OPEN.
        waited: Duration,
        /// How many OPENs were sent.
        opens: u32,
        /// When the next one goes out; `None`: with the next drain.
        next_in: Option<Duration>,
        /// When the attempt fails.
        gives_up_in: Option<Duration>,
        /// How many RETRYs were answered: the server is busy and wants our address proven first.
        retries: u32,
        /// What an answer that counts for nothing by itself hinted at.
        hint: Option<ConnectError>,
    },
    /// The user: [`Event::ServerKey`](crate::Event::ServerKey) is not answered.
    Trust {
        /// Since the key was shown.
        waited: Duration,
        /// When the attempt fails.
        gives_up_in: Option<Duration>,
    },
    /// The server: its CHALLENGE verified, but nothing that proves it is live came yet. After an
    /// open without the server's key its user may have to decide.
    Answer {
        /// Probe timeouts without an answer.
        probes: u32,
        /// When the attempt fails.
        gives_up_in: Option<Duration>,
    },
}

/// What keeps data from going out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendingReason {
    /// Nothing: the loop has to drain `poll_transmit`.
    Undrained,
    /// The credit that the peer granted for all streams together is used up, or too small for the
    /// next message.
    ConnectionCredit {
        /// What it granted in all, in bytes.
        limit: u64,
        /// What is left, in bytes.
        free: u64,
        /// How many streams wait.
        streams: u64,
    },
    /// The credit that the peer granted for single streams is used up, or too small for their next
    /// messages.
    StreamCredit {
        /// How many streams wait.
        streams: u64,
    },
    /// The congestion window is full.
    Window {
        /// Bytes on their way.
        in_flight: u64,
        /// The window in bytes.
        window: u64,
    },
    /// The pacer spreads it over time.
    Pacing {
        /// When more goes out.
        wait: Duration,
        /// The rate in bytes per second.
        rate: u64,
    },
    /// The peer's address is not proven: three times what came from there may go there (R-HAND-1).
    Address {
        /// Bytes that may still go there.
        allowance: u64,
        /// Something waits that is larger.
        holds: bool,
    },
    /// As many packets wait for their fates as are remembered.
    Packets,
    /// The key may seal no more data until it is renewed.
    KeyLimit {
        /// Packets sealed.
        sealed: u64,
        /// After how many no more data goes out.
        limit: u64,
    },
    /// The keys are being renewed; this holds nothing back.
    Renewal {
        /// The zone that we send in.
        zone: u64,
        /// Packets sealed in it.
        sealed: u64,
        /// The peer's half came.
        agreed: bool,
    },
    /// `open` said *limit*: the peer allows no more streams.
    StreamLimit {
        /// Of this direction.
        direction: Direction,
        /// How many it has allowed in all.
        limit: u64,
    },
    /// Too many events wait to be polled: `send` takes nothing.
    Events {
        /// How many.
        waiting: u64,
    },
    /// A larger datagram is being tried out; this holds nothing back.
    MtuSearch {
        /// The size in use, in bytes of UDP payload.
        size: u16,
        /// The size tried, in bytes of UDP payload.
        trying: u16,
        /// How often it was lost.
        lost: u8,
    },
}

/// What the peer, or our user, has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerReason {
    /// The peer does not answer.
    Silent {
        /// Since its last packet.
        silence: Duration,
        /// Probe timeouts without an answer.
        probes: u32,
        /// When it is asked again.
        next_in: Option<Duration>,
        /// When it is given up.
        gives_up_in: Option<Duration>,
    },
    /// The peer has not acknowledged everything yet.
    Unacknowledged {
        /// Bytes on their way.
        in_flight: u64,
        /// The smoothed round trip; `None` before the first sample.
        rtt: Option<Duration>,
    },
    /// Our user has not read what came.
    Unread {
        /// On how many streams.
        streams: u64,
        /// Bytes that came, and gaps before them.
        bytes: u64,
        /// What the peer may still send on all streams together, in bytes: at 0 it waits for us.
        credit_left: u64,
    },
    /// Nobody has anything to say.
    Idle {
        /// Since the peer's last packet.
        silence: Duration,
        /// When the connection is given up if it stays like this.
        gives_up_in: Option<Duration>,
        /// When something is said to keep it alive.
        keep_alive_in: Option<Duration>,
    },
}

/// What is left of a connection that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndingReason {
    /// One side announced its end, and what is under way goes on.
    Leaving {
        /// We announced it.
        ours: bool,
        /// The peer did.
        theirs: bool,
        /// Streams of ours with something that is not acknowledged.
        unsettled: u64,
        /// The bytes of messages that are not acknowledged.
        bytes: u64,
        /// The peer has nothing left to send.
        peer_done: bool,
        /// How long both may take.
        left: Option<Duration>,
    },
    /// The whole endpoint shuts down (R-CLOSE-7), and this connection with it.
    ShutDown {
        /// Connections of the endpoint that are left, this one too.
        connections: u64,
        /// When what is left ends.
        left: Option<Duration>,
    },
    /// DISCONNECT was sent; the peer's is waited for.
    Closing {
        /// How long at most.
        left: Option<Duration>,
    },
    /// The peer's DISCONNECT came; late packets are waited out.
    Draining {
        /// How long.
        left: Option<Duration>,
    },
    /// It is over; what came has still to be read.
    Over {
        /// Streams that were not read to their ends.
        unread: u64,
    },
}

/// Why a stream waits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamReason {
    /// The peer has not allowed this stream yet: it was opened before the limits were known.
    NotAllowed {
        /// How many the peer allows; `None`: not known yet.
        limit: Option<u64>,
    },
    /// The credit that the peer granted for this stream is used up, or too small for the next
    /// message.
    StreamCredit {
        /// Up to which offset it lets us send.
        limit: u64,
        /// How far we are.
        offset: u64,
        /// Bytes handed in that were not sent.
        unsent: u64,
    },
    /// The connection's credit is used up.
    ConnectionCredit {
        /// Bytes handed in that were not sent.
        unsent: u64,
    },
    /// It has something to send and waits for what the connection waits for.
    Turn {
        /// Bytes handed in that were not sent; 0 if it is sent again, or only the end.
        unsent: u64,
        /// 0 (most urgent) to 7.
        priority: u8,
    },
    /// `send` said *blocked*: room is waited for.
    Full {
        /// Bytes that wait to be sent or acknowledged.
        buffered: u64,
        /// How many may.
        limit: u64,
    },
    /// All was sent, and the peer has not acknowledged it.
    Unacknowledged {
        /// Bytes of messages.
        bytes: u64,
        /// The end of the stream is among it.
        end: bool,
    },
    /// The user has not read what came.
    Unread {
        /// Bytes that came, and gaps before them.
        bytes: u64,
        /// What the peer may still send on this stream, in bytes: at 0 it waits for us.
        credit_left: u64,
    },
    /// Something is missing: what came behind it waits.
    Missing {
        /// The first offset that is missing.
        from: u64,
        /// The highest offset that came.
        upto: u64,
    },
}
