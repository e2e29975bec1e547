//! What the kernel puts into a buffer: a head, the sender's address, the control messages, and then
//! the datagrams.
//!
//! In go the bytes, out come a [`Message`] and where its datagrams are. The kernel wrote them, but
//! nothing is taken on trust: what does not fit together is no message.

use libc::c_int;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use tripline_sansio::Ecn;
use tripline_udp::Message;

/// Room for an address of either family.
pub(crate) const NAME_BYTES: usize = size_of::<libc::sockaddr_in6>();
/// Room for control messages: mark, address, length of merged datagrams, and some.
pub(crate) const CONTROL_BYTES: usize = 128;
/// Four numbers: lengths of name, control messages and payload, and flags.
const HEAD_BYTES: usize = 16;
/// Where the datagrams begin.
const PAYLOAD_AT: usize = HEAD_BYTES + NAME_BYTES + CONTROL_BYTES;
/// Bytes of each buffer: all of that, and more than any train of merged datagrams.
pub(crate) const BUFFER_BYTES: usize = 66 * 1024;

/// Reads a message. `None`: the sender's address cannot be read, or the bytes end too early.
pub(crate) fn parse(bytes: &mut [u8]) -> Option<(Message, &mut [u8])> {
    let (head, payload) = bytes.split_at_mut_checked(PAYLOAD_AT)?;
    let (head, rest) = head.split_at_checked(HEAD_BYTES)?;
    let (name, control) = rest.split_at_checked(NAME_BYTES)?;
    let number = |at: usize| Some(u32::from_ne_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let control_len = usize::try_from(number(4)?).ok()?.min(control.len());
    let flags = number(12)?;
    let mut message = Message {
        from: address(name)?,
        len: payload.len(),
        stride: payload.len(),
        truncated: flags & libc::MSG_TRUNC as u32 != 0,
        ..Message::default()
    };
    read_control(control.get(..control_len)?, &mut message);
    Some((message, payload))
}

fn two(bytes: &[u8], at: usize) -> Option<[u8; 2]> {
    bytes.get(at..at + 2)?.try_into().ok()
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at + 4)?.try_into().ok()
}

fn sixteen(bytes: &[u8], at: usize) -> Option<[u8; 16]> {
    bytes.get(at..at + 16)?.try_into().ok()
}

/// A `sockaddr_in` or `sockaddr_in6`.
fn address(name: &[u8]) -> Option<SocketAddr> {
    let family = c_int::from(u16::from_ne_bytes(two(name, 0)?));
    let port = u16::from_be_bytes(two(name, 2)?);
    match family {
        libc::AF_INET => Some(SocketAddr::from((Ipv4Addr::from(four(name, 4)?), port))),
        libc::AF_INET6 => {
            let flow = u32::from_be_bytes(four(name, 4)?);
            let scope = u32::from_ne_bytes(four(name, 24)?);
            let ip = Ipv6Addr::from(sixteen(name, 8)?);
            Some(SocketAddrV6::new(ip, port, flow, scope).into())
        }
        _ => None,
    }
}

/// Bytes of the head of a control message: its length, level and kind.
const CONTROL_HEAD: usize = size_of::<libc::cmsghdr>();

/// Takes out of the control messages what concerns us.
fn read_control(mut rest: &[u8], message: &mut Message) {
    const LEN: usize = size_of::<usize>();
    // Each has a head, so this ends.
    while let Some((head, _)) = rest.split_at_checked(CONTROL_HEAD) {
        let Some(len) = head.first_chunk::<LEN>().map(|len| usize::from_ne_bytes(*len)) else {
            return;
        };
        let (Some(level), Some(kind)) = (four(head, LEN), four(head, LEN + 4)) else { return };
        let Some(data) = rest.get(CONTROL_HEAD..len) else { return };
        read_one((c_int::from_ne_bytes(level), c_int::from_ne_bytes(kind)), data, message);
        let Some(next) = len.checked_next_multiple_of(LEN).and_then(|next| rest.get(next..)) else {
            return;
        };
        rest = next;
    }
}

