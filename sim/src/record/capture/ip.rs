//! Datagrams in IP and UDP, with true lengths and checksums.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use tripline_sansio::Ecn;

/// The protocol number of UDP.
const UDP: u8 = 17;
/// How many routers a packet may pass, as it is commonly set.
const HOPS: u8 = 64;
/// The flag of IPv4 that forbids routers to split a packet.
const DO_NOT_SPLIT: u16 = 0x4000;

/// The packet that carries `payload` from one address to another. Addresses of different families
/// never meet on a network; if they do here, the IPv4 one is written as mapped into IPv6.
///
/// A payload that is too long for a UDP datagram is cut.
pub(super) fn wrap(from: SocketAddr, to: SocketAddr, ecn: Ecn, payload: &[u8]) -> Vec<u8> {
    // No link of the simulator lets longer ones through.
    let payload = &payload[..payload.len().min(usize::from(u16::MAX) - 28)];
    let udp_len = payload.len() as u16 + 8;
    let mut udp = Vec::with_capacity(usize::from(udp_len));
    for field in [from.port(), to.port(), udp_len, 0] {
        udp.extend(field.to_be_bytes());
    }
    udp.extend_from_slice(payload);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            seal(&mut udp, &from.octets(), &to.octets());
            let mut packet = vec![0x45, ecn_bits(ecn)];
            // The length, then a number for split packets, which ours never are.
            for field in [udp_len + 20, 0, DO_NOT_SPLIT] {
                packet.extend(field.to_be_bytes());
            }
            packet.extend([HOPS, UDP, 0, 0]);
            packet.extend(from.octets());
            packet.extend(to.octets());
            let check = checksum(&[&packet]);
            packet[10..12].copy_from_slice(&check.to_be_bytes());
            [packet, udp].concat()
        }
        (from, to) => {
            let (from, to) = (mapped(from).octets(), mapped(to).octets());
            seal(&mut udp, &from, &to);
            let mut packet = vec![0x60, ecn_bits(ecn) << 4, 0, 0];
            packet.extend(udp_len.to_be_bytes());
            packet.extend([UDP, HOPS]);
            packet.extend(from);
            packet.extend(to);
            [packet, udp].concat()
        }
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// The two bits as they stand in an IP header.
const fn ecn_bits(ecn: Ecn) -> u8 {
    match ecn {
        Ecn::NotEct => 0,
        Ecn::Ect1 => 1,
        Ecn::Ect0 => 2,
        Ecn::Ce => 3,
    }
}

/// Writes the checksum into a UDP datagram, which covers both addresses.
fn seal(udp: &mut [u8], from: &[u8], to: &[u8]) {
    let len = (udp.len() as u32).to_be_bytes();
    // Zero would mean that there is none.
    let check = match checksum(&[from, to, &[0, UDP], &len, udp]) {
        0 => u16::MAX,
        check => check,
    };
    udp[6..8].copy_from_slice(&check.to_be_bytes());
}

/// The sum of the Internet (RFC 1071) over all parts; all but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    let mut sum: u64 = parts.iter().flat_map(|part| part.chunks(2)).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_ipv4_has_the_sum_of_the_textbook() {
        // The header that is commonly used to explain this sum: it is 0xb861.
        let header = [
            0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,
            0xc7,
        ];
        assert_eq!(checksum(&[&header]), 0xb861);
    }

    #[test]
    fn a_sum_over_what_it_is_in_is_zero() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (from, to, header) in [
            ("10.0.0.1:1", "10.0.0.2:65535", 20),
            ("[fd00::1]:7", "[fd00::2]:8", 40),
            ("10.0.0.1:1", "[fd00::2]:8", 40),
        ] {
            for len in [0, 1, 2, 1_199, 1_200] {
                let packet = wrap(address(from), address(to), Ecn::Ce, &vec![0xab; len]);
                assert_eq!(packet.len(), header + 8 + len);
                let (ip, udp) = packet.split_at(header);
                let addresses = &ip[if header == 20 { 12 } else { 8 }..];
                let udp_len = (udp.len() as u32).to_be_bytes();
                assert_eq!(checksum(&[addresses, &[0, UDP], &udp_len, udp]), 0);
                if header == 20 {
                    assert_eq!(checksum(&[ip]), 0);
                    assert_eq!(ip[1], 3);
                } else {
                    assert_eq!(ip[1], 0x30);
                }
            }
        }
    }

    #[test]
    fn a_sum_of_zero_is_written_otherwise() {
        let (from, to) = ("0.0.0.0:0".parse().unwrap(), "0.0.0.0:0".parse().unwrap());
        let sum_so_far = u16::from(UDP) + 10 + 10;
        let packet = wrap(from, to, Ecn::NotEct, &(!sum_so_far).to_be_bytes());
        assert_eq!(packet[26..28], [0xff, 0xff]);
    }
}
