//! What an error of the system means for a datagram.

use rustix::io::Errno;
use std::io;

/// Why the system did not take a datagram. None of these is a reason to end anything: a datagram
/// may always get lost, and the protocol above deals with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropCause {
    /// Larger than the path's MTU (`EMSGSIZE`); normal while a machine searches for the MTU.
    TooBig,
    /// The system had no memory or the device's queue was full (`ENOBUFS`, `ENOMEM`).
    NoBuffer,
    /// An earlier datagram was answered by "nobody listens here" (`ECONNREFUSED`, `ECONNRESET`).
    Refused,
    /// No route, or the network is down (`ENETUNREACH`, `EHOSTUNREACH`, `ENETDOWN` and the like).
    Unreachable,
    /// A firewall or the system's policy forbids it (`EPERM`, `EACCES`).
    Denied,
    /// The destination or our own address makes no sense here or is gone (`EINVAL`,
    /// `EADDRNOTAVAIL`, `EAFNOSUPPORT`, port 0).
    BadAddress,
    /// Anything else.
    Other,
}

impl DropCause {
    /// The cause behind an error of a send call (other than "would block").
    pub(crate) fn of(error: &io::Error) -> Self {
        let Some(errno) = Errno::from_io_error(error) else { return Self::Other };
        match errno {
            Errno::MSGSIZE => Self::TooBig,
            Errno::NOBUFS | Errno::NOMEM => Self::NoBuffer,
            Errno::CONNREFUSED | Errno::CONNRESET => Self::Refused,
            Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::TIMEDOUT => Self::Unreachable,
            Errno::PERM | Errno::ACCESS => Self::Denied,
            Errno::INVAL | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT | Errno::DESTADDRREQ => {
                Self::BadAddress
            }
            _ => Self::Other,
        }
    }
}

/// Whether an error of a *receive* call is only news about an earlier datagram or the network (an
/// ICMP message, an interface that went down), so that the socket itself lives on.
pub fn is_passing(error: &io::Error) -> bool {
    let Some(errno) = Errno::from_io_error(error) else {
        // The socket library could not read an address: that message is lost, the socket is well.
        return true;
    };
    !matches!(
        errno,
        Errno::BADF | Errno::NOTSOCK | Errno::FAULT | Errno::INVAL | Errno::NOTCONN | Errno::NOSYS
    )
}

/// Whether an error may mean that segmentation offload is not to be had.
pub(crate) fn may_refuse_offload(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::IO | Errno::INVAL))
}

/// Whether an error says that the system has no call that takes several messages.
pub(crate) fn has_no_such_call(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || matches!(Errno::from_io_error(error), Some(Errno::NOSYS | Errno::OPNOTSUPP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_is_what_it_is() {
        let cause = |errno: Errno| DropCause::of(&errno.into());
        assert_eq!(cause(Errno::MSGSIZE), DropCause::TooBig);
        assert_eq!(cause(Errno::NOBUFS), DropCause::NoBuffer);
        assert_eq!(cause(Errno::CONNREFUSED), DropCause::Refused);
        assert_eq!(cause(Errno::NETUNREACH), DropCause::Unreachable);
        assert_eq!(cause(Errno::PERM), DropCause::Denied);
        assert_eq!(cause(Errno::INVAL), DropCause::BadAddress);
        assert_eq!(DropCause::of(&io::Error::other("odd")), DropCause::Other);
    }

    #[test]
    fn only_a_broken_socket_ends_the_loop() {
        for errno in [Errno::CONNREFUSED, Errno::NETDOWN, Errno::HOSTUNREACH, Errno::NOBUFS] {
            assert!(is_passing(&errno.into()), "{errno:?}");
        }
        for errno in [Errno::BADF, Errno::NOTSOCK] {
            assert!(!is_passing(&errno.into()), "{errno:?}");
        }
    }
}