fn read_one(kind: (c_int, c_int), data: &[u8], message: &mut Message) {
    let int = || four(data, 0).map(c_int::from_ne_bytes);
    match kind {
        (libc::SOL_IP, libc::IP_TOS) => message.ecn = mark(data.first().copied().map(c_int::from)),
        (libc::SOL_IPV6, libc::IPV6_TCLASS) => message.ecn = mark(int()),
        (libc::SOL_IP, libc::IP_PKTINFO) => {
            // Interface, the local address, the address in the packet: the last is what was asked.
            message.to = four(data, 8).map(|ip| IpAddr::from(Ipv4Addr::from(ip)));
        }
        (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
            message.to = sixteen(data, 0).map(|ip| IpAddr::from(Ipv6Addr::from(ip)));
        }
        (libc::SOL_UDP, libc::UDP_GRO) => {
            let stride = int().and_then(|stride| usize::try_from(stride).ok());
            message.stride = stride.filter(|stride| *stride > 0).unwrap_or(message.stride);
        }
        _ => {}
    }
}

/// The mark in the low bits of the field that has it.
fn mark(field: Option<c_int>) -> Ecn {
    match field.unwrap_or_default() & 3 {
        1 => Ecn::Ect1,
        2 => Ecn::Ect0,
        3 => Ecn::Ce,
        _ => Ecn::NotEct,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(level: c_int, kind: c_int, data: &[u8]) -> Vec<u8> {
        let mut bytes = (CONTROL_HEAD + data.len()).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&level.to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn message(name: &[u8], control: &[u8], flags: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [name.len() as u32, control.len() as u32, payload.len() as u32, flags] {
            bytes.extend_from_slice(&number.to_ne_bytes());
        }
        bytes.extend_from_slice(name);
        bytes.resize(HEAD_BYTES + NAME_BYTES, 0);
        bytes.extend_from_slice(control);
        bytes.resize(PAYLOAD_AT, 0);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn v4_name() -> Vec<u8> {
        let family = (libc::AF_INET as u16).to_ne_bytes();
        [&family[..], &[0x11, 0x5c], &[192, 0, 2, 1], &[0; 8]].concat()
    }

    #[test]
    fn a_train_of_ipv4_is_read() {
        let info = [&[1, 0, 0, 0][..], &[0; 4], &[192, 0, 2, 9]].concat();
        let all = [
            control(libc::SOL_IP, libc::IP_TOS, &[2]),
            control(libc::SOL_IP, libc::IP_PKTINFO, &info),
            control(libc::SOL_UDP, libc::UDP_GRO, &100i32.to_ne_bytes()),
            control(99, 99, &[1, 2, 3]),
        ];
        let mut bytes = message(&v4_name(), &all.concat(), 0, &[7; 250]);
        let (message, payload) = parse(&mut bytes).expect("a message");
        let (from, to) = ("192.0.2.1:4444".parse().unwrap(), "192.0.2.9".parse().ok());
        let want = Message { from, to, ecn: Ecn::Ect0, len: 250, stride: 100, truncated: false };
        assert_eq!((message, payload.len()), (want, 250));
    }

    #[test]
    fn a_datagram_of_ipv6_is_read() {
        let family = (libc::AF_INET6 as u16).to_ne_bytes();
        let ip: Ipv6Addr = "fe80::1".parse().unwrap();
        let scope = 7u32.to_ne_bytes();
        let name = [&family[..], &[0, 9], &[0; 4], &ip.octets(), &scope].concat();
        let info = [&ip.octets()[..], &[7, 0, 0, 0]].concat();
        let all = [
            control(libc::SOL_IPV6, libc::IPV6_TCLASS, &3i32.to_ne_bytes()),
            control(libc::SOL_IPV6, libc::IPV6_PKTINFO, &info),
        ];
        let truncated = libc::MSG_TRUNC as u32;
        let mut bytes = message(&name, &all.concat(), truncated, b"hi");
        let (message, _) = parse(&mut bytes).expect("a message");
        let from = "[fe80::1%7]:9".parse().unwrap();
        let want =
            Message { from, to: Some(ip.into()), ecn: Ecn::Ce, len: 2, stride: 2, truncated: true };
        assert_eq!(message, want);
    }

    /// H07: bytes that no kernel writes are no message, or one within its bounds; never a panic.
    #[test]
    fn h07_nonsense_is_survived() {
        let whole = message(&v4_name(), &control(libc::SOL_IP, libc::IP_TOS, &[1]), 0, &[7; 30]);
        for len in 0..PAYLOAD_AT {
            assert!(parse(&mut whole.clone()[..len]).is_none());
        }
        let mut random = tripline_sansio::Seed::from_number(5).random("nonsense");
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.bits64() % 4 {
                let at = (random.bits64() % PAYLOAD_AT as u64) as usize;
                bytes[at] = random.bits64() as u8;
            }
            if let Some((message, payload)) = parse(&mut bytes) {
                assert_eq!((message.len, payload.len()), (30, 30));
                assert!(message.stride > 0);
            }
        }
    }
}
