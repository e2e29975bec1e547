//! Many datagrams of one train in one call, each a message of its own (`sendmmsg`, row N15): what
//! there is where the system or the network card does not cut trains itself.
//!
//! *In*: a train and where it goes. *Out*: how many of its datagrams the system took. The safe call
//! for this (that of `rustix`) sends no control messages of the internet protocols. So the mark is
//! set on the socket, where only these calls look for it, for all others bring their own; and the
//! address to leave from cannot be said: where it matters, which is on a socket of all addresses
//! that has to answer from the one it was asked at, there is no such call, and datagrams go out one
//! by one. (That of `nix` takes both, but counts what was taken by reading, for each message, an
//! address that only a *receiving* call fills in.)

use crate::calls::Destination;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use tripline_sansio::Ecn;

/// What such calls have to know of their socket.
#[derive(Debug)]
pub(crate) struct Many {
    /// The address it is bound to; that of all addresses is no address.
    bound: IpAddr,
    /// The marks that were set on it, for IPv4 and for IPv6.
    #[cfg(target_os = "linux")]
    marks: [Option<Ecn>; 2],
}

#[cfg(target_os = "linux")]
impl Many {
    /// Of a socket that is bound to this address.
    pub(crate) fn new(bound: IpAddr) -> Self {
        Self { bound, marks: [None; 2] }
    }

    /// Sends as [`Calls::send_many`](crate::Calls::send_many) says.
    ///
    /// The headers are made anew for each call: they hold pointers, so whoever kept them could not
    /// be sent to another thread. This path is the exception, and a few allocations for up to 64
    /// datagrams.
    pub(crate) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        to: Destination,
        bytes: &[u8],
        segment: usize,
    ) -> io::Result<usize> {
        use rustix::net::addr::SocketAddrArg;
        use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};
        use std::io::IoSlice;

        if to.path.local.is_some_and(|from| from != self.bound) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.mark(socket, to)?;
        let address = to.path.remote.as_any();
        let datagrams: Vec<[IoSlice<'_>; 1]> =
            bytes.chunks(segment.max(1)).map(|datagram| [IoSlice::new(datagram)]).collect();
        let mut none: Vec<_> = datagrams.iter().map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = datagrams
            .iter()
            .zip(&mut none)
            .map(|(datagram, none)| MMsgHdr::new_with_addr(&address, datagram, none))
            .collect();
        Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
    }

    /// Sets the mark on the socket, unless it is there already.
    fn mark(&mut self, socket: BorrowedFd<'_>, to: Destination) -> io::Result<()> {
        use rustix::net::sockopt::{set_ip_tos, set_ipv6_tclass};

        let [four, six] = &mut self.marks;
        let is_four = to.path.remote.ip().to_canonical().is_ipv4();
        let known = if is_four { four } else { six };
        if *known != Some(to.ecn) {
            // The two bits of the mark are the low ones of the field.
            if is_four {
                set_ip_tos(socket, to.ecn as u8)?;
            } else {
                set_ipv6_tclass(socket, u32::from(to.ecn as u8))?;
            }
            *known = Some(to.ecn);
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl Many {
    /// Of a socket that is bound to this address.
    pub(crate) fn new(bound: IpAddr) -> Self {
        Self { bound }
    }

    /// There is no such call here.
    pub(crate) fn send(
        &mut self,
        _socket: BorrowedFd<'_>,
        _to: Destination,
        _bytes: &[u8],
        _segment: usize,
    ) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
