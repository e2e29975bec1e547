//! Many datagrams of one train in one call, each a message of its own (`sendmmsg`, row N15): what
//! there is where the system or the network card does not cut trains itself.

use crate::calls::Destination;
use std::io;
use std::os::fd::BorrowedFd;

/// Sends as [`Calls::send_many`](crate::Calls::send_many) says.
///
/// The headers are made anew for each call: they hold pointers, so whoever kept them could not be
/// sent to another thread. This path is the exception, and one allocation for up to 64 datagrams.
#[cfg(target_os = "linux")]
pub(crate) fn send_many(
    socket: BorrowedFd<'_>,
    to: Destination,
    bytes: &[u8],
    segment: usize,
) -> io::Result<usize> {
    use nix::libc::{in_addr, in_pktinfo, in6_addr, in6_pktinfo};
    use nix::sys::socket::{
        ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, cmsg_space, sendmmsg,
    };
    use std::io::IoSlice;
    use std::net::IpAddr;
    use std::os::fd::AsRawFd;

    // The two bits of the mark are the low ones of the field.
    let (tos, class) = (to.ecn as u8, i32::from(to.ecn as u8));
    let (four, six);
    let mut control = Vec::with_capacity(2);
    let mut room = 0;
    if to.path.remote.ip().to_canonical().is_ipv4() {
        control.push(ControlMessage::Ipv4Tos(&tos));
        room += cmsg_space::<u8>();
    } else {
        control.push(ControlMessage::Ipv6TClass(&class));
        room += cmsg_space::<i32>();
    }
    match to.path.local {
        Some(IpAddr::V4(ip)) => {
            let spec = in_addr { s_addr: u32::from_ne_bytes(ip.octets()) };
            let none = in_addr { s_addr: 0 };
            four = in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: spec, ipi_addr: none };
            control.push(ControlMessage::Ipv4PacketInfo(&four));
            room += cmsg_space::<in_pktinfo>();
        }
        Some(IpAddr::V6(ip)) => {
            let address = in6_addr { s6_addr: ip.octets() };
            six = in6_pktinfo { ipi6_ifindex: 0, ipi6_addr: address };
            control.push(ControlMessage::Ipv6PacketInfo(&six));
            room += cmsg_space::<in6_pktinfo>();
        }
        None => {}
    }
    let datagrams: Vec<[IoSlice<'_>; 1]> =
        bytes.chunks(segment.max(1)).map(|datagram| [IoSlice::new(datagram)]).collect();
    let address = Some(SockaddrStorage::from(to.path.remote));
    let addresses = vec![address; datagrams.len()];
    // As long as what is written into it: the system reads all of it.
    let mut headers = MultiHeaders::preallocate(datagrams.len(), Some(vec![0; room]));
    let flags = MsgFlags::empty();
    let sent = sendmmsg(socket.as_raw_fd(), &mut headers, &datagrams, &addresses, &control, flags)?;
    Ok(sent.count())
}

/// There is no such call here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn send_many(
    _socket: BorrowedFd<'_>,
    _to: Destination,
    _bytes: &[u8],
    _segment: usize,
) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
