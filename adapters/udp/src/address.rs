//! Addresses and marks between the system's notation and ours.
//!
//! A dual-stack socket speaks of an IPv4 peer as `::ffff:a.b.c.d`. Machines must see one peer under
//! one address, or an answer would seem to come from a stranger: they always see the plain IPv4
//! form, and only the system call sees the mapped one.

use quinn_udp::EcnCodepoint;
use std::net::{IpAddr, SocketAddr};
use tripline_sansio::{Ecn, Path};

/// The path as machines see it, or `None` if no answer could ever be sent along it.
///
/// Port 0 cannot be answered. An answer cannot leave from a group's address or from the broadcast
/// address, so the local address is left open in that case.
pub(crate) fn received_path(remote: SocketAddr, local: Option<IpAddr>) -> Option<Path> {
    if remote.port() == 0 {
        return None;
    }
    let remote = match remote.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), remote.port()),
        // Kept whole: a link-local address is nothing without its scope.
        IpAddr::V6(_) => remote,
    };
    let local = local.map(|ip| ip.to_canonical()).filter(|ip| can_send_from(*ip));
    Some(Path { remote, local })
}

/// The same path as the system wants it on a socket of family IPv6 (`v6`) or IPv4, or `None` if
/// nothing can be sent along it (port 0, or an IPv6 address on an IPv4 socket).
pub(crate) fn sendable_path(path: Path, v6: bool) -> Option<Path> {
    let canonical = received_path(path.remote, path.local)?;
    if !v6 {
        let local = canonical.local.filter(IpAddr::is_ipv4);
        return canonical.remote.is_ipv4().then_some(Path { local, ..canonical });
    }
    // Both of one family, or the source address means nothing.
    let same = |ip: &IpAddr| ip.is_ipv4() == canonical.remote.is_ipv4();
    let local = canonical.local.filter(same).map(mapped);
    let remote = match canonical.remote {
        SocketAddr::V4(v4) => SocketAddr::new(mapped((*v4.ip()).into()), v4.port()),
        v6 @ SocketAddr::V6(_) => v6,
    };
    Some(Path { remote, local })
}

fn can_send_from(ip: IpAddr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast() && !matches!(ip, IpAddr::V4(v4) if v4.is_broadcast())
}

fn mapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().into(),
        v6 @ IpAddr::V6(_) => v6,
    }
}

/// The mark in the words of the socket library.
pub(crate) fn ecn_out(ecn: Ecn) -> Option<EcnCodepoint> {
    match ecn {
        Ecn::NotEct => None,
        Ecn::Ect1 => Some(EcnCodepoint::Ect1),
        Ecn::Ect0 => Some(EcnCodepoint::Ect0),
        Ecn::Ce => Some(EcnCodepoint::Ce),
    }
}

/// The mark in our words.
pub(crate) fn ecn_in(ecn: Option<EcnCodepoint>) -> Ecn {
    match ecn {
        None => Ecn::NotEct,
        Some(EcnCodepoint::Ect1) => Ecn::Ect1,
        Some(EcnCodepoint::Ect0) => Ecn::Ect0,
        Some(EcnCodepoint::Ce) => Ecn::Ce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(remote: &str, local: Option<&str>) -> Path {
        Path {
            remote: remote.parse().expect("a socket address"),
            local: local.map(|ip| ip.parse().expect("an address")),
        }
    }

    fn seen(remote: &str, local: Option<&str>) -> Option<Path> {
        let raw = path(remote, local);
        received_path(raw.remote, raw.local)
    }

    #[test]
    fn a_mapped_peer_is_seen_under_its_ipv4_address_and_sent_to_under_the_mapped_one() {
        let mapped = path("[::ffff:192.0.2.1]:5", Some("::ffff:192.0.2.9"));
        let plain = path("192.0.2.1:5", Some("192.0.2.9"));
        assert_eq!(received_path(mapped.remote, mapped.local), Some(plain));
        assert_eq!(sendable_path(plain, true), Some(mapped));
        assert_eq!(sendable_path(plain, false), Some(plain));
    }

    #[test]
    fn what_cannot_be_answered_is_not_seen() {
        assert_eq!(seen("192.0.2.1:0", None), None);
        for group in ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1"] {
            assert_eq!(seen("192.0.2.1:5", Some(group)), Some(path("192.0.2.1:5", None)));
        }
        assert_eq!(sendable_path(path("[2001:db8::1]:5", None), false), None);
        assert_eq!(
            sendable_path(path("[2001:db8::1]:5", Some("192.0.2.9")), true),
            Some(path("[2001:db8::1]:5", None))
        );
    }

    #[test]
    fn a_link_local_peer_keeps_its_scope() {
        let peer = seen("[fe80::1%7]:5", None).expect("a peer");
        assert!(matches!(peer.remote, SocketAddr::V6(v6) if v6.scope_id() == 7));
    }

    #[test]
    fn marks_go_both_ways() {
        for ecn in [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
            assert_eq!(ecn_in(ecn_out(ecn)), ecn);
        }
    }
}
