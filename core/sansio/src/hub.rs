//! The shape of a machine that needs several links at once: a hub.
//!
//! In go the datagrams and bytes of each link, and answers; out come datagrams and bytes for each
//! link, events, a deadline, and wishes: which links the hub wants opened, listened for and closed.
//! It opens nothing by itself and never learns what a link is made of. TLS is put around a link by
//! the loop: a hub sees plain bytes of either kind.

use crate::{Ecn, Instant, Path, Transmit};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

/// What a link is to be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LinkKind {
    /// A UDP socket: datagrams, to and from anywhere.
    Udp,
    /// A TCP connection: bytes.
    Tcp,
    /// TLS over a TCP connection: bytes again.
    Tls,
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        })
    }
}

/// What a hub asks of its loop. The hub chooses the numbers, and uses none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Open a link. For UDP, `address` is the one to bind; else the one to connect to.
    Open {
        /// Its number from now on.
        link: u64,
        /// What it is to be made of.
        kind: LinkKind,
        /// Where to, or for UDP, where.
        address: SocketAddr,
        /// What the other side is called, for whoever is to be told (TLS); empty if it has no name.
        name: String,
    },
    /// Take connections that others open; each gets its number from [`Hub::handle_accepted`].
    Listen {
        /// The number of the listener.
        link: u64,
        /// What they are made of; not UDP, which is opened.
        kind: LinkKind,
        /// Where.
        address: SocketAddr,
    },
    /// End a link or a listener: what was written goes out first, nothing more comes in, and it is
    /// answered by nothing. Harmless if it is gone.
    Close {
        /// Which.
        link: u64,
    },
}

/// Why a link is not there, or not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkError {
    /// What kind of failure it is.
    pub failure: LinkFailure,
    /// What the system or the layer said.
    pub text: String,
}

/// The kinds of [`LinkError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum LinkFailure {
    /// Nobody listens there.
    Refused,
    /// No way there, or no answer in time.
    Unreachable,
    /// It was there, and broke.
    Broken,
    /// What should secure it did not come about, or was tampered with.
    Insecure,
    /// The loop has no room, or cannot make such a link.
    Unavailable,
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.failure {
            LinkFailure::Refused => "nobody listens there",
            LinkFailure::Unreachable => "no answer",
            LinkFailure::Broken => "the link broke",
            LinkFailure::Insecure => "the link could not be secured",
            LinkFailure::Unavailable => "no such link can be had",
        })?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

impl core::error::Error for LinkError {}

/// What a loop says about a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is there: connected (and secured), or bound, or listening.
    Opened {
        /// Our own address, as far as the system tells it.
        local: Option<SocketAddr>,
    },
    /// It could not be opened, or is broken. It is gone, and needs no [`Wish::Close`].
    Failed(LinkError),
}

/// A protocol over several links: the calls of [`DatagramMachine`](crate::DatagramMachine) and
/// [`StreamMachine`](crate::StreamMachine) with the number of a link in each, and wishes.
///
/// The rules of the run loop are on the [crate's page](crate); a drain takes datagrams, then what
/// [`Self::poll_ready`] and [`Self::poll_write`] give, then wishes, then events. The deadline is
/// that of rule 3 even while links take nothing: one slow peer stops no timer of the others.
pub trait Hub {
    /// What the hub has to tell its user.
    type Event;

    /// What has become of a wish, or of a link.
    fn handle_answer(&mut self, now: Instant, link: u64, answer: Answer);

    /// Somebody has connected to a listener. The number of the new link, which is open; or `None`,
    /// and it is closed at once.
    fn handle_accepted(
        &mut self,
        _now: Instant,
        _listener: u64,
        _kind: LinkKind,
        _remote: SocketAddr,
    ) -> Option<u64> {
        None
    }

    /// Takes one datagram of a UDP link, as a datagram machine does.
    fn handle_datagram(
        &mut self,
        _now: Instant,
        _link: u64,
        _path: Path,
        _ecn: Ecn,
        _datagram: &mut [u8],
    ) {
    }

    /// Takes bytes of a link, cut anywhere.
    fn handle_bytes(&mut self, _now: Instant, _link: u64, _bytes: &[u8]) {}

    /// The other side of a link sends no more; we still may, until [`Wish::Close`].
    fn handle_eof(&mut self, _now: Instant, _link: u64) {}

    /// Tells the time; to be called when [`Self::poll_timeout`]'s deadline has come.
    fn handle_timeout(&mut self, now: Instant);

    /// The next wish.
    fn poll_wish(&mut self) -> Option<Wish>;

    /// Appends the next datagram or train to `out`; for which link, and where to.
    fn poll_transmit(&mut self, _now: Instant, _out: &mut Vec<u8>) -> Option<(u64, Transmit)> {
        None
    }

    /// The system refused datagrams of the newest [`Self::poll_transmit`] as too large.
    fn handle_too_big(&mut self, _now: Instant, _link: u64, _transmit: &Transmit) {}

    /// A link that has bytes to write and was not named since it has. It may turn out to have none.
    fn poll_ready(&mut self, now: Instant) -> Option<u64>;

    /// Appends bytes for a link to `out`; returns whether there were any. Asked when the link has
    /// taken all bytes of the time before.
    fn poll_write(&mut self, now: Instant, link: u64, out: &mut Vec<u8>) -> bool;

    /// When [`Self::handle_timeout`] wants to be called next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next event, in the order in which things happened.
    fn poll_event(&mut self) -> Option<Self::Event>;
}
